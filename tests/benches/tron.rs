//! Whether a TRON chain under mainnet's load is kept up with, and how fast it is caught up with.
//!
//! In: `--blocks` of mainnet's size, `--near` of them one by one, `--day` small ones, `--payments`,
//! `--rounds`, `--parsed 0`. Out: blocks/s from a node on the loopback into SQLite, as times of the
//! chain's own pace; processor time of our side; requests a block; from solidified to credited.
//! Never: a rate of books that do not verify after; the node's processor time taken for ours.
//! Why: a watcher slower than its chain never comes to its end, and requests are what plans sell.

mod rig;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::config::{self, TronNode, Way};
use bursar::watch::Watcher;
use futures_util::stream::{self, StreamExt};
use lab::tron::bench::{BenchChain, BenchNode, BenchSpec};
use lab::tron::{Chain, ChainSpec, Node};
use payments::address::Address;
use payments::changes::{Bounds, ChainRules, Changes, Finality, FinalityRule, Rules};
use payments::event::EventKind;
use payments::name::ChainName;
use serde_json::{Value, json};
use store::{OpenMode, Store};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// Seconds from one block of the chain to the next.
const SLOT: f64 = 3.0;
/// Blocks of a window, and requests at once: what the daemon takes without being told.
const WINDOW: u64 = 20;
const IN_FLIGHT: usize = 4;
/// What every order is over.
const DUE: u64 = 25_000_000;
/// Where reading begins above the first block: it stands on a verified one, and the first one's
/// parent is no block's id.
const BELOW: u64 = 2;
/// One block of so many pays one of ours.
const PAID_EVERY: u64 = 10;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let asked = rig::Asked::read(&[
        ("blocks", 1_000),
        ("near", 200),
        ("day", 28_800),
        ("payments", 20),
        ("rounds", 3),
        ("parsed", 1),
    ]);
    // The node's threads are told apart by their name.
    let host = tokio::runtime::Builder::new_multi_thread()
        .thread_name(NODE_THREADS)
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    if asked.of("blocks") > 0 {
        let parsed = asked.of("parsed") == 1;
        caught_up(&host, asked.of("blocks"), asked.of("rounds"), parsed);
    }
    if asked.of("day") > 0 {
        small_day(&host, asked.of("day"));
    }
    if asked.of("near") > 0 {
        near(&host, asked.of("near"));
        by_accounts(&host);
    }
    for poll in [50, 500, 3_000] {
        if asked.of("payments") > 0 {
            let poll = Duration::from_millis(poll);
            rig::runtime().block_on(credited(&host, asked.of("payments"), poll));
        }
    }
}

/// One thread for everything but the database's own.
fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const NODE_THREADS: &str = "bench-node";

/// Processor time of this process: of our side, and of the node's threads.
#[derive(Clone, Copy)]
struct Worked {
    ours: f64,
    node: f64,
}

impl Worked {
    /// Linux counts it in hundredths of a second.
    fn now() -> Self {
        let all = spent("/proc/self/stat").map_or(0.0, |(_, seconds)| seconds);
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let threads = tasks.filter_map(|task| spent(task.path().join("stat").to_str()?));
        let node = threads.filter(|(name, _)| name == NODE_THREADS).map(|(_, seconds)| seconds);
        let node: f64 = node.sum();
        Self { ours: all - node, node }
    }

    /// Milliseconds a block since then.
    fn each(self, blocks: u64) -> Self {
        let now = Self::now();
        let each = |from: f64, to: f64| (to - from) * 1e3 / blocks as f64;
        Self { ours: each(self.ours, now.ours), node: each(self.node, now.node) }
    }
}

/// The name and the seconds of a process or a thread.
fn spent(path: &str) -> Option<(String, f64)> {
    let stat = std::fs::read_to_string(path).ok()?;
    let (head, tail) = stat.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    let ticks = tail.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    Some((name, ticks.sum::<f64>() / 100.0))
}

fn name() -> ChainName {
    ChainName::new("tron").unwrap()
}

fn rules() -> Rules {
    let token = Address(ChainSpec::tron().token.address.into_array());
    let finality = vec![FinalityRule { up_to: None, finality: Finality::Finalized }];
    let bounds = Bounds::default();
    BTreeMap::from([(
        name(),
        ChainRules { token, decimals: 6, max_reorg: 64, finality, treasury: Vec::new(), bounds },
    )])
}

/// The daemon's loop over one host that serves everything, read from `start` on.
async fn watcher(store: &Store, url: &str, start: u64, way: Way) -> Watcher {
    let spec = ChainSpec::tron();
    let source = trc20::Config {
        chain: name(),
        token: Address(spec.token.address.into_array()),
        decimals: spec.token.decimals,
        genesis: None,
        endpoints: vec![trc20::EndpointConfig::one_host("node", url, None).unwrap()],
        start: trc20::Start::Height(start),
        max_reorg: 64,
        window: WINDOW,
        in_flight: IN_FLIGHT,
        deadline: Duration::from_secs(20),
        other_tokens: true,
        rest: Arc::new(bursar::retry::rest),
    };
    let node = config::Node::Tron(Box::new(TronNode { source, way }));
    rig::watcher_of(store, rules(), (name(), node), Duration::from_secs(3)).await
}

/// Books of their own with this many orders.
struct Books {
    store: Store,
    folder: tempfile::TempDir,
}

impl Books {
    async fn open(orders: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("books.db").display());
        let store = Store::open(&url, OpenMode::Migrate).await.unwrap();
        rig::orders_on("tron", &url, 0, orders).await;
        Self { store, folder }
    }

    async fn close(self) {
        assert_eq!(self.store.verify().await.unwrap(), []);
        self.store.close().await;
    }
}

/// Turns until nothing is left to read; how many deposits were recorded.
async fn read_on(watcher: &mut Watcher) -> u64 {
    let mut recorded = 0;
    loop {
        let turn = watcher.step().await.unwrap();
        recorded += u64::try_from(turn.changes.recorded.len()).unwrap();
        if !turn.more {
            return recorded;
        }
    }
}

/// A chain with a payment to an order of its own every so many blocks.
fn chain(blocks: u64, paid_every: u64) -> BenchSpec {
    let paid = (0..blocks / paid_every).map(|n| rig::address(n).into()).collect();
    BenchSpec { blocks, ..BenchSpec::day(paid_every, paid, vec![DUE]) }
}

struct Run {
    seconds: f64,
    worked: Worked,
    requests: u64,
}

/// Catching up with everything there is, by as many threads as `runtime` has.
fn followed(runtime: &Runtime, node: &BenchNode, spec: &BenchSpec) -> Run {
    let paid = spec.blocks / spec.paid_every;
    runtime.block_on(async {
        let books = Books::open(paid).await;
        let asked = node.requests().total();
        let (start, worked) = (Instant::now(), Worked::now());
        let mut watcher = watcher(&books.store, &node.url(), spec.first + BELOW, Way::Blocks).await;
        assert_eq!(read_on(&mut watcher).await, paid);
        let (seconds, worked) = (start.elapsed().as_secs_f64(), worked.each(spec.blocks));
        books.close().await;
        Run { seconds, worked, requests: node.requests().total() - asked }
    })
}

/// The floors: the bodies of the same requests, read and dropped, or parsed as any JSON before.
fn drained(node: &BenchNode, spec: &BenchSpec, at_once: usize, parsed: bool) -> Run {
    let runtime = one_thread();
    runtime.block_on(async {
        let (asked, start, worked) = (node.requests().total(), Instant::now(), Worked::now());
        let client = reqwest::Client::new();
        let steps = (spec.first..spec.first + spec.blocks).step_by(WINDOW as usize);
        let questions = steps.flat_map(|from| {
            let to = (from + WINDOW).min(spec.first + spec.blocks);
            let infos = (from..to).map(|height| ("gettransactioninfobyblocknum", number(height)));
            let blocks = ("getblockbylimitnext", json!({"startNum": from, "endNum": to}));
            std::iter::once(blocks).chain(infos)
        });
        let url = node.url();
        let bodies = stream::iter(questions).map(|(method, question)| {
            let asked = client.post(format!("{url}/wallet/{method}")).json(&question).send();
            async move {
                let mut answer = asked.await.unwrap().error_for_status().unwrap();
                if parsed {
                    let body = answer.bytes().await.unwrap();
                    assert!(!serde_json::from_slice::<Value>(&body).unwrap().is_null());
                    return body.len();
                }
                let mut bytes = 0;
                while let Some(chunk) = answer.chunk().await.unwrap() {
                    bytes += chunk.len();
                }
                bytes
            }
        });
        let bytes = bodies.buffered(at_once).fold(0, async |sum, bytes| sum + bytes).await;
        assert!(bytes > 0);
        let (seconds, worked) = (start.elapsed().as_secs_f64(), worked.each(spec.blocks));
        Run { seconds, worked, requests: node.requests().total() - asked }
    })
}

fn number(height: u64) -> Value {
    json!({"num": height})
}

/// A stretch of mainnet, from the first block to the tip.
fn caught_up(host: &Runtime, blocks: u64, rounds: u64, parsed: bool) {
    let spec = chain(blocks, PAID_EVERY);
    let chain = BenchChain::build(spec.clone());
    let each = chain.bytes_per_block() as f64;
    println!(
        "{blocks} blocks of {} transactions, {} of them transfers of USDT, {:.2} MB a block with \
        its infos, every {PAID_EVERY}th paying one of ours; the node is in this process",
        spec.txs_per_block,
        spec.transfers_per_block,
        each / 1e6
    );
    let node = host.block_on(BenchNode::start(&chain)).unwrap();
    let (one, many) = (one_thread(), rig::runtime());
    let ways: [(&str, &dyn Fn() -> Run); 5] = [
        ("bodies read and dropped", &|| drained(&node, &spec, 1, false)),
        ("dropped, 4 at once", &|| drained(&node, &spec, IN_FLIGHT, false)),
        ("bursar, one thread", &|| followed(&one, &node, &spec)),
        ("bursar, a thread a core", &|| followed(&many, &node, &spec)),
        ("parsed by serde_json, 4 at once", &|| drained(&node, &spec, IN_FLIGHT, true)),
    ];
    let ways = &ways[..if parsed { 5 } else { 4 }];
    let mut runs: Vec<Vec<Run>> = ways.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, way), runs) in ways.iter().zip(&mut runs) {
            runs.push(way());
        }
    }
    let mut middle = Vec::new();
    for ((name, _), mut runs) in ways.iter().zip(runs) {
        runs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let run = runs.swap_remove(runs.len() / 2);
        let rate = blocks as f64 / run.seconds;
        println!(
            "{name:31} {rate:>6.0} blocks/s {:>5.0} MB/s {:>6.0} x real time   processor a block: \
            ours {:>5.2} ms, the node's {:>5.2} ms   {:.3} requests a block",
            rate * each / 1e6,
            rate * SLOT,
            run.worked.ours,
            run.worked.node,
            run.requests as f64 / blocks as f64
        );
        middle.push(run);
    }
    for floor in [1, 4].into_iter().filter(|floor| *floor < middle.len()) {
        println!(
            "  one thread takes {:.2} x, a thread a core {:.2} x the time of: {}",
            middle[2].seconds / middle[floor].seconds,
            middle[3].seconds / middle[floor].seconds,
            ways[floor].0.trim()
        );
    }
    let pace = blocks as f64 * SLOT / middle[2].seconds;
    println!("target: 20 x real time on one core: {}", rig::met(pace >= 20.0));
}

/// A whole day of blocks with little in them: what a block costs beside what is in it.
fn small_day(host: &Runtime, blocks: u64) {
    let few = chain(blocks, PAID_EVERY);
    let spec = BenchSpec { txs_per_block: 6, transfers_per_block: 2, ..few };
    let node = host.block_on(BenchNode::start(&BenchChain::build(spec.clone()))).unwrap();
    let run = followed(&one_thread(), &node, &spec);
    println!(
        "\n{blocks} blocks of {} transactions, {} of ours paid, one thread: {:.1} s, {:.0} \
        blocks/s, {:.0} x real time; processor a block: ours {:.2} ms, the node's {:.2} ms",
        spec.txs_per_block,
        blocks / PAID_EVERY,
        run.seconds,
        blocks as f64 / run.seconds,
        blocks as f64 * SLOT / run.seconds,
        run.worked.ours,
        run.worked.node
    );
}

/// Mainnet's blocks as they come: one a poll.
fn near(host: &Runtime, blocks: u64) {
    let spec = chain(100 + blocks, PAID_EVERY);
    let node = host.block_on(BenchNode::start(&BenchChain::build(spec.clone()))).unwrap();
    let top = spec.first + 100;
    node.show(top);
    one_thread().block_on(async {
        let books = Books::open(spec.blocks / PAID_EVERY).await;
        let mut watcher = watcher(&books.store, &node.url(), spec.first + BELOW, Way::Blocks).await;
        read_on(&mut watcher).await;
        let (asked, worked) = (node.requests().total(), Worked::now());
        let mut times = Vec::new();
        for n in 1..blocks {
            node.show(top + n);
            let start = Instant::now();
            read_on(&mut watcher).await;
            times.push(start.elapsed());
        }
        let worked = worked.each(blocks - 1).ours;
        let requests = (node.requests().total() - asked) as f64 / (blocks - 1) as f64;
        let (middle, most, largest) = rig::spread(times);
        println!(
            "\nnear the tip, a poll a block, one thread: {middle:.1} ms p50 {most:.1} ms p95 \
            {largest:.1} ms max; processor of our side {worked:.2} ms a block, of 3 s that is \
            1/{:.0}; {requests:.2} requests a block",
            SLOT * 1e3 / worked
        );
        books.close().await;
    });
}

/// What an index is asked, where only accounts are followed.
fn by_accounts(host: &Runtime) {
    const BLOCKS: u64 = 60;
    for (accounts, blocks_a_poll) in [(5, 1), (5, 20), (20, 20)] {
        let chain = Chain::new(ChainSpec::tron());
        chain.mine_empty(100);
        let node = host.block_on(Node::start_grid(chain.clone())).unwrap();
        one_thread().block_on(async {
            let books = Books::open(accounts).await;
            let way = Way::Accounts { at_most: 50, linger: Duration::ZERO, behind: false };
            let mut watcher = watcher(&books.store, &node.url(), 1, way).await;
            // The books begin with blocks; from then on the accounts are asked for.
            read_on(&mut watcher).await;
            read_on(&mut watcher).await;
            node.forget_requests();
            for _ in 0..BLOCKS / blocks_a_poll {
                chain.mine_empty(blocks_a_poll);
                read_on(&mut watcher).await;
            }
            let asked = node.requests();
            println!(
                "by {accounts} accounts, a poll every {blocks_a_poll} blocks: {:.2} requests a \
                block, {:.2} of them to the index",
                asked.total() as f64 / BLOCKS as f64,
                asked.count_under("/v1/") as f64 / BLOCKS as f64
            );
            books.close().await;
        });
    }
}

/// From the block that makes a payment final, at the node, to the committed credit.
async fn credited(host: &Runtime, payments: u64, poll: Duration) {
    let spec = chain(60 + payments + 1, 1);
    let node = host.spawn({
        let chain = BenchChain::build(spec.clone());
        async move { BenchNode::start(&chain).await }
    });
    let node = node.await.unwrap().unwrap();
    let top = spec.first + 60;
    node.show(top);
    let books = Books::open(spec.blocks).await;
    let floor = 1e3 / rig::syncs(books.folder.path());
    let watcher = watcher(&books.store, &node.url(), spec.first + BELOW, Way::Blocks).await;
    let (stop, stopped) = watch::channel(false);
    let (tell, mut told) = mpsc::unbounded_channel();
    let running = tokio::spawn(granting(watcher, poll, stopped, tell));
    // Every block pays, from the start on.
    let before = 60 - spec.solidity_lag + 1 - BELOW;
    let mut granted = 0;
    while granted < before {
        granted += told.recv().await.unwrap();
    }
    let mut times = Vec::new();
    for n in 1..=payments {
        // A block comes at any moment between two polls.
        let phase = (n as f64 * 0.618_034).fract();
        tokio::time::sleep(poll.mul_f64(phase)).await;
        let start = Instant::now();
        node.show(top + n);
        while granted < before + n {
            granted += told.recv().await.unwrap();
        }
        times.push(start.elapsed());
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    books.close().await;
    let (middle, most, largest) = rig::spread(times);
    println!(
        "solidified to credited, poll every {:>4} ms: {middle:>6.0} ms p50 {most:>6.0} ms p95 \
        {largest:>6.0} ms max over {payments}; a synced page is {floor:.2} ms; within one poll and \
        0.1 s: {}; from the block that pays, 19 blocks later: {:.1} s p50 {:.1} s max",
        poll.as_millis(),
        rig::met(most <= poll.as_secs_f64() * 1e3 + 100.0),
        19.0 * SLOT + middle / 1e3,
        19.0 * SLOT + largest / 1e3
    );
}

/// The daemon's loop. Tells how many credits each turn granted.
async fn granting(
    watcher: Watcher,
    poll: Duration,
    stopped: watch::Receiver<bool>,
    tell: mpsc::UnboundedSender<u64>,
) {
    let seen = |_: &_, changes: Result<&Changes, &bursar::Error>| {
        let granted = |event: &&payments::event::Event| event.kind == EventKind::CreditsGranted;
        let now = changes.unwrap().events.iter().filter(granted).count();
        tell.send(u64::try_from(now).unwrap()).unwrap();
    };
    watcher.run(poll, stopped, seen).await.unwrap();
}
