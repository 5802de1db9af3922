//! Whether what is stored of every order is what the rules make of its facts.
//!
//! In: the events, a window of orders at a time, and the orders. Out: those that differ.
//! Never: all events in memory; a decision made again: such an order is run up to it.
//! Why: sums that agree can still be of a state that no rule leads to.

use std::collections::{BTreeMap, BTreeSet};

use payments::address::Address;
use payments::amount::Usdt;
use payments::case::Resolution;
use payments::deposit::{Deposit, DepositId, State};
use payments::event::EventKind;
use payments::ledger::Account;
use payments::name::ChainName;
use payments::order::Dossier;
use payments::replay::{Fact, What, differs, differs_before};
use payments::time::Time;

use super::{Finding, SHOWN};
use crate::error::Error;
use crate::load;
use crate::query::page;
use crate::reading::Reading;
use crate::row::{self, Fields};
use crate::sql::{PACKED_END, packed};

/// Orders whose events are in memory at once: about a kilobyte each.
const WINDOW: u64 = 50_000;
/// Events, and orders, that are read at once.
const EVENTS: u32 = 4_000;
const ORDERS: u32 = 500;

/// How many orders were run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Those that the rules were run over.
    pub orders: u64,
    /// Those about which a person decided: run up to the decision.
    pub in_part: u64,
}

/// An event that says what the rules cannot know.
struct Told {
    commit: u64,
    kind: EventKind,
    at: Time,
    chain: ChainName,
    deposit: Option<DepositId>,
    paused: bool,
    data: String,
}

/// The facts of a window of orders, by the numbers of these.
#[derive(Default)]
struct Window {
    told: BTreeMap<u64, Vec<Told>>,
    /// Chains that were ever paused.
    paused: BTreeSet<ChainName>,
}

/// Runs the rules again over every order.
pub(super) async fn check(
    reading: &mut Reading,
    findings: &mut Vec<Finding>,
) -> Result<Replayed, Error> {
    let mut replayed = Replayed::default();
    let mut after = 0;
    let mut shown = 0;
    loop {
        let mut window = gather(reading, after, after.saturating_add(WINDOW)).await?;
        let end = after.saturating_add(WINDOW);
        let mut ended = true;
        while after < end {
            let limit = u32::try_from(end.saturating_sub(after)).unwrap_or(ORDERS).min(ORDERS);
            let orders = orders(reading, after, limit).await?;
            let Some(last) = orders.last().map(|(number, _)| *number) else {
                break;
            };
            ended = last < end && orders.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            for (number, dossier) in orders.into_iter().filter(|(number, _)| *number <= end) {
                let told = window.told.remove(&number).unwrap_or_default();
                let decided = first_decision(&dossier);
                let count =
                    if decided.is_some() { &mut replayed.in_part } else { &mut replayed.orders };
                *count = count.saturating_add(1);
                if let Some(detail) = compare(&dossier, &told, decided, &window.paused)
                    && shown < SHOWN
                {
                    shown = shown.saturating_add(1);
                    findings.push(Finding { name: "replay_differs", detail });
                }
            }
            // Numbers beyond the window are of the next one.
            after = last.min(end);
            if ended {
                break;
            }
        }
        if ended {
            return Ok(replayed);
        }
    }
}

/// When a person first decided something of an order; none where nobody did. It is recorded with
/// who and why, and no rule makes it again.
fn first_decision(dossier: &Dossier) -> Option<Time> {
    // What left its address says nothing about what the order has.
    let of_deposits = dossier.cases.iter().filter(|case| !case.kind.is_about_an_outflow());
    let decisions = of_deposits.filter_map(|case| case.decision.as_ref());
    let own = decisions.filter(|taken| taken.resolution != Resolution::Itself);
    let own = own.map(|taken| taken.at).min();
    // A deposit that a decision about another order brought here.
    let brought = dossier.journals.iter().filter(|journal| journal.key.starts_with("resolve:"));
    let brought = brought.map(|journal| journal.recorded).min();
    let is_brought = dossier.deposits.iter().any(|deposit| deposit.assigned.is_some());
    let unknown = (is_brought && brought.is_none()).then_some(dossier.order.created_at);
    [own, brought, unknown].into_iter().flatten().min()
}

fn compare(
    stored: &Dossier,
    told: &[Told],
    decided: Option<Time>,
    paused: &BTreeSet<ChainName>,
) -> Option<String> {
    let facts = match facts(stored, told) {
        Ok(facts) => facts,
        Err(detail) => return Some(detail),
    };
    let compared = |facts: &[Fact]| match decided {
        None => differs(stored, facts),
        Some(end) => differs_before(stored, facts, end),
    };
    let run = |facts: &[Fact]| match compared(facts) {
        Ok(difference) => difference,
        Err(why) => Some(format!("order {}: {why}", stored.order.id)),
    };
    let difference = run(&facts)?;
    // A pause that fell into the very commit is told after what it held up.
    let again = [false, true].into_iter().any(|is_paused| {
        let facts = facts.iter().cloned().map(|fact| Fact { paused: is_paused, ..fact });
        paused.contains(&stored.order.chain) && run(&facts.collect::<Vec<_>>()).is_none()
    });
    (!again).then_some(difference)
}

fn facts(stored: &Dossier, told: &[Told]) -> Result<Vec<Fact>, String> {
    let mut facts = Vec::new();
    for (at, event) in told.iter().enumerate() {
        let rest = told.get(at.saturating_add(1)..).unwrap_or_default();
        let deposit = || {
            event
                .deposit
                .clone()
                .ok_or_else(|| format!("order {}: an event names no deposit", stored.order.id))
        };
        let what = match event.kind {
            EventKind::DepositOrphaned => What::Orphaned(deposit()?),
            EventKind::DepositDetected => {
                let id = deposit()?;
                What::Seen(Box::new(seen(stored, &id, event, rest).ok_or_else(|| {
                    format!("deposit {id}: was told of, and is not what was told")
                })?))
            }
            EventKind::DepositConfirmed => What::Final(deposit()?),
            EventKind::OrderExpired => What::Expired,
            EventKind::OrderCancelled => What::Cancelled,
            _ => continue,
        };
        let (commit, at, chain, paused) =
            (event.commit, event.at, event.chain.clone(), event.paused);
        facts.push(Fact { commit, at, chain, paused, what });
    }
    Ok(facts)
}

/// A deposit as it was seen. Mined again, it is stored as it is now; what it was before is in its
/// event and in its journal.
fn seen(stored: &Dossier, id: &DepositId, event: &Told, rest: &[Told]) -> Option<Deposit> {
    let of = |kind: EventKind| {
        move |later: &&Told| later.kind == kind && later.deposit.as_ref() == Some(id)
    };
    let now = stored.deposits.iter().find(|deposit| deposit.id == *id)?;
    let mut then = Deposit { state: State::Pending, late: false, ..now.clone() };
    let data: BTreeMap<String, String> = serde_json::from_str(&event.data).ok()?;
    let amount = Usdt::parse(data.get("amount")?).ok()?;
    let raw = data.get("raw")?.parse().ok()?;
    let from = Address::parse(data.get("from")?).ok()?;
    let height = data.get("height")?.parse().ok()?;
    if !rest.iter().any(|later| of(EventKind::DepositDetected)(&later)) {
        let same = (now.amount, now.raw, now.from, now.block.height) == (amount, raw, from, height);
        return same.then_some(then);
    }
    (then.amount, then.raw, then.from, then.block.height) = (amount, raw, from, height);
    let base = format!("deposit:{id}");
    let booked = rest.iter().find(of(EventKind::DepositConfirmed)).and_then(|told| {
        stored.journals.iter().find(|journal| {
            let round = journal.key.strip_prefix(&base);
            round.is_some_and(|round| round.is_empty() || round.starts_with('#'))
                && journal.recorded == told.at
        })
    });
    if let Some(journal) = booked {
        then.time = journal.effective;
        if let Some(Account::Custody(_, to)) = journal.entries.first().map(|entry| &entry.debit) {
            then.to = *to;
        }
    }
    Some(then)
}

/// Reads all events, and keeps those of the orders above number `after` up to `end`.
async fn gather(reading: &mut Reading, after: u64, end: u64) -> Result<Window, Error> {
    let columns = [
        "v.seq",
        "v.kind",
        "v.at",
        "v.chain",
        "o.number",
        "d.id",
        "(SELECT min(h.event) FROM tree_heads AS h WHERE h.event >= v.seq)",
        "v.data",
    ];
    let from = "FROM (SELECT * FROM events WHERE seq > $1 AND kind IN ('deposit.orphaned', \
        'deposit.detected', 'deposit.confirmed', 'order.expired', 'order.cancelled', \
        'chain.paused', 'chain.recovered') ORDER BY seq LIMIT $2) AS v \
        LEFT JOIN orders AS o ON o.id = v.order_id LEFT JOIN deposits AS d ON d.seq = v.deposit";
    let text = packed(&columns, from) + PACKED_END;
    let (mut window, mut paused) = (Window::default(), BTreeSet::new());
    let mut last = 0;
    loop {
        let mut read = BTreeMap::new();
        reading
            .link()
            .select(text.clone(), page(last, EVENTS)?, |line| {
                let mut fields = Fields::new("events", line);
                let seq: u64 = fields.parse("seq", |text| text.parse().ok())?;
                let kind = fields.parse("kind", EventKind::parse)?;
                let at = fields.parse("at", row::time)?;
                let chain = fields.parse("chain", row::chain)?;
                let order: Option<u64> = fields.maybe("order_id", |text| text.parse().ok())?;
                let deposit = fields.maybe("deposit", DepositId::parse)?;
                let commit = fields.maybe("event", |text| text.parse().ok())?.unwrap_or_default();
                let data = fields.text("data")?.to_owned();
                let told = Told { commit, kind, at, chain, deposit, paused: false, data };
                read.insert(seq, (order, told));
                Ok(())
            })
            .await?;
        let Some(newest) = read.last_key_value().map(|(seq, _)| *seq) else {
            return Ok(window);
        };
        last = newest;
        for (order, mut told) in read.into_values() {
            match told.kind {
                EventKind::ChainPaused => {
                    window.paused.insert(told.chain.clone());
                    paused.insert(told.chain);
                }
                // A chain that could not be read recovers by itself, and says at which height.
                EventKind::ChainRecovered if told.data.contains("\"why\"") => {
                    paused.remove(&told.chain);
                }
                _ => {
                    let inside = order.filter(|number| *number > after && *number <= end);
                    if let Some(number) = inside {
                        told.paused = paused.contains(&told.chain);
                        if told.kind != EventKind::DepositDetected {
                            told.data = String::new();
                        }
                        window.told.entry(number).or_default().push(told);
                    }
                }
            }
        }
    }
}

/// At most `limit` orders after number `after`, whole.
async fn orders(
    reading: &mut Reading,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, Dossier)>, Error> {
    let from = "FROM (SELECT * FROM orders WHERE number > $1 ORDER BY number LIMIT $2) AS o";
    load::page_of_orders(&mut reading.link(), from, page(after, limit)?).await
}
