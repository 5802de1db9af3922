//! What stands behind an endpoint: a tape, the node it is recorded from, or a node's files.
//!
//! In: the lines of the node, the passing of frames. Out: a URL, the chain's time, its config.
//! Never: a line of the watcher's. Why: what differs between the kinds of chains is in here, so
//! that one stage plays them all.

use std::path::{Path, PathBuf};

use lab::tape::{Player, Tape};
use payments::address::Address;
use payments::time::Time;
use serde_json::{Value, json};

use super::java_tron::{self, Files};
use super::script::Node;
use super::{node, tron};

/// The account of the deposit addresses: of a public test phrase, and unknown to any node here.
const XPUB: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";
/// The account of another chain beside it.
const BESIDE: &str = "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt";

/// What kind of chain a scenario is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An EVM chain, recorded from anvil.
    Evm,
    /// TRON, recorded from `lab`'s node.
    Tron,
    /// The private TRON chain whose answers are kept as files.
    JavaTron,
}

/// One chain's node.
pub(super) struct Behind {
    kind: Kind,
    /// Its deposits are other addresses than the scenario's own chain has.
    beside: bool,
    answers: Answers,
}

enum Answers {
    Tape { player: Player, folder: PathBuf, note: String, frame: u64 },
    Anvil(Box<node::Live>),
    Tron(Box<tron::Live>),
    Files(Files),
}

impl Kind {
    /// The chain's name in the config, and in a script where it is beside another.
    pub(super) const fn chain(self) -> &'static str {
        match self {
            Self::Evm => "anvil",
            Self::Tron | Self::JavaTron => "tron",
        }
    }

    /// The kind of the chain that a script calls so.
    pub(super) fn named(chain: &str) -> Self {
        match chain {
            "anvil" => Self::Evm,
            "tron" => Self::Tron,
            _ => panic!("no chain is called {chain}"),
        }
    }

    /// Where its fixtures are.
    pub(super) fn fixtures(self) -> PathBuf {
        let folder = match self {
            Self::Evm => "../fixtures/erc20",
            Self::Tron | Self::JavaTron => "../fixtures/trc20",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
    }
}

/// What the tape of a chain is called.
fn tape_name(kind: Kind, beside: bool) -> String {
    if beside { format!("tape-{}", kind.chain()) } else { "tape".to_owned() }
}

impl Behind {
    /// A tape from `folder` that was made of `note`.
    pub(super) async fn tape(kind: Kind, beside: bool, folder: &Path, note: String) -> Self {
        let player = Player::start(read(folder, &tape_name(kind, beside), &note)).await;
        let player = player.expect("a port");
        let folder = folder.to_owned();
        Self { kind, beside, answers: Answers::Tape { player, folder, note, frame: 0 } }
    }

    /// A node that is recorded into `folder`; with an index where it is read by accounts.
    pub(super) async fn live(
        kind: Kind,
        beside: bool,
        folder: &Path,
        note: &str,
        index: bool,
    ) -> Self {
        let tape = tape_name(kind, beside);
        let answers = match kind {
            Kind::Evm => Answers::Anvil(Box::new(node::Live::start(folder, &tape, note).await)),
            Kind::Tron => {
                Answers::Tron(Box::new(tron::Live::start(folder, &tape, note, index).await))
            }
            Kind::JavaTron => panic!("its answers are kept in files and are recorded by no run"),
        };
        Self { kind, beside, answers }
    }

    /// The files of the private chain.
    pub(super) async fn files() -> Self {
        let answers = Answers::Files(Files::start().await);
        Self { kind: Kind::JavaTron, beside: false, answers }
    }

    pub(super) const fn chain(&self) -> &'static str {
        self.kind.chain()
    }

    fn url(&self) -> String {
        match &self.answers {
            Answers::Tape { player, .. } => player.http_url(),
            Answers::Anvil(live) => live.url(),
            Answers::Tron(live) => live.url(),
            Answers::Files(files) => files.url(),
        }
    }

    /// Whether a line of the node is done now, and was not done when its tape was made.
    pub(super) const fn acts(&self) -> bool {
        !matches!(self.answers, Answers::Tape { .. })
    }

    /// Does one line of the node.
    pub(super) async fn act(&mut self, step: &Node, address: impl Fn(&str) -> Address) {
        match &mut self.answers {
            Answers::Tape { .. } => {}
            Answers::Anvil(live) => live.act(step, address).await,
            Answers::Tron(live) => live.act(step, address),
            Answers::Files(files) => files.act(step),
        }
    }

    pub(super) fn next_frame(&mut self) {
        match &mut self.answers {
            Answers::Tape { player, frame, .. } => {
                *frame += 1;
                player.frame(*frame);
            }
            Answers::Anvil(live) => live.next_frame(),
            Answers::Tron(live) => live.next_frame(),
            Answers::Files(_) => {}
        }
    }

    pub(super) async fn switch(&mut self, name: &str) {
        match &mut self.answers {
            Answers::Tape { player, folder, note, .. } => player.switch(read(folder, name, note)),
            Answers::Anvil(live) => live.switch(name).await,
            Answers::Tron(live) => live.switch(name).await,
            Answers::Files(_) => panic!("there is one set of files"),
        }
    }

    /// Writes its tapes.
    pub(super) async fn finish(self) {
        match self.answers {
            Answers::Anvil(live) => live.finish().await,
            Answers::Tron(live) => live.finish().await,
            Answers::Tape { .. } | Answers::Files(_) => {}
        }
    }

    /// The time of the newest block: the only clock there is.
    pub(super) async fn time(&self) -> Time {
        let newest = self.newest().await;
        if self.kind == Kind::Evm {
            let seconds = hex(&newest["result"]["timestamp"]);
            return Time::from_seconds(seconds).expect("a time in range");
        }
        let time = newest["block_header"]["raw_data"]["timestamp"].as_i64();
        Time(time.unwrap_or_else(|| panic!("{newest}")))
    }

    /// The height of the newest block.
    pub(super) async fn height(&self) -> u64 {
        let newest = self.newest().await;
        if self.kind == Kind::Evm {
            return hex(&newest["result"]["number"]);
        }
        let height = newest["block_header"]["raw_data"]["number"].as_u64();
        height.unwrap_or_else(|| panic!("{newest}"))
    }

    async fn newest(&self) -> Value {
        let url = self.url();
        if self.kind == Kind::Evm {
            let params = json!(["latest", false]);
            let method = "eth_getBlockByNumber";
            let asked = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            return post(&url, &asked).await;
        }
        post(&format!("{url}/wallet/getblock"), &json!({"detail": false})).await
    }

    /// Fails with the first request that is not on the tape, or in no file.
    pub(super) fn check(&self) {
        let misses = match &self.answers {
            Answers::Tape { player, .. } => player.misses(),
            Answers::Files(files) => files.misses(),
            Answers::Anvil(_) | Answers::Tron(_) => return,
        };
        assert!(misses.is_empty(), "not on the tape: {misses:#?}");
    }

    /// Addresses that were made elsewhere and are to be imported.
    pub(super) fn imported(&self) -> Vec<Address> {
        if self.kind == Kind::JavaTron { java_tron::recipients() } else { Vec::new() }
    }

    /// The chain's part of the config: in small windows, one request at a time, so that they are
    /// the same in each run.
    pub(super) fn config(&self, accounts: bool, settings: &str) -> String {
        let url = self.url();
        let xpub = if self.beside { BESIDE } else { XPUB };
        let (what, addresses) = match self.kind {
            Kind::Evm => (EVM.replace("TOKEN", node::TOKEN), format!("xpub = \"{xpub}\"")),
            Kind::Tron => (TRON.replace("TOKEN", tron::TOKEN), format!("xpub = \"{xpub}\"")),
            Kind::JavaTron => {
                (TRON.replace("TOKEN", &java_tron::token()), "imported = true".to_owned())
            }
        };
        let what = match settings.contains("max_reorg") {
            true => what
                .lines()
                .filter(|line| !line.starts_with("max_reorg"))
                .fold(String::new(), |text, line| format!("{text}{line}\n")),
            false => what,
        };
        let name = self.chain();
        let read = if accounts { "read = \"accounts\"\n" } else { "" };
        // A plain node has its solidity interface at a URL of its own; an index has one for all.
        let solidity = match self.kind {
            Kind::Tron | Kind::JavaTron if !accounts => format!("solidity_url = \"{url}\"\n"),
            _ => String::new(),
        };
        format!(
            "[chains.{name}]\n{what}{read}{settings}\n[chains.{name}.addresses]\n{addresses}\n\n\
             [[chains.{name}.endpoints]]\nname = \"node\"\nurl = \"{url}\"\n{solidity}\n"
        )
    }
}

const EVM: &str = r#"kind = "evm"
chain_id = 31337
token = "TOKEN"
decimals = 6
confirmations = [{ up_to = "1000", blocks = 3 }, { at = "finalized" }]
max_reorg = 16
window = 32
silent_after = "never"
in_flight = 1
"#;

const TRON: &str = r#"kind = "tron"
token = "TOKEN"
decimals = 6
max_reorg = 32
window = 20
silent_after = "never"
in_flight = 1
"#;

fn hex(value: &Value) -> u64 {
    let digits = value.as_str().unwrap_or_else(|| panic!("{value}")).trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("hex")
}

async fn post(url: &str, asked: &Value) -> Value {
    let answer = reqwest::Client::new().post(url).json(asked).send().await;
    let answer = answer.expect("an answer").text().await.expect("a body");
    serde_json::from_str(&answer).expect("JSON")
}

/// A tape that was made of the node's lines of this script.
fn read(folder: &Path, name: &str, note: &str) -> Tape {
    let path = folder.join(name).with_extension("jsonl");
    let tape = Tape::read(&path).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(
        tape.header.note, note,
        "the script's node lines differ from those that {name} was recorded with; record it again"
    );
    tape
}
