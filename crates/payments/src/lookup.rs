//! What a chain's nodes know of one transaction.
//!
//! In: a question by hash. Out: not found, waiting, or mined with its Transfers.
//! Never: a deposit; what is in the books came through a scan.
//! Why: both clients answer `explain` and `rescan` in the same words.

use crate::chain::{BlockHash, BlockId, Transfer};
use crate::notice::Notice;
use crate::time::Time;

/// What is known of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    /// No endpoint knows it. After a reorg that is what may become of one that was mined.
    NotFound,
    /// It is known and in no block yet.
    Pending,
    /// It is in a block of the chain.
    Mined(Mined),
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined {
    /// Whether it succeeded; a failed one has no Transfers.
    pub succeeded: bool,
    /// Its block.
    pub block: BlockId,
    /// The block's time.
    pub time: Time,
    /// All Transfers of the token in it, by their place.
    pub transfers: Vec<Transfer>,
    /// And those of other tokens.
    pub others: Vec<Transfer>,
}

/// What is in one block for us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The Transfers with an address of ours at either end.
    pub transfers: Vec<Transfer>,
    /// What the token's issuer says about everybody, or about an address of ours.
    pub notices: Vec<Notice>,
}

/// Whether a chain's nodes have a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// One of them has it.
    Yes,
    /// None has it, and at its height there is this one.
    Other(BlockHash),
    /// None of them is that far.
    Unknown,
}
