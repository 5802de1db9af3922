//! The next turn is prepared while the last is written: the real loop along a chain of payments.
//!
//! In: a scripted node whose blocks hold nothing but ours, and whoever else uses the books between
//! two turns. Out: the books, which nobody can tell from those of a loop that does one thing at a
//! time. Never: a look ahead that goes by its own word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bursar::books::Books;
use bursar::clock::Clock;
use bursar::config::Chain;
use bursar::node::Node;
use bursar::watch::{Turn, Watcher};
use lab::evm::ChainSpec;
use lab::evm::bench::{BenchChain, BenchNode, BenchSpec};
use payments::Update;
use payments::address::Address;
use payments::amount::Usdt;
use payments::changes::{Bounds, ChainRules, Rules};
use payments::deposit::State;
use payments::order::Order;
use payments::time::Time;
use store::{Store, WatchState};
use tokio::sync::Mutex;

use super::shop::{chain, id, order};
use super::{Place, on_both};

on_both!(
    a_long_way_is_credited_once,
    two_loops_along_the_same_way_credit_once,
    a_pause_between_two_turns_is_kept,
    an_order_cancelled_between_two_turns_stays_cancelled,
    an_order_paid_in_every_turn_has_its_duplicates,
);

/// Payments of a block, blocks of a turn, and turns.
const PAYMENTS: u64 = 24;
const BLOCKS: u64 = 20;
const TURNS: u64 = 4;

const EACH: u64 = PAYMENTS * BLOCKS;

fn address(n: u64) -> Address {
    let mut bytes = [0x0c; 20];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Address(bytes)
}

fn name(n: u64) -> String {
    format!("N{n:05}")
}

/// Order `n`, paid by the transfer `n` of the chain.
fn nth(n: u64) -> Order {
    let (id, address) = (id(&name(n)), address(n));
    let expires_at = Some(Time(4_000_000_000_000));
    Order { id, address, expires_at, ..order("N") }
}

fn rules() -> Rules {
    let rules = ChainRules {
        token: Address(ChainSpec::ethereum().token.address.into_array()),
        decimals: 6,
        max_reorg: 64,
        finality: Vec::new(),
        treasury: Vec::new(),
        bounds: Bounds::default(),
    };
    BTreeMap::from([(chain(), rules)])
}

/// A node whose transfers pay the orders `0..count` one after the other, again and again.
async fn node(count: u64) -> BenchNode {
    let paid = (0..count).map(|n| address(n).0.into()).collect();
    let spec = BenchSpec {
        blocks: BLOCKS * TURNS,
        logs_per_block: PAYMENTS,
        finality_lag: 0,
        ..BenchSpec::million(1, paid, vec![100_000_000])
    };
    BenchNode::start(&BenchChain::build(spec)).await.unwrap()
}

fn books(store: &Store) -> Books {
    Books { store: store.clone(), rules: Arc::new(rules()), clock: Clock::System }
}

async fn ordered(store: &Store, numbers: std::ops::Range<u64>) {
    for n in numbers {
        books(store).record(&Update::Create(nth(n))).await.unwrap();
    }
}

/// The loop, five blocks to a question and four questions to a turn.
async fn watcher(store: &Store, node: &BenchNode) -> Watcher {
    let endpoint = erc20::EndpointConfig::new("bench", &node.http_url()).unwrap();
    let config = erc20::Config {
        chain: chain(),
        chain_id: ChainSpec::ethereum().chain_id,
        token: rules()[&chain()].token,
        decimals: 6,
        genesis: None,
        endpoints: vec![endpoint],
        finality: erc20::Finality::Tags,
        start: erc20::Start::Height(0),
        max_reorg: 64,
        window: 5,
        in_flight: 4,
        deadline: Duration::from_secs(20),
        check_header_hash: true,
        other_tokens: false,
        prove: erc20::Prove::Suspicious,
        rest: Arc::new(bursar::retry::rest),
    };
    let chain_config = Chain {
        rules: rules()[&chain()].clone(),
        node: bursar::config::Node::Evm(Box::new(config)),
        addresses: None,
        orders: bursar::config::Orders::default(),
        recovery_fee: Usdt::ZERO,
        refund_fee: Usdt::ZERO,
        recordable: None,
        poll_interval: Duration::from_secs(4),
        stalled_after: Duration::from_secs(60),
    };
    let node = Node::connect(chain_config.node.clone()).await.unwrap();
    let watched = Arc::new(Mutex::new(WatchState::default()));
    Watcher::new(chain(), &chain_config, node, books(store), watched)
}

/// Turns to the end of the chain. Where somebody else moved the cursor meanwhile, it looks again.
async fn followed(watcher: &mut Watcher) -> Vec<Turn> {
    let (mut turns, mut again) = (Vec::new(), 0);
    loop {
        match watcher.step().await {
            Ok(turn) => turns.push(turn),
            Err(error) => {
                again += 1;
                assert!(again < 100, "{error}");
                continue;
            }
        }
        if turns.last().is_some_and(|turn| !turn.more) {
            return turns;
        }
    }
}

/// How many payments of 100 an account has been credited with.
async fn payments(store: &Store, account: &str) -> i128 {
    let balances = store.balances(account, "", 10).await.unwrap();
    balances.0.values().map(|sides| sides.credits).sum::<i128>() / 100_000_000
}

async fn is_whole(store: &Store, sold: u64) {
    assert_eq!(store.verify().await.unwrap(), []);
    assert_eq!(payments(store, "sales").await, i128::from(sold));
}

async fn a_long_way_is_credited_once(place: Place) {
    let node = node(EACH * TURNS).await;
    ordered(&place.store, 0..EACH * TURNS).await;
    let turns = followed(&mut watcher(&place.store, &node).await).await;
    let prepared = turns.iter().filter(|turn| turn.prepared).count();
    assert!(prepared > 1, "{prepared} of {} turns", turns.len());
    is_whole(&place.store, EACH * TURNS).await;
}

async fn two_loops_along_the_same_way_credit_once(place: Place) {
    let node = node(EACH * TURNS).await;
    ordered(&place.store, 0..EACH * TURNS).await;
    let mut one = watcher(&place.store, &node).await;
    let mut two = watcher(&place.store, &node).await;
    tokio::join!(followed(&mut one), followed(&mut two));
    is_whole(&place.store, EACH * TURNS).await;
}

async fn a_pause_between_two_turns_is_kept(place: Place) {
    let node = node(EACH * TURNS).await;
    ordered(&place.store, 0..EACH * TURNS).await;
    let mut watcher = watcher(&place.store, &node).await;
    let first = watcher.step().await.unwrap();
    assert!(first.more);
    let first = u64::try_from(first.changes.recorded.len()).unwrap();
    let why = "odd blocks".to_owned();
    books(&place.store).record(&Update::Pause { chain: chain(), why }).await.unwrap();
    followed(&mut watcher).await;
    is_whole(&place.store, first).await;
    let cursor = place.store.cursor(&chain()).await.unwrap();
    assert_eq!(cursor.paused.as_deref(), Some("odd blocks"));
    let waiting = place.store.order(&id(&name(first))).await.unwrap().unwrap();
    assert_eq!(waiting.deposits[0].state, State::Pending);
}

async fn an_order_cancelled_between_two_turns_stays_cancelled(place: Place) {
    let node = node(EACH * TURNS).await;
    ordered(&place.store, 0..EACH * TURNS).await;
    let mut watcher = watcher(&place.store, &node).await;
    let (mut cancelled, mut paid) = (Vec::new(), 0);
    loop {
        let turn = watcher.step().await.unwrap();
        if !turn.more {
            break;
        }
        paid += u64::try_from(turn.changes.recorded.len()).unwrap();
        let next = id(&name(paid + 7));
        books(&place.store).record(&Update::Cancel(next.clone())).await.unwrap();
        cancelled.push(next);
    }
    assert!(cancelled.len() > 1, "{cancelled:?}");
    // Each was paid before it was cancelled, by the time of its block.
    is_whole(&place.store, EACH * TURNS).await;
    for id in cancelled {
        let order = place.store.order(&id).await.unwrap().unwrap();
        assert!(order.cancelled.is_some() && order.paid.is_some(), "{order:?}");
    }
}

/// Whom the last turn paid the next one must read as it is written.
async fn an_order_paid_in_every_turn_has_its_duplicates(place: Place) {
    let node = node(8).await;
    ordered(&place.store, 0..8).await;
    let turns = followed(&mut watcher(&place.store, &node).await).await;
    assert!(turns.iter().all(|turn| !turn.prepared));
    is_whole(&place.store, 8).await;
    let held = payments(&place.store, "suspense:").await;
    assert_eq!(held, i128::from(EACH * TURNS - 8));
}
