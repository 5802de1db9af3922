//! Transfers of other contracts: seen where they are asked for, and never in the token's way.
//!
//! In: look-alikes, collectibles and nonsense under the same topic. Out: those of a sum to one of
//! ours, with their contract and their place. Never: a log of the token missed because of them.

use alloy::primitives::{Address as RawAddress, B256, Bytes, U256, b256};
use erc20::Config;
use lab::evm::{Chain, Fault, LogSpec, Methods, Tx};
use payments::address::Address;
use payments::chain::Transfer;

use super::rig::{Follower, account, chain, config, node, noise, pay};

const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// What Infura and others answer where the logs are too many.
const TOO_MANY: &str = concat!(
    r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32005,"#,
    r#""message":"query returned more than 10000 results"}}"#,
);

fn fake(n: u8) -> RawAddress {
    RawAddress::repeat_byte(n)
}

fn with_others(config: Config) -> Config {
    Config { other_tokens: true, ..config }
}

/// A log by `contract` under the topic of a Transfer.
fn raw(contract: RawAddress, topics: &[B256], data: &[u8]) -> LogSpec {
    let topics = [&[TRANSFER], topics].concat();
    LogSpec::Raw { contract: Some(contract), topics, data: Bytes::copy_from_slice(data) }
}

/// One block with everything at once, in one transaction and in others.
fn medley(chain: &Chain) {
    let (payer, ours) = (account(200).into_word(), account(1).into_word());
    let sum = |contract: u8, to: u8, value: U256| LogSpec::Transfer {
        contract: Some(fake(contract)),
        from: account(200),
        to: account(to),
        value,
    };
    let word = [7; 32];
    let tx = Tx::transfer(account(200), account(1), 100)
        .and(sum(0xfa, 1, U256::MAX))
        .and(raw(fake(0xfa), &[payer, ours, B256::ZERO], &[]))
        .and(raw(fake(0xfa), &[payer], &word))
        .and(raw(fake(0xfa), &[payer, ours], &word[..31]))
        .and(raw(fake(0xfa), &[payer, B256::repeat_byte(1)], &word))
        .and(raw(fake(0xfa), &[], &[]))
        .and(sum(0xfb, 2, U256::from(5)))
        .and(sum(0xfa, 101, U256::from(6)))
        .and(sum(0xfa, 2, U256::from(7)))
        .and_transfer(account(200), account(3), 30);
    // A look-alike that says that one of ours has paid: it reaches nobody of ours.
    let ours_paid = Tx::transfer_of(fake(0xfc), account(1), account(150), 9u64);
    chain.mine(vec![
        noise(1),
        tx,
        ours_paid,
        Tx::transfer_of(fake(0xfb), fake(9), account(4), 8u64),
    ]);
}

/// Contract (none for the token), place in its transaction, receiver and value of what was found.
fn found(follower: &Follower) -> Vec<(Option<u8>, u32, u8, U256)> {
    let token = Address(chain().spec().token.address.into_array());
    let mut rows: Vec<&Transfer> = follower.transfers.iter().collect();
    rows.sort_by_key(|row| (row.block.height, row.log_index));
    let row = |row: &&Transfer| {
        let other = (row.token != token).then_some(row.token.0[0]);
        (other, row.n, row.to.0[0], row.raw)
    };
    rows.iter().map(row).collect()
}

fn expected() -> Vec<(Option<u8>, u32, u8, U256)> {
    let small = |n: u64| U256::from(n);
    vec![
        (None, 0, 1, small(100)),
        (Some(0xfa), 0, 1, U256::MAX),
        (Some(0xfb), 0, 2, small(5)),
        (Some(0xfa), 2, 2, small(7)),
        (None, 1, 3, small(30)),
        (Some(0xfb), 0, 4, small(8)),
    ]
}

#[tokio::test]
async fn they_are_found_near_the_tip_and_below_the_finalized_height() {
    for finalized in [0, 9] {
        for ask in [true, false] {
            let chain = chain();
            chain.mine(vec![noise(9)]);
            medley(&chain);
            chain.mine_empty(8);
            chain.finalize(finalized);
            let node = node(&chain).await;
            let config = config(&[node.http_url()]);
            let config = if ask { with_others(config) } else { config };
            let mut follower = Follower::with(config).await;
            follower.catch_up().await;
            let mut expected = expected();
            expected.retain(|(other, ..)| ask || other.is_none());
            assert_eq!(found(&follower), expected, "finalized {finalized}, asked {ask}");
        }
    }
}

#[tokio::test]
async fn receipts_name_them_alike() {
    let chain = chain();
    medley(&chain);
    let node = node(&chain).await;
    let config = with_others(config(&[node.http_url()]));
    for prove in [erc20::Prove::Payments, erc20::Prove::Always] {
        let mut follower = Follower::with(Config { prove, ..config.clone() }).await;
        follower.catch_up().await;
        assert_eq!(found(&follower), expected(), "{prove:?}");
        assert_eq!(follower.source.health()[0].failed, 0, "{prove:?}");
    }
}

#[tokio::test]
async fn a_block_of_look_alikes_alone_does_not_hide_the_token() {
    // The token's own logs are left out, the others' are there: its bloom speaks of the token.
    let chain = chain();
    let (liar, honest) = (node(&chain).await, node(&chain).await);
    chain.mine(vec![Tx::transfer_of(fake(0xfa), account(200), account(2), 5u64), pay(1, 100)]);
    let tx = chain.transactions(1)[1];
    liar.fault(Fault::OmitLog { tx });
    let config = with_others(config(&[liar.http_url(), honest.http_url()]));
    let mut follower = Follower::with(config).await;
    follower.crowd();
    follower.catch_up().await;
    assert_eq!(found(&follower).len(), 2);
}

#[tokio::test]
async fn a_flood_costs_no_proof_and_hides_nothing() {
    let chain = chain();
    let flood = (0..3_000u64)
        .map(|n| Tx::transfer_of(fake(0xfa), account(200), account(1), U256::MAX).tagged(n));
    let mut txs: Vec<Tx> = flood.collect();
    txs.insert(1_500, pay(2, 100));
    chain.mine(txs);
    let node = node(&chain).await;
    let mut follower = Follower::with(with_others(config(&[node.http_url()]))).await;
    follower.crowd();
    follower.catch_up().await;
    assert_eq!(found(&follower).len(), 3_001);
    assert_eq!(node.requests().count("eth_getBlockReceipts"), 0);
    node.fault(Fault::Error {
        methods: Methods::only(&["eth_getLogs"]),
        http_status: 200,
        body: TOO_MANY.to_owned(),
        times: None,
    });
    chain.mine(vec![pay(3, 7)]);
    // One block is too much for its answer: the receipts hold the same.
    chain.finalize(2);
    let mut again = Follower::with(with_others(config(&[node.http_url()]))).await;
    again.catch_up().await;
    assert_eq!(found(&again).len(), 3_002);
}
