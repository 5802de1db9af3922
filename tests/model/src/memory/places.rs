//! Where in the books stands what a snapshot asks for.
//!
//! In: every row as it is written. Out: places in the lists of the books, lowest first.
//! Never: anything that the lists do not say; two books are the same whatever is here.
//! Why: a snapshot of long books must not cost more than one of short ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::address::Address;
use payments::case::{Case, CaseId, StepKind};
use payments::chain::TxHash;
use payments::deposit::{Deposit, DepositId, State};
use payments::ledger::Journal;
use payments::name::{ChainName, OrderId};
use payments::notice::{Noted, NoticeId};
use payments::outflow::{Outflow, OutflowId, OutflowState};

/// Places by what is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) deposits: BTreeMap<(DepositId, Option<OrderId>), usize>,
    pub(super) outflows: BTreeMap<OutflowId, usize>,
    pub(super) notices: BTreeMap<NoticeId, usize>,
    pub(super) cases: BTreeMap<CaseId, usize>,
    pub(super) journals: BTreeMap<Arc<str>, usize>,
    chains: BTreeMap<ChainName, OfChain>,
    /// Cases and journals that concern no order, by their deposits.
    pub(super) nobodys_cases: BTreeMap<DepositId, BTreeSet<usize>>,
    pub(super) nobodys_journals: BTreeMap<DepositId, BTreeSet<usize>>,
    /// Deposits by transaction, on whatever chain.
    pub(super) by_tx: BTreeMap<TxHash, BTreeSet<usize>>,
}

/// What follows from the books is no part of what they say.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

/// Places of what happened on one chain.
#[derive(Debug, Clone)]
pub(super) struct OfChain {
    pub(super) deposits: Row,
    pub(super) outflows: Row,
    /// Outflows that wait for a deposit.
    pub(super) waiting: BTreeSet<usize>,
    pub(super) notices: Row,
    /// Notices by transaction.
    pub(super) noted: BTreeMap<TxHash, BTreeSet<usize>>,
    /// Cases by the transactions that were sent or verified for their refunds.
    pub(super) paying: BTreeMap<TxHash, BTreeSet<usize>>,
}

/// Places of one kind of rows.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// By the height of their block.
    heights: BTreeSet<(u64, usize)>,
    /// Those that are pending.
    pub(super) pending: BTreeSet<usize>,
    /// By the address of ours that they went to or came from.
    at: BTreeMap<Address, BTreeSet<usize>>,
}

impl OfChain {
    pub(super) const NEW: Self = Self {
        deposits: Row::NEW,
        outflows: Row::NEW,
        waiting: BTreeSet::new(),
        notices: Row::NEW,
        noted: BTreeMap::new(),
        paying: BTreeMap::new(),
    };
}

impl Row {
    const NEW: Self =
        Self { heights: BTreeSet::new(), pending: BTreeSet::new(), at: BTreeMap::new() };

    /// Those in blocks above a height; without one, all.
    pub(super) fn above(&self, height: Option<u64>) -> impl Iterator<Item = usize> {
        let from = height.map_or((0, 0), |height| (height.saturating_add(1), 0));
        self.heights.range(from..).map(|(_, place)| *place)
    }

    /// Those at an address.
    pub(super) fn at(&self, address: &Address) -> impl Iterator<Item = usize> {
        self.at.get(address).into_iter().flatten().copied()
    }

    fn put(&mut self, place: usize, was: Option<u64>, height: u64, pending: bool) {
        if let Some(was) = was.filter(|was| *was != height) {
            self.heights.remove(&(was, place));
        }
        self.heights.insert((height, place));
        if pending {
            self.pending.insert(place);
        } else {
            self.pending.remove(&place);
        }
    }
}

impl Places {
    pub(super) fn of(&self, chain: &ChainName) -> Option<&OfChain> {
        self.chains.get(chain)
    }

    fn of_mut(&mut self, chain: &ChainName) -> &mut OfChain {
        self.chains.entry(chain.clone()).or_insert(OfChain::NEW)
    }

    pub(super) fn deposit(&mut self, place: usize, was: Option<&Deposit>, is: &Deposit) {
        let row = &mut self.of_mut(&is.id.chain).deposits;
        let pending = is.state == State::Pending;
        row.put(place, was.map(|was| was.block.height), is.block.height, pending);
        if was.is_none_or(|was| was.to != is.to) {
            if let Some(list) = was.and_then(|was| row.at.get_mut(&was.to)) {
                list.remove(&place);
            }
            row.at.entry(is.to).or_default().insert(place);
        }
        self.by_tx.entry(is.id.tx).or_default().insert(place);
    }

    pub(super) fn outflow(&mut self, place: usize, was: Option<&Outflow>, is: &Outflow) {
        let of_chain = self.of_mut(&is.id.chain);
        let row = &mut of_chain.outflows;
        let pending = is.state == OutflowState::Pending;
        row.put(place, was.map(|was| was.block.height), is.block.height, pending);
        if was.is_none_or(|was| was.from != is.from) {
            if let Some(list) = was.and_then(|was| row.at.get_mut(&was.from)) {
                list.remove(&place);
            }
            row.at.entry(is.from).or_default().insert(place);
        }
        if is.state == OutflowState::Waiting {
            of_chain.waiting.insert(place);
        } else {
            of_chain.waiting.remove(&place);
        }
    }

    pub(super) fn notice(&mut self, place: usize, was: Option<&Noted>, is: &Noted) {
        let of_chain = self.of_mut(&is.chain);
        let height = |of: &Noted| of.notice.block.height;
        of_chain.notices.put(place, was.map(height), height(is), false);
        of_chain.noted.entry(is.notice.tx).or_default().insert(place);
    }

    pub(super) fn case(&mut self, place: usize, is: &Case) {
        for step in &is.steps {
            if let StepKind::Sent(tx) | StepKind::Verified { tx, .. } = &step.kind {
                self.of_mut(&is.chain).paying.entry(*tx).or_default().insert(place);
            }
        }
        if is.order.is_none() {
            for id in &is.deposits {
                self.nobodys_cases.entry(id.clone()).or_default().insert(place);
            }
        }
    }

    pub(super) fn journal(&mut self, place: usize, is: &Journal) {
        if let (None, Some(id)) = (&is.order, &is.deposit) {
            self.nobodys_journals.entry(id.clone()).or_default().insert(place);
        }
    }
}
