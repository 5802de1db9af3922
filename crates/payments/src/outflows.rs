//! The outflows that an update may touch: seen, found again, told.
//!
//! In: transfers from our addresses, what was destroyed there. Out: each with what is known of it.
//! Never: a journal, a case: those are `custody`'s. Why: what left is a fact before it is judged.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::amount::Usdt;
use crate::case::{Case, CaseId};
use crate::chain::Transfer;
use crate::changes::{ChainRules, Changes, Held, Sent, Snapshot};
use crate::custody::Arrived;
use crate::event::{Event, EventKind};
use crate::ledger::Journal;
use crate::name::{ChainName, OrderId};
use crate::notice::{Noted, What};
use crate::outflow::{Explanation, Outflow, OutflowId, OutflowState, Way, rounded_up};
use crate::plan::PlanError;
use crate::time::Time;

/// The outflows that an update may touch.
#[derive(Clone)]
pub(crate) struct Outflows {
    now: Time,
    known: usize,
    pub(crate) all: Vec<Outflow>,
    at: BTreeMap<OutflowId, usize>,
    moved: BTreeSet<usize>,
    /// Cases of outflows from addresses that no order owns.
    pub(crate) cases: Vec<Case>,
    pub(crate) changed_cases: BTreeSet<usize>,
    pub(crate) journals: Vec<Journal>,
    events: Vec<Event>,
    /// What each outflow that this update booked took from an address: the height, in millionths.
    pub(crate) taken: BTreeMap<Address, Vec<(u64, i64)>>,
    /// What it gave back to an address, likewise.
    pub(crate) returned: BTreeMap<Address, Vec<(u64, i64)>>,
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

    pub(crate) fn set(&mut self, at: usize, change: impl FnOnce(&mut Outflow)) {
        if let Some(outflow) = self.all.get_mut(at) {
            change(outflow);
            self.moved.insert(at);
        }
    }

    /// What could leave at the height of an outflow, after this update so far: the least that was
    /// there at that height and at any later one. What came later does not pay for it, and what it
    /// takes may not be what a later outflow took: a branch may end anywhere, and the books go back
    /// to each height without a hole.
    pub(crate) fn available(&self, outflow: &Outflow, known: &Held, arrived: &Arrived) -> i64 {
        let (from, height) = (&outflow.from, outflow.block.height);
        let mut then = known.now;
        let mut later: BTreeMap<u64, i64> = BTreeMap::new();
        for (at, micro) in known.moves.iter().filter(|(at, _)| *at > height) {
            then = then.saturating_sub(*micro);
            let moved = later.entry(*at).or_default();
            *moved = moved.saturating_add(*micro);
        }
        let taken = of(&self.taken, from).iter().map(|(at, micro)| (*at, micro.saturating_neg()));
        let came = of(&self.returned, from).iter().chain(arrived.at(from)).copied();
        for (at, micro) in taken.chain(came) {
            let moved = if at > height { later.entry(at).or_default() } else { &mut then };
            *moved = moved.saturating_add(micro);
        }
        let (mut held, mut least) = (then, then);
        for moved in later.into_values() {
            held = held.saturating_add(moved);
            least = least.min(held);
        }
        least
    }

    /// Why nobody needs to ask about this one, where the config or the books know.
    pub(crate) fn explanation(
        &self,
        outflow: &Outflow,
        rules: &ChainRules,
        refunds: &Sent,
    ) -> Option<Explanation> {
        if outflow.id.way == Way::Destroyed {
            return Some(Explanation::Destroyed);
        }
        let direct = |outflow: &Outflow| {
            if rules.treasury.contains(&outflow.to) {
                Some(Explanation::Treasury)
            } else if self.pays_refund(outflow, refunds, rules.decimals) {
                Some(Explanation::Refund)
            } else {
                None
            }
        };
        let fee = || {
            let mut sweeps = self.all.iter().filter(|other| outflow.is_fee_of(other));
            sweeps.any(|sweep| direct(sweep).is_some()).then_some(Explanation::Fee)
        };
        direct(outflow).or_else(fee)
    }

    /// Whether this is what a refund is found to be paid by: exactly its sum, and not what another
    /// one was paid by.
    pub(crate) fn pays_refund(&self, outflow: &Outflow, refunds: &Sent, decimals: u8) -> bool {
        let Outflow { id, to, raw, .. } = outflow;
        let sum = Usdt::from_raw(*raw, decimals).ok();
        let Some(sum) = sum.filter(|sum| sum.to_raw(decimals) == Some(*raw)) else { return false };
        let Some(sent) = refunds.get(&(id.tx, *to, sum)) else { return false };
        let is_same = |other: &&Outflow| {
            (other.id.tx, other.to, other.raw) == (id.tx, *to, *raw) && other.id != *id
        };
        let paid = |other: &&Outflow| other.explained == Some(Explanation::Refund);
        id.way == Way::Transfer && self.all.iter().filter(is_same).filter(paid).count() < *sent
    }

    pub(crate) fn tell(
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

/// What moved at an address.
pub(crate) fn of<'a>(
    moves: &'a BTreeMap<Address, Vec<(u64, i64)>>,
    address: &Address,
) -> &'a [(u64, i64)] {
    moves.get(address).map(Vec::as_slice).unwrap_or_default()
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
        to: Address::NOBODY,
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
