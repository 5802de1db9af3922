//! What one hour may bring before a person looks.
//!
//! In: more than the ceiling, and floods of other tokens. Out: what fits, a pause or a count, told
//! once. Why: a breaker that lets one commit through too much is none.

use payments::Update;
use payments::changes::Finality;
use payments::event::EventKind;
use payments::order::Policy;
use ruint::aliases::U256;

use super::world::{LOOKALIKE, Pay, World, chain, id, pay, says, seconds, usdt};

/// A ceiling of `text` USDT an hour on Ethereum.
fn ceiling(world: &mut World, text: &str) {
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    rules.bounds.hourly_credits = Some(usdt(text));
}

fn resume(world: &mut World) {
    let (by, why) = ("maria".to_owned(), "all good".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
    world.scan("ethereum").unwrap();
}

fn paused(world: &World) -> Option<String> {
    world.memory.cursor(&chain("ethereum")).unwrap().paused.clone()
}

fn credited(world: &World) -> String {
    let status = |name: &&str| world.memory.dossier(&id(name)).unwrap().paid.is_some();
    ["A", "B", "C"].iter().filter(|name| status(name)).copied().collect()
}

/// Three orders for 100 each, paid in one block as C, A, B.
fn three(limit: &str) -> World {
    let mut world = World::new();
    ceiling(&mut world, limit);
    for name in ["A", "B", "C"] {
        world.order(name, |_| {});
    }
    world.skip();
    let pays = [pay("t1", "C", "100"), pay("t2", "A", "100"), pay("t3", "B", "100")];
    world.mine("ethereum", &pays);
    world
}

#[test]
fn what_fits_is_credited_in_the_order_of_the_chain() {
    for (limit, expected) in
        [("99.999999", ""), ("100", "C"), ("199.99", "C"), ("200", "AC"), ("300", "ABC")]
    {
        let world = three(limit);
        assert_eq!(credited(&world), expected, "{limit}");
        assert_eq!(paused(&world).is_some(), limit != "300", "{limit}");
    }
    let mut world = three("250");
    let told = world.news();
    let why = "chain.paused why=hourly credit ceiling: 200.00 USDT were credited within the last \
               hour, 100.00 more would exceed 250.00";
    assert_eq!(told.lines().filter(|line| *line == why).count(), 1, "{told}");
    says(&world.state("B"), "confirming\n ethereum:t3:0 100.00 pending");
    // Blocks go on being read, it is told once, and nothing is lost.
    world.mine("ethereum", &[]);
    assert_eq!(world.news(), "");
    resume(&mut world);
    assert_eq!(credited(&world), "ABC");
    assert_eq!(paused(&world), None);
}

#[test]
fn an_hour_passes_and_a_resume_begins_a_fresh_one() {
    let mut world = World::new();
    ceiling(&mut world, "150");
    for name in ["A", "B", "C"] {
        world.order(name, |order| order.expires_at = None);
    }
    world.mine_at("ethereum", 60, &[pay("t1", "A", "100")]);
    // The minute it was recorded in counts until all of it is an hour old.
    world.mine_at("ethereum", 60 + 3601, &[pay("t2", "B", "100")]);
    assert_eq!(credited(&world), "A");
    resume(&mut world);
    assert_eq!(credited(&world), "AB");
    world.mine_at("ethereum", 60 + 3601 + 3660, &[pay("t3", "C", "100")]);
    assert_eq!(credited(&world), "ABC");
    assert_eq!(paused(&world), None);
}

#[test]
fn a_credit_above_the_ceiling_itself_needs_a_higher_one() {
    let mut world = three("60");
    let why = paused(&world).unwrap();
    assert!(why.ends_with("60.00 by itself; only a higher hourly_credit_ceiling lets it pass"));
    resume(&mut world);
    assert_eq!((credited(&world).as_str(), paused(&world).is_some()), ("", true));
    ceiling(&mut world, "300");
    resume(&mut world);
    assert_eq!(credited(&world), "ABC");
}

#[test]
fn a_credit_of_exactly_the_ceiling_passes_in_a_fresh_hour() {
    let mut world = three("100");
    let why = paused(&world).unwrap();
    assert!(why.ends_with("within the last hour, 100.00 more would exceed 100.00"), "{why}");
    resume(&mut world);
    assert_eq!(credited(&world), "AC");
}

#[test]
fn a_full_hour_does_not_hold_up_what_a_reorg_left_on_a_paused_chain() {
    let mut world = World::new();
    ceiling(&mut world, "100");
    world.finality("ethereum", &[(None, Finality::Confirmations(2))]);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine("ethereum", &[]);
    assert_eq!(paused(&world), None);
    let (of, why) = (chain("ethereum"), "the node lies".to_owned());
    world.apply(&Update::Pause { chain: of, why }).unwrap();
    world.skip();
    // The 60 above the 100 are gone, and the 100 cover the order by themselves.
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    let told = world.news();
    assert!(told.contains("paid:A#2: order:A -> sales 100.00"), "{told}");
    assert!(!told.contains("chain.paused"), "{told}");
    assert_eq!(paused(&world).unwrap(), "the node lies");
}

#[test]
fn only_what_is_credited_counts() {
    let mut world = World::new();
    ceiling(&mut world, "100");
    for name in ["A", "B", "C"] {
        world.order(name, |order| {
            order.expires_at = None;
            order.terms.overpaid = if name == "B" { Policy::Credit } else { Policy::Hold };
        });
    }
    // An excess that is held, a part of an order and a duplicate are not credits.
    let pays = [pay("t1", "A", "500"), pay("t2", "C", "60"), pay("t3", "A", "70")];
    world.mine("ethereum", &pays);
    assert_eq!((credited(&world).as_str(), paused(&world)), ("A", None));
    resume(&mut world);
    assert_eq!(paused(&world), None);
    // An excess that is credited is one.
    world.mine_at("ethereum", 3700, &[pay("t4", "B", "100.20")]);
    assert!(paused(&world).is_some());
}

#[test]
fn open_orders_late_credits_and_cancelling_count_too() {
    let mut world = World::new();
    ceiling(&mut world, "100");
    world.open_order("A", |order| order.expires_at = None);
    world.order("B", |order| order.terms.underpaid = Policy::Credit);
    world.order("C", |order| order.terms.underpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "70"), pay("t2", "B", "40"), pay("t3", "C", "20")]);
    assert_eq!(paused(&world), None);
    // Cancelled, what arrived for B would be credited: too much, so it waits for a person.
    world.apply(&Update::Cancel(id("B"))).unwrap();
    says(
        &world.state("B"),
        "cancelled\n ethereum:t2:0 40.00 suspended underpaid\n case underpaid:B 40.00: open",
    );
    world.apply(&Update::Cancel(id("C"))).unwrap();
    assert_eq!(credited(&world), "AC");
    world.mine("ethereum", &[pay("t4", "A", "10")]);
    assert_eq!(paused(&world), None);
    world.mine("ethereum", &[pay("t5", "A", "0.10")]);
    assert!(paused(&world).is_some());
}

#[test]
fn an_expiry_that_would_credit_too_much_waits() {
    let mut world = World::new();
    ceiling(&mut world, "50");
    world.order("A", |order| order.terms.underpaid = Policy::Credit);
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine_at("ethereum", 1001, &[]);
    world.skip();
    world.finalize("ethereum", 2);
    assert!(world.news().starts_with("chain.paused why=hourly credit ceiling: 0.00 USDT"));
    says(&world.state("A"), "partially_paid\n ethereum:t1:0 60.00 confirmed");
    ceiling(&mut world, "60");
    resume(&mut world);
    says(&world.state("A"), "paid\n ethereum:t1:0 60.00 credited");
}

#[test]
fn a_reorg_below_a_full_hour_still_reverses() {
    let mut world = three("200");
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    assert_eq!(credited(&world), "");
    assert!(world.balances().is_empty());
    assert!(paused(&world).is_some());
}

/// A look-alike's transfer as the `n`-th of transaction t1.
fn other(n: u32, to: &str) -> Pay {
    pay("t1", to, "100").of(LOOKALIKE).nth(n)
}

#[test]
fn a_flood_of_another_token_is_counted_and_told_once() {
    let mut world = World::new();
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    (rules.bounds.others_per_order, rules.bounds.others_per_hour) = (3, 5);
    for name in ["A", "B", "C"] {
        world.order(name, |_| {});
    }
    world.skip();
    let flood: Vec<Pay> = (0..1000).map(|n| other(n, "A").units(U256::MAX)).collect();
    world.mine("ethereum", &flood);
    let told = world.news();
    assert!(told.contains(
        "chain.flooded unrecorded=997 why=transfers of other tokens beyond 3 an order or 5 an \
         hour are counted, not recorded"
    ));
    let of = |world: &World, name| world.memory.dossier(&id(name)).unwrap().deposits.len();
    assert_eq!(of(&world, "A"), 3);
    assert_eq!(world.memory.cases().len(), 3);
    assert_eq!(world.balances(), "");
    // The bound of the chain: two more in this hour, whoever gets them. Not told again.
    let flood: Vec<Pay> = (2000..3000).map(|n| other(n, "B")).collect();
    world.mine("ethereum", &flood);
    assert_eq!(of(&world, "B"), 2);
    let flooded = |world: &World| {
        let events = world.memory.events().iter();
        events.filter(|event| event.kind == EventKind::ChainFlooded).count()
    };
    assert_eq!(flooded(&world), 1);
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert_eq!(cursor.recent.unrecorded.sum(payments::time::Time(world.now)), 997 + 998);
    // Real money is neither counted nor held up by it.
    let mut pays: Vec<Pay> = (4000..5000).map(|n| other(n, "C")).collect();
    pays.insert(500, pay("t2", "C", "100"));
    world.mine("ethereum", &pays);
    says(&world.state("C"), "paid\n ethereum:t2:0 100.00 credited");
    // An hour later there is room again, for those orders that have some.
    let flood: Vec<Pay> = (6000..7000).map(|n| other(n, "B")).collect();
    world.mine_at("ethereum", 3800, &flood);
    assert_eq!((of(&world, "A"), of(&world, "B")), (3, 3));
    assert_eq!(flooded(&world), 2);
}

#[test]
fn what_is_recorded_is_found_again_however_full_it_is() {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Confirmations(2))]);
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    rules.bounds.others_per_order = 1;
    world.order("A", |_| {});
    world.mine("ethereum", &[other(0, "A"), other(1, "A")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[other(1, "A"), other(0, "A")]);
    says(&world.state("A"), "awaiting_payment\n ethereum:t1:0:lookalike 0.00 pending");
    world.mine_at("ethereum", 1002, &[]);
    world.finalize("ethereum", 3);
    assert_eq!(world.memory.cases().len(), 1);
    assert_eq!(world.memory.deposits()[0].time, seconds(30));
}

/// A reorg takes one of two deposits that were credited together; the other covers by itself.
#[test]
fn what_is_granted_again_in_the_look_that_took_it_back_is_nothing_more() {
    let mut world = World::new();
    ceiling(&mut world, "150");
    world.order("A", |_| {});
    world.order("B", |order| order.due = Some(usdt("50.000001")));
    world.order("C", |order| order.due = Some(usdt("50")));
    world.mine("ethereum", &[pay("t1", "A", "5")]);
    world.fork("ethereum", 0);
    world.mine_unseen("ethereum", 40, &[pay("t2", "A", "100")]);
    world.mine_unseen("ethereum", 50, &[pay("t1", "A", "5")]);
    world.scan("ethereum").unwrap();
    assert!(world.state("A").contains("t1:0 5.00 credited"), "{}", world.state("A"));
    world.skip();
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    let told = world.news();
    assert!(told.contains("credits.reversed A") && told.contains("credits.granted A"), "{told}");
    assert_eq!((credited(&world), paused(&world)), ("A".to_owned(), None));
    // Of the hour's 150 another 50 are left.
    world.mine("ethereum", &[pay("t3", "C", "50")]);
    world.mine("ethereum", &[pay("t4", "B", "50.000001")]);
    assert_eq!((credited(&world).as_str(), paused(&world).is_some()), ("AC", true));
}
