//! What holds up what: deposits of one order that are final before others are.
//!
//! In: an earlier deposit that waits, a later one that is final. Out: whether the later one counts.
//! Why: a payment that nothing is wrong with must not wait for one that will never count.

use payments::changes::Finality;

use super::world::{LOOKALIKE, World, address, pay, says};

#[test]
fn a_payment_on_another_chain_holds_up_none_on_the_order_s_own() {
    let mut world = World::new();
    world.finality("bsc", &[(None, Finality::Finalized)]);
    world.order("A", |_| {});
    world.mine("bsc", &[pay("t1", "A", "40")]);
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    says(
        &world.state("A"),
        "paid
        bsc:t1:0 40.00 pending
        ethereum:t2:0 100.00 credited",
    );
}

/// Below 1 USDT only what is finalized counts, and from there one confirmation is enough.
fn small_ones_wait() -> World {
    let mut world = World::new();
    world.finality("ethereum", &[(Some("1"), Finality::Finalized), (None, ONE)]);
    world.order("A", |_| {});
    world
}

const ONE: Finality = Finality::Confirmations(1);

#[test]
fn neither_another_token_nor_dust_holds_up_a_payment() {
    for first in [pay("t1", "A", "40").of(LOOKALIKE), pay("t1", "A", "0.09")] {
        let mut world = small_ones_wait();
        world.mine("ethereum", &[first, pay("t2", "A", "100")]);
        let state = world.state("A");
        assert!(state.starts_with("paid\n") && state.contains("pending\n"), "{state}");
    }
    // What counts is judged in turn: the first one waits, and the second one with it.
    let mut world = small_ones_wait();
    world.mine("ethereum", &[pay("t1", "A", "0.10"), pay("t2", "A", "100")]);
    says(
        &world.state("A"),
        "confirming
        ethereum:t1:0 0.10 pending
        ethereum:t2:0 100.00 pending",
    );
}

#[test]
fn what_was_mined_again_to_another_address_holds_up_no_payment() {
    let mut world = small_ones_wait();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "A", "0.50")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[pay("t1", "pool", "0.50"), pay("t2", "A", "100")]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 0.50 pending
        ethereum:t2:0 100.00 credited",
    );
}
