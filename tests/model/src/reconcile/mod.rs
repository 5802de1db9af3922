//! Chain against books: nothing is found where nothing is wrong, and everything that is planted.
//!
//! In: random histories of the model, and the chains they happened on. Out: reports, compared with
//! what was planted. Never: a fault that is not sure to be one; never a report compared with
//! itself. Why: a reconciliation that cries wolf is switched off, one that sleeps costs money.

mod clean;
mod faults;
mod leaving;
mod owner;
mod seeding;

use std::collections::BTreeMap;

use crate::ending::{Ending, ending};
use payments::address::Address;
use payments::reconcile::{Books, Frame, Observed, Seen};
use ruint::aliases::U256;

/// The two sides of a history's end; none where somebody sent what they do not have, as a contract
/// of these histories can, and of no chain.
fn sides(seed: u64, steps: u64, calm: bool, decides: bool) -> Option<(Books, Observed)> {
    let ending = ending(seed, steps, calm, decides);
    Some((books(&ending), observed(&ending)?))
}

fn books(ending: &Ending) -> Books {
    let memory = &ending.memory;
    let cursor = |name: &_| Some((memory.cursor(name)?).clone());
    let cursors = ending.rules.keys().filter_map(|name| Some((name.clone(), cursor(name)?)));
    let frame = Frame {
        rules: ending.rules.clone(),
        cursors: cursors.collect(),
        ledger_seq: memory.journals().len() as u64,
        ..Frame::default()
    };
    let unassigned = memory.deposits().iter().filter(|deposit| deposit.order.is_none());
    let cases = memory.cases().iter().filter(|case| case.order.is_none());
    let journals = memory.journals().iter().filter(|journal| journal.order.is_none());
    Books {
        frame,
        orders: memory
            .orders()
            .filter_map(|id| memory.dossier(id))
            .map(|of| (**of).clone())
            .collect(),
        unassigned: unassigned.map(|deposit| (**deposit).clone()).collect(),
        unassigned_cases: cases.map(|case| (**case).clone()).collect(),
        unassigned_journals: journals.map(|journal| (**journal).clone()).collect(),
        outflows: memory.outflows().iter().map(|outflow| (**outflow).clone()).collect(),
    }
}

fn observed(ending: &Ending) -> Option<Observed> {
    let mut observed = Observed::default();
    let owners = ending.memory.owners();
    for truth in &ending.truths {
        let token = ending.rules[&truth.chain].token;
        let mut seen = Seen::new(0, truth.cut, truth.time);
        seen.tip = truth.tip;
        let ours = |address: &Address| owners.contains_key(address);
        let of_ours = truth.transfers.iter().filter(|t| ours(&t.to) || ours(&t.from));
        seen.transfers = of_ours.cloned().collect();
        seen.ours = owners.keys().copied().collect();
        let mut balances: BTreeMap<Address, U256> = BTreeMap::new();
        for address in owners.keys() {
            balances.insert(*address, U256::ZERO);
        }
        for transfer in seen.transfers.iter().filter(|transfer| transfer.token == token) {
            if let Some(balance) = balances.get_mut(&transfer.to) {
                *balance += transfer.raw;
            }
            // Nobody of ours sends in these histories, except to itself or as a contract does.
            if let Some(balance) = balances.get_mut(&transfer.from) {
                *balance = balance.checked_sub(transfer.raw)?;
            }
        }
        seen.balances = balances;
        observed.chains.insert(truth.chain.clone(), seen);
    }
    Some(observed)
}
