//! How long a reconciliation of two chains takes, and in how much memory.
//!
//! In: `--deposits`, half of them on each chain, each to an order of its own, `--block` a block.
//! Out: seconds, split where the last node was asked for the last time; resident memory beside a
//! process that reads the same bodies and drops them; seconds of verifying the books alone.
//! Never: the nodes in the measured process; a figure of a run that found anything.
//! Why: what is run every morning has to end before the first coffee.

mod rig;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use alloy::primitives::Address as RawAddress;
use bursar::config::{self, TronNode, Way};
use bursar::output::Output;
use bursar::reconcile::{self, Format, Reconcile, Run};
use bursar::watch::Watcher;
use lab::{evm, tron};
use payments::address::Address;
use payments::changes::{Bounds, ChainRules, Finality, FinalityRule, Rules};
use payments::name::ChainName;
use serde_json::json;
use store::{OpenMode, Store};
use tokio::sync::watch;

/// What every order is over, and every transfer carries.
const DUE: u64 = 25_000_000;
/// The parts that are measured, each in a process of its own.
const FLOOR: u64 = 1;
const RECONCILE: u64 = 2;
const VERIFY: u64 = 3;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let asked = rig::Asked::read(&[
        ("deposits", 100_000),
        ("block", 100),
        ("part", 0),
        ("ethereum", 0),
        ("tron", 0),
        ("blocks", 0),
    ]);
    let runtime = rig::runtime();
    match asked.of("part") {
        0 => runtime.block_on(all(asked.of("deposits"), asked.of("block"))),
        FLOOR => runtime.block_on(floor(&asked)),
        RECONCILE => runtime.block_on(reconciled()),
        _ => runtime.block_on(verified()),
    }
}

/// Fills the books through the daemon's own loop, then measures each part.
async fn all(deposits: u64, block: u64) {
    let half = deposits / 2;
    let ethereum = evm::Chain::new(evm::ChainSpec::ethereum());
    ethereum.finality_lag(0);
    ethereum.mine_empty(2);
    let tron = tron::Chain::new(tron::ChainSpec::tron());
    tron.solidity_lag(0);
    tron.mine_empty(2);
    for first in (0..half).step_by(usize::try_from(block).unwrap()) {
        let each = first..(first + block).min(half);
        let to = |n: u64| RawAddress::from(rig::address(n));
        let wallet = RawAddress::repeat_byte(0xaa);
        ethereum
            .mine(each.clone().map(|n| evm::Tx::transfer(wallet, to(n), DUE).tagged(n)).collect());
        tron.mine(each.map(|n| tron::Tx::transfer(wallet, to(half + n), DUE).tagged(n)).collect());
    }
    ethereum.mine_empty(1);
    tron.mine_empty(1);
    let nodes = (
        evm::Node::start(ethereum.clone()).await.unwrap(),
        tron::Node::start_grid(tron.clone()).await.unwrap(),
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bursar.toml"), config_text(&nodes)).unwrap();
    let url = format!("sqlite:{}", folder.path().join("bursar.db").display());
    let store = Store::open(&url, OpenMode::Migrate).await.unwrap();
    rig::orders_on("ethereum", &url, 0, half).await;
    rig::orders_on("tron", &url, half, 2 * half).await;
    let config = rig::config(&[nodes.0.http_url()], erc20::Start::Height(0));
    let filled = read_on(rig::watcher(&store, rules(), config).await).await
        + read_on(tron_watcher(&store, &nodes.1.url()).await).await;
    assert_eq!(filled, 2 * half);
    store.close().await;
    let blocks = ethereum.tip().height;
    println!("{filled} deposits on two chains of {blocks} blocks, load {}", load());
    let asked = || nodes.0.requests().total() + nodes.1.requests().total();
    let ports = [port(&nodes.0.http_url()), port(&nodes.1.url()), blocks.to_string()];
    let mut floor = None;
    for (name, part) in [("bodies dropped", FLOOR), ("reconcile", RECONCILE), ("verify", VERIFY)] {
        let took = measured(name, part, folder.path(), &ports, &asked).await;
        println!("{:15} {:>6.1} x the bodies", "", took / *floor.get_or_insert(took));
    }
}

/// Runs a part in a process of its own; how long it took, in seconds.
async fn measured(
    name: &str,
    part: u64,
    folder: &Path,
    ports: &[String; 3],
    asked: &impl Fn() -> u64,
) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command.args(["--part", &part.to_string()]);
    for (option, value) in ["--ethereum", "--tron", "--blocks"].iter().zip(ports) {
        command.args([option, value.as_str()]);
    }
    let (before, start) = (asked(), Instant::now());
    let mut child = command.spawn().unwrap();
    let (mut last, mut gathered) = (before, Duration::ZERO);
    let ended = loop {
        if asked() > last {
            (last, gathered) = (asked(), start.elapsed());
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let whole = start.elapsed();
    assert!(ended.success(), "{name}: {ended}");
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut told).unwrap();
    println!(
        "{name:15} {:>6.1} s, {:>6.1} s of them until the last of {} requests; {}",
        whole.as_secs_f64(),
        gathered.as_secs_f64(),
        last - before,
        told.lines().last().unwrap_or_default()
    );
    whole.as_secs_f64()
}

/// Every body that a reconciliation asks for but the balances, read and dropped.
async fn floor(asked: &rig::Asked) {
    let (ethereum, tron) = (asked.of("ethereum"), asked.of("tron"));
    let client = reqwest::Client::new();
    let mut bytes = 0;
    for from in (1..=asked.of("blocks")).step_by(64) {
        let to = (from + 63).min(asked.of("blocks"));
        let url = format!("http://127.0.0.1:{ethereum}");
        bytes += rig::post(&client, &url, rig::logs_question(from, to)).await.len();
        for height in from..=to {
            for method in ["getblockbynum", "gettransactioninfobyblocknum"] {
                let url = format!("http://127.0.0.1:{tron}/wallet/{method}");
                bytes += rig::post(&client, &url, json!({ "num": height })).await.len();
            }
        }
    }
    println!("{} MB of bodies, {}", bytes / 1_000_000, resident());
}

async fn reconciled() {
    let run = Run {
        chain: None,
        from: Some("1".to_owned()),
        to: None,
        as_of: "finalized".to_owned(),
        fail_on: "low".to_owned(),
        format: Format::Text,
        out: None,
        dry_run: false,
        repair: false,
        resume: None,
        second_endpoint: None,
    };
    let (_stop, stopped) = watch::channel(false);
    let asked = Reconcile { command: None, run };
    let output = Output { json: false };
    let done = reconcile::command(Path::new("bursar.toml"), &asked, output, stopped).await;
    done.unwrap();
    println!("{}", resident());
}

async fn verified() {
    let url = format!("sqlite:{}", std::env::current_dir().unwrap().join("bursar.db").display());
    let store = Store::open(&url, OpenMode::Use).await.unwrap();
    let start = Instant::now();
    assert_eq!(store.verify().await.unwrap(), []);
    let seconds = start.elapsed().as_secs_f64();
    println!("verified in {seconds:.1} s, {}", resident());
}

/// The most memory that was resident in this process.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    format!("{} MB resident at most", kilobytes / 1_024)
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    load.split(' ').next().unwrap_or_default().to_owned()
}

fn port(url: &str) -> String {
    url.rsplit(':').next().unwrap().trim_end_matches('/').to_owned()
}

fn tron_name() -> ChainName {
    ChainName::new("tron").unwrap()
}

fn rules() -> Rules {
    let finality = vec![FinalityRule { up_to: None, finality: Finality::Finalized }];
    let mut rules = rig::rules(finality.clone());
    let token = Address(tron::ChainSpec::tron().token.address.into_array());
    let bounds = Bounds::default();
    let of_tron =
        ChainRules { token, decimals: 6, max_reorg: 64, finality, treasury: Vec::new(), bounds };
    rules.insert(tron_name(), of_tron);
    rules
}

async fn tron_watcher(store: &Store, url: &str) -> Watcher {
    let spec = tron::ChainSpec::tron();
    let source = trc20::Config {
        chain: tron_name(),
        token: Address(spec.token.address.into_array()),
        decimals: spec.token.decimals,
        genesis: None,
        endpoints: vec![trc20::EndpointConfig::one_host("node", url, None).unwrap()],
        start: trc20::Start::Height(1),
        max_reorg: 64,
        window: 20,
        in_flight: 4,
        deadline: Duration::from_secs(20),
        other_tokens: true,
        rest: std::sync::Arc::new(bursar::retry::rest),
    };
    let node = config::Node::Tron(Box::new(TronNode { source, way: Way::Blocks }));
    rig::watcher_of(store, rules(), (tron_name(), node), Duration::from_secs(3)).await
}

/// Turns until nothing is left to read; how many deposits were recorded.
async fn read_on(mut watcher: Watcher) -> u64 {
    let mut recorded = 0;
    loop {
        let turn = watcher.step().await.unwrap();
        recorded += u64::try_from(turn.changes.recorded.len()).unwrap();
        if !turn.more {
            return recorded;
        }
    }
}

fn config_text((ethereum, tron): &(evm::Node, tron::Node)) -> String {
    format!(
        r#"[pricing]
credits_per_usdt = "100"

[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
confirmations = [{{ at = "finalized" }}]

[chains.ethereum.addresses]
imported = true

[[chains.ethereum.endpoints]]
url = "{}"

[chains.tron]
kind = "tron"
token = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
decimals = 6

[chains.tron.addresses]
imported = true

[[chains.tron.endpoints]]
url = "{}"
"#,
        ethereum.http_url(),
        tron.url()
    )
}
