//! Whether the ledger has of every outflow what booking it writes.
//!
//! In: a page of outflows at a time, and their journals. Out: those that differ.
//! Never: more than a page in memory. Why: where money went is said by one journal, and a sum does
//! not show that it names another account.

use std::collections::BTreeMap;

use payments::ledger::Journal;
use payments::replay::{keys_of, left_difference};

use super::{Finding, SHOWN};
use crate::error::Error;
use crate::query::page;
use crate::reading::Reading;
use crate::{load, outflows};

/// Outflows that are in memory at once.
const OUTFLOWS: u32 = 512;

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
