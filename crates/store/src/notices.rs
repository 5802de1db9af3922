//! Notices of tokens' issuers: written, and read for a plan or for somebody who asks.
//!
//! In: what a plan changed; a chain, an address. Out: rows; values.
//! Never: one a second time. Why: only a commit that moves the cursor of its chain writes one, so
//! the cursor's generation guards them all.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use payments::address::Address;
use payments::chain::{BlockId, TxHash};
use payments::changes::Snapshot;
use payments::name::ChainName;
use payments::notice::{Noted, Notice, NoticeId, What};
use payments::time::Time;
use sqlx::Row as _;

use crate::Store;
use crate::error::Error;
use crate::load::{self, Numbered};
use crate::row::{self, Fields, hex, signed};
use crate::sql::{Binds, Bulk, Link, PACKED_END, packed};

const NOTICE: [&str; 15] = [
    "i.seq",
    "i.order_id",
    "i.chain",
    "i.tx",
    "i.place",
    "i.what",
    "i.address",
    "i.points",
    "i.raw",
    "i.height",
    "i.block_hash",
    "i.time",
    "i.log_index",
    "i.orphaned",
    "i.round",
];

/// How many notices are read at most of those that concern everybody, or of one address. The
/// newest are read, so that what holds now is known.
const TOLD: i64 = 1000;

impl Store {
    /// What the issuer of the token of `chain` did that concerns everybody, and our addresses: the
    /// newest, in the order of recording.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn notices(&self, chain: &ChainName) -> Result<Vec<Noted>, Error> {
        let from = "FROM (SELECT * FROM notices WHERE chain = $1 ORDER BY seq DESC LIMIT $2) AS i";
        self.notices_by(from, chain.to_string()).await
    }

    /// What issuers did about an address of ours, on every chain, in the order of recording.
    ///
    /// # Errors
    /// As [`Self::notices`].
    pub async fn notices_of(&self, address: &Address) -> Result<Vec<Noted>, Error> {
        let from = "FROM (SELECT * FROM notices WHERE address = $1 AND what <> 'deprecated' \
            ORDER BY seq DESC LIMIT $2) AS i";
        self.notices_by(from, hex(&address.0)).await
    }

    /// How often a person chose which branch of `chain` is followed: what its contract was asked
    /// before the last time may be taken back.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn adoptions(&self, chain: &ChainName) -> Result<u64, Error> {
        let mut connection = self.reader().await?;
        let count = sqlx::query("SELECT count(*) FROM adoptions WHERE chain = $1");
        let count = count.bind(chain.to_string()).fetch_one(&mut *connection).await?;
        Ok(u64::try_from(count.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    /// The lowest block on which a branch stands that a person chose for `chain` since `at`: above
    /// it the chain was another before.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn lowest_adoption(
        &self,
        chain: &ChainName,
        since: Time,
    ) -> Result<Option<u64>, Error> {
        let mut connection = self.reader().await?;
        let lowest = "SELECT min(base_height) FROM adoptions WHERE chain = $1 AND at >= $2";
        let lowest = sqlx::query(lowest).bind(chain.to_string()).bind(since.0);
        let lowest: Option<i64> = lowest.fetch_one(&mut *connection).await?.try_get(0)?;
        Ok(lowest.and_then(|height| u64::try_from(height).ok()))
    }

    async fn notices_by(&self, from: &str, key: String) -> Result<Vec<Noted>, Error> {
        let mut binds = Binds::default();
        binds.text(key)?;
        binds.int(TOLD)?;
        let mut connection = self.reader().await?;
        let mut link = self.link(&mut connection);
        Ok(load::numbered(&mut link, (&NOTICE, from), binds, noted).await?.into_values().collect())
    }
}

fn noted(line: &str) -> Result<(i64, Noted), Error> {
    let mut fields = Fields::new("notices", line);
    let seq = fields.int("seq")?;
    let order = fields.maybe("order_id", row::order_id)?;
    let chain = fields.parse("chain", |name| ChainName::new(name).ok())?;
    let tx = fields.parse("tx", TxHash::parse)?;
    let n = fields.parse("place", |text| text.parse().ok())?;
    let word = fields.parse("what", |word| Some(word.to_owned()))?;
    let address = fields.maybe("address", row::address)?;
    let points = fields.parse("points", |text| text.parse().ok())?;
    let what = fields.parse("raw", |text| {
        let raw = text.parse().ok()?;
        What::parse(&word, address, points, raw)
    })?;
    let height = fields.parse("height", |text| text.parse().ok())?;
    let block = BlockId { height, hash: fields.parse("block_hash", row::hash)? };
    let time = fields.parse("time", row::time)?;
    let log_index = fields.parse("log_index", |text| text.parse().ok())?;
    let orphaned = fields.int("orphaned")? == 1;
    let round = fields.parse("round", |text| text.parse().ok())?;
    let notice = Notice { tx, n, log_index, block, time, what };
    Ok((seq, Noted { chain, notice, order, orphaned, round }))
}

/// Writes what a plan recorded or changed of them.
pub(crate) async fn write(link: &mut Link<'_>, notices: &[Noted]) -> Result<(), Error> {
    if notices.is_empty() {
        return Ok(());
    }
    let mut last = 0i64;
    let text = packed(&["m.seq"], "FROM (SELECT max(seq) AS seq FROM notices) AS m") + PACKED_END;
    link.select(text, Binds::default(), |line| {
        last = line.parse().unwrap_or(0);
        Ok(())
    })
    .await?;
    let numbered: Vec<(i64, &Noted)> = (last.saturating_add(1)..).zip(notices).collect();
    let written = link.write(&WRITE, &numbered, |binds, (seq, noted)| {
        let (id, notice) = (noted.id(), &noted.notice);
        let (address, points, raw) = notice.what.kept();
        binds.int(*seq)?;
        binds.text(id.to_string())?;
        binds.text_or_null(noted.order.as_ref().map(ToString::to_string))?;
        binds.text(id.chain.to_string())?;
        binds.text(hex(&id.tx.0))?;
        binds.int(i64::from(id.n))?;
        binds.text(notice.what.word().to_owned())?;
        binds.text_or_null(address.map(|address| hex(&address.0)))?;
        binds.int(i64::from(points))?;
        binds.text(raw.to_string())?;
        binds.int(signed("notices", "height", &id, notice.block.height)?)?;
        binds.text(hex(&notice.block.hash.0))?;
        binds.int(notice.time.0)?;
        binds.int(signed("notices", "log_index", &id, notice.log_index)?)?;
        binds.int(i64::from(noted.orphaned))?;
        binds.int(i64::from(noted.round))
    });
    written.await?;
    Ok(())
}

static WRITE: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "write notices",
    head: "INSERT INTO notices (seq, id, order_id, chain, tx, place, what, address, points, raw, \
        height, block_hash, time, log_index, orphaned, round) VALUES"
        .to_owned(),
    columns: 16,
    tail: " ON CONFLICT (id) DO UPDATE SET what = excluded.what, address = excluded.address, \
        points = excluded.points, raw = excluded.raw, height = excluded.height, \
        block_hash = excluded.block_hash, time = excluded.time, log_index = excluded.log_index, \
        orphaned = excluded.orphaned, round = excluded.round",
});

/// All notices of `chain`, by the order of recording.
pub(crate) async fn all(link: &mut Link<'_>, chain: &ChainName) -> Result<Vec<Noted>, Error> {
    let mut binds = Binds::default();
    binds.text(chain.to_string())?;
    let read = (NOTICE.as_slice(), "FROM notices AS i WHERE i.chain = $1");
    Ok(load::numbered(link, read, binds, noted).await?.into_values().collect())
}

/// The notices that may matter to an update of `chain`, by the order of recording: those above
/// `finalized` (-1: all), those among `seen`, and those in a transaction of the snapshot's
/// outflows.
pub(crate) async fn touched(
    link: &mut Link<'_>,
    chain: &ChainName,
    finalized: i64,
    seen: &[Notice],
    snapshot: &Snapshot,
) -> Result<Vec<Noted>, Error> {
    let mut found = Numbered::new();
    let mut take = |line: &str| {
        let (seq, noted) = noted(line)?;
        found.insert(seq, noted);
        Ok(())
    };
    let from = "FROM notices AS i WHERE i.chain = $1 AND i.height > $2";
    let mut binds = Binds::default();
    binds.text(chain.to_string())?;
    binds.int(finalized)?;
    link.select(packed(&NOTICE, from) + PACKED_END, binds, &mut take).await?;
    let ids: Vec<NoticeId> = seen
        .iter()
        .map(|notice| NoticeId { chain: chain.clone(), tx: notice.tx, n: notice.n })
        .collect();
    link.read(&BY_ID, &ids, |binds, id| binds.text(id.to_string()), &mut take).await?;
    let txs: BTreeSet<TxHash> = snapshot.outflows.iter().map(|outflow| outflow.id.tx).collect();
    let txs: Vec<TxHash> = txs.into_iter().collect();
    link.read(&BY_TX, &txs, |binds, tx| binds.text(hex(&tx.0)), &mut take).await?;
    found.retain(|_, noted| noted.chain == *chain);
    Ok(found.into_values().collect())
}

fn list(name: &'static str, rest: &str) -> Bulk {
    let head = format!("{} IN (", packed(&NOTICE, rest));
    Bulk { name, head, columns: 1, tail: ")) AS lines" }
}

static BY_ID: LazyLock<Bulk> =
    LazyLock::new(|| list("notices by id", "FROM notices AS i WHERE i.id"));
static BY_TX: LazyLock<Bulk> =
    LazyLock::new(|| list("notices by transaction", "FROM notices AS i WHERE i.tx"));
