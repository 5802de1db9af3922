//! In what two states of an order differ.
//!
//! In: an order as it is stored, and as its facts make it. Out: the first difference, in words.
//! Never: what left its address: that is a fact of the chain, and compared elsewhere.

use std::collections::BTreeMap;

use crate::case::Case;
use crate::deposit::Deposit;
use crate::ledger::Journal;
use crate::order::Dossier;

/// The first thing in which two states of an order differ.
pub(super) fn difference(stored: &Dossier, replayed: &Dossier) -> Option<String> {
    let id = &stored.order.id;
    let times = |dossier: &Dossier| (dossier.paid, dossier.expired, dossier.cancelled);
    if times(stored) != times(replayed) {
        return Some(format!("order {id}: paid, expired or cancelled at another time"));
    }
    other_deposit(stored, replayed)
        .or_else(|| other_case(stored, replayed))
        .or_else(|| other_journal(stored, replayed))
}

fn other_deposit(stored: &Dossier, replayed: &Dossier) -> Option<String> {
    let state = |deposit: &Deposit| {
        let (amount, assigned) = (deposit.amount, deposit.assigned.clone());
        (deposit.id.clone(), deposit.state, deposit.late, amount, assigned)
    };
    let states = |dossier: &Dossier| dossier.deposits.iter().map(state).collect::<Vec<_>>();
    let (one, other) = (states(stored), states(replayed));
    if let Some((deposit, ..)) = one.iter().find(|state| !other.contains(state)) {
        return Some(format!("deposit {deposit}: its facts lead to another state"));
    }
    let id = &stored.order.id;
    let (known, seen) = (one.len(), other.len());
    (known != seen).then(|| format!("order {id}: {known} deposits, {seen} were seen"))
}

fn other_case(stored: &Dossier, replayed: &Dossier) -> Option<String> {
    let of_deposits = |case: &&Case| !case.kind.is_about_an_outflow();
    let known: Vec<&Case> = stored.cases.iter().filter(of_deposits).collect();
    if let Some(case) = known.iter().find(|case| !replayed.cases.contains(case)) {
        return Some(format!("case {}: its facts lead to another one, or none", case.id));
    }
    let missing = replayed.cases.iter().find(|case| !known.contains(case))?;
    Some(format!("case {}: its facts open it, and it is not there", missing.id))
}

fn other_journal(stored: &Dossier, replayed: &Dossier) -> Option<String> {
    let by_key = |dossier: &Dossier| -> BTreeMap<String, Journal> {
        let journals = dossier.journals.iter();
        journals.map(|journal| (journal.key.clone(), journal.clone())).collect()
    };
    let (one, other) = (by_key(stored), by_key(replayed));
    let differs = |key: &&String| one.get(*key) != other.get(*key);
    let key = one.keys().chain(other.keys()).find(differs)?;
    Some(format!("journal {key}: its facts lead to another one, or none"))
}
