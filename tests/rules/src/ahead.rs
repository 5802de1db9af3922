//! What may be decided while the last commit is still being written, and what must wait for it.
//!
//! In: two looks, one after the other, and the books as they were before the first. Out: whether
//! the second can be foreseen, and that what is foreseen decides the same.

use model::memory::Memory;
use payments::ahead::Ahead;
use payments::changes::Changes;
use payments::time::Time;
use payments::{Snapshot, Update, plan};

use super::world::{LOOKALIKE, Pay, World, address, chain, pay, says, seconds};

/// A look that was decided and is on its way into the books, which were like this before it.
struct Writing {
    before: Memory,
    changes: Changes,
}

/// Mines a block that is final at once.
fn mine_final(world: &mut World, pays: &[Pay]) {
    let line = world.lines.get_mut("ethereum").unwrap();
    let height = u64::try_from(line.blocks.len()).unwrap();
    line.finalized = height;
    world.mine_unseen("ethereum", i64::try_from(height).unwrap() * 10, pays);
}

fn write(world: &mut World) -> Writing {
    let before = world.memory.clone();
    Writing { before, changes: world.scan("ethereum").unwrap() }
}

/// What the books hold for the next look, as far as it can be told before they hold it.
fn foreseen(world: &World, writing: &Writing) -> Option<Snapshot> {
    let scan = world.look("ethereum");
    let snapshot = writing.before.snapshot(&Update::Scan(scan.clone()));
    Ahead::of(&writing.changes)?.foresee(&scan, snapshot)
}

/// Orders A and B, A paid by a block that is final.
fn paid() -> (World, Writing) {
    let mut world = World::new();
    world.order("A", |_| {});
    world.order("B", |_| {});
    mine_final(&mut world, &[pay("t1", "A", "100")]);
    let writing = write(&mut world);
    (world, writing)
}

#[test]
fn an_order_of_its_own_is_decided_at_once() {
    let (mut world, writing) = paid();
    mine_final(&mut world, &[pay("t2", "B", "100")]);
    let update = Update::Scan(world.look("ethereum"));
    let early = foreseen(&world, &writing).unwrap();
    let late = world.memory.snapshot(&update);
    let decide = |snapshot| plan(&world.rules, snapshot, &update, Time(99_000)).unwrap();
    let changes = decide(&early);
    assert_eq!(changes, decide(&late));
    world.commit(&changes);
    says(&world.state("B"), "paid\n ethereum:t2:0 100.00 credited");
}

#[test]
fn what_is_being_written_of_is_waited_for() {
    let (mut world, writing) = paid();
    mine_final(&mut world, &[pay("t2", "A", "100")]);
    assert_eq!(foreseen(&world, &writing), None);
}

#[test]
fn a_transaction_that_is_told_again_for_another_order_is_waited_for() {
    let (mut world, writing) = paid();
    mine_final(&mut world, &[pay("t1", "B", "100")]);
    assert_eq!(foreseen(&world, &writing), None);
}

#[test]
fn what_a_later_block_makes_final_is_waited_for() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_unseen("ethereum", 20, &[pay("t1", "A", "100")]);
    let writing = write(&mut world);
    world.mine_unseen("ethereum", 30, &[]);
    assert_eq!(foreseen(&world, &writing), None);
}

#[test]
fn what_a_pause_holds_up_is_waited_for() {
    let mut world = World::new();
    world.order("A", |_| {});
    let (chain, why) = (chain("ethereum"), "the node lies".to_owned());
    world.apply(&Update::Pause { chain, why }).unwrap();
    mine_final(&mut world, &[pay("t1", "A", "100")]);
    let writing = write(&mut world);
    mine_final(&mut world, &[]);
    assert_eq!(foreseen(&world, &writing), None);
}

#[test]
fn an_expiry_that_the_last_final_block_decides_is_waited_for() {
    let mut world = World::new();
    world.order("A", |order| order.expires_at = Some(seconds(15)));
    mine_final(&mut world, &[]);
    mine_final(&mut world, &[]);
    let writing = write(&mut world);
    world.mine_unseen("ethereum", 30, &[]);
    assert_eq!(foreseen(&world, &writing), None);
}

#[test]
fn what_nobody_owns_is_waited_for() {
    // The other token has no journal, and its case is nobody's all the same.
    let found = pay("t1", "pool", "5");
    for found in [found.clone(), found.of(LOOKALIKE)] {
        let mut world = World::new();
        world.memory.import(&[address("pool")]);
        mine_final(&mut world, &[found]);
        let writing = write(&mut world);
        mine_final(&mut world, &[]);
        assert_eq!(foreseen(&world, &writing), None);
    }
}

#[test]
fn what_left_is_waited_for() {
    let (mut world, _) = paid();
    world.mine_unseen("ethereum", 20, &[pay("t3", "treasury", "100").from("A")]);
    let writing = write(&mut world);
    mine_final(&mut world, &[]);
    assert_eq!(foreseen(&world, &writing), None);
}

#[test]
fn a_branch_that_is_replaced_is_waited_for() {
    let mut world = World::new();
    world.mine("ethereum", &[]);
    world.fork("ethereum", 0);
    mine_final(&mut world, &[]);
    let writing = write(&mut world);
    mine_final(&mut world, &[]);
    assert_eq!(foreseen(&world, &writing), None);
}

#[test]
fn books_that_hold_it_already_are_taken_as_they_are() {
    let (mut world, writing) = paid();
    mine_final(&mut world, &[pay("t2", "A", "100")]);
    let scan = world.look("ethereum");
    let snapshot = world.memory.snapshot(&Update::Scan(scan.clone()));
    let ahead = Ahead::of(&writing.changes).unwrap();
    assert_eq!(ahead.foresee(&scan, snapshot.clone()), Some(snapshot));
}

#[test]
fn where_somebody_else_wrote_meanwhile_nothing_is_foreseen() {
    let (mut world, writing) = paid();
    let why = "odd blocks".to_owned();
    world.apply(&Update::Pause { chain: chain("ethereum"), why }).unwrap();
    mine_final(&mut world, &[pay("t2", "B", "100")]);
    let scan = world.look("ethereum");
    let snapshot = world.memory.snapshot(&Update::Scan(scan.clone()));
    let ahead = Ahead::of(&writing.changes).unwrap();
    assert_eq!(ahead.foresee(&scan, snapshot), None);
}
