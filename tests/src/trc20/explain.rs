//! Single questions: a transaction, a balance, an account, a stretch read again.

use alloy::primitives::U256;
use lab::tron::{ChainSpec, Tx};
use payments::chain::TxHash;
use payments::lookup::Transaction;
use payments::watch::WatchSet;

use super::rig::{Follower, account, at, chain, grid, node, ours, pay, traffic};

#[tokio::test]
async fn a_transaction_and_what_became_of_it() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine_empty(30);
    chain.mine(vec![pay(1, 5), pay(1, 6).reverted(), Tx::trx(account(1), account(2), 3)]);
    let follower = Follower::new(&[&node]).await;
    let ids: Vec<_> = chain.transactions(31).iter().map(|id| TxHash(id.0)).collect();
    for (tx, succeeded, transfers) in [(ids[0], true, 1), (ids[1], false, 0), (ids[2], true, 0)] {
        let Transaction::Mined(mined) = follower.source.transaction(tx).await.unwrap() else {
            panic!("{tx} is in a block")
        };
        assert_eq!((mined.succeeded, mined.transfers.len()), (succeeded, transfers));
        assert_eq!(mined.block, at(&chain, 31));
    }
    // A fork switch, and nobody has ever heard of it.
    chain.reorg(1, vec![vec![], vec![]]);
    let gone = follower.source.transaction(ids[0]).await.unwrap();
    assert_eq!(gone, Transaction::NotFound);
}

#[tokio::test]
async fn a_balance_is_that_of_the_solidified_state() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine(vec![pay(1, 5)]);
    chain.mine_empty(30);
    chain.mine(vec![pay(1, 6)]);
    let follower = Follower::new(&[&node]).await;
    let balance = follower.source.balance(ours(1)).await.unwrap();
    let solid = chain.solid().height;
    assert_eq!((balance.raw, balance.from, balance.to), (U256::from(5), solid, solid));
}

#[tokio::test]
async fn an_account_is_new_or_not() {
    let chain = chain();
    chain.mine(vec![pay(1, 5), Tx::trx(account(200), account(2), 3)]);
    chain.mine_empty(30);
    let (plain, grid) = (node(&chain).await, grid(&chain).await);
    for node in [&plain, &grid] {
        let follower = Follower::new(&[node]).await;
        let used = follower.source.used(ours(1)).await.unwrap();
        assert_eq!(used.balance, U256::from(5));
        assert!(used.any());
        assert!(follower.source.used(ours(2)).await.unwrap().any());
        let fresh = follower.source.used(ours(77)).await.unwrap();
        assert!(!fresh.any(), "{fresh:?}");
        assert_eq!(fresh.received.is_some(), node.url() == node.solidity_url());
    }
}

#[tokio::test]
async fn a_stretch_is_read_again() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 60);
    let follower = Follower::new(&[&node]).await;
    let watch = WatchSet::new((1..10).map(|n| ours(n).0).collect());
    let (mut from, mut found) = (0, 0);
    while from < 40 {
        let scan = follower.source.rescan(from, 40, &watch).await.unwrap();
        found += scan.transfers.len();
        from = scan.blocks.last().unwrap().id.height + 1;
        assert!(scan.blocks.len() <= 10 && scan.finalized.is_none());
    }
    assert_eq!(found, paid.iter().filter(|row| row.0 <= 40).count());
    let header = follower.source.header(7).await.unwrap().unwrap();
    assert_eq!(header.id, at(&chain, 7));
    assert_eq!(header.time.0, i64::try_from(chain.time(7).unwrap()).unwrap());
    assert_eq!(follower.source.header(999).await.unwrap(), None);
    assert_eq!(ChainSpec::tron().token.decimals, 6);
}
