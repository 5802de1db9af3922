//! What `--repair` does: what the rules would have done had they been told.
//!
//! In: a report. Out: the same books after `Update::Rescan`, and what that changed.
//! Never: a decision of its own, a row written past the rules, anything while books are broken.
//! Why: a tool that mends money by hand is the next discrepancy.

use std::collections::BTreeMap;

use payments::Update;
use payments::chain::Transfer;
use payments::name::ChainName;
use payments::reconcile::{Code, Report};

use crate::error::Error;
use crate::open::Opened;
use crate::rescan::detected;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Repaired {
    /// Whether the books changed.
    pub(super) changed: bool,
    /// In words, one line for each.
    pub(super) told: Vec<String>,
}

pub(super) async fn repair(
    opened: &Opened,
    report: &Report,
    only_say: bool,
) -> Result<Repaired, Error> {
    let mut done = Repaired::default();
    if report.is_broken() {
        done.told.push("nothing is repaired while the books are broken".to_owned());
        return Ok(done);
    }
    let mut lost: BTreeMap<ChainName, Vec<Transfer>> = BTreeMap::new();
    for finding in report.findings.iter().filter(|f| f.code.is_repairable()) {
        let key = &finding.key;
        match (finding.code, report.lost.get(&finding.id)) {
            (Code::ChainOnly, Some(transfer)) if only_say => {
                done.told.push(format!("would ingest {key}: {}", transfer.to));
            }
            (Code::ChainOnly, Some(transfer)) => {
                if let Some(chain) = &finding.chain {
                    lost.entry(chain.clone()).or_default().push(transfer.clone());
                }
            }
            _ => done.told.push(format!("left alone: {} {key}", finding.code.word())),
        }
    }
    for (chain, transfers) in lost {
        for transfer in transfers {
            let key = format!("{chain}:{}:{}", transfer.tx, transfer.n);
            let update = Update::Rescan { chain: chain.clone(), transfers: vec![transfer] };
            match opened.books.record(&update).await {
                Ok(changes) => {
                    done.changed |= !changes.is_empty();
                    let events: Vec<&str> =
                        changes.events.iter().map(|event| event.kind.word()).collect();
                    let new = if detected(&changes) == 0 { "known already" } else { "ingested" };
                    done.told.push(format!("{new}: {key} ({})", events.join(", ")));
                }
                Err(Error::Refused(why)) => done.told.push(format!("refused: {key}: {why}")),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(done)
}
