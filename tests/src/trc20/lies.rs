//! Nodes that are wrong, one way each, beside an honest one.

use std::sync::Arc;
use std::time::Duration;

use lab::tron::{Chain, ChainSpec, Fault, Genesis, Node, Paths, Spoil};
use payments::chain::TxHash;
use payments::lookup::Transaction;
use serde_json::{Value, json};
use trc20::{Config, Error};

use super::rig::{
    Follower, at, chain, config, endpoint, grid, keyed, node, noise, pay, seen, traffic,
};

#[tokio::test]
async fn what_one_endpoint_spoils_another_makes_good() {
    let chain = chain();
    let paid = traffic(&chain, 100);
    for spoil in [
        Spoil::NoInfos,
        Spoil::ShortInfos,
        Spoil::TurnedInfos,
        Spoil::ForeignInfos,
        Spoil::BlockId,
        Spoil::Parent,
        Spoil::TxId,
    ] {
        let (liar, honest) = (node(&chain).await, node(&chain).await);
        liar.fault(Fault::Spoilt { heights: 10..=80, how: spoil });
        // One that was seen to lie is not asked for its opinion either.
        let rest = Arc::new(|_| Duration::from_secs(3_600));
        let mut follower = Follower::with(Config { rest, ..config(&[&liar, &honest]) }).await;
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.seen(), paid, "{spoil:?}");
    }
}

#[tokio::test]
async fn near_the_tip_too() {
    let chain = chain();
    chain.mine_empty(30);
    for spoil in [Spoil::NoInfos, Spoil::ForeignInfos, Spoil::BlockId, Spoil::Parent, Spoil::TxId] {
        let (liar, honest) = (node(&chain).await, node(&chain).await);
        let mut follower = Follower::new(&[&liar, &honest]).await;
        follower.catch_up().await;
        liar.fault(Fault::Spoilt { heights: 31..=1_000, how: spoil });
        let height = chain.mine(vec![pay(1, 5).tagged(chain.tip().height)]).height;
        follower.catch_up_stubbornly(20).await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.seen().last(), Some(&seen(height, 1, 5)), "{spoil:?}");
    }
}

/// Headers hold the transactions and not their logs, so one endpoint can leave out a payment and
/// be believed. A second one shows it, to whoever asks both.
#[tokio::test]
async fn an_omitted_log_is_seen_by_nobody_but_a_second_endpoint() {
    let chain = chain();
    chain.mine_empty(5);
    chain.mine(vec![pay(1, 5)]);
    chain.mine_empty(30);
    let (liar, honest) = (node(&chain).await, node(&chain).await);
    let tx = chain.transactions(6)[0];
    liar.fault(Fault::OmitLogs { tx });
    let mut follower = Follower::new(&[&liar, &honest]).await;
    follower.catch_up().await;
    assert_eq!(follower.seen(), []);
    let error = follower.source.corroborate(6, &follower.watch).await.unwrap_err();
    assert!(matches!(error, Error::OtherTransfers { height: 6, .. }), "{error}");
    liar.heal();
    let found = follower.source.corroborate(6, &follower.watch).await.unwrap();
    assert_eq!(found.transfers.len(), 1);
    let alone = Follower::new(&[&honest]).await;
    let error = alone.source.corroborate(6, &alone.watch).await.unwrap_err();
    assert!(matches!(error, Error::GaveUp { .. }), "{error}");
}

/// So is a refund whose log is left out not called unpaid where a second server can be asked.
#[tokio::test]
async fn a_transaction_is_what_two_servers_say_it_is() {
    let chain = chain();
    chain.mine_empty(5);
    chain.mine(vec![pay(1, 5)]);
    chain.mine_empty(30);
    let (one, other) = (node(&chain).await, node(&chain).await);
    let name = chain.transactions(6)[0];
    let tx = TxHash(name.0);
    let both = Follower::new(&[&one, &other]).await.source;
    let alone = Follower::new(&[&one]).await.source;
    let whole = both.corroborate_transaction(tx).await.unwrap();
    let Transaction::Mined(mined) = &whole else { panic!("{whole:?}") };
    assert_eq!((mined.succeeded, mined.transfers.len()), (true, 1));
    one.fault(Fault::OmitLogs { tx: name });
    let error = both.corroborate_transaction(tx).await.unwrap_err();
    assert!(matches!(error, Error::OtherTransfers { height: 6, .. }), "{error}");
    let believed = alone.corroborate_transaction(tx).await.unwrap();
    assert!(matches!(believed, Transaction::Mined(mined) if mined.transfers.is_empty()));
    // One that is behind does not know it yet: it is waited for.
    one.heal();
    other.fault(Fault::Lag { blocks: 35 });
    assert_eq!(both.corroborate_transaction(tx).await.unwrap(), Transaction::NotFound);
    other.heal();
    assert_eq!(both.corroborate_transaction(tx).await.unwrap(), whole);
}

/// Two ways to one server are not two that say so.
#[tokio::test]
async fn what_one_server_says_twice_is_said_once() {
    let chain = chain();
    chain.mine_empty(5);
    chain.mine(vec![pay(1, 5)]);
    chain.mine_empty(30);
    let (liar, honest) = (grid(&chain).await, node(&chain).await);
    let name = chain.transactions(6)[0];
    liar.fault(Fault::OmitLogs { tx: name });
    let ways = || vec![keyed("first", &liar, "key-one"), keyed("second", &liar, "key-two")];
    let mut thrice = ways();
    thrice.push(endpoint("third", &honest));
    let three = Follower::with(Config { endpoints: thrice, ..config(&[]) }).await;
    let error = three.source.corroborate_transaction(TxHash(name.0)).await.unwrap_err();
    assert!(matches!(error, Error::OtherTransfers { height: 6, .. }), "{error}");
    let error = three.source.corroborate(6, &three.watch).await.unwrap_err();
    assert!(matches!(error, Error::OtherTransfers { height: 6, .. }), "{error}");
    // Without the other there is one server, whose word is taken as that of a single one is.
    let alone = Follower::with(Config { endpoints: ways(), ..config(&[]) }).await.source;
    let believed = alone.corroborate_transaction(TxHash(name.0)).await.unwrap();
    assert!(matches!(believed, Transaction::Mined(mined) if mined.transfers.is_empty()));
}

/// Both show headers that hash; they cannot both be solidified.
#[tokio::test]
async fn two_solidified_chains_are_a_persons_matter() {
    let spec = |seed| Chain::new(ChainSpec { seed, ..ChainSpec::tron() });
    let (one, other) = (spec(1), spec(2));
    one.mine_empty(60);
    other.mine_empty(60);
    let (first, second) = (node(&one).await, node(&other).await);
    let mut follower = Follower::new(&[&first, &second]).await;
    let error = loop {
        match follower.step().await {
            Ok(blocks) => assert!(blocks > 0),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Disagree { .. }), "{error}");
    assert!(error.to_string().contains("second"), "{error}");
}

#[tokio::test]
async fn no_endpoint_alone_makes_a_block_final() {
    let chain = chain();
    let (eager, slow) = (node(&chain).await, node(&chain).await);
    chain.mine_empty(60);
    slow.fault(Fault::SolidityLag { blocks: 15 });
    let mut follower = Follower::new(&[&eager, &slow]).await;
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, Some(at(&chain, 42 - 15)));
    follower.assert_at_tip(&chain);
}

/// What a node answers to a question of the full node's.
async fn asked(node: &Node, method: &str, question: Value) -> Value {
    let client = reqwest::Client::new();
    let url = format!("{}/wallet/{method}", node.url());
    let answer = client.post(url).body(question.to_string()).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// From here on it answers this and nothing else.
fn says(node: &Node, method: &str, answer: &Value) {
    let path = format!("/wallet/{method}");
    let (paths, body) = (Paths::under(&[&path]), answer.to_string());
    node.fault(Fault::Say { paths, status: 200, body, times: None });
}

/// It says that its chain is long, and shows nothing of it: whoever has the blocks is read.
#[tokio::test]
async fn a_node_that_boasts_is_not_waited_for() {
    let chain = chain();
    let (boaster, honest) = (node(&chain).await, node(&chain).await);
    let mut paid = traffic(&chain, 20);
    let mut both = Follower::new(&[&boaster, &honest]).await;
    both.catch_up().await;
    paid.extend(traffic(&chain, 10));
    says(&boaster, "getblockbylimitnext", &json!({}));
    honest.fault(Fault::Lag { blocks: 4 });
    both.catch_up().await;
    assert_eq!(both.height(), 26);
    honest.heal();
    both.catch_up().await;
    assert_eq!(both.seen(), paid);
}

/// What is recorded may be on a branch that is gone, and a node that shows nothing new says nothing
/// about it, however much it calls solidified.
#[tokio::test]
async fn what_is_not_shown_does_not_make_final_what_is_recorded() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(30);
    follower.catch_up().await;
    let solid = follower.cursor.finalized;
    chain.reorg(3, vec![vec![pay(4, 5)]; 33]);
    says(&node, "getblockbylimitnext", &json!({}));
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, Error::Unread { height: 31, .. }), "{error}");
    assert_eq!(follower.cursor.finalized, solid);
    node.heal();
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
}

/// A node that is followed shows one block of a branch of its own, and calls it solidified: the
/// other node is asked what it has there, though what it calls solidified lies further up.
#[tokio::test]
async fn a_block_of_one_node_alone_does_not_become_final() {
    let (made_up, real) = (chain(), chain());
    for chain in [&made_up, &real] {
        chain.mine_empty(20);
    }
    let (liar, honest) = (node(&made_up).await, node(&real).await);
    let mut follower = Follower::new(&[&liar, &honest]).await;
    follower.catch_up().await;
    made_up.mine(vec![pay(4, 5)]);
    made_up.mine_empty(24);
    real.mine_empty(25);
    let one = asked(&liar, "getblockbylimitnext", json!({"startNum": 21, "endNum": 22})).await;
    liar.fault(Fault::Say {
        paths: Paths::under(&["/wallet/getblockbylimitnext"]),
        status: 200,
        body: one.to_string(),
        times: Some(1),
    });
    says(&liar, "getblockbylimitnext", &json!({}));
    liar.fault(Fault::SolidityLag { blocks: 6 });
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, Error::Disagree { height: 21, .. }), "{error}");
    assert_eq!((follower.height(), follower.seen()), (20, vec![]));
}

/// The followed node leaves a payment out of a block, and out of its infos. The other one, which is
/// asked for them first, is not the one that lies.
#[tokio::test]
async fn a_block_that_two_nodes_tell_differently_is_waited_for() {
    let chain = chain();
    let (honest, liar) = (node(&chain).await, node(&chain).await);
    let mut follower = Follower::new(&[&honest, &liar]).await;
    chain.mine_empty(30);
    follower.catch_up().await;
    chain.mine(vec![noise(1), pay(3, 5)]);
    chain.mine_empty(5);
    let mut blocks =
        asked(&liar, "getblockbylimitnext", json!({"startNum": 31, "endNum": 37})).await;
    blocks["block"][0]["transactions"].as_array_mut().unwrap().pop();
    let mut infos = asked(&liar, "gettransactioninfobyblocknum", json!({"num": 31})).await;
    infos.as_array_mut().unwrap().pop();
    says(&liar, "getblockbylimitnext", &blocks);
    says(&liar, "gettransactioninfobyblocknum", &infos);
    honest.fault(Fault::Lag { blocks: 4 });
    let error = follower.step().await.unwrap_err();
    let Error::Unread { height: 31, why } = &error else { panic!("{error}") };
    assert!(why.contains("second and first tell it differently"), "{why}");
    assert_eq!(follower.source.health()[0].failed, 0);
    liar.heal();
    honest.heal();
    follower.catch_up().await;
    assert_eq!(follower.seen(), [seen(31, 3, 5)]);
}

#[tokio::test]
async fn another_network_is_refused_even_later() {
    let chain = chain();
    chain.mine_empty(30);
    let other = Chain::new(ChainSpec { genesis: Genesis::Own(7), ..ChainSpec::tron() });
    other.mine_empty(99);
    let (honest, stranger) = (node(&chain).await, node(&other).await);
    // Down at first, so that it is not checked at start-up.
    stranger.fault(Fault::Drop { paths: Paths::all(), times: None });
    let mut follower = Follower::with(config(&[&honest, &stranger])).await;
    stranger.heal();
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    let health = follower.source.health();
    assert!(!health[1].verified, "{health:?}");
    assert!(health[1].last_error.as_ref().unwrap().contains("genesis"), "{health:?}");
}

/// Two keys at one provider are one server, which agrees with itself whatever it says.
#[tokio::test]
async fn one_server_by_two_keys_is_one_opinion() {
    let chain = chain();
    let (eager, slow) = (grid(&chain).await, node(&chain).await);
    chain.mine_empty(60);
    slow.fault(Fault::SolidityLag { blocks: 15 });
    let twice = vec![
        keyed("first", &eager, "key-one"),
        keyed("second", &eager, "key-two"),
        endpoint("third", &slow),
    ];
    let mut follower = Follower::with(Config { endpoints: twice, ..config(&[]) }).await;
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, Some(at(&chain, 42 - 15)));
    let only = vec![keyed("first", &eager, "key-one"), keyed("second", &eager, "key-two")];
    let alone = Follower::with(Config { endpoints: only, ..config(&[]) }).await;
    let error = alone.source.corroborate(6, &alone.watch).await.unwrap_err();
    assert!(matches!(error, Error::GaveUp { .. }), "{error}");
}

/// The way to the new tip leads through blocks that the leader does not give, and the other
/// endpoint's fork ended long ago.
#[tokio::test]
async fn a_fork_that_ends_below_what_is_recorded_is_not_gone_to() {
    let (ahead, behind) = (chain(), chain());
    for chain in [&ahead, &behind] {
        chain.mine_empty(20);
    }
    behind.mine(vec![noise(1)]);
    ahead.mine_empty(20);
    let (first, second) = (node(&ahead).await, node(&behind).await);
    let mut follower = Follower::new(&[&first, &second]).await;
    follower.catch_up().await;
    assert_eq!(follower.height(), 40);
    ahead.reorg(3, vec![vec![]; 5]);
    first.fault(Fault::Drop { paths: Paths::under(&["/wallet/getblockbyid"]), times: Some(1) });
    let before = follower.cursor.clone();
    follower.step().await.unwrap_err();
    assert_eq!(follower.cursor, before);
    follower.catch_up().await;
    follower.assert_at_tip(&ahead);
}
