//! Facts to tell.
//!
//! In: a change the rules made. Out: an event, written in the transaction of that change.
//! Never: something that is not committed. Why: the billing service acts on what it is told.

use crate::case::CaseId;
use crate::deposit::DepositId;
use crate::name::{ChainName, OrderId};
use crate::time::Time;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum EventKind { $($(#[$doc])* $name),+ }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The type's name, as it is told.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// The kind of a name; `None` for anything else.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.word() == word)
            }
        }
    };
}

kinds! {
    /// An order was made and its address is watched.
    OrderCreated = "order.created",
    /// Enough was seen; it is not yet final.
    OrderConfirming = "order.confirming",
    /// Something arrived, not enough.
    OrderPartiallyPaid = "order.partially_paid",
    /// Covered.
    OrderPaid = "order.paid",
    /// Its time is over, uncovered.
    OrderExpired = "order.expired",
    /// The shop took it back.
    OrderCancelled = "order.cancelled",
    /// A transfer to one of our addresses is in a block.
    DepositDetected = "deposit.detected",
    /// It is final and in the books.
    DepositConfirmed = "deposit.confirmed",
    /// Its block is no longer part of the chain.
    DepositOrphaned = "deposit.orphaned",
    /// A transfer from one of our addresses is in a block.
    OutflowDetected = "outflow.detected",
    /// It is final and in the books.
    OutflowBooked = "outflow.booked",
    /// It is final, and more than the books held there: a deposit is missing.
    OutflowWaiting = "outflow.waiting",
    /// Its block is no longer part of the chain.
    OutflowOrphaned = "outflow.orphaned",
    /// Something needs a person.
    CaseOpened = "case.opened",
    /// A person, or a later fact, settled it.
    CaseResolved = "case.resolved",
    /// A decision waits for a second person.
    CaseProposed = "case.proposed",
    /// What was proposed is taken back.
    CaseWithdrawn = "case.withdrawn",
    /// A customer has more credits.
    CreditsGranted = "credits.granted",
    /// A grant was taken back.
    CreditsReversed = "credits.reversed",
    /// Something is to be sent back.
    RefundRequested = "refund.requested",
    /// A transaction is said to pay a refund.
    RefundSent = "refund.sent",
    /// A refund was seen on chain.
    RefundVerified = "refund.verified",
    /// The transaction that was to pay a refund does not.
    RefundFailed = "refund.failed",
    /// A chain does not go on as it should: a block cannot be read whole and nothing above it is
    /// scanned, nothing becomes final, or a look takes long. Its `why` says which.
    ChainStalled = "chain.stalled",
    /// It goes on again.
    ChainRecovered = "chain.recovered",
    /// Crediting waits for a person.
    ChainPaused = "chain.paused",
    /// Transfers of other tokens are too many to be recorded; they are counted.
    ChainFlooded = "chain.flooded",
    /// The token's owner stopped all transfers.
    TokenPaused = "token.paused",
    /// Transfers of the token go on.
    TokenUnpaused = "token.unpaused",
    /// Another contract goes on in the token's place.
    TokenDeprecated = "token.deprecated",
    /// The token keeps another part of each transfer than before.
    TokenFeeSet = "token.fee_set",
    /// The token's owner lets nothing leave an address of ours.
    AddressBlacklisted = "address.blacklisted",
    /// What is at an address of ours can be moved again.
    AddressReleased = "address.released",
    /// The token's owner destroyed what was at an address of ours.
    AddressEmptied = "address.emptied",
    /// The block of one of these is no longer part of the chain.
    NoticeOrphaned = "notice.orphaned",
    /// Chain and books do not agree.
    ReconcileFailed = "reconcile.failed",
}

/// A fact to tell. The store gives it its id and its gapless sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When it was recorded.
    pub at: Time,
    /// The chain it concerns.
    pub chain: Option<ChainName>,
    /// The order it concerns.
    pub order: Option<OrderId>,
    /// The deposit it concerns.
    pub deposit: Option<DepositId>,
    /// The case it concerns.
    pub case: Option<CaseId>,
    /// Further facts; amounts are decimal text.
    pub data: Vec<(&'static str, String)>,
}
