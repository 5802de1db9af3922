//! Outflows: written, and read for a plan or for somebody who asks.
//!
//! In: what a plan changed; a chain and its transfers; a filter. Out: rows; values.
//! Never: an outflow a second time. Why: only a commit that moves the cursor of its chain writes
//! one, so the cursor's generation guards them all.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{Case, CaseId};
use payments::chain::{BlockId, Transfer, TxHash};
use payments::changes::Snapshot;
use payments::name::{ChainName, OrderId};
use payments::notice::{Notice, What};
use payments::outflow::{Explanation, Outflow, OutflowId, OutflowState, Way};

use crate::cases;
use crate::error::Error;
use crate::held;
use crate::load::{self, Numbered};
use crate::point;
use crate::row::{self, Fields, hex, signed};
use crate::sql::{Binds, Bulk, Link, PACKED_END, packed};
use crate::{Store, finish};

const OUTFLOW: [&str; 14] = [
    "w.id",
    "w.seq",
    "w.order_id",
    "w.sender",
    "w.receiver",
    "w.raw",
    "w.amount",
    "w.height",
    "w.block_hash",
    "w.time",
    "w.log_index",
    "w.state",
    "w.explained",
    "w.round",
];

/// Which outflows to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutflowFilter {
    /// Only those of this chain.
    pub chain: Option<ChainName>,
    /// Only those from this address.
    pub sender: Option<Address>,
    /// Only those of this transaction.
    pub tx: Option<TxHash>,
    /// Only this one.
    pub id: Option<OutflowId>,
    /// Only those that are final and that nobody has explained: neither the config, nor a refund,
    /// nor a person who decided about the case.
    pub unexplained: bool,
}

/// Final, and neither the config nor a refund nor a person who decided about its case explains it.
const UNEXPLAINED: &str = " AND explained IS NULL AND state IN ('waiting', 'booked') \
    AND NOT EXISTS (SELECT 1 FROM cases AS c WHERE c.resolution IS NOT NULL \
    AND c.id = 'unexplained_outflow:' || outflows.id \
    || CASE WHEN outflows.round > 1 THEN '#' || CAST(outflows.round AS TEXT) ELSE '' END)";

impl Store {
    /// At most `limit` outflows recorded after the one with number `after` (0: from the first),
    /// with their numbers, in the order in which they were recorded.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn outflows(
        &self,
        filter: &OutflowFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Outflow)>, Error> {
        let mut conditions = String::new();
        for (wanted, condition) in [
            (filter.chain.is_some(), " AND chain = $3"),
            (filter.sender.is_some(), " AND sender = $4"),
            (filter.tx.is_some(), " AND id LIKE $5"),
            (filter.id.is_some(), " AND id = $6"),
            (filter.unexplained, UNEXPLAINED),
        ] {
            conditions.push_str(if wanted { condition } else { "" });
        }
        // The casts give the parameters a type where the conditions that use them are left out.
        let from = format!(
            "FROM (SELECT * FROM outflows WHERE seq > $1 AND (CAST($3 AS TEXT) IS NULL \
             OR CAST($4 AS TEXT) IS NULL OR CAST($5 AS TEXT) IS NULL OR CAST($6 AS TEXT) IS NULL \
             OR TRUE){conditions} ORDER BY seq LIMIT $2) AS w"
        );
        let mut binds = Binds::default();
        binds.int(i64::try_from(after).unwrap_or(i64::MAX))?;
        binds.int(i64::from(limit))?;
        binds.text(filter.chain.as_ref().map(ToString::to_string).unwrap_or_default())?;
        binds.text(filter.sender.map(|address| hex(&address.0)).unwrap_or_default())?;
        binds.text(filter.tx.map(|tx| format!("%:{tx}:%")).unwrap_or_default())?;
        binds.text(filter.id.as_ref().map(ToString::to_string).unwrap_or_default())?;
        let mut connection = self.reader().await?;
        let found = page(&mut self.link(&mut connection), &from, binds).await?;
        let numbered = found.into_iter();
        Ok(numbered.map(|(seq, outflow)| (u64::try_from(seq).unwrap_or(0), outflow)).collect())
    }
}

/// The outflows that `from` selects as `w`.
pub(crate) async fn page(
    link: &mut Link<'_>,
    from: &str,
    binds: Binds,
) -> Result<Numbered<Outflow>, Error> {
    load::numbered(link, (&OUTFLOW, from), binds, outflow).await
}

fn outflow(line: &str) -> Result<(i64, Outflow), Error> {
    let mut fields = Fields::new("outflows", line);
    let id = fields.parse("id", OutflowId::parse)?;
    let seq = fields.int("seq")?;
    let order = fields.maybe("order_id", row::order_id)?;
    let from = fields.parse("sender", row::address)?;
    let to = fields.parse("receiver", row::address)?;
    let raw = fields.parse("raw", |text| text.parse().ok())?;
    let amount = fields.parse("amount", row::usdt)?;
    let height = fields.parse("height", |text| text.parse().ok())?;
    let block = BlockId { height, hash: fields.parse("block_hash", row::hash)? };
    let time = fields.parse("time", row::time)?;
    let log_index = fields.parse("log_index", |text| text.parse().ok())?;
    let state = fields.parse("state", OutflowState::parse)?;
    let explained = fields.maybe("explained", Explanation::parse)?;
    let round = fields.parse("round", |text| text.parse().ok())?;
    let outflow = Outflow {
        id,
        order,
        from,
        to,
        raw,
        amount,
        block,
        time,
        log_index,
        state,
        explained,
        round,
    };
    Ok((seq, outflow))
}

/// Writes what a plan recorded or changed of them.
pub(crate) async fn write(link: &mut Link<'_>, outflows: &[Outflow]) -> Result<(), Error> {
    if outflows.is_empty() {
        return Ok(());
    }
    let mut last = 0i64;
    let text = packed(&["m.seq"], "FROM (SELECT max(seq) AS seq FROM outflows) AS m") + PACKED_END;
    link.select(text, Binds::default(), |line| {
        last = line.parse().unwrap_or(0);
        Ok(())
    })
    .await?;
    let numbered: Vec<(i64, &Outflow)> = (last.saturating_add(1)..).zip(outflows).collect();
    let written = link.write(&WRITE, &numbered, |binds, (seq, outflow)| {
        let id = &outflow.id;
        binds.int(*seq)?;
        binds.text(id.to_string())?;
        binds.text_or_null(outflow.order.as_ref().map(ToString::to_string))?;
        binds.text(id.chain.to_string())?;
        binds.int(signed("outflows", "height", id, outflow.block.height)?)?;
        binds.text(hex(&outflow.block.hash.0))?;
        binds.int(outflow.time.0)?;
        binds.int(signed("outflows", "log_index", id, outflow.log_index)?)?;
        binds.text(hex(&outflow.from.0))?;
        binds.text(hex(&outflow.to.0))?;
        binds.text(outflow.raw.to_string())?;
        binds.int(outflow.amount.micro())?;
        binds.text(outflow.state.word().to_owned())?;
        binds.text_or_null(outflow.explained.map(|why| why.word().to_owned()))?;
        binds.int(i64::from(outflow.round))
    });
    written.await?;
    point!("outflow.written");
    Ok(())
}

static WRITE: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "write outflows",
    head: "INSERT INTO outflows (seq, id, order_id, chain, height, block_hash, time, log_index, \
        sender, receiver, raw, amount, state, explained, round) VALUES"
        .to_owned(),
    columns: 15,
    tail: " ON CONFLICT (id) DO UPDATE SET height = excluded.height, \
        block_hash = excluded.block_hash, time = excluded.time, log_index = excluded.log_index, \
        sender = excluded.sender, receiver = excluded.receiver, raw = excluded.raw, \
        amount = excluded.amount, state = excluded.state, explained = excluded.explained, \
        round = excluded.round",
});

/// What an update saw of a chain.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) transfers: &'a [Transfer],
    pub(crate) notices: &'a [Notice],
}

/// Something that left an address of ours, as it was seen.
struct Left {
    tx: TxHash,
    n: u32,
    way: Way,
    from: Address,
    height: u64,
}

impl<'a> Seen<'a> {
    /// What left addresses whose owners `snapshot` knows: sent, or destroyed there.
    fn left(self, snapshot: &'a Snapshot) -> impl Iterator<Item = Left> + 'a {
        let sent = self.transfers.iter().map(|t| {
            let height = t.block.height;
            Left { tx: t.tx, n: t.n, way: Way::Transfer, from: t.from, height }
        });
        let destroyed = self.notices.iter().filter_map(|notice| match notice.what {
            What::Destroyed { from, .. } => {
                let (tx, n, height) = (notice.tx, notice.n, notice.block.height);
                Some(Left { tx, n, way: Way::Destroyed, from, height })
            }
            _ => None,
        });
        sent.chain(destroyed).filter(|left| snapshot.owners.contains_key(&left.from))
    }
}

/// The outflows that may matter to an update of `chain`, by the order of recording. `owners` of
/// `snapshot` are known; what is above `finalized` (-1: everything) can still change.
pub(crate) async fn touched(
    link: &mut Link<'_>,
    chain: &ChainName,
    finalized: i64,
    seen: Seen<'_>,
    snapshot: &Snapshot,
) -> Result<Numbered<Outflow>, Error> {
    let mut found = Numbered::new();
    let mut take = |line: &str| {
        let (seq, outflow) = outflow(line)?;
        found.insert(seq, outflow);
        Ok(())
    };
    let from = "FROM outflows AS w WHERE w.seq IN (\
        SELECT seq FROM outflows WHERE chain = $1 AND height > $2 \
        UNION SELECT seq FROM outflows WHERE chain = $1 AND state = 'pending' \
        UNION SELECT seq FROM outflows WHERE state = 'waiting' AND chain = $1 AND sender IN \
        (SELECT receiver FROM deposits WHERE chain = $1 AND state = 'pending' \
        UNION SELECT sender FROM outflows WHERE chain = $1 AND height > $2))";
    let mut binds = Binds::default();
    binds.text(chain.to_string())?;
    binds.int(finalized)?;
    link.select(packed(&OUTFLOW, from) + PACKED_END, binds, &mut take).await?;
    let left = seen.left(snapshot);
    let ids: Vec<OutflowId> = left
        .map(|left| OutflowId { chain: chain.clone(), tx: left.tx, n: left.n, way: left.way })
        .collect();
    let by_id = |binds: &mut Binds, id: &OutflowId| binds.text(id.to_string());
    link.read(&BY_ID, &ids, by_id, &mut take).await?;
    let ends: Vec<Address> = snapshot.owners.keys().copied().collect();
    let by_end = |binds: &mut Binds, address: &Address| binds.text(hex(&address.0));
    link.read(&WAITING, &ends, by_end, &mut take).await?;
    found.retain(|_, outflow| outflow.id.chain == *chain);
    Ok(found)
}

fn list(name: &'static str, rest: &str) -> Bulk {
    let head = format!("{} IN (", packed(&OUTFLOW, rest));
    Bulk { name, head, columns: 1, tail: ")) AS lines" }
}

static BY_ID: LazyLock<Bulk> =
    LazyLock::new(|| list("outflows by id", "FROM outflows AS w WHERE w.id"));
static WAITING: LazyLock<Bulk> = LazyLock::new(|| {
    list("waiting outflows", "FROM outflows AS w WHERE w.state = 'waiting' AND w.sender")
});

/// The outflows with these ids.
pub(crate) async fn of_ids(
    link: &mut Link<'_>,
    ids: &[OutflowId],
) -> Result<Numbered<Outflow>, Error> {
    let mut found = Numbered::new();
    let by_id = |binds: &mut Binds, id: &OutflowId| binds.text(id.to_string());
    link.read(&BY_ID, ids, by_id, |line| {
        let (seq, outflow) = outflow(line)?;
        found.insert(seq, outflow);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// The outflows of a transaction of `chain`, by the order of recording.
pub(crate) async fn of_tx(
    link: &mut Link<'_>,
    chain: &ChainName,
    tx: &TxHash,
) -> Result<Numbered<Outflow>, Error> {
    let mut binds = Binds::default();
    binds.text(format!("{chain}:{tx}:"))?;
    binds.text(format!("{chain}:{tx};"))?;
    page(link, "FROM outflows AS w WHERE w.id > $1 AND w.id < $2", binds).await
}

/// The cases of the snapshot's outflows that no order owns.
pub(crate) async fn fill_cases(link: &mut Link<'_>, snapshot: &mut Snapshot) -> Result<(), Error> {
    let unowned = snapshot.outflows.iter().filter(|outflow| outflow.order.is_none());
    let ids: Vec<CaseId> = unowned.map(Outflow::case).collect();
    let by_id = |binds: &mut Binds, id: &CaseId| binds.text(id.0.clone());
    let cases = load::cases(link, &CASES, &ids, by_id).await?;
    snapshot.outflow_cases = cases.into_values().collect();
    Ok(())
}

/// The cases of those outflows that no order owns, and what the books hold of each sender of an
/// outflow or of a transfer from an address of ours.
pub(crate) async fn fill(
    link: &mut Link<'_>,
    chain: &ChainName,
    seen: Seen<'_>,
    snapshot: &mut Snapshot,
) -> Result<(), Error> {
    fill_cases(link, snapshot).await?;
    let txs = snapshot.outflows.iter().map(|outflow| outflow.id.tx);
    let sent = seen.left(snapshot).filter(|left| left.way == Way::Transfer);
    let txs: BTreeSet<TxHash> = txs.chain(sent.map(|left| left.tx)).collect();
    snapshot.refunds = cases::sent(link, chain, &Vec::from_iter(txs)).await?;
    // A refund explains one transfer: the others of its transaction are counted with it.
    let paying: BTreeSet<TxHash> = snapshot.refunds.keys().map(|(tx, _, _)| *tx).collect();
    for tx in paying {
        let beside = of_tx(link, chain, &tx).await?.into_values();
        let is_new = |one: &Outflow| !snapshot.outflows.iter().any(|known| known.id == one.id);
        let beside: Vec<Outflow> = beside.filter(is_new).collect();
        snapshot.outflows.extend(beside);
    }
    let known = snapshot.outflows.iter().map(|outflow| (outflow.from, outflow.block.height));
    let left = seen.left(snapshot).map(|left| (left.from, left.height));
    let places: Vec<(Address, u64)> = known.chain(left).collect();
    snapshot.held = held::of(link, chain, places).await?;
    Ok(())
}

static CASES: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "cases by id",
    head: format!("{} IN (", packed(&row::CASE, "FROM cases AS c WHERE c.id")),
    columns: 1,
    tail: ")) AS lines",
});

/// What left by the outflow that a case is about, where it is about one.
pub(crate) async fn amount(link: &mut Link<'_>, case: &Case) -> Result<Option<Usdt>, Error> {
    let Some(id) = OutflowId::of_case(case) else { return Ok(None) };
    let mut binds = Binds::default();
    binds.text(id.to_string())?;
    let found = page(link, "FROM outflows AS w WHERE w.id = $1", binds).await?;
    Ok(found.into_values().next().map(|outflow| outflow.amount))
}

/// The orders of these outflows.
pub(crate) fn orders(outflows: &Numbered<Outflow>) -> impl Iterator<Item = OrderId> + '_ {
    outflows.values().filter_map(|outflow| outflow.order.clone())
}

impl Store {
    /// What left an address of ours, the newest first: at most `limit`, and everything older that
    /// a case was opened about. With how much left it in all.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn left(&self, sender: &Address, limit: u32) -> Result<(Vec<Outflow>, u64), Error> {
        let from = "FROM (SELECT * FROM outflows WHERE sender = $1 AND (seq IN (\
            SELECT seq FROM outflows WHERE sender = $1 ORDER BY seq DESC LIMIT $2) \
            OR EXISTS (SELECT 1 FROM cases AS c WHERE c.id IN (\
            'unexplained_outflow:' || outflows.id, 'destroyed_funds:' || outflows.id, \
            'unexplained_outflow:' || outflows.id || '#' || CAST(outflows.round AS TEXT), \
            'destroyed_funds:' || outflows.id || '#' || CAST(outflows.round AS TEXT))))) AS w";
        let mut binds = Binds::default();
        binds.text(hex(&sender.0))?;
        binds.int(i64::from(limit))?;
        let mut transaction = self.reading().await?;
        let mut link = self.link(&mut transaction);
        let found = page(&mut link, from, binds).await?;
        let mut count = 0u64;
        let from = "FROM (SELECT count(*) AS outflows FROM outflows WHERE sender = $1) AS m";
        let mut binds = Binds::default();
        binds.text(hex(&sender.0))?;
        link.select(packed(&["m.outflows"], from) + PACKED_END, binds, |line| {
            count = line.parse().unwrap_or(0);
            Ok(())
        })
        .await?;
        finish(transaction).await?;
        Ok((found.into_values().rev().collect(), count))
    }
}
