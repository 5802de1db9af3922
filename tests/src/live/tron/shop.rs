//! A shop that takes TRC20 and ERC20: two scripted chains, one database, the real `bursar`.
//!
//! In: what customers and witnesses do. Out: what `bursar --json` answers.
//! Never: a wait for a block; the chains stand still until the test moves them.
//! Why: no TRON node can be installed, so its place is taken by `lab`'s, which answers as the
//! recordings of real ones do.

use alloy::primitives::Address as RawAddress;
use bursar::clock::Clock;
use lab::{evm, tron};
use payments::address::Address;
use serde_json::Value;
use tempfile::TempDir;

use crate::live::daemon::Daemon;
use crate::live::shop::{Engine, run, text};
use crate::postgres;

/// An account of TRON's coin type whose addresses hold nothing; facts of BIP-32 and BIP-44.
const XPUB: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";
/// One of Ether's.
const EVM_XPUB: &str = crate::live::shop::FRESH;

/// A shop that is open.
pub(in crate::live) struct Shop {
    pub(in crate::live) chain: tron::Chain,
    pub(in crate::live) node: tron::Node,
    pub(in crate::live) ethereum: evm::Chain,
    pub(in crate::live) ethereum_node: evm::Node,
    pub(in crate::live) folder: TempDir,
    pub(in crate::live) url: String,
    _database: Option<postgres::Database>,
}

impl Shop {
    /// Opens a shop whose TRON chain is read with these lines of its config.
    pub(in crate::live) async fn open(engine: Engine, lines: &str) -> Self {
        let chain = tron::Chain::new(tron::ChainSpec::tron());
        chain.mine_at(now(), Vec::new());
        chain.mine_empty(30);
        let node = tron::Node::start_grid(chain.clone()).await.expect("a port");
        let start_time = now() / 1000;
        let spec = evm::ChainSpec { start_time, block_time_s: 1, ..evm::ChainSpec::ethereum() };
        let ethereum = evm::Chain::new(spec);
        ethereum.finality_lag(4);
        ethereum.mine_empty(8);
        let ethereum_node = evm::Node::start(ethereum.clone()).await.expect("a port");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (url, database) = match engine {
            Engine::Sqlite => (format!("sqlite:{}/bursar.db", folder.path().display()), None),
            Engine::Postgres => {
                let database = postgres::database().await;
                (database.url.clone(), Some(database))
            }
        };
        let shop = Self { chain, node, ethereum, ethereum_node, folder, url, _database: database };
        shop.configure(lines);
        shop.bursar(&["migrate"]).await;
        shop
    }

    /// Writes the config with other lines for its TRON chain.
    pub(in crate::live) fn configure(&self, lines: &str) {
        let config = format!(
            r#"
[database]
url = "{}"

[orders]
expires_after = "30d"

[pricing]
credits_per_usdt = "100"

[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
recovery_fee = "5"
confirmations = [{{ at = "finalized" }}]
poll_interval = "50ms"

[chains.ethereum.addresses]
xpub = "{EVM_XPUB}"

[[chains.ethereum.endpoints]]
url = "{}"

[chains.tron]
kind = "tron"
token = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
decimals = 6
recovery_fee = "0.80"
poll_interval = "50ms"
{lines}

[chains.tron.addresses]
xpub = "{XPUB}"

[[chains.tron.endpoints]]
name = "grid"
url = "{}"
key = "0123-4567-89ab"
requests_per_day = 1000000
"#,
            self.url,
            self.ethereum_node.http_url(),
            self.node.url(),
        );
        std::fs::write(self.folder.path().join("bursar.toml"), config).expect("the config");
    }

    /// Changes the text of the config.
    pub(in crate::live) fn rewrite(&self, change: impl FnOnce(&str) -> String) {
        let path = self.folder.path().join("bursar.toml");
        let config = std::fs::read_to_string(&path).expect("the config");
        std::fs::write(path, change(&config)).expect("the config");
    }

    /// A folder with a copy of the config in which `from`, below the heading of `chain`, is `to`.
    pub(in crate::live) fn config_with(&self, from: &str, to: &str, chain: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let text = std::fs::read_to_string(self.folder.path().join("bursar.toml"));
        let text = text.expect("the config");
        let heading = format!("[chains.{chain}]\n");
        let (above, below) = text.split_once(&heading).expect("the chain");
        let text = format!("{above}{heading}{}", below.replacen(from, to, 1));
        std::fs::write(folder.path().join("bursar.toml"), text).expect("the config");
        folder
    }

    pub(in crate::live) fn daemon(&self) -> Daemon {
        Daemon::start(self.folder.path())
    }

    /// A daemon that has recorded what there is to record on both chains.
    pub(in crate::live) async fn watching(&self) -> Daemon {
        let mut daemon = self.daemon();
        daemon.recorded_on("tron", self.chain.solid().height).await;
        daemon.recorded_on("ethereum", self.ethereum.tip().height).await;
        daemon
    }

    /// Runs a command to its end; what it printed. It must succeed.
    pub(in crate::live) async fn bursar(&self, arguments: &[&str]) -> Value {
        let (code, stdout, stderr) = self.ended(arguments).await;
        assert_eq!(code, Some(0), "bursar {arguments:?}\n{stderr}\n{stdout}");
        serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {stdout}"))
    }

    /// Runs a command to its end: its exit code and what it wrote.
    pub(in crate::live) async fn ended(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run(self.folder.path(), arguments).await
    }

    /// Makes an order of so many USDT on a chain; its deposit address.
    pub(in crate::live) async fn order(&self, id: &str, chain: &str, usdt: &str) -> RawAddress {
        let id = ["--id", id, "--customer", id, "--chain", chain, "--amount", usdt];
        let made = self.bursar(&[&["order", "create"], &id[..]].concat()).await;
        let address = Address::parse(text(&made["address"])).expect("an address");
        RawAddress::from(address.0)
    }

    pub(in crate::live) async fn show(&self, id: &str) -> Value {
        self.bursar(&["order", "show", id]).await
    }

    /// Mines a transaction in a block whose infos do not show its logs, from the first question on.
    pub(in crate::live) fn hide(&self, tx: tron::Tx) -> alloy::primitives::B256 {
        let paths = tron::Paths::all();
        let silent = self.node.fault(tron::Fault::Hang { paths, times: None });
        let block = self.chain.mine(vec![tx]);
        let tx = self.chain.transactions(block.height)[0];
        self.node.fault(tron::Fault::OmitLogs { tx });
        self.node.heal_one(silent);
        tx
    }

    /// Blocks without us, until what is mined now is solidified.
    pub(in crate::live) fn solidify(&self) {
        let height = self.chain.tip().height;
        while self.chain.solid().height < height {
            self.chain.mine_empty(1);
        }
    }

    /// The books prove themselves.
    pub(in crate::live) async fn verify(&self) {
        let verified = self.bursar(&["ledger", "verify"]).await;
        assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
    }
}

/// A payment from a stranger's wallet, in whole USDT.
pub(in crate::live) fn payment(to: RawAddress, usdt: u64) -> tron::Tx {
    tron::Tx::transfer(RawAddress::repeat_byte(0xaa), to, usdt * 1_000_000)
}

/// The machine's clock makes orders, so the chain's must be near it.
fn now() -> u64 {
    u64::try_from(Clock::System.now().0).expect("after 1970")
}
