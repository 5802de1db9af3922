//! A shop on two scripted chains whose processes can be stopped at a point.
//!
//! In: what customers, witnesses and an operator do. Out: the real `bursar`, killed and started.
//! Never: a time of the machine's that two worlds would not share.
//! Why: two worlds of one history must end with the same books.

use std::collections::BTreeMap;

use alloy::primitives::{Address as RawAddress, B256};
use bursar::clock::Clock;
use lab::{evm, tron};
use payments::name::OrderId;
use store::{OpenMode, Store};
use tempfile::TempDir;

use super::super::daemon::Daemon;
use super::super::shop::{Engine, FRESH, run};
use super::desk::Decided;
use crate::postgres;

/// Blocks of TRON before anything happens.
const BLOCKS: u64 = 30;
/// Imported addresses from the first day on.
const POOL: u64 = 60;
/// Where the addresses of later imports begin.
const LATER: u64 = 1_000;
/// Where addresses are swept to.
pub(super) const TREASURY: RawAddress = RawAddress::repeat_byte(0x7e);
/// An order waits for an hour; the last block comes after two, in seconds.
const END: u64 = 7_200;

pub(super) struct World {
    pub(super) ethereum: evm::Chain,
    ethereum_node: evm::Node,
    pub(super) tron: tron::Chain,
    pub(super) tron_node: tron::Node,
    folder: TempDir,
    url: String,
    pub(super) store: Option<Store>,
    _database: Option<postgres::Database>,
    /// What the last block of Ethereum with payments held, and the blocks above it.
    last: (Vec<evm::Tx>, u64),
    paid: u64,
    /// What a person decides about, or last did.
    pub(super) decided: Decided,
    pub(super) kills: usize,
}

impl World {
    /// A world without books.
    pub(super) async fn new(engine: Engine) -> Self {
        let now = u64::try_from(Clock::System.now().0).expect("after 1970");
        let spec = evm::ChainSpec::ethereum();
        let ethereum =
            evm::Chain::new(evm::ChainSpec { start_time: now / 1000, block_time_s: 1, ..spec });
        ethereum.finality_lag(4);
        ethereum.mine_empty(8);
        let tron = tron::Chain::new(tron::ChainSpec::tron());
        tron.mine_at(now, Vec::new());
        tron.mine_empty(BLOCKS);
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (url, database) = match engine {
            Engine::Sqlite => (format!("sqlite:{}/bursar.db", folder.path().display()), None),
            Engine::Postgres => {
                let database = postgres::database().await;
                (database.url.clone(), Some(database))
            }
        };
        let world = Self {
            ethereum_node: evm::Node::start(ethereum.clone()).await.expect("a port"),
            tron_node: tron::Node::start_grid(tron.clone()).await.expect("a port"),
            ethereum,
            tron,
            folder,
            url,
            store: None,
            _database: database,
            last: (Vec::new(), 0),
            paid: 0,
            decided: Decided::default(),
            kills: 0,
        };
        let config = world.config();
        std::fs::write(world.folder.path().join("bursar.toml"), config).expect("the config");
        world
    }

    fn config(&self) -> String {
        let (socket, http) = (self.ethereum_node.ws_url(), self.ethereum_node.http_url());
        let (url, grid) = (&self.url, self.tron_node.url());
        format!(
            r#"
[database]
url = "{url}"

[orders]
expires_after = "1h"

[pricing]
credits_per_usdt = "100"

[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
silent_after = "never"
confirmations = [{{ blocks = 2 }}]
poll_interval = "1h"
treasury = ["{TREASURY}"]

[chains.ethereum.addresses]
xpub = "{FRESH}"

[[chains.ethereum.endpoints]]
name = "http"
url = "{http}"

[[chains.ethereum.endpoints]]
name = "socket"
url = "{socket}"

[chains.tron]
kind = "tron"
token = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
decimals = 6
silent_after = "never"
poll_interval = "150ms"
read = "accounts"

[chains.tron.addresses]
imported = true

[[chains.tron.endpoints]]
name = "grid"
url = "{grid}"
key = "0123-4567-89ab"
requests_per_second = 10000
requests_per_day = 100000000
"#
        )
    }

    /// Makes the books and the first orders, once.
    pub(super) async fn open(&mut self) {
        if self.store.is_some() {
            return;
        }
        self.typed("migrate").await;
        self.list(0, POOL);
        self.typed("address import list").await;
        self.store = Some(Store::open(&self.url, OpenMode::Use).await.expect("the books"));
        for chain in ["ethereum", "tron"] {
            self.create(&format!("FIRST-{chain}"), chain).await;
        }
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("books that were opened")
    }

    /// Writes a list of addresses to import: of the first day, or of a later one.
    pub(super) fn list(&self, from: u64, count: u64) {
        let from = if from == 0 { 1 } else { LATER + from };
        let line = |n| format!("{:?}\n", RawAddress::left_padding_from(&u64::to_be_bytes(n)));
        let text: String = (from..from + count).map(line).collect();
        std::fs::write(self.folder.path().join("list"), text).expect("a list");
    }
}

/// Its processes.
impl World {
    pub(super) fn daemon(&self) -> Daemon {
        Daemon::armed(self.folder.path(), &["run"], &self.point_file())
    }

    /// A process that will stop at the point.
    pub(super) fn armed(&self, point: &str, arguments: &[impl AsRef<str>]) -> Daemon {
        self.arm(point);
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        Daemon::armed(self.folder.path(), &arguments, &self.point_file())
    }

    pub(super) fn arm(&self, point: &str) {
        let new = self.folder.path().join("point.new");
        std::fs::write(&new, point).expect("the point");
        std::fs::rename(new, self.point_file()).expect("the point");
    }

    fn point_file(&self) -> std::path::PathBuf {
        self.folder.path().join("point")
    }

    /// Waits until a process has stopped at the point, and kills it there.
    pub(super) async fn kill_at(&mut self, mut process: Daemon, point: &str) {
        let here = |line: &super::super::daemon::Line| {
            line.message() == "stopped at a point" && line.field("point") == point
        };
        process
            .until(&format!("it is at {point}"), |heard| heard.iter().any(here).then_some(()))
            .await;
        process.kill().await;
        self.arm("");
        self.kills += 1;
    }

    /// Types a command that works, or whose effect is there already.
    pub(super) async fn typed(&self, command: &str) {
        let arguments: Vec<&str> = command.split(' ').collect();
        let (code, stdout, stderr) = run(self.folder.path(), &arguments).await;
        let done = stderr.contains("is paused already") || stderr.contains("is not paused");
        assert!(code == Some(0) || done, "bursar {command}: {stderr}{stdout}");
    }

    pub(super) async fn create(&self, id: &str, chain: &str) {
        let what = format!("--id {id} --customer {id} --chain {chain} --amount 100");
        self.typed(&format!("order create {what}")).await;
    }
}

/// Its chains.
impl World {
    /// A block of each chain with nothing of ours in it.
    pub(super) fn mine_empty(&mut self) {
        self.ethereum.mine_empty(1);
        self.tron.mine_empty(1);
        self.last.1 += 1;
    }

    /// Lets the daemon record what there is, and one block more.
    pub(super) async fn recover(&mut self, daemon: &mut Daemon) {
        self.mine_empty();
        daemon.recorded_on("ethereum", self.ethereum.tip().height).await;
        daemon.recorded_on("tron", self.tron.solid().height).await;
    }

    pub(super) async fn address(&self, order: &str) -> RawAddress {
        let id = OrderId::new(order).expect("an id");
        let dossier = self.store().order(&id).await.expect("the books").expect("an order");
        RawAddress::from(dossier.order.address.0)
    }

    /// A payment that no other one is.
    pub(super) async fn payment(&mut self, order: &str, cents: u64) -> evm::Tx {
        let to = self.address(order).await;
        self.tagged(evm::Tx::transfer(RawAddress::repeat_byte(0xaa), to, cents * 10_000))
    }

    pub(super) fn tagged(&mut self, transaction: evm::Tx) -> evm::Tx {
        self.paid += 1;
        transaction.tagged(self.paid)
    }

    pub(super) fn mine(&mut self, payments: Vec<evm::Tx>) {
        self.last = (payments.clone(), 0);
        self.ethereum.mine(payments);
    }

    /// So many blocks that what is below them is final.
    pub(super) fn bury(&mut self) {
        for _ in 0..6 {
            self.mine_empty();
        }
    }

    /// Replaces the last block with payments and all above it by as many and one.
    pub(super) fn reorg(&mut self, again: bool) {
        let (held, above) = std::mem::take(&mut self.last);
        let depth = if held.is_empty() { 1 } else { above + 1 };
        // What is final stays.
        let depth = if depth > 3 { 1 } else { depth };
        let kept = if again && depth == above + 1 { held } else { Vec::new() };
        let empty = usize::try_from(depth).expect("few");
        let blocks = [vec![kept.clone()], vec![Vec::new(); empty]].concat();
        self.ethereum.reorg(depth, blocks);
        self.last = (kept, depth);
    }

    /// A block of TRON with one payment; its transaction.
    pub(super) async fn mine_on_tron(&mut self, order: &str, cents: u64) -> B256 {
        self.paid += 1;
        let to = self.address(order).await;
        let payer = RawAddress::repeat_byte(0xaa);
        let payment = tron::Tx::transfer(payer, to, cents * 10_000).tagged(self.paid);
        let block = self.tron.mine(vec![payment]);
        self.tron.transactions(block.height)[0]
    }

    /// Blocks of TRON until its tip is final.
    pub(super) fn solidify(&self) {
        let height = self.tron.tip().height;
        while self.tron.solid().height < height {
            self.tron.mine_empty(1);
        }
    }

    /// Everything is over, final, and recorded.
    pub(super) async fn end(&mut self, daemon: &mut Daemon) {
        let start = self.ethereum.spec().start_time;
        self.ethereum.mine_at(start + END, Vec::new());
        self.ethereum.mine_empty(8);
        self.tron.mine_at((start + END) * 1000, Vec::new());
        self.solidify();
        self.mine_empty();
        daemon.recorded_on("ethereum", self.ethereum.tip().height).await;
        daemon.recorded_on("tron", self.tron.solid().height).await;
    }

    /// The token's balance of an address on both chains, in millionths.
    pub(super) fn balances(&self, address: RawAddress) -> BTreeMap<&'static str, i128> {
        let ethereum = self.ethereum.balance(address, self.ethereum.tip().height);
        let tron = self.tron.balance(address, self.tron.solid().height);
        let micro = |raw: alloy::primitives::U256| i128::try_from(raw.to::<u128>()).expect("fits");
        [("ethereum", micro(ethereum)), ("tron", micro(tron))].into()
    }
}
