//! In what two states of an order, or of a deposit that no order owns, differ.
//!
//! In: what is stored, and what its facts make of it. Out: the first difference, in words.
//! Never: cases about what left an order's address: they have a group of their own.

use std::collections::BTreeMap;

use crate::case::Case;
use crate::deposit::Deposit;
use crate::ledger::Journal;
use crate::reconcile::Group;
use crate::time::Time;

/// When an order was paid, expired and cancelled.
type Times = (Option<Time>, Option<Time>, Option<Time>);

/// The first thing in which two states differ.
pub(super) fn difference(stored: Group<'_>, replayed: Group<'_>) -> Option<String> {
    let times = |group: Group<'_>| -> Option<Times> {
        group.order.map(|order| (order.paid, order.expired, order.cancelled))
    };
    if times(stored) != times(replayed) {
        let name = stored.name();
        return Some(format!("{name}: paid, expired or cancelled at another time"));
    }
    other_deposit(stored, replayed)
        .or_else(|| other_case(stored, replayed))
        .or_else(|| other_journal(stored, replayed))
}

fn other_deposit(stored: Group<'_>, replayed: Group<'_>) -> Option<String> {
    let state = |deposit: &Deposit| {
        let (amount, assigned) = (deposit.amount, deposit.assigned.clone());
        (deposit.id.clone(), deposit.state, deposit.late, amount, assigned)
    };
    let states = |group: Group<'_>| group.deposits.iter().map(state).collect::<Vec<_>>();
    let (one, other) = (states(stored), states(replayed));
    if let Some((deposit, ..)) = one.iter().find(|state| !other.contains(state)) {
        return Some(format!("deposit {deposit}: its facts lead to another state"));
    }
    let (known, seen) = (one.len(), other.len());
    (known != seen).then(|| format!("{}: {known} deposits, {seen} were seen", stored.name()))
}

fn other_case(stored: Group<'_>, replayed: Group<'_>) -> Option<String> {
    let of_group = |case: &&Case| stored.order.is_none() || !case.kind.is_about_an_outflow();
    let known: Vec<&Case> = stored.cases.iter().filter(of_group).collect();
    if let Some(case) = known.iter().find(|case| !replayed.cases.contains(case)) {
        return Some(format!("case {}: its facts lead to another one, or none", case.id));
    }
    let missing = replayed.cases.iter().find(|case| !known.contains(case))?;
    Some(format!("case {}: its facts open it, and it is not there", missing.id))
}

fn other_journal(stored: Group<'_>, replayed: Group<'_>) -> Option<String> {
    let by_key = |group: Group<'_>| -> BTreeMap<String, Journal> {
        let journals = group.journals.iter();
        journals.map(|journal| (journal.key.clone(), journal.clone())).collect()
    };
    let (one, other) = (by_key(stored), by_key(replayed));
    let differs = |key: &&String| one.get(*key) != other.get(*key);
    let key = one.keys().chain(other.keys()).find(differs)?;
    Some(format!("journal {key}: its facts lead to another one, or none"))
}
