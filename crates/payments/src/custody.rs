//! Keeps custody what the token says it is: outflows taken back, explained and booked.
//!
//! In: the desk after its deposits were settled. Out: what became of each outflow.
//! Never: an outflow booked from money that came after it; one that holds another up.
//! Why: deposits of the same blocks come first, so what an address sent on was there to be sent.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::amount::Usdt;
use crate::case::{Case, Decision};
use crate::changes::{ChainRules, Held, Sent, Snapshot};
use crate::deposit::{Deposit, State};
use crate::desk::Desk;
use crate::event::EventKind;
use crate::ledger::{Account, Journal};
use crate::name::ChainName;
use crate::outflow::{Explanation, Outflow, OutflowState};
use crate::outflows::of;
use crate::plan::PlanError;
use crate::view::View;

/// What this update's deposits did to the custody of an address, by the height of their blocks,
/// and the lowest height at which one is not decided yet.
#[derive(Default)]
pub(crate) struct Arrived {
    booked: BTreeMap<Address, Vec<(u64, i64)>>,
    /// How many deposits were judged there that are nothing in the books: each was rounded too.
    nothing: BTreeMap<Address, usize>,
    undecided: BTreeMap<Address, u64>,
}

impl Arrived {
    /// What came to an address or was taken back: the block's height, and millionths.
    pub(crate) fn at(&self, address: &Address) -> &[(u64, i64)] {
        of(&self.booked, address)
    }

    /// How many of its deposits were rounded, each by less than a millionth.
    fn rounded(&self, address: &Address) -> usize {
        let nothing = self.nothing.get(address).copied().unwrap_or(0);
        self.at(address).len().saturating_add(nothing)
    }

    fn is_undecided(&self, address: &Address, height: u64) -> bool {
        self.undecided.get(address).is_some_and(|lowest| *lowest <= height)
    }
}

impl Desk {
    /// Takes back every outflow on `chain` at or above `fork`.
    pub(crate) fn orphan_outflows(&mut self, chain: &ChainName, fork: u64) {
        for at in 0..self.outflows.all.len() {
            let Some(outflow) = self.outflows.all.get(at).cloned() else { continue };
            let gone = outflow.id.chain == *chain
                && outflow.state.is_on_chain()
                && outflow.block.height >= fork;
            if !gone {
                continue;
            }
            if outflow.state == OutflowState::Booked {
                let now = self.now;
                let undone = outflow.journal(now).map(|journal| journal.reversed(now));
                self.outflows.journals.extend(undone);
                let returned = self.outflows.returned.entry(outflow.from).or_default();
                returned.push((outflow.block.height, outflow.amount.micro()));
            }
            self.outflows.set(at, |outflow| {
                outflow.state = OutflowState::Orphaned;
                outflow.explained = None;
            });
            self.outflows.tell(EventKind::OutflowOrphaned, &outflow, None, Vec::new());
            self.close_outflow_case(&outflow, "its transfer is no longer part of the chain");
        }
    }

    /// Explains what was judged before anybody recorded that it was sent for a refund. Where the
    /// money went is booked as it would have been.
    pub(crate) fn explain_refund(
        &mut self,
        rules: &ChainRules,
        refunds: &Sent,
        (refunded, newest): (&Case, Option<u64>),
    ) {
        for at in 0..self.outflows.all.len() {
            let Some(outflow) = self.outflows.all.get(at).cloned() else { continue };
            let judged = matches!(outflow.state, OutflowState::Booked | OutflowState::Waiting);
            let open = judged && outflow.explained.is_none();
            // What left before there was anything to give back gave nothing back.
            let here = outflow.id.chain == refunded.chain
                && newest.is_none_or(|height| outflow.block.height > height);
            if !(open && here && self.outflows.pays_refund(&outflow, refunds, rules.decimals)) {
                continue;
            }
            self.outflows.set(at, |outflow| outflow.explained = Some(Explanation::Refund));
            let why = format!("it was sent for the refund of {}, recorded afterwards", refunded.id);
            self.close_outflow_case(&outflow, &why);
        }
    }

    fn close_outflow_case(&mut self, outflow: &Outflow, why: &str) {
        let id = outflow.case();
        if let Some(order) = &outflow.order {
            if let Ok(work) = self.work(order) {
                work.close_cases(why, |case| case.id == id);
            }
            return;
        }
        let outflows = &mut self.outflows;
        let open = |case: &Case| case.id == id && case.decision.is_none();
        let Some(at) = outflows.cases.iter().position(open) else { return };
        if let Some(case) = outflows.cases.get_mut(at) {
            case.decision = Some(Decision::itself(why, self.now));
            outflows.changed_cases.insert(at);
        }
        let kind = outflow.case_kind().word().to_owned();
        let told = vec![("kind", kind), ("why", why.to_owned())];
        outflows.tell(EventKind::CaseResolved, outflow, Some(id), told);
    }

    /// Books what is final, in the order of the chain, after its deposits.
    pub(crate) fn settle_outflows(
        &mut self,
        view: &View<'_>,
        snapshot: &Snapshot,
    ) -> Result<(), PlanError> {
        let mut turns: Vec<(u64, u64, usize)> = Vec::new();
        for (at, outflow) in self.outflows.all.iter().enumerate() {
            let open = matches!(outflow.state, OutflowState::Pending | OutflowState::Waiting);
            if open && outflow.id.chain == view.chain && view.is_finalized(outflow.block.height) {
                turns.push((outflow.block.height, outflow.log_index, at));
            }
        }
        if turns.is_empty() {
            return Ok(());
        }
        turns.sort_unstable();
        let arrived = self.arrived(view, snapshot);
        for (_, _, at) in turns {
            self.settle_outflow(at, view, snapshot, &arrived)?;
        }
        Ok(())
    }

    fn settle_outflow(
        &mut self,
        at: usize,
        view: &View<'_>,
        snapshot: &Snapshot,
        arrived: &Arrived,
    ) -> Result<(), PlanError> {
        let Some(mut outflow) = self.outflows.all.get(at).cloned() else { return Ok(()) };
        let (from, height) = (outflow.from, outflow.block.height);
        let nothing = Held::default();
        let known = snapshot.held.get(&from).unwrap_or(&nothing);
        let held = self.outflows.available(&outflow, known, arrived);
        let fresh = arrived.rounded(&from).saturating_add(of(&self.outflows.taken, &from).len());
        let rounded = known.rounded.saturating_add(i64::try_from(fresh).unwrap_or(i64::MAX));
        let booked = outflow.bookable(held, rounded, view.rules.decimals);
        if booked.is_none() && arrived.is_undecided(&from, height) {
            // What it moved on is final and not judged yet: its turn comes with that deposit's.
            return Ok(());
        }
        let fresh = outflow.state == OutflowState::Pending;
        if fresh {
            let explained = match self.issuer.burnt(&outflow) {
                true => Some(Explanation::Destroyed),
                false => self.outflows.explanation(&outflow, view.rules, &snapshot.refunds),
            };
            outflow.explained = explained;
            self.outflows.set(at, |outflow| outflow.explained = explained);
            if matches!(explained, None | Some(Explanation::Destroyed)) {
                self.open_outflow_case(&outflow)?;
            }
        }
        let word = outflow.explained.map_or("unexplained", Explanation::word);
        let explained = vec![("explained", word.to_owned())];
        if let Some(amount) = booked {
            outflow.amount = amount;
            self.outflows.set(at, |outflow| {
                outflow.amount = amount;
                outflow.state = OutflowState::Booked;
            });
            let taken = self.outflows.taken.entry(from).or_default();
            taken.push((height, amount.micro()));
            self.outflows.journals.extend(outflow.journal(self.now));
            self.outflows.tell(EventKind::OutflowBooked, &outflow, None, explained);
        } else if fresh {
            self.outflows.set(at, |outflow| outflow.state = OutflowState::Waiting);
            let held = Usdt::from_micro(held.max(0)).unwrap_or_default();
            let told = [explained, vec![("held", held.to_string())]].concat();
            self.outflows.tell(EventKind::OutflowWaiting, &outflow, None, told);
        }
        Ok(())
    }

    /// A person has to say where it went. Nothing is held: the books follow the chain anyway.
    fn open_outflow_case(&mut self, outflow: &Outflow) -> Result<(), PlanError> {
        let kind = outflow.case_kind();
        let (order, chain) = (outflow.order.clone(), outflow.id.chain.clone());
        let case = Case::bare(outflow.case(), kind, order, chain, self.now);
        let id = case.id.clone();
        match &outflow.order {
            Some(order) => self.work(order)?.open_bare_case(case),
            None => {
                self.outflows.changed_cases.insert(self.outflows.cases.len());
                self.outflows.cases.push(case);
            }
        }
        let data = vec![("kind", kind.word().to_owned())];
        self.outflows.tell(EventKind::CaseOpened, outflow, Some(id), data);
        Ok(())
    }

    /// What this update's journals brought to the addresses of `chain`, or took back.
    fn arrived(&self, view: &View<'_>, snapshot: &Snapshot) -> Arrived {
        let chain = &view.chain;
        let mut arrived = Arrived::default();
        for work in self.works.values() {
            let before = snapshot.dossiers.get(&work.dossier.order.id);
            let before = before.map(|dossier| dossier.deposits.as_slice()).unwrap_or_default();
            let deposits = &work.dossier.deposits;
            arrived.add(chain, work.fresh_journals(), before, deposits);
            // What is worth more than the books hold may never be judged.
            if !work.dossier.may_exceed_the_books() {
                arrived.await_judgement(chain, deposits);
            }
        }
        let (journals, deposits) = (self.loose.fresh_journals(), self.loose.deposits());
        arrived.add(chain, journals, &snapshot.unassigned, deposits);
        arrived.await_judgement(chain, deposits);
        arrived
    }
}

impl Arrived {
    /// Adds journals of deposits: what is reversed was where it sat before, what is booked is
    /// where it sits now; and deposits that no journal brings.
    fn add(
        &mut self,
        chain: &ChainName,
        journals: &[Journal],
        before: &[Deposit],
        after: &[Deposit],
    ) {
        for journal in journals {
            let Some(id) = &journal.deposit else { continue };
            let side = if journal.key.starts_with("reverse:") { before } else { after };
            let Some(deposit) = side.iter().find(|deposit| deposit.id == *id) else { continue };
            for entry in &journal.entries {
                let ours = |account: &Account| match account {
                    Account::Custody(of, address) if of == chain => Some(*address),
                    _ => None,
                };
                let moved = [(ours(&entry.debit), 1), (ours(&entry.credit), -1)];
                for (address, sign) in moved {
                    let Some(address) = address else { continue };
                    let micro = entry.amount.saturating_mul(sign);
                    let booked = self.booked.entry(address).or_default();
                    booked.push((deposit.block.height, micro));
                }
            }
        }
        let is_judged =
            |deposit: &Deposit| deposit.state.is_on_chain() && deposit.state != State::Pending;
        // Deposits keep their places: what is new is behind what was there.
        for (at, deposit) in after.iter().enumerate() {
            let is_nothing = deposit.amount.is_zero() && deposit.assigned.is_none();
            if is_nothing
                && deposit.id.chain == *chain
                && is_judged(deposit)
                && !before.get(at).is_some_and(is_judged)
            {
                let nothing = self.nothing.entry(deposit.to).or_default();
                *nothing = nothing.saturating_add(1);
            }
        }
    }

    /// Adds deposits that are seen and not judged yet.
    fn await_judgement(&mut self, chain: &ChainName, deposits: &[Deposit]) {
        let waits =
            |deposit: &&Deposit| deposit.state == State::Pending && deposit.id.chain == *chain;
        for deposit in deposits.iter().filter(waits) {
            let lowest = self.undecided.entry(deposit.to).or_insert(u64::MAX);
            *lowest = (*lowest).min(deposit.block.height);
        }
    }
}
