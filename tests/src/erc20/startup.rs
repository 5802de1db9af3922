//! Endpoints that are not what the config says, at start-up and later; and the check command.

use erc20::{Error, Finality, Source};
use lab::evm::{Chain, ChainSpec, Fault};
use payments::address::Address;
use payments::chain::BlockHash;

use super::rig::{Follower, account, at, chain, config, node, traffic};

#[tokio::test]
async fn what_the_config_says_is_checked_on_every_endpoint() {
    let chain = chain();
    let (good, bad) = (node(&chain).await, node(&chain).await);
    let urls = [good.http_url(), bad.http_url()];
    let source = Source::connect(config(&urls)).await.unwrap();
    assert_eq!(source.genesis(), Some(at(&chain, 0).hash));

    bad.fault(Fault::WrongChainId(56));
    let error = Source::connect(config(&urls)).await.err().unwrap();
    assert!(matches!(error, Error::WrongChain { expected: 1, found: 56, .. }), "{error}");
    bad.heal();
    bad.fault(Fault::WrongDecimals(18));
    let error = Source::connect(config(&urls)).await.err().unwrap();
    assert!(matches!(error, Error::WrongDecimals { expected: 6, .. }), "{error}");
    bad.heal();
    chain.mine_empty(1);
    let mut elsewhere = config(&urls);
    elsewhere.token = Address(account(9).into_array());
    let error = Source::connect(elsewhere).await.err().unwrap();
    assert!(matches!(error, Error::NoCode { .. }), "{error}");
    let mut pinned = config(&urls);
    pinned.genesis = Some(BlockHash([1; 32]));
    let error = Source::connect(pinned).await.err().unwrap();
    assert!(matches!(error, Error::WrongGenesis { .. }), "{error}");
    let other = node_of_another_chain().await;
    let error = Source::connect(config(&[good.http_url(), other.http_url()])).await.err().unwrap();
    assert!(matches!(error, Error::WrongGenesis { .. }), "{error}");
}

async fn node_of_another_chain() -> lab::evm::Node {
    node(&Chain::new(ChainSpec { seed: 7, ..ChainSpec::ethereum() })).await
}

#[tokio::test]
async fn an_endpoint_that_was_down_at_the_start_is_checked_before_it_is_used() {
    let chain = chain();
    let (late, good) = (node_of_another_chain().await, node(&chain).await);
    late.stop().await;
    let mut follower = Follower::new(&[&late, &good]).await;
    let paid = traffic(&chain, 10);
    late.restart().await.unwrap();
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
    let health = follower.source.health();
    assert!(!health[0].verified && health[1].verified);
    assert!(health[0].last_error.as_ref().unwrap().contains("has genesis"), "{health:?}");
}

/// A node that was set up today answers every question, and has nothing yet. It is waited for.
#[tokio::test]
async fn a_node_that_reads_the_chain_for_the_first_time_is_not_a_wrong_one() {
    let chain = chain();
    let (fresh, good) = (node(&chain).await, node(&chain).await);
    let paid = traffic(&chain, 10);
    fresh.fault(Fault::Syncing);
    let error = Source::connect(config(&[fresh.http_url()])).await.err().unwrap();
    let Error::AllEndpointsDown { why, .. } = &error else { panic!("{error}") };
    assert!(why.contains("reads the chain for the first time"), "{why}");
    let reports = Source::inspect(&config(&[fresh.http_url()])).await.unwrap();
    let said = |failure: &erc20::Failure| failure.why.contains("for the first time");
    assert!(reports[0].failures.iter().any(said), "{reports:?}");
    let mut follower = Follower::new(&[&fresh, &good]).await;
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
    assert!(!follower.source.health()[0].verified);
    fresh.heal();
    chain.mine_empty(1);
    follower.catch_up().await;
    assert!(follower.source.health()[0].verified);
}

#[tokio::test]
async fn without_any_endpoint_there_is_no_source() {
    let chain = chain();
    let node = node(&chain).await;
    node.stop().await;
    let error = Source::connect(config(&[node.http_url()])).await.err().unwrap();
    assert!(matches!(error, Error::AllEndpointsDown { .. }), "{error}");
}

#[tokio::test]
async fn no_key_is_ever_told() {
    let chain = chain();
    let node = node(&chain).await;
    node.stop().await;
    let mut config = config(&[format!("{}/v3/s3cr3tk3y?apikey=0th3rs3cr3t", node.http_url())]);
    config.endpoints[0].name = "main".to_owned();
    let shown = format!("{config:?}");
    let error = Source::connect(config).await.err().unwrap();
    for text in [shown, error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("s3cr3t"), "{text}");
        assert!(text.contains("main"), "{text}");
    }
}

#[tokio::test]
async fn a_check_names_each_failure() {
    let chain = chain();
    let (good, behind, down) = (node(&chain).await, node(&chain).await, node(&chain).await);
    chain.mine_empty(20);
    chain.finalize(10);
    let urls = [good.ws_url(), behind.http_url(), down.http_url()];
    let source = Source::connect(config(&urls)).await.unwrap();
    behind.fault(Fault::Lag { blocks: 6, beyond: lab::evm::BeyondTip::Clamp });
    behind.fault(Fault::WrongChainId(56));
    behind.fault(Fault::RangeLimit { dialect: lab::evm::RangeDialect::BscDataseed, blocks: 1 });
    down.stop().await;
    let reports = source.check().await;

    let first = &reports[0];
    assert!(first.failures.is_empty(), "{first:?}");
    assert!(first.reachable && first.logs && first.latency.is_some());
    assert_eq!((first.chain_id, first.tip, first.lag), (Some(1), Some(20), Some(0)));
    assert_eq!((first.finalized, first.has_code), (Some(10), Some(true)));
    assert_eq!(first.decimals.as_deref(), Some("6"));
    assert_eq!(first.symbol.as_deref(), Some("USDT"));
    assert_eq!(first.subscription, Some(true));

    let second = &reports[1];
    assert_eq!((second.lag, second.subscription), (Some(6), None));
    let named: Vec<_> = second.failures.iter().map(|failure| failure.what).collect();
    assert!(named.contains(&"chain id"), "{second:?}");

    let third = &reports[2];
    assert!(!third.reachable && third.tip.is_none() && !third.failures.is_empty());
}

/// A chain without the tag is not asked for it, and nothing is wrong with it for that.
#[tokio::test]
async fn a_check_counts_final_blocks_as_a_scan_does() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine_empty(20);
    for (below, finalized) in [(8, Some(12)), (20, Some(0)), (21, None)] {
        let mut config = config(&[node.http_url()]);
        config.finality = Finality::Blocks(below);
        node.forget_requests();
        let reports = Source::inspect(&config).await.unwrap();
        assert_eq!((reports[0].finalized, reports[0].failures.as_slice()), (finalized, &[][..]));
        assert_eq!(node.requests().count("eth_getBlockByNumber"), 2, "genesis and the tip");
    }
}
