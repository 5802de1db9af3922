//! What the books remember that may matter to an update.
//!
//! In: an update. Out: the `Snapshot` that `payments::changes` documents, no less and no more.
//! Never: an order that the update cannot touch. Why: a rule that needs more than it is given
//! must fail here, where a thousand histories look for it, before it fails on a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::address::Address;
use payments::case::{Case, CaseId, RefundState, Resolution, Step, StepKind};
use payments::chain::{Scan, Transfer, TxHash, final_time};
use payments::changes::{Held, RefundFact, Sent, Snapshot, Update};
use payments::deposit::{Deposit, DepositId, State};
use payments::ledger::{Account, Asset};
use payments::name::{ChainName, OrderId};
use payments::notice::{Noted, Notice, What};
use payments::outflow::{Outflow, OutflowId, OutflowState, Way};

use super::places::OfChain;
use super::{Filed, Memory};

/// Of a chain of which nothing is recorded.
static NOTHING: OfChain = OfChain::NEW;

impl Memory {
    /// What is remembered and may matter to `update`.
    pub fn snapshot(&self, update: &Update) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut orders = BTreeSet::new();
        match update {
            Update::Scan(scan) => {
                let seen = (scan.transfers.as_slice(), scan.notices.as_slice());
                self.remember_chain(&scan.chain, seen, None, &mut snapshot, &mut orders);
                self.remember_expiring(scan, &mut orders);
            }
            Update::Rescan { chain, transfers, notices } => {
                let seen = (transfers.as_slice(), notices.as_slice());
                self.remember_chain(chain, seen, None, &mut snapshot, &mut orders);
            }
            Update::Create(order) => {
                orders.insert(order.id.clone());
                if let Some(owner) = self.owners.get(&order.address) {
                    snapshot.owners.insert(order.address, owner.clone());
                }
            }
            Update::Cancel(order) => {
                let chain = self.orders.get(order).map(|filed| &filed.order.chain);
                snapshot.cursor = chain.and_then(|chain| self.cursors.get(chain)).cloned();
                orders.insert(order.clone());
            }
            Update::Adopt(adoption) => {
                let base = Some(adoption.base.id.height);
                self.remember_chain(&adoption.chain, (&[], &[]), base, &mut snapshot, &mut orders);
            }
            Update::Resolve { case, resolution, .. } => {
                self.remember_case(case, &mut snapshot, &mut orders);
                match resolution {
                    Resolution::Reassign(order) => {
                        orders.insert(order.clone());
                    }
                    Resolution::Refund { to, .. } => {
                        if let Some(owner) = self.owners.get(to) {
                            snapshot.owners.insert(*to, owner.clone());
                        }
                    }
                    _ => {}
                }
            }
            Update::Withdraw { case, .. } => self.remember_case(case, &mut snapshot, &mut orders),
            Update::Refund { case, fact, .. } => {
                self.remember_case(case, &mut snapshot, &mut orders);
                let (RefundFact::Sent(tx) | RefundFact::Seen(tx, _) | RefundFact::GivenUp(tx, _)) =
                    fact;
                let chain = snapshot.cursor.as_ref().map(|cursor| cursor.chain.clone());
                if let Some(chain) = chain {
                    snapshot.spent = self.spent(&chain, tx);
                    if let RefundFact::Sent(tx) = fact {
                        self.remember_sent(&chain, *tx, &mut snapshot, &mut orders);
                    }
                }
            }
            Update::Asked { chain, answers } => {
                snapshot.cursor = self.cursors.get(chain).cloned();
                let all = self.notices.iter().filter(|noted| noted.chain == *chain);
                snapshot.notices = all.map(|noted| (**noted).clone()).collect();
                for account in answers.blacklisted.iter().flat_map(|asked| asked.keys()) {
                    if let Some(owner) = self.owners.get(account) {
                        snapshot.owners.insert(*account, owner.clone());
                    }
                }
            }
            Update::ReconcileFailed { .. } => {}
            Update::Stall { chain, .. }
            | Update::Pause { chain, .. }
            | Update::Resume { chain, .. } => {
                snapshot.cursor = self.cursors.get(chain).cloned();
            }
        }
        let dossiers =
            orders.into_iter().filter_map(|id| Some((id.clone(), Arc::clone(self.dossier(&id)?))));
        snapshot.dossiers = dossiers.collect();
        snapshot
    }

    fn remember_case(&self, id: &CaseId, snapshot: &mut Snapshot, orders: &mut BTreeSet<OrderId>) {
        let Some(case) = self.places.cases.get(id).map(|at| &self.cases[*at]) else { return };
        let fresh = || payments::chain::Cursor::new(case.chain.clone());
        snapshot.cursor = Some(self.cursors.get(&case.chain).cloned().unwrap_or_else(fresh));
        let about = OutflowId::of_case(case).and_then(|id| self.outflow(&id));
        snapshot.left = about.map(|outflow| outflow.amount);
        match &case.order {
            Some(order) => {
                orders.insert(order.clone());
            }
            None => {
                let about = |d: &&Deposit| d.order.is_none() && case.deposits.contains(&d.id);
                let txs: BTreeSet<TxHash> = case.deposits.iter().map(|id| id.tx).collect();
                let places = txs.iter().flat_map(|tx| self.places.by_tx.get(tx)).flatten();
                let places: BTreeSet<&usize> = places.collect();
                let about = places.into_iter().map(|at| self.deposits[*at].as_ref()).filter(about);
                snapshot.unassigned = about.cloned().collect();
                self.remember_nobodys(snapshot);
                let bare = case.deposits.is_empty().then(|| (**case).clone());
                snapshot.unassigned_cases.extend(bare);
            }
        }
    }

    /// The places of the transfers of a transaction that have paid a refund.
    pub(super) fn spent(&self, chain: &ChainName, tx: &TxHash) -> BTreeSet<u32> {
        let steps = self.paid_by(chain, tx).flat_map(|case| &case.steps);
        let of_tx = |step: &Step| match &step.kind {
            StepKind::Verified { tx: of, n } if of == tx => Some(*n),
            _ => None,
        };
        steps.filter_map(of_tx).collect()
    }

    /// The cases whose refund a transaction is said to pay, or pays.
    fn paid_by(&self, chain: &ChainName, tx: &TxHash) -> impl Iterator<Item = &Case> {
        let of_chain = self.places.of(chain).and_then(|of_chain| of_chain.paying.get(tx));
        of_chain.into_iter().flatten().map(|at| self.cases[*at].as_ref())
    }

    /// What was recorded as sent for refunds by one of `txs`, and was not found to fail.
    fn refunds_sent(&self, chain: &ChainName, txs: &BTreeSet<TxHash>) -> Sent {
        let mut sent = Sent::new();
        for tx in txs {
            for refund in self.paid_by(chain, tx).filter_map(Case::refund) {
                let stands = matches!(refund.state, RefundState::Sent | RefundState::Verified);
                if stands && refund.tx == Some(*tx) {
                    *sent.entry((*tx, refund.to, refund.net)).or_default() += 1;
                }
            }
        }
        sent
    }

    fn remember_chain(
        &self,
        chain: &ChainName,
        (transfers, notices): (&[Transfer], &[Notice]),
        base: Option<u64>,
        snapshot: &mut Snapshot,
        orders: &mut BTreeSet<OrderId>,
    ) {
        snapshot.cursor = self.cursors.get(chain).cloned();
        let ends = transfers.iter().flat_map(|transfer| [transfer.to, transfer.from]);
        for end in ends.chain(notices.iter().filter_map(|notice| notice.what.account())) {
            if let Some(owner) = self.owners.get(&end) {
                snapshot.owners.insert(end, owner.clone());
                orders.extend(owner.clone());
            }
        }
        let finalized = snapshot.cursor.as_ref().and_then(|cursor| cursor.finalized);
        let finalized = finalized.map(|block| base.map_or(block.height, |b| b.min(block.height)));
        let of_chain = self.places.of(chain).unwrap_or(&NOTHING);
        let row = &of_chain.deposits;
        let open: BTreeSet<usize> =
            row.above(finalized).chain(row.pending.iter().copied()).collect();
        let by_tx = transfers.iter().filter_map(|t| Some((t.n, self.places.by_tx.get(&t.tx)?)));
        let asked = by_tx.flat_map(|(n, places)| places.iter().map(move |at| (n, *at)));
        let asked = asked.filter(|(n, at)| {
            let id = &self.deposits[*at].id;
            id.n == *n && id.chain == *chain
        });
        let asked: BTreeSet<usize> = asked.map(|(_, at)| at).collect();
        for at in open.union(&asked) {
            let (deposit, open) = (&self.deposits[*at], open.contains(at));
            match &deposit.order {
                Some(order) if open || self.is_astray(deposit) => {
                    orders.insert(order.clone());
                }
                None => snapshot.unassigned.push((**deposit).clone()),
                Some(_) => {}
            }
        }
        self.remember_nobodys(snapshot);
        let seen = (transfers, notices);
        self.remember_outflows(chain, seen, finalized, snapshot, orders);
        self.remember_notices(chain, notices, finalized, snapshot);
    }

    fn remember_notices(
        &self,
        chain: &ChainName,
        notices: &[Notice],
        finalized: Option<u64>,
        snapshot: &mut Snapshot,
    ) {
        let asked: BTreeSet<(TxHash, u32)> = notices.iter().map(|of| (of.tx, of.n)).collect();
        let left: BTreeSet<TxHash> = snapshot.outflows.iter().map(|of| of.id.tx).collect();
        let of_chain = self.places.of(chain).unwrap_or(&NOTHING);
        let txs = asked.iter().map(|(tx, _)| tx).chain(&left);
        let by_tx = txs.flat_map(|tx| of_chain.noted.get(tx)).flatten().copied();
        let places: BTreeSet<usize> = of_chain.notices.above(finalized).chain(by_tx).collect();
        let wanted = |noted: &&Noted| {
            let notice = &noted.notice;
            finalized.is_none_or(|height| notice.block.height > height)
                || asked.contains(&(notice.tx, notice.n))
                || left.contains(&notice.tx)
        };
        let found = places.iter().map(|at| self.notices[*at].as_ref()).filter(wanted);
        snapshot.notices = found.cloned().collect();
    }

    fn remember_outflows(
        &self,
        chain: &ChainName,
        (transfers, notices): (&[Transfer], &[Notice]),
        finalized: Option<u64>,
        snapshot: &mut Snapshot,
        orders: &mut BTreeSet<OrderId>,
    ) {
        let ours = || transfers.iter().filter(|t| self.owners.contains_key(&t.from));
        // What is said to be destroyed has left too.
        let destroyed = notices.iter().filter_map(|notice| match notice.what {
            What::Destroyed { from, .. } if self.owners.contains_key(&from) => {
                Some((notice.tx, notice.n, from, notice.block.height))
            }
            _ => None,
        });
        let destroyed: Vec<_> = destroyed.collect();
        let id = |tx, n, way| OutflowId { chain: chain.clone(), tx, n, way };
        let by_transfer = ours().map(|t| id(t.tx, t.n, Way::Transfer));
        let by_notice = destroyed.iter().map(|(tx, n, ..)| id(*tx, *n, Way::Destroyed));
        let asked = by_transfer.chain(by_notice);
        let asked = asked.filter_map(|id| self.places.outflows.get(&id).copied());
        let of_chain = self.places.of(chain).unwrap_or(&NOTHING);
        let pending = of_chain.deposits.pending.iter().map(|at| self.deposits[*at].to);
        let pending: BTreeSet<Address> = pending.collect();
        let row = &of_chain.outflows;
        let later: BTreeSet<Address> =
            row.above(finalized).map(|at| self.outflows[at].from).collect();
        let awaited = |at: &usize| {
            let from = self.outflows[*at].from;
            pending.contains(&from) || later.contains(&from) || snapshot.owners.contains_key(&from)
        };
        let open = row.above(finalized).chain(row.pending.iter().copied()).chain(asked);
        let places: BTreeSet<usize> =
            open.chain(of_chain.waiting.iter().copied().filter(awaited)).collect();
        let outflows = places.iter().map(|at| (*self.outflows[*at]).clone());
        let outflows: Vec<Outflow> = outflows.collect();
        orders.extend(outflows.iter().filter_map(|outflow| outflow.order.clone()));
        snapshot.outflow_cases = self.outflow_cases(&outflows);
        let txs = outflows.iter().map(|outflow| outflow.id.tx).chain(ours().map(|t| t.tx));
        snapshot.refunds = self.refunds_sent(chain, &txs.collect());
        let places = outflows.iter().map(|outflow| (outflow.from, outflow.block.height));
        let places = places.chain(destroyed.iter().map(|(_, _, from, height)| (*from, *height)));
        let mut lowest: BTreeMap<Address, u64> = BTreeMap::new();
        for (sender, height) in places.chain(ours().map(|t| (t.from, t.block.height))) {
            let least = lowest.entry(sender).or_insert(height);
            *least = height.min(*least);
        }
        for (sender, height) in lowest {
            snapshot.held.insert(sender, self.held(chain, sender, height));
        }
        snapshot.outflows = outflows;
    }

    /// What the books hold of an address, and what moved there above a height.
    fn held(&self, chain: &ChainName, sender: Address, height: u64) -> Held {
        let of_chain = self.places.of(chain).unwrap_or(&NOTHING);
        let owner = self.owners.get(&sender).and_then(Option::as_ref);
        let arrived = of_chain.deposits.at(&sender).map(|at| &self.deposits[at]);
        let booked = arrived.filter(|deposit| {
            let is_others = deposit.order.is_some() && deposit.order.as_ref() != owner;
            deposit.assigned.is_none()
                && !(is_others && deposit.amount.is_zero())
                && deposit.state.is_on_chain()
                && deposit.state != State::Pending
        });
        let came = booked.map(|deposit| (deposit.block.height, deposit.amount.micro()));
        let taken = of_chain.outflows.at(&sender).map(|at| &self.outflows[at]);
        let left = taken.filter(|outflow| outflow.state == OutflowState::Booked);
        let left = left.map(|outflow| (outflow.block.height, -outflow.amount.micro()));
        let mut moves: Vec<(u64, i64)> = came.chain(left).collect();
        let rounded = i64::try_from(moves.len()).unwrap();
        moves.retain(|(at, micro)| *at > height && *micro != 0);
        moves.sort_unstable();
        let custody = Account::Custody(chain.clone(), sender);
        let now = i64::try_from(-self.net(&Asset::Usdt(chain.clone()), &custody)).unwrap();
        Held { now, rounded, moves }
    }

    /// What left by a transaction, with its orders and its cases.
    fn remember_sent(
        &self,
        chain: &ChainName,
        tx: TxHash,
        snapshot: &mut Snapshot,
        orders: &mut BTreeSet<OrderId>,
    ) {
        let first = OutflowId { chain: chain.clone(), tx, n: 0, way: Way::Transfer };
        let of_tx = self.places.outflows.range(first..);
        let of_tx = of_tx.take_while(|(id, _)| (&id.chain, id.tx) == (chain, tx));
        let places: BTreeSet<usize> = of_tx.map(|(_, at)| *at).collect();
        snapshot.outflows = places.iter().map(|at| (*self.outflows[*at]).clone()).collect();
        orders.extend(snapshot.outflows.iter().filter_map(|outflow| outflow.order.clone()));
        snapshot.outflow_cases = self.outflow_cases(&snapshot.outflows);
        snapshot.refunds = self.refunds_sent(chain, &BTreeSet::from([tx]));
    }

    /// The cases of these outflows that no order owns.
    fn outflow_cases(&self, outflows: &[Outflow]) -> Vec<Case> {
        let unowned = outflows.iter().filter(|outflow| outflow.order.is_none());
        let cases = unowned.filter_map(|outflow| self.places.cases.get(&outflow.case()).copied());
        let cases: BTreeSet<usize> = cases.collect();
        cases.iter().map(|at| (*self.cases[*at]).clone()).collect()
    }

    /// Whether a deposit may be seen at another address than its order's.
    fn is_astray(&self, deposit: &Deposit) -> bool {
        if deposit.assigned.is_some() {
            return false;
        }
        let owner = self.owners.get(&deposit.to).and_then(Option::as_ref);
        !deposit.state.is_on_chain() || owner != deposit.order.as_ref()
    }

    /// Cases and journals of the unassigned deposits, each list the oldest first.
    fn remember_nobodys(&self, snapshot: &mut Snapshot) {
        let ids: BTreeSet<&DepositId> = snapshot.unassigned.iter().map(|d| &d.id).collect();
        let at = |index: &BTreeMap<DepositId, BTreeSet<usize>>| -> BTreeSet<usize> {
            ids.iter().filter_map(|id| index.get(id)).flatten().copied().collect()
        };
        let cases = at(&self.places.nobodys_cases);
        let cases = cases.iter().map(|at| self.cases[*at].as_ref());
        let about = cases.filter(|case| case.deposits.iter().any(|id| ids.contains(id)));
        let about: Vec<Case> = about.cloned().collect();
        let journals = at(&self.places.nobodys_journals);
        let journals = journals.iter().map(|at| (*self.journals[*at]).clone());
        snapshot.unassigned_journals = journals.collect();
        snapshot.unassigned_cases = about;
    }

    fn remember_expiring(&self, scan: &Scan, orders: &mut BTreeSet<OrderId>) {
        let fresh = payments::chain::Cursor::new(scan.chain.clone());
        let cursor = self.cursors.get(&scan.chain).unwrap_or(&fresh);
        let Some(time) = final_time(cursor, scan) else { return };
        let over = |filed: &&Filed| {
            let facts = &filed.facts;
            let open = facts.paid.is_none() && facts.expired.is_none();
            let passed = filed.order.expires_at.is_some_and(|expiry| expiry < time);
            filed.order.chain == scan.chain && open && facts.cancelled.is_none() && passed
        };
        let over = self.orders.values().filter(over);
        orders.extend(over.map(|filed| filed.order.id.clone()));
    }
}
