//! What leaves an address of ours, example by example.

use payments::changes::{Finality, Update};
use payments::ledger::{Account, Asset};
use payments::outflow::{OutflowId, OutflowState, Way};
use ruint::aliases::U256;

use super::world::{LOOKALIKE, World, address, chain, pay, says, tx};

/// Order A paid 100 in t1, in block 1, and final there.
fn paid() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.finalize("ethereum", 1);
    world.skip();
    world
}

/// What the books hold of the address of order A.
fn custody(world: &World, name: &str) -> i128 {
    let account = Account::Custody(chain(name), address("A"));
    -world.memory.net(&Asset::Usdt(chain(name)), &account)
}

fn state(world: &World, name: &str, hash: &str, n: u32) -> (OutflowState, Option<&'static str>) {
    let id = OutflowId { chain: chain(name), tx: tx(hash), n, way: Way::Transfer };
    let outflow = world.memory.outflow(&id).unwrap();
    (outflow.state, outflow.explained.map(|why| why.word()))
}

#[test]
fn a_sweep_is_booked_when_it_is_final_and_needs_nobody() {
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "treasury", "100").from("A")]);
    for _ in 0..9 {
        world.mine("ethereum", &[]);
    }
    says(&world.news(), "outflow.detected A outflow=ethereum:t2:0 amount=100.00");
    assert_eq!(custody(&world, "ethereum"), 100_000_000, "confirmations are not enough");
    world.finalize("ethereum", 2);
    says(
        &world.news(),
        "sweep:ethereum:t2:0: treasury:ethereum -> custody:ethereum:@A 100.00 USDT.ethereum
        outflow.booked A outflow=ethereum:t2:0 amount=100.00 explained=treasury",
    );
    assert_eq!(custody(&world, "ethereum"), 0);
}

#[test]
fn what_leaves_for_elsewhere_opens_a_case_and_is_booked_all_the_same() {
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "thief", "30").from("A")]);
    world.skip();
    world.finalize("ethereum", 2);
    says(
        &world.news(),
        "sweep:ethereum:t2:0: treasury:ethereum -> custody:ethereum:@A 30.00 USDT.ethereum
        case.opened A unexplained_outflow:ethereum:t2:0 outflow=ethereum:t2:0 amount=30.00 \
         kind=unexplained_outflow
        outflow.booked A outflow=ethereum:t2:0 amount=30.00 explained=unexplained",
    );
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 credited
        case unexplained_outflow:ethereum:t2:0 0.00: open",
    );
}

#[test]
fn an_imported_address_that_nobody_owns_is_watched_too() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    world.mine("ethereum", &[pay("t2", "thief", "5").from("pool")]);
    world.finalize("ethereum", 2);
    assert_eq!(state(&world, "ethereum", "t2", 0), (OutflowState::Booked, None));
    let open = world.memory.cases().iter().filter(|case| case.decision.is_none()).count();
    assert_eq!(open, 2, "whose the deposit was, and where it went");
}

#[test]
fn from_one_address_of_ours_to_another_is_an_outflow_and_a_deposit() {
    let mut world = paid();
    world.order("B", |_| {});
    world.mine("ethereum", &[pay("t2", "B", "100").from("A")]);
    world.finalize("ethereum", 2);
    assert_eq!(custody(&world, "ethereum"), 0);
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@B -100000000
        USDT.ethereum sales 200000000
        USDT.ethereum treasury:ethereum -100000000
        CREDIT issued -20000000000
        CREDIT customer:acme 20000000000",
    );
    assert_eq!(state(&world, "ethereum", "t2", 0), (OutflowState::Booked, None));
}

#[test]
fn what_moves_nothing_of_ours_is_no_outflow() {
    let mut world = paid();
    world.mine(
        "ethereum",
        &[
            pay("t2", "thief", "0").from("A"),
            pay("t3", "A", "40").itself(),
            pay("t4", "thief", "40").from("A").of(LOOKALIKE),
        ],
    );
    world.finalize("ethereum", 2);
    says(&world.news(), "");
    assert!(world.memory.outflows().is_empty());
}

#[test]
fn more_than_the_books_hold_waits_and_holds_nothing_up() {
    let mut world = paid();
    // 50 came in t3, which the daemon was not shown.
    world.mine_unseen("ethereum", 40, &[pay("t3", "A", "50")]);
    let mut scan = world.look("ethereum");
    let missed = std::mem::take(&mut scan.transfers);
    world.apply(&Update::Scan(scan)).unwrap();
    world.mine("ethereum", &[pay("t2", "treasury", "150").from("A")]);
    world.mine("ethereum", &[pay("t4", "A", "500")]);
    world.finalize("ethereum", 4);
    assert_eq!(state(&world, "ethereum", "t2", 0), (OutflowState::Waiting, Some("treasury")));
    assert_eq!(custody(&world, "ethereum"), 600_000_000, "later money does not pay for it");
    world.skip();
    world.mine("ethereum", &[]);
    says(&world.news(), "");
    let chain = chain("ethereum");
    world.apply(&Update::Rescan { chain, transfers: missed, notices: Vec::new() }).unwrap();
    assert_eq!(state(&world, "ethereum", "t2", 0), (OutflowState::Booked, Some("treasury")));
    assert_eq!(custody(&world, "ethereum"), 500_000_000);
}

#[test]
fn the_tokens_fee_for_a_sweep_is_explained_in_either_order_and_bounded() {
    let swept = [("fee", "treasury"), ("treasury", "fee")];
    for (at, (first, second)) in swept.iter().enumerate() {
        let mut world = paid();
        let one = |n: u32, what: &str, fee: &str, net: &str| match what {
            "fee" => pay("t2", "owner", fee).from("A").nth(n),
            _ => pay("t2", "treasury", net).from("A").nth(n),
        };
        world.mine("ethereum", &[one(0, first, "0.20", "99.80"), one(1, second, "0.20", "99.80")]);
        world.finalize("ethereum", 2);
        let fee = u32::try_from(at).unwrap();
        assert_eq!(state(&world, "ethereum", "t2", fee), (OutflowState::Booked, Some("fee")));
        assert_eq!(custody(&world, "ethereum"), 0);
        let lost = world.memory.net(&Asset::Usdt(chain("ethereum")), &Account::Lost);
        assert_eq!(lost, -200_000);
        // One base unit more than 20 parts in 10,000 is nobody's fee.
        let mut world = paid();
        let pays =
            [one(0, first, "0.200001", "99.799999"), one(1, second, "0.200001", "99.799999")];
        world.mine("ethereum", &pays);
        world.finalize("ethereum", 2);
        assert_eq!(state(&world, "ethereum", "t2", fee), (OutflowState::Booked, None));
    }
}

#[test]
fn a_fee_beside_a_theft_is_not_explained() {
    let mut world = paid();
    let fee = pay("t2", "owner", "0.02").from("A");
    world.mine("ethereum", &[fee, pay("t2", "thief", "99.98").from("A").nth(1)]);
    world.finalize("ethereum", 2);
    assert_eq!(state(&world, "ethereum", "t2", 0), (OutflowState::Booked, None));
}

#[test]
fn with_18_decimals_a_sweep_of_the_exact_sum_empties_custody() {
    let mut world = World::new();
    world.open_order("A", |order| order.chain = chain("bsc"));
    let odd = U256::from(1_999_999_999_999_999_999u64);
    let pays = [pay("t1", "A", "0").units(odd), pay("t2", "A", "0").units(odd)];
    world.mine("bsc", &pays);
    world.finalize("bsc", 1);
    assert_eq!(custody(&world, "bsc"), 3_999_998);
    let part = U256::from(1_000_000_000_000_000_001u64);
    world.mine("bsc", &[pay("t3", "treasury", "0").units(part).from("A")]);
    world.finalize("bsc", 2);
    assert_eq!(custody(&world, "bsc"), 2_999_997, "never above what is there, 2.999999…");
    let rest = odd + odd - part;
    world.mine("bsc", &[pay("t4", "treasury", "0").units(rest).from("A")]);
    world.finalize("bsc", 3);
    assert_eq!(custody(&world, "bsc"), 0);
    assert_eq!(state(&world, "bsc", "t4", 0), (OutflowState::Booked, Some("treasury")));
}

#[test]
fn with_18_decimals_what_leaves_in_one_look_is_rounded_each_time() {
    let mut world = World::new();
    world.open_order("A", |order| order.chain = chain("bsc"));
    let (odd, part) =
        (U256::from(4_000_000_999_999_999_999u64), U256::from(1_000_000_000_000_000_001u64));
    world.mine("bsc", &[pay("t1", "A", "0").units(odd)]);
    let leaves = |hash| pay(hash, "treasury", "0").units(part).from("A");
    world.mine("bsc", &[leaves("t2"), leaves("t3"), leaves("t4")]);
    let rest = odd - part - part - part;
    world.mine("bsc", &[pay("t5", "treasury", "0").units(rest).from("A")]);
    world.finalize("bsc", 3);
    assert_eq!(state(&world, "bsc", "t5", 0), (OutflowState::Booked, Some("treasury")));
    assert_eq!(custody(&world, "bsc"), 0);
}

#[test]
fn what_a_reorg_may_take_back_pays_for_nothing_that_left() {
    let mut world = World::new();
    world.finality("bsc", &[(None, Finality::Confirmations(1))]);
    world.open_order("A", |order| order.chain = chain("bsc"));
    // Of 15 the daemon was shown 10, so that the sweep of all waits.
    world.mine("bsc", &[pay("t1", "A", "10")]);
    world.mine_unseen("bsc", 20, &[pay("t2", "A", "5")]);
    let mut scan = world.look("bsc");
    let missed = std::mem::take(&mut scan.transfers);
    world.apply(&Update::Scan(scan)).unwrap();
    world.mine("bsc", &[pay("t3", "treasury", "15").from("A")]);
    // Another takes a millionth more than the books hold of what it moves.
    let odd = U256::from(1_000_000_000_000_000_001u64);
    world.mine("bsc", &[pay("t4", "A", "0").units(odd)]);
    world.mine("bsc", &[pay("t5", "treasury", "0").units(odd).from("A")]);
    world.finalize("bsc", 5);
    assert_eq!(state(&world, "bsc", "t3", 0), (OutflowState::Waiting, Some("treasury")));
    assert_eq!(custody(&world, "bsc"), 9_999_999);
    world.mine("bsc", &[pay("t6", "A", "13")]);
    let chain = chain("bsc");
    world.apply(&Update::Rescan { chain, transfers: missed, notices: Vec::new() }).unwrap();
    world.mine("bsc", &[]);
    assert_eq!(state(&world, "bsc", "t3", 0), (OutflowState::Booked, Some("treasury")));
    assert_eq!(custody(&world, "bsc"), 13_000_000);
    world.fork("bsc", 5);
    world.mine_unseen("bsc", 80, &[]);
    world.mine_unseen("bsc", 90, &[]);
    world.mine_unseen("bsc", 99, &[]);
    world.scan("bsc").unwrap();
    assert_eq!(custody(&world, "bsc"), 0);
}

#[test]
fn a_reorg_takes_an_outflow_back_and_mines_it_again() {
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "treasury", "100").from("A")]);
    world.fork("ethereum", 1);
    world.mine_unseen("ethereum", 20, &[]);
    world.mine_unseen("ethereum", 30, &[]);
    world.skip();
    world.scan("ethereum").unwrap();
    says(&world.news(), "outflow.orphaned A outflow=ethereum:t2:0 amount=100.00");
    world.finalize("ethereum", 3);
    assert_eq!(custody(&world, "ethereum"), 100_000_000);
    world.mine("ethereum", &[pay("t2", "thief", "60").from("A")]);
    world.skip();
    world.finalize("ethereum", 4);
    says(
        &world.news(),
        "sweep:ethereum:t2:0#2: treasury:ethereum -> custody:ethereum:@A 60.00 USDT.ethereum
        case.opened A unexplained_outflow:ethereum:t2:0#2 outflow=ethereum:t2:0 amount=60.00 \
         kind=unexplained_outflow
        outflow.booked A outflow=ethereum:t2:0 amount=60.00 explained=unexplained",
    );
}

#[test]
fn a_pause_keeps_outflows_waiting_with_the_deposits() {
    let mut world = paid();
    let (chain, why) = (chain("ethereum"), "maria: a look".to_owned());
    world.apply(&Update::Pause { chain: chain.clone(), why: why.clone() }).unwrap();
    world.mine("ethereum", &[pay("t3", "A", "50")]);
    world.mine("ethereum", &[pay("t2", "treasury", "150").from("A")]);
    world.finalize("ethereum", 3);
    assert_eq!(state(&world, "ethereum", "t2", 0), (OutflowState::Pending, None));
    world.apply(&Update::Resume { chain, by: "maria".to_owned(), why }).unwrap();
    world.mine("ethereum", &[]);
    assert_eq!(state(&world, "ethereum", "t2", 0), (OutflowState::Booked, Some("treasury")));
    assert_eq!(custody(&world, "ethereum"), 0);
}

#[test]
fn another_transfer_under_a_recorded_name_is_refused() {
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "treasury", "100").from("A")]);
    let mut transfers = world.lines["ethereum"].blocks[2].1.clone();
    transfers[0].to = address("thief");
    let refused =
        world.apply(&Update::Rescan { chain: chain("ethereum"), transfers, notices: Vec::new() });
    let why = refused.unwrap_err().to_string();
    assert!(why.contains("is recorded with another receiver"), "{why}");
}
