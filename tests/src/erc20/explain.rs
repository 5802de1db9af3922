//! Single questions: a transaction, an account, a header, a range again.

use alloy::primitives::U256;
use lab::evm::{Fault, Tx};
use payments::address::Address;
use payments::chain::TxHash;
use payments::lookup::Transaction;

use super::rig::{Follower, account, at, chain, node, noise, pay, traffic};

#[tokio::test]
async fn a_transaction_is_told_whole() {
    let chain = chain();
    let (first, second) = (node(&chain).await, node(&chain).await);
    let follower = Follower::new(&[&first, &second]).await;
    let double =
        Tx::transfer(account(200), account(1), 5u64).and_transfer(account(200), account(2), 6u64);
    chain.mine(vec![noise(1), double, Tx::transfer(account(3), account(4), 1u64).failed()]);
    chain.mine_empty(3);
    let hash = |n: usize| TxHash(chain.transactions(1)[n].0);
    let Transaction::Mined(mined) = follower.source.transaction(hash(1)).await.unwrap() else {
        panic!("not mined")
    };
    assert!(mined.succeeded && mined.block == at(&chain, 1));
    let told: Vec<_> = mined.transfers.iter().map(|t| (t.n, t.log_index, t.to.0[0])).collect();
    assert_eq!(told, [(0, 1, 1), (1, 2, 2)]);
    let Transaction::Mined(failed) = follower.source.transaction(hash(2)).await.unwrap() else {
        panic!("not mined")
    };
    assert!(!failed.succeeded && failed.transfers.is_empty());
    let nobody = follower.source.transaction(TxHash([9; 32])).await.unwrap();
    assert_eq!(nobody, Transaction::NotFound);
    // An endpoint that is behind does not know it; the other does.
    first.fault(Fault::Lag { blocks: 4, beyond: lab::evm::BeyondTip::Refuse });
    let found = follower.source.transaction(hash(1)).await.unwrap();
    assert_eq!(found, Transaction::Mined(mined));
}

#[tokio::test]
async fn balances_and_traces_of_an_account() {
    let chain = chain();
    let node = node(&chain).await;
    let follower = Follower::new(&[&node]).await;
    chain.mine(vec![pay(1, 500)]);
    chain.mine(vec![Tx::transfer(account(1), account(200), 500u64)]);
    let ours = Address(account(1).into_array());
    assert_eq!(follower.source.balance(ours, 1).await.unwrap(), U256::from(500));
    assert_eq!(follower.source.balance(ours, 2).await.unwrap(), U256::ZERO);
    let used = follower.source.used(ours).await.unwrap();
    assert!(used.any() && used.received && used.balance.is_zero(), "{used:?}");
    let fresh = follower.source.used(Address(account(2).into_array())).await.unwrap();
    assert!(!fresh.any(), "{fresh:?}");
    chain.mine_empty(1);
    node.fault(Fault::RangeLimit { dialect: lab::evm::RangeDialect::Geth, blocks: 2 });
    let used = follower.source.used(ours).await.unwrap();
    assert_eq!((used.received, used.searched_from), (false, 2));
}

#[tokio::test]
async fn a_range_is_read_again_window_by_window() {
    let chain = chain();
    let node = node(&chain).await;
    let follower = Follower::new(&[&node]).await;
    let paid = traffic(&chain, 130);
    let mut found = Vec::new();
    let mut from = 1;
    while from <= 120 {
        let scan = follower.source.rescan(from, 120, &follower.watch).await.unwrap();
        assert_eq!(scan.base, Some(at(&chain, from - 1)));
        assert!(scan.blocks.len() <= 50);
        found.extend(scan.transfers.iter().map(|t| (t.block.height, t.to.0, t.raw)));
        from = scan.blocks.last().unwrap().id.height + 1;
    }
    let expected: Vec<_> = paid.into_iter().filter(|(height, ..)| *height <= 120).collect();
    assert_eq!(found, expected);
    let header = follower.source.header(77).await.unwrap().unwrap();
    assert_eq!(header.id, at(&chain, 77));
    assert_eq!(header.time.0, i64::try_from(chain.time(77).unwrap()).unwrap() * 1000);
    assert_eq!(follower.source.header(131).await.unwrap(), None);
}
