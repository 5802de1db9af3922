//! What needs a person, and the decisions a person can take.
//!
//! In: a deposit the rules cannot credit by themselves. Out: a case with one natural id.
//! Never: a typed amount other than a fee. Why: a decision refers to recorded transfers only.

use std::fmt;

use crate::address::Address;
use crate::amount::Usdt;
use crate::chain::TxHash;
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
    /// Money left an address of ours for where the config does not know. Nothing is held.
    UnexplainedOutflow = "unexplained_outflow",
    /// The token's owner destroyed what was at an address of ours. Nothing is held.
    DestroyedFunds = "destroyed_funds",
}

/// The words of the decisions a person can take.
pub const RESOLUTIONS: [&str; 4] = ["credit", "refund", "reassign", "dismiss"];

impl CaseKind {
    /// The decisions that fit a case of this kind: the one table of them.
    #[must_use]
    pub const fn resolutions(self) -> &'static [&'static str] {
        match self {
            // Another token has no value here, and what was taken back holds none any more.
            // Of what left, nothing is held.
            Self::WrongAsset
            | Self::ReversedAfterCredit
            | Self::UnexplainedOutflow
            | Self::DestroyedFunds => &["dismiss"],
            // No order says what it is worth: that takes a reassignment first.
            Self::Unassigned => &["refund", "reassign", "dismiss"],
            Self::WrongNetwork
            | Self::Duplicate
            | Self::Late
            | Self::Overpaid
            | Self::Underpaid => &RESOLUTIONS,
        }
    }

    /// Why the others do not fit, where some do not.
    #[must_use]
    pub const fn unfit(self) -> &'static str {
        match self {
            Self::WrongAsset => "it is another token and has no value in the books",
            Self::ReversedAfterCredit => "it holds nothing any more",
            Self::UnexplainedOutflow | Self::DestroyedFunds => {
                "what it is about has left, and is in the books"
            }
            Self::Unassigned => "no order says what it is worth; reassign it to one first",
            _ => "it holds nothing",
        }
    }

    /// Whether it is about what left an address, and holds nothing.
    #[must_use]
    pub const fn is_about_an_outflow(self) -> bool {
        matches!(self, Self::UnexplainedOutflow | Self::DestroyedFunds)
    }

    /// Whether its one deposit keeps its own state: the excess of what was credited.
    #[must_use]
    pub const fn is_part_of_a_deposit(self) -> bool {
        matches!(self, Self::Overpaid)
    }
}

/// The natural id of a case: `kind:subject`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId(pub String);

impl CaseId {
    /// The kind that it names; `None` where it names none.
    #[must_use]
    pub fn kind(&self) -> Option<CaseKind> {
        self.0.split(':').next().and_then(CaseKind::parse)
    }
}

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

/// What was done about a case beside its one decision. Steps are added and never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// A decision that needs a second person, who has not confirmed it yet.
    Proposed(Resolution),
    /// The proposal was taken back.
    Withdrawn,
    /// The refund is said to be in this transaction.
    Sent(TxHash),
    /// The chain says so too: its transfer number `n` pays the refund, for ever.
    Verified {
        /// The transaction.
        tx: TxHash,
        /// The place of the transfer among the token's, inside its transaction.
        n: u32,
    },
    /// That transaction does not pay the refund; another one may.
    Failed(TxHash),
}

impl StepKind {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Proposed(_) => "proposed",
            Self::Withdrawn => "withdrawn",
            Self::Sent(_) => "sent",
            Self::Verified { .. } => "verified",
            Self::Failed(_) => "failed",
        }
    }
}

/// A step with who took it, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub kind: StepKind,
    /// Who did it; `bursar` where the chain was looked at.
    pub by: String,
    /// Why, in words; what was found, where the chain was looked at.
    pub why: String,
    /// When.
    pub at: Time,
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefundState {
    /// Decided; nobody has said yet which transaction pays it.
    Requested,
    /// A transaction is said to pay it; the chain was not found to agree yet.
    Sent,
    /// Seen on chain, final.
    Verified,
    /// The transaction that was given does not pay it.
    Failed,
}

impl RefundState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Requested, Self::Sent, Self::Verified, Self::Failed];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sent => "sent",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }

    /// The state of a word; `None` for anything else.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// A refund as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refund {
    /// Where to.
    pub to: Address,
    /// What is kept of the amount held.
    pub fee: Usdt,
    /// What is to arrive: the amount held less the fee.
    pub net: Usdt,
    /// How far it is.
    pub state: RefundState,
    /// The last transaction that was given.
    pub tx: Option<TxHash>,
}

/// Characters that nobody sees, so that two names with and without them look the same:
/// `Default_Ignorable_Code_Point` of Unicode (DerivedCoreProperties.txt, 16.0), and the marks of
/// annotations and the empty braille pattern, which no font draws either.
const UNSEEN: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a character leaves no trace where it is read.
#[must_use]
pub fn is_unseen(letter: char) -> bool {
    letter.is_control() || UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

/// Whether two names are one person's. Case, blanks and what nobody sees make no other one.
#[must_use]
pub fn is_same_person(one: &str, other: &str) -> bool {
    let person = |name: &str| {
        let is_seen = |letter: &char| letter.is_whitespace() || !is_unseen(*letter);
        let seen: String = name.chars().filter(is_seen).collect();
        let words: Vec<&str> = seen.split_whitespace().collect();
        // Upper case first: some letters meet only there.
        words.join(" ").to_uppercase().to_lowercase()
    };
    person(one) == person(other)
}

/// Whether two recorded names are spelled as one: what was recorded as two persons' words stays
/// that, however like each other the two look.
#[must_use]
pub fn is_same_spelling(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// Who is named where a later fact decided a case.
pub(crate) const ITSELF: &str = "bursar";

impl Decision {
    /// The decision that a later fact is.
    pub(crate) fn itself(why: &str, at: Time) -> Self {
        let (by, why) = (ITSELF.to_owned(), why.to_owned());
        Self { resolution: Resolution::Itself, by, why, at }
    }
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
    /// The decision, once taken. It is never taken back.
    pub decision: Option<Decision>,
    /// What was proposed, and what became of a refund, oldest first.
    pub steps: Vec<Step>,
}

impl Case {
    /// A case that is about no deposit and holds nothing: it asks about what left.
    pub(crate) fn bare(
        id: CaseId,
        kind: CaseKind,
        order: Option<OrderId>,
        chain: ChainName,
        opened_at: Time,
    ) -> Self {
        let (deposits, steps) = (Vec::new(), Vec::new());
        let (amount, decision) = (Usdt::ZERO, None);
        Self { id, kind, order, deposits, chain, amount, opened_at, decision, steps }
    }

    /// What it is about, in USDT: what it holds, or what left where it is about that.
    #[must_use]
    pub fn at_stake(&self, left: Option<Usdt>) -> Usdt {
        left.map_or(self.amount, |left| left.max(self.amount))
    }

    /// What waits for a second person, and who proposed it.
    #[must_use]
    pub fn proposal(&self) -> Option<(&Resolution, &Step)> {
        let last = self.steps.last().filter(|_| self.decision.is_none())?;
        match &last.kind {
            StepKind::Proposed(resolution) => Some((resolution, last)),
            _ => None,
        }
    }

    /// The refund, where that was decided.
    #[must_use]
    pub fn refund(&self) -> Option<Refund> {
        let Some(Resolution::Refund { to, fee }) = self.decision.as_ref().map(|d| &d.resolution)
        else {
            return None;
        };
        let (state, tx) = match self.steps.last().map(|step| &step.kind) {
            Some(StepKind::Sent(tx)) => (RefundState::Sent, Some(*tx)),
            Some(StepKind::Verified { tx, .. }) => (RefundState::Verified, Some(*tx)),
            Some(StepKind::Failed(tx)) => (RefundState::Failed, Some(*tx)),
            Some(StepKind::Proposed(_) | StepKind::Withdrawn) | None => {
                (RefundState::Requested, None)
            }
        };
        Some(Refund { to: *to, fee: *fee, net: self.amount.minus_or_zero(*fee), state, tx })
    }
}
