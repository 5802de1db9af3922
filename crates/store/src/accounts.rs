//! What watching by accounts needs of the books: who waits for money, and how far the blocks
//! were read behind it.
//!
//! In: a time, a height. Out: addresses with the time of their orders; a height.
//! Never: a height that goes back. Why: an index may lose a transfer, and the blocks do not.

use payments::address::Address;
use payments::name::ChainName;
use payments::time::Time;
use sqlx::Row;

use crate::error::Error;
use crate::point;
use crate::row::{self, Fields, signed};
use crate::sql::Binds;
use crate::{Store, finish};

impl Store {
    /// The addresses of the orders, on whichever chain, that are open or ended after `ended`, with
    /// the time each was made; the newest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn accounts(&self, ended: Time, limit: u32) -> Result<Vec<(Address, Time)>, Error> {
        // An order of any amount goes on after its first payment.
        let query = "SELECT address, created_at FROM orders WHERE coalesce( \
            CASE WHEN due IS NULL THEN NULL ELSE paid END, expired, cancelled, $1 + 1) > $1 \
            ORDER BY number DESC LIMIT $2";
        let mut connection = self.reader().await?;
        let query = sqlx::query(query).bind(ended.0).bind(i64::from(limit));
        let mut accounts = Vec::new();
        for row in query.fetch_all(&mut *connection).await? {
            let text: String = row.try_get(0)?;
            let address = Fields::new("orders", &text).parse("address", row::address)?;
            accounts.push((address, Time(row.try_get(1)?)));
        }
        Ok(accounts)
    }

    /// Our addresses on `chain` that somebody could lose money at: those that hold some, the most
    /// first, then those of open orders, the newest first; at most `limit`, and how many there are.
    ///
    /// # Errors
    /// As [`Self::accounts`].
    pub async fn exposed(
        &self,
        chain: &ChainName,
        limit: u32,
    ) -> Result<(Vec<Address>, u64), Error> {
        let query = "WITH exposed (address, held, number) AS (\
            SELECT substr(account, length(account) - 41), debits - credits, 0 FROM balances \
            WHERE account > 'custody:' || $1 || ':' AND account < 'custody:' || $1 || ';' \
            AND asset = 'USDT.' || $1 AND debits > credits \
            UNION ALL SELECT address, 0, number FROM orders WHERE chain = $1 \
            AND coalesce(CASE WHEN due IS NULL THEN NULL ELSE paid END, expired, cancelled) \
            IS NULL) SELECT address, count(*) OVER () FROM exposed GROUP BY address \
            ORDER BY max(held) DESC, max(number) DESC LIMIT $2";
        let mut connection = self.reader().await?;
        let query = sqlx::query(query).bind(chain.to_string()).bind(i64::from(limit));
        let (mut exposed, mut all) = (Vec::new(), 0);
        for row in query.fetch_all(&mut *connection).await? {
            let text: String = row.try_get(0)?;
            exposed.push(Fields::new("addresses", &text).parse("address", row::address)?);
            all = u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default();
        }
        Ok((exposed, all))
    }

    /// Up to which height the blocks of a chain were read again.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn reread(&self, chain: &ChainName) -> Result<Option<u64>, Error> {
        let query = sqlx::query("SELECT height FROM rereads WHERE chain = $1");
        let mut connection = self.reader().await?;
        let row = query.bind(chain.to_string()).fetch_optional(&mut *connection).await?;
        let height: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(height.and_then(|height| u64::try_from(height).ok()))
    }

    /// Keeps up to which height the blocks of a chain were read again, where they were read from
    /// `known` on, what [`Self::reread`] said before. Where that is another one by now, nothing
    /// changes: an adoption lets blocks be read again that were read already. Nor does a lower one.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn keep_reread(
        &self,
        chain: &ChainName,
        known: Option<u64>,
        height: u64,
    ) -> Result<(), Error> {
        let insert = "INSERT INTO rereads (chain, height) VALUES ($1, $2) ON CONFLICT (chain) \
            DO UPDATE SET height = excluded.height \
            WHERE rereads.height = $3 AND excluded.height > rereads.height";
        let column = |height: u64| signed("rereads", "height", chain, height);
        let mut binds = Binds::default();
        binds.text(chain.to_string())?;
        binds.int(column(height)?)?;
        binds.int_or_null(known.map(column).transpose()?)?;
        let mut transaction = self.writing().await?;
        self.link(&mut transaction).run(insert, binds).await?;
        point!("reread.kept");
        finish(transaction).await?;
        point!("reread.written");
        Ok(())
    }
}
