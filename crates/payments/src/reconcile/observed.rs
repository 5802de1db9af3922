//! What was read of the chains for a reconciliation.
//!
//! In: a node, by a path of its own. Out: values for `compare`.
//! Never: anything from the cursor of the daemon. Why: a second look that uses the first one's
//! notes proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use ruint::aliases::U256;

use crate::address::Address;
use crate::chain::{BlockId, Transfer, TxHash};
use crate::lookup::Transaction;
use crate::name::ChainName;
use crate::time::Time;

/// What was read of all chains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Of each chain that has a cut-off.
    pub chains: BTreeMap<ChainName, Seen>,
    /// Why another configured chain has none.
    pub missing: BTreeMap<ChainName, String>,
}

/// What was read of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The first height that was read.
    pub from: u64,
    /// The last block that was read: final for the node and for the books.
    pub cut: BlockId,
    /// Its time.
    pub time: Time,
    /// The height of the node's newest block.
    pub tip: u64,
    /// Transfers of these blocks with one of our addresses at an end.
    pub transfers: Vec<Transfer>,
    /// Those of our addresses that are at an end of these transfers.
    pub ours: BTreeSet<Address>,
    /// What the node knows of single transactions that were asked about.
    pub outcomes: BTreeMap<TxHash, Transaction>,
    /// Base units of the token that each of our addresses held after the cut-off block. Absent is
    /// not asked: the address never held anything.
    pub balances: BTreeMap<Address, U256>,
    /// What the token's owner did in these blocks.
    pub token_events: Vec<TokenEvent>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// The blocks among them, from the first to the last of each stretch.
    pub unread: Vec<(u64, u64)>,
    /// What two endpoints tell differently.
    pub disagreements: Vec<Disagreement>,
}

impl Seen {
    /// A chain of which nothing but its cut-off is known.
    #[must_use]
    pub const fn new(from: u64, cut: BlockId, time: Time) -> Self {
        Self {
            from,
            cut,
            time,
            tip: cut.height,
            transfers: Vec::new(),
            ours: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            balances: BTreeMap::new(),
            token_events: Vec::new(),
            gaps: Vec::new(),
            unread: Vec::new(),
            disagreements: Vec::new(),
        }
    }

    /// Whether a block at `height` was read.
    #[must_use]
    pub fn covers(&self, height: u64) -> bool {
        height <= self.cut.height && !self.leaves_to_the_books(height)
    }

    /// Whether what happened at `height`, which is not above the cut-off, is known by the books
    /// alone: it is below the first height that was read, or could not be read.
    #[must_use]
    pub fn leaves_to_the_books(&self, height: u64) -> bool {
        let unread = self.unread.iter().any(|(from, to)| (*from..=*to).contains(&height));
        height < self.from || unread
    }
}

/// Something the token's owner did that concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEvent {
    /// The transaction.
    pub tx: TxHash,
    /// Its place among the token's notices inside the transaction, from 0.
    pub n: u32,
    /// Its place among the logs of the block.
    pub log_index: u64,
    /// The block.
    pub block: BlockId,
    /// The block's time.
    pub time: Time,
    /// What it is, one word.
    pub what: String,
    /// The address of ours it is about; none where it is about all.
    pub address: Option<Address>,
    /// What it took away, in base units.
    pub taken: U256,
}

/// A part of the evidence that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What is missing: `blocks:5-9`, `balances`, `endpoint:NAME` …
    pub subject: String,
    /// Why.
    pub why: String,
}

/// Something that two endpoints tell differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// What it is about: a transfer, a block, an address.
    pub subject: String,
    /// What the two say.
    pub what: String,
}
