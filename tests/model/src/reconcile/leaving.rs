//! Money that left an address of ours: the books do not say so, or they alone do, or otherwise.
//!
//! In: a history's two sides. Out: one of them altered, the balance with it, and the finding that
//! it must make.

use payments::outflow::{Outflow, OutflowState};
use payments::reconcile::Code;
use ruint::aliases::U256;

use super::seeding::{Planted, Sides, id_of, planted};

pub(super) fn outflow(sides: &mut Sides) -> Option<Planted> {
    let (chain, transfer) = sides.new_transfer(true)?;
    planted(Code::UnexplainedOutflow, id_of(&chain, &transfer))
}

/// Less than a millionth, of a token that has such.
pub(super) fn dust(sides: &mut Sides) -> Option<Planted> {
    let (chain, mut transfer) = sides.new_transfer(true)?;
    if sides.books.frame.rules[&chain].decimals != 18 {
        return None;
    }
    let held = transfer.raw;
    transfer.raw = U256::from(1 + sides.random.word() % 999_999_999_999);
    let seen = sides.seen(&chain);
    *seen.balances.get_mut(&transfer.from)? = held - transfer.raw;
    *seen.transfers.last_mut()? = transfer.clone();
    planted(Code::DustOutflow, id_of(&chain, &transfer))
}

/// One that the books have, to a stranger, with more than dust in it.
fn booked(sides: &mut Sides) -> Option<Outflow> {
    let fits = |outflow: &&Outflow| {
        let seen = sides.observed.chains.get(&outflow.id.chain);
        let read = seen.is_some_and(|seen| {
            seen.covers(outflow.block.height) && !seen.ours.contains(&outflow.to)
        });
        read && outflow.state == OutflowState::Booked && outflow.amount.micro() > 1
    };
    let all: Vec<Outflow> = sides.books.outflows.iter().filter(fits).cloned().collect();
    (!all.is_empty()).then(|| sides.random.pick(&all).clone())
}

/// A node told of a sweep that is none: the money is still there.
pub(super) fn made_up(sides: &mut Sides) -> Option<Planted> {
    let outflow = booked(sides)?;
    let (id, raw) = (&outflow.id, outflow.raw);
    let token = sides.books.frame.rules[&id.chain].token;
    let seen = sides.seen(&id.chain);
    seen.transfers.retain(|t| (t.tx, t.n, t.token) != (id.tx, id.n, token));
    *seen.balances.get_mut(&outflow.from)? += raw;
    planted(Code::DepositOnly, id)
}

/// More was booked than left.
pub(super) fn inflated(sides: &mut Sides) -> Option<Planted> {
    let outflow = booked(sides)?;
    let id = &outflow.id;
    let token = sides.books.frame.rules[&id.chain].token;
    let seen = sides.seen(&id.chain);
    let own = |t: &&mut payments::chain::Transfer| (t.tx, t.n, t.token) == (id.tx, id.n, token);
    seen.transfers.iter_mut().find(own)?.raw -= U256::ONE;
    *seen.balances.get_mut(&outflow.from)? += U256::ONE;
    planted(Code::AmountDiffers, id)
}

/// The ledger says less than the outflow.
pub(super) fn changed(sides: &mut Sides) -> Option<Planted> {
    let outflow = booked(sides)?;
    let key = outflow.key();
    let mut journals = sides.books.unassigned_journals.iter_mut();
    journals.find(|journal| journal.key == key)?.entries[0].amount -= 1;
    planted(Code::LedgerAmountDiffers, format!("sweep:{}", outflow.id))
}
