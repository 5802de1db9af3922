//! How many transfers a second one core decodes and matches, beside three other ways to do it.
//!
//! In: `--logs`, `--watched`. Out: transfers/s and bytes/s of each way over the same bodies.
//! Never: a way that is given other bodies, or another question, than the rest.
//! Why: at catch-up speed nearly all of the watcher's own time goes here.

mod rig;

use std::hint::black_box;
use std::time::{Duration, Instant};

use alloy::primitives::{Address as RawAddress, B256, U256};
use alloy::sol;
use alloy::sol_types::SolEvent;
use erc20::Token;
use erc20::decode::{Block, BloomSays, matching};
use hashbrown::HashSet;
use lab::evm::ChainSpec;
use lab::evm::bench::{BenchChain, BenchNode, BenchSpec};
use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Header};
use payments::time::Time;
use payments::watch::WatchSet;
use serde::Deserialize;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// Blocks of one body; 100 logs each, about 6 MB.
const BLOCKS: u64 = 100;
const LOGS_PER_BLOCK: u64 = 100;
/// How long each way is measured.
const LONG: Duration = Duration::from_secs(3);

/// One answer of a node, and the verified blocks it is about.
struct Body {
    bytes: Vec<u8>,
    blocks: Vec<Block>,
}

/// The same addresses in the two shapes that the ways ask.
struct Ours {
    watch: WatchSet,
    set: HashSet<[u8; 20]>,
}

/// A way to read a body, by its name: how many Transfers it found.
type Way<'a> = (&'a str, &'a dyn Fn(&Body) -> usize);

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let asked = rig::Asked::read(&[("logs", 200_000), ("watched", 1_000_000)]);
    let bodies = bodies(asked.of("logs") / (BLOCKS * LOGS_PER_BLOCK), asked.of("watched"));
    let logs: usize = bodies.iter().map(|body| body.blocks.len()).sum::<usize>() * 100;
    let bytes: usize = bodies.iter().map(|body| body.bytes.len()).sum();
    let addresses: Vec<[u8; 20]> = (0..asked.of("watched")).map(rig::address).collect();
    let ours = Ours { set: addresses.iter().copied().collect(), watch: WatchSet::new(addresses) };
    println!(
        "{logs} logs in {} bodies of {} kB, 1 of 10,000 ours, {} watched; one thread",
        bodies.len(),
        bytes / bodies.len() / 1000,
        ours.set.len()
    );
    let expected = logs / 10_000;
    let token = Token::new(Address(ChainSpec::ethereum().token.address.into_array()));
    let ways: [Way<'_>; 4] = [
        ("sonic-rs, parsed and dropped", &|body| parsed(&body.bytes)),
        ("borrowed serde, matched", &|body| borrowed(&body.bytes, &ours.set)),
        ("alloy logs, decoded, matched", &|body| typed(&body.bytes, &ours.set)),
        ("erc20::decode, checked, matched", &|body| {
            matching(&body.bytes, &token, &body.blocks, &ours.watch).unwrap().len()
        }),
    ];
    let rates = rates(&bodies, logs, expected, &ways);
    let ours = rates[3];
    for ((name, _), rate) in ways.iter().zip(&rates) {
        let gigabytes = rate * bytes as f64 / logs as f64 / 1e9;
        println!(
            "{name:32} {:>6.2} M/s {gigabytes:>5.2} GB/s   ours is {:>5.2} x",
            rate / 1e6,
            ours / rate
        );
    }
    println!("target: ours 1.50 M/s/core: {}", rig::met(ours >= 1.5e6));
}

/// Transfers a second of each way. The ways take turns, so that a busy machine is busy for all.
fn rates(bodies: &[Body], logs: usize, expected: usize, ways: &[Way<'_>]) -> Vec<f64> {
    let mut spent = vec![(Duration::ZERO, 0usize); ways.len()];
    while spent.iter().any(|(time, _)| *time < LONG) {
        for (at, (name, way)) in ways.iter().enumerate() {
            let start = Instant::now();
            let found: usize = bodies.iter().map(|body| black_box(way(black_box(body)))).sum();
            spent[at].0 += start.elapsed();
            spent[at].1 += logs;
            // The first way has no question: it counts what it parsed.
            assert_eq!(found, if at == 0 { logs } else { expected }, "{name}");
        }
    }
    spent.iter().map(|(time, logs)| *logs as f64 / time.as_secs_f64()).collect()
}

/// Bodies as a node sends them, fetched from one before the clock starts.
fn bodies(count: u64, watched: u64) -> Vec<Body> {
    let paid = (0..100).map(|n| RawAddress::from(rig::address(n * (watched / 100)))).collect();
    let blocks = count * BLOCKS;
    let spec = BenchSpec { blocks, ..BenchSpec::million(10_000, paid, Vec::new()) };
    let chain = BenchChain::build(spec);
    rig::runtime().block_on(async {
        let node = BenchNode::start(&chain).await.unwrap();
        let client = reqwest::Client::new();
        let mut bodies = Vec::new();
        for first in (1..=blocks).step_by(usize::try_from(BLOCKS).unwrap()) {
            let last = first + BLOCKS - 1;
            let bytes = rig::post(&client, &node.http_url(), rig::logs_question(first, last)).await;
            bodies.push(Body {
                bytes: bytes.to_vec(),
                blocks: (first..=last).map(|height| block(&chain, height)).collect(),
            });
        }
        bodies
    })
}

fn block(chain: &BenchChain, height: u64) -> Block {
    let hash = |height| BlockHash(chain.block(height).unwrap().hash.0);
    let id = BlockId { height, hash: hash(height) };
    let header = Header { id, parent: hash(height - 1), time: Time(0) };
    Block { header, receipts_root: [0; 32], bloom: BloomSays::Nothing }
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Vec<T>,
}

/// A log, nothing copied; the members are read as every other way reads them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "parsing them is what is measured")]
struct Written<'a> {
    address: &'a str,
    #[serde(borrow)]
    topics: [&'a str; 3],
    data: &'a str,
    block_number: &'a str,
    block_hash: &'a str,
    transaction_hash: &'a str,
    transaction_index: &'a str,
    log_index: &'a str,
    removed: bool,
}

fn parsed(bytes: &[u8]) -> usize {
    sonic_rs::from_slice::<Answer<Written<'_>>>(bytes).unwrap().result.len()
}

fn borrowed(bytes: &[u8], ours: &HashSet<[u8; 20]>) -> usize {
    let answer: Answer<Written<'_>> = serde_json::from_slice(bytes).unwrap();
    let ends = |log: &Written<'_>| [log.topics[1], log.topics[2]].map(account);
    let is_ours = |log: &&Written<'_>| ends(log).iter().any(|account| ours.contains(account));
    let values = answer.result.iter().filter(is_ours).map(|log| log.data.parse::<U256>().unwrap());
    black_box(values.collect::<Vec<_>>()).len()
}

fn account(topic: &str) -> [u8; 20] {
    let mut bytes = [0; 20];
    alloy::hex::decode_to_slice(&topic[26..], &mut bytes).unwrap();
    bytes
}

fn typed(bytes: &[u8], ours: &HashSet<[u8; 20]>) -> usize {
    let answer: Answer<alloy::rpc::types::Log> = serde_json::from_slice(bytes).unwrap();
    let decoded = answer.result.iter().map(|log| {
        let transfer = Transfer::decode_log(&log.inner).unwrap();
        let place: (Option<B256>, Option<u64>) = (log.transaction_hash, log.log_index);
        (transfer.data, place)
    });
    decoded.filter(|(t, _)| ours.contains(&t.from.0.0) || ours.contains(&t.to.0.0)).count()
}
