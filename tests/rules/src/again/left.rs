//! What left an address of ours, booked again from what is stored of it.
//!
//! In: an outflow in each of its states, and its journals, one of them altered. Out: the journal
//! that its state does not lead to. Never: a round that was not asked for.
//! Why: the ledger says where money went by these journals alone.

use std::collections::BTreeMap;

use payments::ledger::Journal;
use payments::outflow::{Outflow, OutflowState};
use payments::replay::{keys_of, left_difference};
use payments::time::Time;

use crate::world::{World, named, pay};

type Journals = BTreeMap<String, Journal>;

/// 30 of A's went to the treasury in t2, and that is booked.
fn booked() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t2", "treasury", "30").from("A")]);
    world.finalize("ethereum", 2);
    world
}

/// The one outflow, and the journals of its rounds that there are.
fn stored(world: &World) -> (Outflow, Journals) {
    let outflow = (*world.memory.outflows()[0]).clone();
    let all = world.memory.journals().iter();
    let own = all.filter(|journal| keys_of(&outflow).contains(&journal.key));
    let own = own.map(|journal| (journal.key.clone(), (**journal).clone())).collect();
    (outflow, own)
}

fn difference(outflow: &Outflow, journals: &Journals) -> Option<String> {
    left_difference(outflow, journals).map(|found| named(&found))
}

const SWEEP: &str = "journal sweep:ethereum:t2:0: its outflow leads to another one, or none";

#[test]
fn what_is_booked_has_its_journal_and_no_other() {
    let (outflow, journals) = stored(&booked());
    assert_eq!((journals.len(), difference(&outflow, &journals)), (1, None));
    let (key, journal) = journals.first_key_value().unwrap();
    let less = Journals::new();
    let mut other = journals.clone();
    other.get_mut(key).unwrap().entries[0].amount += 1;
    let undone = journal.reversed(Time(9));
    let mut more = journals.clone();
    more.insert(undone.key.clone(), undone);
    for altered in [less, other, more] {
        assert_eq!(difference(&outflow, &altered).as_deref(), Some(SWEEP));
    }
    for state in [OutflowState::Pending, OutflowState::Waiting, OutflowState::Orphaned] {
        let outflow = Outflow { state, ..outflow.clone() };
        assert_eq!(difference(&outflow, &journals).as_deref(), Some(SWEEP), "{state:?}");
    }
}

/// Its branch is lost, and it is mined again.
#[test]
fn what_was_taken_back_stays_beside_what_is_booked_again() {
    let mut world = booked();
    world.lose("ethereum", 1);
    let (outflow, journals) = stored(&world);
    assert_eq!(outflow.state, OutflowState::Orphaned);
    assert_eq!((journals.len(), difference(&outflow, &journals)), (2, None));
    let mut half = journals.clone();
    half.retain(|key, _| !key.starts_with("reverse:"));
    assert_eq!(difference(&outflow, &half).as_deref(), Some(SWEEP));
    world.mine("ethereum", &[pay("t2", "treasury", "30").from("A")]);
    world.all_final("ethereum");
    let (outflow, journals) = stored(&world);
    let keys: Vec<String> = keys_of(&outflow).iter().map(|key| named(key)).collect();
    let [second, first] = ["sweep:ethereum:t2:0#2", "sweep:ethereum:t2:0"];
    let undone = |key| format!("reverse:{key}");
    assert_eq!(keys, [second.to_owned(), undone(second), first.to_owned(), undone(first)]);
    assert_eq!((journals.len(), difference(&outflow, &journals)), (3, None));
    half = journals.clone();
    half.retain(|key, _| !key.starts_with("reverse:"));
    assert_eq!(difference(&outflow, &half).as_deref(), Some(SWEEP));
}

#[test]
fn the_last_sixty_four_rounds_are_asked_for() {
    let (outflow, _) = stored(&booked());
    let keys = keys_of(&Outflow { round: 100, ..outflow });
    assert_eq!(keys.len(), 128);
    assert!(keys[0].ends_with("#100") && keys[127].ends_with("#37"), "{keys:?}");
}
