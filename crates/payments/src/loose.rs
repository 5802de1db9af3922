//! Deposits to imported addresses that no order owns.
//!
//! In: such transfers. Out: the money in `suspense:unassigned`, a case for each.
//! Never: guesses whose it is. Why: nothing that reached an address of ours is dropped.

use std::collections::BTreeSet;

use crate::case::{Case, CaseId, CaseKind, Decision};
use crate::changes::{Changes, Snapshot};
use crate::deposit::{Deposit, DepositId, State};
use crate::desk::{is_round_of, same};
use crate::event::{Event, EventKind};
use crate::ledger::{Account, Entry, Journal};
use crate::name::ChainName;
use crate::plan::PlanError;
use crate::time::Time;
use crate::view::View;

#[derive(Clone)]
pub(crate) struct Loose {
    pub(crate) now: Time,
    pub(crate) deposits: Vec<Deposit>,
    cases: Vec<Case>,
    pub(crate) journals: Vec<Journal>,
    known: usize,
    known_journals: usize,
    moved: BTreeSet<usize>,
    changed_cases: BTreeSet<usize>,
    events: Vec<Event>,
}

impl Loose {
    pub(crate) fn new(snapshot: &Snapshot, now: Time) -> Self {
        Self {
            now,
            deposits: snapshot.unassigned.clone(),
            cases: snapshot.unassigned_cases.clone(),
            journals: snapshot.unassigned_journals.clone(),
            known: snapshot.unassigned.len(),
            known_journals: snapshot.unassigned_journals.len(),
            moved: BTreeSet::new(),
            changed_cases: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// Whether this deposit was nobody's when it was first recorded: it stays so, though its
    /// address may have been given to an order since.
    pub(crate) fn knows(&self, id: &DepositId) -> bool {
        self.deposits.iter().any(|deposit| deposit.id == *id)
    }

    pub(crate) fn observe(&mut self, seen: &Deposit) -> Result<(), PlanError> {
        let known = self.deposits.iter().position(|deposit| deposit.id == seen.id);
        match known {
            None => self.deposits.push(seen.clone()),
            Some(at) => {
                let Some(deposit) = self.deposits.get_mut(at) else { return Ok(()) };
                if deposit.state.is_on_chain() {
                    return same(deposit, seen);
                }
                *deposit = seen.clone();
                self.moved.insert(at);
            }
        }
        let mut data = seen.facts();
        // No order says which address of ours it was.
        data.push(("to", seen.to.to_string()));
        self.tell(EventKind::DepositDetected, seen, None, data);
        Ok(())
    }

    /// The journals that this update wrote for them.
    pub(crate) fn fresh_journals(&self) -> &[Journal] {
        self.journals.get(self.known_journals..).unwrap_or_default()
    }

    /// Deposits, cases and journals as they are by now.
    pub(crate) fn into_kept(self) -> (Vec<Deposit>, Vec<Case>, Vec<Journal>) {
        (self.deposits, self.cases, self.journals)
    }

    /// The deposits as they are by now.
    pub(crate) fn deposits(&self) -> &[Deposit] {
        &self.deposits
    }

    pub(crate) fn settle(&mut self, view: &View<'_>) {
        for at in 0..self.deposits.len() {
            let Some(deposit) = self.deposits.get(at).cloned() else { continue };
            if deposit.state == State::Pending && view.is_final(&deposit) {
                self.hold(at, &deposit);
            }
        }
    }

    /// Books a final one and asks a person whose it is.
    fn hold(&mut self, at: usize, deposit: &Deposit) {
        let kind = if deposit.id.other_token.is_some() {
            CaseKind::WrongAsset
        } else {
            CaseKind::Unassigned
        };
        let chain = &deposit.id.chain;
        let custody = Account::Custody(chain.clone(), deposit.to);
        let entry = Entry::usdt(chain, custody, Account::Suspense(kind), deposit.amount);
        let base = format!("deposit:{}", deposit.id);
        self.post(&base, deposit, deposit.time, entry.into_iter().collect());
        let base = format!("{}:{}", kind.word(), deposit.id);
        let rounds = self.cases.iter().filter(|case| is_round_of(&case.id.0, &base)).count();
        let id = CaseId(round(&base, rounds));
        self.changed_cases.insert(self.cases.len());
        self.cases.push(Case {
            id: id.clone(),
            kind,
            order: None,
            deposits: vec![deposit.id.clone()],
            chain: chain.clone(),
            amount: deposit.amount,
            opened_at: self.now,
            decision: None,
            steps: Vec::new(),
        });
        self.set_state(at, State::Suspended(kind));
        self.tell(EventKind::DepositConfirmed, deposit, None, deposit.confirmed_facts());
        let data = vec![("kind", kind.word().to_owned()), ("amount", deposit.amount.to_string())];
        self.tell(EventKind::CaseOpened, deposit, Some(id), data);
    }

    /// Writes a journal under `base`, or a later round of it.
    pub(crate) fn post(
        &mut self,
        base: &str,
        deposit: &Deposit,
        effective: Time,
        entries: Vec<Entry>,
    ) {
        if entries.is_empty() {
            return;
        }
        let rounds = self.journals.iter().filter(|j| is_round_of(&j.key, base)).count();
        self.journals.push(Journal {
            key: round(base, rounds),
            order: None,
            deposit: Some(deposit.id.clone()),
            effective,
            recorded: self.now,
            remainder: 0,
            entries,
        });
    }

    /// Opens a case that is about no deposit.
    pub(crate) fn open_bare_case(&mut self, case: Case) {
        if !self.cases.iter().any(|known| known.id == case.id) {
            self.changed_cases.insert(self.cases.len());
            self.cases.push(case);
        }
    }

    /// A case, to be written again.
    pub(crate) fn touch_case(&mut self, id: &CaseId) -> Option<&mut Case> {
        let at = self.cases.iter().position(|case| case.id == *id)?;
        self.changed_cases.insert(at);
        self.cases.get_mut(at)
    }

    /// Takes back everything on `chain` at or above `fork`.
    pub(crate) fn orphan_from(&mut self, chain: &ChainName, fork: u64) {
        for at in 0..self.deposits.len() {
            let Some(deposit) = self.deposits.get(at).cloned() else { continue };
            let gone = deposit.id.chain == *chain
                && deposit.state.is_on_chain()
                && deposit.block.height >= fork;
            if gone {
                self.orphan(at, &deposit);
            }
        }
    }

    fn orphan(&mut self, at: usize, deposit: &Deposit) {
        for at in (0..self.journals.len()).rev() {
            let Some(journal) = self.journals.get(at) else { continue };
            let undone = journal.reversed(self.now);
            let about = journal.deposit.as_ref() == Some(&deposit.id);
            let stands = !journal.key.starts_with("reverse:")
                && !self.journals.iter().any(|other| other.key == undone.key);
            if about && stands {
                self.journals.push(undone);
            }
        }
        self.set_state(at, State::Orphaned);
        let height = vec![("height", deposit.block.height.to_string())];
        self.tell(EventKind::DepositOrphaned, deposit, None, height);
        let open = self
            .cases
            .iter()
            .position(|case| case.decision.is_none() && case.deposits.contains(&deposit.id));
        let Some(index) = open else { return };
        let why = "its deposit is no longer part of the chain";
        let Some(case) = self.cases.get_mut(index) else { return };
        case.decision = Some(Decision::itself(why, self.now));
        let (id, kind) = (case.id.clone(), case.kind);
        self.changed_cases.insert(index);
        let data = vec![("kind", kind.word().to_owned()), ("why", why.to_owned())];
        self.tell(EventKind::CaseResolved, deposit, Some(id), data);
    }

    pub(crate) fn set_state(&mut self, at: usize, state: State) {
        if let Some(deposit) = self.deposits.get_mut(at) {
            deposit.state = state;
            self.moved.insert(at);
        }
    }

    pub(crate) fn tell(
        &mut self,
        kind: EventKind,
        deposit: &Deposit,
        case: Option<CaseId>,
        data: Vec<(&'static str, String)>,
    ) {
        self.events.push(Event {
            kind,
            at: self.now,
            chain: Some(deposit.id.chain.clone()),
            order: None,
            deposit: Some(deposit.id.clone()),
            case,
            data,
        });
    }

    /// Tells of a case that is about no deposit.
    pub(crate) fn tell_bare(
        &mut self,
        kind: EventKind,
        case: &Case,
        data: Vec<(&'static str, String)>,
    ) {
        self.events.push(Event {
            kind,
            at: self.now,
            chain: Some(case.chain.clone()),
            order: None,
            deposit: None,
            case: Some(case.id.clone()),
            data,
        });
    }

    pub(crate) fn finish(mut self, changes: &mut Changes) {
        for (at, deposit) in self.deposits.into_iter().enumerate() {
            if at >= self.known {
                changes.recorded.push(deposit);
            } else if self.moved.contains(&at) {
                changes.moved.push(deposit);
            }
        }
        let cases = self.cases.into_iter().enumerate();
        let changed = cases.filter(|(at, _)| self.changed_cases.contains(at));
        changes.cases.extend(changed.map(|(_, case)| case));
        changes.journals.extend(self.journals.into_iter().skip(self.known_journals));
        changes.events.append(&mut self.events);
    }
}

fn round(base: &str, rounds: usize) -> String {
    match rounds {
        0 => base.to_owned(),
        rounds => format!("{base}#{}", rounds.saturating_add(1)),
    }
}
