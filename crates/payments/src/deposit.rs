//! A deposit: a transfer to one of our addresses, and what became of it.
//!
//! In: a transfer read whole. Out: its identity for ever, and its state.
//! Never: identified by a block-wide log index or by its amount.
//! Why: a reorg that mines the transaction again must find the same deposit, not a second one.

use std::fmt;

use ruint::aliases::U256;

use crate::address::{Address, from_hex, prefixed_hex};
use crate::amount::Usdt;
use crate::case::{CaseId, CaseKind};
use crate::chain::{BlockId, TxHash};
use crate::name::{ChainName, OrderId};
use crate::order::Order;
use crate::time::Time;

/// Who a transfer is: its place among its token's Transfer logs inside its transaction.
///
/// Written `chain:txhash:n`, and `chain:txhash:n:contract` for a token that is not the chain's
/// configured one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DepositId {
    /// The chain.
    pub chain: ChainName,
    /// The transaction.
    pub tx: TxHash,
    /// The place among the token's Transfer logs, from 0.
    pub n: u32,
    /// The token contract, where it is not the configured one.
    pub other_token: Option<Address>,
}

impl fmt::Display for DepositId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.chain, self.tx, self.n)?;
        match self.other_token {
            None => Ok(()),
            Some(token) => write!(out, ":{}", prefixed_hex(&token.0)),
        }
    }
}

impl DepositId {
    /// Parses what [`fmt::Display`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let chain = ChainName::new(parts.next()?).ok()?;
        let tx = TxHash::parse(parts.next()?)?;
        let n = parts.next()?.parse().ok()?;
        let other_token = match parts.next() {
            None => None,
            Some(token) => Some(Address(from_hex(token.strip_prefix("0x")?)?)),
        };
        if parts.next().is_some() {
            return None;
        }
        Some(Self { chain, tx, n, other_token })
    }
}

/// What became of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Seen in a block that the chain can still take back.
    Pending,
    /// Final and in the books, waiting for its order to be covered.
    Confirmed,
    /// Its order's credits were granted.
    Credited,
    /// Final, in the books, and waiting for a person.
    Suspended(CaseKind),
    /// Final and below the dust limit.
    Dust,
    /// Its block is no longer part of the chain. The transaction may be mined again.
    Orphaned,
    /// Orphaned after it was credited: the books were reversed.
    Reversed,
    /// A person had it credited, apart from what its order was to be paid.
    Granted,
    /// It is to be sent back.
    Refunding,
    /// A refund of it was verified on chain.
    Refunded,
    /// A person had it counted for another order, which has a deposit of the same id.
    Reassigned,
    /// A person decided to keep it and to credit nothing.
    Dismissed,
}

impl State {
    /// Whether its block is part of the chain as far as is known.
    #[must_use]
    pub const fn is_on_chain(self) -> bool {
        !matches!(self, Self::Orphaned | Self::Reversed)
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Credited => "credited",
            Self::Suspended(_) => "suspended",
            Self::Dust => "dust",
            Self::Orphaned => "orphaned",
            Self::Reversed => "reversed",
            Self::Granted => "granted",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Reassigned => "reassigned",
            Self::Dismissed => "dismissed",
        }
    }

    /// The state of a word, with the case kind of a suspended one; `None` for anything else.
    #[must_use]
    pub fn parse(word: &str, kind: Option<CaseKind>) -> Option<Self> {
        Some(match (word, kind) {
            ("pending", None) => Self::Pending,
            ("confirmed", None) => Self::Confirmed,
            ("credited", None) => Self::Credited,
            ("suspended", Some(kind)) => Self::Suspended(kind),
            ("dust", None) => Self::Dust,
            ("orphaned", None) => Self::Orphaned,
            ("reversed", None) => Self::Reversed,
            ("granted", None) => Self::Granted,
            ("refunding", None) => Self::Refunding,
            ("refunded", None) => Self::Refunded,
            ("reassigned", None) => Self::Reassigned,
            ("dismissed", None) => Self::Dismissed,
            _ => return None,
        })
    }
}

/// A transfer to one of our addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Who it is.
    pub id: DepositId,
    /// The order that owns the address; none for an imported address without one.
    pub order: Option<OrderId>,
    /// The account debited.
    pub from: Address,
    /// Our address.
    pub to: Address,
    /// The exact value in the token's base units.
    pub raw: U256,
    /// The value in the books, rounded down to a millionth.
    pub amount: Usdt,
    /// The block it sits in now (or last sat in).
    pub block: BlockId,
    /// That block's time.
    pub time: Time,
    /// Its place among all logs of that block.
    pub log_index: u64,
    /// What became of it.
    pub state: State,
    /// Whether it came after its order had expired or was cancelled.
    pub late: bool,
    /// The case whose decision brought it to this order, where it did not arrive for it. Its
    /// amount is then what that case held; everything else is the transfer's.
    pub assigned: Option<CaseId>,
}

impl Deposit {
    /// Whether it is this order's by its address, or by a person's decision.
    #[must_use]
    pub fn reached(&self, order: &Order) -> bool {
        self.to == order.address || self.assigned.is_some()
    }

    /// What is told of it where it is seen.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("amount", self.amount.to_string()),
            ("raw", self.raw.to_string()),
            ("tx", self.id.tx.to_string()),
            ("from", self.from.to_string()),
            ("height", self.block.height.to_string()),
        ]
    }

    /// What is told of it where it is found final.
    pub(crate) fn confirmed_facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("amount", self.amount.to_string()),
            ("tx", self.id.tx.to_string()),
            ("height", self.block.height.to_string()),
        ]
    }

    /// Its name in the keys of its order's journals and cases. One that a decision brought has
    /// journals of its own beside those of the order it arrived for.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.assigned, &self.order) {
            (Some(_), Some(order)) => format!("{}@{order}", self.id),
            _ => self.id.to_string(),
        }
    }
}
