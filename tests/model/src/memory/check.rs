//! What a database refuses.
//!
//! In: changes to be written. Out: the balances after them, or the first refusal.
//! Never: writes. Why: a rule that is wrong must meet the same walls in memory as on a disk.

use std::collections::{BTreeMap, BTreeSet};

use payments::case::{Case, StepKind};
use payments::changes::Changes;
use payments::ledger::{Account, Asset, Entry, Journal, Sides};
use payments::name::OrderId;
use payments::outflow::{Explanation, Outflow, OutflowState};

use super::{Memory, Refused};

/// Accounts whose balances change, with both their sides afterwards.
pub(super) type After = BTreeMap<(Asset, Account), Sides>;

impl Memory {
    pub(super) fn check(&self, changes: &Changes) -> Result<After, Refused> {
        self.check_generation(changes)?;
        self.check_created(changes)?;
        let read = self.check_versions(changes)?;
        let unread = |order: &Option<OrderId>| match order {
            Some(order) if !read.contains(order) => Err(Refused::Unread(order.clone())),
            _ => Ok(()),
        };
        self.check_deposits(changes, &unread)?;
        self.check_outflows(changes)?;
        self.check_notices(changes)?;
        self.check_cases(changes, &unread)?;
        let mut keys = BTreeSet::new();
        let mut after = After::new();
        for journal in &changes.journals {
            unread(&journal.order)?;
            let taken = self.places.journals.contains_key(journal.key.as_str());
            if taken || !keys.insert(journal.key.clone()) {
                return Err(Refused::KeyTaken(journal.key.clone()));
            }
            self.check_journal(journal, &mut after)?;
        }
        check_bounds(changes, &after)?;
        Ok(after)
    }

    fn check_generation(&self, changes: &Changes) -> Result<(), Refused> {
        let Some(mv) = &changes.cursor else { return Ok(()) };
        let found = self.cursors.get(&mv.chain).map_or(0, |cursor| cursor.generation);
        if found == mv.generation {
            return Ok(());
        }
        Err(Refused::Generation { chain: mv.chain.clone(), read: mv.generation, found })
    }

    fn check_created(&self, changes: &Changes) -> Result<(), Refused> {
        let Some(order) = &changes.created else { return Ok(()) };
        if self.orders.contains_key(&order.id) {
            return Err(Refused::OrderExists(order.id.clone()));
        }
        match self.owners.get(&order.address) {
            Some(Some(_)) => Err(Refused::AddressTaken(order.address)),
            _ => Ok(()),
        }
    }

    fn check_versions(&self, changes: &Changes) -> Result<BTreeSet<OrderId>, Refused> {
        let mut read = BTreeSet::new();
        for touched in &changes.touched {
            let filed = self.orders.get(&touched.order);
            let found = filed.ok_or_else(|| Refused::UnknownOrder(touched.order.clone()))?.version;
            if found != touched.version || !read.insert(touched.order.clone()) {
                let order = touched.order.clone();
                return Err(Refused::Version { order, read: touched.version, found });
            }
        }
        Ok(read)
    }

    fn check_deposits(
        &self,
        changes: &Changes,
        unread: &impl Fn(&Option<OrderId>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mut new = BTreeSet::new();
        for deposit in &changes.recorded {
            unread(&deposit.order)?;
            // Mined again to another address, a transfer is another order's deposit as well.
            let place = (deposit.id.clone(), deposit.order.clone());
            if self.places.deposits.contains_key(&place) || !new.insert(place) {
                return Err(Refused::DepositKnown(deposit.id.clone()));
            }
        }
        for deposit in &changes.moved {
            unread(&deposit.order)?;
            let place = (deposit.id.clone(), deposit.order.clone());
            if !self.places.deposits.contains_key(&place) {
                return Err(Refused::DepositUnknown(deposit.id.clone()));
            }
        }
        Ok(())
    }

    /// A round of an outflow goes forward, and what is booked stays what it is.
    fn check_outflows(&self, changes: &Changes) -> Result<(), Refused> {
        use OutflowState::{Booked, Orphaned, Pending, Waiting};
        for new in &changes.outflows {
            let Some(at) = self.places.outflows.get(&new.id) else { continue };
            let old = &self.outflows[*at];
            let what = |o: &Outflow| (o.from, o.to, o.raw, o.block);
            let booked = |o: &Outflow| (o.amount, o.explained);
            let states = match (old.state, new.state) {
                (Orphaned, state) => state == Orphaned,
                (Booked, Booked) => booked(old) == booked(new) || self.explains(changes, old, new),
                (Booked, state) => state == Orphaned,
                (Waiting, Pending) => false,
                _ => true,
            };
            let fits = match new.round.checked_sub(old.round) {
                Some(0) => states && what(old) == what(new),
                Some(1) => true,
                _ => false,
            };
            if !fits || new.order != old.order || changes.cursor.is_none() {
                return Err(Refused::Outflow(new.id.clone()));
            }
        }
        Ok(())
    }

    /// Whether it became known that a booked outflow was sent for a refund.
    fn explains(&self, changes: &Changes, old: &Outflow, new: &Outflow) -> bool {
        let known = self.cases.iter().map(AsRef::as_ref).chain(&changes.cases);
        let mut of_chain = known.filter(|case| case.chain == old.id.chain);
        let sent = of_chain.any(|case| {
            let mut steps = case.steps.iter();
            let sent = steps.any(|step| step.kind == StepKind::Sent(old.id.tx));
            sent && case.refund().is_some_and(|refund| refund.to == old.to)
        });
        let said = (old.explained, new.explained) == (None, Some(Explanation::Refund));
        sent && said && old.amount == new.amount
    }

    /// A notice stays what it is while its block is there; mined again, it begins another round.
    fn check_notices(&self, changes: &Changes) -> Result<(), Refused> {
        for new in &changes.notices {
            let Some(at) = self.places.notices.get(&new.id()) else { continue };
            let old = &self.notices[*at];
            let fits = match new.round.checked_sub(old.round) {
                Some(0) => new.notice == old.notice && (new.orphaned || !old.orphaned),
                Some(1) => !new.orphaned && (old.orphaned || new.notice.block != old.notice.block),
                _ => false,
            };
            if !fits || new.order != old.order || changes.cursor.is_none() {
                return Err(Refused::Notice(new.id()));
            }
        }
        Ok(())
    }

    fn check_cases(
        &self,
        changes: &Changes,
        unread: &impl Fn(&Option<OrderId>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        for case in &changes.cases {
            unread(&case.order)?;
            let known = self.places.cases.get(&case.id).and_then(|at| self.cases.get(*at));
            let Some(known) = known else { continue };
            let same = (known.kind, &known.order, &known.chain, known.opened_at)
                == (case.kind, &case.order, &case.chain, case.opened_at);
            // A decided case gains steps and nothing else.
            let decided = (&known.decision, known.amount, &known.deposits)
                == (&case.decision, case.amount, &case.deposits);
            let grown = case.steps.starts_with(&known.steps);
            if !same || !grown || (known.decision.is_some() && !decided) {
                return Err(Refused::CaseClosed(case.id.clone()));
            }
            self.check_paid(case, known)?;
        }
        Ok(())
    }

    /// No transfer pays two refunds.
    fn check_paid(&self, case: &Case, known: &Case) -> Result<(), Refused> {
        for step in case.steps.iter().skip(known.steps.len()) {
            if let StepKind::Verified { tx, n } = &step.kind
                && self.spent(&case.chain, tx).contains(n)
            {
                return Err(Refused::CaseClosed(case.id.clone()));
            }
        }
        Ok(())
    }

    fn check_journal(&self, journal: &Journal, after: &mut After) -> Result<(), Refused> {
        if journal.entries.is_empty() {
            return Err(Refused::Hollow(journal.key.clone()));
        }
        for entry in &journal.entries {
            if entry.amount <= 0 {
                return Err(Refused::Amount(journal.key.clone()));
            }
            for account in [&entry.debit, &entry.credit] {
                if !holds(account, &entry.asset) {
                    let (account, asset) = (account.clone(), entry.asset.clone());
                    return Err(Refused::AssetOf(journal.key.clone(), account, asset));
                }
            }
            let reversal = journal.key.starts_with("reverse:");
            if matches!(entry.debit, Account::Customer(_)) && !reversal {
                return Err(Refused::CustomerDebited(journal.key.clone()));
            }
            self.add(entry, after);
        }
        Ok(())
    }

    fn add(&self, entry: &Entry, after: &mut After) {
        let amount = i128::from(entry.amount);
        for (account, debits, credits) in [(&entry.debit, amount, 0), (&entry.credit, 0, amount)] {
            let key = (entry.asset.clone(), account.clone());
            let known = || self.sides(&entry.asset, account);
            let sides = after.entry(key).or_insert_with(known);
            sides.debits += debits;
            sides.credits += credits;
        }
    }
}

/// A commit is whole: what counts is where it leaves an account.
fn check_bounds(changes: &Changes, after: &After) -> Result<(), Refused> {
    for journal in &changes.journals {
        for entry in &journal.entries {
            for account in [&entry.debit, &entry.credit] {
                let sides = after.get(&(entry.asset.clone(), account.clone()));
                let net = sides.map_or(0, |sides| sides.net());
                let below = (account.is_bounded_by_credits() && net < 0)
                    || (account.is_bounded_by_debits() && net > 0);
                if below {
                    return Err(Refused::Bound(journal.key.clone(), account.clone(), net));
                }
            }
        }
    }
    Ok(())
}

/// Whether an account can hold an asset: credits are issued to customers, all else is USDT.
fn holds(account: &Account, asset: &Asset) -> bool {
    match (account, asset) {
        (Account::Issued | Account::Customer(_), asset) => *asset == Asset::Credit,
        (_, Asset::Credit) => false,
        (Account::Custody(chain, _) | Account::Treasury(chain), Asset::Usdt(of)) => chain == of,
        (_, Asset::Usdt(_)) => true,
    }
}
