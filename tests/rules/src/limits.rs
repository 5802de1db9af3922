//! Decisions at the very edge of what they may do.
//!
//! In: amounts exactly at a limit and a millionth beside it, blocks final up to there. Out: what is
//! decided, proposed or refused. Why: the edge is where two readings of a rule part.

use payments::case::Resolution;
use payments::order::Order;
use ruint::aliases::U256;

use super::resolve::{of, refund, refused};
use super::world::{LOOKALIKE, World, address, chain, id, pay, says, seconds, usdt};

#[test]
fn exactly_the_bound_needs_nobody_else() {
    for (bound, decided) in [("100", true), ("99.999999", false)] {
        let (mut world, case) = World::paid_twice();
        let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
        rules.bounds.two_person_above = Some(usdt(bound));
        world.says("ann", &case, Resolution::Dismiss).unwrap();
        assert_eq!(world.state("A").contains("dismissed"), decided, "{bound}");
    }
}

#[test]
fn who_took_it_does_not_say_alone_what_it_was() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "A", "100"), pay("t2", "pool", "30")]);
    let left = [pay("t3", "thief", "10").from("A"), pay("t4", "thief", "20").from("pool")];
    world.mine("ethereum", &left);
    world.all_final("ethereum");
    for (subject, bound) in [("t3", "9.999999"), ("t4", "19.999999")] {
        let case = of("unexplained_outflow", "ethereum", subject);
        let mut says = |by| {
            let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
            rules.bounds.two_person_above = Some(usdt(bound));
            let changes = world.says(by, &case, Resolution::Dismiss).unwrap();
            let case = changes.cases.into_iter().find(|known| known.id == case);
            case.map(|case| (case.steps.len(), case.decision.is_some()))
        };
        assert_eq!(says("ann"), Some((1, false)), "{subject}");
        assert_eq!(says("ann"), None, "{subject}");
        assert_eq!(says("bob"), Some((1, true)), "{subject}");
    }
    // At the bound one person is enough.
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t3", "thief", "10").from("A")]);
    world.all_final("ethereum");
    world.rules.get_mut(&chain("ethereum")).unwrap().bounds.two_person_above = Some(usdt("10"));
    let case = of("unexplained_outflow", "ethereum", "t3");
    let changes = world.says("ann", &case, Resolution::Dismiss).unwrap();
    assert!(changes.cases[0].decision.is_some());
}

#[test]
fn a_decision_about_an_order_leaves_the_cursor_of_its_chain_alone() {
    let (mut world, case) = World::paid_twice();
    // The order has a version, and a look at its chain need not be planned again.
    let changes = world.says("ann", &case, Resolution::Dismiss).unwrap();
    assert_eq!((changes.touched.len(), changes.cursor), (1, None));
    // A case of no order has none: a look that runs beside it must notice.
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    world.all_final("ethereum");
    let found = of("unassigned", "ethereum", "t1");
    let changes = world.says("ann", &found, Resolution::Dismiss).unwrap();
    assert_eq!((changes.touched.len(), changes.cursor.is_some()), (0, true));
}

#[test]
fn less_than_a_millionth_of_nobody_s_can_only_be_dismissed() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("bsc", &[pay("t1", "pool", "0").units(U256::ONE)]);
    world.all_final("bsc");
    let found = of("unassigned", "bsc", "t1");
    let words = "cannot be resolved by refund: it holds nothing; what fits is dismiss";
    refused(world.says("ann", &found, refund("back", "0")), words);
    world.says("ann", &found, Resolution::Dismiss).unwrap();
}

#[test]
fn a_decision_waits_for_its_own_deposits_and_for_no_others() {
    // Another token in a final block, the order's own payment credited above it and not final.
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "5").of(LOOKALIKE)]);
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    world.finalize("ethereum", 1);
    let case = world.memory.cases()[0].id.clone();
    world.says("ann", &case, Resolution::Dismiss).unwrap();
    // An excess in a final block, a second payment above it that waits for a person.
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "130")]);
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    world.finalize("ethereum", 1);
    world.says("ann", &of("overpaid", "ethereum", "t1"), Resolution::Dismiss).unwrap();
    refused(
        world.says("ann", &of("duplicate", "ethereum", "t2"), Resolution::Dismiss),
        "can be decided once block 2 of ethereum is final",
    );
}

#[test]
fn an_excess_waits_for_what_was_mined_again_above_it() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine("ethereum", &[pay("t2", "A", "70")]);
    world.fork("ethereum", 0);
    // The other way round: what made it an excess is now the lower one.
    for pays in [vec![pay("t2", "A", "70")], vec![], vec![pay("t1", "A", "60")]] {
        world.mine_unseen("ethereum", 40, &pays);
    }
    world.scan("ethereum").unwrap();
    let open = world
        .memory
        .cases()
        .iter()
        .find(|case| case.decision.is_none() && case.amount == usdt("30"));
    let case = open.unwrap().id.clone();
    world.finalize("ethereum", 2);
    refused(world.says("ann", &case, Resolution::Dismiss), "once block 3 of ethereum is final");
    world.finalize("ethereum", 3);
    world.says("ann", &case, Resolution::Dismiss).unwrap();
}

#[test]
fn exactly_the_dust_limit_counts_for_another_order() {
    let (mut world, case) = World::paid_twice();
    world.order("B", |order| {
        order.due = Some(usdt("300"));
        order.terms.dust = usdt("100");
    });
    world.says("ann", &case, Resolution::Reassign(id("B"))).unwrap();
    assert!(world.state("B").starts_with("partially_paid"));
}

/// Order A, long over, to which so much came late.
fn late(amount: &str, change: impl FnOnce(&mut Order)) -> World {
    let mut world = World::new();
    world.order("A", change);
    world.mine_at("ethereum", 1_600, &[]);
    world.all_final("ethereum");
    world.mine_at("ethereum", 1_700, &[pay("t1", "A", amount)]);
    world.all_final("ethereum");
    world.skip();
    world
}

#[test]
fn within_the_tolerance_a_decision_grants_what_was_agreed() {
    for (amount, credits) in
        [("99.90", "10000"), ("100", "10000"), ("100.10", "10000"), ("100.11", "10011")]
    {
        let mut world = late(amount, |_| {});
        world.says("ann", &of("late", "ethereum", "t1"), Resolution::Credit).unwrap();
        let news = world.news();
        let granted = format!("credits.granted A customer=acme credits={credits}\n");
        assert!(format!("{news}\n").contains(&granted), "{amount}: {news}");
        assert!(world.balances().contains("USDT.ethereum sales"), "all of it is sold");
    }
}

#[test]
fn reassigned_it_is_late_by_the_terms_of_the_other_order() {
    for (expiry, state) in [(29, "confirmed late"), (30, "confirmed")] {
        let (mut world, case) = World::paid_twice();
        world.order("B", |order| {
            order.due = Some(usdt("300"));
            (order.created_at, order.expires_at) = (seconds(5), Some(seconds(expiry)));
        });
        world.says("ann", &case, Resolution::Reassign(id("B"))).unwrap();
        says(&world.state("B"), &format!("partially_paid\n ethereum:t2:0 100.00 {state}"));
    }
}
