//! Near the tip: fork switches, tips that go back, and what a poll costs.

use std::sync::Arc;

use lab::tron::{Fault, Tx};
use payments::watch::WatchSet;
use trc20::{Error, Start};

use super::rig::{
    Follower, account, at, chain, config, grid, node, noise, ours, pay, seen, traffic,
};

#[tokio::test]
async fn every_block_is_read_whole_and_nobody_learns_who_we_are() {
    let chain = chain();
    for node in [node(&chain).await, grid(&chain).await] {
        let mut follower = Follower::new(&[&node]).await;
        let paid = if chain.tip().height == 0 { traffic(&chain, 40) } else { Vec::new() };
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.seen().len(), 8);
        assert!(paid.is_empty() || follower.seen() == paid);
        assert_eq!(follower.cursor.finalized, Some(at(&chain, chain.solid().height)));
        let asked = node.requests();
        assert_eq!(asked.count_under("/v1/"), 0);
        let text = format!("{:?}", asked.recent);
        assert!((1..10).all(|n| !text.contains(&payments::address::lower_hex(&ours(n).0))));
    }
}

/// At mainnet's pace a poll finds one block: its two ends, the block, its infos.
#[tokio::test]
async fn a_new_block_costs_four_requests() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine_empty(30);
    let mut follower = Follower::new(&[&node]).await;
    follower.catch_up().await;
    node.forget_requests();
    for tag in 0..20 {
        chain.mine(vec![noise(tag), pay(1, tag + 1)]);
        assert_eq!(follower.step().await.unwrap(), 1);
    }
    let asked = node.requests();
    println!("{} requests for 20 blocks, polled one by one", asked.total());
    assert_eq!(asked.total(), 80);
    node.forget_requests();
    for tag in 100..120 {
        chain.mine(vec![noise(tag)]);
    }
    follower.catch_up().await;
    // Two polls see the ends, of which the second finds nothing; ten blocks a request.
    println!("{} requests for 20 blocks in one poll", node.requests().total());
    assert_eq!(node.requests().total(), 26);
}

#[tokio::test]
async fn the_watch_set_is_asked_for_after_the_bytes_came() {
    let chain = chain();
    let node = node(&chain).await;
    let follower = Follower::new(&[&node]).await;
    chain.mine(vec![pay(77, 5)]);
    let refresh = async || {
        assert_eq!(node.requests().count("/wallet/gettransactioninfobyblocknum"), 1);
        // An address that was given out while the bytes were on their way.
        Ok(Arc::new(WatchSet::new(vec![ours(77).0])))
    };
    let scan = follower.source.poll(&follower.cursor, refresh).await.unwrap();
    assert_eq!(scan.transfers.len(), 1);
    let refused = async || Err("the store is closed".into());
    let error = follower.source.poll(&follower.cursor, refused).await.unwrap_err();
    assert!(matches!(error, Error::Watch(_)), "{error}");
}

#[tokio::test]
async fn every_kind_of_transfer_and_only_those_that_happened() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    let fake = account(99);
    chain.mine(vec![
        Tx::trx(account(200), account(1), 5),
        Tx::transfer(account(3), account(200), 10u64),
        Tx::transfer(account(5), account(5), 12u64),
        pay(1, 0),
        pay(1, 100).tagged(1).reverted(),
        pay(1, 100).tagged(2).out_of_energy(),
        // Its logs are there, and nothing of them happened.
        pay(1, 100).tagged(3).out_of_time(),
        pay(2, 20).with_dirty_word(),
        // Calldata that names ten times as much.
        pay(2, 21).with_input(vec![0xa9, 0x05, 0x9c, 0xbb]),
        Tx::transfer_of(fake, account(200), account(1), 1_000u64),
        Tx::transfer_with_fee(account(200), account(6), 100u64, account(201), 1u64),
        Tx::batch(account(50), account(51), account(200), &[(account(7), 1), (account(7), 2)]),
    ]);
    follower.catch_up().await;
    let told: Vec<_> = follower.seen().into_iter().filter(|row| row.1 != ours(200).0).collect();
    let mut expected = vec![seen(1, 5, 12), seen(1, 1, 0), seen(1, 2, 20), seen(1, 2, 21)];
    expected.extend([seen(1, 6, 99), seen(1, 7, 1), seen(1, 7, 2)]);
    let out = follower.recorded.values().find(|row| row.from == ours(3)).unwrap();
    assert_eq!(out.raw.to_string(), "10");
    assert_eq!(told, expected);
    let batch: Vec<_> =
        follower.recorded.values().filter(|row| row.to == ours(7)).map(|row| row.n).collect();
    assert_eq!(batch, [0, 1]);
}

/// ```text
/// ours    1-2-3-4-5-6
/// theirs  1-2-3-4'-5'-…   `depth` blocks replaced by `new` others
/// ```
#[tokio::test]
async fn fork_switches_of_every_depth_and_length() {
    for (depth, new) in [(1, 1), (1, 2), (3, 4), (3, 1), (6, 7), (6, 3), (15, 1), (15, 90)] {
        let chain = chain();
        let node = node(&chain).await;
        let mut follower = Follower::new(&[&node]).await;
        chain.mine_empty(30);
        chain.mine(vec![pay(1, 11)]);
        let stays = at(&chain, 31);
        for height in 0..depth {
            chain.mine(vec![pay(2, height + 1), noise(height)]);
        }
        follower.catch_up().await;
        assert_eq!(follower.seen().len(), 1 + usize::try_from(depth).unwrap());
        let solid = follower.cursor.finalized;
        let blocks = (0..new).map(|tag| vec![noise(1_000 + tag), pay(3, 500 + tag).tagged(tag)]);
        chain.reorg(depth, blocks.collect());
        follower.catch_up().await;
        let kept = follower.cursor.at(31);
        assert!(kept.is_none_or(|header| header.id == stays), "{depth} {new}");
        follower.assert_at_tip(&chain);
        assert!(follower.cursor.finalized >= solid, "{depth} {new}");
        let mut expected = vec![seen(31, 1, 11)];
        expected.extend((0..new).map(|tag| seen(32 + tag, 3, 500 + tag)));
        assert_eq!(follower.seen(), expected, "{depth} {new}");
    }
}

#[tokio::test]
async fn a_transaction_of_both_forks_is_one_transfer() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(25);
    chain.mine(vec![pay(1, 7).tagged(7)]);
    chain.mine_empty(2);
    follower.catch_up().await;
    let before: Vec<_> = follower.recorded.keys().copied().collect();
    chain.reorg(3, vec![vec![noise(1)], vec![noise(2), pay(1, 7).tagged(7)], vec![], vec![]]);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.recorded.keys().copied().collect::<Vec<_>>(), before);
    assert_eq!(follower.seen(), [seen(27, 1, 7)]);
}

/// A restarted node has thrown away everything that was not solidified.
#[tokio::test]
async fn a_tip_that_goes_back_by_nineteen_is_nothing_new() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    let paid = traffic(&chain, 60);
    follower.catch_up().await;
    let (height, solid) = (follower.height(), follower.cursor.finalized);
    chain.restart();
    assert!(chain.tip().height < height - 15);
    let scan = follower.poll().await.unwrap();
    assert_eq!((scan.blocks.len(), scan.tip), (0, chain.tip().height));
    assert_eq!(follower.step().await.unwrap(), 0);
    assert_eq!((follower.height(), follower.cursor.finalized), (height, solid));
    // Even below what it had called solidified, as a node from an old snapshot is.
    let behind = node.fault(Fault::Lag { blocks: 30 });
    assert_eq!(follower.step().await.unwrap(), 0);
    assert_eq!((follower.height(), follower.cursor.finalized), (height, solid));
    node.heal_one(behind);
    chain.resume();
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), paid);
    // Or it comes back on another fork, which is shorter at first.
    chain.restart();
    chain.mine(vec![pay(9, 5)]);
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen().last(), Some(&seen(chain.tip().height, 9, 5)));
}

#[tokio::test]
async fn solidified_never_goes_back() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(50);
    follower.catch_up().await;
    let solid = follower.cursor.finalized;
    assert_eq!(solid, Some(at(&chain, 32)));
    node.fault(Fault::SolidityLag { blocks: 10 });
    chain.mine_empty(3);
    follower.catch_up().await;
    assert_eq!((follower.cursor.finalized, follower.height()), (solid, 53));
    node.heal();
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, Some(at(&chain, 35)));
    // Witnesses miss, the gap grows, and nothing is assumed about it.
    chain.miss(100);
    chain.mine_empty(5);
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, Some(at(&chain, chain.solid().height)));
}

#[tokio::test]
async fn a_chain_that_leaves_below_the_solidified_block_is_not_followed() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    chain.mine_empty(40);
    follower.catch_up().await;
    let kept = follower.cursor.clone();
    chain.reorg(30, vec![Vec::new(); 40]);
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, Error::BelowFinalized { .. }), "{error}");
    assert_eq!(follower.cursor, kept);
}

#[tokio::test]
async fn scanning_begins_where_the_config_says() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine_empty(100);
    for (start, first) in [
        (Start::Finalized, chain.solid().height),
        (Start::Tip, chain.solid().height),
        (Start::Height(0), 1),
        (Start::Height(95), 95),
    ] {
        let mut follower = Follower::with(trc20::Config { start, ..config(&[&node]) }).await;
        let scan = follower.poll().await.unwrap();
        assert_eq!(scan.blocks.first().map(|block| block.id.height), Some(first), "{start:?}");
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
    }
    let later = trc20::Config { start: Start::Height(103), ..config(&[&node]) };
    let mut follower = Follower::with(later).await;
    assert_eq!(follower.poll().await.unwrap().blocks.len(), 0);
    chain.mine_empty(3);
    follower.catch_up().await;
    assert_eq!(follower.height(), 103);
}

#[tokio::test]
async fn the_first_recorded_block_may_be_replaced_while_nothing_is_final() {
    for (depth, blocks) in [(1, 1), (1, 2), (3, 3), (3, 5)] {
        let chain = chain();
        let node = node(&chain).await;
        chain.mine_empty(32);
        chain.solidify(0);
        let begin = trc20::Config { start: Start::Height(30), ..config(&[&node]) };
        let mut follower = Follower::with(begin).await;
        follower.catch_up().await;
        assert_eq!(follower.cursor.finalized, None);
        chain.reorg(depth, vec![vec![pay(1, 5)]; blocks]);
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.seen().len(), blocks);
        assert_eq!(follower.cursor.kept.first().map(|header| header.id), Some(at(&chain, 30)));
    }
}
