//! What a reorg takes back of an order.
//!
//! In: deposits whose blocks are no longer part of the chain. Out: reversing journals, the case.
//! Never: deletes or edits. Why: what was told and booked stays; taking it back is a fact too.

use crate::amount::{Credits, Usdt};
use crate::case::{Case, CaseKind, Resolution};
use crate::deposit::{Deposit, State};
use crate::desk::{Work, is_round_of};
use crate::event::EventKind;
use crate::ledger::{Account, Journal};
use crate::name::ChainName;
use crate::plan::PlanError;
use crate::resolve::parts;

impl Work {
    /// Takes back everything on `chain` at or above `fork`.
    pub(crate) fn orphan_from(&mut self, chain: &ChainName, fork: u64) -> Result<(), PlanError> {
        let mut gone = Vec::new();
        for (at, deposit) in self.dossier.deposits.iter().enumerate() {
            let on = deposit.id.chain == *chain && deposit.state.is_on_chain();
            if on && deposit.block.height >= fork {
                // Taking the first back un-credits the others: what they were is asked before.
                gone.push((at, deposit.state == State::Credited));
            }
        }
        gone.into_iter().try_for_each(|(at, credited)| self.orphan(at, credited))
    }

    /// The deposit's block is no longer part of the chain: everything booked for it is reversed.
    fn orphan(&mut self, at: usize, credited: bool) -> Result<(), PlanError> {
        let deposit = self.deposit(at)?;
        if credited {
            self.unpay(&deposit)?;
        }
        let id = deposit.id.clone();
        let keys = self.live(|journal| journal.deposit.as_ref() == Some(&id));
        let taken = self.granted_by(&keys);
        self.reverse(&keys);
        // Beside these, what was credited is in journals of the order, which are reversed by now.
        let gone = deposit.state == State::Granted;
        if gone {
            self.tell_taken(&deposit, taken);
        }
        if gone || matches!(deposit.state, State::Refunding | State::Refunded) {
            let subject = self.id().to_string();
            self.open_case(CaseKind::ReversedAfterCredit, &subject, &deposit, Usdt::ZERO);
        }
        let reversed = credited || gone;
        self.set_state(at, if reversed { State::Reversed } else { State::Orphaned });
        let height = vec![("height", deposit.block.height.to_string())];
        self.tell(EventKind::DepositOrphaned, Some(&deposit), None, height);
        self.drop_from_cases(&deposit);
        Ok(())
    }

    /// Removes an orphaned deposit from its open cases; an empty case is settled by that.
    fn drop_from_cases(&mut self, deposit: &Deposit) {
        let holds = |case: &Case| {
            case.kind != CaseKind::ReversedAfterCredit && case.deposits.contains(&deposit.id)
        };
        let why = "its deposit is no longer part of the chain";
        self.close_cases(why, |case| holds(case) && case.deposits.len() == 1);
        let others: Vec<Case> =
            self.dossier.open_cases().filter(|case| holds(case)).cloned().collect();
        for mut case in others {
            case.deposits.retain(|id| *id != deposit.id);
            let held = parts((&self.dossier.deposits, &self.dossier.journals), &case);
            // Of what was given to another order it held nothing.
            let sum = held.iter().try_fold(Usdt::ZERO, |sum, part| sum.plus(part.held));
            if let Some(known) = self.touch_case(&case.id) {
                known.deposits = case.deposits;
                known.amount = sum.unwrap_or(Usdt::MAX);
            }
        }
    }

    /// Takes back the credits that a deposit, now orphaned, had helped to grant.
    fn unpay(&mut self, deposit: &Deposit) -> Result<(), PlanError> {
        let order = self.id();
        let subject = order.to_string();
        let base = match self.dossier.order.due {
            Some(_) => format!("paid:{order}"),
            None => format!("paid:{order}:{}", deposit.id),
        };
        let own = Account::Order(order.clone());
        // What a person gave to another order stays there: its own deposit is not gone.
        let cases = &self.dossier.cases;
        let given = |journal: &Journal| {
            let about = |case: &&Case| {
                let of = journal.deposit.as_ref().is_some_and(|id| case.deposits.contains(id));
                of && case.kind == CaseKind::Overpaid
            };
            let last = cases.iter().rfind(about).and_then(|case| case.decision.as_ref());
            last.is_some_and(|last| matches!(last.resolution, Resolution::Reassign(_)))
        };
        let keys = self.live(|journal| {
            is_round_of(&journal.key, &base)
                || holds_excess(journal) && !brings_to(&own, journal) && !given(journal)
        });
        if keys.is_empty() {
            // Another deposit of the same reorg took them back already.
            self.open_case(CaseKind::ReversedAfterCredit, &subject, deposit, Usdt::ZERO);
            return Ok(());
        }
        let granted = self.granted_by(&keys);
        let sold = self.credited_to(&keys, &Account::Sales);
        self.taken_back = self.taken_back.saturating_add(u64::try_from(sold).unwrap_or(0));
        self.reverse(&keys);
        self.close_cases("the order is no longer paid", |case| case.kind == CaseKind::Overpaid);
        for at in 0..self.dossier.deposits.len() {
            let other = self.deposit(at)?;
            let affected = self.dossier.order.due.is_some() || other.id == deposit.id;
            if other.state == State::Credited && affected {
                self.set_state(at, State::Confirmed);
            }
        }
        let credited = |d: &Deposit| (d.state == State::Credited).then_some(d.time);
        self.dossier.paid = self.dossier.deposits.iter().filter_map(credited).min();
        self.tell_taken(deposit, granted);
        self.open_case(CaseKind::ReversedAfterCredit, &subject, deposit, Usdt::ZERO);
        Ok(())
    }

    /// The credits that these journals granted, in millionths.
    fn granted_by(&self, keys: &[String]) -> i64 {
        self.credited_to(keys, &Account::Customer(self.dossier.order.customer.clone()))
    }

    /// What these journals credited to an account, in millionths.
    fn credited_to(&self, keys: &[String], account: &Account) -> i64 {
        let journals = self.dossier.journals.iter().filter(|j| keys.contains(&j.key));
        let entries = journals.flat_map(|journal| &journal.entries);
        let credits = entries.filter(|entry| entry.credit == *account);
        credits.fold(0, |sum, entry| sum.saturating_add(entry.amount))
    }

    fn tell_taken(&mut self, deposit: &Deposit, granted: i64) {
        let credits = Credits::from_micro(granted).unwrap_or_default();
        let data = vec![
            ("customer", self.dossier.order.customer.to_string()),
            ("credits", credits.to_string()),
        ];
        self.tell(EventKind::CreditsReversed, Some(deposit), None, data);
    }
}

/// Whether a journal brought this order the excess of another one, by a decision: that stays while
/// its own deposit does.
fn brings_to(order: &Account, journal: &Journal) -> bool {
    journal.key.starts_with("resolve:") && journal.entries.iter().any(|e| e.credit == *order)
}

/// Whether a journal put the excess over the amount due into suspense, or took it out again by a
/// decision.
fn holds_excess(journal: &Journal) -> bool {
    let held = Account::Suspense(CaseKind::Overpaid);
    let key = journal.key.as_str();
    let moved = |entry: &crate::ledger::Entry| entry.credit == held || entry.debit == held;
    (key.starts_with("suspend:") || key.starts_with("resolve:"))
        && journal.entries.iter().any(moved)
        || key.starts_with("refund:overpaid:")
}
