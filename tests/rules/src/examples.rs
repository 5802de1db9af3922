//! The examples of the shop, each to the last journal.
//!
//! In: the sentences at the end of the rules' page that need no person. Out: the same, as tests.
//! Why: whoever asks what happens when 130 arrive for 100 finds the answer here.

use payments::amount::Credits;
use payments::order::Price;

use super::world::{LOOKALIKE, World, pay, says, seconds, usdt};

#[test]
fn one_hundred_for_team() {
    let mut world = World::new();
    world.order("A", |_| {});
    says(&world.news(), "order.created A customer=acme amount=100.00 credits=10000 address=@A");
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 100.00 USDT.ethereum
        paid:A: order:A -> sales 100.00 USDT.ethereum
        paid:A: issued -> customer:acme 10000.00 CREDIT
        deposit.detected A ethereum:t1:0 amount=100.00 raw=100000000
        deposit.confirmed A ethereum:t1:0 amount=100.00
        order.paid A amount=100.00 credits=10000
        credits.granted A customer=acme credits=10000",
    );
    says(&world.state("A"), "paid\n ethereum:t1:0 100.00 credited");
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@A -100000000
        USDT.ethereum sales 100000000
        CREDIT issued -10000000000
        CREDIT customer:acme 10000000000",
    );
}

#[test]
fn packs_and_larger_ones() {
    for (due, credits) in [
        ("10", "100"),
        ("45", "500"),
        ("80", "1000"),
        ("20", "2000"),
        ("100", "10000"),
        ("400", "50000"),
    ] {
        let mut world = World::new();
        world.order("A", |order| {
            order.due = Some(usdt(due));
            order.price = Price::Fixed(Credits::parse(credits).unwrap());
        });
        world.mine("ethereum", &[pay("t1", "A", due)]);
        let told = world.news();
        assert!(told.ends_with(&format!("credits.granted A customer=acme credits={credits}")));
    }
}

#[test]
fn a_top_up_of_twenty_and_another() {
    let mut world = World::new();
    world.open_order("A", |order| order.expires_at = None);
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "20")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 20.00 USDT.ethereum
        paid:A:ethereum:t1:0: order:A -> sales 20.00 USDT.ethereum
        paid:A:ethereum:t1:0: issued -> customer:acme 2000.00 CREDIT
        deposit.detected A ethereum:t1:0 amount=20.00 raw=20000000
        deposit.confirmed A ethereum:t1:0 amount=20.00
        order.paid A ethereum:t1:0 amount=20.00 credits=2000
        credits.granted A ethereum:t1:0 customer=acme credits=2000",
    );
    world.mine("ethereum", &[pay("t2", "A", "0.5")]);
    assert!(world.news().ends_with("credits.granted A ethereum:t2:0 customer=acme credits=50"));
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 20.00 credited
        ethereum:t2:0 0.50 credited",
    );
}

const SIXTY_AND_FORTY: &str = "
    deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 60.00 USDT.ethereum
    deposit:ethereum:TWO: custody:ethereum:@A -> order:A 40.00 USDT.ethereum
    paid:A: order:A -> sales 100.00 USDT.ethereum
    paid:A: issued -> customer:acme 10000.00 CREDIT
    deposit.detected A ethereum:t1:0 amount=60.00 raw=60000000
    deposit.detected A ethereum:TWO amount=40.00 raw=40000000
    deposit.confirmed A ethereum:t1:0 amount=60.00
    deposit.confirmed A ethereum:TWO amount=40.00
    order.paid A amount=100.00 credits=10000
    credits.granted A customer=acme credits=10000";

#[test]
fn sixty_and_forty_in_two_transactions_of_a_block() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "60"), pay("t2", "A", "40")]);
    says(&world.news(), &SIXTY_AND_FORTY.replace("TWO", "t2:0"));
}

#[test]
fn sixty_and_forty_inside_one_transaction() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "60"), pay("t1", "A", "40").nth(1)]);
    says(&world.news(), &SIXTY_AND_FORTY.replace("TWO", "t1:1"));
}

#[test]
fn sixty_and_forty_in_two_blocks() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 60.00 USDT.ethereum
        deposit.detected A ethereum:t1:0 amount=60.00 raw=60000000
        deposit.confirmed A ethereum:t1:0 amount=60.00
        order.partially_paid A counted=60.00 pending=0.00",
    );
    says(&world.state("A"), "partially_paid\n ethereum:t1:0 60.00 confirmed");
    world.mine("ethereum", &[pay("t2", "A", "40")]);
    says(&world.state("A"), "paid\n ethereum:t1:0 60.00 credited\n ethereum:t2:0 40.00 credited");
}

#[test]
fn ninety_nine_ninety_five_is_enough() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "99.95")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 99.95 USDT.ethereum
        paid:A: order:A -> sales 99.95 USDT.ethereum
        paid:A: issued -> customer:acme 10000.00 CREDIT
        deposit.detected A ethereum:t1:0 amount=99.95 raw=99950000
        deposit.confirmed A ethereum:t1:0 amount=99.95
        order.paid A amount=99.95 credits=10000
        credits.granted A customer=acme credits=10000",
    );
}

#[test]
fn fifty_of_a_hundred_at_expiry() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "50")]);
    world.mine_at("ethereum", 1001, &[]);
    world.skip();
    world.finalize("ethereum", 2);
    says(
        &world.news(),
        "suspend:ethereum:t1:0:underpaid: order:A -> suspense:underpaid 50.00 USDT.ethereum
        order.expired A counted=50.00
        case.opened A ethereum:t1:0 underpaid:A kind=underpaid amount=50.00",
    );
    says(
        &world.state("A"),
        "expired
        ethereum:t1:0 50.00 suspended underpaid
        case underpaid:A 50.00: open",
    );
    assert_eq!(world.memory.dossier(&super::world::id("A")).unwrap().expired, Some(seconds(1000)));
}

#[test]
fn a_hundred_and_thirty_of_a_hundred() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "130")]);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 130.00 USDT.ethereum
        paid:A: order:A -> sales 100.00 USDT.ethereum
        paid:A: issued -> customer:acme 10000.00 CREDIT
        suspend:ethereum:t1:0:overpaid: order:A -> suspense:overpaid 30.00 USDT.ethereum
        deposit.detected A ethereum:t1:0 amount=130.00 raw=130000000
        deposit.confirmed A ethereum:t1:0 amount=130.00
        order.paid A amount=100.00 credits=10000
        credits.granted A customer=acme credits=10000
        case.opened A ethereum:t1:0 overpaid:ethereum:t1:0 kind=overpaid amount=30.00",
    );
}

#[test]
fn a_hundred_twice() {
    let mut world = World::new();
    world.order("A", |order| order.chain = super::world::chain("tron"));
    world.mine("tron", &[pay("t1", "A", "100")]);
    world.skip();
    world.mine("tron", &[pay("t2", "A", "100")]);
    says(
        &world.news(),
        "deposit:tron:t2:0: custody:tron:@A -> order:A 100.00 USDT.tron
        suspend:tron:t2:0:duplicate: order:A -> suspense:duplicate 100.00 USDT.tron
        deposit.detected A tron:t2:0 amount=100.00 raw=100000000
        deposit.confirmed A tron:t2:0 amount=100.00
        case.opened A tron:t2:0 duplicate:tron:t2:0 kind=duplicate amount=100.00",
    );
    says(
        &world.state("A"),
        "paid
        tron:t1:0 100.00 credited
        tron:t2:0 100.00 suspended duplicate
        case duplicate:tron:t2:0 100.00: open",
    );
}

#[test]
fn a_hundred_on_another_chain_in_every_direction() {
    for (of, on, raw) in [
        ("tron", "ethereum", "100000000"),
        ("ethereum", "tron", "100000000"),
        ("tron", "bsc", "100000000000000000000"),
        ("bsc", "tron", "100000000"),
    ] {
        let mut world = World::new();
        world.order("A", |order| order.chain = super::world::chain(of));
        world.skip();
        world.mine(on, &[pay("t1", "A", "100")]);
        let wanted = "deposit:ON:t1:0: custody:ON:@A -> order:A 100.00 USDT.ON
            suspend:ON:t1:0:wrong_network: order:A -> suspense:wrong_network 100.00 USDT.ON
            deposit.detected A ON:t1:0 amount=100.00 raw=RAW
            deposit.confirmed A ON:t1:0 amount=100.00
            case.opened A ON:t1:0 wrong_network:ON:t1:0 kind=wrong_network amount=100.00";
        says(&world.news(), &wanted.replace("ON", on).replace("RAW", raw));
        assert!(world.state("A").starts_with("awaiting_payment\n"));
    }
}

#[test]
fn a_hundred_of_a_lookalike() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.skip();
    world.mine("ethereum", &[pay("t1", "A", "100").of(LOOKALIKE)]);
    says(
        &world.news(),
        "deposit.detected A ethereum:t1:0:lookalike amount=0.00 raw=100000000
        deposit.confirmed A ethereum:t1:0:lookalike amount=0.00
        case.opened A ethereum:t1:0:lookalike wrong_asset:ethereum:t1:0:lookalike \
         kind=wrong_asset amount=0.00",
    );
    assert_eq!(world.balances(), "");
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    assert!(world.state("A").starts_with("paid\n"));
}

#[test]
fn a_hundred_one_minute_after_expiry() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_at("ethereum", 1060, &[pay("t1", "A", "100")]);
    says(
        &world.state("A"),
        "confirming
        ethereum:t1:0 100.00 pending",
    );
    world.skip();
    world.finalize("ethereum", 1);
    says(
        &world.news(),
        "deposit:ethereum:t1:0: custody:ethereum:@A -> order:A 100.00 USDT.ethereum
        paid:A: order:A -> sales 100.00 USDT.ethereum
        paid:A: issued -> customer:acme 10000.00 CREDIT
        order.expired A counted=0.00
        deposit.confirmed A ethereum:t1:0 amount=100.00
        order.paid A amount=100.00 credits=10000
        credits.granted A customer=acme credits=10000",
    );
    says(&world.state("A"), "paid\n ethereum:t1:0 100.00 credited late");
}
