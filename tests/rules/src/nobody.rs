//! Money that no order owns: decided about, sent back, taken back.
//!
//! In: transfers to imported addresses. Out: the same decisions as about an order's deposits.
//! Why: what nobody expected is still somebody's.

use payments::Update;
use payments::case::{CaseId, RefundState, Resolution};
use payments::deposit::State;

use super::resolve::{of, refund, refused};
use super::world::{World, address, chain, pay, raw, says};

/// 5 came to the pool in block 1, another 7 in block 2, and both are final.
fn found() -> (World, CaseId) {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    world.mine("ethereum", &[pay("t2", "pool", "7")]);
    world.mine("ethereum", &[]);
    world.all_final("ethereum");
    world.skip();
    (world, of("unassigned", "ethereum", "t2"))
}

/// What became of the two deposits.
fn states(world: &World) -> Vec<&'static str> {
    world.memory.deposits().iter().map(|deposit| deposit.state.word()).collect()
}

/// A second person agrees to what the first one said: no order names an address to refund to.
fn both(world: &mut World, case: &CaseId, resolution: &Resolution) {
    world.says("ann", case, resolution.clone()).unwrap();
    world.says("bob", case, resolution.clone()).unwrap();
}

#[test]
fn it_is_kept_where_nobody_asks_for_it() {
    let (mut world, case) = found();
    world.says("ann", &case, Resolution::Dismiss).unwrap();
    says(
        &world.news(),
        "resolve:unassigned:ethereum:t2:0: suspense:unassigned -> kept 7.00 USDT.ethereum
        case.resolved ethereum:t2:0 unassigned:ethereum:t2:0 kind=unassigned resolution=dismiss \
         amount=7.00 by=ann why=so",
    );
    assert_eq!(states(&world), ["suspended", "dismissed"]);
    let suspended = State::Suspended(payments::case::CaseKind::Unassigned);
    assert_eq!(world.memory.deposits()[0].state, suspended);
}

#[test]
fn it_is_sent_back_and_seen_on_the_chain() {
    let (mut world, case) = found();
    both(&mut world, &case, &refund("back", "0.80"));
    says(
        &world.news(),
        "resolve:unassigned:ethereum:t2:0: suspense:unassigned -> refunds_payable 6.20 USDT.ethereum
        resolve:unassigned:ethereum:t2:0: suspense:unassigned -> fees 0.80 USDT.ethereum
        case.proposed ethereum:t2:0 unassigned:ethereum:t2:0 kind=unassigned resolution=refund \
         amount=7.00 by=ann why=so to=@back fee=0.80
        case.resolved ethereum:t2:0 unassigned:ethereum:t2:0 kind=unassigned resolution=refund \
         amount=7.00 by=bob why=so to=@back fee=0.80
        refund.requested ethereum:t2:0 unassigned:ethereum:t2:0 to=@back amount=6.20 fee=0.80",
    );
    assert_eq!(states(&world), ["suspended", "refunding"]);
    world.sent(&case, "t3").unwrap();
    world.seen(&case, ("t3", 3), |mined| mined.transfers[0].raw = raw("6.20")).unwrap();
    says(
        &world.news(),
        "refund:unassigned:ethereum:t2:0: refunds_payable -> treasury:ethereum 6.20 USDT.ethereum
        refund.sent ethereum:t2:0 unassigned:ethereum:t2:0 tx=t3 to=@back amount=6.20 fee=0.80 \
         by=ann
        refund.verified ethereum:t2:0 unassigned:ethereum:t2:0 tx=t3 to=@back amount=6.20 fee=0.80 \
         height=3",
    );
    assert_eq!(states(&world), ["suspended", "refunded"]);
    assert_eq!(world.standing(&case), RefundState::Verified);
}

#[test]
fn nothing_is_sent_back_that_was_taken_away() {
    let (mut world, case) = found();
    both(&mut world, &case, &refund("back", "0.80"));
    let mut requested = found().0;
    both(&mut requested, &case, &refund("back", "0.80"));
    requested.lose("ethereum", 1);
    refused(requested.sent(&case, "t3"), "has no deposit any more");
    // Sent before that was known, and final on the branch that is followed now.
    world.sent(&case, "t3").unwrap();
    world.lose("ethereum", 1);
    assert_eq!(states(&world), ["suspended", "orphaned"]);
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 3);
    let paid = world.seen(&case, ("t3", 3), |mined| mined.transfers[0].raw = raw("6.20"));
    assert_eq!(paid.unwrap().journals, []);
    assert_eq!(world.standing(&case), RefundState::Failed);
    refused(world.sent(&case, "t4"), "has no deposit any more");
}

#[test]
fn of_several_cases_only_that_of_the_lost_deposit_ends() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("bsc", &[pay("t3", "pool", "9")]);
    world.mine("bsc", &[pay("t3", "pool", "9").nth(1)]);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    world.mine("ethereum", &[pay("t2", "pool", "7")]);
    world.skip();
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(
        &world.news(),
        "reverse:deposit:ethereum:t2:0: \
         suspense:unassigned -> custody:ethereum:@pool 7.00 USDT.ethereum
        deposit.orphaned ethereum:t2:0 height=2
        case.resolved ethereum:t2:0 unassigned:ethereum:t2:0 kind=unassigned \
         why=its deposit is no longer part of the chain",
    );
    // A second reorg does not take back what is gone.
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    says(&world.news(), "");
    let open = world.memory.cases().iter().filter(|case| case.decision.is_none());
    assert_eq!(open.count(), 3);
}

#[test]
fn mined_again_and_taken_back_again_it_is_reversed_once_each_time() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    for round in ["", "#2", "#3"] {
        world.skip();
        world.fork("ethereum", 0);
        world.mine("ethereum", &[]);
        let news = world.news();
        assert!(news.starts_with(&format!("reverse:deposit:ethereum:t1:0{round}: ")), "{news}");
        assert_eq!(news.matches("reverse:").count(), 1, "{news}");
        assert_eq!(world.balances(), "");
        world.fork("ethereum", 0);
        world.mine("ethereum", &[pay("t1", "pool", "5")]);
    }
}

#[test]
fn a_decided_case_stays_decided_when_its_deposit_is_lost() {
    let (mut world, case) = found();
    world.says("ann", &case, Resolution::Dismiss).unwrap();
    world.lose("ethereum", 1);
    let decided =
        world.memory.cases().iter().find(|known| known.id == case).unwrap().decision.clone();
    assert_eq!(decided.unwrap().by, "ann");
    let news = world.news();
    assert!(news.contains("reverse:resolve:unassigned:ethereum:t2:0: kept -> suspense:unassigned"));
    assert!(!news.contains("why=its deposit is no longer part of the chain"), "{news}");
    let again =
        Update::Rescan { chain: chain("ethereum"), transfers: Vec::new(), notices: Vec::new() };
    assert!(world.apply(&again).unwrap().is_empty());
}
