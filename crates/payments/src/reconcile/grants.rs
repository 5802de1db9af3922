//! The side of the credits: what was sold, for how much, and to whom.
//!
//! In: an order and its grants. Out: findings L301, L304, L305 and L306 about them.
//! Never: a price of today; the order's own terms are frozen with it.
//! Why: credits are what the customer spends, and a doubled grant is money given away.

use super::books::Group;
use super::code::Code;
use super::compare::Comparison;
use super::journals::Booked;
use crate::amount::{Credits, Usdt};
use crate::deposit::{DepositId, State};
use crate::ledger::{Account, Journal};
use crate::order::{Dossier, Order};

impl Comparison<'_> {
    /// The grants of an order.
    pub(super) fn grants(&mut self, group: Group<'_>, booked: &Booked<'_>) {
        let Some(dossier) = group.order else { return };
        for (base, journals) in &booked.paid {
            for (journal, deposit) in journals {
                if !is_due(dossier, deposit.as_ref()) {
                    self.orphan(journal, "the order is not paid by what it names");
                }
                self.grant(dossier, journal);
            }
            if let (2.., Some((journal, _))) = (journals.len(), journals.last()) {
                let what = format!("{base} was granted {} times", journals.len());
                self.find_journal(Code::DoublePosted, base, what, &dossier.order, journal);
            }
        }
        self.ungranted(dossier, booked);
    }

    /// What is said to be credited without a grant.
    fn ungranted(&mut self, dossier: &Dossier, booked: &Booked<'_>) {
        let id = &dossier.order.id;
        let mut wanted: Vec<(String, Usdt)> = Vec::new();
        let credited = dossier.deposits.iter().filter(|d| d.state == State::Credited);
        match dossier.order.due {
            // A person's decision has a journal of its own.
            _ if booked.decided => {}
            Some(due) if dossier.paid.is_some() => wanted.push((format!("paid:{id}"), due)),
            Some(_) => {}
            None => {
                let key = |id: &DepositId| format!("paid:{}:{id}", dossier.order.id);
                wanted.extend(credited.map(|deposit| (key(&deposit.id), deposit.amount)));
            }
        }
        for (key, amount) in wanted {
            if booked.paid.contains_key(key.as_str()) {
                continue;
            }
            let what = format!("order {id} is paid and the ledger has no {key}");
            if let Some(finding) = self.find(Code::ConfirmedNotPosted, key, what) {
                finding.chain = Some(dossier.order.chain.clone());
                finding.order = Some(id.clone());
                finding.amount = i128::from(amount.micro());
                finding.since = dossier.paid;
            }
        }
    }

    /// One grant: the order's customer gets what the order's price makes of what was sold.
    fn grant(&mut self, dossier: &Dossier, journal: &Journal) {
        let order = &dossier.order;
        let mut sold = 0i64;
        let mut granted = 0i64;
        let mut whose = None;
        for entry in &journal.entries {
            match (&entry.debit, &entry.credit) {
                (Account::Order(_), Account::Sales) => sold = sold.saturating_add(entry.amount),
                (Account::Issued, Account::Customer(customer)) => {
                    granted = granted.saturating_add(entry.amount);
                    whose = Some(customer);
                }
                _ => {}
            }
        }
        let key = &journal.key;
        if whose.is_some_and(|customer| *customer != order.customer) {
            let what = format!("{key} grants to another customer than the order's");
            self.find_journal(Code::RateDiffers, key, what, order, journal);
            return;
        }
        let sold = Usdt::from_micro(sold).unwrap_or(Usdt::MAX);
        let worth = worth(order, sold);
        let found = Credits::from_micro(granted).unwrap_or_default();
        let kept = journal.remainder;
        let what = match order.price.credits(worth, order.due) {
            Some(right) if right == (found, kept) => return,
            Some((wanted, left)) if wanted == found => format!(
                "{key} grants the {found} credits that the price makes of {worth}, and keeps a \
                 remainder of {kept}, the price leaves {left}"
            ),
            Some((wanted, _)) => {
                format!("{key} grants {found} credits, the price makes {wanted} of {worth}")
            }
            None => format!("{key} grants {found} credits, the price makes none of {worth}"),
        };
        self.find_journal(Code::RateDiffers, key, what, order, journal);
    }

    fn find_journal(
        &mut self,
        code: Code,
        key: &str,
        what: String,
        order: &Order,
        journal: &Journal,
    ) {
        let amount = journal.entries.iter().map(|entry| i128::from(entry.amount)).max();
        if let Some(finding) = self.find(code, key, what) {
            finding.chain = Some(order.chain.clone());
            finding.order = Some(order.id.clone());
            finding.amount = amount.unwrap_or(0);
            finding.since = Some(journal.recorded);
        }
    }
}

/// Whether the facts of the order call for this grant.
fn is_due(dossier: &Dossier, deposit: Option<&DepositId>) -> bool {
    match (dossier.order.due, deposit) {
        (Some(_), None) => dossier.paid.is_some(),
        (None, Some(id)) => dossier
            .deposits
            .iter()
            .any(|deposit| deposit.id == *id && deposit.state == State::Credited),
        _ => false,
    }
}

/// What the price is asked about: within the tolerance an order is paid as agreed.
fn worth(order: &Order, sold: Usdt) -> Usdt {
    let Some(due) = order.due else { return sold };
    let tolerance = order.terms.tolerance;
    let below = due.minus_or_zero(tolerance);
    let above = due.plus(tolerance).unwrap_or(Usdt::MAX);
    if sold >= below && sold <= above { due } else { sold }
}
