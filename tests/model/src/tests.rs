//! The histories are run, portioned anew, and broken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use payments::case::{CaseKind, RESOLUTIONS};
use payments::deposit::{Deposit, State};
use payments::event::EventKind;

use crate::batching;
use crate::invariants;
use crate::memory::Memory;
use crate::mutations::{self, Mutation};
use crate::transitions::{Gaze, WHOLE, World};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A history that went wrong.
struct Failure {
    seed: u64,
    step: u64,
    what: String,
}

/// What of a history is worth knowing when it went well.
struct End {
    mutated: u32,
    memory: Memory,
    marks: BTreeSet<&'static str>,
}

fn run(mut world: World, steps: u64) -> Result<End, Failure> {
    let seed = world.seed;
    for step in 1..=steps {
        world.step().map_err(|what| Failure { seed, step, what })?;
    }
    world.calm_down().map_err(|what| Failure { seed, step: steps, what })?;
    Ok(End { mutated: world.mutated, memory: world.memory, marks: world.marks })
}

/// A history in which everything is looked at after each of its first steps, and then after some.
/// Of every so many histories one is looked at from the first row on after every step, so that
/// nothing hides behind what a step says it changed.
fn looked_at(seed: u64) -> World {
    let mut world = World::capped(seed);
    world.attentive = ATTENTIVE;
    if setting("BURSAR_MODEL_WHOLE").is_some() || seed % WHOLE_SEEDS == WHOLE_SEEDS - 1 {
        world.gaze = Gaze::Every(1);
    }
    world
}

/// Steps of a history that are each followed by a look at everything.
const ATTENTIVE: u64 = 500;
/// Of so many histories one is looked at whole after every step.
const WHOLE_SEEDS: u64 = 500;

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
        if let Err(failure) = run(looked_at(seed), steps) {
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
    let steps = setting("BURSAR_MODEL_STEPS").unwrap_or(2_000);
    if let Some(seed) = setting("BURSAR_MODEL_SEED") {
        return show(seed, steps);
    }
    let seeds = setting("BURSAR_MODEL_SEEDS").unwrap_or(2_000);
    if let Some(Failure { seed, step, what }) = search(seeds, steps) {
        panic!(
            "seed {seed}, step {step}: {what}\n\
             see it: BURSAR_MODEL_SEED={seed} BURSAR_MODEL_STEPS={step} cargo test -p model every_history -- --nocapture"
        );
    }
}

#[test]
fn the_histories_hold_everything_that_can_happen() {
    let mut words = BTreeSet::new();
    for seed in 0..120 {
        let Ok(End { memory, marks, .. }) = run(World::capped(seed), 300) else { continue };
        words.extend(marks.iter().map(|mark| (*mark).to_owned()));
        let astray = |d: &&Arc<Deposit>| d.state == State::Suspended(CaseKind::WrongNetwork);
        let astray = memory.deposits().iter().filter(astray);
        words.extend(astray.map(|deposit| format!("wrong network on {}", deposit.id.chain)));
        words.extend(memory.events().iter().map(|event| event.kind.word().to_owned()));
        words.extend(memory.cases().iter().map(|case| case.kind.word().to_owned()));
        let decisions = memory.cases().iter().filter_map(|case| case.decision.as_ref());
        words.extend(decisions.map(|of| format!("resolved by {}", of.resolution.word())));
        words.extend(memory.deposits().iter().map(|deposit| deposit.state.word().to_owned()));
        for journal in memory.journals() {
            let word = journal.key.split(':').next().unwrap_or_default();
            words.insert(word.to_owned());
            words.extend(journal.key.contains('#').then(|| format!("{word} again")));
        }
        let late = memory.deposits().iter().any(|deposit| deposit.late);
        words.extend(late.then(|| "late deposit".to_owned()));
    }
    // No history bounds how many transfers of other tokens are recorded, and in none does the
    // daemon compare its books.
    let elsewhere = [EventKind::ChainFlooded, EventKind::ReconcileFailed];
    let told = EventKind::ALL.iter().filter(|kind| !elsewhere.contains(kind));
    let mut wanted: Vec<String> = told.map(|kind| kind.word().to_owned()).collect();
    wanted.extend(RESOLUTIONS.map(|word| format!("resolved by {word}")));
    wanted.extend(CaseKind::ALL.iter().map(|kind| kind.word().to_owned()));
    let states = [
        "credited",
        "suspended",
        "dust",
        "orphaned",
        "reversed",
        "granted",
        "refunding",
        "refunded",
        "reassigned",
        "dismissed",
    ];
    wanted.extend(states.map(str::to_owned));
    let again = ["deposit", "paid", "suspend"].map(|word| format!("{word} again"));
    wanted.extend(again);
    wanted.extend(["release", "late deposit"].map(str::to_owned));
    wanted.extend(["wrong network on ethereum", "wrong network on tron"].map(str::to_owned));
    let marks = [
        "a payment with 8 confirmations is gone for good",
        "a tip went back by 17 recorded blocks",
        "an index left a payment out",
        "an hour's ceiling was reached",
        "an index shows a payment twice",
        "a payment that an index left out is found",
        "another branch is followed",
        "the contract says what no log said",
    ];
    wanted.extend(marks.map(str::to_owned));
    wanted.retain(|word| !words.contains(word));
    assert!(wanted.is_empty(), "never happened: {wanted:?}");
}

#[test]
fn other_portions_give_the_same_books() {
    for seed in 0..setting("BURSAR_MODEL_SEEDS").unwrap_or(60) {
        if let Err(what) = batching::compare(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

/// Seeds within which each broken rule must show.
const MUTATION_SEEDS: u64 = 160;

#[test]
fn every_broken_rule_is_caught() {
    let mut missed = Vec::new();
    for mutation in mutations::ALL {
        if let Err(broken) = caught(*mutation, Gaze::Every(WHOLE)) {
            missed.push(format!("{} (broken {broken} times)", mutation.name));
        }
    }
    assert!(missed.is_empty(), "no assertion caught: {missed:#?}");
}

/// What a step changed is enough to see it, without a look at the whole.
#[test]
fn every_broken_rule_is_caught_step_by_step() {
    let missed = mutations::ALL.iter().filter(|one| caught(**one, Gaze::Steps).is_err());
    let missed: Vec<_> = missed.map(|mutation| mutation.name).collect();
    // What only another history shows.
    let for_the_whole = ["a_portion_is_judged_by_its_last_block"];
    assert_eq!(missed, for_the_whole);
}

/// With nothing else looked at.
#[test]
fn every_broken_rule_is_caught_by_its_invariant() {
    let mut missed = Vec::new();
    for Mutation { name, breaks, act } in mutations::ALL {
        match caught(Mutation { name, breaks, act: *act }, Gaze::Only(breaks)) {
            Ok(Failure { seed, step, what }) => {
                println!("{name}: seed {seed}, step {step}: {what}");
            }
            Err(broken) => missed.push(format!("{name} by {breaks} (broken {broken} times)")),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
    let broken: BTreeSet<_> = mutations::ALL.iter().map(|mutation| mutation.breaks).collect();
    let unbroken = invariants::ALL.iter().filter(|one| !broken.contains(one.name));
    assert_eq!(unbroken.map(|one| one.name).collect::<Vec<_>>(), [""; 0]);
}

/// How a broken rule showed first, or how often it was broken in vain.
fn caught(mutation: Mutation, gaze: Gaze) -> Result<Failure, u32> {
    let mut broken = 0;
    for seed in 0..MUTATION_SEEDS {
        let mut world = World::capped(seed);
        (world.mutation, world.gaze) = (Some(mutation), gaze);
        match run(world, 300) {
            Ok(end) => broken += end.mutated,
            Err(failure) => {
                let by = match mutation.breaks {
                    mutations::REFUSED => "the books refuse",
                    name => name,
                };
                if !matches!(gaze, Gaze::Only(_)) || failure.what.starts_with(by) {
                    return Ok(failure);
                }
                broken += 1;
            }
        }
    }
    Err(broken)
}

/// Runs one history with everything it does.
fn show(seed: u64, steps: u64) {
    let mut world = looked_at(seed);
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
    let end = world.calm_down();
    for line in world.trace.take().unwrap_or_default() {
        println!("at the end: {line}");
    }
    assert_eq!(end, Ok(()), "seed {seed}, after step {steps}");
}
