//! Random histories of chains, shops and daemons through the real rules, and the books in memory.
//!
//! In: seeds. Out: nothing, or the seed and the step at which something was not true.
//! Never: a clock, a test that runs by luck: a seed is a history, for ever.
//! Why: the combinations that lose money are those nobody wrote down.
//!
//! `BURSAR_MODEL_SEED=7 BURSAR_MODEL_STEPS=123 cargo test -p model every_history -- --nocapture`
//! runs one history, up to that step, and shows it; `BURSAR_MODEL_SEEDS=20000` runs more of them.
//! `BURSAR_MODEL_WHOLE=1` looks at the whole of the books after every step of each.
#![cfg_attr(not(test), allow(dead_code, reason = "others borrow the books and one history"))]

#[cfg(test)]
mod ahead;
mod assertions;
mod batching;
mod breaking;
mod ceiling;
mod decisions;
mod deposits;
pub mod ending;
mod events;
mod facts;
mod invariants;
mod issuer;
mod looks;
mod lost;
pub mod memory;
mod mishaps;
mod mutations;
mod nature;
mod outflows;
pub mod random;
#[cfg(test)]
mod reconcile;
mod reference;
mod shares;
mod sums;
#[cfg(test)]
mod tests;
mod transitions;

use payments::Update;
use payments::address::Address;
use payments::changes::Rules;
use payments::time::Time;

use crate::transitions::World;

/// A history to be played elsewhere: the rules, the imported addresses, every update and when it
/// was recorded. `loses`: branches that were final are lost, and the issuer speaks.
///
/// # Panics
/// Where the history breaks an invariant.
#[must_use]
pub fn diary(seed: u64, steps: u64, loses: bool) -> (Rules, Vec<Address>, Vec<(Update, Time)>) {
    let mut world = World::new(seed);
    world.loses = loses;
    let pool = world.pool.iter().copied().collect();
    world.diary = Some(Vec::new());
    for _ in 0..steps {
        world.step().expect("a history that keeps the invariants");
    }
    (world.rules, pool, world.diary.unwrap_or_default())
}
