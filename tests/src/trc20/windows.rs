//! Far below the tip: windows in flight, mainnet's load, one block a time where it must be.

use lab::tron::{Asker, Chain, Fault, Limit, Paths, Spoil, Tx};

use super::rig::{Follower, account, chain, grid, node, noise, pay, seen, traffic};

#[tokio::test]
async fn a_catch_up_finds_everything_in_order() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 500);
    let mut follower = Follower::new(&[&node]).await;
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), paid);
    let asked = node.requests();
    // One request for ten blocks, and one for the infos of each block that has any.
    let infos = asked.count("/wallet/gettransactioninfobyblocknum");
    let empty = (1..=500u64).filter(|h| h.is_multiple_of(7) && !h.is_multiple_of(5)).count();
    assert_eq!(infos, 500 - u64::try_from(empty).unwrap());
    let blocks = asked.count_under("/wallet/getblockby");
    assert!((50..60).contains(&blocks), "{blocks}");
}

#[tokio::test]
async fn a_node_that_gives_one_block_a_time_is_asked_so() {
    let chain = chain();
    let node = node(&chain).await;
    let missing = "<html><title>Error 405 HTTP method POST is not supported by this URL</title>";
    node.fault(Fault::Say {
        paths: Paths::under(&["/wallet/getblockbylimitnext"]),
        status: 405,
        body: missing.to_owned(),
        times: None,
    });
    let paid = traffic(&chain, 100);
    let mut follower = Follower::new(&[&node]).await;
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), paid);
    // Each window that was under way had to see it once.
    assert!((1..=4).contains(&node.requests().count("/wallet/getblockbylimitnext")));
    assert_eq!(node.requests().count("/wallet/getblockbynum"), 100);
}

#[tokio::test]
async fn what_fails_on_the_way_is_asked_again_and_nothing_is_skipped() {
    let chain = chain();
    let node = grid(&chain).await;
    let paid = traffic(&chain, 300);
    let mut follower = Follower::new(&[&node]).await;
    let infos = || Paths::under(&["/wallet/gettransactioninfobyblocknum"]);
    node.fault(Fault::Drop { paths: infos(), times: Some(3) });
    node.fault(Fault::Truncate { paths: infos(), times: Some(3) });
    node.fault(Fault::busy(Paths::under(&["/wallet/getblockbylimitnext"]), Some(2)));
    node.fault(Fault::Suspended {
        paths: infos(),
        status: 403,
        words: Limit::KeyWithoutSpace,
        seconds: 0,
        answered: 25,
        refused: Some(2),
        asker: Asker::Anyone,
    });
    follower.catch_up_stubbornly(200).await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), paid);
    assert!(follower.source.health()[0].throttled > 0);
}

#[tokio::test]
async fn a_block_that_cannot_be_read_holds_the_chain_at_its_height() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 100);
    for spoil in [Spoil::NoInfos, Spoil::ShortInfos, Spoil::TurnedInfos, Spoil::ForeignInfos] {
        let mut follower = Follower::new(&[&node]).await;
        let fault = node.fault(Fault::Spoilt { heights: 43..=43, how: spoil });
        let error = loop {
            match follower.step().await {
                Ok(blocks) => assert!(blocks > 0, "{spoil:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, trc20::Error::Unread { height: 43, .. }), "{spoil:?} {error}");
        assert_eq!(follower.height(), 42, "{spoil:?}");
        node.heal_one(fault);
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid, "{spoil:?}");
    }
}

/// A block of mainnet: 600 transactions, 160 of them Transfers of the token.
fn busy_block(chain: &Chain, height: u64) {
    let mut txs: Vec<Tx> = Vec::with_capacity(600);
    for at in 0..600u64 {
        let tag = height * 1_000 + at;
        txs.push(match at {
            300 => pay(4, height).tagged(tag),
            at if at % 4 == 1 => noise(tag),
            _ => Tx::trx(account(150), account(151), tag + 1),
        });
    }
    chain.mine(txs);
}

/// As many transactions a block as mainnet has. How fast, `cargo bench -p tests --bench tron` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mainnets_load_is_caught_up_with() {
    let chain = chain();
    let node = node(&chain).await;
    const BLOCKS: u64 = 60;
    (1..=BLOCKS).for_each(|height| busy_block(&chain, height));
    chain.mine_empty(20);
    let mut follower = Follower::new(&[&node]).await;
    follower.catch_up().await;
    let expected: Vec<_> = (1..=BLOCKS).map(|height| seen(height, 4, height)).collect();
    assert_eq!(follower.seen(), expected);
}
