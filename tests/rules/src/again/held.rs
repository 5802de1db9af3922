//! The rules run again where something holds crediting up, or may have.
//!
//! In: what a reorg leaves of an order that is over, on a chain that was paused or was not.
//! Out: that the facts lead to what is stored. Why: a pause is no excuse where there was none.

use payments::Update;
use payments::order::{Dossier, Policy};
use payments::replay::{Fact, replay};

use crate::world::{World, chain, id, pay, says, usdt};

/// A takes what arrives: 60, and 30 in the block after it.
fn in_part() -> World {
    let mut world = World::new();
    world.order("A", |order| order.terms.underpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine("ethereum", &[pay("t2", "A", "30")]);
    world
}

/// A as it is stored, and what was told of it.
fn told(world: &World) -> (Dossier, Vec<Fact>) {
    let stored = world.memory.dossier(&id("A")).unwrap();
    (Dossier::clone(stored), world.told.of(&id("A")))
}

/// Where the facts and what is stored part, if `was_paused` is what is known of the chain.
fn difference(stored: &Dossier, facts: &[Fact], was_paused: bool) -> Option<String> {
    replay(stored.into(), facts, was_paused).unwrap().difference
}

/// A expired with 90, and the branch that had the 30 was final and is lost. A person says which one
/// is followed, which ends the pause: what is left is credited.
#[test]
fn what_a_pause_did_not_hold_up_is_seen_by_the_credits() {
    let mut world = in_part();
    world.mine_at("ethereum", 1_100, &[]);
    world.all_final("ethereum");
    world.lose("ethereum", 1);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 60.00 credited
        ethereum:t2:0 30.00 reversed
        case reversed_after_credit:A 0.00: open",
    );
    let (stored, facts) = told(&world);
    assert_eq!(difference(&stored, &facts, true), None);
    // No chain follows another branch but one that was paused.
    let found = difference(&stored, &facts, false).unwrap_or_default();
    assert!(found.starts_with("order A: paid, expired or cancelled at another time"), "{found}");
}

/// A was cancelled with 90, and loses the 30 while its chain is paused.
#[test]
fn what_a_pause_held_up_is_seen_by_what_was_not_credited_then() {
    let mut world = in_part();
    world.apply(&Update::Cancel(id("A"))).unwrap();
    let (on, why) = (chain("ethereum"), "ann: a look".to_owned());
    world.apply(&Update::Pause { chain: on, why }).unwrap();
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(
        &world.state("A"),
        "cancelled
        ethereum:t1:0 60.00 suspended underpaid
        ethereum:t2:0 30.00 reversed
        case reversed_after_credit:A 0.00: open
        case underpaid:A 60.00: open",
    );
    let (stored, facts) = told(&world);
    assert_eq!(difference(&stored, &facts, false), None);
    // The ceiling of an hour holds as much up, and no event says that it did.
    let untold: Vec<Fact> = facts.into_iter().map(|fact| Fact { paused: false, ..fact }).collect();
    assert_eq!(difference(&stored, &untold, false), None);
}

/// What arrives is credited, 20 and 20 in one block, and the ceiling of an hour has room for one.
#[test]
fn what_a_ceiling_held_up_within_a_block_is_told_by_its_deposit() {
    let mut world = World::new();
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    rules.bounds.hourly_credits = Some(usdt("30"));
    world.open_order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "20"), pay("t2", "A", "20")]);
    world.all_final("ethereum");
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 20.00 credited
        ethereum:t2:0 20.00 pending",
    );
    let (stored, facts) = told(&world);
    assert_eq!(difference(&stored, &facts, true), None);
    let (by, why) = ("maria".to_owned(), "all good".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
    world.scan("ethereum").unwrap();
    let (stored, facts) = told(&world);
    assert!(world.state("A").contains("ethereum:t2:0 20.00 credited"), "{}", world.state("A"));
    assert_eq!(difference(&stored, &facts, true), None);
}

/// A was cancelled with 90, loses the 30, and 60 are credited in their place. Somebody took that
/// away: what was told of it is named, not what would be if it had been held up.
#[test]
fn what_was_altered_is_named_by_what_was_told() {
    let mut world = in_part();
    world.apply(&Update::Cancel(id("A"))).unwrap();
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    let (mut stored, facts) = told(&world);
    assert_eq!(difference(&stored, &facts, true), None);
    stored.journals.retain(|journal| journal.key != "paid:A#2");
    let found = difference(&stored, &facts, true).unwrap_or_default();
    assert!(found.contains("journal paid:A#2: "), "{found}");
}
