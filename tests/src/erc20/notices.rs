//! What the token's issuer says: read with the Transfers, by the same requests, and proved.
//!
//! In: a block in which it says everything there is to say. Out: what concerns everybody, and what
//! is about one of ours. Never: another contract's word for it; one that was left out unnoticed.

use alloy::primitives::{Address as RawAddress, B256, U256, keccak256};
use erc20::{Config, Prove};
use lab::evm::{Chain, Fault, LogSpec, Tx};
use payments::address::Address;
use payments::notice::What;

use super::rig::{Follower, account, at, chain, config, node, noise, pay};

fn ours(n: u8) -> Address {
    Address(account(n).into_array())
}

/// A log by the token, or by another contract, of an event that lab has no name for.
fn raw(contract: Option<RawAddress>, signature: &str, topics: &[B256], data: &[B256]) -> LogSpec {
    let topics = [&[keccak256(signature)], topics].concat();
    let data: Vec<u8> = data.iter().flat_map(|word| word.0).collect();
    LogSpec::Raw { contract, topics, data: data.into() }
}

/// One block with everything, among payments: in one transaction and in others.
fn medley(chain: &Chain) {
    let word = |account: u8| super::rig::account(account).into_word();
    let (hundred, five) = (U256::from(100), U256::from(5));
    let black = |account: u8| LogSpec::AddedBlackList { account: super::rig::account(account) };
    let gone = |account: u8, value| {
        let account = super::rig::account(account);
        LogSpec::DestroyedBlackFunds { account, value }
    };
    let fake = Some(RawAddress::repeat_byte(0xfa));
    let old = Tx::transfer(account(200), account(1), 100)
        .and(black(1))
        .and(black(150))
        .and(gone(1, hundred))
        .and(gone(150, five))
        .and(raw(None, "RemovedBlackList(address)", &[], &[word(1)]))
        .and(raw(fake, "AddedBlackList(address)", &[], &[word(2)]))
        .and(raw(fake, "Pause()", &[], &[]))
        // Under its signature's hash and something else.
        .and(raw(None, "AddedBlackList(address)", &[], &[word(1), word(2)]))
        .and(raw(None, "AddedBlackList(address)", &[], &[B256::repeat_byte(1)]))
        .and_transfer(account(200), account(3), 30);
    // As USDT0 spells it, with its arguments indexed.
    let new = Tx::empty()
        .and(raw(None, "BlockPlaced(address)", &[word(2)], &[]))
        .and(raw(None, "DestroyedBlockedFunds(address,uint256)", &[word(2)], &[five.into()]))
        .and(raw(None, "BlockReleased(address)", &[word(2)], &[]));
    let token = Tx::empty()
        .tagged(1)
        .and(LogSpec::Params { basis_points: U256::from(10), max_fee: five })
        .and(LogSpec::Pause)
        .and(LogSpec::Unpause)
        .and(LogSpec::Deprecate { successor: account(170) });
    chain.mine(vec![noise(1), old, new, token]);
}

/// What is to be seen of it: in which transaction, its place there, what.
fn expected() -> Vec<(usize, u32, What)> {
    let (hundred, five) = (U256::from(100), U256::from(5));
    vec![
        (1, 0, What::Blacklisted(ours(1))),
        (1, 2, What::Destroyed { from: ours(1), raw: hundred }),
        (1, 4, What::Released(ours(1))),
        (2, 0, What::Blacklisted(ours(2))),
        (2, 1, What::Destroyed { from: ours(2), raw: five }),
        (2, 2, What::Released(ours(2))),
        (3, 0, What::Fee { points: 10, most: five }),
        (3, 1, What::Paused),
        (3, 2, What::Unpaused),
        (3, 3, What::Deprecated(ours(170))),
    ]
}

fn found(follower: &Follower, chain: &Chain, height: u64) -> Vec<(usize, u32, What)> {
    let hashes = chain.transactions(height);
    let place = |tx: [u8; 32]| hashes.iter().position(|hash| hash.0 == tx).unwrap();
    let found = follower.notices.iter().map(|notice| {
        assert_eq!(notice.block, at(chain, height));
        (place(notice.tx.0), notice.n, notice.what)
    });
    found.collect()
}

#[tokio::test]
async fn all_that_concerns_us_is_read_wherever_the_block_lies() {
    for finalized in [0, 9] {
        for other_tokens in [true, false] {
            let chain = chain();
            chain.mine(vec![noise(9)]);
            medley(&chain);
            chain.mine_empty(8);
            chain.finalize(finalized);
            let node = node(&chain).await;
            let config = Config { other_tokens, ..config(&[node.http_url()]) };
            let mut follower = Follower::with(config).await;
            follower.catch_up().await;
            let place = format!("finalized {finalized}, others {other_tokens}");
            assert_eq!(found(&follower, &chain, 2), expected(), "{place}");
            assert_eq!(follower.seen().len(), 2, "{place}");
            assert_eq!(follower.source.health()[0].failed, 0, "{place}");
        }
    }
}

#[tokio::test]
async fn receipts_tell_the_same() {
    for prove in [Prove::Payments, Prove::Always] {
        let chain = chain();
        medley(&chain);
        let node = node(&chain).await;
        let mut follower = Follower::with(Config { prove, ..config(&[node.http_url()]) }).await;
        follower.catch_up().await;
        assert_eq!(found(&follower, &chain, 1), expected(), "{prove:?}");
        let told = follower.source.prove(1, &follower.watch).await.unwrap();
        assert_eq!((told.notices.len(), told.transfers.len()), (10, 2));
    }
}

/// Nothing is asked more often because of what an issuer might say.
#[tokio::test]
async fn a_block_costs_no_more_requests() {
    let chain = chain();
    for n in 0..10 {
        chain.mine(vec![noise(n), pay(1, n + 1)]);
    }
    let node = node(&chain).await;
    let mut follower = Follower::with(config(&[node.http_url()])).await;
    follower.catch_up().await;
    let asked = node.requests();
    assert_eq!(asked.count("eth_getLogs"), 10, "one a block near the tip");
    assert_eq!(asked.count("eth_getBlockReceipts"), 0);
    chain.mine(vec![Tx::empty().and(LogSpec::Pause)]);
    node.forget_requests();
    follower.catch_up().await;
    assert_eq!(follower.notices.len(), 1);
    let asked = node.requests();
    assert_eq!((asked.count("eth_getLogs"), asked.count("eth_getBlockReceipts")), (1, 1));
}

#[tokio::test]
async fn one_that_is_left_out_is_found_by_the_bloom() {
    for finalized in [0, 2] {
        let chain = chain();
        chain.mine(vec![noise(1)]);
        // Beside a payment that is told, and in a block with nothing else.
        for beside in [vec![pay(1, 5)], Vec::new()] {
            let mut txs = beside;
            txs.push(Tx::empty().tagged(7).and(LogSpec::Pause));
            chain.mine(txs);
        }
        chain.finalize(finalized);
        let node = node(&chain).await;
        for height in [2, 3] {
            let tx = *chain.transactions(height).last().unwrap();
            node.fault(Fault::OmitLog { tx });
        }
        let mut follower = Follower::new(&[&node]).await;
        follower.crowd();
        follower.catch_up_stubbornly(4).await;
        assert_eq!(follower.notices.len(), 2, "finalized {finalized}");
    }
}
