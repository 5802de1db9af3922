//! What the books remember that may matter to an update.
//!
//! In: an update. Out: the `Snapshot` that `payments::changes` documents, no less and no more.
//! Never: an order that the update cannot touch. Why: a rule that needs more than it is given
//! must fail here, where a thousand histories look for it, before it fails on a disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use payments::address::Address;
use payments::case::{CaseId, Resolution, Step, StepKind};
use payments::chain::{Scan, Transfer, TxHash, final_time};
use payments::changes::{Held, RefundFact, Snapshot, Update};
use payments::deposit::{Deposit, DepositId, State};
use payments::ledger::{Account, Asset, Journal};
use payments::name::{ChainName, OrderId};
use payments::notice::{Noted, Notice, What};
use payments::outflow::{Outflow, OutflowState, Way};

use super::{Filed, Memory};

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
                if let Some(cursor) = &snapshot.cursor {
                    snapshot.spent = self.spent(&cursor.chain, tx);
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
        let Some(case) = self.case_at.get(id).map(|at| &self.cases[*at]) else { return };
        let fresh = || payments::chain::Cursor::new(case.chain.clone());
        snapshot.cursor = Some(self.cursors.get(&case.chain).cloned().unwrap_or_else(fresh));
        match &case.order {
            Some(order) => {
                orders.insert(order.clone());
            }
            None => {
                let about = |d: &&Arc<Deposit>| d.order.is_none() && case.deposits.contains(&d.id);
                let about = self.deposits.iter().filter(about).map(|d| (**d).clone());
                snapshot.unassigned = about.collect();
                self.remember_nobodys(snapshot);
                let bare = case.deposits.is_empty().then(|| (**case).clone());
                snapshot.unassigned_cases.extend(bare);
            }
        }
    }

    /// The places of the transfers of a transaction that have paid a refund.
    pub(super) fn spent(&self, chain: &ChainName, tx: &TxHash) -> BTreeSet<u32> {
        let cases = self.cases.iter().filter(|case| case.chain == *chain);
        let steps = cases.flat_map(|case| &case.steps);
        let of_tx = |step: &Step| match &step.kind {
            StepKind::Verified { tx: of, n } if of == tx => Some(*n),
            _ => None,
        };
        steps.filter_map(of_tx).collect()
    }

    /// What was recorded as sent for refunds by one of `txs`, and where it is to arrive.
    fn refunds_sent(
        &self,
        chain: &ChainName,
        txs: &BTreeSet<TxHash>,
    ) -> BTreeSet<(TxHash, Address)> {
        let cases = self.cases.iter().filter(|case| case.chain == *chain);
        let refunds = cases.filter_map(|case| Some((case.refund()?.to, &case.steps)));
        let sent = refunds.flat_map(|(to, steps)| steps.iter().map(move |step| (step, to)));
        let sent = sent.filter_map(|(step, to)| match &step.kind {
            StepKind::Sent(tx) if txs.contains(tx) => Some((*tx, to)),
            _ => None,
        });
        sent.collect()
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
        let asked: BTreeSet<(TxHash, u32)> = transfers.iter().map(|t| (t.tx, t.n)).collect();
        let is_asked = |deposit: &Deposit| asked.contains(&(deposit.id.tx, deposit.id.n));
        for deposit in self.deposits.iter().filter(|deposit| deposit.id.chain == *chain) {
            let open = deposit.state == State::Pending
                || finalized.is_none_or(|finalized| deposit.block.height > finalized);
            match &deposit.order {
                Some(order) if open || (is_asked(deposit) && self.is_astray(deposit)) => {
                    orders.insert(order.clone());
                }
                None if open || is_asked(deposit) => {
                    snapshot.unassigned.push((**deposit).clone());
                }
                _ => {}
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
        let wanted = |noted: &&Noted| {
            let notice = &noted.notice;
            noted.chain == *chain
                && (finalized.is_none_or(|height| notice.block.height > height)
                    || asked.contains(&(notice.tx, notice.n))
                    || left.contains(&notice.tx))
        };
        let found = self.notices.iter().map(AsRef::as_ref).filter(wanted);
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
        let by_transfer = ours().map(|t| (t.tx, t.n, Way::Transfer));
        let by_notice = destroyed.iter().map(|(tx, n, ..)| (*tx, *n, Way::Destroyed));
        let asked: BTreeSet<(TxHash, u32, Way)> = by_transfer.chain(by_notice).collect();
        let of_chain = |deposit: &&Deposit| deposit.id.chain == *chain;
        let deposits = || self.deposits.iter().map(AsRef::as_ref).filter(of_chain);
        let pending = deposits().filter(|deposit| deposit.state == State::Pending);
        let pending: BTreeSet<Address> = pending.map(|deposit| deposit.to).collect();
        let wanted = |outflow: &&Outflow| {
            let from = &outflow.from;
            outflow.id.chain == *chain
                && (outflow.state == OutflowState::Pending
                    || finalized.is_none_or(|height| outflow.block.height > height)
                    || asked.contains(&(outflow.id.tx, outflow.id.n, outflow.id.way))
                    || (outflow.state == OutflowState::Waiting
                        && (pending.contains(from) || snapshot.owners.contains_key(from))))
        };
        let outflows = self.outflows.iter().map(AsRef::as_ref).filter(wanted).cloned();
        let outflows: Vec<Outflow> = outflows.collect();
        orders.extend(outflows.iter().filter_map(|outflow| outflow.order.clone()));
        let unowned = outflows.iter().filter(|outflow| outflow.order.is_none());
        let cases: BTreeSet<CaseId> = unowned.map(Outflow::case).collect();
        let cases = self.cases.iter().filter(|case| cases.contains(&case.id));
        snapshot.outflow_cases = cases.map(|case| (**case).clone()).collect();
        let txs = outflows.iter().map(|outflow| outflow.id.tx).chain(ours().map(|t| t.tx));
        snapshot.refunds = self.refunds_sent(chain, &txs.collect());
        let places = outflows.iter().map(|outflow| (outflow.from, outflow.block.height));
        let places = places.chain(destroyed.iter().map(|(_, _, from, height)| (*from, *height)));
        for (sender, height) in places.chain(ours().map(|t| (t.from, t.block.height))) {
            let owner = self.owners.get(&sender).and_then(Option::as_ref);
            let booked = || {
                deposits().filter(|deposit| {
                    deposit.to == sender
                        && (deposit.order.is_none() || deposit.order.as_ref() == owner)
                        && deposit.state.is_on_chain()
                        && deposit.state != State::Pending
                })
            };
            let above = booked().filter(|deposit| deposit.block.height > height);
            let above: i128 = above.map(|deposit| i128::from(deposit.amount.micro())).sum();
            let (asset, custody) =
                (Asset::Usdt(chain.clone()), Account::Custody(chain.clone(), sender));
            let taken = self.outflows.iter().filter(|outflow| {
                outflow.id.chain == *chain
                    && outflow.from == sender
                    && outflow.state == OutflowState::Booked
            });
            let left: Vec<_> = taken.collect();
            let taken = left.iter().filter(|outflow| outflow.block.height > height);
            let taken: i128 = taken.map(|outflow| i128::from(outflow.amount.micro())).sum();
            let now = -self.net(&asset, &custody);
            let micro = |sum: i128| i64::try_from(sum).unwrap();
            let rounded = i64::try_from(left.len() + booked().count()).unwrap();
            let held = Held { then: micro(now - above + taken), now: micro(now), rounded };
            snapshot.held.insert((sender, height), held);
        }
        snapshot.outflows = outflows;
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
        let cases = self.nobodys.0.iter().map(|at| self.cases[*at].as_ref());
        let about = cases.filter(|case| case.deposits.iter().any(|id| ids.contains(id)));
        snapshot.unassigned_cases = about.cloned().collect();
        let journals = self.nobodys.1.iter().map(|at| self.journals[*at].as_ref());
        let about =
            |journal: &&Journal| journal.deposit.as_ref().is_some_and(|id| ids.contains(id));
        snapshot.unassigned_journals = journals.filter(about).cloned().collect();
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
