//! What the books say, as `compare` reads it: group by group.
//!
//! In: orders with what is recorded of them, deposits nobody owns, journals of no cause at hand.
//! Out: values for `compare`. Never: all of it at once; a group is looked at and let go of.
//! Why: a hundred thousand orders with their journals do not fit where their addresses do.

use std::collections::BTreeMap;

use crate::address::{Address, Spelling};
use crate::case::Case;
use crate::chain::Cursor;
use crate::changes::Rules;
use crate::deposit::Deposit;
use crate::ledger::Journal;
use crate::name::ChainName;
use crate::order::Dossier;
use crate::outflow::Outflow;
use crate::time::Time;

use super::report::FindingId;

/// What is known of the books before any group is read.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The rules of every chain that is compared.
    pub rules: Rules,
    /// How each chain spells addresses, where it is not as EVM chains do.
    pub spellings: BTreeMap<ChainName, Spelling>,
    /// How far each chain is recorded.
    pub cursors: BTreeMap<ChainName, Cursor>,
    /// The last journal of these books.
    pub ledger_seq: u64,
    /// What the billing service has not acknowledged, where it is to acknowledge anything.
    pub unacknowledged: Option<Unacknowledged>,
    /// The as-of time of the run that first saw a discrepancy.
    pub known: BTreeMap<FindingId, Time>,
}

impl Frame {
    /// An address as people on `chain` write it.
    pub(super) fn spell(&self, chain: &ChainName, address: &Address) -> String {
        address.spell(self.spellings.get(chain).copied().unwrap_or(Spelling::Evm))
    }
}

/// Events that were told and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unacknowledged {
    /// The number of the oldest.
    pub first: u64,
    /// The number of the newest.
    pub last: u64,
    /// When the oldest was recorded.
    pub at: Time,
    /// How many milliseconds an acknowledgement may take.
    pub within: i64,
}

/// What belongs together: an order with all that is recorded of it, or a deposit of no order.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// The order; none for a deposit that no order owns.
    pub order: Option<&'a Dossier>,
    /// The deposits.
    pub deposits: &'a [Deposit],
    /// Their cases.
    pub cases: &'a [Case],
    /// Their journals, oldest first.
    pub journals: &'a [Journal],
}

impl Group<'_> {
    /// Who it is, in words: the order, or the deposit that no order owns.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.order, self.deposits) {
            (Some(dossier), _) => format!("order {}", dossier.order.id),
            (None, [deposit, ..]) => format!("deposit {}", deposit.id),
            (None, []) => "nobody".to_owned(),
        }
    }
}

impl<'a> From<&'a Dossier> for Group<'a> {
    fn from(dossier: &'a Dossier) -> Self {
        Self {
            order: Some(dossier),
            deposits: &dossier.deposits,
            cases: &dossier.cases,
            journals: &dossier.journals,
        }
    }
}

/// All of the books at once, where they are small.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// What is known before any group.
    pub frame: Frame,
    /// The orders.
    pub orders: Vec<Dossier>,
    /// Deposits of no order.
    pub unassigned: Vec<Deposit>,
    /// Their cases.
    pub unassigned_cases: Vec<Case>,
    /// Journals of no order.
    pub unassigned_journals: Vec<Journal>,
    /// What left addresses of ours.
    pub outflows: Vec<Outflow>,
}
