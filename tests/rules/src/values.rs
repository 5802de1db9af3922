//! Values at the ends of their range: raw units, fractions of a millionth, too much.
//!
//! In: what a token contract can say. Out: what the books make of it, exactly.

use payments::amount::{Credits, Usdt};
use payments::changes::Changes;
use payments::deposit::State;
use payments::order::{Order, Price};
use payments::{PlanError, Update};
use ruint::aliases::U256;

use super::world::{LOOKALIKE, World, address, chain, pay, says, usdt};

#[test]
fn eighteen_decimals_are_kept_and_rounded_down() {
    let mut world = World::new();
    world.open_order("A", |order| order.chain = chain("bsc"));
    world.skip();
    let raw = U256::from(1_234_567_999_999_999_999u64);
    world.mine("bsc", &[pay("t1", "A", "0").units(raw)]);
    says(
        &world.news(),
        "deposit:bsc:t1:0: custody:bsc:@A -> order:A 1.234567 USDT.bsc
        paid:A:bsc:t1:0: order:A -> sales 1.234567 USDT.bsc
        paid:A:bsc:t1:0: issued -> customer:acme 123.4567 CREDIT
        deposit.detected A bsc:t1:0 amount=1.234567 raw=1234567999999999999
        deposit.confirmed A bsc:t1:0 amount=1.234567
        order.paid A bsc:t1:0 amount=1.234567 credits=123.4567
        credits.granted A bsc:t1:0 customer=acme credits=123.4567",
    );
    assert_eq!(world.memory.deposits()[0].raw, raw);
}

#[test]
fn less_than_a_millionth_is_dust_even_where_nothing_else_is() {
    let mut world = World::new();
    world.open_order("A", |order| {
        order.chain = chain("bsc");
        order.terms.dust = Usdt::ZERO;
    });
    world.skip();
    world.mine("bsc", &[pay("t1", "A", "0").units(U256::from(999_999_999_999u64))]);
    says(
        &world.news(),
        "deposit.detected A bsc:t1:0 amount=0.00 raw=999999999999
        deposit.confirmed A bsc:t1:0 amount=0.00",
    );
    says(&world.state("A"), "awaiting_payment\n bsc:t1:0 0.00 dust");
}

#[test]
fn a_rate_leaves_its_remainder() {
    let mut world = World::new();
    world.open_order("A", |order| order.price = Price::Rate { num: 100, den: 7 });
    world.mine("ethereum", &[pay("t1", "A", "1")]);
    let journal = world.memory.journals().last().unwrap();
    // 1,000,000 × 100 = 14,285,714 × 7 + 2
    assert_eq!((journal.entries[1].amount, journal.remainder), (14_285_714, 2));
}

#[test]
fn more_than_the_books_hold_is_refused_whole() {
    let most = U256::from(i64::MAX);
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "0").units(most)]);
    assert_eq!(world.memory.deposits()[0].amount, Usdt::MAX);
    let before = world.memory.dump();
    world.mine_unseen("ethereum", 20, &[pay("t2", "A", "0").units(most + U256::ONE)]);
    let error = world.scan("ethereum").unwrap_err();
    assert!(matches!(error, PlanError::Value { .. }), "{error}");
    assert_eq!(world.memory.dump(), before);
}

/// No root binds the name of a transaction, so a node can tell one payment by the name of another:
/// taken for a repeated answer, it would be lost.
#[test]
fn a_payment_by_the_name_of_a_recorded_one_is_refused() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.order("B", |_| {});
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "A", "60"), pay("t2", "pool", "5")]);
    let before = world.memory.dump();
    for (again, what) in [
        (pay("t1", "A", "60"), "block"),
        (pay("t1", "B", "40"), "receiver"),
        (pay("t2", "pool", "5"), "block"),
        (pay("t2", "A", "40"), "block"),
    ] {
        world.mine_unseen("ethereum", 30, &[again]);
        let PlanError::Contradiction { what: found, .. } = world.scan("ethereum").unwrap_err()
        else {
            panic!("{what}")
        };
        assert_eq!(found, what);
        assert_eq!(world.memory.dump(), before);
        world.fork("ethereum", 1);
    }
    world.mine("ethereum", &[pay("t3", "A", "40")]);
    says(&world.state("A"), "paid\n ethereum:t1:0 60.00 credited\n ethereum:t3:0 40.00 credited");
}

/// Nor does a block that is read again change what is recorded of it.
#[test]
fn a_block_that_is_told_otherwise_is_refused() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    let told = world.lines["ethereum"].blocks[1].1.clone();
    let (mut more, mut elsewhere) = (told.clone(), told.clone());
    more[0].raw += U256::ONE;
    elsewhere[0].to = address("B");
    world.order("B", |_| {});
    for (transfers, what) in [(more, "value"), (elsewhere, "receiver")] {
        let rescan = Update::Rescan { chain: chain("ethereum"), transfers, notices: Vec::new() };
        let error = world.apply(&rescan).unwrap_err().to_string();
        assert!(error.ends_with(&format!("is recorded with another {what}")), "{error}");
    }
    let rescan = Update::Rescan { chain: chain("ethereum"), transfers: told, notices: Vec::new() };
    assert!(world.apply(&rescan).unwrap().is_empty());
}

#[test]
fn any_number_of_a_lookalike_is_read() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "0").units(U256::MAX).of(LOOKALIKE)]);
    let deposit = &world.memory.deposits()[0];
    assert_eq!((deposit.raw, deposit.amount), (U256::MAX, Usdt::ZERO));
}

/// An order that is in the books already, however it came there.
fn recorded(world: &mut World, name: &str, change: impl FnOnce(&mut Order)) {
    let mut order = world.terms(name);
    change(&mut order);
    world.commit(&Changes { created: Some(order), ..Changes::default() });
}

#[test]
fn credits_beyond_the_books_hold_up_their_order_and_no_other() {
    let mut world = World::new();
    recorded(&mut world, "A", |order| {
        (order.due, order.price) = (None, Price::Rate { num: 1_000_000_000, den: 1 });
    });
    world.order("B", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "1"), pay("t2", "A", "9300"), pay("t3", "B", "100")]);
    world.mine_at("ethereum", 2_000, &[pay("t4", "A", "1")]);
    world.all_final("ethereum");
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 1.00 credited
        ethereum:t2:0 9300.00 pending
        ethereum:t4:0 1.00 pending",
    );
    assert!(world.state("B").starts_with("paid"), "{}", world.state("B"));
    // Taken back and mined again, it is what it was.
    world.lose("ethereum", 1);
    world.mine("ethereum", &[pay("t4", "A", "1")]);
    assert!(world.state("A").contains("t2:0 9300.00 pending"), "{}", world.state("A"));
}

/// A payment that nobody can judge does not hide what is taken from its address.
#[test]
fn what_leaves_beside_credits_beyond_the_books_is_asked_about() {
    let mut world = World::new();
    recorded(&mut world, "A", |order| {
        (order.due, order.price) = (None, Price::Rate { num: 1_000_000_000, den: 1 });
    });
    world.mine("ethereum", &[pay("t1", "A", "9300")]);
    world.mine("ethereum", &[pay("t2", "thief", "9300").from("A")]);
    world.all_final("ethereum");
    says(
        &world.state("A"),
        "confirming
        ethereum:t1:0 9300.00 pending
        case unexplained_outflow:ethereum:t2:0 0.00: open",
    );
}

#[test]
fn sums_beyond_the_books_hold_up_their_order_and_no_other() {
    let mut world = World::new();
    world.order("A", |order| {
        order.due = Some(Usdt::MAX);
        order.price = Price::Fixed(Credits::MAX);
    });
    world.order("B", |_| {});
    let most = Usdt::MAX.minus(usdt("1")).unwrap().to_string();
    world.mine("ethereum", &[pay("t1", "A", &most)]);
    world.mine("ethereum", &[pay("t2", "A", &most), pay("t3", "B", "100")]);
    let states: Vec<State> = world.memory.deposits().iter().map(|deposit| deposit.state).collect();
    assert_eq!(states, [State::Confirmed, State::Pending, State::Credited]);
}

#[test]
fn two_tokens_share_a_place_in_a_transaction() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100").of(LOOKALIKE), pay("t1", "A", "100")]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0:lookalike 0.00 suspended wrong_asset
        ethereum:t1:0 100.00 credited
        case wrong_asset:ethereum:t1:0:lookalike 0.00: open",
    );
}
