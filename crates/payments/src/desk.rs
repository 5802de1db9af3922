//! The desk an update is worked on: orders taken out of the snapshot, and what they gain.
//!
//! In: a snapshot. Out: the changes of every order that was touched, in a stable order.
//! Never: decides anything; the rules are in `settle`.
//! Why: an order that was only looked at must not be written, or every commit would conflict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::amount::Usdt;
use crate::case::{Case, CaseId, CaseKind, Decision};
use crate::chain::TxHash;
use crate::changes::{Changes, Snapshot, Touched};
use crate::deposit::{Deposit, DepositId, State};
use crate::event::{Event, EventKind};
use crate::issuer::Issuer;
use crate::keeper::Keeper;
use crate::ledger::{Entry, Journal};
use crate::loose::Loose;
use crate::name::{ChainName, OrderId};
use crate::order::{Dossier, Order, Status};
use crate::outflows::Outflows;
use crate::plan::PlanError;
use crate::resolve;
use crate::sheet::Sheet;
use crate::time::Time;
use crate::view::View;

#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) now: Time,
    pub(crate) works: BTreeMap<OrderId, Work>,
    pub(crate) loose: Loose,
    pub(crate) outflows: Outflows,
    pub(crate) issuer: Issuer,
    pub(crate) empty_transfers: u64,
    events: Vec<Event>,
}

impl Desk {
    pub(crate) fn new(snapshot: &Snapshot, now: Time) -> Self {
        let works = snapshot
            .dossiers
            .iter()
            .map(|(id, dossier)| (id.clone(), Work::new(dossier, now)))
            .collect();
        let loose = Loose::new(snapshot, now);
        let outflows = Outflows::new(snapshot, now);
        let issuer = Issuer::new(snapshot);
        Self { now, works, loose, outflows, issuer, empty_transfers: 0, events: Vec::new() }
    }

    /// Does `act` on every order.
    pub(crate) fn each(
        &mut self,
        mut act: impl FnMut(&mut Work) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        self.works.values_mut().try_for_each(&mut act)
    }

    /// Of these transactions, the deposits that may be seen at another address than their order's:
    /// a contract can pay whom it likes by the block that runs it, and a reorg runs the same
    /// transaction again.
    pub(crate) fn astray(&self, txs: &BTreeSet<TxHash>) -> BTreeMap<DepositId, OrderId> {
        let mut astray = BTreeMap::new();
        for (order, work) in &self.works {
            let address = work.dossier.order.address;
            let gone = |deposit: &&Deposit| !deposit.state.is_on_chain() || deposit.to != address;
            let gone = work.made_by(txs).filter(gone);
            astray.extend(gone.map(|deposit| (deposit.id.clone(), order.clone())));
        }
        astray
    }

    /// Of these transactions, whose the deposits are that sit where they were recorded.
    pub(crate) fn elsewhere(&self, txs: &BTreeSet<TxHash>) -> BTreeMap<DepositId, OrderId> {
        let mut elsewhere = BTreeMap::new();
        for (order, work) in &self.works {
            let here = work.made_by(txs).filter(|deposit| deposit.state.is_on_chain());
            elsewhere.extend(here.map(|deposit| (deposit.id.clone(), order.clone())));
        }
        elsewhere
    }

    /// One order of the snapshot.
    pub(crate) fn work(&mut self, order: &OrderId) -> Result<&mut Work, PlanError> {
        // Money for an order that was not read must not be passed over.
        self.works.get_mut(order).ok_or_else(|| PlanError::UnknownOrder(order.clone()))
    }

    /// Millionths of USDT that the rules credited on this desk, beyond what they took back of the
    /// same order: what a reorg leaves to be granted again is nothing more.
    pub(crate) fn granted(&self) -> u64 {
        let more = |work: &Work| work.granted.saturating_sub(work.taken_back);
        self.works.values().fold(0, |sum, work| sum.saturating_add(more(work)))
    }

    /// The places of the deposits that `view` holds for final and that are still to be judged, in
    /// the order of the chain.
    pub(crate) fn places(&self, view: &View<'_>) -> Vec<(u64, u64)> {
        let deposits = self.works.values().flat_map(|work| &work.dossier.deposits);
        let judged = deposits.filter(|d| d.state == State::Pending).filter(|d| view.is_final(d));
        let mut places: Vec<(u64, u64)> = judged.map(|d| (d.block.height, d.log_index)).collect();
        places.sort_unstable();
        places
    }

    /// Where a case is kept.
    pub(crate) fn keeper(&mut self, case: &Case) -> Result<&mut dyn Keeper, PlanError> {
        Ok(match &case.order {
            Some(order) => self.work(order)?,
            None => &mut self.loose,
        })
    }

    pub(crate) fn tell_chain(
        &mut self,
        kind: EventKind,
        chain: &ChainName,
        data: Vec<(&'static str, String)>,
    ) {
        self.tell_of(kind, chain, None, data);
    }

    /// Tells what happened on a chain, of an order where it concerns one.
    pub(crate) fn tell_of(
        &mut self,
        kind: EventKind,
        chain: &ChainName,
        order: Option<OrderId>,
        data: Vec<(&'static str, String)>,
    ) {
        self.events.push(Event {
            kind,
            at: self.now,
            chain: Some(chain.clone()),
            order,
            deposit: None,
            case: None,
            data,
        });
    }

    pub(crate) fn tell_run(&mut self, run: u64, why: &str) {
        self.events.push(Event {
            kind: EventKind::ReconcileFailed,
            at: self.now,
            chain: None,
            order: None,
            deposit: None,
            case: None,
            data: vec![("run", run.to_string()), ("why", why.to_owned())],
        });
    }

    pub(crate) fn tell_created(&mut self, order: &Order) {
        let data = order.announcement();
        self.events.push(Event {
            kind: EventKind::OrderCreated,
            at: self.now,
            chain: Some(order.chain.clone()),
            order: Some(order.id.clone()),
            deposit: None,
            case: None,
            data,
        });
    }

    /// What changed, and nothing else.
    pub(crate) fn finish(mut self) -> Changes {
        let mut changes = Changes { empty_transfers: self.empty_transfers, ..Changes::default() };
        changes.events.append(&mut self.events);
        // Of a long way these are a hundred thousand, and growing moves them.
        let sum = |count: fn(&Work) -> usize| self.works.values().map(count).sum();
        changes.touched.reserve(self.works.len());
        changes.recorded.reserve(sum(|work| work.fresh_deposits()));
        changes.journals.reserve(sum(|work| work.fresh_journals().len()));
        changes.events.reserve(sum(|work| work.events.len()));
        for work in self.works.into_values() {
            work.finish(&mut changes);
        }
        self.loose.finish(&mut changes);
        self.outflows.finish(&mut changes);
        self.issuer.finish(&mut changes);
        changes.recorded.sort_by(|a, b| {
            let place = |d: &Deposit| (d.block.height, d.log_index);
            place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id))
        });
        changes
    }
}

/// One order on the desk.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) dossier: Sheet,
    pub(crate) now: Time,
    before: Status,
    facts: (Option<Time>, Option<Time>, Option<Time>),
    known_deposits: usize,
    known_journals: usize,
    moved: BTreeSet<usize>,
    cases: BTreeSet<usize>,
    events: Vec<Event>,
    /// The cases that waited for a second person when this was taken up.
    proposed: Vec<Case>,
    /// Millionths of USDT that the rules credited.
    pub(crate) granted: u64,
    /// Millionths of USDT of which they took the credits back.
    pub(crate) taken_back: u64,
}

impl Work {
    fn new(dossier: &Arc<Dossier>, now: Time) -> Self {
        Self {
            dossier: Sheet::new(dossier),
            now,
            before: dossier.status(),
            facts: (dossier.paid, dossier.expired, dossier.cancelled),
            known_deposits: dossier.deposits.len(),
            known_journals: dossier.journals.len(),
            moved: BTreeSet::new(),
            cases: BTreeSet::new(),
            events: Vec::new(),
            proposed: dossier.open_cases().filter(|c| c.proposal().is_some()).cloned().collect(),
            granted: 0,
            taken_back: 0,
        }
    }

    pub(crate) fn id(&self) -> OrderId {
        self.dossier.order.id.clone()
    }

    /// The deposits that these transactions made here; what a decision brought from another order
    /// is found with that.
    fn made_by(&self, txs: &BTreeSet<TxHash>) -> impl Iterator<Item = &Deposit> {
        let arrived = self.dossier.deposits.iter().filter(|d| d.assigned.is_none());
        arrived.filter(|deposit| txs.contains(&deposit.id.tx))
    }

    /// Records a transfer to this order's address, or finds it again.
    pub(crate) fn observe(&mut self, seen: &Deposit) -> Result<(), PlanError> {
        let is = |deposit: &Deposit| deposit.id == seen.id && deposit.assigned.is_none();
        let known = self.dossier.deposits.iter().position(is);
        let Some(at) = known else {
            self.dossier.deposits.push(seen.clone());
            self.tell_detected(seen);
            return Ok(());
        };
        let Some(deposit) = self.dossier.deposits.get(at) else { return Ok(()) };
        if deposit.state.is_on_chain() {
            return same(deposit, seen);
        }
        if let Some(deposit) = self.dossier.deposits.get_mut(at) {
            *deposit = seen.clone();
        }
        self.moved.insert(at);
        self.tell_detected(seen);
        Ok(())
    }

    pub(crate) fn deposit(&self, at: usize) -> Result<Deposit, PlanError> {
        self.dossier.deposits.get(at).cloned().ok_or_else(|| PlanError::Range(self.id()))
    }

    pub(crate) fn set_state(&mut self, at: usize, state: State) {
        if let Some(deposit) = self.dossier.deposits.get_mut(at) {
            deposit.state = state;
            self.moved.insert(at);
        }
    }

    pub(crate) fn set_late(&mut self, at: usize) {
        if let Some(deposit) = self.dossier.deposits.get_mut(at) {
            deposit.late = true;
            self.moved.insert(at);
        }
    }

    /// Writes a journal under `base`, or `base#2`, `base#3` … where a reversal used it up.
    pub(crate) fn post(
        &mut self,
        base: &str,
        deposit: Option<DepositId>,
        effective: Time,
        remainder: u64,
        entries: Vec<Entry>,
    ) {
        if entries.is_empty() {
            return;
        }
        let used = self.dossier.journals.iter().filter(|journal| is_round_of(&journal.key, base));
        let key = match used.count() {
            0 => base.to_owned(),
            rounds => format!("{base}#{}", rounds.saturating_add(1)),
        };
        let order = Some(self.id());
        self.dossier.journals.push(Journal {
            key,
            order,
            deposit,
            effective,
            recorded: self.now,
            remainder,
            entries,
        });
    }

    /// Writes the reversal of every journal in `keys` that has none yet, newest first.
    pub(crate) fn reverse(&mut self, keys: &[String]) {
        for key in keys.iter().rev() {
            let reversal = format!("reverse:{key}");
            if self.dossier.journals.iter().any(|journal| journal.key == reversal) {
                continue;
            }
            let journal = self.dossier.journals.iter().find(|journal| journal.key == *key);
            if let Some(undone) = journal.map(|journal| journal.reversed(self.now)) {
                self.dossier.journals.push(undone);
            }
        }
    }

    /// The keys of journals that `fits` and that are not reversed, oldest first.
    pub(crate) fn live(&self, fits: impl Fn(&Journal) -> bool) -> Vec<String> {
        let journals = &self.dossier.journals;
        journals
            .iter()
            .filter(|journal| !journal.key.starts_with("reverse:") && fits(journal))
            .filter(|journal| {
                let reversal = format!("reverse:{}", journal.key);
                !journals.iter().any(|other| other.key == reversal)
            })
            .map(|journal| journal.key.clone())
            .collect()
    }

    /// Opens a case about `subject`, or adds the deposit to the open one.
    pub(crate) fn open_case(
        &mut self,
        kind: CaseKind,
        subject: &str,
        deposit: &Deposit,
        held: Usdt,
    ) {
        let base = format!("{}:{subject}", kind.word());
        let open = self
            .dossier
            .cases
            .iter()
            .position(|case| is_round_of(&case.id.0, &base) && case.decision.is_none());
        if let Some(at) = open {
            if let Some(case) = self.dossier.cases.get_mut(at) {
                case.amount = case.amount.plus(held).unwrap_or(case.amount);
                if !case.deposits.contains(&deposit.id) {
                    case.deposits.push(deposit.id.clone());
                }
                self.cases.insert(at);
            }
            return;
        }
        let rounds =
            self.dossier.cases.iter().filter(|case| is_round_of(&case.id.0, &base)).count();
        let id = match rounds {
            0 => CaseId(base),
            rounds => CaseId(format!("{base}#{}", rounds.saturating_add(1))),
        };
        self.cases.insert(self.dossier.cases.len());
        let order = Some(self.id());
        self.dossier.cases.push(Case {
            id: id.clone(),
            kind,
            order,
            deposits: vec![deposit.id.clone()],
            chain: deposit.id.chain.clone(),
            amount: held,
            opened_at: self.now,
            decision: None,
            steps: Vec::new(),
        });
        let data = vec![("kind", kind.word().to_owned()), ("amount", held.to_string())];
        self.tell(EventKind::CaseOpened, Some(deposit), Some(id), data);
    }

    /// Opens a case that is about no deposit; whoever opens it tells it.
    pub(crate) fn open_bare_case(&mut self, case: Case) {
        if !self.dossier.cases.iter().any(|known| known.id == case.id) {
            self.cases.insert(self.dossier.cases.len());
            self.dossier.cases.push(case);
        }
    }

    /// The journals that this update wrote for the order.
    pub(crate) fn fresh_journals(&self) -> &[Journal] {
        self.dossier.journals.get(self.known_journals..).unwrap_or_default()
    }

    fn fresh_deposits(&self) -> usize {
        self.dossier.deposits.len().saturating_sub(self.known_deposits)
    }

    /// Settles every open case that `fits` because a later fact did.
    pub(crate) fn close_cases(&mut self, why: &str, fits: impl Fn(&Case) -> bool) {
        let at = self.now;
        let mut closed = Vec::new();
        for (index, case) in self.dossier.cases.iter_mut().enumerate() {
            if case.decision.is_none() && fits(case) {
                case.decision = Some(Decision::itself(why, at));
                self.cases.insert(index);
                closed.push((case.id.clone(), case.kind));
            }
        }
        for (id, kind) in closed {
            let data = vec![("kind", kind.word().to_owned()), ("why", why.to_owned())];
            self.tell(EventKind::CaseResolved, None, Some(id), data);
        }
    }

    /// A case, to be written again.
    pub(crate) fn touch_case(&mut self, id: &CaseId) -> Option<&mut Case> {
        let at = self.dossier.cases.iter().position(|case| case.id == *id)?;
        self.cases.insert(at);
        self.dossier.cases.get_mut(at)
    }

    fn tell_detected(&mut self, seen: &Deposit) {
        self.tell(EventKind::DepositDetected, Some(seen), None, seen.facts());
    }

    pub(crate) fn tell(
        &mut self,
        kind: EventKind,
        deposit: Option<&Deposit>,
        case: Option<CaseId>,
        data: Vec<(&'static str, String)>,
    ) {
        let chain = deposit.map_or(&self.dossier.order.chain, |deposit| &deposit.id.chain);
        self.events.push(Event {
            kind,
            at: self.now,
            chain: Some(chain.clone()),
            order: Some(self.id()),
            deposit: deposit.map(|deposit| deposit.id.clone()),
            case,
            data,
        });
    }

    fn finish(mut self, changes: &mut Changes) {
        for before in std::mem::take(&mut self.proposed) {
            resolve::outdate(&mut self, &before);
        }
        let after = self.dossier.status();
        let told = match after {
            Status::Confirming => Some(EventKind::OrderConfirming),
            Status::PartiallyPaid => Some(EventKind::OrderPartiallyPaid),
            _ => None,
        };
        if let Some(kind) = told.filter(|_| after != self.before) {
            let data = vec![
                ("counted", self.dossier.counted().to_string()),
                ("pending", self.dossier.pending().to_string()),
            ];
            self.tell(kind, None, None, data);
        }
        let facts = (self.dossier.paid, self.dossier.expired, self.dossier.cancelled);
        let known = (self.facts, self.known_deposits, self.known_journals, 0, 0, 0);
        let (deposits, journals) = (self.dossier.deposits.len(), self.dossier.journals.len());
        let touched = (self.moved.len(), self.cases.len(), self.events.len());
        if known == (facts, deposits, journals, touched.0, touched.1, touched.2) {
            return;
        }
        changes.touched.push(Touched {
            order: self.dossier.order.id.clone(),
            version: self.dossier.version,
            paid: facts.0,
            expired: facts.1,
            cancelled: facts.2,
        });
        let moved = self.moved.range(..self.known_deposits);
        changes.moved.extend(moved.filter_map(|at| self.dossier.deposits.get(*at).cloned()));
        // What is new was written on a copy already; what is not is left where it is shared.
        if deposits > self.known_deposits {
            changes.recorded.extend(self.dossier.deposits.drain(self.known_deposits..));
        }
        let cases = self.cases.iter().filter_map(|at| self.dossier.cases.get(*at));
        changes.cases.extend(cases.cloned());
        if journals > self.known_journals {
            changes.journals.extend(self.dossier.journals.drain(self.known_journals..));
        }
        changes.events.append(&mut self.events);
    }
}

/// That what was seen of a recorded deposit is a repeated answer and not a second payment: a
/// transaction is in one block of a chain, so another block, or another transfer in it, is somebody
/// else's payment under a name that a node made up.
pub(crate) fn same(recorded: &Deposit, seen: &Deposit) -> Result<(), PlanError> {
    let differs = [
        ("block", recorded.block != seen.block),
        ("receiver", recorded.to != seen.to),
        ("value", recorded.raw != seen.raw),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(PlanError::Contradiction { deposit: seen.id.clone(), what }),
    }
}

/// Whether `key` is `base` or a later round of it.
pub(crate) fn is_round_of(key: &str, base: &str) -> bool {
    key.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}
