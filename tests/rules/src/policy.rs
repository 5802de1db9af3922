//! Hold, or credit what arrived: each policy where it decides.
//!
//! In: the same payments under either policy. Out: a case, or credits at the order's rate.

use payments::changes::Finality;
use payments::order::{Order, Policy};

use super::world::{World, pay, says};

fn world(change: impl FnOnce(&mut Order)) -> World {
    let mut world = World::new();
    world.order("A", change);
    world.skip();
    world
}

#[test]
fn an_excess_is_credited() {
    let mut world = world(|order| order.terms.overpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "130")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 130.00 USDT.ethereum
        paid:A: order:A -> sales 130.00 USDT.ethereum
        paid:A: issued -> customer:acme 13000.00 CREDIT
        deposit.detected A ethereum:t1:0 amount=130.00 raw=130000000
        deposit.confirmed A ethereum:t1:0 amount=130.00
        order.paid A amount=130.00 credits=13000
        credits.granted A customer=acme credits=13000",
    );
    world.mine("ethereum", &[pay("t2", "A", "1")]);
    assert!(world.state("A").contains("ethereum:t2:0 1.00 suspended duplicate"));
}

#[test]
fn an_excess_within_the_tolerance_buys_nothing_more() {
    let mut world = world(|order| order.terms.overpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "100.10")]);
    let told = world.news();
    assert!(told.contains("paid:A: order:A -> sales 100.10 USDT.ethereum"), "{told}");
    assert!(told.ends_with("credits.granted A customer=acme credits=10000"), "{told}");
}

#[test]
fn too_little_is_credited_at_expiry() {
    let mut world = world(|order| order.terms.underpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "33.333333")]);
    world.mine_at("ethereum", 1001, &[]);
    world.skip();
    world.finalize("ethereum", 2);
    says(
        &world.news(),
        "paid:A: order:A -> sales 33.333333 USDT.ethereum
        paid:A: issued -> customer:acme 3333.3333 CREDIT
        order.expired A counted=33.333333
        order.paid A amount=33.333333 credits=3333.3333
        credits.granted A customer=acme credits=3333.3333",
    );
    let journal = world.memory.journals().last().unwrap();
    // Everything had arrived by the first block's time.
    assert_eq!(journal.effective, super::world::seconds(20));
    says(&world.state("A"), "paid\n ethereum:t1:0 33.333333 credited");
}

#[test]
fn nothing_is_nothing_at_expiry() {
    let mut world = world(|order| order.terms.underpaid = Policy::Credit);
    world.mine_at("ethereum", 1001, &[]);
    world.finalize("ethereum", 1);
    says(&world.news(), "order.expired A counted=0.00");
    // In the late window whatever arrives is credited at once: the order is over.
    world.mine("ethereum", &[pay("t1", "A", "5")]);
    assert!(world.news().ends_with("credits.granted A customer=acme credits=500"));
    says(&world.state("A"), "paid\n ethereum:t1:0 5.00 credited late");
}

#[test]
fn after_the_window_by_policy() {
    let mut held = world(|_| {});
    held.mine_at("ethereum", 2000, &[pay("t1", "A", "100")]);
    held.finalize("ethereum", 1);
    says(
        &held.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 100.00 USDT.ethereum
        suspend:ethereum:t1:0:late: order:A -> suspense:late 100.00 USDT.ethereum
        deposit.detected A ethereum:t1:0 amount=100.00 raw=100000000
        order.expired A counted=0.00
        deposit.confirmed A ethereum:t1:0 amount=100.00
        case.opened A ethereum:t1:0 late:ethereum:t1:0 kind=late amount=100.00",
    );
    let mut credited = world(|order| order.terms.late = Policy::Credit);
    credited.mine_at("ethereum", 2000, &[pay("t1", "A", "100")]);
    credited.finalize("ethereum", 1);
    assert!(credited.news().ends_with("credits.granted A customer=acme credits=10000"));
    says(&credited.state("A"), "paid\n ethereum:t1:0 100.00 credited late");
}

/// It is seen, and nobody is told that it will count.
#[test]
fn what_comes_after_the_window_does_not_confirm_the_order() {
    let mut world = world(|_| {});
    world.finality("ethereum", &[(None, Finality::Finalized)]);
    world.mine_at("ethereum", 2000, &[]);
    world.finalize("ethereum", 1);
    world.skip();
    world.mine_at("ethereum", 2001, &[pay("t1", "A", "100")]);
    says(&world.news(), "deposit.detected A ethereum:t1:0 amount=100.00 raw=100000000");
    says(&world.state("A"), "expired\n ethereum:t1:0 100.00 pending");
    world.finalize("ethereum", 2);
    says(
        &world.state("A"),
        "expired\n ethereum:t1:0 100.00 suspended late\n case late:ethereum:t1:0 100.00: open",
    );
}

#[test]
fn each_top_up_after_the_window_waits() {
    let mut world = World::new();
    world.open_order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "20")]);
    world.mine_at("ethereum", 1500, &[pay("t2", "A", "20")]);
    world.mine_at("ethereum", 1501, &[pay("t3", "A", "20")]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 20.00 credited
        ethereum:t2:0 20.00 credited late
        ethereum:t3:0 20.00 suspended late
        case late:ethereum:t3:0 20.00: open",
    );
}
