//! What the token's issuer does, example by example.

use payments::changes::Update;
use payments::ledger::{Account, Asset};
use payments::notice::{Standing, What};
use payments::outflow::{OutflowId, OutflowState, Way};
use ruint::aliases::U256;

use super::world::{World, address, chain, named, pay, says, tx};

/// Order A paid 100 in t1, in block 1, and final there.
fn paid() -> World {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.finalize("ethereum", 1);
    world.skip();
    world
}

fn destroyed(name: &str, micro: u64) -> What {
    What::Destroyed { from: address(name), raw: U256::from(micro) }
}

fn custody(world: &World) -> i128 {
    let account = Account::Custody(chain("ethereum"), address("A"));
    -world.memory.net(&Asset::Usdt(chain("ethereum")), &account)
}

fn lost(world: &World) -> i128 {
    -world.memory.net(&Asset::Usdt(chain("ethereum")), &Account::Lost)
}

fn standing(world: &World) -> Standing {
    Standing::of(world.memory.notices().iter().map(|noted| (**noted).clone()).collect())
}

#[test]
fn a_pause_is_told_and_stalls_nothing() {
    let mut world = paid();
    world.announce("ethereum", &[("t2", What::Paused)]);
    says(&world.news(), "token.paused notice=ethereum:t2:0 height=2");
    assert!(standing(&world).paused.is_some());
    let cursor = world.memory.cursor(&chain("ethereum")).unwrap();
    assert_eq!((&cursor.paused, &cursor.stalled), (&None, &None));
    // What was under way is credited: a transfer that is in a block happened.
    world.order("B", |_| {});
    world.mine("ethereum", &[pay("t3", "B", "100")]);
    assert!(world.state("B").starts_with("paid"));
    world.announce("ethereum", &[("t4", What::Unpaused)]);
    assert_eq!(standing(&world), Standing::default());
    assert!(world.news().ends_with("token.unpaused notice=ethereum:t4:0 height=4"));
}

#[test]
fn a_deprecated_token_stops_crediting_until_a_person_resumes_it() {
    let mut world = paid();
    world.order("B", |_| {});
    world.skip();
    let said = [("t2", What::Deprecated(address("other")))];
    // In the very block of a payment, which waits with all that come after.
    world.announce_with("ethereum", &said, &[pay("t3", "B", "100")]);
    says(
        &world.news(),
        "token.deprecated notice=ethereum:t2:0 to=@other height=2
        chain.paused why=the token was deprecated in block 2: @other goes on in its place, and \
         what arrives there is not read
        deposit.detected B ethereum:t3:0 amount=100.00 raw=100000000
        order.confirming B counted=0.00 pending=100.00",
    );
    world.mine("ethereum", &[]);
    says(&world.news(), "");
    let (by, why) = ("maria".to_owned(), "the config names the new one".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
    world.mine("ethereum", &[]);
    assert!(world.state("B").starts_with("paid"), "it is told once, and does not stop again");
    assert!(standing(&world).deprecated.is_some());
}

#[test]
fn a_chain_that_is_paused_already_has_both_reasons() {
    let mut world = paid();
    let (on, why) = (chain("ethereum"), "maria: a look".to_owned());
    world.apply(&Update::Pause { chain: on.clone(), why: why.clone() }).unwrap();
    world.skip();
    world.announce("ethereum", &[("t2", What::Deprecated(address("other")))]);
    let deprecated = "the token was deprecated in block 2: @other goes on in its place, and what \
                      arrives there is not read";
    says(
        &world.news(),
        &format!(
            "token.deprecated notice=ethereum:t2:0 to=@other height=2
            chain.paused why={deprecated}"
        ),
    );
    let paused = world.memory.cursor(&on).unwrap().paused.clone().unwrap();
    assert_eq!(named(&paused), format!("{why}; {deprecated}"));
    // Whoever ends the pause ends it for both, and knows of both.
    let (by, why) = ("maria".to_owned(), "seen".to_owned());
    world.apply(&Update::Resume { chain: on.clone(), by, why }).unwrap();
    world.mine("ethereum", &[]);
    assert_eq!(world.memory.cursor(&on).unwrap().paused, None);
}

#[test]
fn of_a_long_reason_the_beginning_is_kept() {
    let mut world = paid();
    let on = chain("ethereum");
    let why = "é".repeat(10_000);
    world.apply(&Update::Pause { chain: on.clone(), why }).unwrap();
    world.announce("ethereum", &[("t2", What::Deprecated(address("other")))]);
    let paused = world.memory.cursor(&on).unwrap().paused.clone().unwrap();
    assert!(paused.starts_with("ééé") && paused.ends_with("is not read"), "{paused}");
    assert!(paused.chars().count() < 800, "{}", paused.len());
}

#[test]
fn a_fee_is_told_and_stands_until_it_is_zero() {
    let mut world = paid();
    let fee = |points, most: u32| What::Fee { points, most: U256::from(most) };
    world.announce("ethereum", &[("t2", fee(10, 5_000_000))]);
    says(&world.news(), "token.fee_set notice=ethereum:t2:0 points=10 most=5000000 height=2");
    assert_eq!(standing(&world).fee.unwrap().notice.what, fee(10, 5_000_000));
    world.announce("ethereum", &[("t3", fee(0, 0))]);
    assert_eq!(standing(&world), Standing::default());
}

#[test]
fn a_blacklisted_address_is_flagged_if_it_is_ours() {
    let mut world = paid();
    let said = [
        ("t2", What::Blacklisted(address("A"))),
        ("t3", What::Blacklisted(address("thief"))),
        ("t4", destroyed("thief", 5)),
    ];
    world.announce("ethereum", &said);
    says(&world.news(), "address.blacklisted A notice=ethereum:t2:0 address=@A height=2");
    assert_eq!(standing(&world).blacklisted.len(), 1);
    // What still arrives there is the customer's payment.
    world.open_order("B", |_| {});
    world.announce("ethereum", &[("t5", What::Blacklisted(address("B")))]);
    world.mine("ethereum", &[pay("t3", "B", "20")]);
    assert!(world.state("B").contains("20.00 credited"), "{}", world.state("B"));
    world.announce("ethereum", &[("t1", What::Released(address("A")))]);
    let left = standing(&world).blacklisted;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].notice.what.account(), Some(address("B")));
}

#[test]
fn destroyed_funds_are_lost_when_that_is_final_and_a_case_says_so() {
    let mut world = paid();
    world.announce("ethereum", &[("t2", destroyed("A", 100_000_000))]);
    for _ in 0..9 {
        world.mine("ethereum", &[]);
    }
    says(
        &world.news(),
        "address.emptied A notice=ethereum:t2:0 address=@A raw=100000000 height=2
        outflow.detected A outflow=ethereum:t2:0:destroyed amount=100.00",
    );
    assert_eq!((custody(&world), lost(&world)), (100_000_000, 0), "not final yet");
    world.finalize("ethereum", 2);
    says(
        &world.news(),
        "sweep:ethereum:t2:0:destroyed: lost -> custody:ethereum:@A 100.00 USDT.ethereum
        case.opened A destroyed_funds:ethereum:t2:0:destroyed \
         outflow=ethereum:t2:0:destroyed amount=100.00 kind=destroyed_funds
        outflow.booked A outflow=ethereum:t2:0:destroyed amount=100.00 explained=destroyed",
    );
    assert_eq!((custody(&world), lost(&world)), (0, 100_000_000));
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 credited
        case destroyed_funds:ethereum:t2:0:destroyed 0.00: open",
    );
}

#[test]
fn what_a_contract_burns_and_tells_twice_is_booked_once() {
    let mut world = paid();
    let mut burnt = pay("t2", "A", "100").from("A");
    burnt = burnt.burnt();
    world.announce_with("ethereum", &[("t2", destroyed("A", 100_000_000))], &[burnt]);
    world.finalize("ethereum", 2);
    assert_eq!((custody(&world), lost(&world)), (0, 100_000_000));
    assert_eq!(world.memory.outflows().len(), 1);
    assert!(world.state("A").contains("case destroyed_funds:ethereum:t2:0 0.00: open"));
}

#[test]
fn what_is_burnt_by_who_holds_the_key_is_not_the_issuers_doing() {
    let mut world = paid();
    world.mine("ethereum", &[pay("t2", "A", "100").from("A").burnt()]);
    world.finalize("ethereum", 2);
    assert_eq!(lost(&world), 0);
    assert!(world.state("A").contains("case unexplained_outflow:ethereum:t2:0 0.00: open"));
}

#[test]
fn as_much_burnt_in_another_transaction_is_something_else() {
    let mut world = paid();
    let burnt = pay("t3", "A", "40").from("A").burnt();
    world.announce_with("ethereum", &[("t2", destroyed("A", 40_000_000))], &[burnt]);
    world.finalize("ethereum", 2);
    assert_eq!((custody(&world), lost(&world)), (20_000_000, 40_000_000));
    says(
        &world.state("A"),
        "paid
        ethereum:t1:0 100.00 credited
        case unexplained_outflow:ethereum:t3:0 0.00: open
        case destroyed_funds:ethereum:t2:0:destroyed 0.00: open",
    );
}

#[test]
fn a_reorg_takes_it_all_back_and_mines_it_again() {
    let mut world = paid();
    let said = [
        ("t2", What::Blacklisted(address("A"))),
        ("t3", destroyed("A", 60_000_000)),
        ("t4", What::Paused),
    ];
    world.announce("ethereum", &said);
    world.fork("ethereum", 1);
    world.mine_unseen("ethereum", 20, &[]);
    world.mine_unseen("ethereum", 30, &[]);
    world.skip();
    world.scan("ethereum").unwrap();
    says(
        &world.news(),
        "notice.orphaned A notice=ethereum:t2:0 address=@A what=blacklisted height=2
        notice.orphaned A notice=ethereum:t3:0 address=@A raw=60000000 what=destroyed height=2
        notice.orphaned notice=ethereum:t4:0 what=paused height=2
        outflow.orphaned A outflow=ethereum:t3:0:destroyed amount=60.00",
    );
    assert_eq!(standing(&world), Standing::default());
    world.finalize("ethereum", 3);
    assert_eq!(custody(&world), 100_000_000);
    world.announce("ethereum", &said);
    world.finalize("ethereum", 4);
    assert_eq!((custody(&world), lost(&world)), (40_000_000, 60_000_000));
    let rounds: Vec<u32> = world.memory.notices().iter().map(|noted| noted.round).collect();
    assert_eq!(rounds, [2, 2, 2]);
    let way = Way::Destroyed;
    let id = OutflowId { chain: chain("ethereum"), tx: tx("t3"), n: 0, way };
    assert_eq!(world.memory.outflow(&id).unwrap().state, OutflowState::Booked);
}

#[test]
fn a_reorg_takes_back_what_is_above_it_and_only_once() {
    let mut world = paid();
    world.announce("ethereum", &[("t2", What::Paused)]);
    world.announce("ethereum", &[("t3", What::Blacklisted(address("A")))]);
    world.fork("ethereum", 2);
    world.skip();
    world.mine("ethereum", &[]);
    says(
        &world.news(),
        "notice.orphaned A notice=ethereum:t3:0 address=@A what=blacklisted height=3",
    );
    assert!(standing(&world).paused.is_some(), "it is below");
    world.fork("ethereum", 2);
    world.mine("ethereum", &[]);
    says(&world.news(), "");
}

#[test]
fn about_whom_it_was_when_it_was_first_seen_it_stays() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    let said = [("t2", What::Blacklisted(address("pool")))];
    world.announce("ethereum", &said);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    world.order("pool", |_| {});
    world.announce("ethereum", &said);
    let noted = &world.memory.notices()[0];
    assert_eq!((&noted.order, noted.round), (&None, 2));
}

#[test]
fn one_look_takes_it_back_and_finds_it_again() {
    let mut world = paid();
    world.announce("ethereum", &[("t2", What::Paused)]);
    world.fork("ethereum", 1);
    world.skip();
    world.announce("ethereum", &[("t2", What::Paused)]);
    says(
        &world.news(),
        "notice.orphaned notice=ethereum:t2:0 what=paused height=2
        token.paused notice=ethereum:t2:0 height=2",
    );
    assert_eq!(world.memory.notices()[0].round, 2);
}

#[test]
fn what_was_missed_is_found_by_reading_again() {
    let mut world = paid();
    world.announce("ethereum", &[]);
    let (header, _) = world.lines["ethereum"].blocks[2];
    world.finalize("ethereum", 2);
    world.skip();
    let notice = payments::notice::Notice {
        tx: tx("t2"),
        n: 0,
        log_index: 0,
        block: header.id,
        time: header.time,
        what: destroyed("A", 100_000_000),
    };
    let (on, transfers) = (chain("ethereum"), Vec::new());
    let rescan = Update::Rescan { chain: on, transfers, notices: vec![notice.clone()] };
    world.apply(&rescan).unwrap();
    assert_eq!((custody(&world), lost(&world)), (0, 100_000_000));
    // The same notice told otherwise is a node that lies, now or then.
    let other = payments::notice::Notice { what: destroyed("A", 1), ..notice };
    let (on, transfers) = (chain("ethereum"), Vec::new());
    let refused = world.apply(&Update::Rescan { chain: on, transfers, notices: vec![other] });
    let why = refused.unwrap_err().to_string();
    assert!(why.contains("is recorded with another text"), "{why}");
}

#[test]
fn one_in_no_block_of_its_scan_contradicts_it() {
    let mut world = paid();
    world.announce("ethereum", &[("t2", What::Paused)]);
    world.fork("ethereum", 1);
    world.mine_unseen("ethereum", 20, &[]);
    let mut scan = world.look_from("ethereum", Some(world.lines["ethereum"].blocks[1].0.id));
    let stray = world.memory.notices()[0].notice.clone();
    scan.notices = vec![stray];
    let refused = world.apply(&Update::Scan(scan)).unwrap_err();
    assert!(refused.to_string().contains("contradicts itself at height 2"), "{refused}");
}
