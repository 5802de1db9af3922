//! Where a case is kept: with its order, or with the deposits that no order owns.
//!
//! In: an order on the desk, or the loose deposits. Out: the same few acts on either.
//! Never: a rule. Why: a decision about a case is the same wherever its deposits are.

use crate::case::{Case, CaseId, Step};
use crate::deposit::{Deposit, State};
use crate::desk::Work;
use crate::event::EventKind;
use crate::ledger::{Entry, Journal};
use crate::loose::Loose;
use crate::time::Time;

/// What a decision needs of the place its case is kept at.
pub(crate) trait Keeper {
    fn deposits(&self) -> &[Deposit];
    fn journals(&self) -> &[Journal];
    /// The case, to be written again.
    fn case_mut(&mut self, id: &CaseId) -> Option<&mut Case>;
    fn mark(&mut self, at: usize, state: State);
    /// Writes a journal about a deposit, in its next round.
    fn book(&mut self, base: &str, deposit: &Deposit, effective: Time, entries: Vec<Entry>);
    fn say(&mut self, kind: EventKind, case: &Case, data: Vec<(&'static str, String)>);

    /// Adds a step to a case.
    fn add_step(&mut self, id: &CaseId, step: Step) {
        if let Some(case) = self.case_mut(id) {
            case.steps.push(step);
        }
    }
}

impl Keeper for Work {
    fn deposits(&self) -> &[Deposit] {
        &self.dossier.deposits
    }

    fn journals(&self) -> &[Journal] {
        &self.dossier.journals
    }

    fn case_mut(&mut self, id: &CaseId) -> Option<&mut Case> {
        self.touch_case(id)
    }

    fn mark(&mut self, at: usize, state: State) {
        self.set_state(at, state);
    }

    fn book(&mut self, base: &str, deposit: &Deposit, effective: Time, entries: Vec<Entry>) {
        self.post(base, Some(deposit.id.clone()), effective, 0, entries);
    }

    fn say(&mut self, kind: EventKind, case: &Case, data: Vec<(&'static str, String)>) {
        let first = case.deposits.first();
        let deposit = self.dossier.deposits.iter().find(|d| Some(&d.id) == first).cloned();
        self.tell(kind, deposit.as_ref(), Some(case.id.clone()), data);
    }
}

impl Keeper for Loose {
    fn deposits(&self) -> &[Deposit] {
        &self.deposits
    }

    fn journals(&self) -> &[Journal] {
        &self.journals
    }

    fn case_mut(&mut self, id: &CaseId) -> Option<&mut Case> {
        self.touch_case(id)
    }

    fn mark(&mut self, at: usize, state: State) {
        self.set_state(at, state);
    }

    fn book(&mut self, base: &str, deposit: &Deposit, effective: Time, entries: Vec<Entry>) {
        self.post(base, deposit, effective, entries);
    }

    fn say(&mut self, kind: EventKind, case: &Case, data: Vec<(&'static str, String)>) {
        let first = case.deposits.first();
        match self.deposits.iter().find(|d| Some(&d.id) == first).cloned() {
            Some(deposit) => self.tell(kind, &deposit, Some(case.id.clone()), data),
            None => self.tell_bare(kind, case, data),
        }
    }
}
