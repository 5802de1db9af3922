//! Whether what is stored of every order, and of every deposit that no order owns, is what the
//! rules make of its facts.
//!
//! In: a page of them at a time, and their events. Out: those that differ.
//! Never: more than a page in memory; one left out because a person decided about it.
//! Why: sums that agree can still be of a state that no rule leads to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use payments::amount::Usdt;
use payments::case::{Case, CaseId};
use payments::deposit::DepositId;
use payments::name::OrderId;
use payments::order::Dossier;
use payments::reconcile::Group;
use payments::replay::{Given, replay};

use super::facts::{Told, facts};
use super::told::{Pauses, announced, brought, pauses, told, told_of_cases, told_of_nobodys};
use super::{Finding, SHOWN};
use crate::error::Error;
use crate::load;
use crate::query::page;
use crate::reading::Reading;
use crate::row;
use crate::sql::{Binds, Bulk, packed};

/// Orders that are in memory at once, with what was told of them.
const ORDERS: u32 = 512;

/// What the rules were run over again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// How many orders.
    pub orders: u64,
    /// How many deposits that no order owns.
    pub unassigned: u64,
}

/// What differs so far; what is beyond [`SHOWN`] is not named.
struct Differ<'a> {
    findings: &'a mut Vec<Finding>,
    shown: usize,
}

impl Differ<'_> {
    fn add(&mut self, details: Vec<String>) {
        for detail in details.into_iter().take(SHOWN.saturating_sub(self.shown)) {
            self.shown = self.shown.saturating_add(1);
            self.findings.push(Finding { name: "replay_differs", detail });
        }
    }
}

/// Runs the rules again over every order, over every deposit that none owns, and over every case
/// about what left.
pub(super) async fn check(
    reading: &mut Reading,
    findings: &mut Vec<Finding>,
) -> Result<Replayed, Error> {
    let pauses = pauses(reading).await?;
    let mut differ = Differ { findings, shown: 0 };
    let orders = every_order(reading, &pauses, &mut differ).await?;
    let unassigned = every_unassigned(reading, &pauses, &mut differ).await?;
    every_bare_case(reading, &pauses, &mut differ).await?;
    Ok(Replayed { orders, unassigned })
}

async fn every_order(
    reading: &mut Reading,
    pauses: &Pauses,
    differ: &mut Differ<'_>,
) -> Result<u64, Error> {
    let (mut after, mut count) = (0, 0_u64);
    loop {
        let orders = orders(reading, after).await?;
        let Some((last, _)) = orders.last() else { return Ok(count) };
        after = *last;
        let dossiers: Vec<Dossier> = orders.into_iter().map(|(_, dossier)| dossier).collect();
        let mut told = told(reading, &dossiers, pauses).await?;
        let brought = brought(reading, &dossiers, pauses).await?;
        let (mut found, mut given) = (announced(reading, &dossiers).await?, Vec::new());
        for stored in &dossiers {
            count = count.saturating_add(1);
            let told = told.remove(&stored.order.id).unwrap_or_default();
            let (left, told): (Vec<Told>, Vec<Told>) =
                told.into_iter().partition(Told::is_about_an_outflow);
            found.extend(asked_about(&stored.cases, &left));
            let was_paused = pauses.ever(&stored.order.chain);
            let replayed = run(stored.into(), &told, &brought, was_paused);
            found.extend(replayed.difference);
            given.extend(replayed.given);
        }
        found.extend(not_taken(reading, &given).await?);
        differ.add(found);
    }
}

async fn every_unassigned(
    reading: &mut Reading,
    pauses: &Pauses,
    differ: &mut Differ<'_>,
) -> Result<u64, Error> {
    let (mut after, mut count) = (0, 0_u64);
    while let Some((deposits, last)) = reading.unassigned(after).await? {
        after = last;
        let mut told = told_of_nobodys(reading, &deposits, pauses).await?;
        let (mut found, mut given) = (Vec::new(), Vec::new());
        for stored in &deposits {
            count = count.saturating_add(1);
            let told = told.remove(&stored.deposit.id).unwrap_or_default();
            // Nothing is credited here, so no pause is asked for.
            let replayed = run(stored.into(), &told, &BTreeMap::new(), false);
            found.extend(replayed.difference);
            given.extend(replayed.given);
        }
        found.extend(not_taken(reading, &given).await?);
        differ.add(found);
    }
    Ok(count)
}

/// The cases about what left addresses that no order owns.
async fn every_bare_case(
    reading: &mut Reading,
    pauses: &Pauses,
    differ: &mut Differ<'_>,
) -> Result<(), Error> {
    let mut after = 0;
    while let Some((cases, last)) = reading.bare_cases(after).await? {
        after = last;
        let told = told_of_cases(reading, &cases, pauses).await?;
        let group = Group { order: None, deposits: &[], cases: &cases, journals: &[] };
        differ.add(run(group, &told, &BTreeMap::new(), false).difference.into_iter().collect());
    }
    Ok(())
}

/// In what the cases about what left an order's address differ from what was told of them.
fn asked_about(cases: &[Case], told: &[Told]) -> Option<String> {
    let left = cases.iter().filter(|case| case.kind.is_about_an_outflow());
    // Whose they are is how they were found.
    let cases: Vec<Case> = left.map(|case| Case { order: None, ..case.clone() }).collect();
    let group = Group { order: None, deposits: &[], cases: &cases, journals: &[] };
    run(group, told, &BTreeMap::new(), false).difference
}

fn run(
    stored: Group<'_>,
    told: &[Told],
    brought: &BTreeMap<CaseId, Told>,
    was_paused: bool,
) -> payments::replay::Replayed {
    let replayed = facts(stored, told, brought).and_then(|facts| {
        replay(stored, &facts, was_paused).map_err(|why| format!("{}: {why}", stored.name()))
    });
    replayed.unwrap_or_else(|detail| payments::replay::Replayed {
        difference: Some(detail),
        given: Vec::new(),
    })
}

/// What decisions gave to orders, and these do not have.
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

/// At most [`ORDERS`] orders after number `after`, whole.
async fn orders(reading: &mut Reading, after: u64) -> Result<Vec<(u64, Dossier)>, Error> {
    let from = "FROM (SELECT * FROM orders WHERE number > $1 ORDER BY number LIMIT $2) AS o";
    load::page_of_orders(&mut reading.link(), from, page(after, ORDERS)?).await
}
