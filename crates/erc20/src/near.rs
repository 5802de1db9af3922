//! Blocks near the tip: back by parent hash to a recorded block, then up again, each by its hash.
//!
//! In: the recorded blocks, and the node's newest. Out: the stretch that stands on the highest
//! recorded block the two share. Never: a block by number whose place in the chain was not shown
//! by its child; a walk below the lowest recorded block.
//! Why: above the finalized height a height names several blocks, a hash names one.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use payments::chain::{BlockHash, BlockId, Cursor, Header};
use serde_json::json;

use crate::decode::Block;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::{Exhausted, Facts, Pool};
use crate::read::{self, Stretch};
use crate::refusal::Refusal;

/// The most blocks above the last recorded one that one poll reads near the tip.
const NEAR_LIMIT: u64 = 64;

/// What a scan may stand on.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// The recorded headers, ascending and linked; before the first scan the block below its
    /// start; empty only where scanning begins at genesis.
    pub(crate) kept: Vec<Header>,
    /// The height scanning goes on at.
    pub(crate) next: u64,
    /// The block below the first recorded one, while nothing recorded is final: a reorg may still
    /// replace all of it.
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

    fn holds(&self, height: u64, hash: BlockHash) -> bool {
        let id = BlockId { height, hash };
        self.below == Some(id) || self.at(height).is_some_and(|kept| kept.id == id)
    }
}

/// Blocks that stand on recorded ground.
pub(crate) struct Standing {
    pub(crate) base: Option<BlockId>,
    pub(crate) stretch: Stretch,
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

/// The headers of the stretch that leads from recorded ground towards `tip`, as `endpoint` has
/// it. A tip that is itself recorded leads nowhere: nothing is new.
pub(crate) async fn path(
    endpoint: &Endpoint,
    facts: &Facts,
    ground: &Ground,
    tip: &Block,
) -> Result<(Option<BlockId>, Vec<Block>), Lost> {
    let tip_id = tip.header.id;
    if ground.holds(tip_id.height, tip_id.hash) {
        return Ok((ground.last(), Vec::new()));
    }
    if ground.kept.first().is_some_and(|first| tip_id.height < first.id.height) {
        // A node that is so far behind says nothing about what is recorded.
        return Ok((ground.last(), Vec::new()));
    }
    let goal = tip_id.height.min(ground.next.saturating_add(NEAR_LIMIT.saturating_sub(1)));
    let ahead = if goal < ground.next || goal == tip_id.height && goal == ground.next {
        Vec::new()
    } else {
        unlinked(endpoint, facts, ground.next, goal).await?
    };
    let top = match ahead.last() {
        Some(top) => *top,
        // Its newest block came a moment ago, and it gives none of those that lead there. To take
        // that for nothing new would follow it for as long as it says so.
        None if goal > ground.next => {
            let (next, tip) = (ground.next, tip_id.height);
            let why = format!("it does not have height {next}, below its newest block {tip}");
            return Err(Refusal::behind(why).into());
        }
        None => *tip,
    };
    let mut by_hash: BTreeMap<BlockHash, Block> =
        ahead.iter().map(|block| (block.header.id.hash, *block)).collect();
    let mut path = vec![top];
    let mut lowest = top;
    loop {
        let Some(height) = lowest.header.id.height.checked_sub(1) else {
            path.reverse();
            return Ok((None, path));
        };
        let parent = lowest.header.parent;
        if ground.holds(height, parent) {
            path.reverse();
            return Ok((Some(BlockId { height, hash: parent }), path));
        }
        if let Some(first) = ground.kept.first()
            && height <= ground.below.map_or(first.id.height, |below| below.height)
        {
            let BlockId { height: at, hash: recorded } = first.id;
            let found = if height == at { parent } else { lowest.header.id.hash };
            return Err(Lost::Below { height: at, recorded, found });
        }
        let below = match by_hash.remove(&parent) {
            Some(below) => below,
            None => by_parent(endpoint, facts, parent).await?,
        };
        if below.header.id.height != height || below.header.id.hash != parent {
            return Err(Refusal::lie(format!("the parent of {} is not a parent", height)).into());
        }
        path.push(below);
        lowest = below;
    }
}

/// The blocks of a path, read whole: all of them, or those below the first that cannot be.
pub(crate) async fn climb(
    pool: &Pool,
    path: Vec<Block>,
    in_flight: usize,
) -> Result<Stretch, Error> {
    let mut stretch = Stretch::default();
    let mut read = stream::iter(0..path.len())
        .map(|at| read::block(pool, &path, at))
        .buffered(in_flight.max(1));
    let mut failed = None;
    while let Some(rows) = read.next().await {
        match rows {
            Ok(read) => {
                let Some(block) = path.get(stretch.blocks.len()) else { break };
                stretch.push(*block, read);
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(read);
    match failed {
        Some(error) if stretch.blocks.is_empty() => Err(error),
        Some(error) => {
            tracing::info!(
                chain = pool.facts.chain,
                blocks = stretch.blocks.len(),
                why = %error,
                "a scan ends early: a block above could not be read yet"
            );
            Ok(stretch)
        }
        None => Ok(stretch),
    }
}

/// Blocks by height, not yet known to follow from each other: the chain may have changed between
/// two answers, and the walk down by parent hash finds the right ones.
async fn unlinked(
    endpoint: &Endpoint,
    facts: &Facts,
    from: u64,
    to: u64,
) -> Result<Vec<Block>, Refusal> {
    endpoint.blocks(from, to, &facts.token, facts.check).await
}

async fn by_parent(endpoint: &Endpoint, facts: &Facts, hash: BlockHash) -> Result<Block, Refusal> {
    let found = endpoint.block(json!(hash.to_string()), &facts.token, facts.check).await?;
    found.ok_or_else(|| Refusal::behind(format!("it does not have the parent {hash}")))
}

impl Lost {
    /// The error of a walk that no endpoint could finish.
    pub(crate) fn error(self, endpoint: &Endpoint, ground: &Ground) -> Error {
        match self {
            Self::Below { height, .. } if !ground.recorded => Error::Unread {
                height,
                why: format!("{} changed its chain while scanning began", endpoint.name),
            },
            Self::Below { height, recorded, found } => {
                Error::BelowFinalized { height, recorded, found: Some(found) }
            }
            Self::Refused(refusal) => {
                let mut exhausted = Exhausted::default();
                exhausted.failed(endpoint, refusal);
                exhausted.unread(ground.next)
            }
        }
    }
}
