//! What a decision brings an order: credits for what a case held, or deposits of another one.
//!
//! In: an order on the desk, a case and what of it is held. Out: journals, states, what is told.
//! Never: whether it may be decided; that is asked in `resolve`.

use crate::case::{Case, CaseKind};
use crate::deposit::{Deposit, State};
use crate::desk::Work;
use crate::event::EventKind;
use crate::keeper::Keeper;
use crate::ledger::Account;
use crate::plan::PlanError;
use crate::resolve::{Part, key, leave, settle_parts};

impl Work {
    /// Credits what a case holds. Where it covers an order that is not paid, the order is paid by
    /// it as agreed, whenever and on whichever chain it came; otherwise it is worth what it is at
    /// the order's rate.
    pub(crate) fn credit_case(&mut self, case: &Case, held: &[Part]) -> Result<(), PlanError> {
        let is_open = self.dossier.order.due.is_none();
        let pays = self.dossier.paid.is_none() && self.dossier.covers(case.amount);
        if is_open || pays {
            for part in held {
                let entry = leave(case, part, Account::Order(self.id()), part.held);
                self.book(&key(case, part), &part.deposit, self.now, entry.into_iter().collect());
            }
        }
        if is_open {
            for part in held {
                self.credit_open(part.at, &part.deposit)?;
                self.flag_late(part);
            }
            return Ok(());
        }
        if pays {
            return self.pay_by_decision(case, held);
        }
        for part in held {
            let from = Account::Suspense(case.kind);
            let chain = &part.deposit.id.chain;
            let sale = (part.held, part.held);
            let (now, deposit) = (self.now, Some(&part.deposit));
            let credits = self.sell(&key(case, part), (from, chain), deposit, now, sale)?;
            self.tell_granted(deposit, credits);
        }
        settle_parts(self, case, held, State::Granted);
        Ok(())
    }

    /// The order is covered by what a person had credited. What else counts came to a paid order.
    fn pay_by_decision(&mut self, case: &Case, held: &[Part]) -> Result<(), PlanError> {
        let Some(last) = held.last() else { return Ok(()) };
        let due = self.dossier.order.due.unwrap_or(case.amount);
        let above = case.amount.minus_or_zero(due) > self.dossier.order.terms.tolerance;
        let sale = (case.amount, if above { case.amount } else { due });
        let base = format!("paid:{}", self.id());
        let chain = last.deposit.id.chain.clone();
        let from = Account::Order(self.id());
        let credits = self.sell(&base, (from, &chain), None, self.now, sale)?;
        let data = vec![("amount", case.amount.to_string()), ("credits", credits.to_string())];
        self.tell(EventKind::OrderPaid, None, Some(case.id.clone()), data);
        self.tell_granted(None, credits);
        for part in held {
            self.set_state(part.at, State::Credited);
            self.flag_late(part);
        }
        // Before it is paid: what was given to another order is not here to be held.
        for at in 0..self.dossier.deposits.len() {
            let deposit = self.deposit(at)?;
            if deposit.state == State::Confirmed {
                self.hold(at, &deposit, CaseKind::Duplicate);
            }
        }
        self.dossier.paid = Some(last.deposit.time);
        let why = "the order is paid by a decision";
        self.close_cases(why, |case| case.kind == CaseKind::ReversedAfterCredit);
        Ok(())
    }

    /// Deposits of another order, or of nobody, count for this one: as if they had arrived for it,
    /// but that a person decided that they are in time.
    pub(crate) fn take_over(&mut self, case: &Case, held: &[Part]) -> Result<(), PlanError> {
        for part in held {
            let deposit = self.arrived(case, part);
            let at = self.dossier.deposits.len();
            let entry = leave(case, part, Account::Order(self.id()), part.held);
            self.book(&key(case, part), &deposit, self.now, entry.into_iter().collect());
            self.dossier.deposits.push(deposit.clone());
            // The first of several may have paid the order.
            if self.dossier.order.due.is_some() && self.dossier.paid.is_some() {
                self.hold(at, &deposit, CaseKind::Duplicate);
            } else {
                self.count(at, &deposit)?;
            }
        }
        Ok(())
    }

    fn flag_late(&mut self, part: &Part) {
        if self.dossier.is_over_at(part.deposit.time) {
            self.set_late(part.at);
        }
    }

    fn arrived(&self, case: &Case, part: &Part) -> Deposit {
        Deposit {
            order: Some(self.id()),
            amount: part.held,
            state: State::Confirmed,
            late: self.dossier.is_over_at(part.deposit.time),
            assigned: Some(case.id.clone()),
            ..part.deposit.clone()
        }
    }
}
