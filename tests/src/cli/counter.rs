//! A shop's counter: a folder with a config, books on SQLite, and a scripted node behind a URL
//! that holds a key.
//!
//! In: what is typed. Out: what the real binary prints, and whether anything was written.
//! Never: a command whose output was not searched for the key.
//! Why: a wrong word must cost a line on the terminal and nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use alloy::primitives::{Address as Account, B256};
use bursar::clock::Clock;
use bursar::open::Opened;
use bursar::watch::Watcher;
use lab::evm::{Chain, ChainSpec, Fault, Node, Tx};
use payments::chain::BlockId;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::binary;

/// The key inside every endpoint's URL.
pub(super) const KEY: &str = "k3y0f7he0perat0r";
/// An account without a coin on the node; its phrase is in every tutorial.
pub(super) const XPUB: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";
/// Longest wait for anything a command is to say or do; the machine may be busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// Blocks that are there before anything happens.
const BLOCKS: u64 = 20;

pub(super) struct Counter {
    pub(super) folder: TempDir,
    pub(super) chain: Chain,
    pub(super) node: Node,
}

/// What a command said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Counter {
    /// With a config and empty books.
    pub(super) async fn open() -> Self {
        Self::behind(0).await
    }

    /// The same, with a chain whose time is so many seconds behind the machine's.
    pub(super) async fn behind(seconds: u64) -> Self {
        let counter = Self::unmigrated(seconds).await;
        counter.good(&["migrate"]).await;
        counter
    }

    /// With a config and nothing else. The chain's time is near the machine's, by which commands
    /// make orders.
    pub(super) async fn bare() -> Self {
        Self::unmigrated(0).await
    }

    async fn unmigrated(behind: u64) -> Self {
        let spec = ChainSpec::ethereum();
        let now = u64::try_from(Clock::System.now().0 / 1000).expect("after 1970");
        let start_time = now - behind - BLOCKS * spec.block_time_s;
        let chain = Chain::new(ChainSpec { start_time, ..spec });
        chain.finality_lag(8);
        chain.mine_empty(BLOCKS);
        let node = Node::start(chain.clone()).await.expect("a port");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let counter = Self { folder, chain, node };
        counter.write(&counter.config());
        counter
    }

    /// A config that is right.
    pub(super) fn config(&self) -> String {
        let url = self.node.http_url();
        format!(
            r#"[database]
url = "sqlite:books.db"

[pricing]
credits_per_usdt = "100"

[pricing.plans]
team = {{ amount = "100", credits = "12000" }}

[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
confirmations = [{{ blocks = 3 }}]
poll_interval = "200ms"

[chains.ethereum.addresses]
xpub = "{XPUB}"
high_water = "ethereum.index"

[[chains.ethereum.endpoints]]
name = "node"
url = "{url}/v3/{KEY}"
"#
        )
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, config: &str) {
        std::fs::write(self.path("bursar.toml"), config).expect("the config is written");
    }

    /// Writes the config with one place of it changed.
    pub(super) fn write_with(&self, from: &str, to: &str) {
        let config = self.config();
        assert!(config.contains(from), "the config has no {from}");
        self.write(&config.replace(from, to));
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[]).await
    }

    /// The same with something in its environment.
    pub(super) async fn run_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Said {
        let mut command = binary::command(self.folder.path());
        command.args(arguments).envs(env.iter().copied());
        let output = Command::from(command).output().await.expect("bursar runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(
            !out.contains(KEY) && !err.contains(KEY),
            "{arguments:?} tells the key: {out}{err}"
        );
        Said { code: output.status.code().expect("it ended by itself"), out, err }
    }

    /// Runs a command that must work; what it printed.
    pub(super) async fn good(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
        said.out
    }

    /// The same with `--json`.
    pub(super) async fn json(&self, arguments: &[&str]) -> Value {
        let out = self.good(&[&["--json"], arguments].concat()).await;
        serde_json::from_str(&out).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {out}"))
    }

    /// Runs a command that must be refused: exit 2, one line, nothing written. The line without
    /// the program's name.
    pub(super) async fn refused(&self, arguments: &[&str]) -> String {
        let before = self.contents().await;
        let said = self.run(arguments).await;
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert_eq!(self.contents().await, before, "{arguments:?} has written something");
        assert_eq!(said.out, "", "{arguments:?}");
        let lines: Vec<&str> = said.err.lines().collect();
        let [line] = lines.as_slice() else { panic!("{arguments:?}: not one line: {}", said.err) };
        let line = line.strip_prefix("bursar: ").expect("it says who speaks");
        line.to_owned()
    }

    /// An order of 100 USDT; its address.
    pub(super) async fn order(&self, id: &str) -> Account {
        let made = self.json(&create(id, &["--amount", "100"])).await;
        made["address"].as_str().and_then(|text| text.parse().ok()).expect("an address")
    }

    /// An order, and its payment that the node leaves out among others of its block, two blocks
    /// below the tip: where the addresses are many, no bloom shows it.
    pub(super) async fn omitted(&self, id: &str) -> (Account, B256) {
        let address = self.order(id).await;
        let crowd = (1..=100u8).map(|n| format!("{}\n", Account::with_last_byte(n)));
        std::fs::write(self.path("list"), crowd.collect::<String>()).expect("written");
        self.json(&["address", "import", "list"]).await;
        let stranger = Account::repeat_byte(0x99);
        let paid = vec![pay(stranger, 1), pay(address, 100_000_000), pay(stranger, 2)];
        let block = self.chain.mine(paid);
        let tx = self.chain.transactions(block.height)[1];
        self.node.fault(Fault::OmitLog { tx });
        self.chain.mine_empty(2);
        self.watch().await;
        (address, tx)
    }

    /// What the node answers to a question of anybody's.
    pub(super) async fn asked(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let client = reqwest::Client::new().post(self.node.http_url());
        let answer = client.header("content-type", "application/json").body(body.to_string());
        let answer = answer.send().await.expect("an answer").text().await.expect("a body");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["result"].clone()
    }

    /// Reads the chain to its end, as the daemon does.
    pub(super) async fn watch(&self) {
        follow(self.folder.path(), |more| more).await;
    }

    /// An order that is paid and final, with the hash of its payment.
    pub(super) async fn paid(&self, id: &str) -> String {
        let block = self.chain.mine(vec![pay(self.order(id).await, 100_000_000)]);
        self.chain.mine_empty(2);
        self.watch().await;
        self.tx(block.height, 0)
    }

    /// The hash of a transaction by its place.
    pub(super) fn tx(&self, height: u64, place: usize) -> String {
        self.chain.transactions(height)[place].to_string()
    }

    /// Everything in the folder: the rows of the books, and the bytes of every other file.
    pub(super) async fn contents(&self) -> String {
        let mut contents = String::new();
        let mut names: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_file())
            .collect();
        names.sort();
        for path in names {
            let name = path.display().to_string();
            if name.ends_with("-wal") || name.ends_with("-shm") {
                continue;
            }
            let _ = writeln!(contents, "== {name}");
            if name.ends_with(".db") {
                let options = SqliteConnectOptions::new().filename(&path);
                let mut books = options.connect().await.expect("the books");
                contents.push_str(&rows(&mut books).await);
            } else {
                let bytes = std::fs::read(&path).expect("a file");
                contents.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        contents
    }

    /// Runs a statement on the books behind bursar's back.
    pub(super) async fn tamper(&self, statement: &'static str) {
        let options = SqliteConnectOptions::new().filename(self.path("books.db"));
        let mut books = options.connect().await.expect("the books");
        sqlx::query(statement).execute(&mut books).await.expect("the statement");
    }
}

/// Reads the chain of the config in `folder`, as the daemon does, as long as `goes_on` says so,
/// which is told whether more blocks are waiting; the last recorded block.
pub(super) async fn follow(folder: &Path, mut goes_on: impl FnMut(bool) -> bool) -> BlockId {
    let opened = Opened::open(&folder.join("bursar.toml")).await.expect("the books open");
    let (name, chain) = opened.config.chain("ethereum").expect("configured");
    let node = opened.node(name, chain).await.expect("the node answers");
    let books = opened.books.clone();
    let mut watcher = Watcher::new(name.clone(), chain, node, books, Default::default());
    while goes_on(Box::pin(watcher.step()).await.expect("a turn").more) {}
    let cursor = opened.books.store.cursor(name).await.expect("the cursor");
    opened.books.store.close().await;
    cursor.last().expect("something was read").id
}

/// A command that goes on until it is told to stop.
pub(super) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    /// What it has said on standard error.
    pub(super) heard: Vec<String>,
}

impl Running {
    pub(super) fn start(counter: &Counter, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::from(binary::command(counter.folder.path()));
        command.args(arguments).envs(env.iter().copied()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("bursar starts");
        let lines = BufReader::new(child.stderr.take().expect("piped above")).lines();
        Self { child, lines, heard: Vec::new() }
    }

    /// Waits for a line with these words.
    pub(super) async fn hears(&mut self, words: &str) {
        let heard = tokio::time::timeout(PATIENCE, self.read(Some(words))).await;
        assert!(heard == Ok(true), "it never said {words}:\n{}", self.heard.join("\n"));
    }

    /// Tells it to stop, as a supervisor does; its exit code.
    pub(super) async fn stop(&mut self) -> i32 {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(told.expect("kill runs").success());
        self.ended().await
    }

    /// Waits for its end; its exit code.
    pub(super) async fn ended(&mut self) -> i32 {
        let end = tokio::time::timeout(PATIENCE, async {
            self.read(None).await;
            self.child.wait().await.expect("its end")
        });
        let status = end.await.expect("it ends in time");
        status.code().expect("it ended by itself")
    }

    /// Reads on until a line has these words; whether one did.
    async fn read(&mut self, words: Option<&str>) -> bool {
        while let Ok(Some(line)) = self.lines.next_line().await {
            let found = words.is_some_and(|words| line.contains(words));
            self.heard.push(line);
            if found {
                return true;
            }
        }
        false
    }
}

/// Every row of every table.
async fn rows(books: &mut SqliteConnection) -> String {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let mut contents = String::new();
    for table in sqlx::query(tables).fetch_all(&mut *books).await.expect("tables") {
        let table: String = table.get(0);
        let columns = format!(
            "SELECT group_concat('quote(\"' || name || '\")', ' || '' '' || ') \
             FROM pragma_table_info('{table}')"
        );
        let columns: String = sqlx::query_scalar(AssertSqlSafe(columns))
            .fetch_one(&mut *books)
            .await
            .expect("columns");
        let select = format!("SELECT {columns} FROM \"{table}\" ORDER BY 1");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut *books).await.expect("rows");
        for row in rows {
            let _ = writeln!(contents, "{table}: {row}");
        }
    }
    contents
}

/// `order create` for a customer of the chain `ethereum`, with more behind it.
pub(super) fn create<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut typed = vec!["order", "create", "--id", id, "--customer", "acme"];
    typed.extend(["--chain", "ethereum"]);
    typed.extend(more);
    typed
}

/// A transfer of so many base units of the token by a stranger.
pub(super) fn pay(to: Account, units: u64) -> Tx {
    Tx::transfer(Account::repeat_byte(0xaa), to, units)
}
