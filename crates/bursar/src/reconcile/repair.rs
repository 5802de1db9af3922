//! What `--repair` does: what the rules would have done had they been told.
//!
//! In: a report. Out: the same books after `Update::Rescan`, and what that changed.
//! Never: a decision of its own, a row written past the rules, anything while books are broken, or
//! of a chain whose evidence is incomplete or disputed.
//! Why: a tool that mends money by hand is the next discrepancy.

use std::collections::BTreeSet;

use payments::Update;
use payments::chain::Transfer;
use payments::event::EventKind;
use payments::name::ChainName;
use payments::reconcile::{Code, Report};

use crate::error::Error;
use crate::open::Opened;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Repaired {
    /// Whether the books changed.
    pub(super) changed: bool,
    /// In words, one line for each.
    pub(super) told: Vec<String>,
}

/// Ingests what the chain alone has; `done` says what was done, also where it fails halfway.
pub(super) async fn repair(
    opened: &Opened,
    report: &Report,
    only_say: bool,
    done: &mut Repaired,
) -> Result<(), Error> {
    if report.is_broken() {
        done.told.push("nothing is repaired while the books are broken".to_owned());
        return Ok(());
    }
    let doubtful = doubtful(report);
    for finding in &report.findings {
        let (code, key) = (finding.code, &finding.key);
        match (report.lost.get(&finding.id), &finding.chain, code.left_alone()) {
            (Some(_), Some(chain), _) if doubtful.contains(chain) => {
                let why =
                    format!("what was read of {chain} is incomplete, or the endpoints differ");
                done.told.push(format!("left alone: {} {key}: {why}", code.word()));
            }
            (Some(transfer), Some(chain), _) if only_say => {
                let whose = if code == Code::ChainOnly { transfer.to } else { transfer.from };
                let whose = opened.view.spelled(chain, &whose);
                done.told.push(format!("would ingest {key}: {whose}"));
            }
            (Some(transfer), Some(chain), _) => {
                ingest(opened, chain, transfer, done).await?;
            }
            (_, _, Some(why)) => {
                done.told.push(format!("left alone: {} {key}: {why}", code.word()));
            }
            (_, _, None) => {}
        }
    }
    Ok(())
}

/// Chains of which something could not be read, or is told differently by two endpoints: what only
/// one of them shows would be credited.
fn doubtful(report: &Report) -> BTreeSet<ChainName> {
    let doubts = |code| matches!(code, Code::CoverageGap | Code::EndpointsDisagree);
    let found = report.findings.iter().filter(|finding| doubts(finding.code));
    found.filter_map(|finding| finding.chain.clone()).collect()
}

/// Records one transfer as a rescan does.
async fn ingest(
    opened: &Opened,
    chain: &ChainName,
    transfer: &Transfer,
    done: &mut Repaired,
) -> Result<(), Error> {
    let key = format!("{chain}:{}:{}", transfer.tx, transfer.n);
    let (chain, transfers, notices) = (chain.clone(), vec![transfer.clone()], Vec::new());
    match opened.books.record(&Update::Rescan { chain, transfers, notices }).await {
        Ok(changes) => {
            done.changed |= !changes.is_empty();
            let events: Vec<&str> = changes.events.iter().map(|event| event.kind.word()).collect();
            let new = changes.events.iter().any(|event| {
                matches!(event.kind, EventKind::DepositDetected | EventKind::OutflowDetected)
            });
            let new = if new { "ingested" } else { "known already" };
            done.told.push(format!("{new}: {key} ({})", events.join(", ")));
        }
        Err(Error::Refused(why)) => done.told.push(format!("refused: {key}: {why}")),
        Err(error) => return Err(error),
    }
    Ok(())
}
