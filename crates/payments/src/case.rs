//! What needs a person, and the decisions a person can take.
//!
//! In: a deposit the rules cannot credit by themselves. Out: a case with one natural id.
//! Never: a typed amount other than a fee. Why: a decision refers to recorded transfers only.

use std::fmt;

use crate::address::Address;
use crate::amount::Usdt;
use crate::deposit::DepositId;
use crate::name::{ChainName, OrderId};
use crate::time::Time;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// Why a deposit (or an order) needs a person.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CaseKind { $($(#[$doc])* $name),+ }

        impl CaseKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// The kind of a word; `None` for anything else.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.word() == word)
            }
        }
    };
}

kinds! {
    /// Another token than the configured one; it has no value in the books.
    WrongAsset = "wrong_asset",
    /// Seen on another chain than the order's.
    WrongNetwork = "wrong_network",
    /// To an imported address that no order owns, or mined again to another address than before.
    Unassigned = "unassigned",
    /// The order was covered already.
    Duplicate = "duplicate",
    /// After expiry or cancelling, outside the late window.
    Late = "late",
    /// The excess of the deposit that covered the order.
    Overpaid = "overpaid",
    /// All that arrived of an order that expired uncovered.
    Underpaid = "underpaid",
    /// Credits were granted and a reorg took the deposit away.
    ReversedAfterCredit = "reversed_after_credit",
}

/// The natural id of a case: `kind:subject`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId(pub String);

impl fmt::Display for CaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// A decision about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Credit what the deposits are worth at the order's rate, or its fixed credits.
    Credit,
    /// Send it back, less a stated fee.
    Refund {
        /// Where to.
        to: Address,
        /// What is kept for the trouble.
        fee: Usdt,
    },
    /// Count the deposits towards another order.
    Reassign(OrderId),
    /// Nothing more is to be done.
    Dismiss,
    /// A later fact settled it: a deposit that covered the order, or a reorg.
    Itself,
}

impl Resolution {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Refund { .. } => "refund",
            Self::Reassign(_) => "reassign",
            Self::Dismiss => "dismiss",
            Self::Itself => "itself",
        }
    }
}

/// A resolution with who took it, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub resolution: Resolution,
    /// Who decided; `bursar` where a later fact did.
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// When.
    pub at: Time,
}

/// Something that waits for a person, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its natural id.
    pub id: CaseId,
    /// Why it was opened.
    pub kind: CaseKind,
    /// The order it concerns; none for an unassigned address.
    pub order: Option<OrderId>,
    /// The deposits it concerns.
    pub deposits: Vec<DepositId>,
    /// The chain the money is on.
    pub chain: ChainName,
    /// What is held in suspense for it.
    pub amount: Usdt,
    /// When it was opened.
    pub opened_at: Time,
    /// The decision, once taken.
    pub decision: Option<Decision>,
}
