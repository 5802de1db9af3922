//! What goes with a deposit whose block is lost, and what stays.
//!
//! In: deposits that a person has decided about, and reorgs below them. Out: which decision is
//! reversed, which case is left with what. Why: a person's word about money is worth what the
//! money is, and a word about other money stays.

use payments::case::Resolution;
use payments::order::Price;

use super::resolve::{of, refund};
use super::world::{World, address, chain, id, pay, says, seconds};

#[test]
fn a_reorg_of_one_chain_leaves_another_alone() {
    let mut world = World::new();
    world.order("A", |_| {});
    for _ in 0..3 {
        world.mine("bsc", &[]);
    }
    world.mine("bsc", &[pay("t1", "A", "40")]);
    world.mine("ethereum", &[pay("t2", "A", "60")]);
    world.skip();
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    let gone = "reverse:deposit:ethereum:t2:0: order:A -> custody:ethereum:@A 60.00 USDT.ethereum
        deposit.orphaned A ethereum:t2:0 height=1";
    says(&world.news(), gone);
    // What is gone is not taken back a second time.
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    says(&world.news(), "");
    says(
        &world.state("A"),
        "awaiting_payment
        bsc:t1:0 40.00 suspended wrong_network
        ethereum:t2:0 60.00 orphaned
        case wrong_network:bsc:t1:0 40.00: open",
    );
}

#[test]
fn a_refund_that_was_promised_for_lost_money_opens_a_case() {
    let (mut world, case) = World::paid_twice();
    world.says("ann", &case, refund("back", "0.80")).unwrap();
    world.skip();
    world.lose("ethereum", 1);
    let told = world.news();
    for line in [
        "reverse:resolve:duplicate:ethereum:t2:0: fees -> suspense:duplicate 0.80 USDT.ethereum",
        "reverse:resolve:duplicate:ethereum:t2:0: refunds_payable -> suspense:duplicate 99.20",
        "case.opened A ethereum:t2:0 reversed_after_credit:A kind=reversed_after_credit amount=0.00",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 credited
        ethereum:t2:0 100.00 orphaned
        case duplicate:ethereum:t2:0 100.00: so
        case reversed_after_credit:A 0.00: open",
    );
}

#[test]
fn what_was_sold_for_no_credits_at_all_is_reversed_like_any_other() {
    let mut world = World::new();
    world.order("A", |order| order.price = Price::Rate { num: 1, den: 100_000_000 });
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t2", "A", "5")]);
    world.all_final("ethereum");
    let duplicate = of("duplicate", "ethereum", "t2");
    world.says("ann", &duplicate, Resolution::Credit).unwrap();
    assert!(world.state("A").contains("t2:0 5.00 granted"));
    world.lose("ethereum", 1);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 credited
        ethereum:t2:0 5.00 reversed
        case duplicate:ethereum:t2:0 5.00: so
        case reversed_after_credit:A 0.00: open",
    );
}

#[test]
fn a_case_of_two_is_left_with_the_one_that_stays() {
    let mut world = World::new();
    world.order("A", |order| order.expires_at = Some(seconds(25)));
    world.mine("ethereum", &[pay("t1", "A", "30")]);
    world.mine_at("ethereum", 26, &[]);
    world.finalize("ethereum", 2);
    world.mine("ethereum", &[pay("t2", "A", "40")]);
    world.fork("ethereum", 2);
    world.mine("ethereum", &[]);
    let case = &world.memory.cases()[0];
    let left: Vec<String> = case.deposits.iter().map(ToString::to_string).collect();
    let first = world.memory.deposits()[0].id.to_string();
    assert_eq!((case.amount.to_string(), left), ("30.00".to_owned(), vec![first]));
}

/// Order A paid 130 by two deposits, of which the one recorded first sits above the one that
/// covered: the excess of 30 is `t2`'s.
fn excess() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.fork("ethereum", 0);
    for pays in [vec![pay("t2", "A", "70")], vec![pay("t1", "A", "60")]] {
        world.mine_unseen("ethereum", 40, &pays);
    }
    world.scan("ethereum").unwrap();
    world.finalize("ethereum", 2);
    world.skip();
    world
}

#[test]
fn what_an_excess_was_credited_for_goes_with_the_other_half_of_it() {
    let mut world = excess();
    world.says("ann", &of("overpaid", "ethereum", "t2"), Resolution::Credit).unwrap();
    assert!(world.balances().contains("customer:acme 13000000000"));
    world.lose("ethereum", 1);
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@A -70000000
        USDT.ethereum order:A 70000000",
    );
}

#[test]
fn an_excess_that_a_person_moved_stays_where_it_is() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.order("B", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "120")]);
    world.mine("ethereum", &[pay("t2", "B", "80")]);
    world.finalize("ethereum", 2);
    world.says("ann", &of("overpaid", "ethereum", "t1"), Resolution::Reassign(id("B"))).unwrap();
    assert!(world.state("B").starts_with("paid\n"));
    world.lose("ethereum", 1);
    // The 80 are gone; the 20 that came by a decision count on, and nothing is in suspense.
    says(
        &world.state("B"),
        "partially_paid
        ethereum:t2:0 80.00 reversed
        ethereum:t1:0 20.00 confirmed
        case reversed_after_credit:B 0.00: open",
    );
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@A -120000000
        USDT.ethereum order:B 20000000
        USDT.ethereum sales 100000000
        CREDIT issued -10000000000
        CREDIT customer:acme 10000000000",
    );
    assert_eq!(address("A"), world.memory.deposits()[0].to);
    assert!(world.memory.cursor(&chain("ethereum")).unwrap().paused.is_none());
}

#[test]
fn what_was_taken_back_holds_nothing_to_decide_about() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    let taken = super::resolve::case("reversed_after_credit", "A");
    let refused = world.says("ann", &taken, Resolution::Credit).unwrap_err().to_string();
    assert!(refused.contains("it holds nothing any more; what fits is dismiss"), "{refused}");
    world.says("ann", &taken, Resolution::Dismiss).unwrap();
}
