//! What left an address of ours: swept, taken by the token, or nobody knows why.
//!
//! In: one transfer whose sender is ours. Out: its identity, its journal, what of it is booked.
//! Never: booked by a number of confirmations, or beyond what the books held there at that height.
//! Why: custody is the token's `balanceOf`; money that left and is still in the books is a hole.

use std::fmt;

use ruint::aliases::U256;

use crate::address::Address;
use crate::amount::{AmountError, Usdt};
use crate::case::{Case, CaseId, CaseKind};
use crate::chain::{BlockId, TxHash};
use crate::ledger::{Account, Entry, Journal};
use crate::name::{ChainName, OrderId};
use crate::time::Time;

/// The most that the token contract lets its owner take of a transfer, in parts of 10,000.
const MOST_POINTS: u8 = 20;
/// And in USDT: `setParams` of TetherToken, on Ethereum and on TRON.
const MOST_FEE: i64 = 50_000_000;

/// How money left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// By a Transfer.
    Transfer,
    /// The token's owner destroyed it, without a Transfer.
    Destroyed,
}

/// Who an outflow is: as a deposit, a place among the token's logs inside its transaction.
///
/// Written `chain:txhash:n`, and `chain:txhash:n:destroyed` where no Transfer made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutflowId {
    /// The chain.
    pub chain: ChainName,
    /// The transaction.
    pub tx: TxHash,
    /// The place among the token's Transfer logs (or notices), from 0.
    pub n: u32,
    /// How it left.
    pub way: Way,
}

impl fmt::Display for OutflowId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.way {
            Way::Transfer => "",
            Way::Destroyed => ":destroyed",
        };
        out.pad(&format!("{}:{}:{}{end}", self.chain, self.tx, self.n))
    }
}

impl OutflowId {
    /// The outflow that a case of [`Outflow::case`] is about; `None` of any other case.
    #[must_use]
    pub fn of_case(case: &Case) -> Option<Self> {
        let (_, subject) = case.id.0.split_once(':').filter(|_| case.kind.is_about_an_outflow())?;
        Self::parse(subject.split('#').next()?)
    }

    /// Parses what [`fmt::Display`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let chain = ChainName::new(parts.next()?).ok()?;
        let tx = TxHash::parse(parts.next()?)?;
        let n = parts.next()?.parse().ok()?;
        let way = match parts.next() {
            None => Way::Transfer,
            Some("destroyed") => Way::Destroyed,
            Some(_) => return None,
        };
        parts.next().is_none().then_some(Self { chain, tx, n, way })
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$of:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word means; `None` for anything else.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|one| one.word() == word)
            }
        }
    };
}

words! {
    /// What became of an outflow.
    OutflowState {
        /// Seen in a block that the chain can still take back.
        Pending = "pending",
        /// Final, and more than the books held there: a deposit is missing.
        Waiting = "waiting",
        /// Final and in the books.
        Booked = "booked",
        /// Its block is no longer part of the chain. The transaction may be mined again.
        Orphaned = "orphaned",
    }
}

words! {
    /// Why nobody needs to ask about an outflow.
    Explanation {
        /// It went to a treasury address of the config.
        Treasury = "treasury",
        /// The token's own fee for a sweep.
        Fee = "fee",
        /// A recorded refund was sent by this transaction.
        Refund = "refund",
        /// The token's owner took it; a case of its own says so.
        Destroyed = "destroyed",
    }
}

impl OutflowState {
    /// Whether its block is part of the chain as far as is known.
    #[must_use]
    pub const fn is_on_chain(self) -> bool {
        !matches!(self, Self::Orphaned)
    }
}

/// Money that left an address of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outflow {
    /// Who it is.
    pub id: OutflowId,
    /// The order that owned the address when this was first recorded; none where nobody did.
    pub order: Option<OrderId>,
    /// Our address.
    pub from: Address,
    /// The account credited; of what was destroyed, none: zero.
    pub to: Address,
    /// The exact value in the token's base units.
    pub raw: U256,
    /// The value in the books, rounded up to a millionth; once booked, what was booked.
    pub amount: Usdt,
    /// The block it sits in now (or last sat in).
    pub block: BlockId,
    /// That block's time.
    pub time: Time,
    /// Its place among all logs of that block.
    pub log_index: u64,
    /// What became of it.
    pub state: OutflowState,
    /// Why nobody needs to ask, decided when it is final.
    pub explained: Option<Explanation>,
    /// How often it was mined, from 1; a reorg that mines it again begins another round.
    pub round: u32,
}

impl Outflow {
    /// The key of the journal of this round: `sweep:<id>`.
    #[must_use]
    pub fn key(&self) -> String {
        self.round_of(&format!("sweep:{}", self.id))
    }

    /// What its case is about, where it has one: of what was destroyed, that; of anything else,
    /// that nobody knows why it left.
    #[must_use]
    pub fn case_kind(&self) -> CaseKind {
        let destroyed = self.explained == Some(Explanation::Destroyed);
        match destroyed || self.id.way == Way::Destroyed {
            true => CaseKind::DestroyedFunds,
            false => CaseKind::UnexplainedOutflow,
        }
    }

    /// The case of this round, where it has one.
    #[must_use]
    pub fn case(&self) -> CaseId {
        CaseId(self.round_of(&format!("{}:{}", self.case_kind().word(), self.id)))
    }

    fn round_of(&self, base: &str) -> String {
        if self.round > 1 { format!("{base}#{}", self.round) } else { base.to_owned() }
    }

    /// What booking it writes. What the token took for itself is lost; everything else went to
    /// the treasury, or to where a person has to say.
    pub(crate) fn journal(&self, recorded: Time) -> Option<Journal> {
        let chain = &self.id.chain;
        let taken = match self.explained {
            Some(Explanation::Fee | Explanation::Destroyed) => Account::Lost,
            Some(Explanation::Treasury | Explanation::Refund) | None => {
                Account::Treasury(chain.clone())
            }
        };
        let custody = Account::Custody(chain.clone(), self.from);
        let entry = Entry::usdt(chain, taken, custody, self.amount)?;
        Some(Journal {
            key: self.key(),
            order: None,
            deposit: None,
            effective: self.time,
            recorded,
            remainder: 0,
            entries: vec![entry],
        })
    }

    /// Whether this may be the token's own fee for `sweep`: the same transfer of the contract
    /// emits both, one behind the other, and bounds what its owner takes.
    pub(crate) fn is_fee_of(&self, sweep: &Self) -> bool {
        let beside = self.id.n.abs_diff(sweep.id.n) == 1;
        let both = |outflow: &Self| outflow.id.way == Way::Transfer && outflow.state.is_on_chain();
        if !beside || self.id.tx != sweep.id.tx || self.from != sweep.from || self.to == sweep.to {
            return false;
        }
        let points = |raw: U256, by: u32| raw.checked_mul(U256::from(by));
        let whole = self.raw.checked_add(sweep.raw);
        let small = match (points(self.raw, 10_000), whole) {
            (Some(fee), Some(whole)) => {
                points(whole, u32::from(MOST_POINTS)).is_some_and(|most| fee <= most)
            }
            _ => false,
        };
        both(self) && both(sweep) && small && self.amount.micro() <= MOST_FEE
    }

    /// What is booked where the books hold `held` of the address: the amount, or all that is held
    /// where no more than rounding is missing; none where it must wait. With more than six decimals
    /// deposits are rounded down and outflows up, each by less than a millionth, so that custody
    /// is not above the balance: an outflow of the exact sum exceeds it by less than `rounded`.
    pub(crate) fn bookable(&self, held: i64, rounded: i64, decimals: u8) -> Option<Usdt> {
        let short = self.amount.micro().saturating_sub(held);
        if short <= 0 {
            return Some(self.amount);
        }
        let rounding = if decimals > 6 { rounded.saturating_add(1) } else { 0 };
        if short <= rounding { Usdt::from_micro(held.max(0)) } else { None }
    }
}

/// The value of an outflow in the books, rounded up to a millionth.
///
/// # Errors
/// [`AmountError::OutOfRange`] beyond the books' range.
pub fn rounded_up(raw: U256, decimals: u8) -> Result<Usdt, AmountError> {
    let down = Usdt::from_raw(raw, decimals)?;
    if decimals <= 6 || down.to_raw(decimals) == Some(raw) {
        return Ok(down);
    }
    let one = Usdt::from_micro(1).unwrap_or_default();
    down.plus(one).ok_or_else(|| AmountError::OutOfRange(raw.to_string()))
}
