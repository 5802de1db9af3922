//! Paused and stalled chains.
//!
//! In: pauses, resumes and stalls, each twice. Out: one event each, and nothing credited between.

use std::time::Duration;

use payments::Update;
use payments::changes::Finality;
use payments::order::Policy;

use super::world::{World, chain, id, pay, says, seconds};

fn pause(world: &mut World) {
    let (chain, why) = (chain("ethereum"), "the node lies".to_owned());
    world.apply(&Update::Pause { chain, why }).unwrap();
}

fn resume(world: &mut World) {
    let (by, why) = ("maria".to_owned(), "another node".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
}

#[test]
fn a_paused_chain_is_read_and_credits_nothing() {
    let mut world = World::new();
    world.order("A", |order| order.expires_at = Some(seconds(25)));
    world.skip();
    pause(&mut world);
    pause(&mut world);
    says(&world.news(), "chain.paused why=the node lies");
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 2);
    says(
        &world.news(),
        "deposit.detected A ethereum:t1:0 amount=100.00 raw=100000000
        order.confirming A counted=0.00 pending=100.00",
    );
    resume(&mut world);
    resume(&mut world);
    says(&world.news(), "chain.recovered why=maria: another node");
    world.scan("ethereum").unwrap();
    says(&world.state("A"), "paid\n ethereum:t1:0 100.00 credited");
}

#[test]
fn another_chain_goes_on() {
    let mut world = World::new();
    world.order("A", |order| order.chain = chain("tron"));
    pause(&mut world);
    world.mine("tron", &[pay("t1", "A", "100")]);
    says(&world.state("A"), "paid\n tron:t1:0 100.00 credited");
}

#[test]
fn a_reorg_is_booked_while_paused() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "50")]);
    world.mine_at("ethereum", 1001, &[]);
    world.finalize("ethereum", 2);
    world.mine_at("ethereum", 1001, &[pay("t2", "A", "50")]);
    pause(&mut world);
    world.fork("ethereum", 2);
    world.mine_at("ethereum", 1002, &[]);
    // The order is over: what is left of it waits for a person, paused or not.
    says(
        &world.state("A"),
        "expired
        ethereum:t1:0 50.00 suspended underpaid
        ethereum:t2:0 50.00 reversed late
        case underpaid:A 50.00: a later deposit covered the order
        case reversed_after_credit:A 0.00: open
        case underpaid:A#2 50.00: open",
    );
}

#[test]
fn cancelling_on_a_paused_chain_credits_nothing() {
    let mut world = World::new();
    world.order("A", |order| order.terms.underpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "50")]);
    pause(&mut world);
    world.apply(&Update::Cancel(id("A"))).unwrap();
    says(
        &world.state("A"),
        "cancelled
        ethereum:t1:0 50.00 suspended underpaid
        case underpaid:A 50.00: open",
    );
}

#[test]
fn a_stall_is_told_once_and_ends_with_the_next_block() {
    let mut world = World::new();
    let stall = |why: &str| Update::Stall { chain: chain("ethereum"), why: why.to_owned() };
    world.apply(&stall("block 1 has no receipts")).unwrap();
    world.apply(&stall("still none")).unwrap();
    says(&world.news(), "chain.stalled why=block 1 has no receipts");
    world.scan("ethereum").unwrap();
    assert_eq!(world.news(), "");
    world.mine("ethereum", &[]);
    says(&world.news(), "chain.recovered height=1");
    world.mine("ethereum", &[]);
    assert_eq!(world.news(), "");
}

#[test]
fn a_pause_outlives_a_stall() {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Confirmations(0))]);
    world.order("A", |_| {});
    pause(&mut world);
    let why = "no receipts".to_owned();
    world.apply(&Update::Stall { chain: chain("ethereum"), why }).unwrap();
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    says(
        &world.news(),
        "chain.recovered height=1
        deposit.detected A ethereum:t1:0 amount=100.00 raw=100000000
        order.confirming A counted=0.00 pending=100.00",
    );
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert_eq!((cursor.paused.as_deref(), &cursor.stalled), (Some("the node lies"), &None));
}

#[test]
fn a_look_that_shows_only_what_is_final_now_is_remembered() {
    let mut world = World::new();
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[]);
    let cursor = |world: &World| world.memory.cursor(&chain("ethereum")).unwrap().clone();
    let line = |world: &mut World, finalized, safe| {
        let line = world.lines.get_mut("ethereum").unwrap();
        (line.finalized, line.safe) = (finalized, safe);
        world.scan("ethereum").unwrap().cursor.is_some()
    };
    assert!(line(&mut world, 1, None));
    assert_eq!(cursor(&world).finalized.unwrap().height, 1);
    assert!(line(&mut world, 1, Some(2)));
    assert_eq!(cursor(&world).safe, Some(2));
    assert!(!line(&mut world, 1, Some(2)), "nothing new: nothing is written");
}

#[test]
fn a_failed_reconciliation_is_told() {
    let mut world = World::new();
    let (run, why) = (7, "2 findings".to_owned());
    world.apply(&Update::ReconcileFailed { run, why }).unwrap();
    let news = world.news();
    assert!(news.starts_with("reconcile.failed") && news.contains("why=2 findings"), "{news}");
}

#[test]
fn nodes_that_answer_and_make_nothing_final_are_told_once() {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Finalized)]);
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    rules.bounds.silent_after = Some(Duration::from_secs(600));
    world.order("A", |_| {});
    world.mine_at("ethereum", 100, &[]);
    world.mine_at("ethereum", 112, &[pay("t1", "A", "100")]);
    world.now = 112_000;
    world.finalize("ethereum", 1);
    world.skip();
    // Exactly so long is not too long; what is looked at is the final block, not the newest.
    world.now = 700_000 - 1;
    world.mine_at("ethereum", 690, &[]);
    assert_eq!(world.news(), "");
    let silent = |newest: u64| {
        format!(
            "chain.stalled why=nothing has become final for more than 10 minutes: the newest \
             final block is 1, the newest one {newest}; ask another node, or see `bursar check`"
        )
    };
    world.scan("ethereum").unwrap();
    says(&world.news(), &silent(3));
    // Blocks that come do not end it, and it is not told again.
    world.mine_at("ethereum", 702, &[]);
    world.scan("ethereum").unwrap();
    assert_eq!(world.news(), "");
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert!(cursor.stalled.as_ref().unwrap().contains("the newest one 4"), "{cursor:?}");
    // What becomes final is credited all the same, and the next block ends it.
    world.finalize("ethereum", 3);
    assert!(world.state("A").contains("credited"), "{}", world.state("A"));
    world.skip();
    world.mine_at("ethereum", 714, &[]);
    says(&world.news(), "chain.recovered height=5");
}

#[test]
fn why_a_chain_stands_still_is_said_anew_when_a_block_comes() {
    let mut world = World::new();
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    rules.bounds.silent_after = Some(Duration::from_secs(600));
    world.mine_at("ethereum", 100, &[]);
    world.mine_at("ethereum", 110, &[]);
    world.now = 900_000;
    let why = "block 3 has no receipts".to_owned();
    world.apply(&Update::Stall { chain: chain("ethereum"), why: why.clone() }).unwrap();
    let stalled = |world: &World| {
        world.memory.cursor(&chain("ethereum")).unwrap().stalled.clone().unwrap_or_default()
    };
    world.finalize("ethereum", 2);
    assert_eq!(stalled(&world), why);
    // Now it has them, and is silent still.
    world.mine_at("ethereum", 910, &[]);
    assert!(stalled(&world).ends_with("the newest one 3; ask another node, or see `bursar check`"));
}

#[test]
fn a_chain_that_is_caught_up_with_is_not_silent() {
    let mut world = World::new();
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    rules.bounds.silent_after = Some(Duration::from_secs(600));
    for second in [10, 20, 30, 40] {
        world.mine_unseen("ethereum", second, &[]);
    }
    world.lines.get_mut("ethereum").unwrap().finalized = 4;
    world.now = 100_000_000;
    let mut scan = world.look("ethereum");
    scan.blocks.truncate(2);
    world.apply(&Update::Scan(scan)).unwrap();
    assert_eq!(world.news(), "");
    world.scan("ethereum").unwrap();
    assert!(world.news().starts_with("chain.stalled"), "its end is long ago");
}
