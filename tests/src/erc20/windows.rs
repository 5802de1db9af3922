//! Below the finalized height: windows, and every provider's way to say that one is too large.

use std::sync::Arc;

use erc20::{Config, Error};
use lab::evm::{Fault, Methods, RangeDialect, ResultDialect};

use super::rig::{Follower, at, chain, config, node, pay, seen, traffic};

#[tokio::test]
async fn windows_and_single_blocks_read_the_same() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 500);
    let mut singly = Follower::new(&[&node]).await;
    singly.catch_up().await;
    chain.finalize(480);
    node.forget_requests();
    let mut windows = Follower::new(&[&node]).await;
    windows.catch_up().await;
    assert_eq!(windows.seen(), paid);
    assert_eq!(windows.recorded, singly.recorded);
    windows.assert_at_tip(&chain);
    assert_eq!(windows.cursor.finalized, Some(at(&chain, 480)));
    let asked = node.requests().count("eth_getLogs");
    assert!(asked < 60, "{asked} questions for 500 blocks");
}

#[tokio::test]
async fn a_cursor_that_goes_elsewhere_is_followed() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 400);
    chain.finalize(390);
    let mut follower = Follower::new(&[&node]).await;
    // A poll whose commit was refused: the same stretch is asked for again.
    let first = follower.poll().await.unwrap();
    let again = follower.poll().await.unwrap();
    assert_eq!(first.blocks[0], again.blocks[0]);
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn a_poll_that_is_dropped_loses_nothing() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 400);
    chain.finalize(390);
    let mut follower = Follower::new(&[&node]).await;
    let source = Arc::new(follower.source);
    let hang = node.fault(Fault::Hang { methods: Methods::only(&["eth_getLogs"]), times: None });
    let (polled, cursor, watch) =
        (Arc::clone(&source), follower.cursor.clone(), Arc::clone(&follower.watch));
    let poll = tokio::spawn(async move {
        polled.poll(&cursor, async || Ok(Arc::clone(&watch))).await.map(|scan| scan.blocks.len())
    });
    while node.requests().count("eth_getLogs") == 0 {
        tokio::task::yield_now().await;
    }
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled());
    node.heal_one(hang);
    follower.source = Arc::into_inner(source).unwrap();
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn a_fork_that_became_final_while_nobody_looked_is_found() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(30);
    chain.finalize(20);
    chain.mine(vec![pay(1, 1)]);
    chain.mine(vec![pay(2, 2)]);
    follower.catch_up().await;
    chain.reorg(2, vec![vec![], vec![pay(2, 2)]]);
    let mut paid = vec![seen(32, 2, 2)];
    paid.extend(traffic(&chain, 300));
    chain.finalize(320);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn windows_are_read_several_at_once_and_no_more_than_the_config_says() {
    // A look at the chain's end asks for three blocks at once.
    for in_flight in [4, 6] {
        let chain = chain();
        let node = node(&chain).await;
        let paid = traffic(&chain, 100);
        chain.finalize(100);
        // An answer that takes its time lets as many requests gather as ever will.
        node.fault(Fault::Delay { ms: 5 });
        let config = Config { in_flight, window: 10, ..config(&[node.http_url()]) };
        let mut follower = Follower::with(config).await;
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid);
        assert_eq!(node.requests().most_at_once, u64::try_from(in_flight).unwrap());
    }
}

#[tokio::test]
async fn every_dialect_of_a_range_limit_is_understood() {
    for dialect in [
        RangeDialect::Infura,
        RangeDialect::AlchemyFree,
        RangeDialect::QuickNode,
        RangeDialect::PublicNode,
        RangeDialect::Drpc,
        RangeDialect::OneRpc,
        RangeDialect::Ankr,
        RangeDialect::Tenderly,
        RangeDialect::Geth,
        RangeDialect::Reth,
        RangeDialect::Erigon,
        RangeDialect::Avalanche,
        RangeDialect::Cloudflare,
    ] {
        let chain = chain();
        let node = node(&chain).await;
        let paid = traffic(&chain, 200);
        chain.finalize(200);
        node.fault(Fault::RangeLimit { dialect, blocks: 10 });
        let mut follower = Follower::new(&[&node]).await;
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid, "{dialect:?}");
        let asked = node.requests().count("eth_getLogs");
        assert!(asked < 80, "{dialect:?}: {asked} questions where 20 answers hold everything");
        assert_eq!(follower.source.health()[0].failed, 0, "{dialect:?}");
    }
}

#[tokio::test]
async fn every_dialect_of_a_result_limit_is_understood() {
    for dialect in [
        ResultDialect::Infura,
        ResultDialect::Alchemy,
        ResultDialect::Reth,
        ResultDialect::Jsonrpsee,
        ResultDialect::Nethermind,
        ResultDialect::Erigon,
        ResultDialect::ZkSync,
        ResultDialect::Aurora,
        ResultDialect::Arbitrum,
        ResultDialect::Optimism,
    ] {
        let chain = chain();
        let node = node(&chain).await;
        let mut paid = traffic(&chain, 100);
        // A block that alone is too much: only its receipts can tell.
        let crowd = (0..40).map(|n| pay(9, n).tagged(1000 + n)).collect();
        let height = chain.mine(crowd).height;
        paid.extend((0..40).map(|n| seen(height, 9, n)));
        paid.extend(traffic(&chain, 20));
        chain.finalize(chain.tip().height);
        node.fault(Fault::ResultLimit { dialect, logs: 30 });
        let mut follower = Follower::new(&[&node]).await;
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid, "{dialect:?}");
        assert_eq!(follower.source.health()[0].failed, 0, "{dialect:?}");
    }
}

#[tokio::test]
async fn what_no_smaller_range_helps_against_is_asked_elsewhere_or_given_up() {
    for dialect in [RangeDialect::PublicNodeDepth, RangeDialect::BscDataseed] {
        let chain = chain();
        let (poor, rich) = (node(&chain).await, node(&chain).await);
        let paid = traffic(&chain, 120);
        chain.finalize(120);
        poor.fault(Fault::RangeLimit { dialect, blocks: 10 });
        let mut alone = Follower::new(&[&poor]).await;
        let error = alone.step().await.unwrap_err();
        assert!(matches!(error, Error::GaveUp { .. }), "{dialect:?}: {error}");
        let asked = poor.requests().count("eth_getLogs");
        assert!(asked <= 3, "{dialect:?} was asked {asked} times");
        let mut both = Follower::new(&[&poor, &rich]).await;
        both.catch_up().await;
        assert_eq!(both.seen(), paid, "{dialect:?}");
    }
}

#[tokio::test]
async fn headers_come_singly_where_batches_are_refused() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 60);
    chain.finalize(60);
    let mut config = config(&[node.http_url()]);
    config.window = 30;
    let mut follower = Follower::with(config).await;
    node.fault(Fault::Error {
        methods: Methods::only(&["eth_getBlockByNumber"]),
        http_status: 400,
        body: r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#
            .to_owned(),
        times: Some(6),
    });
    follower.catch_up_stubbornly(5).await;
    assert_eq!(follower.seen(), paid);
}
