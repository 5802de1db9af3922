//! Addresses before they have an order: the next index to derive at, and the imported pool.
//!
//! In: a key's fingerprint, or addresses. Out: an index or an address nobody was given before.
//! Never: the same twice, whatever happens in between: each is taken in a durable transaction.
//! Why: one address belongs to one order for ever, and the order is made only afterwards.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use payments::address::Address;
use payments::name::ChainName;
use sqlx::Row;

use crate::error::Error;
use crate::load;
use crate::point;
use crate::row::{self, Fields, hex};
use crate::sql::{Binds, Bulk};
use crate::{Store, finish};

/// Takes the lock that every commit takes first.
pub(crate) const LOCK: &str = "UPDATE counters SET addresses = addresses + $1 RETURNING addresses";

impl Store {
    /// The next index to derive an address at, under the extended public key with this
    /// fingerprint: at least `at_least`, and above every index that was given before.
    ///
    /// # Errors
    /// What the engine says; it refuses an index of 2^31 and above, which BIP-32 does not derive
    /// from a public key.
    pub async fn reserve_index(&self, xpub: &str, at_least: u32) -> Result<u32, Error> {
        let query = "INSERT INTO derivations (xpub, next) VALUES ($1, $2 + 1) \
            ON CONFLICT (xpub) DO UPDATE SET next = CASE WHEN derivations.next >= excluded.next \
            THEN derivations.next + 1 ELSE excluded.next END RETURNING next - 1";
        let mut transaction = self.writing().await?;
        let query = sqlx::query(query).bind(row::printable(xpub)).bind(i64::from(at_least));
        let index: i64 = query.fetch_one(&mut *transaction).await?.try_get(0)?;
        point!("index.taken");
        finish(transaction).await?;
        point!("index.written");
        u32::try_from(index).map_err(|_| Error::beyond("derivations", "next", xpub))
    }

    /// The index that an address would be derived at next; 0 where none was.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn next_index(&self, xpub: &str) -> Result<u32, Error> {
        let query = sqlx::query("SELECT next FROM derivations WHERE xpub = $1");
        let mut connection = self.reader().await?;
        let row = query.bind(row::printable(xpub)).fetch_optional(&mut *connection).await?;
        let next: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        u32::try_from(next).map_err(|_| Error::beyond("derivations", "next", xpub))
    }

    /// Those of these addresses that the books do not have.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn unknown(&self, addresses: &[Address]) -> Result<Vec<Address>, Error> {
        let mut left: BTreeSet<Address> = addresses.iter().copied().collect();
        let mut reading = self.read().await?;
        load::owners(&mut reading.link(), addresses, |owned| {
            left.remove(&owned.address);
        })
        .await?;
        reading.end().await?;
        Ok(left.into_iter().collect())
    }

    /// Adds addresses to the imported pool; they are watched from now on. Those that are known
    /// already change nothing. The number of new ones.
    ///
    /// # Errors
    /// What the engine says; nothing is written then.
    pub async fn import(&self, addresses: &[Address]) -> Result<u64, Error> {
        self.list(addresses, false).await
    }

    /// Watches addresses from now on that somebody was shown, as nobody's: no order gets one, also
    /// where it was in the imported pool. Others that are known already change nothing. The number
    /// of those that changed.
    ///
    /// # Errors
    /// What the engine says; nothing is written then.
    pub async fn recall(&self, addresses: &[Address]) -> Result<u64, Error> {
        self.list(addresses, true).await
    }

    async fn list(&self, addresses: &[Address], taken: bool) -> Result<u64, Error> {
        let addresses: BTreeSet<&Address> = addresses.iter().collect();
        let count = i64::try_from(addresses.len());
        let count = count.map_err(|_| Error::beyond("counters", "addresses", "1"))?;
        let mut transaction = self.writing().await?;
        let query = sqlx::query(LOCK).bind(count);
        let last: i64 = query.fetch_one(&mut *transaction).await?.try_get(0)?;
        let first = last.saturating_sub(count).saturating_add(1);
        let numbered: Vec<(i64, &Address)> = (first..).zip(addresses).collect();
        let bind = |binds: &mut Binds, (seq, address): &(i64, &Address)| {
            binds.int(*seq)?;
            binds.text(hex(&address.0))?;
            binds.int(i64::from(taken))
        };
        let written = self.link(&mut transaction).write(&IMPORT, &numbered, bind).await?;
        point!("import.listed");
        finish(transaction).await?;
        point!("import.written");
        Ok(written)
    }

    /// Takes an address out of the imported pool; `None` where the pool is empty.
    ///
    /// # Errors
    /// [`Error::Broken`] where the address does not parse, and what the engine says.
    pub async fn take_imported(&self) -> Result<Option<Address>, Error> {
        let mut transaction = self.writing().await?;
        sqlx::query(LOCK).bind(0i64).fetch_one(&mut *transaction).await?;
        let query = "UPDATE addresses SET taken = 1 WHERE seq = \
            (SELECT min(seq) FROM addresses WHERE taken = 0) RETURNING address";
        let taken = sqlx::query(query).fetch_optional(&mut *transaction).await?;
        let taken: Option<String> = taken.map(|row| row.try_get(0)).transpose()?;
        point!("pool.taken");
        finish(transaction).await?;
        point!("pool.written");
        let parse = |text: String| Fields::new("addresses", &text).parse("address", row::address);
        taken.map(parse).transpose()
    }

    /// Derived addresses of a chain's orders with their indexes, to be derived again and
    /// compared: at most `each` of the newest, and as many of the oldest.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn issued(&self, chain: &ChainName, each: u32) -> Result<Vec<(Address, u32)>, Error> {
        let mut connection = self.reader().await?;
        let mut issued = Vec::new();
        for direction in ["DESC", "ASC"] {
            let query = format!(
                "SELECT address, address_index FROM orders WHERE chain = $1 \
                 AND address_index IS NOT NULL ORDER BY number {direction} LIMIT $2"
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(query));
            let query = query.bind(chain.to_string()).bind(i64::from(each));
            for row in query.fetch_all(&mut *connection).await? {
                let text: String = row.try_get(0)?;
                let index: i64 = row.try_get(1)?;
                let address = Fields::new("orders", &text).parse("address", row::address)?;
                let index = u32::try_from(index);
                issued.push((
                    address,
                    index.map_err(|_| Error::beyond("orders", "address_index", &text))?,
                ));
            }
        }
        Ok(issued)
    }
}

static IMPORT: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "import addresses",
    head: "WITH v (seq, address, taken) AS (VALUES".to_owned(),
    columns: 3,
    tail: ") INSERT INTO addresses (seq, address, taken) SELECT v.seq, v.address, v.taken FROM v \
        WHERE TRUE ON CONFLICT (address) DO UPDATE SET taken = 1 \
        WHERE excluded.taken > addresses.taken",
});
