//! What the token's contract answers when it is asked, example by example.

use std::collections::BTreeMap;

use payments::address::Address;
use payments::changes::Update;
use payments::contract::{Answers, fee, truth};
use payments::notice::{Standing, What};
use ruint::aliases::U256;

use super::world::{World, address, chain, pay, says};

/// The contract answers that all is well, after the block at `height`.
fn well(world: &World, height: u64) -> Answers {
    let (header, _) = world.lines["ethereum"].blocks[usize::try_from(height).unwrap()];
    Answers {
        block: header.id,
        time: header.time,
        paused: Some(false),
        deprecated: Some(None),
        fee: Some((0, U256::ZERO)),
        blacklisted: Some(BTreeMap::new()),
    }
}

fn asked(world: &mut World, answers: Answers) {
    world.apply(&Update::Asked { chain: chain("ethereum"), answers }).unwrap();
}

fn listed(accounts: &[(&str, bool)]) -> Option<BTreeMap<Address, bool>> {
    Some(accounts.iter().map(|(name, listed)| (address(name), *listed)).collect())
}

fn standing(world: &World) -> Standing {
    Standing::of(world.memory.notices().iter().map(|noted| (**noted).clone()).collect())
}

fn paused(world: &World) -> Option<String> {
    world.memory.cursor(&chain("ethereum")).unwrap().paused.clone()
}

/// Orders A and B, and five final blocks.
fn world() -> World {
    let mut world = World::new();
    for name in ["A", "B"] {
        world.order(name, |_| {});
    }
    for _ in 0..5 {
        world.mine("ethereum", &[]);
    }
    world.finalize("ethereum", 4);
    world.skip();
    world
}

#[test]
fn what_the_books_know_is_not_recorded_again() {
    let mut world = world();
    let answers = well(&world, 4);
    asked(&mut world, Answers { blacklisted: listed(&[("A", false)]), ..answers });
    assert_eq!((world.news().as_str(), standing(&world)), ("", Standing::default()));
    world.announce("ethereum", &[("t2", What::Paused)]);
    world.finalize("ethereum", 6);
    world.skip();
    let answers = well(&world, 6);
    asked(&mut world, Answers { paused: Some(true), ..answers });
    assert_eq!(world.news(), "");
    // The answer is as of its block: what a later log says is not contradicted by it.
    let answers = well(&world, 5);
    asked(&mut world, answers);
    assert_eq!(world.news(), "");
    assert_eq!(standing(&world).paused.unwrap().notice.block.height, 6);
}

#[test]
fn what_was_done_before_the_first_block_is_recorded_once() {
    let mut world = world();
    let answers = Answers {
        paused: Some(true),
        fee: Some((10, U256::from(5_000_000))),
        blacklisted: listed(&[("A", true), ("B", false), ("thief", true)]),
        ..well(&world, 4)
    };
    asked(&mut world, answers.clone());
    let id = format!("ethereum:{}", answers.block.hash);
    let news = world.news().replace(&id, "asked");
    says(
        &news,
        "token.paused notice=asked:0 told_by=contract height=4
        token.fee_set notice=asked:1 points=10 most=5000000 told_by=contract height=4
        address.blacklisted A notice=asked:2 address=@A told_by=contract height=4",
    );
    let now = standing(&world);
    assert!(now.paused.is_some() && now.fee.is_some() && now.blacklisted.len() == 1);
    assert_eq!(paused(&world), None, "a pause and a fee stop nothing");
    asked(&mut world, answers.clone());
    // And after the same block about another address.
    asked(&mut world, Answers { blacklisted: listed(&[("B", true)]), ..answers.clone() });
    says(
        &world.news().replace(&id, "asked"),
        "address.blacklisted B notice=asked:3 address=@B told_by=contract height=4",
    );
    // What a log says afterwards ends it.
    world.announce("ethereum", &[("t2", What::Unpaused), ("t3", What::Released(address("A")))]);
    let now = standing(&world);
    assert!(now.paused.is_none() && now.fee.is_some() && now.blacklisted.len() == 1);
}

#[test]
fn a_log_that_the_books_did_not_read_is_made_good() {
    let mut world = world();
    world.announce("ethereum", &[("t2", What::Paused), ("t3", What::Blacklisted(address("A")))]);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 7);
    world.skip();
    let answers = well(&world, 7);
    asked(&mut world, Answers { blacklisted: listed(&[("A", false)]), ..answers.clone() });
    let id = format!("ethereum:{}", answers.block.hash);
    says(
        &world.news().replace(&id, "asked"),
        "token.unpaused notice=asked:0 told_by=contract height=7
        address.released A notice=asked:1 address=@A told_by=contract height=7",
    );
    assert_eq!(standing(&world), Standing::default());
}

#[test]
fn what_the_contract_has_no_method_for_is_unknown() {
    let mut world = world();
    world.announce("ethereum", &[("t2", What::Paused), ("t3", What::Blacklisted(address("A")))]);
    world.finalize("ethereum", 6);
    world.skip();
    let (block, time) = (well(&world, 6).block, well(&world, 6).time);
    let (paused, deprecated, fee, blacklisted) = (None, None, None, None);
    asked(&mut world, Answers { block, time, paused, deprecated, fee, blacklisted });
    assert_eq!(world.news(), "");
    let now = standing(&world);
    assert!(now.paused.is_some() && now.blacklisted.len() == 1);
}

#[test]
fn a_contract_that_is_deprecated_pauses_the_chain_once() {
    let mut world = world();
    let other = Some(Some(address("other")));
    let answers = Answers { deprecated: other, ..well(&world, 4) };
    asked(&mut world, answers.clone());
    let why = paused(&world).unwrap();
    assert!(why.starts_with("the token is deprecated, as its contract says after block 4: "));
    assert!(world.news().contains("token.deprecated") && standing(&world).deprecated.is_some());
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    assert!(world.state("A").starts_with("confirming"), "{}", world.state("A"));
    let (by, why) = ("maria".to_owned(), "the config names the new one".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
    world.mine("ethereum", &[]);
    assert!(world.state("A").starts_with("paid"));
    // Asked again at the next start it stops nothing.
    asked(&mut world, answers);
    world.finalize("ethereum", 7);
    let answers = Answers { deprecated: other, ..well(&world, 7) };
    asked(&mut world, answers);
    assert_eq!(paused(&world), None);
}

#[test]
fn the_log_of_a_deprecation_that_was_heeded_stops_nothing_again() {
    let mut world = world();
    // The books are behind: the contract is asked after a block that they do not have.
    world.mine_unseen("ethereum", 200, &[]);
    world.mine_unseen("ethereum", 210, &[]);
    let answers = Answers { deprecated: Some(Some(address("other"))), ..well(&world, 7) };
    asked(&mut world, answers);
    let (by, why) = ("maria".to_owned(), "it is read out".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
    let late = world.lines["ethereum"].blocks[6].0;
    let said = payments::notice::Notice {
        tx: super::world::tx("t2"),
        n: 0,
        log_index: 0,
        block: late.id,
        time: late.time,
        what: What::Deprecated(address("other")),
    };
    world.lines.get_mut("ethereum").unwrap().notices.insert(late.id.hash, vec![said]);
    world.scan("ethereum").unwrap();
    assert_eq!(paused(&world), None);
    // Since when is what the log says.
    assert_eq!(standing(&world).deprecated.unwrap().notice.block.height, 6);
}

#[test]
fn a_deprecation_after_the_answer_stops_again() {
    let mut world = world();
    let other = address("other");
    let answers = Answers { deprecated: Some(Some(other)), ..well(&world, 5) };
    asked(&mut world, answers);
    let (by, why) = ("maria".to_owned(), "it is read out".to_owned());
    world.apply(&Update::Resume { chain: chain("ethereum"), by, why }).unwrap();
    // The issuer says it once more in a block that the answer is not about.
    world.announce("ethereum", &[("t2", What::Deprecated(other))]);
    assert!(paused(&world).unwrap().starts_with("the token was deprecated in block 6: "));
}

#[test]
fn an_ordinary_reorg_leaves_it_and_another_branch_takes_it_back() {
    let mut world = world();
    world.mine_unseen("ethereum", 200, &[]);
    world.mine_unseen("ethereum", 210, &[]);
    let answers = Answers { paused: Some(true), ..well(&world, 7) };
    asked(&mut world, answers);
    world.skip();
    // The last recorded block was replaced below it while nobody looked.
    world.fork("ethereum", 4);
    world.mine_unseen("ethereum", 200, &[]);
    world.mine_unseen("ethereum", 210, &[]);
    world.scan("ethereum").unwrap();
    assert!(!world.news().contains("notice.orphaned"), "it is above what is recorded, and final");
    assert!(standing(&world).paused.is_some());
    world.lose("ethereum", 2);
    assert!(world.news().contains("notice.orphaned"));
    assert_eq!(standing(&world), Standing::default());
}

#[test]
fn a_block_that_is_not_the_books_is_refused() {
    let mut world = world();
    let mut answers = Answers { paused: Some(true), ..well(&world, 4) };
    answers.block.hash.0[9] ^= 1;
    let update = Update::Asked { chain: chain("ethereum"), answers };
    assert!(world.apply(&update).is_err());
    assert_eq!(standing(&world), Standing::default());
}

#[test]
fn a_word_is_a_yes_a_no_or_no_answer() {
    let answers = [0u64, 1, 2].map(|word| truth(U256::from(word)));
    assert_eq!(answers, [Some(false), Some(true), None]);
    assert_eq!(truth(U256::MAX), None);
}

/// One contract has no such method, another answers for one half of it: neither is a fee of zero.
#[test]
fn a_fee_is_known_where_the_contract_answers_for_both_halves() {
    let [ten, five] = [10u64, 5].map(U256::from);
    assert_eq!(fee(Some(ten), Some(five)), Some((10, five)));
    assert_eq!((fee(None, Some(five)), fee(Some(ten), None)), (None, None));
    assert_eq!(fee(Some(U256::MAX), Some(five)), Some((u32::MAX, five)));
}
