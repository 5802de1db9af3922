//! Money that left an address of ours, and the books do not say so.
//!
//! In: a history's two sides. Out: the chain's with a transfer more, and the finding it must make.

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
