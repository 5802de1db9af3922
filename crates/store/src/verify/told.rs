//! What was told of orders, and of deposits that no order owns, read a page at a time.
//!
//! In: the groups of a page. Out: the events that say what the rules cannot know, in the order of
//! telling. Never: an event about something else than its group; one index for all.
//! Why: the table of events is the longest of all, and is not read from end to end for a page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use payments::case::{Case, CaseId};
use payments::deposit::DepositId;
use payments::event::EventKind;
use payments::name::{ChainName, OrderId};
use payments::order::Dossier;

use super::facts::Told;
use crate::error::Error;
use crate::groups::Unassigned;
use crate::load::by_name;
use crate::reading::Reading;
use crate::row::{self, Fields};
use crate::sql::{Binds, Bulk, PACKED_END, packed};

/// When each chain was paused and went on, by the numbers of the events that told it.
#[derive(Default)]
pub(super) struct Pauses(BTreeMap<ChainName, BTreeMap<u64, bool>>);

impl Pauses {
    fn holds_at(&self, chain: &ChainName, seq: u64) -> bool {
        let marks = self.0.get(chain).and_then(|marks| marks.range(..seq).next_back());
        marks.is_some_and(|(_, paused)| *paused)
    }

    pub(super) fn ever(&self, chain: &ChainName) -> bool {
        self.0.get(chain).is_some_and(|marks| marks.values().any(|paused| *paused))
    }
}

/// When chains were paused. A chain that could not be read recovers by itself, and says at which
/// height; one that a person lets go on says why.
pub(super) async fn pauses(reading: &mut Reading) -> Result<Pauses, Error> {
    let mut pauses = Pauses::default();
    let from = "FROM events AS v WHERE v.kind IN ('chain.paused', 'chain.recovered')";
    let text = packed(&["v.seq", "v.kind", "v.chain", "v.data"], from) + PACKED_END;
    reading
        .link()
        .select(text, Binds::default(), |line| {
            let mut fields = Fields::new("events", line);
            let seq = fields.parse("seq", |text| text.parse().ok())?;
            let paused = fields.parse("kind", EventKind::parse)? == EventKind::ChainPaused;
            let chain = fields.parse("chain", row::chain)?;
            if paused || fields.text("data")?.contains("\"why\"") {
                pauses.0.entry(chain).or_default().insert(seq, paused);
            }
            Ok(())
        })
        .await?;
    Ok(pauses)
}

const TOLD: [&str; 9] = [
    "v.seq",
    "v.kind",
    "v.at",
    "v.chain",
    "v.order_id",
    "d.id",
    "v.case_id",
    // The first head at or after an event is of its own commit, or of one with the next journals.
    "(SELECT min(h.event) FROM tree_heads AS h WHERE h.event >= v.seq)",
    "v.data",
];

/// What the rules cannot know.
const KINDS: &str = "'deposit.orphaned', 'deposit.detected', 'deposit.confirmed', \
    'order.expired', 'order.cancelled', 'case.resolved', 'case.proposed', 'case.withdrawn', \
    'refund.sent', 'refund.failed', 'refund.verified'";

fn bulk(name: &'static str, rest: &str) -> Bulk {
    let head = format!("{} IN (", packed(&TOLD, rest));
    Bulk { name, head, columns: 1, tail: ")) AS lines" }
}

// One index leads to an order's events that are about no deposit, another to those of a deposit.
static TOLD_OF_ORDERS: LazyLock<Bulk> = LazyLock::new(|| {
    let from = format!(
        "FROM events AS v LEFT JOIN deposits AS d ON d.seq = v.deposit \
         WHERE v.deposit IS NULL AND v.kind IN ({KINDS}, 'case.opened') AND v.order_id"
    );
    bulk("told of orders", &from)
});
static TOLD_OF_DEPOSITS: LazyLock<Bulk> = LazyLock::new(|| {
    let from = format!(
        "FROM deposits AS d JOIN events AS v ON v.deposit = d.seq \
         WHERE v.kind IN ({KINDS}) AND d.order_id"
    );
    bulk("told of deposits of orders", &from)
});
static TOLD_OF_NOBODYS: LazyLock<Bulk> = LazyLock::new(|| {
    let from = format!(
        "FROM deposits AS d JOIN events AS v ON v.deposit = d.seq \
         WHERE v.kind IN ({KINDS}) AND d.order_id IS NULL AND d.id"
    );
    bulk("told of deposits of nobody", &from)
});
static TOLD_OF_CASES: LazyLock<Bulk> = LazyLock::new(|| {
    let from = format!(
        "FROM events AS v LEFT JOIN deposits AS d ON d.seq = v.deposit \
         WHERE v.order_id IS NULL AND v.deposit IS NULL \
         AND v.kind IN ({KINDS}, 'case.opened') AND v.case_id"
    );
    bulk("told of cases of nobody", &from)
});
static DECIDED: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM cases AS c JOIN case_deposits AS x ON x.case_seq = c.seq \
        JOIN events AS v ON v.deposit = x.deposit AND v.case_id = c.id \
        JOIN deposits AS d ON d.seq = v.deposit WHERE v.kind = 'case.resolved' AND c.id";
    bulk("decided", from)
});

static ANNOUNCED: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM events AS v WHERE v.deposit IS NULL AND v.kind = 'order.created' \
        AND v.order_id";
    let head = format!("{} IN (", packed(&["v.order_id", "v.data"], from));
    Bulk { name: "announced orders", head, columns: 1, tail: ")) AS lines" }
});

/// In what these orders differ from what was told when they were made.
pub(super) async fn announced(
    reading: &mut Reading,
    orders: &[Dossier],
) -> Result<Vec<String>, Error> {
    let mut told: BTreeMap<OrderId, Vec<String>> = BTreeMap::new();
    let ids: Vec<OrderId> = orders.iter().map(|stored| stored.order.id.clone()).collect();
    let take = |line: &str| {
        let mut fields = Fields::new("events", line);
        if let Some(order) = fields.maybe("order_id", row::order_id)? {
            told.entry(order).or_default().push(fields.text("data")?.to_owned());
        }
        Ok(())
    };
    reading.link().read(&ANNOUNCED, &ids, by_name, take).await?;
    let differs = |stored: &Dossier| {
        let told = told.get(&stored.order.id).map(Vec::as_slice).unwrap_or_default();
        let [data] = told else {
            return Some("it was told of more than once, or never".to_owned());
        };
        let data: BTreeMap<String, String> = serde_json::from_str(data).unwrap_or_default();
        let mut of_row = stored.order.announcement();
        of_row.retain(|(name, value)| data.get(*name) != Some(&row::printable(value)));
        // What was told and is not in the row at all.
        let names = stored.order.announcement().into_iter().map(|(name, _)| name);
        let names: BTreeSet<&str> = names.collect();
        let gone = data.keys().map(String::as_str).filter(|name| !names.contains(name));
        let differ: Vec<&str> = of_row.iter().map(|(name, _)| *name).chain(gone).collect();
        (!differ.is_empty()).then(|| format!("{} is not what was told", differ.join(", ")))
    };
    let word = |stored: &Dossier| Some(format!("order {}: {}", stored.order.id, differs(stored)?));
    Ok(orders.iter().filter_map(word).collect())
}

/// The order that an event is of, and the event.
fn event(line: &str, pauses: &Pauses) -> Result<(Option<OrderId>, Told), Error> {
    let mut fields = Fields::new("events", line);
    let seq = fields.parse("seq", |text| text.parse().ok())?;
    let kind = fields.parse("kind", EventKind::parse)?;
    let at = fields.parse("at", row::time)?;
    let chain = fields.parse("chain", row::chain)?;
    let order = fields.maybe("order_id", row::order_id)?;
    let deposit = fields.maybe("deposit", DepositId::parse)?;
    let case = fields.maybe("case_id", |text| Some(CaseId(text.to_owned())))?;
    let commit = fields.maybe("event", |text| text.parse().ok())?.unwrap_or_default();
    let paused = pauses.holds_at(&chain, seq);
    let data = fields.text("data")?.to_owned();
    Ok((order, Told { seq, commit, kind, at, chain, deposit, case, paused, data }))
}

/// What was told of the things that `bulk` asks about by `keys`, in the order of telling, each with
/// the order it is of.
async fn read<T>(
    reading: &mut Reading,
    (bulk, keys): (&Bulk, &[T]),
    bind: impl Fn(&mut Binds, &T) -> Result<(), Error>,
    pauses: &Pauses,
) -> Result<Vec<(Option<OrderId>, Told)>, Error> {
    let mut found = Vec::new();
    let take = |line: &str| {
        found.push(event(line, pauses)?);
        Ok(())
    };
    reading.link().read(bulk, keys, bind, take).await?;
    found.sort_unstable_by_key(|(_, told)| told.seq);
    Ok(found)
}

/// What was told of these orders, in the order of telling.
pub(super) async fn told(
    reading: &mut Reading,
    orders: &[Dossier],
    pauses: &Pauses,
) -> Result<BTreeMap<OrderId, Vec<Told>>, Error> {
    let ids: Vec<OrderId> = orders.iter().map(|stored| stored.order.id.clone()).collect();
    let mut found: BTreeMap<OrderId, Vec<Told>> = BTreeMap::new();
    for bulk in [&*TOLD_OF_ORDERS, &*TOLD_OF_DEPOSITS] {
        for (order, told) in read(reading, (bulk, &ids), by_name, pauses).await? {
            if let Some(order) = order {
                found.entry(order).or_default().push(told);
            }
        }
    }
    found.values_mut().for_each(|told| told.sort_unstable_by_key(|event| event.seq));
    Ok(found)
}

/// What was told of these deposits of no order, in the order of telling.
pub(super) async fn told_of_nobodys(
    reading: &mut Reading,
    deposits: &[Unassigned],
    pauses: &Pauses,
) -> Result<BTreeMap<DepositId, Vec<Told>>, Error> {
    let ids: Vec<&DepositId> = deposits.iter().map(|stored| &stored.deposit.id).collect();
    let mut found: BTreeMap<DepositId, Vec<Told>> = BTreeMap::new();
    let bind = |binds: &mut Binds, id: &&DepositId| binds.text(id.to_string());
    for (order, told) in read(reading, (&TOLD_OF_NOBODYS, &ids), bind, pauses).await? {
        if let (None, Some(deposit)) = (order, told.deposit.clone()) {
            found.entry(deposit).or_default().push(told);
        }
    }
    Ok(found)
}

/// What was told of these cases, which no order and no deposit leads to, in the order of telling.
pub(super) async fn told_of_cases(
    reading: &mut Reading,
    cases: &[Case],
    pauses: &Pauses,
) -> Result<Vec<Told>, Error> {
    let bind = |binds: &mut Binds, case: &Case| binds.text(case.id.0.clone());
    let found = read(reading, (&TOLD_OF_CASES, cases), bind, pauses).await?;
    Ok(found.into_iter().map(|(_, told)| told).collect())
}

/// The decisions by which these orders got deposits that had arrived elsewhere, by their cases.
pub(super) async fn brought(
    reading: &mut Reading,
    orders: &[Dossier],
    pauses: &Pauses,
) -> Result<BTreeMap<CaseId, Told>, Error> {
    let deposits = orders.iter().flat_map(|stored| &stored.deposits);
    let cases: BTreeSet<&CaseId> = deposits.filter_map(|d| d.assigned.as_ref()).collect();
    let cases: Vec<&CaseId> = cases.into_iter().collect();
    let bind = |binds: &mut Binds, case: &&CaseId| binds.text(case.0.clone());
    let found = read(reading, (&DECIDED, &cases), bind, pauses).await?;
    let by_case = |(_, told): (_, Told)| Some((told.case.clone()?, told));
    Ok(found.into_iter().filter_map(by_case).collect())
}
