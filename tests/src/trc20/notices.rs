//! What the token's issuer says on TRON, where some of it is indexed that is not elsewhere.
//!
//! In: a block in which it says everything there is to say. Out: what concerns everybody, and what
//! is about one of ours. Never: another contract's word for it; what did not happen.

use alloy::primitives::{Address as RawAddress, B256, U256, keccak256};
use lab::tron::{Chain, LogSpec, Tx};
use payments::notice::{Notice, What};
use trc20::Config;

use super::rig::{Follower, account, chain, config, node, noise, ours};

fn raw(contract: Option<RawAddress>, signature: &str, topics: &[B256], data: &[B256]) -> LogSpec {
    let topics = [&[keccak256(signature)], topics].concat();
    let data: Vec<u8> = data.iter().flat_map(|word| word.0).collect();
    LogSpec::Raw { contract, topics, data: data.into() }
}

fn medley(chain: &Chain) {
    let word = |n: u8| account(n).into_word();
    let (hundred, five) = (U256::from(100), U256::from(5));
    let black = |n: u8| LogSpec::AddedBlackList { account: account(n) };
    let gone = |n: u8, value| LogSpec::DestroyedBlackFunds { account: account(n), value };
    let fake = Some(RawAddress::repeat_byte(0xfa));
    let of_ours = Tx::transfer(account(200), account(1), 100u64)
        .and(black(1))
        .and(black(150))
        .and(gone(1, hundred))
        .and(raw(None, "RemovedBlackList(address)", &[word(1)], &[]))
        .and(raw(fake, "AddedBlackList(address)", &[word(2)], &[]))
        .and(raw(fake, "Pause()", &[], &[]));
    let of_all = Tx::empty()
        .tagged(1)
        .and(LogSpec::Params { basis_points: U256::from(10), max_fee: five })
        .and(LogSpec::Pause)
        .and(LogSpec::Unpause)
        .and(LogSpec::Deprecate { successor: account(170) });
    let undone = Tx::empty().tagged(2).and(LogSpec::Pause).out_of_time();
    chain.mine(vec![noise(1), of_ours, of_all, undone]);
}

async fn found(config: Config) -> Vec<Notice> {
    let mut follower = Follower::with(config).await;
    let mut notices = Vec::new();
    loop {
        notices.extend(follower.poll().await.unwrap().notices);
        if follower.step().await.unwrap() == 0 {
            break;
        }
    }
    notices.sort_by_key(|notice| (notice.block.height, notice.log_index));
    notices.dedup();
    notices
}

#[tokio::test]
async fn all_that_concerns_us_is_read_wherever_the_block_lies() {
    let expected = vec![
        (0, What::Blacklisted(ours(1))),
        (2, What::Destroyed { from: ours(1), raw: U256::from(100) }),
        (3, What::Released(ours(1))),
        (0, What::Fee { points: 10, most: U256::from(5) }),
        (1, What::Paused),
        (2, What::Unpaused),
        (3, What::Deprecated(ours(170))),
    ];
    for solid in [0, 9] {
        for other_tokens in [true, false] {
            let chain = chain();
            chain.mine(vec![noise(9)]);
            medley(&chain);
            chain.mine_empty(8);
            chain.solidify(solid);
            let node = node(&chain).await;
            let found = found(Config { other_tokens, ..config(&[&node]) }).await;
            let found: Vec<_> = found.iter().map(|notice| (notice.n, notice.what)).collect();
            assert_eq!(found, expected, "solid {solid}, others {other_tokens}");
        }
    }
}

#[tokio::test]
async fn reading_again_and_two_servers_tell_the_same() {
    let chain = chain();
    medley(&chain);
    chain.mine_empty(20);
    let (one, other) = (node(&chain).await, node(&chain).await);
    let mut follower = Follower::new(&[&one, &other]).await;
    follower.catch_up().await;
    let again = follower.source.rescan(1, 1, &follower.watch).await.unwrap();
    let agreed = follower.source.corroborate(1, &follower.watch).await.unwrap();
    assert_eq!(again.notices.len(), 7);
    assert_eq!((agreed.notices, agreed.transfers), (again.notices, again.transfers));
}
