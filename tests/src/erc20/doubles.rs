//! Endpoints that are one node, and forks seen through several.
//!
//! In: nodes under two names, behind, on other branches. Out: whose word counts, and once only.
//! Never: a node that agrees with itself. Why: with two endpoints the second one is the check.

use erc20::{Config, EndpointConfig, Error, Finality, Start};
use lab::evm::{BeyondTip, Fault, Methods, Node};

use super::rig::{Follower, at, chain, config, node, noise, traffic};

/// Two nodes that agree on `common` blocks and on nothing above.
async fn split(common: u64, one: u64, other: u64) -> (Node, Node) {
    let (left, right) = (chain(), chain());
    traffic(&left, common);
    traffic(&right, common);
    right.mine(vec![noise(1)]);
    traffic(&left, one);
    traffic(&right, other - 1);
    (node(&left).await, node(&right).await)
}

/// Both ways to `twice`, and one to `once`.
fn twice_and_once(twice: &Node, once: &Node) -> Config {
    config(&[twice.http_url(), twice.ws_url(), once.http_url()])
}

#[tokio::test]
async fn one_node_by_two_ways_does_not_make_a_block_final() {
    let (hasty, honest) = (chain(), chain());
    traffic(&hasty, 60);
    traffic(&honest, 60);
    hasty.finalize(60);
    hasty.safe(60);
    honest.finalize(25);
    honest.safe(40);
    let (first, second) = (node(&hasty).await, node(&honest).await);
    let mut follower = Follower::with(twice_and_once(&first, &second)).await;
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, Some(at(&honest, 25)));
    assert_eq!(follower.cursor.safe, Some(40));
}

#[tokio::test]
async fn one_node_by_two_ways_is_no_second_opinion() {
    let (one, other) = split(20, 20, 20).await;
    one.chain().finalize(40);
    other.chain().finalize(40);
    let mut follower = Follower::with(twice_and_once(&one, &other)).await;
    let error = follower.stops_at(20).await;
    assert!(matches!(error, Error::Disagree { .. }), "{error}");
}

/// Each block is on its own word only: which branch is the chain's, no header proves.
#[tokio::test]
async fn a_branch_of_one_node_alone_is_not_followed_for_long() {
    for finality in [Finality::Tags, Finality::Blocks(2), Finality::Blocks(10)] {
        let (one, other) = split(20, 1, 1).await;
        let mut config = config(&[one.http_url(), other.http_url()]);
        config.finality = finality;
        let mut follower = Follower::with(config).await;
        let error = loop {
            match follower.step().await {
                Ok(0) => {
                    one.chain().mine(vec![noise(1)]);
                    other.chain().mine(vec![noise(2)]);
                }
                Ok(_) => assert!(follower.height() < 27, "{finality:?}"),
                Err(error) => break error,
            }
            let finalized = follower.cursor.finalized.map_or(0, |block| block.height);
            assert!(finalized <= 20, "{finality:?}");
        };
        assert!(matches!(error, Error::Disagree { .. }), "{finality:?}: {error}");
        let reached = if finality == Finality::Blocks(2) { 22 } else { 26 };
        assert_eq!(follower.height(), reached, "{finality:?}");
    }
}

/// At once, as by a node that made it up while nobody looked.
#[tokio::test]
async fn a_branch_that_is_there_at_once_is_not_recorded() {
    let (one, other) = split(20, 30, 30).await;
    let mut follower = Follower::new(&[&one, &other]).await;
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, Error::Disagree { height: 44, .. }), "{error}");
    assert!(follower.cursor.kept.is_empty());
}

/// Two nodes that are on two branches for a moment, as they are every day.
#[tokio::test]
async fn a_short_branch_is_followed_and_left() {
    let (one, other) = split(20, 3, 3).await;
    let mut follower = Follower::new(&[&one, &other]).await;
    follower.catch_up().await;
    follower.assert_at_tip(&one.chain());
    one.chain().reorg(3, vec![vec![noise(1)], vec![noise(9)]]);
    other.chain().rewind(2);
    follower.catch_up().await;
    one.chain().mine(vec![noise(3)]);
    one.chain().mine(vec![noise(4)]);
    follower.catch_up().await;
    follower.assert_at_tip(&one.chain());
}

/// It says that its chain is long, and shows nothing of it: whoever has the blocks is read.
#[tokio::test]
async fn a_node_that_boasts_is_not_waited_for() {
    let chain = chain();
    let (boaster, honest) = (node(&chain).await, node(&chain).await);
    let mut paid = traffic(&chain, 20);
    let mut both = Follower::new(&[&boaster, &honest]).await;
    both.catch_up().await;
    let mut alone = Follower::new(&[&boaster]).await;
    alone.catch_up().await;
    paid.extend(traffic(&chain, 10));
    boaster.fault(Fault::Gap { heights: 21..=29 });
    honest.fault(Fault::Lag { blocks: 4, beyond: BeyondTip::Refuse });
    both.catch_up().await;
    assert_eq!(both.height(), 26);
    assert_eq!(both.source.health()[0].failed, 0, "to be late with a block is no crime");
    let error = alone.step().await.unwrap_err();
    let Error::Unread { height: 21, why } = &error else { panic!("{error}") };
    assert!(why.contains("does not have height 21, below its newest block 30"), "{why}");
    for node in [&boaster, &honest] {
        node.heal();
    }
    for follower in [&mut both, &mut alone] {
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid);
    }
}

#[tokio::test]
async fn two_nodes_under_one_name_are_two() {
    let (one, other) = split(20, 20, 20).await;
    one.chain().finalize(40);
    other.chain().finalize(40);
    let mut config = config(&[]);
    let named = |node: &Node| EndpointConfig::new("mine", &node.http_url()).unwrap();
    config.endpoints = vec![named(&one), named(&other)];
    let mut follower = Follower::with(config).await;
    let error = follower.stops_at(20).await;
    assert!(matches!(error, Error::Disagree { .. }), "{error}");
}

#[tokio::test]
async fn a_node_below_everything_recorded_is_behind_and_on_no_other_chain() {
    for beyond in [BeyondTip::Refuse, BeyondTip::Clamp] {
        let chain = chain();
        let node = node(&chain).await;
        let mut follower = Follower::new(&[&node]).await;
        traffic(&chain, 60);
        chain.finalize(50);
        follower.catch_up().await;
        node.fault(Fault::Lag { blocks: 20, beyond });
        assert_eq!(follower.step().await.unwrap(), 0);
        node.heal();
        traffic(&chain, 10);
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
    }
}

#[tokio::test]
async fn what_was_safe_on_a_branch_that_is_gone_is_not_safe_on_the_next() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(30);
    chain.finalize(5);
    chain.safe(25);
    follower.catch_up().await;
    assert_eq!(follower.cursor.safe, Some(25));
    chain.reorg(10, vec![vec![]; 12]);
    chain.safe(22);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.cursor.safe, Some(22));
}

#[tokio::test]
async fn a_safe_block_of_another_branch_makes_nothing_safe() {
    let (one, other) = split(20, 3, 3).await;
    for node in [&one, &other] {
        node.chain().finalize(10);
    }
    one.chain().safe(22);
    other.chain().safe(23);
    let mut follower = Follower::new(&[&one, &other]).await;
    follower.catch_up().await;
    follower.assert_at_tip(&one.chain());
    assert!(follower.cursor.safe <= Some(20), "{:?}", follower.cursor.safe);
}

#[tokio::test]
async fn scanning_begins_on_the_branch_it_goes_on_with() {
    // The preferred endpoint is behind, and on a branch of its own.
    let (behind, ahead) = split(20, 5, 20).await;
    let mut config = config(&[behind.http_url(), ahead.http_url()]);
    config.start = Start::Height(24);
    config.finality = Finality::Blocks(1_000_000);
    let mut follower = Follower::with(config).await;
    follower.catch_up().await;
    follower.assert_at_tip(&ahead.chain());
}

#[tokio::test]
async fn a_branch_that_ends_below_what_is_recorded_is_not_gone_to() {
    let (behind, ahead) = split(20, 3, 20).await;
    let mut follower = Follower::new(&[&ahead, &behind]).await;
    follower.catch_up().await;
    assert_eq!(follower.height(), 40);
    // The way to the new tip leads through blocks that the node does not give.
    ahead.chain().reorg(3, vec![vec![]; 5]);
    ahead.fault(Fault::Error {
        methods: Methods::only(&["eth_getBlockByHash"]),
        http_status: 502,
        body: String::new(),
        times: Some(1),
    });
    let before = follower.cursor.clone();
    follower.step().await.unwrap_err();
    assert_eq!(follower.cursor, before);
    follower.catch_up().await;
    follower.assert_at_tip(&ahead.chain());
}

#[tokio::test]
async fn the_first_recorded_block_may_be_replaced_while_nothing_is_final() {
    for (depth, blocks) in [(1, 1), (1, 2), (3, 3), (3, 5)] {
        let chain = chain();
        let node = node(&chain).await;
        chain.mine_empty(12);
        let mut config = config(&[node.http_url()]);
        config.start = Start::Height(10);
        config.finality = Finality::Blocks(1_000_000);
        let mut follower = Follower::with(config).await;
        follower.catch_up().await;
        chain.rewind(3 - depth);
        chain.reorg(depth, vec![vec![]; blocks]);
        follower.catch_up().await;
        assert_eq!(follower.cursor.last().unwrap().id, at(&chain, chain.tip().height));
    }
}
