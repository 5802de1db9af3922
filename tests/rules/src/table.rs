//! The classification table, row by row and at its edges.
//!
//! In: deposits just inside and just outside of each limit. Out: what they are.
//! Why: the limits are where two readings of a rule part.

use payments::changes::Finality;
use payments::time::Time;

use super::world::{LOOKALIKE, Pay, World, id, pay, says, seconds, usdt};

/// What the first deposit of order A is, with what the order then is.
fn first(world: &World) -> String {
    let dossier = world.memory.dossier(&id("A")).unwrap();
    let deposit = &dossier.deposits[0];
    let late = if deposit.late { " late" } else { "" };
    let state = match deposit.state {
        payments::deposit::State::Suspended(kind) => kind.word(),
        state => state.word(),
    };
    format!("{state}{late}, {}", dossier.status().word())
}

/// A world in which order A is paid so at that second, and everything is final.
fn paid_at(second: i64, pays: &[Pay]) -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_at("ethereum", second, pays);
    world.finalize("ethereum", 1);
    world
}

#[test]
fn no_deposit_at_all() {
    let nothing = pay("t1", "A", "0");
    let itself = pay("t2", "A", "5").itself();
    let foreign = pay("t3", "A", "0").of(LOOKALIKE);
    let world = paid_at(10, &[nothing, itself, foreign]);
    assert_eq!(world.memory.deposits(), &[]);
    assert_eq!(world.memory.empty_transfers(), 3);
    says(&world.state("A"), "awaiting_payment");
}

#[test]
fn an_address_that_is_not_ours() {
    let world = paid_at(10, &[pay("t1", "B", "100")]);
    assert_eq!(world.memory.deposits(), &[]);
    assert_eq!(world.memory.empty_transfers(), 0);
}

#[test]
fn an_earlier_row_comes_first() {
    // Another token on another chain is another token; dust on another chain is another chain.
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("tron", &[pay("t1", "A", "5").of(LOOKALIKE), pay("t2", "A", "0.01")]);
    // Dust for a covered order is dust; a late second payment is a duplicate.
    world.mine("ethereum", &[pay("t3", "A", "100"), pay("t4", "A", "0.01")]);
    world.mine_at("ethereum", 5000, &[pay("t5", "A", "100")]);
    says(
        &world.state("A"),
        "paid
        tron:t1:0:lookalike 0.00 suspended wrong_asset
        tron:t2:0 0.01 suspended wrong_network
        ethereum:t3:0 100.00 credited
        ethereum:t4:0 0.01 dust
        ethereum:t5:0 100.00 suspended duplicate
        case wrong_asset:tron:t1:0:lookalike 0.00: open
        case wrong_network:tron:t2:0 0.01: open
        case duplicate:ethereum:t5:0 100.00: open",
    );
}

#[test]
fn dust_and_just_not() {
    assert_eq!(first(&paid_at(10, &[pay("t1", "A", "0.099999")])), "dust, awaiting_payment");
    assert_eq!(first(&paid_at(10, &[pay("t1", "A", "0.10")])), "confirmed, partially_paid");
    let mut world = paid_at(10, &[pay("t1", "A", "0.05")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> dust 0.05 USDT.ethereum
        order.created A customer=acme amount=100.00 credits=10000 address=@A
        deposit.detected A ethereum:t1:0 amount=0.05 raw=50000
        deposit.confirmed A ethereum:t1:0 amount=0.05",
    );
}

#[test]
fn the_tolerance_and_just_not() {
    for (amount, wanted) in [
        ("99.899999", "confirmed, partially_paid"),
        ("99.90", "credited, paid"),
        ("100", "credited, paid"),
        ("100.10", "credited, paid"),
        ("100.100001", "credited, paid"),
    ] {
        let world = paid_at(10, &[pay("t1", "A", amount)]);
        assert_eq!(first(&world), wanted, "{amount}");
        // An excess as large as the tolerance is sold with the rest; a larger one waits.
        let held = world.memory.cases().first().map(|case| case.amount);
        assert_eq!(held, (amount == "100.100001").then(|| usdt("0.100001")), "{amount}");
    }
}

#[test]
fn the_expiry_and_the_window_and_just_not() {
    let at = |millis: i64| {
        let mut world = World::new();
        world.order("A", |order| order.expires_at = Some(Time(millis)));
        world.mine_at("ethereum", 1000, &[pay("t1", "A", "100")]);
        world.mine_at("ethereum", 2000, &[]);
        world.finalize("ethereum", 2);
        first(&world)
    };
    assert_eq!(at(1_000_000), "credited, paid");
    assert_eq!(at(999_999), "credited late, paid");
    assert_eq!(at(500_000), "credited late, paid");
    assert_eq!(at(499_999), "late, expired");
}

#[test]
fn expiry_waits_for_a_final_block_past_it() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_at("ethereum", 1000, &[]);
    world.mine_at("ethereum", 1001, &[]);
    world.mine_at("ethereum", 1002, &[]);
    world.finalize("ethereum", 1);
    says(&world.state("A"), "awaiting_payment");
    world.finalize("ethereum", 2);
    says(&world.state("A"), "expired");
    assert_eq!(world.memory.dossier(&id("A")).unwrap().expired, Some(seconds(1000)));
}

#[test]
fn another_chain_expires_nothing() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_at("tron", 5000, &[]);
    world.finalize("tron", 1);
    says(&world.state("A"), "awaiting_payment");
}

#[test]
fn a_late_payment_covers_what_expired_underpaid() {
    let mut world = paid_at(10, &[pay("t1", "A", "30"), pay("t2", "A", "20")]);
    world.mine_at("ethereum", 1001, &[]);
    world.finalize("ethereum", 2);
    world.skip();
    world.mine_at("ethereum", 1100, &[pay("t3", "A", "10")]);
    says(
        &world.news(),
        "deposit:ethereum:t3:0: custody:ethereum:@A -> order:A 10.00 USDT.ethereum
        suspend:ethereum:t3:0:underpaid: order:A -> suspense:underpaid 10.00 USDT.ethereum
        deposit.detected A ethereum:t3:0 amount=10.00 raw=10000000
        deposit.confirmed A ethereum:t3:0 amount=10.00",
    );
    world.mine_at("ethereum", 1200, &[pay("t4", "A", "45")]);
    says(
        &world.news(),
        "deposit:ethereum:t4:0: custody:ethereum:@A -> order:A 45.00 USDT.ethereum
        release:ethereum:t1:0:underpaid: suspense:underpaid -> order:A 30.00 USDT.ethereum
        release:ethereum:t2:0:underpaid: suspense:underpaid -> order:A 20.00 USDT.ethereum
        release:ethereum:t3:0:underpaid: suspense:underpaid -> order:A 10.00 USDT.ethereum
        paid:A: order:A -> sales 100.00 USDT.ethereum
        paid:A: issued -> customer:acme 10000.00 CREDIT
        suspend:ethereum:t4:0:overpaid: order:A -> suspense:overpaid 5.00 USDT.ethereum
        deposit.detected A ethereum:t4:0 amount=45.00 raw=45000000
        deposit.confirmed A ethereum:t4:0 amount=45.00
        order.paid A amount=100.00 credits=10000
        credits.granted A customer=acme credits=10000
        case.opened A ethereum:t4:0 overpaid:ethereum:t4:0 kind=overpaid amount=5.00
        case.resolved A underpaid:A kind=underpaid why=a later deposit covered the order",
    );
}

#[test]
fn two_orders_in_one_transaction() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.order("B", |order| order.due = Some(usdt("7")));
    let pays = [pay("t1", "B", "7"), pay("t1", "A", "60").nth(1), pay("t1", "A", "40").nth(2)];
    world.mine("ethereum", &pays);
    says(&world.state("A"), "paid\n ethereum:t1:1 60.00 credited\n ethereum:t1:2 40.00 credited");
    says(&world.state("B"), "paid\n ethereum:t1:0 7.00 credited");
}

#[test]
fn an_earlier_deposit_that_is_not_final_comes_first() {
    let mut world = World::new();
    let lines = [(Some("50"), Finality::Confirmations(1)), (None, Finality::Confirmations(3))];
    world.finality("ethereum", &lines);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t2", "A", "20")]);
    says(
        &world.state("A"),
        "confirming\n ethereum:t1:0 100.00 pending\n ethereum:t2:0 20.00 pending",
    );
    world.mine("ethereum", &[]);
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 credited
        ethereum:t2:0 20.00 suspended duplicate
        case duplicate:ethereum:t2:0 20.00: open",
    );
}

#[test]
fn finality_by_rule() {
    let lines = |world: &mut World, finality| world.finality("ethereum", &[(None, finality)]);
    let mut world = World::new();
    lines(&mut world, Finality::Confirmations(3));
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[]);
    assert_eq!(first(&world), "pending, confirming");
    world.mine("ethereum", &[]);
    assert_eq!(first(&world), "credited, paid");

    let mut world = World::new();
    lines(&mut world, Finality::Safe);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.lines.get_mut("ethereum").unwrap().safe = Some(0);
    world.mine("ethereum", &[]);
    assert_eq!(first(&world), "pending, confirming");
    world.lines.get_mut("ethereum").unwrap().safe = Some(1);
    world.scan("ethereum").unwrap();
    assert_eq!(first(&world), "credited, paid");

    let mut world = World::new();
    lines(&mut world, Finality::Finalized);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[]);
    assert_eq!(first(&world), "pending, confirming");
    world.finalize("ethereum", 1);
    assert_eq!(first(&world), "credited, paid");

    // An amount that no line fits waits for the finalized height; the last line that fits is not
    // asked once one did.
    let mut world = World::new();
    let lines = [(Some("99"), Finality::Confirmations(1))];
    world.finality("ethereum", &lines);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    assert_eq!(first(&world), "pending, confirming");
}

#[test]
fn an_address_without_an_order() {
    let mut world = World::new();
    world.memory.import(&[super::world::address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "5"), pay("t2", "pool", "1").of(LOOKALIKE)]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@pool -> suspense:unassigned 5.00 USDT.ethereum
        deposit.detected ethereum:t1:0 amount=5.00 raw=5000000
        deposit.detected ethereum:t2:0:lookalike amount=0.00 raw=1000000
        deposit.confirmed ethereum:t1:0 amount=5.00
        case.opened ethereum:t1:0 unassigned:ethereum:t1:0 kind=unassigned amount=5.00
        deposit.confirmed ethereum:t2:0:lookalike amount=0.00
        case.opened ethereum:t2:0:lookalike wrong_asset:ethereum:t2:0:lookalike \
         kind=wrong_asset amount=0.00",
    );
}

#[test]
fn what_came_before_the_order_is_nobodys_for_ever() {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Confirmations(2))]);
    world.memory.import(&[super::world::address("A")]);
    world.mine("ethereum", &[pay("t1", "A", "5")]);
    let again = world.look_from("ethereum", Some(world.lines["ethereum"].blocks[0].0.id));
    world.order("A", |_| {});
    world.skip();
    // The block is read again now that the address has an owner.
    world.apply(&payments::Update::Scan(again)).unwrap();
    assert_eq!(world.news(), "");
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    world.mine("ethereum", &[]);
    says(&world.state("A"), "paid\n ethereum:t2:0 100.00 credited");
    assert!(world.balances().contains("USDT.ethereum suspense:unassigned 5000000"));
}

/// Some chains have several blocks a second: the second of the expiry is over when a final block of
/// a later one is there, and what is mined until then is on time.
#[test]
fn blocks_that_share_the_second_of_the_expiry() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_at("ethereum", 1000, &[]);
    world.finalize("ethereum", 1);
    says(&world.state("A"), "awaiting_payment");
    world.mine_at("ethereum", 1000, &[pay("t1", "A", "40")]);
    world.finalize("ethereum", 2);
    says(&world.state("A"), "partially_paid\n ethereum:t1:0 40.00 confirmed");
    world.mine_at("ethereum", 1001, &[]);
    world.finalize("ethereum", 3);
    assert_eq!(world.memory.dossier(&id("A")).unwrap().expired, Some(seconds(1000)));
}
