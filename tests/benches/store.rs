//! How many deposits a second the books take, durably, beside what the disk and the engine allow.
//!
//! In: `--deposits`, `--batch`, `--orders`, `--engine` (see `Asked`). Out: rates, one a line.
//! Never: a rate without its floor in the same run. Why: a figure of another machine says nothing.

#[path = "../src/postgres.rs"]
mod postgres;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Header, Scan, Transfer, TxHash};
use payments::changes::ChainRules;
use payments::name::ChainName;
use payments::time::Time;
use payments::{Update, plan};
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use store::{OpenMode, Store};

struct Asked {
    batch: u32,
    batches: u32,
    /// Orders in the books that are not paid in this run.
    others: u32,
    engines: Vec<String>,
}

#[tokio::main]
async fn main() {
    let asked = asked();
    println!(
        "{} batches of {} deposits, each to its own order; {} other orders",
        asked.batches, asked.batch, asked.others
    );
    let folder = tempfile::tempdir().unwrap();
    syncs(folder.path());
    if asked.engines.iter().any(|engine| engine == "sqlite") {
        let url = format!("sqlite:{}", folder.path().join("books.db").display());
        run("sqlite", &url, &asked).await;
    }
    if asked.engines.iter().any(|engine| engine == "postgres") {
        let database = postgres::database().await;
        run("postgres", &database.url, &asked).await;
    }
}

fn asked() -> Asked {
    let mut asked = Asked {
        batch: 5000,
        batches: 10,
        others: 100_000,
        engines: vec!["sqlite".into(), "postgres".into()],
    };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word.as_str() {
            "--batch" => asked.batch = value.parse().unwrap(),
            "--batches" => asked.batches = value.parse().unwrap(),
            "--orders" => asked.others = value.parse().unwrap(),
            "--engine" => asked.engines = vec![value],
            other => panic!("`{other}` is not one of --batch --batches --orders --engine"),
        }
    }
    asked
}

/// User and system time of this process; Linux counts it in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// What the disk allows: a page written and synced, again and again.
fn syncs(folder: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("syncs")).unwrap();
    let start = Instant::now();
    let mut count = 0u32;
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    println!("floor: {count} synced pages/s");
}

async fn run(engine: &str, url: &str, asked: &Asked) {
    let store = Store::open(url, OpenMode::Migrate).await.unwrap();
    floor(engine, url, asked).await;
    let paid = asked.batch * asked.batches;
    let start = Instant::now();
    orders(engine, url, paid + asked.others).await;
    println!(
        "{engine}: {} orders made in {:.1} s",
        paid + asked.others,
        start.elapsed().as_secs_f64()
    );
    let chain = ChainName::new("ethereum").unwrap();
    let rules = BTreeMap::from([(chain.clone(), rules())]);
    let mut base = None;
    let mut worked = Duration::ZERO;
    let (mut read, mut decided, mut wrote) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for batch in 0..asked.batches {
        let update = Update::Scan(scan(&chain, base, batch, asked.batch));
        let busy = cpu();
        let start = Instant::now();
        let snapshot = store.snapshot(&update).await.unwrap();
        let known = Instant::now();
        let before = cpu();
        let changes = plan::plan(&rules, &snapshot, &update, Time(1_800_000_000_000)).unwrap();
        let after = cpu();
        let planned = Instant::now();
        assert_eq!(changes.journals.len(), asked.batch as usize * 2);
        let events = store.commit(&changes).await.unwrap().events;
        let end = Instant::now();
        worked += (before - busy) + (cpu() - after);
        assert_eq!(events.end - events.start, u64::from(asked.batch) * 4);
        read += known - start;
        decided += planned - known;
        wrote += end - planned;
        let Update::Scan(scan) = update else { unreachable!() };
        base = scan.blocks.last().map(|header| header.id);
    }
    let rate = |time: Duration| f64::from(paid) / time.as_secs_f64();
    println!("{engine}: {:>9.0} deposits/s snapshot and commit", rate(read + wrote));
    println!("{engine}: {:>9.0} deposits/s snapshot", rate(read));
    println!("{engine}: {:>9.0} deposits/s commit", rate(wrote));
    println!("{engine}: {:>9.0} deposits/s plan (not the books)", rate(decided));
    let each = worked.as_secs_f64() * 1e6 / f64::from(paid);
    println!("{engine}: {each:>9.1} µs of this process's CPU each, snapshot and commit");
    watch(engine, &store).await;
    let start = Instant::now();
    let findings = store.verify().await.unwrap();
    assert_eq!(findings, []);
    println!("{engine}: verified in {:.2} s", start.elapsed().as_secs_f64());
    store.close().await;
}

async fn watch(engine: &str, store: &Store) {
    let mut state = store::WatchState::default();
    let start = Instant::now();
    let set = store.watch(&mut state).await.unwrap();
    println!("{engine}: {} addresses watched in {:.2} s", set.len(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    for _ in 0..1000 {
        store.watch(&mut state).await.unwrap();
    }
    println!("{engine}: {:.0} µs to find nothing new", start.elapsed().as_secs_f64() * 1000.0);
}

/// What the engine allows: as many rows as one batch has, in one bare table, many a statement.
async fn floor(engine: &str, url: &str, asked: &Asked) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let table = "CREATE TABLE floor (seq BIGINT PRIMARY KEY, a TEXT, b TEXT, c BIGINT, d TEXT)";
    sqlx::query(table).execute(&mut connection).await.unwrap();
    let rows = 250;
    let place = |n: usize| if engine == "sqlite" { "?".to_owned() } else { format!("${n}") };
    let row = |n: usize| (1..=5).map(|c| place(n * 5 + c)).collect::<Vec<_>>().join(", ");
    let values: Vec<String> = (0..rows).map(|n| format!("({})", row(n))).collect();
    let text = format!("INSERT INTO floor VALUES {}", values.join(", "));
    let wanted = usize::try_from(asked.batch).unwrap() * 10;
    let start = Instant::now();
    let mut transaction = connection.begin().await.unwrap();
    let mut seq = 0i64;
    for _ in 0..wanted / rows {
        let mut query = sqlx::query(AssertSqlSafe(text.as_str()));
        for _ in 0..rows {
            seq += 1;
            query =
                query.bind(seq).bind("deposit.detected").bind("ethereum").bind(seq).bind("order-1");
        }
        query.execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let rate = f64::from(asked.batch) / start.elapsed().as_secs_f64();
    println!("{engine}: floor {rate:>9.0} deposits/s of ten bare rows each, 5 columns, no index");
    sqlx::query("DROP TABLE floor").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Orders, written past the books' own way in: one commit each would take minutes.
async fn orders(engine: &str, url: &str, count: u32) {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let rows = 200u32;
    let place = |n: u32| if engine == "sqlite" { "?".to_owned() } else { format!("${n}") };
    let values = |columns: u32, rows: u32, fixed: &str| -> String {
        (0..rows)
            .map(|row| {
                let row: Vec<String> = (1..=columns).map(|c| place(row * columns + c)).collect();
                format!("({}{fixed})", row.join(", "))
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut done = 0;
    while done < count {
        let now = rows.min(count - done);
        let text = format!(
            "INSERT INTO orders (number, id, customer, address, chain, due, price, created_at, \
             expires_at, terms, version) VALUES {}",
            values(
                4,
                now,
                ", 'ethereum', 25000000, 'fixed 2500000000', 1, 4000000000000, \
             'tolerance=100000 dust=100000 late_window=86400000 underpaid=hold overpaid=hold \
             late=hold', 0"
            )
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for n in done..done + now {
            let number = i64::from(n) + 1;
            query = query.bind(number).bind(order_id(n)).bind(format!("customer-{}", n % 50_000));
            query = query.bind(hex(&address(n)));
        }
        query.execute(&mut *transaction).await.unwrap();
        let text = format!(
            "INSERT INTO addresses (seq, address, order_id, taken) VALUES {}",
            values(3, now, ", 1")
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for n in done..done + now {
            query = query.bind(i64::from(n) + 1).bind(hex(&address(n))).bind(order_id(n));
        }
        query.execute(&mut *transaction).await.unwrap();
        done += now;
    }
    let counters = format!("UPDATE counters SET orders = {count}, addresses = {count}");
    sqlx::query(AssertSqlSafe(counters)).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    connection.close().await.unwrap();
}

fn rules() -> ChainRules {
    ChainRules { token: Address([9; 20]), decimals: 6, max_reorg: 64, finality: Vec::new() }
}

fn digest(word: &str, n: u32) -> [u8; 32] {
    Sha256::digest(format!("{word}{n}")).into()
}

fn address(n: u32) -> [u8; 20] {
    digest("address", n)[..20].try_into().unwrap()
}

fn order_id(n: u32) -> String {
    let digest = digest("order", n);
    format!("{:08}-{}", n, payments::address::lower_hex(&digest[..6]))
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", payments::address::lower_hex(bytes))
}

/// A stretch of ten final blocks that pays `count` orders.
fn scan(chain: &ChainName, base: Option<BlockId>, batch: u32, count: u32) -> Scan {
    let mut below = base;
    let mut blocks = Vec::new();
    for block in 0..10 {
        let height = below.map_or(0, |block| block.height + 1);
        let hash = BlockHash(digest("block", batch * 10 + block));
        let parent = below.map_or(BlockHash([0; 32]), |block| block.hash);
        let id = BlockId { height, hash };
        blocks.push(Header {
            id,
            parent,
            time: Time(1_700_000_000_000 + i64::try_from(height).unwrap()),
        });
        below = Some(id);
    }
    let transfers = (0..count).map(|n| {
        let header = blocks[(u64::from(n) * 10 / u64::from(count)) as usize];
        let number = batch * count + n;
        Transfer {
            tx: TxHash(digest("tx", number)),
            n: 0,
            log_index: u64::from(n),
            block: header.id,
            time: header.time,
            token: Address([9; 20]),
            from: Address(digest("from", number)[..20].try_into().unwrap()),
            to: Address(address(number)),
            raw: "25000000".parse().unwrap(),
        }
    });
    let transfers = transfers.collect();
    let tip = below.map_or(0, |block| block.height);
    Scan { chain: chain.clone(), base, transfers, finalized: below, safe: None, tip, blocks }
}
