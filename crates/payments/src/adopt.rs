//! A branch that a person chose to follow.
//!
//! In: a paused chain, the highest block both branches share, who and why. Out: everything above
//! that block taken back, and scanning that goes on from it.
//! Never: by itself; finality falls in no other way. Why: what the chain promised was broken, so
//! somebody who can ask others must say which branch is real, and be named for it.

use crate::case::CaseId;
use crate::ceiling;
use crate::chain::{BlockId, ConnectError, Cursor, Header};
use crate::changes::{ChainRules, Changes, CursorMove, Snapshot};
use crate::desk::Desk;
use crate::event::EventKind;
use crate::name::ChainName;
use crate::plan::PlanError;
use crate::time::Time;
use crate::view::View;

/// The choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The chain.
    pub chain: ChainName,
    /// The highest block known to be on both branches; scanning goes on above it.
    pub base: Header,
    /// The block of the new branch that the person named.
    pub named: BlockId,
    /// Who chose.
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// The refunds that were seen on chain in blocks above the base. They stay recorded as paid:
    /// whether the new branch pays them is asked of the chain, and a person is told.
    pub refunds: Vec<CaseId>,
}

/// How many refunds the event of an adoption names.
const NAMED: usize = 20;

/// The choice as it is recorded, beside what it gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The block of the new branch that the person named.
    pub named: BlockId,
    /// The block that was final until then.
    pub lost: Option<BlockId>,
    /// Who chose.
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// When it was recorded.
    pub at: Time,
}

/// Takes back what is recorded above the base, and ends the pause.
pub(crate) fn adopt(
    rules: &ChainRules,
    snapshot: &Snapshot,
    adoption: &Adoption,
    now: Time,
) -> Result<Changes, PlanError> {
    let chain = &adoption.chain;
    let cursor = snapshot.cursor.clone().unwrap_or_else(|| Cursor::new(chain.clone()));
    if cursor.paused.is_none() {
        return Err(PlanError::NotPaused(chain.clone()));
    }
    let base = adoption.base.id;
    let last = cursor.last().map_or(0, |header| header.id.height);
    if base.height >= last || adoption.named.height <= base.height {
        return Err(PlanError::NoBranch { chain: chain.clone(), height: base.height });
    }
    if cursor.at(base.height).is_some_and(|kept| kept.id != base) {
        let try_height = base.height.saturating_sub(1);
        return Err(ConnectError::CannotConnect { try_height }.into());
    }
    let mut desk = Desk::new(snapshot, now);
    let fork = base.height.saturating_add(1);
    desk.each(|work| work.orphan_from(chain, fork))?;
    desk.loose.orphan_from(chain, fork);
    desk.orphan_outflows(chain, fork);
    desk.orphan_notices(chain, fork, true);
    let mut mv = moved(&cursor, adoption, now);
    let mut data = vec![
        ("why", format!("{}: {}", adoption.by, adoption.why)),
        ("adopted", format!("{}:{}", adoption.named.height, adoption.named.hash)),
        ("fork", fork.to_string()),
    ];
    if let Some(lost) = cursor.finalized.filter(|lost| lost.height > base.height) {
        data.push(("lost_finalized", format!("{}:{}", lost.height, lost.hash)));
    }
    if !adoption.refunds.is_empty() {
        let named = adoption.refunds.iter().take(NAMED).map(|case| case.0.as_str());
        data.push(("refunds", named.collect::<Vec<_>>().join(" ")));
        data.push(("refunds_above", adoption.refunds.len().to_string()));
    }
    desk.tell_chain(EventKind::ChainRecovered, chain, data);
    ceiling::settle(&mut desk, View::of_move(rules, &mv, None), &mut mv, now)?;
    desk.settle_outflows(&View::of_move(rules, &mv, None), snapshot)?;
    Ok(Changes { cursor: Some(mv), ..desk.finish() })
}

fn moved(cursor: &Cursor, adoption: &Adoption, now: Time) -> CursorMove {
    let base = adoption.base;
    let above = |header: &&Header| header.id.height > base.id.height;
    let mut mv = CursorMove::still(cursor);
    mv.orphaned = cursor.kept.iter().filter(above).copied().collect();
    mv.kept.retain(|header| header.id.height <= base.id.height);
    if mv.kept.is_empty() {
        mv.kept.push(base);
    }
    let lower = |known| std::cmp::min_by_key(known, base.id, |block: &BlockId| block.height);
    mv.finalized = cursor.finalized.map(lower);
    mv.safe = cursor.safe.map(|safe| safe.min(base.id.height));
    (mv.paused, mv.stalled) = (None, None);
    mv.recent.credited = crate::recent::Hour::default();
    mv.adopted = Some(Adopted {
        named: adoption.named,
        lost: cursor.finalized,
        by: adoption.by.clone(),
        why: adoption.why.clone(),
        at: now,
    });
    mv
}
