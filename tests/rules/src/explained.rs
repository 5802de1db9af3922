//! A refund that is sent from a deposit address, and recorded as sent only afterwards.

use payments::Update;
use payments::case::CaseId;
use payments::changes::RefundFact;
use payments::outflow::{Explanation, Outflow, OutflowId, OutflowState, Way};

use super::resolve::{of, refund};
use super::world::{Pay, World, address, chain, pay, says, tx, usdt};

/// Order A paid twice and the second payment to be refunded; what `left` is in block 3.
fn sent_first(left: &[Pay]) -> (World, CaseId) {
    let (mut world, case) = World::paid_twice();
    world.says("ann", &case, refund("back", "0.80")).unwrap();
    world.mine("ethereum", left);
    world.skip();
    (world, case)
}

fn outflow(world: &World, n: u32) -> Outflow {
    let id = OutflowId { chain: chain("ethereum"), tx: tx("t3"), n, way: Way::Transfer };
    world.memory.outflow(&id).unwrap().clone()
}

fn open(world: &World) -> usize {
    world.memory.cases().iter().filter(|case| case.decision.is_none()).count()
}

#[test]
fn its_case_ends_when_the_transaction_is_recorded() {
    let (mut world, case) = sent_first(&[pay("t3", "back", "99.20").from("A")]);
    world.all_final("ethereum");
    assert_eq!((outflow(&world, 0).explained, open(&world)), (None, 1));
    let balances = world.balances();
    world.skip();
    world.sent(&case, "t3").unwrap();
    says(
        &world.news(),
        "refund.sent A ethereum:t2:0 duplicate:ethereum:t2:0 tx=t3 to=@back amount=99.20 fee=0.80 \
         by=ann
        case.resolved A unexplained_outflow:ethereum:t3:0 kind=unexplained_outflow why=it was sent \
         for the refund of duplicate:ethereum:t2:0, recorded afterwards",
    );
    let outflow = outflow(&world, 0);
    assert_eq!(outflow.state, OutflowState::Booked);
    assert_eq!((outflow.explained, open(&world)), (Some(Explanation::Refund), 0));
    assert_eq!(world.balances(), balances, "where it went was booked already");
    // And the chain's word about it is still to come.
    world.skip();
    world.seen(&case, ("t3", 3), |_| {}).unwrap();
    assert!(world.news().contains("refund.verified"));
}

#[test]
fn what_else_left_by_that_transaction_is_still_unexplained() {
    let left = [pay("t3", "back", "99.20").from("A"), pay("t3", "thief", "5").from("A").nth(1)];
    let (mut world, case) = sent_first(&left);
    world.all_final("ethereum");
    world.sent(&case, "t3").unwrap();
    assert_eq!(outflow(&world, 0).explained, Some(Explanation::Refund));
    assert_eq!((outflow(&world, 1).explained, open(&world)), (None, 1));
}

/// What left before there was anything to give back gave nothing back, whoever says so.
#[test]
fn what_left_before_the_deposit_is_not_its_refund() {
    let mut world = World::new();
    world.order("A", |order| order.refund_to = Some(address("back")));
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t3", "back", "99.20").from("A")]);
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    world.all_final("ethereum");
    let case = of("duplicate", "ethereum", "t2");
    world.says("ann", &case, refund("back", "0.80")).unwrap();
    world.sent(&case, "t3").unwrap();
    assert_eq!((outflow(&world, 0).explained, open(&world)), (None, 1));
    world.seen(&case, ("t3", 2), |_| {}).unwrap();
    assert!(world.news().contains("refund.failed"), "{}", world.news());
}

#[test]
fn another_transaction_explains_nothing() {
    let (mut world, case) = sent_first(&[pay("t3", "back", "99.20").from("A")]);
    world.all_final("ethereum");
    world.sent(&case, "t4").unwrap();
    assert_eq!((outflow(&world, 0).explained, open(&world)), (None, 1));
}

#[test]
fn what_a_person_said_of_it_stays_said() {
    let (mut world, case) = sent_first(&[pay("t3", "back", "99.20").from("A")]);
    world.all_final("ethereum");
    let asked = of("unexplained_outflow", "ethereum", "t3");
    world.says("bob", &asked, payments::case::Resolution::Dismiss).unwrap();
    world.sent(&case, "t3").unwrap();
    assert_eq!(outflow(&world, 0).explained, Some(Explanation::Refund));
    let cases = world.memory.cases();
    let said = cases.iter().find(|case| case.id == asked).unwrap().decision.clone().unwrap();
    assert_eq!(said.by, "bob");
}

#[test]
fn one_that_waits_for_a_missing_deposit_is_explained_and_waits_on() {
    let (mut world, case) = World::paid_twice();
    world.order("B", |_| {});
    world.says("ann", &case, refund("back", "0.80")).unwrap();
    world.mine("ethereum", &[pay("t3", "back", "99.20").from("B")]);
    world.all_final("ethereum");
    assert_eq!(outflow(&world, 0).state, OutflowState::Waiting);
    world.sent(&case, "t3").unwrap();
    let outflow = outflow(&world, 0);
    assert_eq!(outflow.state, OutflowState::Waiting);
    assert_eq!((outflow.explained, open(&world)), (Some(Explanation::Refund), 0));
}

/// More or less than the refund is no refund, whichever of the two is recorded first: that it left
/// is asked about by two people, and one said that it was sent.
#[test]
fn another_amount_is_explained_by_nothing() {
    for amount in ["99.199999", "99.200001", "150", "100"] {
        let (mut world, case) = sent_first(&[pay("t3", "back", amount).from("A")]);
        world.all_final("ethereum");
        world.sent(&case, "t3").unwrap();
        assert_eq!((outflow(&world, 0).explained, open(&world)), (None, 1), "{amount}");

        let (mut world, case) = sent_first(&[]);
        world.sent(&case, "t3").unwrap();
        world.mine("ethereum", &[pay("t3", "back", amount).from("A")]);
        world.all_final("ethereum");
        assert_eq!((outflow(&world, 0).explained, open(&world)), (None, 1), "{amount}");
    }
}

#[test]
fn a_refund_that_is_exact_by_the_millionth_alone_is_none() {
    let (mut world, _) = World::paid_twice();
    world.order("B", |order| order.refund_to = Some(address("back")));
    world.mine("bsc", &[pay("t1", "B", "100")]);
    world.all_final("bsc");
    let wrong = of("wrong_network", "bsc", "t1");
    world.says("ann", &wrong, refund("back", "0.80")).unwrap();
    world.says("bob", &wrong, refund("back", "0.80")).unwrap();
    world.sent(&wrong, "t3").unwrap();
    let net = usdt("99.20").to_raw(18).unwrap();
    let one = ruint::aliases::U256::from(1);
    let pays = [
        pay("t3", "back", "0").units(net - one).from("B"),
        pay("t3", "back", "0").units(net).from("B").nth(1),
    ];
    world.mine("bsc", &pays);
    world.all_final("bsc");
    let explained = |n| {
        let id = OutflowId { chain: chain("bsc"), tx: tx("t3"), n, way: Way::Transfer };
        world.memory.outflow(&id).unwrap().explained
    };
    assert_eq!((explained(0), explained(1)), (None, Some(Explanation::Refund)));
}

#[test]
fn a_transaction_that_was_given_up_explains_nothing() {
    let (mut world, case) = sent_first(&[]);
    world.sent(&case, "t3").unwrap();
    world.fact(&case, RefundFact::GivenUp(tx("t3"), "replaced".to_owned())).unwrap();
    world.mine("ethereum", &[pay("t3", "back", "99.20").from("A")]);
    world.all_final("ethereum");
    assert_eq!((outflow(&world, 0).explained, open(&world)), (None, 1));
    // Said again, it is what it was.
    world.sent(&case, "t3").unwrap();
    assert_eq!((outflow(&world, 0).explained, open(&world)), (Some(Explanation::Refund), 0));
}

/// A transfer pays one refund, so a refund explains one transfer.
#[test]
fn one_refund_explains_one_transfer() {
    let twice = |from: &str| {
        [pay("t3", "back", "99.20").from("A"), pay("t3", "back", "99.20").from(from).nth(1)]
    };
    let both = |world: &World| (outflow(world, 0).explained, outflow(world, 1).explained);
    let (mut world, case) = sent_first(&twice("A"));
    world.all_final("ethereum");
    world.sent(&case, "t3").unwrap();
    assert_eq!((both(&world), open(&world)), ((Some(Explanation::Refund), None), 1));
    // Said once more, it is no second refund.
    world.fact(&case, RefundFact::GivenUp(tx("t3"), "replaced".to_owned())).unwrap();
    world.sent(&case, "t3").unwrap();
    assert_eq!((both(&world), open(&world)), ((Some(Explanation::Refund), None), 1));

    let (mut world, case) = sent_first(&[]);
    world.sent(&case, "t3").unwrap();
    world.mine("ethereum", &twice("A"));
    world.all_final("ethereum");
    assert_eq!((both(&world), open(&world)), ((Some(Explanation::Refund), None), 1));
}

/// The token keeps a fee beside what arrives: it is what arrives that the refund is about.
#[test]
fn the_fee_beside_a_refund_is_the_token_s() {
    let (mut world, case) = sent_first(&[]);
    world.sent(&case, "t3").unwrap();
    let left = [pay("t3", "owner", "0.08").from("A"), pay("t3", "back", "99.20").from("A").nth(1)];
    world.mine("ethereum", &left);
    world.all_final("ethereum");
    let explained = (outflow(&world, 0).explained, outflow(&world, 1).explained);
    assert_eq!(explained, (Some(Explanation::Fee), Some(Explanation::Refund)));
    assert_eq!(open(&world), 0);
}

#[test]
fn it_may_be_sent_from_an_address_of_another_order_or_of_nobody() {
    for (from, order) in [("B", true), ("pool", false)] {
        let (mut world, case) = World::paid_twice();
        world.memory.import(&[address("pool")]);
        if order {
            world.order("B", |_| {});
        }
        world.says("ann", &case, refund("back", "0.80")).unwrap();
        world.mine("ethereum", &[pay("t5", from, "100")]);
        world.mine("ethereum", &[pay("t3", "back", "99.20").from(from)]);
        world.all_final("ethereum");
        let before = open(&world);
        world.sent(&case, "t3").unwrap();
        assert_eq!(outflow(&world, 0).explained, Some(Explanation::Refund));
        assert_eq!(open(&world), before - 1, "{from}");
    }
}

#[test]
fn a_branch_that_takes_it_away_begins_anew() {
    let (mut world, case) = sent_first(&[pay("t3", "back", "99.20").from("A")]);
    world.all_final("ethereum");
    world.sent(&case, "t3").unwrap();
    world.lose("ethereum", 2);
    assert_eq!(
        (outflow(&world, 0).state, outflow(&world, 0).explained),
        (OutflowState::Orphaned, None)
    );
    world.mine("ethereum", &[pay("t3", "back", "99.20").from("A")]);
    world.all_final("ethereum");
    let outflow = outflow(&world, 0);
    assert_eq!((outflow.state, outflow.round), (OutflowState::Booked, 2));
    assert_eq!((outflow.explained, open(&world)), (Some(Explanation::Refund), 0));
    let by = "ann".to_owned();
    let fact = RefundFact::Sent(tx("t3"));
    assert!(world.apply(&Update::Refund { case, by, fact }).unwrap().is_empty());
}
