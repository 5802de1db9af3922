//! The index: every way it is wrong, and what is made of it.

use std::collections::BTreeSet;

use lab::tron::{Fault, Tx};
use payments::chain::TxHash;
use payments::time::Time;
use trc20::{Error, Hints};

use super::rig::{Follower, account, chain, grid, node, noise, ours, pay};

async fn hints(follower: &Follower, n: u8) -> Hints {
    follower.source.hints(ours(n), Time(0)).await.unwrap()
}

#[tokio::test]
async fn a_hint_is_confirmed_by_its_block() {
    let chain = chain();
    let node = grid(&chain).await;
    chain.mine(vec![
        noise(1),
        // One transaction pays us twice, and somebody else first.
        Tx::transfer(account(200), account(201), 1u64)
            .and_transfer(account(200), account(3), 5u64)
            .and_transfer(account(200), account(3), 5u64),
    ]);
    chain.mine(vec![pay(4, 9)]);
    let follower = Follower::new(&[&node]).await;
    // Not solidified yet: nothing is said.
    assert_eq!(hints(&follower, 3).await, Hints::default());
    chain.mine_empty(30);
    let found = hints(&follower, 3).await;
    let tx = TxHash(chain.transactions(1)[1].0);
    assert_eq!(found, Hints { transactions: BTreeSet::from([tx]), more_from: None });
    let transfers = follower.source.confirmed(&found.transactions, &follower.watch).await.unwrap();
    let places: Vec<_> =
        transfers.iter().map(|t| (t.n, t.log_index, t.to, t.block.height)).collect();
    assert_eq!(places, [(1, 2, ours(3), 1), (2, 3, ours(3), 1)]);
    // The same as a scan of the block says.
    let scanned = follower.source.rescan(1, 1, &follower.watch).await.unwrap();
    assert_eq!(scanned.transfers, transfers);
}

#[tokio::test]
async fn rows_that_lie_are_not_believed() {
    let chain = chain();
    let node = grid(&chain).await;
    let fake = account(99);
    chain.mine(vec![
        pay(1, 5),
        Tx::transfer_of(fake, account(200), account(1), 1_000u64),
        pay(1, 6).reverted(),
    ]);
    chain.mine_empty(30);
    let follower = Follower::new(&[&node]).await;
    for fault in [Fault::DoubledRows, Fault::ApprovalRows, Fault::NoTokenInfo] {
        let id = node.fault(fault.clone());
        let found = hints(&follower, 1).await;
        let transfers =
            follower.source.confirmed(&found.transactions, &follower.watch).await.unwrap();
        assert_eq!(transfers.len(), 1, "{fault:?}");
        assert_eq!(transfers[0].raw.to_string(), "5", "{fault:?}");
        node.heal_one(id);
    }
    // An id that no node knows gives nothing.
    let invented = BTreeSet::from([TxHash([7; 32])]);
    let found = follower.source.confirmed(&invented, &follower.watch).await.unwrap();
    assert_eq!(found, []);
}

#[tokio::test]
async fn pages_end() {
    let chain = chain();
    let node = grid(&chain).await;
    for block in 0..25u64 {
        chain.mine((0..20).map(|tag| pay(1, 1).tagged(block * 100 + tag)).collect());
    }
    chain.mine_empty(30);
    let follower = Follower::new(&[&node]).await;
    assert_eq!(hints(&follower, 1).await.transactions.len(), 500);
    node.forget_requests();
    // Full pages that do not say that there are more.
    let silent = node.fault(Fault::NoFingerprint);
    let found = hints(&follower, 1).await;
    assert_eq!((found.transactions.len(), found.more_from), (500, None));
    node.heal_one(silent);
    // Empty pages that say that there are more, for ever.
    let empty = node.fault(Fault::EmptyPages);
    node.forget_requests();
    assert_eq!(hints(&follower, 1).await, Hints::default());
    assert_eq!(node.requests().total(), 1);
    node.heal_one(empty);
    // More than one call reads: it says where it stopped.
    for block in 25..120u64 {
        chain.mine((0..20).map(|tag| pay(2, 1).tagged(block * 100 + tag)).collect());
        chain.mine((0..10).map(|tag| pay(2, 1).tagged(block * 100 + 50 + tag)).collect());
    }
    chain.mine_empty(30);
    let mut since = Time(0);
    let mut all = BTreeSet::new();
    loop {
        let found = follower.source.hints(ours(2), since).await.unwrap();
        all.extend(found.transactions);
        match found.more_from {
            Some(more) => since = more,
            None => break,
        }
    }
    assert_eq!(all.len(), 95 * 30);
}

#[tokio::test]
async fn a_next_page_at_another_host_is_not_asked() {
    let chain = chain();
    let (node, evil) = (grid(&chain).await, grid(&chain).await);
    for block in 0..15u64 {
        chain.mine((0..20).map(|tag| pay(1, 1).tagged(block * 100 + tag)).collect());
    }
    chain.mine_empty(30);
    node.fault(Fault::ForeignNext { origin: evil.url() });
    let follower = Follower::new(&[&node]).await;
    assert_eq!(hints(&follower, 1).await.transactions.len(), 300);
    assert_eq!(evil.requests().total(), 0);
}

#[tokio::test]
async fn what_the_index_lost_the_scan_has() {
    let chain = chain();
    let node = grid(&chain).await;
    chain.mine(vec![pay(1, 5)]);
    chain.mine_empty(30);
    node.fault(Fault::LostRows { tx: chain.transactions(1)[0] });
    let mut follower = Follower::new(&[&node]).await;
    assert_eq!(hints(&follower, 1).await, Hints::default());
    follower.catch_up().await;
    assert_eq!(follower.seen().len(), 1);
}

#[tokio::test]
async fn without_an_index_there_is_nobody_to_ask() {
    let chain = chain();
    let node = node(&chain).await;
    let follower = Follower::new(&[&node]).await;
    let error = follower.source.hints(ours(1), Time(0)).await.unwrap_err();
    assert!(matches!(error, Error::GaveUp { .. }), "{error}");
}
