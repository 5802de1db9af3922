//! Whether the journals are those that were logged, all of them.
//!
//! In: every journal, the recorded heads, and heads that others kept. Out: where they part.
//! Never: a journal taken for proved that no head covers.
//! Why: a row that was changed with everything that depends on it still changes the root.

use std::collections::VecDeque;

use payments::leaf::leaf;
use payments::merkle::{Frontier, TreeHead};

use super::Finding;
use super::sums::Sums;
use crate::error::Error;
use crate::reading::Reading;

/// Rows that are read at once.
const PAGE: u32 = 2_000;

/// The recorded heads, in order, read as they are needed.
struct Heads {
    page: VecDeque<(TreeHead, u64)>,
    last: u64,
    ended: bool,
}

impl Heads {
    async fn first(&mut self, reading: &mut Reading) -> Result<Option<(TreeHead, u64)>, Error> {
        if self.page.is_empty() && !self.ended {
            self.page = reading.heads(self.last, PAGE).await?.into();
            self.ended = self.page.is_empty();
            self.last = self.page.back().map_or(self.last, |(head, _)| head.size);
        }
        Ok(self.page.front().copied())
    }
}

/// Compares the journals with the log; `kept` are heads that others kept of it. Every journal that
/// was read is added to `sums`; whether all were.
pub(super) async fn check(
    reading: &mut Reading,
    kept: &[TreeHead],
    sums: &mut Sums,
    findings: &mut Vec<Finding>,
) -> Result<bool, Error> {
    let sealed = reading.sealed().await?;
    let mut log = Frontier::default();
    let mut heads = Heads { page: VecDeque::new(), last: 0, ended: false };
    let mut proved = 0;
    let mut whole = true;
    let broken = |detail| Finding { name: "log_broken", detail };
    'journals: loop {
        let page = reading.journals(log.size(), PAGE).await?;
        if page.is_empty() {
            break;
        }
        for (seq, journal) in &page {
            let expected = log.size().saturating_add(1);
            if *seq != expected {
                findings.push(broken(format!("journal {expected} is not there")));
                whole = false;
                break 'journals;
            }
            log.push(leaf(*seq, journal));
            sums.add(journal);
            while let Some((head, event)) = heads.first(reading).await?
                && head.size <= *seq
            {
                heads.page.pop_front();
                if head != log.head() {
                    findings.push(broken(format!(
                        "journals {} to {seq} are not those that event {event} tells of",
                        u64::saturating_add(proved, 1)
                    )));
                    whole = false;
                    break 'journals;
                }
                proved = head.size;
            }
            let differs = |kept: &&TreeHead| kept.size == *seq && **kept != log.head();
            for head in kept.iter().filter(differs) {
                let detail = format!("the first {seq} journals are not those of the kept {head}");
                findings.push(broken(detail));
            }
        }
    }
    let longest = heads.first(reading).await?.map(|(head, _)| head.size);
    let kept = kept.iter().map(|head| head.size);
    let longest = kept.chain(longest).chain([sealed.journals]).max().unwrap_or_default();
    if whole && longest > log.size() {
        let detail = format!("the log had {longest} journals, {} are left", log.size());
        findings.push(Finding { name: "log_truncated", detail });
    } else if whole && (proved != log.size() || sealed.journals != log.size()) {
        findings.push(broken(format!("journals after {proved} were never told of")));
    } else if whole && (sealed.log_root, &sealed.log_peaks) != (log.head().root, &log.peaks_text())
    {
        findings.push(broken("what the next journal is appended to is another tree".to_owned()));
    }
    Ok(whole)
}
