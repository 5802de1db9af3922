//! How long a block takes to become a credit.
//!
//! In: `--blocks`. Out: from mining a block to its committed credit, by subscription and by
//! polling, at no further confirmation, into SQLite; beside one synced page and one request.
//! Never: a time that ends before the commit. Why: this is what a customer waits for beside the
//! chain itself.

mod rig;

use std::time::{Duration, Instant};

use alloy::primitives::Address as RawAddress;
use bursar::watch::Watcher;
use lab::evm::{Chain, ChainSpec, Node, Tx};
use payments::changes::{Changes, Finality, FinalityRule};
use payments::event::EventKind;
use serde_json::json;
use store::{OpenMode, Store};
use tokio::sync::{mpsc, watch};

/// Orders beside those that are paid.
const OTHERS: u64 = 10_000;
/// What every order is over.
const DUE: u64 = 25_000_000;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let blocks = rig::Asked::read(&[("blocks", 200)]).of("blocks");
    let runtime = rig::runtime();
    println!(
        "{blocks} blocks of one payment each among {OTHERS} other orders, credited in the block \
        they are seen in"
    );
    let (socket, _) = runtime.block_on(credited(blocks, |node| vec![node.ws_url()], POLLED));
    runtime.block_on(credited(blocks, |node| vec![node.http_url(), node.ws_url()], POLLED));
    runtime.block_on(credited(blocks.min(50), |node| vec![node.http_url()], SHORT));
    println!("target: 50 ms by subscription: {}", rig::met(socket <= 50.0));
}

/// The daemon's own poll interval: a ring must end it.
const POLLED: Duration = Duration::from_secs(12);
/// For a chain without a subscription.
const SHORT: Duration = Duration::from_millis(100);

/// The middle time and the 95th of a hundred, in milliseconds.
async fn credited(blocks: u64, urls: impl Fn(&Node) -> Vec<String>, poll: Duration) -> (f64, f64) {
    let chain = Chain::new(ChainSpec::ethereum());
    chain.finality_lag(64);
    chain.mine_empty(100);
    let node = Node::start(chain.clone()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let floor = 1e3 / rig::syncs(folder.path()) + asked(&node.http_url()).await;
    let url = format!("sqlite:{}", folder.path().join("books.db").display());
    let store = Store::open(&url, OpenMode::Migrate).await.unwrap();
    rig::orders(&url, 0, blocks + OTHERS).await;
    let at_once = vec![FinalityRule { up_to: None, finality: Finality::Confirmations(0) }];
    let urls = urls(&node);
    let config = rig::config(&urls, erc20::Start::Tip);
    let watcher = rig::watcher(&store, rig::rules(at_once), config).await;
    let (stop, stopped) = watch::channel(false);
    let (tell, mut told) = mpsc::unbounded_channel();
    let running = tokio::spawn(followed(watcher, poll, stopped, tell));
    while told.recv().await.unwrap() < 100 {}
    let mut times = Vec::new();
    for n in 0..blocks {
        let payer = RawAddress::repeat_byte(0xaa);
        let start = Instant::now();
        chain.mine(vec![Tx::transfer(payer, rig::address(n).into(), DUE)]);
        while told.recv().await.unwrap() < 1_000_000 + n + 1 {}
        times.push(start.elapsed());
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
    store.close().await;
    let schemes: Vec<&str> = urls.iter().map(|url| &url[..4]).collect();
    let (middle, most, largest) = rig::spread(times);
    println!(
        "{:12} {middle:>6.1} ms p50 {most:>6.1} ms p95 {largest:>6.1} ms max   floor {floor:.2} ms, \
        one synced page and one request: {:.1} x",
        schemes.join("+"),
        middle / floor
    );
    (middle, most)
}

/// The daemon's loop. Tells the height of the newest kept block, and a million and how many
/// credits were granted so far.
async fn followed(
    watcher: Watcher,
    poll: Duration,
    stopped: watch::Receiver<bool>,
    tell: mpsc::UnboundedSender<u64>,
) {
    let mut granted = 1_000_000;
    let seen = |_: &_, changes: Result<&Changes, &bursar::Error>| {
        let changes = changes.unwrap();
        let heights = changes.cursor.iter().flat_map(|cursor| cursor.kept.last());
        heights.for_each(|header| tell.send(header.id.height).unwrap());
        let granting = |event: &&payments::event::Event| event.kind == EventKind::CreditsGranted;
        let now = changes.events.iter().filter(granting).count();
        if now > 0 {
            granted += u64::try_from(now).unwrap();
            tell.send(granted).unwrap();
        }
    };
    watcher.run(poll, stopped, seen).await.unwrap();
}

/// How long one request to the node takes, in milliseconds.
async fn asked(url: &str) -> f64 {
    let client = reqwest::Client::new();
    let question = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []});
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        rig::post(&client, url, question.clone()).await;
        times.push(start.elapsed());
    }
    rig::spread(times).0
}
