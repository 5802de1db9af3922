//! The rules of an order's deposits: which count, which wait for a person, what is credited.
//!
//! In: an order on the desk and how far its chain is known. Out: journals, cases, events.
//! Never: relabels what was credited; a later discovery is judged after what came before it.
//! Why: what counts is decided once, in one order: token, chain, dust, covered, in time.

use std::collections::BTreeSet;

use crate::amount::{Credits, Usdt};
use crate::case::CaseKind;
use crate::deposit::{Deposit, DepositId, State};
use crate::desk::Work;
use crate::event::EventKind;
use crate::ledger::{Account, Entry};
use crate::name::ChainName;
use crate::order::{Dossier, Policy};
use crate::plan::PlanError;
use crate::time::Time;
use crate::view::View;

/// What becomes of a final deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Suspend(CaseKind),
    Dust,
    Count { late: bool },
}

impl Work {
    /// Judges every deposit that is final, in the order they were first recorded, those after the
    /// expiry last, and expires the order where its time is over.
    pub(crate) fn settle(&mut self, view: &View<'_>) -> Result<(), PlanError> {
        let (mut waiting, near) = (false, self.dossier.may_exceed_the_books());
        for at in self.turns() {
            let deposit = self.deposit(at)?;
            let on_its_chain = self.may_count(&deposit);
            if !view.is_final(&deposit) {
                waiting |= on_its_chain;
                continue;
            }
            // What counts is judged in order: an earlier one that is not final comes first.
            if on_its_chain && (waiting || !self.expiry_is_known(&deposit, view)?) {
                waiting = true;
                continue;
            }
            if near {
                waiting |= !self.can_judge(at, &deposit)?;
            } else {
                self.judge(at, &deposit)?;
            }
        }
        self.expire(view)?;
        self.settle_rest(view)
    }

    /// Judges a deposit, unless what it is worth is beyond the books: it stays as it was seen, and
    /// what comes behind it waits. No other order waits for that.
    fn can_judge(&mut self, at: usize, deposit: &Deposit) -> Result<bool, PlanError> {
        let before = self.clone();
        match self.judge(at, deposit) {
            Err(PlanError::Range(_)) => {
                *self = before;
                Ok(false)
            }
            done => done.map(|()| true),
        }
    }

    /// The places of the deposits still to be judged. One after the expiry waits for the expiry,
    /// which waits for all that are on time: where a reorg mined it again, it may have been
    /// recorded before them.
    fn turns(&self) -> Vec<usize> {
        let expiry = self.dossier.order.expires_at;
        let mut turns: Vec<(bool, usize)> = Vec::new();
        for (at, deposit) in self.dossier.deposits.iter().enumerate() {
            if deposit.state == State::Pending {
                turns.push((expiry.is_some_and(|expiry| deposit.time > expiry), at));
            }
        }
        turns.sort_unstable();
        turns.into_iter().map(|(_, at)| at).collect()
    }

    /// What is left counting after a reversal covers the order anew, or waits for a person where
    /// the order is over. It was credited before, so a pause of the chain does not hold it up.
    fn settle_rest(&mut self, view: &View<'_>) -> Result<(), PlanError> {
        if self.dossier.paid.is_some() {
            return Ok(());
        }
        let own = self.dossier.order.chain == view.chain;
        let confirmed = |deposit: &&Deposit| deposit.state == State::Confirmed;
        let last = self.dossier.deposits.iter().rfind(confirmed).cloned();
        let Some(last) = last.filter(|_| own) else {
            return Ok(());
        };
        if self.dossier.order.due.is_some() && self.dossier.covers(self.dossier.counted()) {
            self.pay(&last)
        } else if self.dossier.is_closed() {
            self.close_uncovered(view.is_crediting(&self.dossier))
        } else {
            Ok(())
        }
    }

    /// Whether this deposit can change what the order has: right address, right chain, right token,
    /// not dust.
    fn may_count(&self, deposit: &Deposit) -> bool {
        let order = &self.dossier.order;
        deposit.reached(order)
            && deposit.id.chain == order.chain
            && deposit.id.other_token.is_none()
            && !self.is_dust(deposit)
    }

    /// Below the dust limit, or below a millionth, which is nothing in the books.
    fn is_dust(&self, deposit: &Deposit) -> bool {
        deposit.amount.is_zero() || deposit.amount < self.dossier.order.terms.dust
    }

    /// A deposit after the expiry is judged once the expiry itself is decided, so that reading the
    /// chain in other portions gives the same books.
    fn expiry_is_known(&mut self, deposit: &Deposit, view: &View<'_>) -> Result<bool, PlanError> {
        let after = self.dossier.order.expires_at.is_some_and(|expiry| deposit.time > expiry);
        if !after || self.is_decided() {
            return Ok(true);
        }
        self.expire(view)?;
        Ok(self.is_decided())
    }

    fn is_decided(&self) -> bool {
        self.dossier.paid.is_some() || self.dossier.is_closed()
    }

    fn verdict(&self, deposit: &Deposit) -> Verdict {
        let order = &self.dossier.order;
        if deposit.id.other_token.is_some() {
            return Verdict::Suspend(CaseKind::WrongAsset);
        }
        if deposit.to != order.address {
            // First recorded at this order's address, then mined again to another.
            return Verdict::Suspend(CaseKind::Unassigned);
        }
        if deposit.id.chain != order.chain {
            return Verdict::Suspend(CaseKind::WrongNetwork);
        }
        if self.is_dust(deposit) {
            return Verdict::Dust;
        }
        if order.due.is_some() && self.dossier.paid.is_some() {
            return Verdict::Suspend(CaseKind::Duplicate);
        }
        if self.dossier.is_too_late_at(deposit.time) {
            return Verdict::Suspend(CaseKind::Late);
        }
        Verdict::Count { late: self.dossier.is_over_at(deposit.time) }
    }

    fn judge(&mut self, at: usize, deposit: &Deposit) -> Result<(), PlanError> {
        match self.verdict(deposit) {
            Verdict::Suspend(CaseKind::WrongAsset) => {
                self.set_state(at, State::Suspended(CaseKind::WrongAsset));
                self.tell_confirmed(deposit);
                let subject = deposit.id.to_string();
                self.open_case(CaseKind::WrongAsset, &subject, deposit, Usdt::ZERO);
            }
            Verdict::Suspend(kind) => {
                self.receive(deposit, Account::Order(self.id()));
                self.hold(at, deposit, kind);
            }
            Verdict::Dust => {
                self.receive(deposit, Account::Dust);
                self.set_state(at, State::Dust);
            }
            Verdict::Count { late } => {
                if late {
                    self.set_late(at);
                }
                self.receive(deposit, Account::Order(self.id()));
                self.set_state(at, State::Confirmed);
                self.count(at, deposit)?;
            }
        }
        Ok(())
    }

    /// A deposit that counts has arrived: the order is covered, or waits, or is over.
    pub(crate) fn count(&mut self, at: usize, deposit: &Deposit) -> Result<(), PlanError> {
        if self.dossier.order.due.is_none() {
            self.credit_open(at, deposit)
        } else if self.dossier.covers(self.dossier.counted()) {
            self.pay(deposit)
        } else if self.dossier.is_closed() {
            self.close_uncovered(true)
        } else {
            Ok(())
        }
    }

    /// Books what arrived: `deposit:<id>`.
    fn receive(&mut self, deposit: &Deposit, credit: Account) {
        let chain = &deposit.id.chain;
        let custody = Account::Custody(chain.clone(), deposit.to);
        let entry = Entry::usdt(chain, custody, credit, deposit.amount);
        let base = format!("deposit:{}", deposit.id);
        let id = Some(deposit.id.clone());
        self.post(&base, id, deposit.time, 0, entry.into_iter().collect());
        self.tell_confirmed(deposit);
    }

    fn tell_confirmed(&mut self, deposit: &Deposit) {
        let data = deposit.confirmed_facts();
        self.tell(EventKind::DepositConfirmed, Some(deposit), None, data);
    }

    /// All of a deposit waits for a person.
    pub(crate) fn hold(&mut self, at: usize, deposit: &Deposit, kind: CaseKind) {
        let held = self.dossier.worth(deposit);
        self.suspend(deposit, kind, &deposit.name(), held);
        self.set_state(at, State::Suspended(kind));
    }

    /// Moves an amount of a deposit to suspense: `suspend:<deposit>:<kind>`.
    pub(crate) fn suspend(&mut self, deposit: &Deposit, kind: CaseKind, subject: &str, held: Usdt) {
        let (order, suspense) = (Account::Order(self.id()), Account::Suspense(kind));
        let entry = Entry::usdt(&deposit.id.chain, order, suspense, held);
        let base = format!("suspend:{}:{}", deposit.name(), kind.word());
        let id = Some(deposit.id.clone());
        self.post(&base, id, deposit.time, 0, entry.into_iter().collect());
        self.open_case(kind, subject, deposit, held);
    }

    /// Each deposit of an open order is credited by the rate: `paid:<order>:<deposit>`.
    pub(crate) fn credit_open(&mut self, at: usize, deposit: &Deposit) -> Result<(), PlanError> {
        let base = format!("paid:{}:{}", self.id(), deposit.id);
        self.grant(&base, Some(deposit), deposit.time, deposit.amount, deposit.amount)?;
        self.set_state(at, State::Credited);
        let paid = self.dossier.paid.unwrap_or(deposit.time);
        self.dossier.paid = Some(paid);
        self.close_reversed();
        Ok(())
    }

    /// Settles the case of reversed credits once all that it is about is credited again.
    fn close_reversed(&mut self) {
        let credited = |d: &&Deposit| d.state == State::Credited;
        let credited: BTreeSet<DepositId> =
            self.dossier.deposits.iter().filter(credited).map(|d| d.id.clone()).collect();
        self.close_cases("what was reversed is credited again", |case| {
            case.kind == CaseKind::ReversedAfterCredit
                && case.deposits.iter().all(|id| credited.contains(id))
        });
    }

    /// The order is covered: `paid:<order>`, the excess apart.
    fn pay(&mut self, covering: &Deposit) -> Result<(), PlanError> {
        self.release_underpaid();
        let total = self.total()?;
        let due = self.dossier.order.due.unwrap_or(total);
        let excess = total.minus_or_zero(due);
        let terms = self.dossier.order.terms;
        let held = excess > terms.tolerance && terms.overpaid == Policy::Hold;
        let base = format!("paid:{}", self.id());
        let (sold, worth) = if held {
            (due, due)
        } else if excess > terms.tolerance {
            (total, total)
        } else {
            // Within the tolerance, below or above, the order is paid as agreed.
            (total, due)
        };
        self.grant(&base, None, covering.time, sold, worth)?;
        if held {
            self.suspend(covering, CaseKind::Overpaid, &covering.name(), excess);
        }
        self.credit_counted();
        self.dossier.paid = Some(covering.time);
        let why = "a later deposit covered the order";
        self.close_cases(why, |case| {
            matches!(case.kind, CaseKind::Underpaid | CaseKind::ReversedAfterCredit)
        });
        Ok(())
    }

    /// What counts, exactly.
    fn total(&self) -> Result<Usdt, PlanError> {
        let counted = self
            .dossier
            .deposits
            .iter()
            .filter(|deposit| self.may_count(deposit) && Dossier::is_counting(deposit.state));
        let mut worth = counted.map(|deposit| self.dossier.worth(deposit));
        let sum = worth.try_fold(Usdt::ZERO, Usdt::plus);
        sum.ok_or_else(|| PlanError::Range(self.id()))
    }

    fn credit_counted(&mut self) {
        for at in 0..self.dossier.deposits.len() {
            let state = self.dossier.deposits.get(at).map(|deposit| deposit.state);
            if state == Some(State::Confirmed) {
                self.set_state(at, State::Credited);
            }
        }
    }

    /// Sells `sold` and grants the credits that `worth` buys, as of the block that decided it.
    fn grant(
        &mut self,
        base: &str,
        deposit: Option<&Deposit>,
        effective: Time,
        sold: Usdt,
        worth: Usdt,
    ) -> Result<(), PlanError> {
        // What a decision credits may be on another chain than the order's.
        let chain = deposit.map_or(&self.dossier.order.chain, |deposit| &deposit.id.chain).clone();
        let from = Account::Order(self.id());
        let credits = self.sell(base, (from, &chain), deposit, effective, (sold, worth))?;
        let paid = vec![("amount", sold.to_string()), ("credits", credits.to_string())];
        self.tell(EventKind::OrderPaid, deposit, None, paid);
        self.tell_granted(deposit, credits);
        Ok(())
    }

    /// Books a sale `from` an account that holds USDT of a chain: what is sold, and the credits
    /// that what it is worth buys.
    pub(crate) fn sell(
        &mut self,
        base: &str,
        (from, chain): (Account, &ChainName),
        deposit: Option<&Deposit>,
        effective: Time,
        (sold, worth): (Usdt, Usdt),
    ) -> Result<Credits, PlanError> {
        let order = &self.dossier.order;
        let (credits, remainder) = order
            .price
            .credits(worth, order.due)
            .ok_or_else(|| PlanError::Range(order.id.clone()))?;
        let entries = [
            Entry::usdt(chain, from, Account::Sales, sold),
            Entry::grant(&order.customer, credits),
        ];
        let id = deposit.map(|deposit| deposit.id.clone());
        let credited = u64::try_from(sold.micro()).unwrap_or(0);
        self.granted = self.granted.saturating_add(credited);
        self.post(base, id, effective, remainder, entries.into_iter().flatten().collect());
        Ok(credits)
    }

    pub(crate) fn tell_granted(&mut self, deposit: Option<&Deposit>, credits: Credits) {
        let customer = self.dossier.order.customer.to_string();
        let granted = vec![("customer", customer), ("credits", credits.to_string())];
        self.tell(EventKind::CreditsGranted, deposit, None, granted);
    }

    /// Takes back from suspense what an expiry put there: `release:<deposit>:underpaid`.
    fn release_underpaid(&mut self) {
        let kind = CaseKind::Underpaid;
        for at in 0..self.dossier.deposits.len() {
            let Some(deposit) = self.dossier.deposits.get(at).cloned() else {
                continue;
            };
            if deposit.state != State::Suspended(kind) {
                continue;
            }
            let (order, suspense) = (Account::Order(self.id()), Account::Suspense(kind));
            let held = self.dossier.worth(&deposit);
            let entry = Entry::usdt(&deposit.id.chain, suspense, order, held);
            let base = format!("release:{}:{}", deposit.name(), kind.word());
            let id = Some(deposit.id.clone());
            self.post(&base, id, deposit.time, 0, entry.into_iter().collect());
            self.set_state(at, State::Confirmed);
        }
    }

    /// Expires the order where a final block has passed its time and nothing on time is open.
    fn expire(&mut self, view: &View<'_>) -> Result<(), PlanError> {
        let Some(expiry) = self.dossier.order.expires_at else {
            return Ok(());
        };
        if self.is_decided() || !view.has_passed(&self.dossier, expiry) {
            return Ok(());
        }
        let open = self.dossier.deposits.iter().any(|deposit| {
            deposit.state == State::Pending && deposit.time <= expiry && self.may_count(deposit)
        });
        if open {
            return Ok(());
        }
        self.dossier.expired = Some(expiry);
        let counted = vec![("counted", self.dossier.counted().to_string())];
        self.tell(EventKind::OrderExpired, None, None, counted);
        self.close_uncovered(true)
    }

    /// What arrived of an order that is over and not covered: a case, or credited by policy where
    /// nothing holds crediting up.
    fn close_uncovered(&mut self, crediting: bool) -> Result<(), PlanError> {
        let counted = self.total()?;
        if counted.is_zero() {
            return Ok(());
        }
        if crediting && self.dossier.order.terms.underpaid == Policy::Credit {
            self.release_underpaid();
            let base = format!("paid:{}", self.id());
            let confirmed = |d: &&Deposit| d.state == State::Confirmed;
            let last = self.dossier.deposits.iter().filter(confirmed).map(|d| d.time).max();
            self.grant(&base, None, last.unwrap_or(self.now), counted, counted)?;
            self.credit_counted();
            self.dossier.paid = self.dossier.deadline().or(Some(self.now));
            self.close_cases("what arrived is credited", |case| case.kind == CaseKind::Underpaid);
            self.close_reversed();
            return Ok(());
        }
        let subject = self.id().to_string();
        for at in 0..self.dossier.deposits.len() {
            let deposit = self.deposit(at)?;
            if deposit.state == State::Confirmed {
                let held = self.dossier.worth(&deposit);
                self.suspend(&deposit, CaseKind::Underpaid, &subject, held);
                self.set_state(at, State::Suspended(CaseKind::Underpaid));
            }
        }
        Ok(())
    }

    /// The shop takes the order back. Where crediting is paused, what arrived waits for a person.
    pub(crate) fn cancel(&mut self, crediting: bool) -> Result<(), PlanError> {
        self.dossier.cancelled = Some(self.now);
        let counted = vec![("counted", self.dossier.counted().to_string())];
        self.tell(EventKind::OrderCancelled, None, None, counted);
        self.close_uncovered(crediting)
    }
}
