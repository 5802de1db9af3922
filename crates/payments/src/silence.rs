//! A chain on which nothing becomes final any more, though its nodes answer.
//!
//! In: the cursor after a look, the newest block of the nodes, the clock. Out: a mark, and its end.
//! Never: a pause; what is final is credited as before. Why: a node that stands still answers every
//! question well, and payments above its last block are nobody's until somebody is told.

use std::time::Duration;

use crate::chain::Scan;
use crate::changes::{ChainRules, CursorMove};
use crate::desk::Desk;
use crate::event::EventKind;
use crate::time::Time;

/// Marks a chain that stands still, and ends a mark where it has `grown` and does not.
pub(crate) fn settle(
    desk: &mut Desk,
    rules: &ChainRules,
    mv: &mut CursorMove,
    (scan, grown): (&Scan, bool),
    now: Time,
) {
    match silent(rules, mv, scan, now) {
        Some(why) if mv.stalled.is_none() => {
            desk.tell_chain(EventKind::ChainStalled, &mv.chain, vec![("why", why.clone())]);
            mv.stalled = Some(why);
        }
        Some(why) if grown => mv.stalled = Some(why),
        None if grown && mv.stalled.take().is_some() => {
            let height = mv.kept.last().map_or(0, |header| header.id.height);
            let data = vec![("height", height.to_string())];
            desk.tell_chain(EventKind::ChainRecovered, &mv.chain, data);
        }
        _ => {}
    }
}

/// Why a chain counts as silent on which nothing was ever final: its nodes may not know the tag,
/// and every header since the first one is kept until one of them is final.
fn unsettled(mv: &CursorMove, scan: &Scan, now: Time, limit: Duration) -> Option<String> {
    let first = mv.kept.first().filter(|_| scan.finalized.is_none())?;
    if now.since(first.time) <= limit {
        return None;
    }
    let last = mv.kept.last().map_or(first.id.height, |last| last.id.height);
    Some(format!(
        "nothing is final: no node has named a final block since {} was recorded, the newest one \
         is {last}; ask another node, or see `bursar check`",
        first.id.height
    ))
}

/// Why a chain counts as silent. One whose final block is not recorded yet is being caught up with.
fn silent(rules: &ChainRules, mv: &CursorMove, scan: &Scan, now: Time) -> Option<String> {
    let limit = rules.bounds.silent_after?;
    let Some(finalized) = mv.finalized else {
        return unsettled(mv, scan, now, limit);
    };
    if scan.finalized.is_some_and(|claimed| claimed.height > finalized.height) {
        return None;
    }
    let header = mv.kept.iter().find(|header| header.id == finalized)?;
    if now.since(header.time) <= limit {
        return None;
    }
    let (minutes, height) = (limit.as_secs().div_euclid(60), finalized.height);
    let last = mv.kept.last().map_or(height, |last| last.id.height);
    Some(format!(
        "nothing has become final for more than {minutes} minutes: the newest final block is \
         {height}, the newest one {last}; ask another node, or see `bursar check`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::chain::{BlockHash, BlockId, Cursor, Header};
    use crate::changes::Bounds;
    use crate::name::ChainName;

    fn header(height: u64) -> Header {
        let id = BlockId { height, hash: BlockHash([1; 32]) };
        Header { id, parent: BlockHash([0; 32]), time: Time(1_000_000) }
    }

    /// Its nodes may not know what is final at all: nobody would be told otherwise.
    #[test]
    fn a_chain_on_which_nothing_was_ever_final_is_silent() {
        let chain = ChainName::new("ethereum").expect("a name");
        let silent_after = Some(Duration::from_secs(600));
        let rules = ChainRules {
            token: Address([7; 20]),
            decimals: 6,
            max_reorg: 64,
            finality: Vec::new(),
            treasury: Vec::new(),
            bounds: Bounds { silent_after, ..Bounds::default() },
        };
        let mut mv = CursorMove::still(&Cursor::new(chain.clone()));
        let mut scan = Scan {
            chain,
            base: None,
            blocks: Vec::new(),
            transfers: Vec::new(),
            notices: Vec::new(),
            finalized: None,
            safe: None,
            tip: 8,
        };
        let at = |mv: &CursorMove, scan: &Scan, millis: i64| {
            silent(&rules, mv, scan, Time(1_000_000).after(millis))
        };
        assert_eq!(at(&mv, &scan, 700_000), None, "nothing is recorded");
        mv.kept = vec![header(5), header(6)];
        assert_eq!(at(&mv, &scan, 600_000), None);
        let said = "nothing is final: no node has named a final block since 5 was recorded, the \
                    newest one is 6; ask another node, or see `bursar check`";
        assert_eq!(at(&mv, &scan, 600_001).as_deref(), Some(said));
        // It is being caught up with.
        scan.finalized = Some(header(9).id);
        assert_eq!(at(&mv, &scan, 700_000), None);
    }
}
