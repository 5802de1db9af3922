//! What the token's owner does, planted: the chain shows it, and the books need not know of it.
//!
//! In: the chain's side. Out: the same with one notice more, and with what it took gone.
//! Never: another finding beside it: money that was destroyed is missing for one reason.

use payments::address::Address;
use payments::chain::TxHash;
use payments::name::ChainName;
use payments::reconcile::{Code, TokenEvent};
use ruint::aliases::U256;

use super::seeding::{Planted, Sides, planted};

/// A pause, an upgrade, a fee: of every kind in turn.
pub(super) fn to_all(sides: &mut Sides) -> Option<Planted> {
    let chain = sides.any_chain()?;
    let what = *sides.random.pick(&["paused", "deprecated", "fee"]);
    plant(sides, &chain, what, None, U256::ZERO)
}

/// An address of ours on its blacklist.
pub(super) fn to_one(sides: &mut Sides) -> Option<Planted> {
    let chain = sides.any_chain()?;
    let address = holder(sides, &chain, |_| true)?;
    plant(sides, &chain, "blacklisted", Some(address), U256::ZERO)
}

/// All that is at an address of ours, without a Transfer.
pub(super) fn destroys(sides: &mut Sides) -> Option<Planted> {
    let chain = sides.any_chain()?;
    let address = holder(sides, &chain, |held| !held.is_zero())?;
    let held = sides.seen(&chain).balances.get_mut(&address)?;
    let taken = std::mem::take(held);
    plant(sides, &chain, "destroyed", Some(address), taken)
}

fn holder(sides: &mut Sides, chain: &ChainName, fits: fn(&U256) -> bool) -> Option<Address> {
    let balances = &sides.seen(chain).balances;
    let held = balances.iter().filter(|(_, held)| fits(held));
    let held: Vec<Address> = held.map(|(address, _)| *address).collect();
    (!held.is_empty()).then(|| *sides.random.pick(&held))
}

fn plant(
    sides: &mut Sides,
    chain: &ChainName,
    what: &str,
    address: Option<Address>,
    taken: U256,
) -> Option<Planted> {
    let mut tx = [0x55; 32];
    tx[8..16].copy_from_slice(&sides.random.word().to_be_bytes());
    let log_index = sides.random.word() % 500;
    let seen = sides.seen(chain);
    let (tx, n, what) = (TxHash(tx), 0, what.to_owned());
    let (block, time) = (seen.cut, seen.time);
    seen.token_events.push(TokenEvent { tx, n, log_index, block, time, what, address, taken });
    planted(Code::TokenAdmin, format!("{chain}:{tx}:{log_index}"))
}
