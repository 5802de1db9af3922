//! Another branch, because a person says so.
//!
//! In: a chain paused for a reorg that went too deep. Out: what was booked on the lost branch taken
//! back, finality fallen to the fork, and the new branch followed.
//! Why: the one case in which what was final is not, and nobody's word but a person's is enough.

use payments::adopt::Adoption;
use payments::case::{CaseId, Resolution};
use payments::chain::{ConnectError, Header};
use payments::{PlanError, Update};

use super::resolve::{case, of, refund};
use super::world::{World, chain, id, pay, says, tx, usdt};

/// Order A paid and credited at height 2 of five final blocks, B paid in part at height 3.
fn lost() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.order("B", |_| {});
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t2", "B", "60")]);
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 4);
    world.fork("ethereum", 1);
    world.mine_unseen("ethereum", 90, &[]);
    world.mine_unseen("ethereum", 100, &[pay("t2", "B", "60"), pay("t3", "B", "40")]);
    world.mine_unseen("ethereum", 110, &[]);
    world.mine_unseen("ethereum", 120, &[]);
    world.lines.get_mut("ethereum").unwrap().finalized = 3;
    world
}

fn pause(world: &mut World) {
    let (chain, why) = (chain("ethereum"), "below what was final".to_owned());
    world.apply(&Update::Pause { chain, why }).unwrap();
    world.skip();
}

impl World {
    /// The branch above `height` is lost, though it was final: a person says which one is followed.
    pub(super) fn lose(&mut self, name: &'static str, height: u64) {
        self.fork(name, height);
        let second = self.now / 1000 + 10;
        self.mine_unseen(name, second, &[]);
        let (of, why) = (chain(name), "below what was final".to_owned());
        self.apply(&Update::Pause { chain: of, why }).unwrap();
        let update = adoption(self, name, height, height + 1);
        self.apply(&update).unwrap();
    }
}

fn adoption(world: &World, name: &str, base: u64, named: u64) -> Update {
    let header = |at: u64| -> Header { world.lines[name].blocks[usize::try_from(at).unwrap()].0 };
    let (by, why) = ("maria".to_owned(), "three explorers show it".to_owned());
    let (base, named) = (header(base), header(named).id);
    let refunds = Vec::new();
    Update::Adopt(Adoption { chain: chain(name), base, named, by, why, refunds })
}

#[test]
fn the_lost_branch_is_taken_back_and_the_new_one_followed() {
    let mut world = lost();
    let look = world.look_from("ethereum", Some(world.lines["ethereum"].blocks[1].0.id));
    let refused = world.apply(&Update::Scan(look)).unwrap_err();
    assert!(
        matches!(
            refused,
            PlanError::Connect(ConnectError::CannotConnect { .. })
                | PlanError::Connect(ConnectError::BelowFinalized { .. })
        ),
        "{refused:?}"
    );
    pause(&mut world);
    let adopt = adoption(&world, "ethereum", 1, 4);
    let changes = world.apply(&adopt).unwrap();
    let orphaned = changes.cursor.unwrap().orphaned;
    let heights: Vec<u64> = orphaned.iter().map(|header| header.id.height).collect();
    assert_eq!(heights, [4, 5], "of those recorded: below the finalized one none is kept");
    let told = world.news();
    for line in [
        "reverse:paid:A: customer:acme -> issued 10000.00 CREDIT",
        "reverse:deposit:ethereum:t1:0: order:A -> custody:ethereum:@A 100.00 USDT.ethereum",
        "deposit.orphaned A ethereum:t1:0 height=2",
        "case.opened A ethereum:t1:0 reversed_after_credit:A kind=reversed_after_credit \
         amount=0.00",
        "reverse:deposit:ethereum:t2:0: order:B -> custody:ethereum:@B 60.00 USDT.ethereum",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    assert!(told.contains("chain.recovered why=maria: three explorers show it adopted=4:0x"));
    assert!(told.contains(" fork=2 lost_finalized=4:0x"), "{told}");
    says(&world.balances(), "");
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert_eq!((cursor.paused.clone(), cursor.finalized.unwrap().height), (None, 1));
    assert_eq!(cursor.kept.len(), 1);
    world.scan("ethereum").unwrap();
    says(&world.state("B"), "paid\n ethereum:t2:0 60.00 credited\n ethereum:t3:0 40.00 credited");
    says(
        &world.state("A"),
        "awaiting_payment
        ethereum:t1:0 100.00 reversed
        case reversed_after_credit:A 0.00: open",
    );
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert_eq!(cursor.finalized.unwrap().height, 3);
}

/// What was seen on the lost branch pays nobody on the new one by itself: a person is told.
#[test]
fn the_refunds_seen_above_the_base_are_named() {
    let mut world = lost();
    pause(&mut world);
    let Update::Adopt(adoption) = adoption(&world, "ethereum", 1, 4) else { unreachable!() };
    let refunds: Vec<CaseId> = (0..30).map(|n| CaseId(format!("late:{n}"))).collect();
    world.apply(&Update::Adopt(Adoption { refunds, ..adoption })).unwrap();
    let told = world.news();
    assert!(told.contains(" refunds=late:0 late:1 ") && told.contains(" late:19 "), "{told}");
    assert!(told.contains(" refunds_above=30") && !told.contains("late:20"), "{told}");
}

#[test]
fn nothing_else_lets_finality_fall() {
    let mut world = lost();
    let not_paused = world.apply(&adoption(&world, "ethereum", 1, 4)).unwrap_err();
    assert_eq!(not_paused, PlanError::NotPaused(chain("ethereum")));
    pause(&mut world);
    // A base that is not the recorded block of its height.
    let wrong = world.apply(&adoption(&world, "ethereum", 4, 5)).unwrap_err();
    assert_eq!(wrong, PlanError::Connect(ConnectError::CannotConnect { try_height: 3 }));
    // A block that is not above the base; a base above all that is recorded.
    for (base, named) in [(1, 1), (1, 0)] {
        let no_branch = world.apply(&adoption(&world, "ethereum", base, named)).unwrap_err();
        assert_eq!(no_branch, PlanError::NoBranch { chain: chain("ethereum"), height: base });
    }
    let moon = Update::Adopt(match adoption(&world, "ethereum", 1, 4) {
        Update::Adopt(adoption) => Adoption { chain: chain("moon"), ..adoption },
        other => panic!("{other:?}"),
    });
    assert_eq!(world.apply(&moon).unwrap_err(), PlanError::UnknownChain(chain("moon")));
    // A resume without it ends the pause and nothing more.
    let (by, why) = ("maria".to_owned(), "again".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert_eq!((cursor.paused.clone(), cursor.finalized.unwrap().height), (None, 4));
    says(&world.state("A"), "paid\n ethereum:t1:0 100.00 credited");
}

#[test]
fn a_reorg_deeper_than_the_bound_leaves_finality_where_it_is() {
    let mut world = World::new();
    world.order("A", |_| {});
    for _ in 0..3 {
        world.mine("ethereum", &[]);
    }
    world.finalize("ethereum", 2);
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    for _ in 0..9 {
        world.mine("ethereum", &[]);
    }
    world.fork("ethereum", 3);
    for second in 200..212 {
        world.mine_unseen("ethereum", second, &[]);
    }
    let look = world.look_from("ethereum", Some(world.lines["ethereum"].blocks[3].0.id));
    let refused = world.apply(&Update::Scan(look)).unwrap_err();
    assert_eq!(refused, PlanError::Connect(ConnectError::TooDeep { depth: 10, bound: 8 }));
    pause(&mut world);
    let adopt = adoption(&world, "ethereum", 3, 10);
    let changes = world.apply(&adopt).unwrap();
    let orphaned = changes.cursor.unwrap().orphaned;
    let heights = orphaned.iter().map(|header| header.id.height);
    assert_eq!(heights.collect::<Vec<_>>(), (4..14).collect::<Vec<_>>(), "the base stays");
    assert!(!world.news().contains("lost_finalized"));
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert_eq!((cursor.finalized.unwrap().height, cursor.kept.len()), (2, 2));
    world.scan("ethereum").unwrap();
    assert!(world.state("A").starts_with("awaiting_payment\n"));
}

#[test]
fn a_fork_right_above_the_finalized_block_loses_nothing_final() {
    let mut world = World::new();
    for _ in 0..5 {
        world.mine("ethereum", &[]);
    }
    world.finalize("ethereum", 4);
    // The finalized block itself is what both branches stand on.
    world.lose("ethereum", 4);
    assert!(!world.news().contains("lost_finalized"));
}

/// A decision about a deposit of the lost branch: what it booked is taken back with it, the case
/// keeps it as a fact, and the deposit, mined again, is judged anew.
#[test]
fn what_a_person_decided_goes_with_its_deposit() {
    let decisions = [
        Resolution::Credit,
        Resolution::Dismiss,
        refund("back", "0.80"),
        Resolution::Reassign(id("B")),
    ];
    for resolution in decisions {
        let (mut world, case) = World::paid_twice();
        world.order("B", |_| {});
        world.says("ann", &case, resolution.clone()).unwrap();
        let word = resolution.word();
        world.fork("ethereum", 1);
        world.mine_unseen("ethereum", 90, &[]);
        world.mine_unseen("ethereum", 100, &[]);
        pause(&mut world);
        world.apply(&adoption(&world, "ethereum", 1, 3)).unwrap();
        assert!(!world.balances().contains("order:B"), "{word}: {}", world.balances());
        assert!(!world.balances().contains("suspense"), "{word}: {}", world.balances());
        let treasury = "USDT.ethereum sales 100000000";
        assert!(world.balances().contains(treasury), "{word}: {}", world.balances());
        let decided = world.memory.cases().iter().find(|known| known.id == case).unwrap();
        assert_eq!(decided.decision.as_ref().unwrap().resolution, resolution, "a fact it stays");
        world.scan("ethereum").unwrap();
        world.mine("ethereum", &[pay("t2", "A", "100")]);
        assert!(world.state("A").contains("t2:0 100.00 suspended duplicate"), "{word}");
        let again = of("duplicate", "ethereum", "t2").0 + "#2";
        assert!(world.memory.cases().iter().any(|known| known.id.0 == again), "{word}");
    }
}

/// Order A is covered by what was missed at first and lies below; its excess counts for B. Then the
/// other part, above, is gone: B keeps what a person gave it, and A has the rest.
pub(super) fn given_away() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.order("B", |_| {});
    world.mine_unseen("ethereum", 10, &[pay("t2", "A", "80")]);
    let mut scan = world.look("ethereum");
    let transfers = std::mem::take(&mut scan.transfers);
    world.apply(&Update::Scan(scan)).unwrap();
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 3);
    let (on, notices) = (chain("ethereum"), Vec::new());
    world.apply(&Update::Rescan { chain: on, transfers, notices }).unwrap();
    let excess = of("overpaid", "ethereum", "t2");
    world.says("ann", &excess, Resolution::Reassign(id("B"))).unwrap();
    world.mine("ethereum", &[pay("t3", "B", "60")]);
    assert!(world.state("B").starts_with("paid"));
    world.fork("ethereum", 1);
    for second in [90, 100, 110, 120] {
        world.mine_unseen("ethereum", second, &[]);
    }
    pause(&mut world);
    world.apply(&adoption(&world, "ethereum", 1, 5)).unwrap();
    world.scan("ethereum").unwrap();
    world
}

#[test]
fn an_excess_that_was_given_away_stays_where_what_it_exceeded_is_gone() {
    let mut world = given_away();
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@A -80000000
        USDT.ethereum order:A 40000000
        USDT.ethereum order:B 40000000",
    );
    assert!(world.state("A").starts_with("partially_paid"), "{}", world.state("A"));
    // Mined again, it pays the order, and there is no excess any more.
    world.mine("ethereum", &[pay("t1", "A", "60"), pay("t3", "B", "60")]);
    for order in ["A", "B"] {
        assert!(world.state(order).starts_with("paid"), "{}", world.state(order));
    }
    assert!(!world.balances().contains("suspense"), "{}", world.balances());
    assert!(world.balances().contains("USDT.ethereum sales 200000000"));
}

#[test]
fn what_is_left_of_it_is_what_the_order_can_hold_or_give_back() {
    let mut world = given_away();
    world.mine_at("ethereum", 1_100, &[]);
    world.mine_at("ethereum", 1_110, &[]);
    world.all_final("ethereum");
    let held = "USDT.ethereum suspense:underpaid 80000000";
    assert!(world.balances().contains(held), "40 of A and 40 of B: {}", world.balances());
    world.says("ann", &case("underpaid", "A"), Resolution::Dismiss).unwrap();
    assert!(world.balances().contains("USDT.ethereum kept 40000000"), "{}", world.balances());
}

/// What a decision pays is on another chain; what else had counted is held without what was given.
#[test]
fn what_is_left_of_it_is_a_duplicate_where_a_decision_pays() {
    let mut world = given_away();
    world.mine("bsc", &[pay("t4", "A", "100")]);
    world.all_final("bsc");
    world.says("ann", &of("wrong_network", "bsc", "t4"), Resolution::Credit).unwrap();
    assert!(world.state("A").starts_with("paid"), "{}", world.state("A"));
    let held = "USDT.ethereum suspense:duplicate 40000000";
    assert!(world.balances().contains(held), "{}", world.balances());
    world.all_final("ethereum");
    world.says("ann", &of("duplicate", "ethereum", "t2"), Resolution::Dismiss).unwrap();
    assert!(world.balances().contains("USDT.ethereum kept 40000000"), "{}", world.balances());
}

/// As in `given_away`, but that A has 5 more below; then what is left of the 80 is gone too.
#[test]
fn a_case_loses_with_a_deposit_what_it_held_of_it() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.order("B", |_| {});
    world.mine("ethereum", &[pay("t4", "A", "5")]);
    world.mine_unseen("ethereum", 20, &[pay("t2", "A", "80")]);
    let mut scan = world.look("ethereum");
    let transfers = std::mem::take(&mut scan.transfers);
    world.apply(&Update::Scan(scan)).unwrap();
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.finalize("ethereum", 3);
    let (on, notices) = (chain("ethereum"), Vec::new());
    world.apply(&Update::Rescan { chain: on, transfers, notices }).unwrap();
    let excess = of("overpaid", "ethereum", "t2");
    world.says("ann", &excess, Resolution::Reassign(id("B"))).unwrap();
    world.lose("ethereum", 2);
    world.mine_at("ethereum", 1_100, &[]);
    world.mine_at("ethereum", 1_110, &[]);
    world.all_final("ethereum");
    assert!(world.state("A").contains("case underpaid:A 40.00: open"), "{}", world.state("A"));
    world.lose("ethereum", 1);
    assert!(world.state("A").contains("case underpaid:A 5.00: open"), "{}", world.state("A"));
    world.says("ann", &case("underpaid", "A"), Resolution::Dismiss).unwrap();
    assert!(world.balances().contains("USDT.ethereum kept 5000000"), "{}", world.balances());
}

/// B was covered by 60 of its own and by 100 that a person counted for it, and another counted the
/// 60 above its due for C. Then B loses its own, is covered by another 80, and loses that too.
#[test]
fn what_was_given_on_stays_while_what_it_exceeded_comes_and_goes() {
    let (mut world, duplicate) = World::paid_twice();
    world.order("B", |_| {});
    world.order("C", |order| order.due = Some(usdt("75")));
    world.mine("ethereum", &[pay("t3", "B", "60")]);
    world.all_final("ethereum");
    world.says("ann", &duplicate, Resolution::Reassign(id("B"))).unwrap();
    let excess = case("overpaid", &format!("ethereum:{}:0@B", tx("t2")));
    world.says("ann", &excess, Resolution::Reassign(id("C"))).unwrap();
    world.lose("ethereum", 2);
    world.mine("ethereum", &[pay("t4", "B", "80")]);
    assert!(world.balances().contains("USDT.ethereum suspense:overpaid 20000000"));
    world.fork("ethereum", 3);
    world.mine("ethereum", &[]);
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@A -200000000
        USDT.ethereum order:B 40000000
        USDT.ethereum order:C 60000000
        USDT.ethereum sales 100000000
        CREDIT issued -10000000000
        CREDIT customer:acme 10000000000",
    );
}
