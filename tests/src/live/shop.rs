//! A shop: a live node with a token, a database, a config, and the real `bursar` run beside them.
//!
//! In: what the shop and its customers do. Out: what `bursar --json` answers.
//! Never: the library called where a process can be. Why: what is proved is what is shipped.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use bursar::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::daemon::{DEADLINE, Daemon};
use crate::anvil::{Anvil, Options, TestUsdt, Token};
use crate::{binary, postgres};

/// One USDT in millionths.
pub(crate) const USDT: u128 = 1_000_000;
/// What the payer begins with, in millionths.
const SUPPLY: u128 = 1_000_000_000 * USDT;
/// An account whose addresses hold nothing on the node; its private key is in every tutorial.
pub(crate) const FRESH: &str = "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt";
/// The first addresses of `FRESH`: facts of BIP32, computed elsewhere.
pub(crate) const FRESH_ADDRESSES: [&str; 3] = [
    "0x9858EfFD232B4033E47d90003D41EC34EcaEda94",
    "0x6Fac4D18c912343BF86fa7049364Dd4E424Ab9C0",
    "0xb6716976A3ebe8D39aCEB04372f22Ff8e6802D7A",
];
/// The account whose first ten addresses are the node's own, with ether on them.
pub(crate) const KNOWN: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";

/// Where the books are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Makes a test on each engine of every function named.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use $crate::live::shop::Engine;

            #[tokio::test]
            async fn on_sqlite() {
                super::$name(Engine::Sqlite).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                super::$name(Engine::Postgres).await;
            }
        }
    )+ };
}
pub(crate) use on_both_engines;

/// What a test may want otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) engine: Engine,
    pub(crate) chain_id: u64,
    pub(crate) decimals: u8,
    /// Blocks in half the way from the tip to the finalized block.
    pub(crate) slots: u64,
    pub(crate) confirmations: u64,
    pub(crate) poll_interval: &'static str,
    /// The lines of `[chains.ethereum.addresses]`.
    pub(crate) addresses: String,
    /// Lines of `[orders]`.
    pub(crate) orders: &'static str,
    /// Further lines of `[chains.ethereum]`.
    pub(crate) chain: &'static str,
    /// As the node's option of this name.
    pub(crate) states: Option<u64>,
}

impl Setup {
    /// An order waits for longer than any test's chain runs; the doorbell alone is in time, since
    /// the poll interval is longer than every deadline.
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            chain_id: 31_337,
            decimals: 6,
            slots: 8,
            confirmations: 3,
            poll_interval: "1h",
            addresses: format!("xpub = \"{FRESH}\""),
            orders: "expires_after = \"30d\"",
            chain: "",
            states: None,
        }
    }
}

/// A shop that is open.
pub(crate) struct Shop {
    pub(crate) anvil: Arc<Anvil>,
    pub(crate) token: Token,
    pub(crate) setup: Setup,
    pub(crate) folder: TempDir,
    /// The URL of the books.
    pub(crate) url: String,
    _database: Option<postgres::Database>,
}

impl Shop {
    pub(crate) async fn open(engine: Engine) -> Self {
        Self::with(Setup::new(engine)).await
    }

    /// Starts the node, deploys the token, and opens a shop over them.
    pub(crate) async fn with(setup: Setup) -> Self {
        let options = Options {
            chain_id: setup.chain_id,
            slots_in_an_epoch: setup.slots,
            states: setup.states,
            ..Options::default()
        };
        let anvil = Anvil::start(options).await;
        // The machine's clock makes orders, so the chain's must be near it.
        let now = u64::try_from(Clock::System.now().0 / 1000).expect("after 1970");
        anvil.set_next_block_time(now).await;
        let scale = 10_u128.pow(u32::from(setup.decimals - 6));
        let token = anvil.deploy_token(SUPPLY * scale, setup.decimals).await;
        Self::over(Arc::new(anvil), token, setup).await
    }

    /// Another shop over the same node: it hands out the same addresses, so what is paid to one is
    /// paid to both.
    pub(crate) async fn beside(&self, engine: Engine) -> Self {
        let setup = Setup { engine, ..self.setup.clone() };
        Self::over(Arc::clone(&self.anvil), self.token, setup).await
    }

    /// Writes the config and makes the database.
    async fn over(anvil: Arc<Anvil>, token: Token, setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (url, database) = match setup.engine {
            Engine::Sqlite => (format!("sqlite:{}/bursar.db", folder.path().display()), None),
            Engine::Postgres => {
                let database = postgres::database().await;
                (database.url.clone(), Some(database))
            }
        };
        let shop = Self { anvil, token, setup, folder, url, _database: database };
        shop.write_config(&shop.config(&[shop.anvil.http_url(), shop.anvil.ws_url()]));
        shop.bursar(&["migrate"]).await;
        shop
    }

    /// A config that reads the chain through `endpoints`, the first one preferred.
    pub(crate) fn config(&self, endpoints: &[String]) -> String {
        let Setup {
            chain_id,
            decimals,
            confirmations,
            poll_interval,
            addresses,
            orders,
            chain,
            ..
        } = &self.setup;
        let (url, token) = (&self.url, self.token.address);
        let mut config = format!(
            r#"
[database]
url = "{url}"

[orders]
{orders}

[pricing]
credits_per_usdt = "100"

[chains.ethereum]
kind = "evm"
chain_id = {chain_id}
token = "{token}"
decimals = {decimals}
confirmations = [{{ up_to = "10000", blocks = {confirmations} }}, {{ at = "finalized" }}]
poll_interval = "{poll_interval}"
silent_after = "never"
{chain}

[chains.ethereum.addresses]
{addresses}
"#
        );
        for (number, url) in endpoints.iter().enumerate() {
            config.push_str(&format!(
                "\n[[chains.ethereum.endpoints]]\nname = \"line-{number}\"\nurl = \"{url}\"\n"
            ));
        }
        config
    }

    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(self.folder.path().join("bursar.toml"), text).expect("the config");
    }

    /// A daemon over these books, perhaps not yet connected.
    pub(crate) fn daemon(&self) -> Daemon {
        Daemon::start(self.folder.path())
    }

    /// A daemon that has recorded the tip.
    pub(crate) async fn watching(&self) -> Daemon {
        let mut daemon = self.daemon();
        self.anvil.mine(1).await;
        daemon.recorded(self.anvil.height().await).await;
        daemon
    }
}

/// What the shop types.
impl Shop {
    /// Runs a command to its end; what it printed. It must succeed.
    pub(crate) async fn bursar(&self, arguments: &[&str]) -> Value {
        let (code, stdout, stderr) = run(self.folder.path(), arguments).await;
        assert_eq!(code, Some(0), "bursar {arguments:?}\n{stderr}\n{stdout}");
        serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {stdout}"))
    }

    /// Runs a command that must be refused as wrong: exit 2, and its one line.
    pub(crate) async fn refused(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = run(self.folder.path(), arguments).await;
        assert_eq!(code, Some(2), "bursar {arguments:?}\n{stderr}");
        assert_eq!(stdout, "");
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with('{')).collect();
        let [line] = lines.as_slice() else { panic!("not one line: {stderr}") };
        (*line).to_owned()
    }

    /// Makes an order of so many USDT for a customer of the same name; its deposit address.
    pub(crate) async fn order(&self, id: &str, usdt: &str) -> Address {
        self.order_with(id, &["--amount", usdt]).await
    }

    /// Makes an order with other terms.
    pub(crate) async fn order_with(&self, id: &str, terms: &[&str]) -> Address {
        let mut arguments = vec!["order", "create", "--id", id, "--customer", id];
        arguments.extend(["--chain", "ethereum"]);
        arguments.extend(terms);
        let made = self.bursar(&arguments).await;
        assert_eq!(made["status"], "awaiting_payment", "{made}");
        text(&made["address"]).parse().expect("an address")
    }

    /// All that is recorded of an order.
    pub(crate) async fn show(&self, id: &str) -> Value {
        self.bursar(&["order", "show", id]).await
    }
}

/// What customers and miners do.
impl Shop {
    /// Sends an amount in millionths; it waits for the next block.
    pub(crate) async fn pay(&self, to: Address, micro: u128) -> B256 {
        self.anvil.transfer(self.token, self.anvil.owner(), to, self.units(micro)).await
    }

    /// Millionths as base units of the token.
    pub(crate) fn units(&self, micro: u128) -> u128 {
        micro * 10_u128.pow(u32::from(self.token.decimals - 6))
    }

    /// Mines until all that was mined before is final, and waits for the daemon to record it.
    pub(crate) async fn settle(&self, daemon: &mut Daemon) {
        self.anvil.mine(2 * self.setup.slots).await;
        self.finality_is_known(daemon).await;
    }

    /// Mines one block more, and waits until it is recorded, and with it the finality of the blocks
    /// before it: a look asks what is final first, and may have asked before they were mined.
    pub(crate) async fn finality_is_known(&self, daemon: &mut Daemon) {
        daemon.recorded(self.anvil.height().await).await;
        self.anvil.mine(1).await;
        daemon.recorded(self.anvil.height().await).await;
    }

    /// Base units of the token that `holder` has at the finalized block.
    pub(crate) async fn final_balance(&self, holder: Address) -> u128 {
        let call = TestUsdt::balanceOfCall { account: holder };
        let request =
            TransactionRequest::default().with_to(self.token.address).with_input(call.abi_encode());
        let asked = self.anvil.provider.call(request).block(BlockNumberOrTag::Finalized.into());
        let answer = asked.await.expect("eth_call balanceOf");
        TestUsdt::balanceOfCall::abi_decode_returns(&answer).expect("one word").to()
    }
}

/// Id, state and amount of each deposit of an order.
pub(crate) fn deposits(order: &Value) -> Vec<(&str, &str, &str)> {
    let deposits = list(&order["deposits"]).iter();
    deposits.map(|of| (text(&of["id"]), text(&of["state"]), text(&of["amount"]))).collect()
}

/// A text of an answer.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// A list of an answer.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// Runs a command in `folder` to its end: its exit code and what it wrote.
pub(crate) async fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::from(binary::command(folder));
    command.arg("--json").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(DEADLINE, command.output()).await;
    let ended = ended.unwrap_or_else(|_| panic!("bursar {arguments:?} does not end"));
    let ended = ended.expect("bursar runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code(), said(&ended.stdout), said(&ended.stderr))
}
