//! What one node sees of the chain at one moment, through its faults.
//!
//! In: the chain's state and what is wrong with the node. Out: blocks as the node knows them.
//! Never: a change. Why: a node that is behind is behind for every method alike, so the tip is
//! decided here once.

use std::sync::Arc;

use alloy::primitives::B256;

use super::block::Block;
use super::chain::{Orphans, State};
use super::fault::Fault;
use super::filter::{Named, Tag};
use crate::jsonrpc::RpcError;

/// A node's sight of the chain.
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    faults: Vec<Fault>,
    tip: u64,
    /// Whether logs carry `blockTimestamp`, as geth's do since 1.16.
    pub(crate) log_times: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(state: &'a State, faults: Vec<Fault>, log_times: bool) -> Self {
        let behind = lag(&faults);
        let tip = state.tip().header.number.saturating_sub(behind);
        Self { state, faults, tip, log_times }
    }

    /// The node's own tip.
    pub(crate) fn tip(&self) -> u64 {
        self.tip
    }

    /// The first fault that says something to the question.
    pub(crate) fn fault<T>(&self, ask: impl FnMut(&Fault) -> Option<T>) -> Option<T> {
        self.faults.iter().find_map(ask)
    }

    /// Whether any fault is of this kind.
    pub(crate) fn is(&self, ask: impl FnMut(&Fault) -> bool) -> bool {
        self.faults.iter().any(ask)
    }

    pub(crate) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The block on the chain at a height, up to the node's tip.
    pub(crate) fn at(&self, height: u64) -> Option<&'a Arc<Block>> {
        self.state.canonical(height).filter(|_| height <= self.tip)
    }

    /// The height a tag means. `what` is geth's word for it in the refusal: getLogs misses a
    /// header where other methods miss a block.
    pub(crate) fn height(&self, tag: Tag, what: &str) -> Result<u64, RpcError> {
        let (finalized, safe) = self.state.finality(self.tip);
        let unknown = |name: &str| RpcError::new(-32000, format!("{name} {what} not found"));
        match tag {
            Tag::Height(height) => Ok(height),
            Tag::Earliest => Ok(0),
            Tag::Latest | Tag::Pending => Ok(self.tip),
            Tag::Safe => safe.ok_or_else(|| unknown("safe")),
            Tag::Finalized => {
                let finalized = finalized.ok_or_else(|| unknown("finalized"))?;
                let back = self.fault(|fault| match fault {
                    Fault::FinalizedBackward { by } => Some(*by),
                    _ => None,
                });
                Ok(finalized.saturating_sub(back.unwrap_or(0)))
            }
        }
    }

    /// A block by hash, its header at least.
    pub(crate) fn by_hash(&self, hash: B256) -> Option<&'a Arc<Block>> {
        let block = self.state.known.get(&hash).filter(|block| block.header.number <= self.tip)?;
        if self.lacks(block.header.number) {
            return None;
        }
        let gone = !self.state.is_canonical(block) && self.state.orphans == Orphans::Nothing;
        (!gone).then_some(block)
    }

    /// A block by hash of which the node still has everything.
    pub(crate) fn whole_by_hash(&self, hash: B256) -> Option<&'a Arc<Block>> {
        let block = self.by_hash(hash)?;
        let whole = self.state.is_canonical(block) || self.state.orphans == Orphans::Everything;
        whole.then_some(block)
    }

    /// A block however it is named; `None` where the node has none such.
    pub(crate) fn named(&self, named: Named) -> Result<Option<&'a Arc<Block>>, RpcError> {
        match named {
            Named::Hash(hash) => Ok(self.by_hash(hash)),
            Named::Tag(Tag::Height(height)) if self.lacks(height) => Ok(None),
            Named::Tag(tag) => Ok(self.at(self.height(tag, "block")?)),
        }
    }

    fn lacks(&self, height: u64) -> bool {
        self.is(|fault| matches!(fault, Fault::Gap { heights } if heights.contains(&height)))
    }
}

/// How many blocks a node with these faults is behind.
pub(crate) fn lag(faults: &[Fault]) -> u64 {
    let behind = |fault: &Fault| match fault {
        Fault::Lag { blocks, .. } => *blocks,
        Fault::Syncing => u64::MAX,
        _ => 0,
    };
    faults.iter().map(behind).fold(0, u64::saturating_add)
}
