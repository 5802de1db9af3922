//! Random histories of chains, shops and daemons through the real rules.
//!
//! In: seeds. Out: nothing, or the seed and the step at which something was not true.
//! Never: a clock, a test that runs by luck: a seed is a history, for ever.
//! Why: the combinations that lose money are those nobody wrote down.
//!
//! `BURSAR_MODEL_SEED=7 BURSAR_MODEL_STEPS=123` runs one history, up to that step, and shows it;
//! `BURSAR_MODEL_SEEDS=20000` runs more of them.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failure of the test, and says where"
)]

mod assertions;
mod events;
mod mutations;
mod random;
mod reference;
mod transitions;

use std::sync::atomic::{AtomicU64, Ordering};

use mutations::Mutation;
use transitions::World;

/// A history that went wrong.
struct Failure {
    seed: u64,
    step: u64,
    what: String,
}

/// What of a history is worth knowing when it went well.
struct End {
    mutated: u32,
}

fn run(seed: u64, steps: u64, mutation: Option<Mutation>) -> Result<End, Failure> {
    let mut world = World::new(seed, mutation);
    for step in 1..=steps {
        world.step().map_err(|what| Failure { seed, step, what })?;
    }
    Ok(End { mutated: world.mutated })
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The first failure among these seeds, on two threads.
fn search(seeds: u64, steps: u64) -> Option<Failure> {
    let next = AtomicU64::new(0);
    let worker = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds {
            return None;
        }
        if let Err(failure) = run(seed, steps, None) {
            next.store(seeds, Ordering::Relaxed);
            return Some(failure);
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(worker);
        let found = worker();
        found.or(other.join().unwrap())
    })
}

#[test]
fn every_history_keeps_the_invariants() {
    let steps = setting("BURSAR_MODEL_STEPS").unwrap_or(500);
    if let Some(seed) = setting("BURSAR_MODEL_SEED") {
        return show(seed, steps);
    }
    let seeds = setting("BURSAR_MODEL_SEEDS").unwrap_or(200);
    if let Some(Failure { seed, step, what }) = search(seeds, steps) {
        panic!(
            "seed {seed}, step {step}: {what}\n\
             see it: BURSAR_MODEL_SEED={seed} BURSAR_MODEL_STEPS={step} cargo test -p tests model"
        );
    }
}

/// Runs one history with everything it does.
fn show(seed: u64, steps: u64) {
    let mut world = World::new(seed, None);
    world.trace = Some(Vec::new());
    for step in 1..=steps {
        let end = world.step();
        for line in world.trace.replace(Vec::new()).unwrap_or_default() {
            println!("step {step}: {line}");
        }
        if let Err(what) = end {
            panic!("seed {seed}, step {step}: {what}");
        }
    }
}
