//! The books' side, streamed into the comparison.
//!
//! In: the books in one state, what was observed. Out: a report.
//! Never: network I/O while the books are being read. Why: a hundred thousand orders are compared
//! in the memory that a hundred thousand lines take.

use std::collections::BTreeMap;

use payments::name::ChainName;
use payments::reconcile::{
    Comparison, Finding, FindingId, Frame, Group, Observed, Report, Unacknowledged,
};
use payments::time::Time;

use crate::error::Error;
use crate::open::Opened;

/// Compares the books as they are now with what was observed.
pub(super) async fn compare(
    opened: &Opened,
    observed: &Observed,
    known: &BTreeMap<FindingId, Time>,
) -> Result<Report, Error> {
    let store = &opened.books.store;
    let chains: Vec<ChainName> = opened.config.chains.keys().cloned().collect();
    let mut reading = store.read().await?;
    let (cursors, ledger_seq) = reading.begin(&chains).await?;
    let within = opened.config.reconcile.acknowledged_within;
    let unacknowledged = match within {
        None => None,
        Some(within) => reading.unacknowledged().await?.map(|(first, at, last)| {
            let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
            Unacknowledged { first, last, at, within }
        }),
    };
    let rules = (*opened.books.rules).clone();
    let configured = opened.config.chains.iter();
    let spellings = configured.map(|(name, chain)| (name.clone(), chain.node.spelling())).collect();
    let known = known.clone();
    let frame = Frame { rules, spellings, cursors, ledger_seq, unacknowledged, known };
    let mut comparison = Comparison::new(&frame, observed);
    let mut after = 0;
    while let Some((dossiers, last)) = reading.orders(after).await? {
        for dossier in &dossiers {
            comparison.group(dossier.into());
        }
        after = last;
    }
    after = 0;
    while let Some((deposits, last)) = reading.unassigned(after).await? {
        for one in &deposits {
            comparison.group(one.into());
        }
        after = last;
    }
    after = 0;
    while let Some((journals, last)) = reading.strays(after).await? {
        comparison.strays(&journals);
        after = last;
    }
    after = 0;
    while let Some((cases, last)) = reading.bare_cases(after).await? {
        comparison.group(Group { order: None, deposits: &[], cases: &cases, journals: &[] });
        after = last;
    }
    after = 0;
    while let Some((outflows, last)) = reading.outflows(after).await? {
        outflows.iter().for_each(|outflow| comparison.outflow(outflow));
        after = last;
    }
    reading.end().await?;
    let mut report = comparison.finish();
    report.findings.extend(broken(opened).await?);
    report.settle(&frame.known);
    Ok(report)
}

/// What the books alone show to be broken.
async fn broken(opened: &Opened) -> Result<Vec<Finding>, Error> {
    let found = opened.books.store.verify().await?;
    let of = |finding: store::Finding| {
        let key = format!("{}:{}", finding.name, finding.detail);
        Finding::new(finding.code(), key, format!("{}: {}", finding.name, finding.detail))
    };
    Ok(found.into_iter().map(of).collect())
}
