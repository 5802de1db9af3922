//! Blocks, transfers, and how a new stretch of chain connects to the recorded one.
//!
//! In: the kept headers and a scan of a node. Out: which blocks are new, which are orphaned.
//! Never: a gap, a block without its parent, a reorg below the finalized height.
//! Why: everything about reorgs is decided here, once, on values.

use std::fmt;

use ruint::aliases::U256;

use crate::address::{Address, from_hex, lower_hex, prefixed_hex};
use crate::name::ChainName;
use crate::notice::Notice;
use crate::recent::Recent;
use crate::time::Time;

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// From 64 hex digits, with or without `0x`; `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                from_hex(text.strip_prefix("0x").unwrap_or(text)).map(Self)
            }

            /// 64 lower-case hex digits without a prefix, TRON's spelling.
            #[must_use]
            pub fn bare(&self) -> String {
                lower_hex(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&prefixed_hex(&self.0))
            }
        }
    };
}

hash!(
    /// The hash (on TRON: the id) of a block.
    BlockHash
);
hash!(
    /// The hash (on TRON: the id) of a transaction.
    TxHash
);

/// A block by height and hash: two blocks are the same only if both agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// The height, counted from genesis at 0.
    pub height: u64,
    /// The hash.
    pub hash: BlockHash,
}

/// What is kept of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The block itself.
    pub id: BlockId,
    /// The hash of the block below.
    pub parent: BlockHash,
    /// The block's own time.
    pub time: Time,
}

/// A token Transfer log, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The transaction.
    pub tx: TxHash,
    /// Its place among this token's Transfer logs inside the transaction, from 0. With the
    /// transaction this is its identity: a reorg that mines the transaction again keeps it.
    pub n: u32,
    /// Its place among all logs of the block: where it sits now, never who it is.
    pub log_index: u64,
    /// The block it sits in.
    pub block: BlockId,
    /// The block's time.
    pub time: Time,
    /// The token contract.
    pub token: Address,
    /// The account debited.
    pub from: Address,
    /// The account credited.
    pub to: Address,
    /// The value in the token's base units.
    pub raw: U256,
}

/// The time of the newest block that is final once `scan` is recorded: no block that is still to
/// come below it can change what is due. `None` where no such block's header is at hand.
#[must_use]
pub fn final_time(cursor: &Cursor, scan: &Scan) -> Option<Time> {
    let known = cursor.finalized.map(|block| block.height);
    let claimed = scan.finalized.map(|claimed| match scan.last() {
        Some(last) if cursor.at(claimed.height).is_none_or(|kept| kept.id != claimed) => {
            claimed.height.min(last.height)
        }
        _ => claimed.height,
    });
    let height = claimed.max(known)?;
    let fork = fork(cursor, scan);
    let surviving = cursor.kept.iter().filter(|h| fork.is_none_or(|fork| h.id.height < fork));
    let headers = scan.blocks.iter().chain(surviving);
    headers.filter(|header| header.id.height <= height).map(|header| header.time).max()
}

/// What one look at a chain found: a contiguous stretch of blocks, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The chain.
    pub chain: ChainName,
    /// The recorded block this stretch stands on; none only where it begins at genesis.
    pub base: Option<BlockId>,
    /// Ascending and linked by parent hash, the first one standing on `base`. Empty when nothing
    /// is new.
    pub blocks: Vec<Header>,
    /// The Transfers of these blocks with one of our addresses at either end, in chain order.
    pub transfers: Vec<Transfer>,
    /// What the token's issuer says in these blocks about everybody, or about our addresses.
    pub notices: Vec<Notice>,
    /// The newest block the node calls finalized (TRON: solidified).
    pub finalized: Option<BlockId>,
    /// The height the node calls safe, where the chain has such a thing.
    pub safe: Option<u64>,
    /// The height of the node's newest block, which may be far above this stretch.
    pub tip: u64,
}

impl Scan {
    /// The highest block it shows, or else the one it stands on.
    #[must_use]
    pub fn last(&self) -> Option<BlockId> {
        self.blocks.last().map(|header| header.id).or(self.base)
    }
}

/// How far a chain has been recorded. It moves only in the transaction that records what was
/// seen below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The chain.
    pub chain: ChainName,
    /// Rises by one with every commit; a commit that read another generation is refused.
    pub generation: u64,
    /// Headers from the finalized height to the last recorded block, ascending and linked. The
    /// last one is where scanning goes on; empty before the first scan.
    pub kept: Vec<Header>,
    /// The highest finalized block ever recorded: it never goes back.
    pub finalized: Option<BlockId>,
    /// The highest safe height recorded on this branch, never above the last recorded block.
    pub safe: Option<u64>,
    /// Why crediting is paused, where it is.
    pub paused: Option<String>,
    /// Why it does not go on as it should, where it does not.
    pub stalled: Option<String>,
    /// What the chain's hourly bounds ask for.
    pub recent: Recent,
}

impl Cursor {
    /// A chain of which nothing is recorded yet.
    #[must_use]
    pub fn new(chain: ChainName) -> Self {
        Self {
            chain,
            generation: 0,
            kept: Vec::new(),
            finalized: None,
            safe: None,
            paused: None,
            stalled: None,
            recent: Recent::default(),
        }
    }

    /// The last block that was recorded whole.
    #[must_use]
    pub fn last(&self) -> Option<&Header> {
        self.kept.last()
    }

    /// The kept header at `height`.
    #[must_use]
    pub fn at(&self, height: u64) -> Option<&Header> {
        let first = self.kept.first()?.id.height;
        self.kept.get(usize::try_from(height.checked_sub(first)?).ok()?)
    }

    /// That `block` is a recorded one. Below the kept headers everything is final, and any block
    /// is taken for the recorded one.
    ///
    /// # Errors
    /// [`ConnectError::CannotConnect`] where another block, or none, is recorded at its height.
    pub fn holds(&self, block: BlockId) -> Result<(), ConnectError> {
        let last = self.last().map_or(0, |header| header.id.height);
        match self.at(block.height) {
            Some(kept) if kept.id == block => Ok(()),
            Some(kept) => {
                let try_height = kept.id.height.saturating_sub(1);
                Err(ConnectError::CannotConnect { try_height })
            }
            None if block.height < last => Ok(()),
            None => Err(ConnectError::CannotConnect { try_height: last }),
        }
    }
}

/// How a scan joins the recorded chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Recorded blocks that are no longer part of the chain, ascending.
    pub orphaned: Vec<Header>,
    /// Blocks that were not recorded before, ascending.
    pub added: Vec<Header>,
    /// The headers to keep: from the finalized height to the new last block.
    pub kept: Vec<Header>,
    /// The finalized block after this scan.
    pub finalized: Option<BlockId>,
    /// The safe height after this scan.
    pub safe: Option<u64>,
}

/// Why a scan cannot join the recorded chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The scan stands on a block that is not recorded: scan again from this height.
    #[error("the scan does not stand on a recorded block, try from height {try_height}")]
    CannotConnect {
        /// The highest height at which the two may still agree.
        try_height: u64,
    },
    /// The scan's own blocks do not follow from each other, or a transfer sits in none of them.
    #[error("the scan contradicts itself at height {height}")]
    Unlinked {
        /// The first height at which it does.
        height: u64,
    },
    /// The chain below the finalized height is no longer the recorded one.
    #[error("the reorg reaches height {height}, below the finalized height {finalized}")]
    BelowFinalized {
        /// The lowest height that changed.
        height: u64,
        /// The recorded finalized height.
        finalized: u64,
    },
    /// More blocks would be orphaned than the chain's bound allows.
    #[error("the reorg is {depth} blocks deep, the bound is {bound}")]
    TooDeep {
        /// Blocks that would be orphaned.
        depth: u64,
        /// The configured bound.
        bound: u64,
    },
    /// The node calls a block finalized that is not part of the chain it showed.
    #[error("the finalized block at height {height} is not part of the scanned chain")]
    FinalizedElsewhere {
        /// Its height.
        height: u64,
    },
}

/// Joins `scan` to what `cursor` keeps. `bound` is the number of blocks a reorg may orphan.
///
/// # Errors
/// [`ConnectError`]; the caller rescans on [`ConnectError::CannotConnect`] and pauses the chain on
/// [`ConnectError::BelowFinalized`] and [`ConnectError::TooDeep`].
pub fn connect(cursor: &Cursor, scan: &Scan, bound: u64) -> Result<Connection, ConnectError> {
    linked(scan)?;
    standing(cursor, scan)?;
    let fork = fork(cursor, scan);
    let orphaned: Vec<Header> = match fork {
        None => Vec::new(),
        Some(fork) => cursor.kept.iter().filter(|h| h.id.height >= fork).copied().collect(),
    };
    if let (Some(fork), Some(finalized)) = (fork, cursor.finalized)
        && fork <= finalized.height
    {
        return Err(ConnectError::BelowFinalized { height: fork, finalized: finalized.height });
    }
    let depth = u64::try_from(orphaned.len()).unwrap_or(u64::MAX);
    if depth > bound {
        return Err(ConnectError::TooDeep { depth, bound });
    }
    let surviving = cursor.kept.iter().filter(|h| fork.is_none_or(|fork| h.id.height < fork));
    let mut whole: Vec<Header> = surviving.copied().collect();
    let above = whole.last().map(|h| h.id.height);
    let added: Vec<Header> = scan
        .blocks
        .iter()
        .filter(|h| above.is_none_or(|above| h.id.height > above))
        .copied()
        .collect();
    whole.extend_from_slice(&added);
    let finalized = finality(cursor, scan, &whole)?;
    let safe = safety(cursor, scan, fork);
    let from = finalized.map_or(0, |block| block.height);
    let last = whole.last().map_or(0, |h| h.id.height);
    let kept = whole.into_iter().filter(|h| h.id.height >= from.min(last)).collect();
    Ok(Connection { orphaned, added, kept, finalized, safe })
}

/// The lowest height at which the scan shows another block than the recorded one.
fn fork(cursor: &Cursor, scan: &Scan) -> Option<u64> {
    let differs = |header: &&Header| {
        cursor.at(header.id.height).is_some_and(|recorded| recorded.id != header.id)
    };
    scan.blocks.iter().find(differs).map(|header| header.id.height)
}

/// The blocks of a scan follow from each other and from its base, and its transfers sit in them.
fn linked(scan: &Scan) -> Result<(), ConnectError> {
    let mut below = scan.base;
    for header in &scan.blocks {
        if let Some(below) = below {
            let follows = below.height.checked_add(1) == Some(header.id.height);
            if !follows || below.hash != header.parent {
                return Err(ConnectError::Unlinked { height: header.id.height });
            }
        } else if header.id.height != 0 {
            return Err(ConnectError::Unlinked { height: header.id.height });
        }
        below = Some(header.id);
    }
    let first = scan.blocks.first().map_or(0, |header| header.id.height);
    let sits = |block: &BlockId| {
        let at = block.height.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| scan.blocks.get(at)).is_some_and(|header| header.id == *block)
    };
    let notices = scan.notices.iter().map(|notice| notice.block);
    let mut shown = scan.transfers.iter().map(|transfer| transfer.block).chain(notices);
    match shown.find(|block| !sits(block)) {
        None => Ok(()),
        Some(stray) => Err(ConnectError::Unlinked { height: stray.height }),
    }
}

/// The base of a scan is a recorded block, or the scan reaches the recorded ones from below, unless
/// nothing is recorded yet.
fn standing(cursor: &Cursor, scan: &Scan) -> Result<(), ConnectError> {
    let (Some(first), Some(last)) = (cursor.kept.first(), cursor.kept.last()) else {
        return Ok(());
    };
    let finalized = cursor.finalized.map_or(first.id.height, |block| block.height);
    let Some(base) = scan.base else {
        return reaching(first, scan, finalized);
    };
    if base.height > last.id.height {
        return Err(ConnectError::CannotConnect { try_height: last.id.height });
    }
    let recorded = if base.height.checked_add(1) == Some(first.id.height) {
        // Not kept itself, but known: the first kept block names it.
        Some(first.parent)
    } else {
        cursor.at(base.height).map(|kept| kept.id.hash)
    };
    // Below a finalized block there is nothing to go back to.
    let lowest = first.id.height.saturating_sub(u64::from(cursor.finalized.is_none()));
    let below = base.height.checked_sub(1).filter(|height| *height >= lowest);
    match (recorded, below) {
        (None, _) => reaching(first, scan, finalized),
        (Some(hash), _) if hash == base.hash => Ok(()),
        (Some(_), Some(try_height)) => Err(ConnectError::CannotConnect { try_height }),
        (Some(_), None) => Err(ConnectError::BelowFinalized { height: base.height, finalized }),
    }
}

/// A scan that begins below everything kept, such as one that another daemon has overtaken, is
/// judged where it meets the first kept block, or not at all.
fn reaching(first: &Header, scan: &Scan, finalized: u64) -> Result<(), ConnectError> {
    match scan.blocks.iter().find(|header| header.id.height == first.id.height) {
        Some(header) if header.id == first.id => Ok(()),
        Some(header) => Err(ConnectError::BelowFinalized { height: header.id.height, finalized }),
        None => Err(ConnectError::CannotConnect { try_height: first.id.height }),
    }
}

/// The finalized block after a scan: never lower than before, and part of the chain that was
/// scanned. A finalized height above the stretch means that all of the stretch is final; of what
/// was recorded above it the node has said nothing.
fn finality(
    cursor: &Cursor,
    scan: &Scan,
    whole: &[Header],
) -> Result<Option<BlockId>, ConnectError> {
    let known = cursor.finalized;
    let (Some(claimed), Some(shown)) = (scan.finalized, scan.last()) else {
        return Ok(known);
    };
    let at = |height: u64| {
        let offset = height.checked_sub(whole.first()?.id.height)?;
        whole.get(usize::try_from(offset).ok()?).map(|header| header.id)
    };
    let new = match at(claimed.height) {
        _ if known.is_some_and(|known| claimed.height <= known.height) => None,
        Some(ours) if ours == claimed => Some(claimed),
        _ if claimed.height > shown.height => at(shown.height),
        Some(_) => return Err(ConnectError::FinalizedElsewhere { height: claimed.height }),
        // Below everything that is kept: scanning began above it.
        None => None,
    };
    // Of two at one height the last: what is known.
    Ok(new.into_iter().chain(known).max_by_key(|block| block.height))
}

/// The safe height after a scan. A reorg can go through it: what was safe on the old branch says
/// nothing of the new one, and what the node calls safe above this stretch may still change.
fn safety(cursor: &Cursor, scan: &Scan, fork: Option<u64>) -> Option<u64> {
    let shown = scan.last().map_or(0, |block| block.height);
    let before = match fork {
        None => cursor.safe,
        Some(fork) => cursor.safe.map(|safe| safe.min(fork.saturating_sub(1))),
    };
    before.max(scan.safe.map(|safe| safe.min(shown)))
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
