//! What can be found, how bad it is, and how it gets worse.
//!
//! In: a discrepancy's code, its age and the money in it. Out: a severity.
//! Never: a code whose meaning changes; finance files them. Why: one table, read off one page.

use crate::case::CaseKind;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A fact to know; nothing is to be done.
    Info,
    /// Somebody looks at it some day.
    Low,
    /// Somebody looks at it today.
    Medium,
    /// Somebody looks at it now.
    High,
    /// Money is at stake.
    Critical,
    /// The books themselves are broken: nothing they say is to be relied on.
    Fatal,
}

impl Severity {
    /// Every severity, the mildest first.
    pub const ALL: [Self; 6] =
        [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical, Self::Fatal];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
            Self::Fatal => "fatal",
        }
    }

    /// The severity of a word; `None` for anything else.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.word() == word)
    }

    /// One worse; critical is the worst that waiting makes of anything.
    const fn raised(self) -> Self {
        match self {
            Self::Info => Self::Low,
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Critical => Self::Critical,
            Self::Fatal => Self::Fatal,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal $severity:ident),+ $(,)?) => {
        /// What a discrepancy is, by the letter of the side it is on: chain, deposit, ledger,
        /// grant, balance, integrity.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its letter and number.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// How bad it is at first.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }

            /// The code of a word such as `C101`; `None` for anything else.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.word() == word)
            }
        }
    };
}

codes! {
    /// On chain, and no deposit says so.
    ChainOnly = "C101" "CHAIN_ONLY" Critical,
    /// A deposit, or an outflow, without a canonical log.
    DepositOnly = "C102" "DEPOSIT_ONLY" Critical,
    /// What was transferred is not what was recorded.
    AmountDiffers = "C103" "AMOUNT_DIFFERS" Critical,
    /// Money was booked for another token than the configured one.
    TokenNotAllowed = "C104" "TOKEN_NOT_ALLOWED" High,
    /// The transaction of what was recorded failed.
    ExecutionFailed = "C105" "EXECUTION_FAILED" Critical,
    /// The same transfer sits in another block than recorded.
    Reanchored = "C106" "REANCHORED" Info,
    /// A part of the evidence is missing.
    CoverageGap = "C108" "COVERAGE_GAP" Critical,
    /// Two endpoints tell different things.
    EndpointsDisagree = "C109" "ENDPOINTS_DISAGREE" High,
    /// To an address that no order owns, undecided.
    Unassigned = "D201" "UNASSIGNED" Medium,
    /// Less than was due, undecided.
    Underpaid = "D202" "UNDERPAID" Medium,
    /// More than was due, undecided.
    Overpaid = "D203" "OVERPAID" Medium,
    /// The order was covered already, undecided.
    Duplicate = "D204" "DUPLICATE" Medium,
    /// After the late window, undecided.
    Late = "D205" "LATE" Low,
    /// On another chain than the order's, undecided.
    WrongNetwork = "D206" "WRONG_NETWORK" High,
    /// Of another token, undecided.
    WrongAsset = "D207" "WRONG_ASSET" High,
    /// An open order that has less than is due so far.
    Partial = "D209" "PARTIAL" Low,
    /// Final for more than 30 minutes, not credited, and no case says why.
    NotCredited = "D210" "NOT_CREDITED" High,
    /// Confirmed, and the ledger does not know.
    ConfirmedNotPosted = "L301" "CONFIRMED_NOT_POSTED" Critical,
    /// In the ledger, and not final.
    PostedNotFinal = "L302" "POSTED_NOT_FINAL" Critical,
    /// The ledger has another amount.
    LedgerAmountDiffers = "L303" "LEDGER_AMOUNT_DIFFERS" Critical,
    /// In the ledger twice.
    DoublePosted = "L304" "DOUBLE_POSTED" Critical,
    /// The credits are not what the price makes of the amount.
    RateDiffers = "L305" "RATE_DIFFERS" High,
    /// A journal whose cause is not in the books.
    OrphanJournal = "L306" "ORPHAN_JOURNAL" High,
    /// What open cases hold is not what the suspense account has.
    SuspenseDiffers = "L307" "SUSPENSE_DIFFERS" High,
    /// Credits were taken back after they were granted, undecided.
    ReversedAfterCredit = "L308" "REVERSED_AFTER_CREDIT" Critical,
    /// An account below zero, even where the totals agree.
    NegativeBalance = "G402" "NEGATIVE_BALANCE" Critical,
    /// The billing service did not acknowledge an event in time.
    EventUnacked = "G405" "EVENT_UNACKED" Medium,
    /// The token's balance of an address is not its custody account's.
    BalanceDiffers = "B501" "BALANCE_DIFFERS" Critical,
    /// Money left an address of ours and nobody said why.
    UnexplainedOutflow = "B502" "UNEXPLAINED_OUTFLOW" Critical,
    /// Less than a millionth left an address of ours and nobody said why.
    DustOutflow = "B503" "DUST_OUTFLOW" Low,
    /// The token's owner did something that concerns us.
    TokenAdmin = "B504" "TOKEN_ADMIN" High,
    /// Debits and credits of an asset differ.
    AssetUnbalanced = "I901" "ASSET_UNBALANCED" Fatal,
    /// The stored state is not what the rules make of the recorded facts.
    ProjectionDiffers = "I902" "PROJECTION_DIFFERS" Fatal,
    /// The tamper-evident log is broken or cut short.
    LogBroken = "I903" "LOG_BROKEN" Fatal,
    /// A number is missing among the events.
    EventGap = "I905" "EVENT_GAP" Fatal,
    /// The database does not keep what the books rely on.
    EngineSettings = "I906" "ENGINE_SETTINGS" Fatal,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Each of these ages, in milliseconds, makes a discrepancy one worse.
const AGES: [i64; 3] = [24 * HOUR, 72 * HOUR, 120 * HOUR];
/// After this age a large amount makes it one worse.
pub(crate) const YOUNG: i64 = 30 * MINUTE;
/// What is large, in millionths of a USDT: 1,000.
const LARGE: i128 = 1_000_000_000;
/// What is worse at any age: 10,000.
const HUGE: i128 = 10_000_000_000;

impl Code {
    /// How bad it is at `age` milliseconds with `amount` millionths at stake. A fact that asks for
    /// nothing stays one, and what is fatal cannot become worse.
    #[must_use]
    pub fn severity_at(self, age: i64, amount: i128) -> Severity {
        let first = self.severity();
        if first == Severity::Info {
            return first;
        }
        let by_age = AGES.iter().filter(|limit| age >= **limit).count();
        let large = amount >= LARGE && age >= YOUNG;
        let by_amount = usize::from(large).saturating_add(usize::from(amount >= HUGE));
        let raises = by_age.saturating_add(by_amount);
        (0..raises).fold(first, |severity, _| severity.raised())
    }

    /// Why `--repair` leaves it alone though it looks as if rules could mend it; none for codes of
    /// which nobody expects that.
    #[must_use]
    pub const fn left_alone(self) -> Option<&'static str> {
        match self {
            Self::Reanchored => Some(
                "the time of another block may make it late, or in time: that is a decision about \
                 money, and the amount is right in either",
            ),
            Self::ConfirmedNotPosted => Some(
                "a state and its journal are written in one transaction, so somebody else wrote \
                 here; a journal written over that would hide it",
            ),
            _ => None,
        }
    }

    /// Whether evidence is missing because of it, so that nothing may be called clean.
    #[must_use]
    pub const fn is_incomplete(self) -> bool {
        matches!(self, Self::CoverageGap)
    }

    /// Whether the blocks it was seen in show it and nothing else does, so that a look at later
    /// ones does not find it again though it stands.
    #[must_use]
    pub const fn is_of_blocks(self) -> bool {
        matches!(
            self,
            Self::ChainOnly
                | Self::DepositOnly
                | Self::AmountDiffers
                | Self::TokenNotAllowed
                | Self::ExecutionFailed
                | Self::EndpointsDisagree
                | Self::BalanceDiffers
                | Self::UnexplainedOutflow
                | Self::TokenAdmin
        )
    }

    /// What an open case of this kind is.
    #[must_use]
    pub const fn of_case(kind: CaseKind) -> Self {
        match kind {
            CaseKind::WrongAsset => Self::WrongAsset,
            CaseKind::WrongNetwork => Self::WrongNetwork,
            CaseKind::Unassigned => Self::Unassigned,
            CaseKind::Duplicate => Self::Duplicate,
            CaseKind::Late => Self::Late,
            CaseKind::Overpaid => Self::Overpaid,
            CaseKind::Underpaid => Self::Underpaid,
            CaseKind::UnexplainedOutflow => Self::UnexplainedOutflow,
            CaseKind::DestroyedFunds => Self::TokenAdmin,
            CaseKind::ReversedAfterCredit => Self::ReversedAfterCredit,
        }
    }

    /// What to do about it, for a person.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::ChainOnly => "run `bursar reconcile --repair`: it is ingested by the usual rules",
            Self::DepositOnly | Self::AmountDiffers | Self::ExecutionFailed => {
                "pause the chain, ask another node for the transaction, do not credit by hand"
            }
            Self::TokenNotAllowed => "compare the token in the config with the contract's address",
            Self::Reanchored => "ask another node which block has it; the money is the same",
            Self::CoverageGap => {
                "where the books are behind or stalled, see to the daemon; else mend the endpoint, \
                 or put another before it in the config (--chain NAME --second-endpoint URL \
                 stands in for the second one alone)"
            }
            Self::EndpointsDisagree => "find out which endpoint lies and take it out of the config",
            Self::Unassigned
            | Self::Underpaid
            | Self::Overpaid
            | Self::Duplicate
            | Self::Late
            | Self::WrongNetwork
            | Self::WrongAsset => "decide the case",
            Self::Partial => "wait for the rest, or for the order to expire",
            Self::NotCredited => "look whether the chain is paused (`bursar chain show`)",
            Self::PostedNotFinal => "pause the chain; the credit rests on a block that may go",
            Self::ConfirmedNotPosted
            | Self::LedgerAmountDiffers
            | Self::DoublePosted
            | Self::OrphanJournal => {
                "run `bursar reconcile verify`; restore a backup if the books were changed"
            }
            Self::RateDiffers => "compare the order's price with the journal",
            Self::SuspenseDiffers => "run `bursar reconcile verify`",
            Self::ReversedAfterCredit => "decide the case: the customer may have spent the credits",
            Self::NegativeBalance => "find what was taken; nothing but a reversal may do that",
            Self::EventUnacked => "look at the billing service: it was told and did not answer",
            Self::BalanceDiffers => "look at the address in an explorer",
            Self::UnexplainedOutflow => {
                "find out who signed it: only you hold the keys; --repair records what was missed"
            }
            Self::DustOutflow => "find out who signed it, little as it is; --repair records it",
            Self::TokenAdmin => "read the issuer's notice before anything is credited",
            Self::AssetUnbalanced
            | Self::ProjectionDiffers
            | Self::LogBroken
            | Self::EventGap
            | Self::EngineSettings => "stop, keep a copy, restore from a backup",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_grows_with_age_and_amount() {
        let code = Code::Late;
        let at = |age, amount| code.severity_at(age, amount);
        assert_eq!(at(0, 0), Severity::Low);
        assert_eq!(at(24 * HOUR - 1, 0), Severity::Low);
        assert_eq!(at(24 * HOUR, 0), Severity::Medium);
        assert_eq!(at(72 * HOUR, 0), Severity::High);
        assert_eq!(at(120 * HOUR, 0), Severity::Critical);
        assert_eq!(at(1_000 * HOUR, HUGE), Severity::Critical);
        assert_eq!(at(YOUNG - 1, LARGE), Severity::Low);
        assert_eq!(at(YOUNG, LARGE), Severity::Medium);
        assert_eq!(at(0, HUGE), Severity::Medium);
        assert_eq!(Code::Reanchored.severity_at(i64::MAX, i128::MAX), Severity::Info);
        assert_eq!(Code::EventGap.severity_at(0, 0), Severity::Fatal);
    }

    #[test]
    fn words_are_told_apart_and_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.word()), Some(*code));
        }
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(severity.word()), Some(severity));
        }
        assert_eq!(Code::parse("C107"), None);
    }

    #[test]
    fn each_says_what_to_do_and_one_that_evidence_is_missing() {
        for code in Code::ALL {
            assert!(code.advice().contains(' '), "{code:?} says nothing to a person");
            assert_eq!(code.is_incomplete(), *code == Code::CoverageGap, "{code:?}");
        }
        assert!(Code::ChainOnly.advice().contains("--repair"));
        assert!(Code::LogBroken.advice().contains("backup"));
    }
}
