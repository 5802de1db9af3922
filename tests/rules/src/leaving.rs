//! What leaves an address of ours beside other things: other chains, other deposits, reorgs.
//!
//! In: outflows in the same look as what they move, taken back, or not to be told apart at first
//! sight. Out: what is booked, what waits, which cases end. Why: custody is the token's balance.

use payments::Update;
use payments::case::Resolution;
use payments::changes::Finality;
use payments::outflow::{OutflowId, OutflowState, Way};
use ruint::aliases::U256;

use super::resolve::{case, refused};
use super::world::{Pay, World, address, chain, id, pay, says, tx};

fn outflow(name: &str, hash: &str, n: u32) -> OutflowId {
    OutflowId { chain: chain(name), tx: tx(hash), n, way: Way::Transfer }
}

fn state(world: &World, name: &str, hash: &str) -> OutflowState {
    world.memory.outflow(&outflow(name, hash, 0)).unwrap().state
}

/// Order A paid 100 in t1, final in block 1.
fn paid() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.finalize("ethereum", 1);
    world.skip();
    world
}

/// Blocks with these transfers, all of them final when they are first looked at.
fn at_once(world: &mut World, name: &'static str, blocks: &[&[Pay]]) {
    for pays in blocks {
        let second = world.now / 1000 + 10;
        world.mine_unseen(name, second, pays);
    }
    world.all_final(name);
}

#[test]
fn a_sweep_in_the_same_look_as_its_deposit_is_booked_at_once() {
    for to in ["A", "pool"] {
        let mut world = World::new();
        world.memory.import(&[address("pool")]);
        world.order("A", |_| {});
        at_once(
            &mut world,
            "ethereum",
            &[&[pay("t1", to, "100")], &[pay("t2", "treasury", "100").from(to)]],
        );
        assert_eq!(state(&world, "ethereum", "t2"), OutflowState::Booked, "{to}");
        assert!(!world.balances().contains("custody"), "{}", world.balances());
    }
}

#[test]
fn with_18_decimals_what_several_deposits_lost_in_the_same_look_is_no_hole() {
    let mut world = World::new();
    world.open_order("A", |order| order.chain = chain("bsc"));
    let odd = U256::from(1_999_999_999_999_999_999u64);
    let units = |hash, to: &str, raw| pay(hash, to, "0").units(raw);
    let pays = ["t1", "t2", "t3"].map(|hash| units(hash, "A", odd));
    let all = odd * U256::from(3);
    at_once(&mut world, "bsc", &[&pays, &[units("t4", "treasury", all).from("A")]]);
    assert_eq!(state(&world, "bsc", "t4"), OutflowState::Booked);
    assert!(!world.balances().contains("custody"), "{}", world.balances());
    // A hundred-thousandth more is no rounding.
    let mut world = World::new();
    world.open_order("A", |order| order.chain = chain("bsc"));
    let more = all + U256::from(10_000_000_000_000u64);
    at_once(&mut world, "bsc", &[&pays, &[units("t4", "treasury", more).from("A")]]);
    assert_eq!(state(&world, "bsc", "t4"), OutflowState::Waiting);
}

/// Anybody can send them, and no journal brings them: nothing waits for that.
#[test]
fn with_18_decimals_what_is_less_than_a_millionth_holds_nothing_up() {
    for to in ["A", "pool"] {
        let mut world = World::new();
        world.memory.import(&[address("pool")]);
        world.open_order("A", |order| order.chain = chain("bsc"));
        let units = |hash, to: &str, raw| pay(hash, to, "0").units(raw);
        let (whole, least) = (U256::from(100u128 * 10u128.pow(18)), U256::from(999_999_999_999u64));
        let crumbs = ["t2", "t3", "t4"].map(|hash| units(hash, to, least));
        let all = whole + least * U256::from(3);
        let swept = [units("t5", "treasury", all).from(to)];
        at_once(&mut world, "bsc", &[&[units("t1", to, whole)], &crumbs, &swept]);
        assert_eq!(state(&world, "bsc", "t5"), OutflowState::Booked, "{to}");
        assert!(!world.balances().contains("custody"), "{}", world.balances());
    }
}

#[test]
fn with_six_decimals_nothing_is_rounded() {
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "treasury", "100.000001").from("A")]);
    world.finalize("ethereum", 2);
    assert_eq!(state(&world, "ethereum", "t2"), OutflowState::Waiting);
}

#[test]
fn with_18_decimals_a_whole_millionth_is_told_as_it_is() {
    let mut world = World::new();
    world.open_order("A", |order| order.chain = chain("bsc"));
    world.skip();
    for (units, told) in
        [(1_500_000_000_000_000_000u64, "1.50"), (1_500_000_000_000_000_001, "1.500001")]
    {
        world.fork("bsc", 0);
        world.mine("bsc", &[]);
        world.skip();
        world.mine("bsc", &[pay("t2", "thief", "0").units(U256::from(units)).from("A")]);
        says(&world.news(), &format!("outflow.detected A outflow=bsc:t2:0 amount={told}"));
    }
}

#[test]
fn what_moves_a_deposit_that_is_not_judged_yet_waits_for_that() {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Finalized)]);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "50"), pay("t2", "A", "50")]);
    world.mine("bsc", &[pay("t4", "A", "1")]);
    world.fork("ethereum", 0);
    // The first one is mined again behind the second, which is judged after it.
    let swept = pay("t3", "treasury", "50").from("A");
    for pays in [vec![pay("t2", "A", "50")], vec![swept], vec![], vec![pay("t1", "A", "50")]] {
        world.mine("ethereum", &pays);
    }
    world.skip();
    world.finalize("ethereum", 2);
    assert_eq!(state(&world, "ethereum", "t3"), OutflowState::Pending);
    assert_eq!(world.news(), "");
    world.finalize("ethereum", 4);
    assert_eq!(state(&world, "ethereum", "t3"), OutflowState::Booked);
}

#[test]
fn what_is_not_booked_yet_takes_nothing_from_what_is() {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Finalized)]);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t2", "treasury", "100").from("A")]);
    world.mine("ethereum", &[pay("t3", "A", "50"), pay("t4", "A", "50")]);
    world.fork("ethereum", 2);
    world.mine("ethereum", &[pay("t3", "A", "50")]);
    // One more waits to be final, and another is no longer part of the chain.
    world.finalize("ethereum", 2);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 credited
        ethereum:t3:0 50.00 pending
        ethereum:t4:0 50.00 orphaned",
    );
    assert_eq!(state(&world, "ethereum", "t2"), OutflowState::Booked);
}

#[test]
fn what_a_deposit_on_another_chain_waits_for_holds_up_no_outflow() {
    let mut world = paid();
    world.finality("bsc", &[(None, Finality::Finalized)]);
    world.mine("bsc", &[pay("t4", "A", "1")]);
    world.mine("ethereum", &[pay("t2", "treasury", "150").from("A")]);
    world.finalize("ethereum", 2);
    assert_eq!(state(&world, "ethereum", "t2"), OutflowState::Waiting);
}

#[test]
fn a_deposit_that_the_same_reorg_takes_back_pays_for_nothing() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.fork("ethereum", 0);
    at_once(&mut world, "ethereum", &[&[], &[pay("t2", "treasury", "100").from("A")]]);
    assert!(world.state("A").contains("t1:0 100.00 reversed"));
    assert_eq!(state(&world, "ethereum", "t2"), OutflowState::Waiting);
    assert!(!world.balances().contains("custody"), "{}", world.balances());
}

#[test]
fn a_reorg_takes_back_what_left_above_it_on_that_chain() {
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "treasury", "40").from("A")]);
    world.mine("bsc", &[]);
    world.mine("bsc", &[]);
    world.mine("bsc", &[pay("t3", "treasury", "40").from("A")]);
    world.mine("ethereum", &[pay("t4", "treasury", "60").from("A")]);
    world.skip();
    for _ in 0..2 {
        world.fork("ethereum", 2);
        world.mine("ethereum", &[]);
    }
    says(&world.news(), "outflow.orphaned A outflow=ethereum:t4:0 amount=60.00");
    assert_eq!(state(&world, "ethereum", "t2"), OutflowState::Pending);
    assert_eq!(state(&world, "bsc", "t3"), OutflowState::Pending);
}

#[test]
fn only_the_case_of_an_outflow_that_is_gone_ends() {
    // Of an order, which has other cases.
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "A", "30"), pay("t3", "thief", "10").from("A")]);
    world.mine("ethereum", &[pay("t4", "thief", "20").from("A")]);
    world.finalize("ethereum", 3);
    let open = "case unexplained_outflow:ethereum:t3:0 0.00: open
        case unexplained_outflow:ethereum:t4:0 0.00: ";
    let before = "paid
        ethereum:t1:0 100.00 credited
        ethereum:t2:0 30.00 suspended duplicate
        case duplicate:ethereum:t2:0 30.00: open";
    says(&world.state("A"), &format!("{before}\n{open}open"));
    world.skip();
    world.lose("ethereum", 2);
    says(
        &world.state("A"),
        &format!("{before}\n{open}its transfer is no longer part of the chain"),
    );
    let news = world.news();
    let told = "case.resolved A unexplained_outflow:ethereum:t4:0 kind=unexplained_outflow";
    assert_eq!((news.matches("case.resolved").count(), news.contains(told)), (1, true), "{news}");
}

/// 30 came to the pool; 10 and then 20 left it for nobody knows where.
fn pool_emptied() -> World {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "30")]);
    world.mine("ethereum", &[pay("t2", "thief", "10").from("pool")]);
    world.mine("ethereum", &[pay("t3", "thief", "20").from("pool")]);
    world.finalize("ethereum", 3);
    world.skip();
    world
}

/// How each of the pool's outflow cases ended.
fn ends(world: &World) -> Vec<&str> {
    let about = |subject: &str| {
        let case = case("unexplained_outflow", &outflow("ethereum", subject, 0).to_string());
        let known = world.memory.cases().iter().find(|known| known.id == case).unwrap();
        known.decision.as_ref().map_or("open", |decision| &decision.why)
    };
    ["t2", "t3"].map(about).to_vec()
}

#[test]
fn the_same_where_no_order_owns_the_address() {
    let gone = "its transfer is no longer part of the chain";
    let mut world = pool_emptied();
    assert_eq!(ends(&world), ["open", "open"]);
    world.lose("ethereum", 2);
    assert_eq!(ends(&world), ["open", gone]);
    let news = world.news();
    assert_eq!(news.matches("case.resolved unexplained_outflow:").count(), 1, "{news}");
    // What a person had said about it stays.
    let mut world = pool_emptied();
    let unexplained = case("unexplained_outflow", &outflow("ethereum", "t3", 0).to_string());
    refused(
        world.says("ann", &unexplained, Resolution::Reassign(id("A"))),
        "what it is about has left, and is in the books",
    );
    world.says("ann", &unexplained, Resolution::Dismiss).unwrap();
    says(
        &world.news(),
        "case.resolved unexplained_outflow:ethereum:t3:0 kind=unexplained_outflow \
         resolution=dismiss amount=0.00 by=ann why=so",
    );
    world.lose("ethereum", 2);
    assert_eq!(ends(&world), ["open", "so"]);
}

#[test]
fn whose_it_was_when_it_was_first_seen_it_stays() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "30")]);
    world.mine("ethereum", &[pay("t2", "thief", "30").from("pool")]);
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    world.order("pool", |_| {});
    world.mine("ethereum", &[pay("t2", "thief", "30").from("pool")]);
    let found = world.memory.outflow(&outflow("ethereum", "t2", 0)).unwrap();
    assert_eq!((&found.order, found.round), (&None, 2));
}

#[test]
fn a_recorded_outflow_is_refused_under_any_other_face() {
    type Change = fn(&mut payments::chain::Transfer);
    let changes: [(&str, Change); 2] = [
        ("sender", |transfer| transfer.from = address("B")),
        ("value", |transfer| transfer.raw += U256::ONE),
    ];
    for (what, change) in changes {
        let mut world = paid();
        world.order("B", |_| {});
        world.mine("ethereum", &[pay("t2", "treasury", "100").from("A")]);
        let mut transfers = world.lines["ethereum"].blocks[2].1.clone();
        let update = Update::Rescan {
            chain: chain("ethereum"),
            transfers: transfers.clone(),
            notices: Vec::new(),
        };
        assert!(world.apply(&update).unwrap().is_empty());
        change(&mut transfers[0]);
        let again = Update::Rescan { chain: chain("ethereum"), transfers, notices: Vec::new() };
        refused(world.apply(&again), &format!("is recorded with another {what}"));
    }
}

#[test]
fn what_is_not_beside_its_sweep_is_nobody_s_fee() {
    let sweep = |n| pay("t2", "treasury", "99.80").from("A").nth(n);
    let fee = |hash, from: &str, n| pay(hash, "owner", "0.20").from(from).nth(n);
    let why = |world: &World, hash: &str, n| {
        world.memory.outflow(&outflow("ethereum", hash, n)).unwrap().explained.map(|why| why.word())
    };
    // Beside it; two places off; in another transaction; from another address of ours.
    for (taken, wanted) in [
        (("t2", "A", 1), Some("fee")),
        (("t2", "A", 2), None),
        (("t3", "A", 1), None),
        (("t2", "pool", 1), None),
    ] {
        let mut world = paid();
        world.memory.import(&[address("pool")]);
        let (hash, from, n) = taken;
        world.mine("ethereum", &[sweep(0), fee(hash, from, n)]);
        world.finalize("ethereum", 2);
        assert_eq!(why(&world, hash, n), wanted, "{taken:?}");
    }
    // Beside a sweep that the transaction no longer makes.
    let mut world = paid();
    world.mine("ethereum", &[fee("t2", "A", 0), sweep(1)]);
    world.fork("ethereum", 1);
    world.mine("ethereum", &[fee("t2", "A", 0)]);
    world.finalize("ethereum", 2);
    assert_eq!(why(&world, "t2", 0), None);
}
