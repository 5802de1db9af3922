//! What the benchmarks share: arguments, a node's questions, orders in bulk, floors.
//!
//! In: a word or a path. Out: values. Never: a figure of its own besides the floors.
//! Why: a floor that every benchmark measures in its own way compares nothing.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::books::Books;
use bursar::clock::Clock;
use bursar::config::Chain;
use bursar::node::Node;
use bursar::watch::Watcher;
use bytes::Bytes;
use lab::evm::ChainSpec;
use payments::address::{Address, lower_hex};
use payments::amount::{Credits, Usdt};
use payments::changes::{Bounds, ChainRules, Changes, FinalityRule, Rules};
use payments::event::{Event, EventKind};
use payments::name::{ChainName, CustomerId, OrderId};
use payments::order::{Order, Policy, Price, Terms};
use payments::time::Time;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use store::{OpenMode, Store, WatchState};
use tokio::sync::Mutex;

/// The numbers a benchmark may be asked with.
pub(crate) struct Asked(BTreeMap<String, u64>);

impl Asked {
    /// Reads `--NAME NUMBER` of these names, with what is taken without them.
    pub(crate) fn read(names: &[(&str, u64)]) -> Self {
        let mut asked: BTreeMap<String, u64> =
            names.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let known = word.strip_prefix("--").and_then(|name| asked.get_mut(name));
            let Some(number) = known else { panic!("`{word}` is none of {names:?}") };
            *number = words.next().and_then(|word| word.parse().ok()).expect("a number");
        }
        Self(asked)
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0[name]
    }
}

pub(crate) fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// The middle, the 95th of a hundred, and the largest, in milliseconds.
pub(crate) fn spread(mut times: Vec<Duration>) -> (f64, f64, f64) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    (ms(at(50)), ms(at(95)), ms(times[times.len() - 1]))
}

/// Address `n` of ours.
pub(crate) fn address(n: u64) -> [u8; 20] {
    Sha256::digest(n.to_be_bytes())[..20].try_into().unwrap()
}

/// All Transfers of the token in a range of heights.
pub(crate) fn logs_question(from: u64, to: u64) -> Value {
    let filter = json!({
        "fromBlock": format!("{from:#x}"),
        "toBlock": format!("{to:#x}"),
        "address": ChainSpec::ethereum().token.address,
        "topics": ["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"],
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [filter]})
}

pub(crate) async fn post(client: &reqwest::Client, url: &str, question: Value) -> Bytes {
    let answer = client.post(url).json(&question).send().await.unwrap();
    answer.error_for_status().unwrap().bytes().await.unwrap()
}

pub(crate) fn chain_name() -> ChainName {
    ChainName::new("ethereum").unwrap()
}

pub(crate) fn rules(finality: Vec<FinalityRule>) -> Rules {
    let token = Address(ChainSpec::ethereum().token.address.into_array());
    let bounds = Bounds::default();
    let rules =
        ChainRules { token, decimals: 6, max_reorg: 64, finality, treasury: Vec::new(), bounds };
    BTreeMap::from([(chain_name(), rules)])
}

/// What the disk allows: pages written and synced, one after the other, in a second.
pub(crate) fn syncs(folder: &Path) -> f64 {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("syncs")).unwrap();
    let start = Instant::now();
    let mut count = 0u32;
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Rows of one statement.
const ROWS: u64 = 200;

/// `count` groups of `columns` placeholders, each group ending with `fixed`.
fn values(url: &str, count: u64, columns: u64, fixed: &str) -> String {
    let place = |n: u64| if url.starts_with("sqlite") { "?".to_owned() } else { format!("${n}") };
    let group = |row: u64| {
        let places: Vec<String> = (1..=columns).map(|c| place(row * columns + c)).collect();
        format!("({}{fixed})", places.join(", "))
    };
    (0..count).map(group).collect::<Vec<_>>().join(", ")
}

/// What the engine allows: rows of five columns into one table without an index, in transactions
/// of `each` rows, a second.
pub(crate) async fn bare_rows(url: &str, rows: u64, each: u64) -> f64 {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let table = "CREATE TABLE floor (seq BIGINT PRIMARY KEY, a TEXT, b TEXT, c BIGINT, d TEXT)";
    sqlx::query(table).execute(&mut connection).await.unwrap();
    let text = format!("INSERT INTO floor VALUES {}", values(url, ROWS, 5, ""));
    let start = Instant::now();
    let mut seq = 0i64;
    for _ in 0..rows / each {
        let mut transaction = connection.begin().await.unwrap();
        for _ in 0..each / ROWS {
            let mut query = sqlx::query(AssertSqlSafe(text.as_str()));
            for _ in 0..ROWS {
                seq += 1;
                query = query.bind(seq).bind("deposit.detected").bind("ethereum").bind(seq);
                query = query.bind("order-1");
            }
            query.execute(&mut *transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    let rate = seq as f64 / start.elapsed().as_secs_f64();
    sqlx::query("DROP TABLE floor").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rate
}

/// Order `n`, as the shop calls it.
pub(crate) fn order_id(n: u64) -> String {
    format!("{n:08}-{}", lower_hex(&Sha256::digest((!n).to_be_bytes())[..6]))
}

/// Order `n` on this chain, over 25.00 USDT, with an address of its own.
pub(crate) fn order(chain: &str, n: u64) -> Order {
    Order {
        id: OrderId::new(&order_id(n)).unwrap(),
        customer: CustomerId::new(&customer(n)).unwrap(),
        chain: ChainName::new(chain).unwrap(),
        due: Usdt::parse("25.00").ok(),
        price: Price::Fixed(Credits::parse("2500").unwrap()),
        created_at: Time(1),
        expires_at: Some(Time(4_000_000_000_000)),
        address: Address(address(n)),
        address_index: None,
        refund_to: None,
        metadata: None,
        terms: Terms {
            tolerance: Usdt::parse("0.10").unwrap(),
            dust: Usdt::parse("0.10").unwrap(),
            late_window: 86_400_000,
            underpaid: Policy::Hold,
            overpaid: Policy::Hold,
            late: Policy::Hold,
        },
    }
}

fn customer(n: u64) -> String {
    format!("customer-{}", n % 50_000)
}

/// The orders `from..to`. Their rows are written past the books' own way in, as one commit each
/// would take minutes; what is told of them goes through it.
pub(crate) async fn orders(url: &str, from: u64, to: u64) {
    orders_on("ethereum", url, from, to).await;
}

/// The same on another chain.
pub(crate) async fn orders_on(chain: &str, url: &str, from: u64, to: u64) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let mut done = from;
    while done < to {
        let now = ROWS.min(to - done);
        let fixed = format!(
            ", '{chain}', 25000000, 'fixed 2500000000', 1, 4000000000000, \
             'tolerance=100000 dust=100000 late_window=86400000 underpaid=hold overpaid=hold \
             late=hold', 0"
        );
        let text = format!(
            "INSERT INTO orders (number, id, customer, address, chain, due, price, created_at, \
             expires_at, terms, version) VALUES {}",
            values(url, now, 4, &fixed)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for n in done..done + now {
            query = query.bind(i64::try_from(n).unwrap() + 1).bind(order_id(n));
            query = query.bind(customer(n)).bind(text_of(n));
        }
        query.execute(&mut *transaction).await.unwrap();
        let text = format!(
            "INSERT INTO addresses (seq, address, order_id, taken) VALUES {}",
            values(url, now, 3, ", 1")
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for n in done..done + now {
            query = query.bind(i64::try_from(n).unwrap() + 1).bind(text_of(n)).bind(order_id(n));
        }
        query.execute(&mut *transaction).await.unwrap();
        done += now;
    }
    let counters = format!("UPDATE counters SET orders = {to}, addresses = {to}");
    sqlx::query(AssertSqlSafe(counters)).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    connection.close().await.unwrap();
    announce(chain, url, from, to).await;
}

/// Tells of the orders as making them does.
async fn announce(chain: &str, url: &str, from: u64, to: u64) {
    let store = Store::open(url, OpenMode::Use).await.unwrap();
    let told = |order: Order| Event {
        kind: EventKind::OrderCreated,
        at: order.created_at,
        data: order.announcement(),
        chain: Some(order.chain),
        order: Some(order.id),
        deposit: None,
        case: None,
    };
    let orders: Vec<u64> = (from..to).collect();
    for part in orders.chunks(20_000) {
        let events = part.iter().map(|n| told(order(chain, *n))).collect();
        store.commit(&Changes { events, ..Changes::default() }).await.unwrap();
    }
    store.close().await;
}

fn text_of(n: u64) -> String {
    format!("0x{}", lower_hex(&address(n)))
}

/// The chain as the daemon reads it with nothing but `urls` in its config.
pub(crate) fn config(urls: &[String], start: erc20::Start) -> erc20::Config {
    let spec = ChainSpec::ethereum();
    let endpoint = |(url, name): (&String, &str)| erc20::EndpointConfig::new(name, url).unwrap();
    erc20::Config {
        chain: chain_name(),
        chain_id: spec.chain_id,
        token: Address(spec.token.address.into_array()),
        decimals: spec.token.decimals,
        genesis: None,
        endpoints: urls.iter().zip(["first", "second"]).map(endpoint).collect(),
        finality: erc20::Finality::Tags,
        start,
        max_reorg: 64,
        window: 64,
        in_flight: 4,
        deadline: Duration::from_secs(20),
        check_header_hash: true,
        other_tokens: false,
        prove: erc20::Prove::Suspicious,
        rest: Arc::new(bursar::retry::rest),
    }
}

/// The daemon's loop over these nodes and these books.
pub(crate) async fn watcher(store: &Store, rules: Rules, config: erc20::Config) -> Watcher {
    let (name, node) = (config.chain.clone(), bursar::config::Node::Evm(Box::new(config)));
    watcher_of(store, rules, (name, node), Duration::from_secs(4)).await
}

/// The same over nodes of any kind.
pub(crate) async fn watcher_of(
    store: &Store,
    rules: Rules,
    (name, node): (ChainName, bursar::config::Node),
    poll_interval: Duration,
) -> Watcher {
    let chain = Chain {
        rules: rules.get(&name).expect("the chain's rules").clone(),
        node,
        addresses: None,
        orders: bursar::config::Orders::default(),
        recovery_fee: Usdt::ZERO,
        refund_fee: Usdt::ZERO,
        recordable: None,
        poll_interval,
        stalled_after: Duration::from_secs(60),
    };
    let books = Books { store: store.clone(), rules: Arc::new(rules), clock: Clock::System };
    let node = Node::connect(chain.node.clone()).await.unwrap();
    let watched = Arc::new(Mutex::new(WatchState::default()));
    Watcher::new(name, &chain, node, books, watched)
}
