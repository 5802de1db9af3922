//! Single questions: a transaction, a balance, an account, a stretch read again.

use alloy::primitives::U256;
use lab::tron::{ChainSpec, Fault, Paths, Tx};
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
async fn balances_are_those_of_the_solidified_state() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine(vec![pay(1, 5), pay(2, 7)]);
    chain.mine_empty(30);
    chain.mine(vec![pay(1, 6)]);
    let follower = Follower::new(&[&node]).await;
    let accounts: Vec<_> = (1..=40).map(ours).collect();
    let before = node.requests().total();
    let held = follower.source.balances(&accounts).await.unwrap();
    let asked = node.requests().total() - before;
    assert_eq!(asked, 42, "one for each, and what is solidified before and after");
    let solid = chain.solid().height;
    assert!(held.iter().all(|held| (held.from, held.to) == (solid, solid)), "{held:?}");
    let mut raw = held.iter().map(|held| held.raw);
    assert_eq!((raw.next(), raw.next()), (Some(U256::from(5)), Some(U256::from(7))));
    assert!(raw.all(|raw| raw.is_zero()));
}

#[tokio::test]
async fn balances_name_the_blocks_that_went_by_while_they_were_told() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine(vec![pay(1, 5)]);
    chain.mine_empty(30);
    let follower = Follower::new(&[&node]).await;
    let first = chain.solid().height;
    let call = "/walletsolidity/triggerconstantcontract";
    let late = node.fault(Fault::Hang { paths: Paths::under(&[call]), times: Some(1) });
    let before = node.requests().count(call);
    let mined = async {
        while node.requests().count(call) < before + 2 {
            tokio::task::yield_now().await;
        }
        chain.mine_empty(3);
        node.heal_one(late);
    };
    let accounts = [ours(1), ours(2)];
    let (held, ()) = tokio::join!(follower.source.balances(&accounts), mined);
    for held in held.unwrap() {
        assert_eq!((held.from, held.to), (first, first + 3));
    }
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

/// Whoever compares asks for the blocks up to which it was told; they came while it was read.
#[tokio::test]
async fn blocks_up_to_a_later_balance_can_be_read() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine(vec![pay(1, 5)]);
    chain.mine_empty(30);
    let follower = Follower::new(&[&node]).await;
    let (cut, _) = follower.source.newest_final().await.unwrap().expect("a final block");
    chain.mine_empty(60);
    let held = follower.source.balances(&[ours(1)]).await.unwrap();
    assert_eq!(held[0].to, chain.solid().height);
    assert!(held[0].to > cut.id.height + 30);
    let mut from = cut.id.height + 1;
    while from <= held[0].to {
        let read = follower.source.rescan(from, held[0].to, &WatchSet::default()).await.unwrap();
        from = read.blocks.last().expect("blocks").id.height + 1;
    }
}
