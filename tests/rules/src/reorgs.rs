//! What a reorg takes back, and what the next block gives again.
//!
//! In: forks at each stage of a deposit. Out: the reversals, the cases, the second rounds.
//! Why: money that was there and is not is where books are lost.

use payments::changes::Finality;
use payments::event::EventKind;
use payments::order::Policy;
use payments::{PlanError, Update};

use super::world::{World, address, id, pay, says, seconds, usdt};

/// A world with order A, in which a deposit is final with the second block above it.
fn slow() -> World {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Confirmations(2))]);
    world.order("A", |_| {});
    world.skip();
    world
}

fn quick() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    world
}

#[test]
fn before_it_is_final() {
    let mut world = slow();
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    says(
        &world.news(),
        "deposit.detected A ethereum:t1:0 amount=100.00 raw=100000000
        order.confirming A counted=0.00 pending=100.00",
    );
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    says(&world.news(), "deposit.orphaned A ethereum:t1:0 height=1");
    says(&world.state("A"), "awaiting_payment\n ethereum:t1:0 100.00 orphaned");
}

#[test]
fn mined_again_elsewhere_it_is_the_same_deposit() {
    let mut world = slow();
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.skip();
    world.fork("ethereum", 0);
    world.mine_unseen("ethereum", 12, &[pay("t2", "B", "1")]);
    world.mine_unseen("ethereum", 13, &[pay("t1", "A", "100").at(7)]);
    world.scan("ethereum").unwrap();
    says(
        &world.news(),
        "deposit.orphaned A ethereum:t1:0 height=1
        deposit.detected A ethereum:t1:0 amount=100.00 raw=100000000",
    );
    world.mine("ethereum", &[]);
    says(&world.state("A"), "paid\n ethereum:t1:0 100.00 credited");
    let deposit = &world.memory.deposits()[0];
    assert_eq!((deposit.block.height, deposit.log_index, deposit.time), (2, 7, seconds(13)));
    assert_eq!(world.memory.deposits().len(), 1);
}

#[test]
fn after_it_counted() {
    let mut world = quick();
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.skip();
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    says(
        &world.news(),
        "reverse:deposit:ethereum:t1:0: order:A -> custody:ethereum:@A 60.00 USDT.ethereum
        deposit.orphaned A ethereum:t1:0 height=1",
    );
    says(&world.balances(), "");
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0#2: custody:ethereum:@A -> order:A 60.00 USDT.ethereum
        deposit.detected A ethereum:t1:0 amount=60.00 raw=60000000
        deposit.confirmed A ethereum:t1:0 amount=60.00
        order.partially_paid A counted=60.00 pending=0.00",
    );
}

#[test]
fn after_credit_and_mined_again() {
    let mut world = quick();
    world.mine("ethereum", &[pay("t1", "A", "130")]);
    world.skip();
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    says(
        &world.news(),
        "reverse:suspend:ethereum:t1:0:overpaid: \
         suspense:overpaid -> order:A 30.00 USDT.ethereum
        reverse:paid:A: customer:acme -> issued 10000.00 CREDIT
        reverse:paid:A: sales -> order:A 100.00 USDT.ethereum
        reverse:deposit:ethereum:t1:0: order:A -> custody:ethereum:@A 130.00 USDT.ethereum
        case.resolved A overpaid:ethereum:t1:0 kind=overpaid why=the order is no longer paid
        credits.reversed A ethereum:t1:0 customer=acme credits=10000
        case.opened A ethereum:t1:0 reversed_after_credit:A \
         kind=reversed_after_credit amount=0.00
        deposit.orphaned A ethereum:t1:0 height=1",
    );
    says(&world.balances(), "");
    says(
        &world.state("A"),
        "awaiting_payment
        ethereum:t1:0 130.00 reversed
        case overpaid:ethereum:t1:0 30.00: the order is no longer paid
        case reversed_after_credit:A 0.00: open",
    );
    world.mine("ethereum", &[pay("t1", "A", "130")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0#2: custody:ethereum:@A -> order:A 130.00 USDT.ethereum
        paid:A#2: order:A -> sales 100.00 USDT.ethereum
        paid:A#2: issued -> customer:acme 10000.00 CREDIT
        suspend:ethereum:t1:0:overpaid#2: order:A -> suspense:overpaid 30.00 USDT.ethereum
        deposit.detected A ethereum:t1:0 amount=130.00 raw=130000000
        deposit.confirmed A ethereum:t1:0 amount=130.00
        order.paid A amount=100.00 credits=10000
        credits.granted A customer=acme credits=10000
        case.opened A ethereum:t1:0 overpaid:ethereum:t1:0#2 kind=overpaid amount=30.00
        case.resolved A reversed_after_credit:A kind=reversed_after_credit \
         why=a later deposit covered the order",
    );
    // And once more: the third round.
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    assert!(world.news().contains("paid:A#3: order:A -> sales 100.00"));
    assert!(world.state("A").starts_with("paid\n"));
}

#[test]
fn every_credited_deposit_is_reversed_once() {
    let mut world = quick();
    world.mine("ethereum", &[pay("t1", "A", "60"), pay("t2", "A", "40")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    says(
        &world.state("A"),
        "awaiting_payment
        ethereum:t1:0 60.00 reversed
        ethereum:t2:0 40.00 reversed
        case reversed_after_credit:A 0.00: open",
    );
    let case = &world.memory.cases()[0];
    assert_eq!(case.deposits.len(), 2);
    let events = world.memory.events();
    let reversed = events.iter().filter(|event| event.kind == EventKind::CreditsReversed);
    assert_eq!(reversed.count(), 1);
}

#[test]
fn what_is_left_covers_or_counts_on() {
    // 10 and 100 were paid, 10 of them too much; the 10 go, the 100 are enough.
    let mut world = quick();
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[pay("t1", "A", "10")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    world.mine("ethereum", &[pay("t1", "A", "10")]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 10.00 suspended duplicate
        ethereum:t2:0 100.00 credited
        case duplicate:ethereum:t1:0 10.00: open",
    );
    // 60 and 40: the 40 go, the 60 count on.
    let mut world = quick();
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine("ethereum", &[pay("t2", "A", "40")]);
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(
        &world.state("A"),
        "partially_paid
        ethereum:t1:0 60.00 confirmed
        ethereum:t2:0 40.00 reversed
        case reversed_after_credit:A 0.00: open",
    );
    world.mine("ethereum", &[pay("t3", "A", "40")]);
    assert!(world.state("A").starts_with("paid\n"));
    assert!(world.balances().contains("customer:acme 10000000000"));
}

#[test]
fn an_excess_is_no_excess_without_the_rest() {
    let mut world = slow();
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[pay("t2", "A", "50")]);
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine("ethereum", &[]);
    world.skip();
    // The 60 were recorded first and now sit above the 50, which covered the order.
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(
        &world.news(),
        "reverse:suspend:ethereum:t2:0:overpaid: \
         suspense:overpaid -> order:A 10.00 USDT.ethereum
        reverse:paid:A: customer:acme -> issued 10000.00 CREDIT
        reverse:paid:A: sales -> order:A 100.00 USDT.ethereum
        reverse:deposit:ethereum:t1:0: order:A -> custody:ethereum:@A 60.00 USDT.ethereum
        case.resolved A overpaid:ethereum:t2:0 kind=overpaid why=the order is no longer paid
        credits.reversed A ethereum:t1:0 customer=acme credits=10000
        case.opened A ethereum:t1:0 reversed_after_credit:A \
         kind=reversed_after_credit amount=0.00
        deposit.orphaned A ethereum:t1:0 height=2
        order.partially_paid A counted=50.00 pending=0.00",
    );
    says(
        &world.state("A"),
        "partially_paid
        ethereum:t1:0 60.00 reversed
        ethereum:t2:0 50.00 confirmed
        case overpaid:ethereum:t2:0 10.00: the order is no longer paid
        case reversed_after_credit:A 0.00: open",
    );
}

#[test]
fn after_an_expiry_released_and_paid() {
    let mut world = quick();
    world.mine("ethereum", &[pay("t1", "A", "50")]);
    world.mine_at("ethereum", 1001, &[]);
    world.finalize("ethereum", 2);
    world.mine_at("ethereum", 1100, &[pay("t2", "A", "50")]);
    assert!(world.state("A").starts_with("paid\n"));
    world.skip();
    world.fork("ethereum", 2);
    world.mine_at("ethereum", 1101, &[]);
    says(
        &world.news(),
        "reverse:paid:A: customer:acme -> issued 10000.00 CREDIT
        reverse:paid:A: sales -> order:A 100.00 USDT.ethereum
        reverse:deposit:ethereum:t2:0: order:A -> custody:ethereum:@A 50.00 USDT.ethereum
        suspend:ethereum:t1:0:underpaid#2: order:A -> suspense:underpaid 50.00 USDT.ethereum
        credits.reversed A ethereum:t2:0 customer=acme credits=10000
        case.opened A ethereum:t2:0 reversed_after_credit:A \
         kind=reversed_after_credit amount=0.00
        deposit.orphaned A ethereum:t2:0 height=3
        case.opened A ethereum:t1:0 underpaid:A#2 kind=underpaid amount=50.00",
    );
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
fn a_suspended_one_leaves_its_case() {
    let mut world = quick();
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.finalize("ethereum", 1);
    world.mine("ethereum", &[pay("t2", "A", "5")]);
    world.skip();
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(
        &world.news(),
        "reverse:suspend:ethereum:t2:0:duplicate: \
         suspense:duplicate -> order:A 5.00 USDT.ethereum
        reverse:deposit:ethereum:t2:0: order:A -> custody:ethereum:@A 5.00 USDT.ethereum
        deposit.orphaned A ethereum:t2:0 height=2
        case.resolved A duplicate:ethereum:t2:0 kind=duplicate \
         why=its deposit is no longer part of the chain",
    );
}

#[test]
fn one_of_two_leaves_an_underpaid_case() {
    let mut world = quick();
    world.order("B", |order| order.expires_at = Some(seconds(20)));
    world.mine("ethereum", &[pay("t1", "B", "30")]);
    world.mine_at("ethereum", 21, &[]);
    world.finalize("ethereum", 2);
    world.mine("ethereum", &[pay("t2", "B", "40")]);
    says(
        &world.state("B"),
        "expired
        ethereum:t1:0 30.00 suspended underpaid
        ethereum:t2:0 40.00 suspended underpaid late
        case underpaid:B 70.00: open",
    );
    world.fork("ethereum", 2);
    world.mine("ethereum", &[]);
    says(
        &world.state("B"),
        "expired
        ethereum:t1:0 30.00 suspended underpaid
        ethereum:t2:0 40.00 orphaned late
        case underpaid:B 30.00: open",
    );
}

#[test]
fn an_open_order_gives_back_each_on_its_own() {
    let mut world = World::new();
    world.open_order("A", |order| order.expires_at = None);
    world.mine("ethereum", &[pay("t1", "A", "20")]);
    world.mine("ethereum", &[pay("t2", "A", "5"), pay("t3", "A", "6")]);
    world.skip();
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 20.00 credited
        ethereum:t2:0 5.00 reversed
        ethereum:t3:0 6.00 reversed
        case reversed_after_credit:A 0.00: open",
    );
    assert!(world.balances().contains("customer:acme 2000000000"));
    // The case holds until each of them is credited again.
    world.mine("ethereum", &[pay("t3", "A", "6")]);
    assert!(world.state("A").ends_with("case reversed_after_credit:A 0.00: open"));
    world.fork("ethereum", 2);
    world.mine("ethereum", &[]);
    assert_eq!(world.memory.cases()[0].deposits.len(), 2);
    world.mine("ethereum", &[pay("t2", "A", "5"), pay("t3", "A", "6")]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 20.00 credited
        ethereum:t2:0 5.00 credited
        ethereum:t3:0 6.00 credited
        case reversed_after_credit:A 0.00: what was reversed is credited again",
    );
    assert!(world.balances().contains("customer:acme 3100000000"));
}

#[test]
fn an_unassigned_one_comes_back() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    world.skip();
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    says(
        &world.news(),
        "reverse:deposit:ethereum:t1:0: \
         suspense:unassigned -> custody:ethereum:@pool 5.00 USDT.ethereum
        deposit.orphaned ethereum:t1:0 height=1
        case.resolved ethereum:t1:0 unassigned:ethereum:t1:0 kind=unassigned \
         why=its deposit is no longer part of the chain",
    );
    // The address was given to an order meanwhile: the deposit stays nobody's.
    world.order("pool", |_| {});
    world.skip();
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0#2: custody:ethereum:@pool -> suspense:unassigned 5.00 USDT.ethereum
        deposit.detected ethereum:t1:0 amount=5.00 raw=5000000
        deposit.confirmed ethereum:t1:0 amount=5.00
        case.opened ethereum:t1:0 unassigned:ethereum:t1:0#2 kind=unassigned amount=5.00",
    );
}

#[test]
fn mined_again_to_another_address_a_person_looks() {
    // A contract can pay whom it likes, by the block that runs it: the transaction is the same.
    let mut world = slow();
    world.order("B", |_| {});
    world.memory.import(&[address("pool")]);
    let pays = [pay("t1", "A", "100"), pay("t2", "A", "7"), pay("t3", "pool", "8")];
    world.mine("ethereum", &pays);
    world.fork("ethereum", 0);
    let pays = [pay("t1", "B", "100"), pay("t2", "pool", "7"), pay("t3", "B", "8")];
    world.mine("ethereum", &pays);
    let again = world.look_from("ethereum", Some(world.lines["ethereum"].blocks[0].0.id));
    world.mine("ethereum", &[pay("t4", "A", "100")]);
    world.skip();
    world.apply(&Update::Scan(again)).unwrap();
    assert_eq!(world.news(), "");
    world.mine("ethereum", &[]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 suspended unassigned
        ethereum:t2:0 7.00 suspended unassigned
        ethereum:t4:0 100.00 credited
        case unassigned:ethereum:t1:0 100.00: open
        case unassigned:ethereum:t2:0 7.00: open",
    );
    says(&world.state("B"), "awaiting_payment");
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@A -100000000
        USDT.ethereum custody:ethereum:@B -108000000
        USDT.ethereum custody:ethereum:@pool -7000000
        USDT.ethereum sales 100000000
        USDT.ethereum suspense:unassigned 115000000
        CREDIT issued -10000000000
        CREDIT customer:acme 10000000000",
    );
}

#[test]
fn late_before_and_on_time_after() {
    let mut world = slow();
    world.mine_at("ethereum", 999, &[]);
    world.finalize("ethereum", 1);
    world.mine_at("ethereum", 1001, &[pay("t1", "A", "100")]);
    world.fork("ethereum", 1);
    // The other branch is slower: the same transaction is on time there, another is late.
    world.mine_at("ethereum", 1000, &[pay("t1", "A", "60")]);
    world.mine_at("ethereum", 1002, &[]);
    world.mine_at("ethereum", 1003, &[]);
    world.finalize("ethereum", 3);
    says(
        &world.state("A"),
        "expired
        ethereum:t1:0 60.00 suspended underpaid
        case underpaid:A 60.00: open",
    );
}

#[test]
fn a_late_one_that_was_seen_first_does_not_hold_up_one_that_is_on_time() {
    let mut world = slow();
    world.mine_at("ethereum", 990, &[]);
    world.mine_at("ethereum", 1005, &[pay("t1", "A", "50")]);
    world.fork("ethereum", 1);
    world.mine_at("ethereum", 1000, &[pay("t2", "A", "50")]);
    world.mine_at("ethereum", 1010, &[pay("t1", "A", "50")]);
    world.mine_at("ethereum", 1020, &[]);
    world.finalize("ethereum", 4 - 1);
    world.mine_at("ethereum", 1030, &[]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 50.00 credited late
        ethereum:t2:0 50.00 credited
        case underpaid:A 50.00: a later deposit covered the order",
    );
}

#[test]
fn a_late_flag_does_not_outlive_its_block() {
    let mut world = World::new();
    world.open_order("A", |_| {});
    world.mine_at("ethereum", 995, &[]);
    world.finalize("ethereum", 1);
    world.mine_at("ethereum", 996, &[pay("t2", "A", "1")]);
    world.mine_at("ethereum", 1001, &[pay("t1", "A", "100")]);
    assert!(world.state("A").contains("ethereum:t1:0 100.00 credited late"));
    world.fork("ethereum", 2);
    world.mine_at("ethereum", 1000, &[pay("t1", "A", "100")]);
    assert!(world.state("A").contains("ethereum:t1:0 100.00 credited\n"));
}

#[test]
fn credited_by_policy_and_taken_back() {
    let mut world = World::new();
    world.order("A", |order| order.terms.underpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "30")]);
    world.mine_at("ethereum", 1001, &[]);
    world.finalize("ethereum", 2);
    assert!(world.balances().contains("customer:acme 3000000000"));
    // Closed and credited: what comes later is a duplicate, and a reorg takes only that.
    world.mine_at("ethereum", 1100, &[pay("t2", "A", "70")]);
    world.fork("ethereum", 2);
    world.mine_at("ethereum", 1101, &[]);
    assert!(world.balances().contains("customer:acme 3000000000"));
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 30.00 credited
        ethereum:t2:0 70.00 orphaned
        case duplicate:ethereum:t2:0 70.00: its deposit is no longer part of the chain",
    );
}

#[test]
fn credited_by_policy_taken_back_and_credited_again() {
    let mut world = World::new();
    world.order("A", |order| order.terms.underpaid = Policy::Credit);
    world.mine_at("ethereum", 1001, &[]);
    world.finalize("ethereum", 1);
    world.mine_at("ethereum", 1100, &[pay("t1", "A", "30")]);
    world.fork("ethereum", 1);
    world.mine_at("ethereum", 1101, &[pay("t1", "A", "30")]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 30.00 credited late
        case reversed_after_credit:A 0.00: what was reversed is credited again",
    );
    assert!(world.balances().contains("customer:acme 3000000000"));
}

#[test]
fn a_shorter_branch_and_a_tip_that_goes_back() {
    let mut world = quick();
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[]);
    // A node that is behind shows fewer blocks of the same branch: nothing happened.
    world.skip();
    let behind = world.look_from("ethereum", Some(world.lines["ethereum"].blocks[0].0.id));
    let behind = payments::chain::Scan {
        blocks: behind.blocks[..1].to_vec(),
        transfers: Vec::new(),
        ..behind
    };
    world.apply(&Update::Scan(behind)).unwrap();
    assert_eq!(world.news(), "");
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(
        &world.state("A"),
        "awaiting_payment
        ethereum:t1:0 100.00 reversed
        case reversed_after_credit:A 0.00: open",
    );
}

#[test]
fn below_the_finalized_height_nothing_is_written() {
    let mut world = quick();
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 2);
    let before = world.memory.dump();
    world.fork("ethereum", 0);
    world.mine_unseen("ethereum", 20, &[]);
    world.mine_unseen("ethereum", 30, &[]);
    world.mine_unseen("ethereum", 40, &[]);
    let error = world.scan("ethereum").unwrap_err();
    assert!(matches!(error, PlanError::Connect(_)), "{error}");
    assert_eq!(world.memory.dump(), before);
}

#[test]
fn a_rescan_finds_what_was_missed_and_nothing_that_is_gone() {
    let mut world = quick();
    world.mine_unseen("ethereum", 10, &[pay("t1", "A", "60")]);
    let mut scan = world.look("ethereum");
    let missed = std::mem::take(&mut scan.transfers);
    world.apply(&Update::Scan(scan)).unwrap();
    says(&world.state("A"), "awaiting_payment");
    let chain = super::world::chain("ethereum");
    let rescan = Update::Rescan { chain, transfers: missed, notices: Vec::new() };
    world.apply(&rescan).unwrap();
    says(&world.state("A"), "partially_paid\n ethereum:t1:0 60.00 confirmed");
    assert_eq!(world.memory.dossier(&id("A")).unwrap().counted(), usdt("60"));
    // The same answer, come too late: its block is no longer part of the chain.
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    let error = world.apply(&rescan).unwrap_err();
    let wanted = "the scan does not stand on a recorded block, try from height 0";
    assert_eq!(error.to_string(), wanted);
    says(&world.state("A"), "awaiting_payment\n ethereum:t1:0 60.00 orphaned");
}
