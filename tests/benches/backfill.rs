//! How fast a chain is caught up with: nothing but strangers' transfers, and nothing but ours.
//!
//! In: `--blocks` (100 transfers each), `--deposits`, `--rounds` of each, `--sqlite 0`,
//! `--postgres 0`. Out: transfers/s from a node on the loopback into SQLite, beside plain alloy and
//! the node's own pace; durable deposits/s on both engines, beside bare rows. Never: a rate of
//! books that do not verify after. Why: a day of downtime is paid back at this rate.

#[path = "../src/postgres.rs"]
mod postgres;
mod rig;

use std::time::Instant;

use alloy::primitives::Address as RawAddress;
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::Filter;
use alloy::sol;
use alloy::sol_types::SolEvent;
use futures_util::stream::{self, StreamExt};
use hashbrown::HashSet;
use lab::evm::ChainSpec;
use lab::evm::bench::{BenchChain, BenchNode, BenchSpec};
use store::{OpenMode, Store};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// Blocks of a window: what the daemon asks for at first.
const WINDOW: u64 = 64;
/// A transfer of 25.00 USDT, what every order is over.
const DUE: u128 = 25_000_000;

fn main() {
    let asked = rig::Asked::read(&[
        ("blocks", 10_000),
        ("deposits", 200_000),
        ("rounds", 3),
        ("sqlite", 1),
        ("postgres", 1),
    ]);
    let runtime = rig::runtime();
    runtime.block_on(strangers(asked.of("blocks"), asked.of("rounds")));
    if asked.of("deposits") > 0 {
        runtime.block_on(ours(&asked));
    }
}

/// One transfer of 10,000 is ours.
async fn strangers(blocks: u64, rounds: u64) {
    if blocks == 0 {
        return;
    }
    let orders = blocks / 100;
    let paid: Vec<RawAddress> = (0..orders).map(|n| rig::address(n).into()).collect();
    let spec = BenchSpec { blocks, ..BenchSpec::million(10_000, paid.clone(), vec![DUE]) };
    let chain = BenchChain::build(spec);
    let node = BenchNode::start(&chain).await.unwrap();
    let (url, transfers) = (node.http_url(), blocks * 100);
    println!(
        "{transfers} transfers in {blocks} blocks, {} MB of logs, {orders} of them ours, \
        windows of {WINDOW} blocks; the node is in this process",
        chain.log_bytes() / 1_000_000
    );
    let ours: HashSet<RawAddress> = paid.into_iter().collect();
    let names = [
        "bodies read and dropped",
        "  4 at once",
        "alloy get_logs, matched",
        "  4 at once",
        "bursar, into SQLite",
    ];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    for _ in 0..rounds {
        for (way, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            times.push(match way {
                0 | 1 => {
                    let bytes = drained(&url, blocks, if way == 0 { 1 } else { 4 }).await;
                    assert!(bytes >= chain.log_bytes());
                    start.elapsed().as_secs_f64()
                }
                2 | 3 => {
                    let found = plain(&url, blocks, if way == 2 { 1 } else { 4 }, &ours).await;
                    assert_eq!(found, orders);
                    start.elapsed().as_secs_f64()
                }
                _ => caught_up(&url, orders).await,
            });
        }
    }
    let middle = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let times: Vec<f64> = times.iter_mut().map(middle).collect();
    for (name, time) in names.iter().zip(&times) {
        println!(
            "{name:26} {:>8.0} transfers/s {:>6.0} MB/s   bursar is {:>5.2} x",
            transfers as f64 / time,
            chain.log_bytes() as f64 / time / 1e6,
            time / times[4]
        );
    }
    println!("target: 2 x alloy: {}", rig::met(times[2] / times[4] >= 2.0));
}

/// The first height of each window.
fn windows(blocks: u64) -> impl Iterator<Item = (u64, u64)> {
    let step = usize::try_from(WINDOW).unwrap();
    (1..=blocks).step_by(step).map(move |first| (first, (first + WINDOW - 1).min(blocks)))
}

/// The floor: the same bodies, read and dropped.
async fn drained(url: &str, blocks: u64, at_once: usize) -> usize {
    let client = reqwest::Client::new();
    let bodies = stream::iter(windows(blocks)).map(|(from, to)| {
        let client = client.clone();
        async move {
            let question = rig::logs_question(from, to);
            let mut answer = client.post(url).json(&question).send().await.unwrap();
            let mut bytes = 0;
            while let Some(chunk) = answer.chunk().await.unwrap() {
                bytes += chunk.len();
            }
            bytes
        }
    });
    bodies.buffered(at_once).fold(0, async |sum, bytes| sum + bytes).await
}

/// What one writes without us: ranges of logs through alloy, decoded and matched, nothing stored
/// and nothing checked.
async fn plain(url: &str, blocks: u64, at_once: usize, ours: &HashSet<RawAddress>) -> u64 {
    let provider: RootProvider = ProviderBuilder::default().connect_http(url.parse().unwrap());
    let filter = Filter::new().address(ChainSpec::ethereum().token.address);
    let filter = filter.event_signature(Transfer::SIGNATURE_HASH);
    let counts = stream::iter(windows(blocks)).map(|(from, to)| {
        let (provider, filter) = (provider.clone(), filter.clone());
        let ours = ours.clone();
        let read = async move {
            let filter = filter.from_block(from).to_block(to);
            let logs = provider.get_logs(&filter).await.unwrap();
            let transfers = logs.iter().map(|log| Transfer::decode_log(&log.inner).unwrap());
            let found = transfers.filter(|t| ours.contains(&t.to) || ours.contains(&t.from));
            u64::try_from(found.count()).unwrap()
        };
        async move { tokio::spawn(read).await.unwrap() }
    });
    counts.buffered(at_once).fold(0, async |sum, count| sum + count).await
}

/// The daemon's loop from genesis to the tip, into new books. How long it took, in seconds.
async fn caught_up(url: &str, orders: u64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let books = format!("sqlite:{}", folder.path().join("books.db").display());
    let store = Store::open(&books, OpenMode::Migrate).await.unwrap();
    rig::orders(&books, 0, orders).await;
    let time = followed(&store, url, orders).await.0;
    store.close().await;
    time
}

/// Turns until nothing is left to read. Seconds, and commits; what is still above the finalized
/// height stays pending.
async fn followed(store: &Store, url: &str, orders: u64) -> (f64, u32) {
    let start = Instant::now();
    let config = rig::config(&[url.to_owned()], erc20::Start::Height(0));
    let mut watcher = rig::watcher(store, rig::rules(Vec::new()), config).await;
    let (mut recorded, mut turns) = (0, 0);
    loop {
        let turn = watcher.step().await.unwrap();
        recorded += turn.changes.recorded.len();
        turns += 1;
        if !turn.more {
            break;
        }
    }
    let time = start.elapsed().as_secs_f64();
    assert_eq!(u64::try_from(recorded).unwrap(), orders);
    let start = Instant::now();
    assert_eq!(store.verify().await.unwrap(), []);
    println!("  ({orders} deposits verified in {:.1} s)", start.elapsed().as_secs_f64());
    (time, turns)
}

/// Every transfer is ours, each to its own order; new books for every round.
async fn ours(asked: &rig::Asked) {
    let (deposits, rounds) = (asked.of("deposits"), asked.of("rounds"));
    let blocks = deposits / 100;
    let paid = (0..deposits).map(|n| rig::address(n).into()).collect();
    // One more block on top, so that every deposit is final.
    let spec = BenchSpec { blocks, finality_lag: 0, ..BenchSpec::million(1, paid, vec![DUE]) };
    let node = BenchNode::start(&BenchChain::build(spec)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    println!("\n{deposits} transfers in {blocks} blocks, each to an order of its own");
    let syncs = rig::syncs(folder.path());
    let mut rates = Vec::new();
    for round in 0..rounds * asked.of("sqlite") {
        let url = format!("sqlite:{}", folder.path().join(format!("{round}.db")).display());
        rates.push(credited("SQLite", &url, &node, deposits, syncs).await);
    }
    told("SQLite", &mut rates, 20_000.0);
    // A server that was just made is busy making the files of its log: it is run in first.
    for round in 0..(rounds + 1) * asked.of("postgres") {
        let database = postgres::database().await;
        let name = if round == 0 { "  run in:" } else { "PostgreSQL" };
        let rate = credited(name, &database.url, &node, deposits, syncs).await;
        rates.extend((round > 0).then_some(rate));
    }
    told("PostgreSQL", &mut rates, 10_000.0);
}

/// The middle of the rates, which are taken.
fn told(engine: &str, rates: &mut Vec<f64>, target: f64) {
    rates.sort_by(f64::total_cmp);
    if let Some(middle) = rates.get(rates.len() / 2) {
        let met = rig::met(*middle >= target);
        println!("target: {target:.0}/s on {engine}, the middle is {middle:.0}: {met}");
    }
    rates.clear();
}

/// Deposits a second of one round.
async fn credited(engine: &str, url: &str, node: &BenchNode, deposits: u64, syncs: f64) -> f64 {
    let store = Store::open(url, OpenMode::Migrate).await.unwrap();
    let floor = rig::bare_rows(url, 500_000, 50_000).await / 10.0;
    rig::orders(url, 0, deposits).await;
    let (time, turns) = followed(&store, &node.http_url(), deposits).await;
    let rate = deposits as f64 / time;
    println!(
        "{engine:10} {rate:>8.0} deposits/s with their journals and events, durable; {floor:>8.0} \
        times ten bare rows/s: {:.2} x; {turns} turns, {:.3} x the {syncs:.0} syncs/s",
        rate / floor,
        f64::from(turns) / time / syncs
    );
    store.close().await;
    rate
}
