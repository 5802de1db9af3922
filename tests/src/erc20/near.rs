//! Near the tip: forks, tips that go back, and how much one poll takes.

use std::sync::Arc;

use erc20::{Error, Finality, Start};
use lab::evm::{Orphans, Tx};
use payments::watch::WatchSet;

use super::rig::{BOUND, Follower, account, at, chain, config, node, noise, pay, seen, traffic};

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

#[tokio::test]
async fn every_block_is_read_by_its_hash_and_nobody_learns_who_we_are() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    let paid = traffic(&chain, 30);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), paid);
    let asked: Vec<_> = node.requests().recent.into_iter().collect();
    let logs: Vec<_> = asked.iter().filter(|asked| asked.method == "eth_getLogs").collect();
    assert_eq!(logs.len(), 30);
    for asked in logs {
        // A Transfer, and ten things that the token's issuer may say; of anybody.
        let topics = &asked.params[0]["topics"];
        assert_eq!((&topics[0][0], topics[0].as_array().unwrap().len()), (&TRANSFER.into(), 11));
        assert_eq!(topics.as_array().unwrap().len(), 1);
        assert!(asked.params[0]["blockHash"].is_string(), "{asked:?}");
    }
}

#[tokio::test]
async fn the_watch_set_is_asked_for_after_the_bytes_came() {
    let chain = chain();
    let node = node(&chain).await;
    let follower = Follower::new(&[&node]).await;
    chain.mine(vec![pay(77, 5)]);
    let refresh = async || {
        assert_eq!(node.requests().count("eth_getLogs"), 1);
        // An address that was given out while the bytes were on their way.
        Ok(Arc::new(WatchSet::new(vec![account(77).into_array()])))
    };
    let scan = follower.source.poll(&follower.cursor, refresh).await.unwrap();
    assert_eq!(scan.transfers.len(), 1);
    let refused = async || Err("the store is closed".into());
    let error = follower.source.poll(&follower.cursor, refused).await.unwrap_err();
    assert!(matches!(error, Error::Watch(_)), "{error}");
}

#[tokio::test]
async fn outgoing_zero_self_and_double_transfers_are_told() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine(vec![
        Tx::transfer(account(3), account(200), 10u64),
        Tx::transfer(account(200), account(4), 0u64),
        Tx::transfer(account(5), account(5), 12u64),
        Tx::transfer(account(200), account(201), 1u64)
            .and_transfer(account(200), account(6), 13u64)
            .and_transfer(account(200), account(6), 14u64),
        noise(1),
    ]);
    follower.catch_up().await;
    let all: Vec<_> = follower.recorded.values().collect();
    assert_eq!(all.len(), 5);
    let places: Vec<_> = all.iter().filter(|t| t.to.0 == [6; 20]).map(|t| t.n).collect();
    assert_eq!(places, [1, 2]);
}

/// ```text
/// ours    0-1-2-3-4-5-6
/// theirs  0-1-2-3-4'-5'-…   `depth` blocks replaced by `new` others
/// ```
#[tokio::test]
async fn forks_of_every_depth_and_length() {
    for (depth, new) in [(1, 1), (1, 2), (3, 4), (3, 1), (6, 7), (6, 3), (20, 1), (40, 90)] {
        let chain = chain();
        let node = node(&chain).await;
        let mut follower = Follower::new(&[&node]).await;
        chain.mine_empty(10);
        for n in 0..depth {
            chain.mine(vec![noise(n), pay(1, n).tagged(n)]);
        }
        follower.catch_up().await;
        assert_eq!(follower.seen().len(), usize::try_from(depth).unwrap());
        // The same payments come back in other blocks and behind others: same identity.
        let before: Vec<_> = follower.recorded.keys().copied().collect();
        let first: Vec<Tx> = [noise(500), noise(501)]
            .into_iter()
            .chain((0..depth).map(|n| pay(1, n).tagged(n)))
            .collect();
        let mut blocks = vec![first];
        blocks.resize(new, vec![noise(9)]);
        chain.reorg(depth, blocks);
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.recorded.keys().copied().collect::<Vec<_>>(), before);
        assert!(follower.recorded.values().all(|transfer| transfer.block == at(&chain, 11)));
    }
}

#[tokio::test]
async fn a_fork_is_found_when_its_rival_is_forgotten() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.orphans(Orphans::Nothing);
    chain.mine(vec![pay(1, 1)]);
    chain.mine(vec![pay(2, 2)]);
    follower.catch_up().await;
    chain.reorg(1, vec![vec![], vec![pay(3, 3)]]);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), [seen(1, 1, 1), seen(3, 3, 3)]);
}

#[tokio::test]
async fn a_tip_that_goes_back_is_nothing_new() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    let paid = traffic(&chain, 20);
    follower.catch_up().await;
    let kept = follower.cursor.kept.clone();
    chain.rewind(7);
    let scan = follower.poll().await.unwrap();
    assert_eq!((scan.blocks.len(), scan.tip), (0, 13));
    follower.catch_up().await;
    assert_eq!((&follower.cursor.kept, follower.seen()), (&kept, paid));
    chain.resume();
    chain.mine(vec![pay(1, 21)]);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
}

#[tokio::test]
async fn a_fork_below_the_lowest_kept_block_is_named() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(30);
    chain.finalize(20);
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, Some(at(&chain, 20)));
    let recorded = at(&chain, 20).hash;
    chain.reorg(15, vec![vec![]; 20]);
    let error = follower.step().await.unwrap_err();
    let Error::BelowFinalized { height: 20, recorded: ours, .. } = error else { panic!("{error}") };
    assert_eq!(ours, recorded);
}

#[tokio::test]
async fn one_poll_takes_a_bounded_number_of_blocks() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    let paid = traffic(&chain, 300);
    let first = follower.step().await.unwrap();
    assert!((1..=64).contains(&first), "{first} blocks");
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn finality_never_goes_back_and_lies_in_our_chain() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(30);
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, None, "the node does not know any yet");
    chain.finalize(12);
    follower.step().await.unwrap();
    assert_eq!(follower.cursor.finalized, Some(at(&chain, 12)));
    let back = node.fault(lab::evm::Fault::FinalizedBackward { by: 5 });
    let scan = follower.poll().await.unwrap();
    assert_eq!(scan.finalized, Some(at(&chain, 12)));
    node.heal_one(back);
    chain.safe(25);
    chain.finalize(20);
    let scan = follower.poll().await.unwrap();
    assert_eq!((scan.finalized, scan.safe), (Some(at(&chain, 20)), Some(25)));
}

#[tokio::test]
async fn finality_is_counted_in_blocks_where_there_are_no_tags() {
    let chain = chain();
    let node = node(&chain).await;
    let mut config = config(&[node.http_url()]);
    config.finality = Finality::Blocks(10);
    let mut follower = Follower::with(config).await;
    let paid = traffic(&chain, 200);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.cursor.finalized, Some(at(&chain, 190)));
    assert_eq!(follower.cursor.kept.first().unwrap().id.height, 190);
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn scanning_begins_where_the_config_says() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine_empty(300);
    for (start, finalized, first) in [
        (Start::Height(0), None, 0),
        (Start::Height(7), None, 7),
        (Start::Finalized, Some(280), 280),
        (Start::Finalized, None, 300 - BOUND),
        (Start::Tip, Some(280), 280),
        (Start::Tip, None, 300 - BOUND),
    ] {
        chain.finalize(finalized.unwrap_or(1_000_000));
        let mut config = config(&[node.http_url()]);
        config.start = start;
        if finalized.is_none() {
            // Finality so deep that there is none.
            config.finality = Finality::Blocks(1_000_000);
        }
        let mut follower = Follower::with(config).await;
        let scan = follower.poll().await.unwrap();
        assert_eq!(scan.blocks[0].id, at(&chain, first), "{start:?}");
        assert_eq!(scan.base, first.checked_sub(1).map(|below| at(&chain, below)));
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
    }
    let mut config = config(&[node.http_url()]);
    config.start = Start::Height(310);
    config.finality = Finality::Blocks(1_000_000);
    let mut follower = Follower::with(config).await;
    assert!(follower.poll().await.unwrap().blocks.is_empty());
    chain.mine_empty(20);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
}
