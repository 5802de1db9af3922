//! Making orders and taking them back.
//!
//! In: requests of a shop, some of them twice. Out: one order each, or a named refusal.

use payments::amount::{Credits, Usdt};
use payments::case::{CaseId, Resolution};
use payments::name::CustomerId;
use payments::order::{Order, Policy, Price};
use payments::{PlanError, Update};

use super::world::{World, address, chain, id, pay, says, seconds, usdt};

#[test]
fn the_same_request_again_is_the_same_order() {
    let mut world = World::new();
    world.order("A", |_| {});
    let before = world.memory.dump();
    // Later, at another address, under a config that has changed meanwhile: still the same order.
    world.mine_unseen("ethereum", 500, &[]);
    let mut again = world.terms("A");
    again.address = address("B");
    again.expires_at = Some(payments::time::Time(world.now + 999_998));
    again.terms.underpaid = Policy::Credit;
    let lifetime = seconds(1000).0 - world.memory.dossier(&id("A")).unwrap().order.created_at.0;
    again.expires_at = Some(again.created_at.after(lifetime));
    world.apply(&Update::Create(again)).unwrap();
    assert_eq!(world.memory.dump(), before);
}

#[test]
fn other_terms_are_named() {
    type Change = fn(&mut Order);
    let changes: [(&str, Change); 7] = [
        ("customer", |order| order.customer = CustomerId::new("other").unwrap()),
        ("chain", |order| order.chain = chain("tron")),
        ("amount", |order| order.due = Some(usdt("101"))),
        ("price", |order| order.price = Price::Fixed(Credits::parse("1").unwrap())),
        ("expiry", |order| order.expires_at = None),
        ("refund address", |order| order.refund_to = Some(address("B"))),
        ("metadata", |order| order.metadata = Some("{}".to_owned())),
    ];
    for (field, change) in changes {
        let mut world = World::new();
        world.order("A", |_| {});
        let mut order = world.memory.dossier(&id("A")).unwrap().order.clone();
        change(&mut order);
        let error = world.apply(&Update::Create(order)).unwrap_err();
        assert_eq!(error, PlanError::OrderExists { order: id("A"), field });
    }
}

#[test]
fn contradictions_are_named() {
    type Change = fn(&mut Order);
    let rate = |num, den| Price::Rate { num, den };
    let changes: [(&str, Change); 9] = [
        ("amount of order `A` is zero", |order| order.due = Some(Usdt::ZERO)),
        ("amount of order `A` is not above the tolerance", |order| order.due = Some(usdt("0.10"))),
        ("amount of order `A` is below the dust limit", |order| order.due = Some(usdt("0.199999"))),
        ("price of order `A` has a zero in its rate", |order| {
            order.price = Price::Rate { num: 0, den: 1 };
        }),
        ("price of order `A` has a zero in its rate", |order| {
            order.price = Price::Rate { num: 1, den: 0 };
        }),
        ("credits of order `A` are zero", |order| order.price = Price::Fixed(Credits::ZERO)),
        ("credits of order `A` are fixed although the amount is open", |order| order.due = None),
        ("credits of order `A` are zero or beyond the range of the books", |order| {
            order.price = Price::Rate { num: 1, den: u64::MAX };
        }),
        ("expiry of order `A` is not after its creation", |order| {
            order.expires_at = Some(order.created_at);
        }),
    ];
    for (wanted, change) in changes {
        let mut world = World::new();
        let mut order = world.terms("A");
        change(&mut order);
        let error = world.apply(&Update::Create(order)).unwrap_err();
        assert!(matches!(error, PlanError::BadOrder { .. }), "{error}");
        assert_eq!(error.to_string(), wanted);
    }
    let mut world = World::new();
    world.order("A", |order| order.due = Some(usdt("0.20")));
    world.order("B", |order| order.price = rate(1, 1));
}

/// Of what may be credited to any amount, a payment far above all that are made must fit the books.
#[test]
fn a_price_is_one_that_the_books_can_credit() {
    type Change = fn(&mut Order);
    let refused: [(Change, &str); 4] = [
        (|order| (order.due, order.price) = (None, Price::Rate { num: 92_234, den: 1 }), "92234"),
        (|order| (order.due, order.price) = (None, Price::Rate { num: 276_702, den: 3 }), "92234"),
        (
            |order| (order.due, order.price) = (None, Price::Rate { num: 276_703, den: 3 }),
            "276703/3",
        ),
        (
            |order| {
                order.terms.overpaid = Policy::Credit;
                order.price = Price::Fixed(Credits::parse("9223400").unwrap());
            },
            "92234",
        ),
    ];
    for (change, rate) in refused {
        let mut world = World::new();
        let mut order = world.terms("A");
        change(&mut order);
        let error = world.apply(&Update::Create(order)).unwrap_err();
        let wanted = format!(
            "price of order `A` is {rate} credits for 1 USDT: those for 100000000.00 USDT are \
             beyond the range of the books"
        );
        assert_eq!(error.to_string(), wanted);
    }
    let mut world = World::new();
    world.open_order("A", |order| order.price = Price::Rate { num: 92_233, den: 1 });
    // What is above the amount due waits for a person here.
    world.order("B", |order| order.price = Price::Fixed(Credits::parse("9223400").unwrap()));
    world.order("C", |order| {
        order.terms.overpaid = Policy::Credit;
        order.price = Price::Fixed(Credits::parse("9223300").unwrap());
    });
}

#[test]
fn an_address_has_one_order_for_ever() {
    let mut world = World::new();
    world.memory.import(&[address("A")]);
    world.order("A", |_| {});
    let mut other = world.terms("B");
    other.address = address("A");
    let error = world.apply(&Update::Create(other)).unwrap_err();
    assert_eq!(error, PlanError::AddressTaken(id("B")));
}

#[test]
fn what_is_not_configured_or_not_there() {
    let mut world = World::new();
    let mut order = world.terms("A");
    order.chain = chain("moon");
    let moon = || PlanError::UnknownChain(chain("moon"));
    assert_eq!(world.apply(&Update::Create(order)).unwrap_err(), moon());
    let why = String::new;
    for update in [
        Update::Rescan { chain: chain("moon"), transfers: Vec::new(), notices: Vec::new() },
        Update::Stall { chain: chain("moon"), why: why() },
        Update::Pause { chain: chain("moon"), why: why() },
        Update::Resume { chain: chain("moon"), by: why(), why: why() },
    ] {
        assert_eq!(world.apply(&update).unwrap_err(), moon());
    }
    let error = world.apply(&Update::Cancel(id("A"))).unwrap_err();
    assert_eq!(error, PlanError::UnknownOrder(id("A")));
}

#[test]
fn cancelled_before_and_after_something_came() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    let changes = world.apply(&Update::Cancel(id("A"))).unwrap();
    says(&world.news(), "order.cancelled A counted=0.00");
    assert_eq!(changes.cursor, None, "nothing was credited: a look beside this one stands");
    world.apply(&Update::Cancel(id("A"))).unwrap();
    assert_eq!(world.news(), "");
    says(&world.state("A"), "cancelled");

    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "40")]);
    world.skip();
    world.apply(&Update::Cancel(id("A"))).unwrap();
    says(
        &world.news(),
        "suspend:ethereum:t1:0:underpaid: order:A -> suspense:underpaid 40.00 USDT.ethereum
        order.cancelled A counted=40.00
        case.opened A ethereum:t1:0 underpaid:A kind=underpaid amount=40.00",
    );
    // The rest comes all the same, inside the window: the customer gets what was agreed.
    world.mine_at("ethereum", 500, &[pay("t2", "A", "60")]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 40.00 credited
        ethereum:t2:0 60.00 credited late
        case underpaid:A 40.00: a later deposit covered the order",
    );
}

#[test]
fn a_cancelled_order_does_not_expire_and_its_window_begins_at_once() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_at("ethereum", 100, &[]);
    world.apply(&Update::Cancel(id("A"))).unwrap();
    world.skip();
    world.mine_at("ethereum", 601, &[pay("t1", "A", "100")]);
    world.mine_at("ethereum", 1200, &[]);
    world.finalize("ethereum", 3);
    assert!(!world.news().contains("order.expired"));
    says(
        &world.state("A"),
        "cancelled
        ethereum:t1:0 100.00 suspended late
        case late:ethereum:t1:0 100.00: open",
    );
}

#[test]
fn a_paid_order_cannot_be_taken_back() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    let error = world.apply(&Update::Cancel(id("A"))).unwrap_err();
    assert_eq!(error, PlanError::AlreadyPaid(id("A")));
}

#[test]
fn what_waits_for_a_person_is_what_nobody_decided() {
    let (mut world, duplicate) = World::paid_twice();
    let waits = |world: &World| -> Vec<CaseId> {
        let order = world.memory.dossier(&id("A")).unwrap();
        order.open_cases().map(|case| case.id.clone()).collect()
    };
    assert_eq!(waits(&world), std::slice::from_ref(&duplicate));
    world.says("ann", &duplicate, Resolution::Dismiss).unwrap();
    assert_eq!(waits(&world), []);
}
