//! How many deposits a second the books take, durably, beside what the disk and the engine allow.
//!
//! In: `--batch`, `--batches`, `--others`, `--sqlite 0`, `--postgres 0`. Out: rates of reading,
//! deciding and writing, each beside its floor in the same run; the watch set; `verify`.
//! Never: books that do not verify after. Why: a figure of another machine says nothing.

#[path = "../src/postgres.rs"]
mod postgres;
mod rig;

use std::time::{Duration, Instant};

use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Header, Scan, Transfer, TxHash};
use payments::time::Time;
use payments::{Update, plan};
use sha2::{Digest, Sha256};
use store::{OpenMode, Store, WatchState};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Blocks of one batch.
const BLOCKS: u64 = 10;

fn main() {
    let asked = rig::Asked::read(&[
        ("batch", 5_000),
        ("batches", 10),
        ("others", 100_000),
        ("sqlite", 1),
        ("postgres", 1),
    ]);
    println!(
        "{} batches of {} deposits, each to its own order; {} other orders",
        asked.of("batches"),
        asked.of("batch"),
        asked.of("others")
    );
    let runtime = rig::runtime();
    let folder = tempfile::tempdir().unwrap();
    if asked.of("sqlite") == 1 {
        let url = format!("sqlite:{}", folder.path().join("books.db").display());
        let syncs = rig::syncs(folder.path());
        runtime.block_on(run("SQLite", &url, &asked, syncs));
    }
    if asked.of("postgres") == 1 {
        let syncs = rig::syncs(folder.path());
        runtime.block_on(async {
            let database = postgres::database().await;
            run("PostgreSQL", &database.url, &asked, syncs).await;
        });
    }
}

/// Where the time of the batches went.
#[derive(Default)]
struct Spent {
    read: Duration,
    decided: Duration,
    wrote: Duration,
    /// Of this process's processor, reading and writing.
    worked: Duration,
}

async fn run(engine: &str, url: &str, asked: &rig::Asked, syncs: f64) {
    let store = Store::open(url, OpenMode::Migrate).await.unwrap();
    let (batch, batches) = (asked.of("batch"), asked.of("batches"));
    let floor = rig::bare_rows(url, batch * 10 * batches, batch * 10).await / 10.0;
    println!("{engine}: floor {floor:>9.0} deposits/s of ten bare rows each; {syncs:.0} syncs/s");
    let paid = batch * batches;
    let start = Instant::now();
    rig::orders(url, 0, paid + asked.of("others")).await;
    let made = start.elapsed().as_secs_f64();
    println!("{engine}: {} orders put there in {made:.1} s", paid + asked.of("others"));
    let spent = batched(&store, batch, batches).await;
    let tell = |what: &str, time: Duration| {
        let rate = paid as f64 / time.as_secs_f64();
        println!("{engine}: {rate:>15.0} deposits/s {what:32} {:>6.2} x the floor", rate / floor);
    };
    tell("snapshot and commit", spent.read + spent.wrote);
    tell("snapshot", spent.read);
    tell("commit", spent.wrote);
    tell("plan, which is not the books'", spent.decided);
    let each = spent.worked.as_secs_f64() * 1e6 / paid as f64;
    let share = batches as f64 / (spent.read + spent.wrote).as_secs_f64() / syncs;
    println!("{engine}: {each:.1} µs of this process's processor a deposit, snapshot and commit");
    println!("{engine}: commits a second, as a part of the syncs: {share:.4}");
    watch(engine, &store).await;
    let start = Instant::now();
    assert_eq!(store.verify().await.unwrap(), []);
    println!("{engine}: verified in {:.2} s", start.elapsed().as_secs_f64());
    store.close().await;
}

async fn batched(store: &Store, batch: u64, batches: u64) -> Spent {
    let rules = rig::rules(Vec::new());
    let token = rules[&rig::chain_name()].token;
    let (mut spent, mut base) = (Spent::default(), None);
    for number in 0..batches {
        let scan = scan(token, base, number, batch);
        base = scan.last();
        let update = Update::Scan(scan);
        let (busy, start) = (cpu(), Instant::now());
        let snapshot = store.snapshot(&update).await.unwrap();
        let (known, before) = (Instant::now(), cpu());
        let changes = plan(&rules, &snapshot, &update, Time(1_800_000_000_000)).unwrap();
        let (after, planned) = (cpu(), Instant::now());
        assert_eq!(u64::try_from(changes.journals.len()).unwrap(), batch * 2);
        let events = store.commit(&changes).await.unwrap().events;
        let end = Instant::now();
        assert_eq!(events.end - events.start, batch * 4);
        spent.worked += (before - busy) + (cpu() - after);
        spent.read += known - start;
        spent.decided += planned - known;
        spent.wrote += end - planned;
    }
    spent
}

/// User and system time of this process; Linux counts it in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

async fn watch(engine: &str, store: &Store) {
    let mut state = WatchState::default();
    let start = Instant::now();
    let set = store.watch(&mut state).await.unwrap();
    println!("{engine}: {} addresses watched in {:.2} s", set.len(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    for _ in 0..1000 {
        store.watch(&mut state).await.unwrap();
    }
    println!("{engine}: {:.0} µs to find nothing new", start.elapsed().as_secs_f64() * 1000.0);
}

fn digest(word: &str, n: u64) -> [u8; 32] {
    Sha256::digest(format!("{word}{n}")).into()
}

/// A stretch of final blocks that pays `count` orders.
fn scan(token: Address, base: Option<BlockId>, batch: u64, count: u64) -> Scan {
    let mut below = base;
    let mut blocks = Vec::new();
    for block in 0..BLOCKS {
        let height = below.map_or(0, |block| block.height + 1);
        let hash = BlockHash(digest("block", batch * BLOCKS + block));
        let parent = below.map_or(BlockHash([0; 32]), |block| block.hash);
        let id = BlockId { height, hash };
        let time = Time(1_700_000_000_000 + i64::try_from(height).unwrap());
        blocks.push(Header { id, parent, time });
        below = Some(id);
    }
    let transfers = (0..count).map(|n| {
        let header = blocks[usize::try_from(n * BLOCKS / count).unwrap()];
        let number = batch * count + n;
        Transfer {
            tx: TxHash(digest("tx", number)),
            n: 0,
            log_index: n,
            block: header.id,
            time: header.time,
            token,
            from: Address(digest("from", number)[..20].try_into().unwrap()),
            to: Address(rig::address(number)),
            raw: "25000000".parse().unwrap(),
        }
    });
    let transfers = transfers.collect();
    let tip = below.map_or(0, |block| block.height);
    let chain = rig::chain_name();
    let notices = Vec::new();
    Scan { chain, base, transfers, notices, finalized: below, safe: None, tip, blocks }
}
