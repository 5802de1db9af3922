//! Whether what is stored of every order is what the rules make of its facts.
//!
//! In: a page of orders at a time, and their events. Out: those that differ.
//! Never: more than a page in memory; an order left out because a person decided about it.
//! Why: sums that agree can still be of a state that no rule leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use payments::amount::Usdt;
use payments::case::CaseId;
use payments::deposit::DepositId;
use payments::event::EventKind;
use payments::name::{ChainName, OrderId};
use payments::order::Dossier;
use payments::replay::{Given, replay};

use super::facts::{Told, facts};
use super::{Finding, SHOWN};
use crate::error::Error;
use crate::load::{self, by_name};
use crate::query::page;
use crate::reading::Reading;
use crate::row::{self, Fields};
use crate::sql::{Binds, Bulk, PACKED_END, packed};

/// Orders that are in memory at once, with what was told of them.
const ORDERS: u32 = 512;

/// How many orders were run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Those that the rules were run over.
    pub orders: u64,
}

/// When each chain was paused and went on, by the numbers of the events that told it.
#[derive(Default)]
struct Pauses(BTreeMap<ChainName, BTreeMap<u64, bool>>);

impl Pauses {
    fn holds_at(&self, chain: &ChainName, seq: u64) -> bool {
        let marks = self.0.get(chain).and_then(|marks| marks.range(..seq).next_back());
        marks.is_some_and(|(_, paused)| *paused)
    }

    fn ever(&self, chain: &ChainName) -> bool {
        self.0.get(chain).is_some_and(|marks| marks.values().any(|paused| *paused))
    }
}

/// Runs the rules again over every order.
pub(super) async fn check(
    reading: &mut Reading,
    findings: &mut Vec<Finding>,
) -> Result<Replayed, Error> {
    let mut replayed = Replayed::default();
    let pauses = pauses(reading).await?;
    let (mut after, mut shown) = (0, 0);
    loop {
        let orders = orders(reading, after).await?;
        let Some((last, _)) = orders.last() else { return Ok(replayed) };
        after = *last;
        let dossiers: Vec<Dossier> = orders.into_iter().map(|(_, dossier)| dossier).collect();
        let mut told = told(reading, &dossiers, &pauses).await?;
        let brought = brought(reading, &dossiers, &pauses).await?;
        let (mut differ, mut given) = (Vec::new(), Vec::new());
        for stored in &dossiers {
            replayed.orders = replayed.orders.saturating_add(1);
            let told = told.remove(&stored.order.id).unwrap_or_default();
            let found = run(stored, &told, &brought, pauses.ever(&stored.order.chain));
            differ.extend(found.difference);
            given.extend(found.given);
        }
        differ.extend(not_taken(reading, &given).await?);
        for detail in differ.into_iter().take(SHOWN.saturating_sub(shown)) {
            shown = shown.saturating_add(1);
            findings.push(Finding { name: "replay_differs", detail });
        }
    }
}

fn run(
    stored: &Dossier,
    told: &[Told],
    brought: &BTreeMap<CaseId, Told>,
    was_paused: bool,
) -> payments::replay::Replayed {
    let replayed = facts(stored, told, brought).and_then(|facts| {
        let id = &stored.order.id;
        replay(stored, &facts, was_paused).map_err(|why| format!("order {id}: {why}"))
    });
    replayed.unwrap_or_else(|detail| payments::replay::Replayed {
        difference: Some(detail),
        given: Vec::new(),
    })
}

/// What decisions gave to other orders, and these do not have.
async fn not_taken(reading: &mut Reading, given: &[Given]) -> Result<Vec<String>, Error> {
    let mut expected = BTreeMap::new();
    for one in given {
        for (deposit, held) in &one.deposits {
            expected.insert((one.to.clone(), deposit.clone()), (one.case.clone(), *held));
        }
    }
    let keys: Vec<(OrderId, DepositId)> = expected.keys().cloned().collect();
    let bind = |binds: &mut Binds, (order, deposit): &(OrderId, DepositId)| {
        binds.text(order.to_string())?;
        binds.text(deposit.to_string())
    };
    reading
        .link()
        .read(&TAKEN, &keys, bind, |line| {
            let (_, deposit) = row::deposit(line)?;
            if let (Some(order), Some(case)) = (deposit.order, deposit.assigned) {
                let key = (order, deposit.id);
                if expected.get(&key) == Some(&(case, deposit.amount)) {
                    expected.remove(&key);
                }
            }
            Ok(())
        })
        .await?;
    let word = |((order, deposit), (case, held)): ((OrderId, DepositId), (CaseId, Usdt))| {
        format!("deposit {deposit}: case {case} gave {held} of it to order {order}, which differs")
    };
    Ok(expected.into_iter().map(word).collect())
}

static TAKEN: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM deposits AS d WHERE (d.order_id, d.id) IN (VALUES";
    Bulk {
        name: "deposits taken",
        head: packed(&row::DEPOSIT, from),
        columns: 2,
        tail: ")) AS lines",
    }
});

/// When chains were paused. A chain that could not be read recovers by itself, and says at which
/// height; one that a person lets go on says why.
async fn pauses(reading: &mut Reading) -> Result<Pauses, Error> {
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
         WHERE v.deposit IS NULL AND v.kind IN ({KINDS}) AND v.order_id"
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
static DECIDED: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM cases AS c JOIN case_deposits AS x ON x.case_seq = c.seq \
        JOIN events AS v ON v.deposit = x.deposit AND v.case_id = c.id \
        JOIN deposits AS d ON d.seq = v.deposit WHERE v.kind = 'case.resolved' AND c.id";
    bulk("decided", from)
});

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

/// What was told of these orders, in the order of telling.
async fn told(
    reading: &mut Reading,
    orders: &[Dossier],
    pauses: &Pauses,
) -> Result<BTreeMap<OrderId, Vec<Told>>, Error> {
    let ids: Vec<OrderId> = orders.iter().map(|stored| stored.order.id.clone()).collect();
    let mut found: BTreeMap<OrderId, Vec<Told>> = BTreeMap::new();
    for bulk in [&TOLD_OF_ORDERS, &TOLD_OF_DEPOSITS] {
        reading
            .link()
            .read(bulk, &ids, by_name, |line| {
                let (order, told) = event(line, pauses)?;
                if let Some(order) = order {
                    found.entry(order).or_default().push(told);
                }
                Ok(())
            })
            .await?;
    }
    found.values_mut().for_each(|told| told.sort_unstable_by_key(|event| event.seq));
    Ok(found)
}

/// The decisions by which these orders got deposits that had arrived elsewhere, by their cases.
async fn brought(
    reading: &mut Reading,
    orders: &[Dossier],
    pauses: &Pauses,
) -> Result<BTreeMap<CaseId, Told>, Error> {
    let deposits = orders.iter().flat_map(|stored| &stored.deposits);
    let cases: BTreeSet<&CaseId> = deposits.filter_map(|d| d.assigned.as_ref()).collect();
    let cases: Vec<&CaseId> = cases.into_iter().collect();
    let mut found = BTreeMap::new();
    let bind = |binds: &mut Binds, case: &&CaseId| binds.text(case.0.clone());
    reading
        .link()
        .read(&DECIDED, &cases, bind, |line| {
            let (_, told) = event(line, pauses)?;
            found.extend(told.case.clone().map(|case| (case, told)));
            Ok(())
        })
        .await?;
    Ok(found)
}

/// At most [`ORDERS`] orders after number `after`, whole.
async fn orders(reading: &mut Reading, after: u64) -> Result<Vec<(u64, Dossier)>, Error> {
    let from = "FROM (SELECT * FROM orders WHERE number > $1 ORDER BY number LIMIT $2) AS o";
    load::page_of_orders(&mut reading.link(), from, page(after, ORDERS)?).await
}
