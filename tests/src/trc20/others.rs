//! Transfers of other contracts: the infos hold them all, and those of a sum to ours are read.
//!
//! In: look-alikes, collectibles and nonsense under the same topic, failed ones too. Out: those of
//! a sum, with contract and place. Never: a log of the token missed, or a chain stopped, by them.

use alloy::primitives::{Address as RawAddress, B256, Bytes, U256, b256};
use lab::tron::{Chain, LogSpec, Tx};
use payments::address::Address;
use trc20::Config;

use super::rig::{Follower, account, chain, config, node, noise, pay};

const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

fn raw(contract: RawAddress, topics: &[B256], data: &[u8]) -> LogSpec {
    let topics = [&[TRANSFER], topics].concat();
    LogSpec::Raw { contract: Some(contract), topics, data: Bytes::copy_from_slice(data) }
}

fn medley(chain: &Chain) {
    let (payer, ours) = (account(200).into_word(), account(1).into_word());
    let fake = RawAddress::repeat_byte(0xfa);
    let sum = |to: u8, value: U256| LogSpec::Transfer {
        contract: Some(fake),
        from: account(200),
        to: account(to),
        value,
    };
    let word = [7; 32];
    let tx = Tx::transfer(account(200), account(1), 100u64)
        .and(sum(1, U256::MAX))
        .and(raw(fake, &[payer, ours, B256::ZERO], &[]))
        .and(raw(fake, &[payer], &word))
        .and(raw(fake, &[payer, ours], &word[..31]))
        .and(raw(fake, &[payer, B256::repeat_byte(1)], &word))
        .and(raw(fake, &[], &[]))
        .and(sum(101, U256::from(6)))
        .and(sum(2, U256::from(7)))
        .and_transfer(account(200), account(3), 30u64);
    chain.mine(vec![
        noise(1),
        tx,
        // One that says that one of ours has paid reaches nobody of ours.
        Tx::transfer_of(fake, account(1), account(150), 9u64),
        Tx::transfer_of(fake, account(200), account(4), 8u64).tagged(1).out_of_time(),
        Tx::transfer_of(fake, account(200), account(4), 8u64),
    ]);
}

/// Contract (none for the token), place in its transaction, receiver and value.
async fn found(config: Config) -> Vec<(Option<u8>, u32, u8, U256)> {
    let token = config.token;
    let mut follower = Follower::with(config).await;
    let mut transfers = Vec::new();
    loop {
        let scan = follower.poll().await.unwrap();
        transfers.extend(scan.transfers.clone());
        if follower.step().await.unwrap() == 0 {
            break;
        }
    }
    transfers.sort_by_key(|row| (row.block.height, row.log_index));
    transfers.dedup();
    let other = |contract: Address| (contract != token).then_some(contract.0[0]);
    transfers.iter().map(|row| (other(row.token), row.n, row.to.0[0], row.raw)).collect()
}

#[tokio::test]
async fn they_are_found_near_the_tip_and_below_the_solidified_height() {
    let small = |n: u64| U256::from(n);
    let all = [
        (None, 0, 1, small(100)),
        (Some(0xfa), 0, 1, U256::MAX),
        (Some(0xfa), 2, 2, small(7)),
        (None, 1, 3, small(30)),
        (Some(0xfa), 0, 4, small(8)),
    ];
    for solid in [0, 9] {
        for other_tokens in [true, false] {
            let chain = chain();
            chain.mine(vec![noise(9)]);
            medley(&chain);
            chain.mine_empty(8);
            chain.solidify(solid);
            let node = node(&chain).await;
            let asked = Config { other_tokens, ..config(&[&node]) };
            let mut expected = all.to_vec();
            expected.retain(|(other, ..)| other_tokens || other.is_none());
            assert_eq!(found(asked).await, expected, "solid {solid}, asked {other_tokens}");
        }
    }
}

#[tokio::test]
async fn a_flood_hides_nothing() {
    let chain = chain();
    let fake = RawAddress::repeat_byte(0xfa);
    let flood =
        (0..1_000u64).map(|n| Tx::transfer_of(fake, account(200), account(1), U256::MAX).tagged(n));
    let mut txs: Vec<Tx> = flood.collect();
    txs.insert(500, pay(2, 100));
    chain.mine(txs);
    let node = node(&chain).await;
    let found = found(Config { other_tokens: true, ..config(&[&node]) }).await;
    assert_eq!(found.len(), 1_001);
    assert_eq!(found[500], (None, 0, 2, U256::from(100)));
}
