//! Keeps custody what the token says it is: outflows seen, taken back, explained and booked.
//!
//! In: the desk after its deposits were settled. Out: what became of each outflow.
//! Never: an outflow booked from money that came after it; one that holds another up.
//! Why: deposits of the same blocks come first, so what an address sent on was there to be sent.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::amount::Usdt;
use crate::case::{Case, CaseId, Decision};
use crate::chain::{Transfer, TxHash};
use crate::changes::{ChainRules, Changes, Held, Snapshot};
use crate::deposit::{Deposit, State};
use crate::desk::Desk;
use crate::event::{Event, EventKind};
use crate::ledger::{Account, Journal};
use crate::name::{ChainName, OrderId};
use crate::notice::{Noted, What};
use crate::outflow::{Explanation, Outflow, OutflowId, OutflowState, Way, rounded_up};
use crate::plan::{PlanError, View};
use crate::time::Time;

/// The outflows that an update may touch.
#[derive(Clone)]
pub(crate) struct Outflows {
    now: Time,
    known: usize,
    all: Vec<Outflow>,
    at: BTreeMap<OutflowId, usize>,
    moved: BTreeSet<usize>,
    /// Cases of outflows from addresses that no order owns.
    cases: Vec<Case>,
    changed_cases: BTreeSet<usize>,
    journals: Vec<Journal>,
    events: Vec<Event>,
    /// What this update took from an address, in millionths, and by how many outflows.
    taken: BTreeMap<Address, (i64, i64)>,
    /// What it gave back to an address, in millionths.
    returned: BTreeMap<Address, i64>,
}

impl Outflows {
    pub(crate) fn new(snapshot: &Snapshot, now: Time) -> Self {
        let all = snapshot.outflows.clone();
        let at = all.iter().enumerate().map(|(at, outflow)| (outflow.id.clone(), at)).collect();
        Self {
            now,
            known: all.len(),
            all,
            at,
            moved: BTreeSet::new(),
            cases: snapshot.outflow_cases.clone(),
            changed_cases: BTreeSet::new(),
            journals: Vec::new(),
            events: Vec::new(),
            taken: BTreeMap::new(),
            returned: BTreeMap::new(),
        }
    }

    /// Records what left an address of ours, or finds it again.
    pub(crate) fn observe(&mut self, seen: Outflow) -> Result<(), PlanError> {
        let Some(at) = self.at.get(&seen.id).copied() else {
            self.at.insert(seen.id.clone(), self.all.len());
            self.tell(EventKind::OutflowDetected, &seen, None, Vec::new());
            self.all.push(seen);
            return Ok(());
        };
        let Some(known) = self.all.get_mut(at) else { return Ok(()) };
        if known.state.is_on_chain() {
            return same(known, &seen);
        }
        let (order, round) = (known.order.clone(), known.round.saturating_add(1));
        *known = Outflow { order, round, ..seen };
        let known = known.clone();
        self.moved.insert(at);
        self.tell(EventKind::OutflowDetected, &known, None, Vec::new());
        Ok(())
    }

    fn set(&mut self, at: usize, change: impl FnOnce(&mut Outflow)) {
        if let Some(outflow) = self.all.get_mut(at) {
            change(outflow);
            self.moved.insert(at);
        }
    }

    /// What could leave at the height of an outflow, after this update so far: what was there at
    /// that height, and no more than is there now and final. Later money does not pay for it, least
    /// of all what a reorg may take back, and what it takes may not be what a later outflow took.
    fn available(&self, outflow: &Outflow, known: Held, arrived: &Arrived) -> i64 {
        let (taken, _) = self.taken_from(&outflow.from);
        let returned = self.returned.get(&outflow.from).copied().unwrap_or(0);
        let then = known.then.saturating_add(arrived.up_to(&outflow.from, outflow.block.height));
        let now = known.now.saturating_add(arrived.up_to(&outflow.from, u64::MAX));
        let now = now.saturating_sub(arrived.unfinal.get(&outflow.from).copied().unwrap_or(0));
        then.min(now.saturating_add(returned)).saturating_sub(taken)
    }

    fn taken_from(&self, address: &Address) -> (i64, i64) {
        self.taken.get(address).copied().unwrap_or_default()
    }

    /// Why nobody needs to ask about this one, where the config or the books know.
    fn explanation(
        &self,
        outflow: &Outflow,
        treasury: &[Address],
        refunds: &BTreeSet<(TxHash, Address)>,
    ) -> Option<Explanation> {
        if outflow.id.way == Way::Destroyed {
            return Some(Explanation::Destroyed);
        }
        let direct = |outflow: &Outflow| {
            if treasury.contains(&outflow.to) {
                Some(Explanation::Treasury)
            } else if refunds.contains(&(outflow.id.tx, outflow.to)) {
                Some(Explanation::Refund)
            } else {
                None
            }
        };
        let fee = || {
            let mut sweeps = self.all.iter().filter(|other| direct(other).is_some());
            sweeps.any(|sweep| outflow.is_fee_of(sweep)).then_some(Explanation::Fee)
        };
        direct(outflow).or_else(fee)
    }

    fn tell(
        &mut self,
        kind: EventKind,
        outflow: &Outflow,
        case: Option<CaseId>,
        mut more: Vec<(&'static str, String)>,
    ) {
        let mut data = vec![
            ("outflow", outflow.id.to_string()),
            ("amount", outflow.amount.to_string()),
            ("from", outflow.from.to_string()),
            ("to", outflow.to.to_string()),
            ("tx", outflow.id.tx.to_string()),
            ("height", outflow.block.height.to_string()),
        ];
        data.append(&mut more);
        self.events.push(Event {
            kind,
            at: self.now,
            chain: Some(outflow.id.chain.clone()),
            order: outflow.order.clone(),
            deposit: None,
            case,
            data,
        });
    }

    pub(crate) fn finish(mut self, changes: &mut Changes) {
        for (at, outflow) in self.all.into_iter().enumerate() {
            if at >= self.known || self.moved.contains(&at) {
                changes.outflows.push(outflow);
            }
        }
        let cases = self.cases.into_iter().enumerate();
        let changed = cases.filter(|(at, _)| self.changed_cases.contains(at));
        changes.cases.extend(changed.map(|(_, case)| case));
        changes.journals.append(&mut self.journals);
        changes.events.append(&mut self.events);
    }
}

/// That what was seen of a recorded outflow is a repeated answer.
fn same(recorded: &Outflow, seen: &Outflow) -> Result<(), PlanError> {
    let differs = [
        ("block", recorded.block != seen.block),
        ("sender", recorded.from != seen.from),
        ("receiver", recorded.to != seen.to),
        ("value", recorded.raw != seen.raw),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(PlanError::OutflowContradiction { outflow: seen.id.clone(), what }),
    }
}

/// The outflow that a transfer from one of our addresses is, if it moves anything: another token
/// has no value in the books, an account that sends to itself loses nothing, and a transfer of
/// zero is anybody's to make in our name.
pub(crate) fn read(
    rules: &ChainRules,
    chain: &ChainName,
    transfer: &Transfer,
    order: Option<&OrderId>,
) -> Result<Option<Outflow>, PlanError> {
    let nothing = transfer.raw.is_zero() || transfer.from == transfer.to;
    if nothing || transfer.token != rules.token {
        return Ok(None);
    }
    let id = OutflowId { chain: chain.clone(), tx: transfer.tx, n: transfer.n, way: Way::Transfer };
    let amount = rounded_up(transfer.raw, rules.decimals)
        .map_err(|why| PlanError::OutflowValue { outflow: id.clone(), why })?;
    Ok(Some(Outflow {
        id,
        order: order.cloned(),
        from: transfer.from,
        to: transfer.to,
        raw: transfer.raw,
        amount,
        block: transfer.block,
        time: transfer.time,
        log_index: transfer.log_index,
        state: OutflowState::Pending,
        explained: None,
        round: 1,
    }))
}

/// The outflow that the destruction of what was at one of our addresses is, if anything was.
pub(crate) fn destroyed(rules: &ChainRules, noted: &Noted) -> Result<Option<Outflow>, PlanError> {
    let Noted { chain, notice, order, .. } = noted;
    let What::Destroyed { from, raw } = notice.what else { return Ok(None) };
    if raw.is_zero() {
        return Ok(None);
    }
    let id = OutflowId { chain: chain.clone(), tx: notice.tx, n: notice.n, way: Way::Destroyed };
    let amount = rounded_up(raw, rules.decimals)
        .map_err(|why| PlanError::OutflowValue { outflow: id.clone(), why })?;
    Ok(Some(Outflow {
        id,
        order: order.clone(),
        from,
        to: Address([0; 20]),
        raw,
        amount,
        block: notice.block,
        time: notice.time,
        log_index: notice.log_index,
        state: OutflowState::Pending,
        explained: None,
        round: 1,
    }))
}

/// What this update's deposits did to the custody of an address, by the height of their blocks,
/// and the lowest height at which one is not decided yet.
#[derive(Default)]
struct Arrived {
    booked: BTreeMap<Address, Vec<(u64, i64)>>,
    undecided: BTreeMap<Address, u64>,
    /// What of the custody of an address is above the finalized height, in millionths.
    unfinal: BTreeMap<Address, i64>,
}

impl Arrived {
    fn up_to(&self, address: &Address, height: u64) -> i64 {
        let booked = self.booked.get(address).map(Vec::as_slice).unwrap_or_default();
        let below = booked.iter().filter(|(at, _)| *at <= height);
        below.fold(0, |sum: i64, (_, micro)| sum.saturating_add(*micro))
    }

    fn count(&self, address: &Address) -> i64 {
        let booked = self.booked.get(address).map_or(0, Vec::len);
        i64::try_from(booked).unwrap_or(i64::MAX)
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
                *returned = returned.saturating_add(outflow.amount.micro());
            }
            self.outflows.set(at, |outflow| {
                outflow.state = OutflowState::Orphaned;
                outflow.explained = None;
            });
            self.outflows.tell(EventKind::OutflowOrphaned, &outflow, None, Vec::new());
            self.close_outflow_case(&outflow);
        }
    }

    fn close_outflow_case(&mut self, outflow: &Outflow) {
        let id = outflow.case();
        let why = "its transfer is no longer part of the chain";
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
        let known = snapshot.held.get(&(from, height)).copied().unwrap_or_default();
        let held = self.outflows.available(&outflow, known, arrived);
        let (_, taken) = self.outflows.taken_from(&from);
        let rounded = known.rounded.saturating_add(arrived.count(&from)).saturating_add(taken);
        let booked = outflow.bookable(held, rounded, view.rules.decimals);
        if booked.is_none() && arrived.is_undecided(&from, height) {
            // What it moved on is final and not judged yet: its turn comes with that deposit's.
            return Ok(());
        }
        let fresh = outflow.state == OutflowState::Pending;
        if fresh {
            let treasury = &view.rules.treasury;
            let explained = match self.issuer.burnt(&outflow) {
                true => Some(Explanation::Destroyed),
                false => self.outflows.explanation(&outflow, treasury, &snapshot.refunds),
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
            let (taken, count) = self.outflows.taken.entry(from).or_default();
            (*taken, *count) = (taken.saturating_add(amount.micro()), count.saturating_add(1));
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
        let case = Case {
            id: outflow.case(),
            kind,
            order: outflow.order.clone(),
            deposits: Vec::new(),
            chain: outflow.id.chain.clone(),
            amount: Usdt::ZERO,
            opened_at: self.now,
            decision: None,
            steps: Vec::new(),
        };
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
        let of_orders = self.works.values().flat_map(|work| &work.dossier.deposits);
        for deposit in of_orders.chain(self.loose.deposits()) {
            let booked = deposit.state.is_on_chain()
                && deposit.state != State::Pending
                && deposit.id.other_token.is_none()
                && deposit.assigned.is_none();
            let height = deposit.block.height;
            if booked && deposit.id.chain == *chain && !view.is_finalized(height) {
                let unfinal = arrived.unfinal.entry(deposit.to).or_default();
                *unfinal = unfinal.saturating_add(deposit.amount.micro());
            }
        }
        for work in self.works.values() {
            let before = snapshot.dossiers.get(&work.dossier.order.id);
            let before = before.map(|dossier| dossier.deposits.as_slice()).unwrap_or_default();
            arrived.add(chain, work.fresh_journals(), before, &work.dossier.deposits);
        }
        let (journals, deposits) = (self.loose.fresh_journals(), self.loose.deposits());
        arrived.add(chain, journals, &snapshot.unassigned, deposits);
        arrived
    }
}

impl Arrived {
    /// Adds journals of deposits: what is reversed was where it sat before, what is booked is
    /// where it sits now.
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
        let waits =
            |deposit: &&Deposit| deposit.state == State::Pending && deposit.id.chain == *chain;
        for deposit in after.iter().filter(waits) {
            let lowest = self.undecided.entry(deposit.to).or_insert(u64::MAX);
            *lowest = (*lowest).min(deposit.block.height);
        }
    }
}
