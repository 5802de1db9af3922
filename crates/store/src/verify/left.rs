//! Whether the ledger has of every outflow what booking it writes, and nothing else that no order
//! and no deposit leads to.
//!
//! In: a page of outflows at a time, and their journals. Out: those that differ, and strays.
//! Never: more than a page in memory. Why: where money went is said by one journal, and a sum does
//! not show that it names another account.

use std::collections::BTreeMap;

use payments::ledger::Journal;
use payments::outflow::{Outflow, OutflowId};
use payments::replay::{keys_of, left_difference, outflow_of};

use super::{Finding, SHOWN};
use crate::error::Error;
use crate::query::page;
use crate::reading::Reading;
use crate::{load, outflows};

/// Outflows that are in memory at once.
const OUTFLOWS: u32 = 512;

/// Names the journals that nothing leads to: of no order and no deposit of nobody, and of no
/// outflow either. The rules are run over what orders and deposits have, so nothing else sees them.
pub(super) async fn strays(
    reading: &mut Reading,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let (mut after, mut shown) = (0, 0);
    while let Some((journals, last)) = reading.strays(after).await? {
        after = last;
        let named = |journal: &Journal| outflow_of(&journal.key);
        let ids: Vec<OutflowId> = journals.iter().filter_map(named).collect();
        let found = outflows::of_ids(&mut reading.link(), &ids).await?;
        let found: BTreeMap<&OutflowId, &Outflow> =
            found.values().map(|outflow| (&outflow.id, outflow)).collect();
        let is_led_to = |journal: &Journal| {
            let its = named(journal).and_then(|id| found.get(&id).copied());
            let is_its = its.is_some_and(|outflow| keys_of(outflow).contains(&journal.key));
            is_its && journal.order.is_none() && journal.deposit.is_none()
        };
        let strays = journals.iter().filter(|journal| !is_led_to(journal));
        for journal in strays.take(SHOWN.saturating_sub(shown)) {
            shown = shown.saturating_add(1);
            let detail = format!("journal {}: nothing in the books leads to it", journal.key);
            findings.push(Finding { name: "journal_astray", detail });
        }
    }
    Ok(())
}

/// Compares every outflow with its journals.
pub(super) async fn check(reading: &mut Reading, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let from = "FROM (SELECT * FROM outflows WHERE seq > $1 ORDER BY seq LIMIT $2) AS w";
    let (mut after, mut shown) = (0, 0);
    loop {
        let found = outflows::page(&mut reading.link(), from, page(after, OUTFLOWS)?).await?;
        let Some(last) = found.keys().next_back() else { return Ok(()) };
        after = last.unsigned_abs();
        let keys: Vec<String> = found.values().flat_map(keys_of).collect();
        let journals = load::journals_of_keys(&mut reading.link(), &keys).await?;
        let journals: BTreeMap<String, Journal> =
            journals.into_values().map(|journal| (journal.key.clone(), journal)).collect();
        let differ = found.values().filter_map(|outflow| left_difference(outflow, &journals));
        for detail in differ.take(SHOWN.saturating_sub(shown)) {
            shown = shown.saturating_add(1);
            findings.push(Finding { name: "outflow_differs", detail });
        }
    }
}
