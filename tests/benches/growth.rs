//! What a block with one payment costs as orders grow from a thousand to ten million.
//!
//! In: `--orders` (the most), `--blocks`. Out: for each number of orders, the time of one turn of
//! the daemon's loop over one block, and of making one more order. Never: a smaller database than
//! the number says. Why: a shop that grows must not slow down by growing.

mod rig;

use std::ops::Range;
use std::time::Instant;

use alloy::primitives::Address as RawAddress;
use bursar::books::Books;
use bursar::clock::Clock;
use lab::evm::{Chain, ChainSpec, Node, Tx};
use payments::Update;
use payments::changes::{Finality, FinalityRule};
use store::{OpenMode, Store};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let asked = rig::Asked::read(&[("orders", 1_000_000), ("blocks", 100)]);
    let runtime = rig::runtime();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("books.db").display());
    let synced = 1e3 / rig::syncs(folder.path());
    println!("floor: one synced page {synced:.1} ms; the turn asks a node and commits durably");
    let chain = Chain::new(ChainSpec::ethereum());
    let node = runtime.block_on(Node::start(chain.clone())).unwrap();
    let (mut made, mut orders, mut first) = (0, 1_000, None);
    while orders <= asked.of("orders") {
        let start = Instant::now();
        runtime.block_on(grown(&url, made, orders));
        let built = start.elapsed().as_secs_f64();
        let (turn, order) =
            runtime.block_on(measured(&url, &chain, &node, made..orders, asked.of("blocks")));
        let first = *first.get_or_insert(turn.0);
        println!(
            "{orders:>9} orders: a turn {:>5.1} ms p50 {:>5.1} ms p95 ({:>4.2} x); an order \
            {:>5.1} ms p50 {:>5.1} ms p95   ({built:.0} s to build)",
            turn.0,
            turn.1,
            turn.0 / first,
            order.0,
            order.1
        );
        made = orders + asked.of("blocks");
        orders *= 10;
    }
}

async fn grown(url: &str, from: u64, to: u64) {
    Store::open(url, OpenMode::Migrate).await.unwrap().close().await;
    rig::orders(url, from, to).await;
}

type Spread = (f64, f64, f64);

/// Blocks with one payment each to one of `unpaid`, and new orders between them.
async fn measured(
    url: &str,
    chain: &Chain,
    node: &Node,
    unpaid: Range<u64>,
    blocks: u64,
) -> (Spread, Spread) {
    let store = Store::open(url, OpenMode::Use).await.unwrap();
    let at_once = vec![FinalityRule { up_to: None, finality: Finality::Confirmations(1) }];
    let rules = rig::rules(at_once);
    let config = rig::config(&[node.http_url()], erc20::Start::Height(0));
    let mut watcher = rig::watcher(&store, rules.clone(), config).await;
    watcher.step().await.unwrap();
    let books = Books { store: store.clone(), rules: rules.into(), clock: Clock::System };
    let (mut turns, mut made) = (Vec::new(), Vec::new());
    for n in 0..blocks {
        let start = Instant::now();
        books.record(&Update::Create(rig::order("ethereum", unpaid.end + n))).await.unwrap();
        made.push(start.elapsed());
        // Somebody's among all orders, mostly one of which nothing is in any cache.
        let payer = n * 7_919 % (unpaid.end - unpaid.start) + unpaid.start;
        let to = rig::address(payer).into();
        chain.mine(vec![Tx::transfer(RawAddress::repeat_byte(0xaa), to, 25_000_000u64)]);
        let start = Instant::now();
        let turn = watcher.step().await.unwrap();
        turns.push(start.elapsed());
        assert_eq!(turn.changes.recorded.len(), 1);
    }
    store.close().await;
    (rig::spread(turns), rig::spread(made))
}
