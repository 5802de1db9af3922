//! What goes into the rules and what comes out of them.
//!
//! In: `Snapshot` (what is remembered), `Update` (what happened). Out: `Changes` (to be written).
//! Never: anything that cannot be compared as a value.
//! Why: the store writes `Changes` in one transaction, or nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::adopt::{Adopted, Adoption};
use crate::amount::Usdt;
use crate::case::{Case, CaseId, Resolution};
use crate::chain::{BlockId, Connection, Cursor, Header, Scan, Transfer, TxHash};
use crate::contract::Answers;
use crate::deposit::Deposit;
use crate::event::Event;
use crate::ledger::Journal;
use crate::lookup::Transaction;
use crate::name::{ChainName, OrderId};
use crate::notice::{Noted, Notice};
use crate::order::{Dossier, Order};
use crate::outflow::Outflow;
use crate::recent::Recent;
use crate::time::Time;

/// When a deposit is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// At or below the finalized height (TRON: solidified).
    Finalized,
    /// At or below the safe height.
    Safe,
    /// With this many confirmations, its own block being the first.
    Confirmations(u64),
}

/// A line of the confirmation rules; the first that fits an amount decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalityRule {
    /// The largest amount this line is for; none fits every amount.
    pub up_to: Option<Usdt>,
    /// When such a deposit is final.
    pub finality: Finality,
}

/// What the config says of a chain. It is the same for every order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRules {
    /// The configured token contract.
    pub token: Address,
    /// Its decimals.
    pub decimals: u8,
    /// How many blocks a reorg may orphan before the chain is paused.
    pub max_reorg: u64,
    /// First-match by amount. Where none fits, the finalized height decides.
    pub finality: Vec<FinalityRule>,
    /// Where our addresses are swept to; what leaves them for elsewhere is a person's to explain.
    pub treasury: Vec<Address>,
    /// What one hour may bring before a person looks.
    pub bounds: Bounds,
}

impl ChainRules {
    /// The line of the confirmation rules for this amount; none where the finalized height decides.
    #[must_use]
    pub fn finality_of(&self, amount: Usdt) -> Option<&FinalityRule> {
        self.finality.iter().find(|rule| rule.up_to.is_none_or(|up_to| amount <= up_to))
    }
}

/// What one hour may bring before a person looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What may be credited within an hour; above it crediting waits for a person. None: all.
    pub hourly_credits: Option<Usdt>,
    /// How many transfers of other tokens are recorded of one order.
    pub others_per_order: u32,
    /// And how many of a chain within an hour.
    pub others_per_hour: u32,
    /// For how long nothing may become final before that is told. None: for ever.
    pub silent_after: Option<Duration>,
    /// A decision about more than this needs a second person. None: no decision by its amount.
    pub two_person_above: Option<Usdt>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            hourly_credits: None,
            others_per_order: 20,
            others_per_hour: 200,
            silent_after: None,
            two_person_above: None,
        }
    }
}

/// The rules of every configured chain.
pub type Rules = BTreeMap<ChainName, ChainRules>;

/// What became known of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundFact {
    /// It is said to be in this transaction.
    Sent(TxHash),
    /// The chain was asked about that transaction.
    Seen(TxHash, Transaction),
    /// That transaction will never be seen: a person says so and why.
    GivenUp(TxHash, String),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A chain was looked at.
    Scan(Scan),
    /// A recorded stretch was read again: what is not recorded of it is recorded now.
    Rescan {
        /// The chain.
        chain: ChainName,
        /// Transfers of canonical blocks at or below the cursor.
        transfers: Vec<Transfer>,
        /// And what the token's issuer says in such blocks.
        notices: Vec<Notice>,
    },
    /// The token's contract was asked how things stand.
    Asked {
        /// The chain.
        chain: ChainName,
        /// What it answers.
        answers: Answers,
    },
    /// A shop asks for an order.
    Create(Order),
    /// A shop takes an order back.
    Cancel(OrderId),
    /// A person decides about a case, or confirms what another one proposed.
    Resolve {
        /// The case.
        case: CaseId,
        /// What is decided.
        resolution: Resolution,
        /// Who.
        by: String,
        /// Why, in words.
        why: String,
    },
    /// A person takes back what was proposed about a case.
    Withdraw {
        /// The case.
        case: CaseId,
        /// Who.
        by: String,
        /// Why, in words.
        why: String,
    },
    /// Something became known of a refund.
    Refund {
        /// The case that it was decided about.
        case: CaseId,
        /// Who says so.
        by: String,
        /// What became known.
        fact: RefundFact,
    },
    /// The block above the cursor cannot be read whole. The next scan that adds a block ends it.
    Stall {
        /// The chain.
        chain: ChainName,
        /// Why, in words.
        why: String,
    },
    /// Crediting on a chain must wait for a person.
    Pause {
        /// The chain.
        chain: ChainName,
        /// Why, in words.
        why: String,
    },
    /// The daemon's own look found that chain and books do not agree.
    ReconcileFailed {
        /// The number of the run.
        run: u64,
        /// Why, in words.
        why: String,
    },
    /// A person lets crediting go on.
    Resume {
        /// The chain.
        chain: ChainName,
        /// Who.
        by: String,
        /// Why, in words.
        why: String,
    },
    /// A person chooses the branch that a paused chain follows.
    Adopt(Adoption),
}

/// What the books hold of an address, in millionths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Custody.
    pub now: i64,
    /// How many deposits and outflows are booked there: each was rounded.
    pub rounded: i64,
    /// What is booked of blocks above the lowest one that is asked about, from the lowest: the
    /// block's height, and what came, below zero where it left.
    pub moves: Vec<(u64, i64)>,
}

/// What is remembered and may matter to one update.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The chain's cursor, for updates that concern a chain; for a cancelling, that of the order's
    /// chain; for a decision or a refund, that of the chain the money is on.
    pub cursor: Option<Cursor>,
    /// Who owns the addresses that the update's transfers went to or came from, that its notices
    /// or its contract's answers are about, or that a refund is to go to: an order, or nobody (an
    /// imported address without one). Addresses that are not ours are absent.
    pub owners: BTreeMap<Address, Option<OrderId>>,
    /// The orders the update may touch: those that own such an address, or had an outflow of
    /// `outflows`; those with a deposit on
    /// this chain that is pending or above the finalized height; those with a deposit among the
    /// update's transfers (by transaction and place) that is orphaned or reversed, or that went to
    /// another address than theirs; those of this chain whose expiry the update's finalized time
    /// has passed; the one a shop names; the one a decided case is about, and the one that its
    /// deposits are to count for. Where a branch is adopted, those with a deposit above its base.
    pub dossiers: BTreeMap<OrderId, Arc<Dossier>>,
    /// Recorded deposits that no order owns and that are pending, above the finalized height, or
    /// among the update's transfers (by transaction and place, whoever owns the address by now), or
    /// that a decided case is about.
    pub unassigned: Vec<Deposit>,
    /// Cases and journals of those deposits.
    pub unassigned_cases: Vec<Case>,
    /// Journals of those deposits, oldest first.
    pub unassigned_journals: Vec<Journal>,
    /// The places of transfers that have paid a refund already, of the transaction that a fact
    /// about a refund names.
    pub spent: BTreeSet<u32>,
    /// What left, where a decided case is about an outflow.
    pub left: Option<Usdt>,
    /// Recorded outflows of the chain that are pending, above the finalized height, or among the
    /// update's transfers; and those that wait for a deposit, where their sender is an end of one
    /// of the update's transfers, or has a pending deposit on this chain or an outflow above the
    /// finalized height. Where a refund is said to be sent, those of that transaction. In the order
    /// of recording.
    pub outflows: Vec<Outflow>,
    /// Recorded notices of the chain that are above the finalized height, or among the update's
    /// notices, or in the transaction of one of those outflows; where the contract was asked, all
    /// of the chain. In the order of recording.
    pub notices: Vec<Noted>,
    /// The cases of those outflows that no order owns.
    pub outflow_cases: Vec<Case>,
    /// What the books hold of the senders of those outflows, of the update's transfers from our
    /// addresses, and where its notices say that something was destroyed; what moved above the
    /// lowest of their heights.
    pub held: BTreeMap<Address, Held>,
    /// What was recorded as sent for refunds and was not found to fail, among the transactions of
    /// these outflows and of the update's transfers from our addresses.
    pub refunds: Sent,
}

/// How many refunds are said to be sent by a transaction, each of so much to an address.
pub type Sent = BTreeMap<(TxHash, Address, Usdt), usize>;

/// How the cursor moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorMove {
    /// The chain.
    pub chain: ChainName,
    /// The generation that was read; the commit is refused if it has changed.
    pub generation: u64,
    /// Recorded blocks that are no longer part of the chain.
    pub orphaned: Vec<Header>,
    /// The headers to keep from now on, replacing the kept ones.
    pub kept: Vec<Header>,
    /// The finalized block from now on.
    pub finalized: Option<BlockId>,
    /// The safe height from now on.
    pub safe: Option<u64>,
    /// Why crediting is paused from now on, where it is.
    pub paused: Option<String>,
    /// Why the next block cannot be read from now on, where it cannot.
    pub stalled: Option<String>,
    /// What the chain's hourly bounds ask for from now on.
    pub recent: Recent,
    /// The choice of a person by which finality may fall, where this is one.
    pub adopted: Option<Adopted>,
}

impl CursorMove {
    /// The move that a connection makes.
    #[must_use]
    pub fn new(cursor: &Cursor, connection: Connection) -> Self {
        Self {
            orphaned: connection.orphaned,
            kept: connection.kept,
            finalized: connection.finalized,
            safe: connection.safe,
            ..Self::still(cursor)
        }
    }

    /// The cursor that the move leaves behind.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            chain: self.chain.clone(),
            generation: self.generation.saturating_add(1),
            kept: self.kept.clone(),
            finalized: self.finalized,
            safe: self.safe,
            paused: self.paused.clone(),
            stalled: self.stalled.clone(),
            recent: self.recent.clone(),
        }
    }

    /// The move that only raises the generation.
    #[must_use]
    pub fn still(cursor: &Cursor) -> Self {
        Self {
            chain: cursor.chain.clone(),
            generation: cursor.generation,
            orphaned: Vec::new(),
            kept: cursor.kept.clone(),
            finalized: cursor.finalized,
            safe: cursor.safe,
            paused: cursor.paused.clone(),
            stalled: cursor.stalled.clone(),
            recent: cursor.recent.clone(),
            adopted: None,
        }
    }
}

/// An order that an update touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The order.
    pub order: OrderId,
    /// The version that was read; the commit is refused if it has changed.
    pub version: u64,
    /// When it was covered.
    pub paid: Option<Time>,
    /// When it was found expired.
    pub expired: Option<Time>,
    /// When it was cancelled.
    pub cancelled: Option<Time>,
}

/// Everything one update changes, to be written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// How the cursor moves.
    pub cursor: Option<CursorMove>,
    /// A new order; its address becomes watched with it.
    pub created: Option<Order>,
    /// Orders whose version was read and whose facts may have changed.
    pub touched: Vec<Touched>,
    /// Deposits seen for the first time, in the order they are to be recorded.
    pub recorded: Vec<Deposit>,
    /// Recorded deposits whose block or state changed, whole.
    pub moved: Vec<Deposit>,
    /// Outflows that are new or changed, whole, in the order they are to be recorded.
    pub outflows: Vec<Outflow>,
    /// Notices that are new or changed, whole, in the order they are to be recorded.
    pub notices: Vec<Noted>,
    /// Cases that are new, or whose deposits, amount or decision changed, whole.
    pub cases: Vec<Case>,
    /// New journals, in order.
    pub journals: Vec<Journal>,
    /// New events, in order.
    pub events: Vec<Event>,
    /// Transfers to our addresses that carry nothing; counted, not recorded.
    pub empty_transfers: u64,
}

impl Changes {
    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cursor.is_none()
            && self.created.is_none()
            && self.touched.is_empty()
            && self.recorded.is_empty()
            && self.moved.is_empty()
            && self.outflows.is_empty()
            && self.notices.is_empty()
            && self.cases.is_empty()
            && self.journals.is_empty()
            && self.events.is_empty()
    }
}
