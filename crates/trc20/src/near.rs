//! Blocks near the tip: back by parent id to a recorded block.
//!
//! In: the recorded blocks, and the node's newest. Out: the blocks that stand on the highest
//! recorded one the two share. Never: a block by number whose place in the chain was not shown
//! by its child; a walk below the lowest recorded block; a shorter chain taken for another one.
//! Why: above the solidified height a height names several blocks, an id names one, and a node
//! that restarts throws away everything above it.

use std::collections::BTreeMap;

use payments::chain::{BlockHash, BlockId, Cursor, Header};

use crate::decode::Block;
use crate::error::Error;
use crate::node::Node;
use crate::pool::Exhausted;
use crate::refusal::Refusal;

/// The most blocks above the last recorded one that one poll reads near the tip.
pub(crate) const NEAR_LIMIT: u64 = 64;

/// What a scan may stand on.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// The recorded headers, ascending and linked; before the first scan the block below its
    /// start; empty only where scanning begins at genesis.
    pub(crate) kept: Vec<Header>,
    /// The height scanning goes on at.
    pub(crate) next: u64,
    /// The block below the lowest recorded one, while nothing recorded is solidified: a fork
    /// switch may still replace all of it.
    pub(crate) below: Option<BlockId>,
    /// Whether anything is recorded.
    pub(crate) recorded: bool,
}

impl Ground {
    /// What `cursor` keeps; none where it keeps nothing.
    pub(crate) fn recorded(cursor: &Cursor) -> Option<Self> {
        let (first, last) = (cursor.kept.first()?, cursor.last()?);
        let below = first.id.height.checked_sub(1).filter(|_| cursor.finalized.is_none());
        Some(Self {
            kept: cursor.kept.clone(),
            next: last.id.height.saturating_add(1),
            below: below.map(|height| BlockId { height, hash: first.parent }),
            recorded: true,
        })
    }

    /// Nothing recorded: scanning begins at `next`, above `base`.
    pub(crate) fn fresh(base: Option<Header>, next: u64) -> Self {
        Self { kept: base.into_iter().collect(), next, below: None, recorded: false }
    }

    pub(crate) fn at(&self, height: u64) -> Option<&Header> {
        let first = self.kept.first()?.id.height;
        self.kept.get(usize::try_from(height.checked_sub(first)?).ok()?)
    }

    pub(crate) fn last(&self) -> Option<BlockId> {
        self.kept.last().map(|header| header.id)
    }

    /// The lowest block that is known, where there is any.
    fn lowest(&self) -> Option<BlockId> {
        self.below.or_else(|| self.kept.first().map(|header| header.id))
    }

    fn holds(&self, height: u64, hash: BlockHash) -> bool {
        let id = BlockId { height, hash };
        self.below == Some(id) || self.at(height).is_some_and(|kept| kept.id == id)
    }

    /// Whether `tip` says nothing new: it is recorded, or below everything that is kept.
    fn knows(&self, tip: BlockId) -> bool {
        let below = self.lowest().is_some_and(|lowest| tip.height < lowest.height);
        below || self.holds(tip.height, tip.hash)
    }
}

/// What went wrong on the way down.
pub(crate) enum Lost {
    /// The endpoint refused.
    Refused(Refusal),
    /// The endpoint's chain leaves the recorded one below its lowest block.
    Below { height: u64, recorded: BlockHash, found: BlockHash },
}

impl From<Refusal> for Lost {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The blocks that lead from recorded ground towards `tip`, as `node` has them. A tip that is
/// itself recorded, or below all that is, leads nowhere: nothing is new.
pub(crate) async fn path(
    node: &Node,
    ground: &Ground,
    tip: &Header,
) -> Result<(Option<BlockId>, Vec<Block>), Lost> {
    let nothing = || Ok((ground.last(), Vec::new()));
    if ground.knows(tip.id) {
        return nothing();
    }
    let goal = tip.id.height.min(ground.next.saturating_add(NEAR_LIMIT.saturating_sub(1)));
    let mut ahead =
        if goal < ground.next { Vec::new() } else { node.blocks(ground.next, goal).await? };
    let top = match ahead.pop() {
        Some(top) => top,
        // The newest block itself is not everywhere at once.
        None if tip.id.height == ground.next => return nothing(),
        // Its newest block came a moment ago, and it gives none of those that lead there. To take
        // that for nothing new would follow it for as long as it says so.
        None if goal >= ground.next => {
            let (next, tip) = (ground.next, tip.id.height);
            let why = format!("it does not have height {next}, below its newest block {tip}");
            return Err(Refusal::behind(why).into());
        }
        None => by_id(node, tip.id.hash).await?,
    };
    // The chain may have changed between two answers: only what a child names is taken.
    let mut by_hash: BTreeMap<BlockHash, Block> =
        ahead.into_iter().map(|block| (block.header.id.hash, block)).collect();
    let mut lowest = top.header;
    let mut path = vec![top];
    loop {
        let Some(height) = lowest.id.height.checked_sub(1) else {
            path.reverse();
            return Ok((None, path));
        };
        let parent = lowest.parent;
        if ground.holds(height, parent) {
            path.reverse();
            return Ok((Some(BlockId { height, hash: parent }), path));
        }
        if let Some(BlockId { height: at, hash: recorded }) = ground.lowest()
            && height <= at
        {
            let found = if height == at { parent } else { lowest.id.hash };
            return Err(Lost::Below { height: at, recorded, found });
        }
        let below = match by_hash.remove(&parent) {
            Some(below) => below,
            None => by_id(node, parent).await?,
        };
        if below.header.id.height != height || below.header.id.hash != parent {
            return Err(Refusal::lie(format!("the parent of {height} is not a parent")).into());
        }
        lowest = below.header;
        path.push(below);
    }
}

async fn by_id(node: &Node, id: BlockHash) -> Result<Block, Refusal> {
    let found = node.block_by_id(id).await?;
    found.ok_or_else(|| Refusal::behind(format!("it does not have the block {}", id.bare())))
}

impl Lost {
    /// The error of a walk that no endpoint could finish.
    pub(crate) fn error(self, node: &Node, ground: &Ground) -> Error {
        match self {
            Self::Below { height, .. } if !ground.recorded => Error::Unread {
                height,
                why: format!("{} changed its chain while scanning began", node.name),
            },
            Self::Below { height, recorded, found } => {
                Error::BelowFinalized { height, recorded, found: Some(found) }
            }
            Self::Refused(refusal) => {
                let mut exhausted = Exhausted::default();
                exhausted.failed(node, refusal);
                exhausted.unread(ground.next)
            }
        }
    }
}
