//! A script played: the shipped watcher, books on SQLite, and a tape or a live node behind it.
//!
//! In: the lines of a script. Out: what was told, line by line, and how the books ended.
//! Never: a request that the tape does not hold; the clock of this machine.
//! Why: a recording and a replay differ in what stands behind the endpoint and in nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bursar::cli::OrderCreate;
use bursar::clock::{Clock, rfc3339};
use bursar::config::Config;
use bursar::open::Opened;
use bursar::watch::Watcher;
use lab::tape::{Player, Tape};
use payments::Update;
use payments::address::Address;
use payments::name::OrderId;
use payments::time::Time;
use serde_json::{Value, json};
use store::{OpenMode, Store, WatchState};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::node::{Live, TOKEN};
use super::prose::Prose;
use super::script::{self, Line, Ours, Step};

/// The account of the deposit addresses: of a public test phrase, and unknown to anvil.
const XPUB: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";
/// A watcher that still finds something after so many turns goes round in circles.
const TURNS: usize = 200;

/// What answers at the endpoint.
enum Behind {
    Tape { player: Player, folder: PathBuf, note: String, frame: u64 },
    Live(Box<Live>),
}

/// A daemon and a shop, with everything they have.
struct Stage {
    behind: Behind,
    /// The node has done something since it was last looked at.
    moved: bool,
    books: TempDir,
    clock: Clock,
    up: Option<Up>,
    /// The number of the last event that was written down.
    told: u64,
    prose: Prose,
}

/// What a crash takes away.
struct Up {
    opened: Opened,
    watcher: Watcher,
}

/// Plays `script` against the tapes in `folder`; the prose of it.
pub(super) async fn replay(script: &str, folder: &Path) -> String {
    let lines = script::parse(script).unwrap_or_else(|why| panic!("{why}"));
    let note = script::at_the_node(&lines);
    let player = Player::start(tape(folder, "tape", &note)).await.expect("a port");
    let folder = folder.to_owned();
    let behind = Behind::Tape { player, folder, note, frame: 0 };
    play(lines, behind).await
}

/// Plays `script` on a live node and writes its tapes into `folder`; the prose of it.
pub(super) async fn record(script: &str, folder: &Path) -> String {
    let lines = script::parse(script).unwrap_or_else(|why| panic!("{why}"));
    let live = Live::start(folder, &script::at_the_node(&lines)).await;
    play(lines, Behind::Live(Box::new(live))).await
}

/// A tape that was made of the node's lines of this script.
fn tape(folder: &Path, name: &str, note: &str) -> Tape {
    let path = folder.join(name).with_extension("jsonl");
    let tape = Tape::read(&path).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(
        tape.header.note, note,
        "the script's node lines differ from those that {name} was recorded with; record it again"
    );
    tape
}

async fn play(lines: Vec<Line>, behind: Behind) -> String {
    let books = tempfile::tempdir().expect("a scratch folder");
    let clock = Clock::at(Time(0));
    let prose = Prose::default();
    let mut stage = Stage { behind, moved: false, books, clock, up: None, told: 0, prose };
    stage.start(OpenMode::Migrate).await;
    for line in lines {
        stage.prose.line(&format!("> {}", line.text));
        match line.step {
            Step::Node(step) => {
                if let Behind::Live(live) = &mut stage.behind {
                    let orders = orders(&stage.up, &stage.books).await;
                    live.act(&step, |id| address(&orders, id)).await;
                }
                stage.moved = true;
            }
            Step::Wait(blocks) => {
                if let Behind::Live(live) = &mut stage.behind {
                    let step = script::Node::Mine(blocks);
                    live.act(&step, |id| panic!("{id} is paid by no waiting")).await;
                }
                stage.moved = true;
                stage.ours(Ours::Play).await;
            }
            Step::Ours(step) => stage.ours(step).await,
        }
    }
    stage.end().await
}

/// Every order and its address, also while the daemon is down.
async fn orders(up: &Option<Up>, books: &TempDir) -> Vec<(OrderId, Address)> {
    let store = match up {
        Some(up) => up.opened.books.store.clone(),
        None => Store::open(&url(books), OpenMode::Use).await.expect("the books open"),
    };
    let orders = store.orders(&store::OrderFilter::default(), 0, 1000).await.expect("orders");
    orders.into_iter().map(|(_, dossier)| (dossier.order.id, dossier.order.address)).collect()
}

fn address(orders: &[(OrderId, Address)], id: &str) -> Address {
    let found = orders.iter().find(|(known, _)| known.as_str() == id);
    found.unwrap_or_else(|| panic!("there is no order {id}")).1
}

fn url(books: &TempDir) -> String {
    format!("sqlite:{}", books.path().join("bursar.db").display())
}

impl Stage {
    async fn ours(&mut self, step: Ours) {
        if std::mem::take(&mut self.moved) {
            self.behind.next_frame();
        }
        self.clock.set(self.behind.time().await);
        match step {
            Ours::Order { id, amount } => self.order(id, amount).await,
            Ours::Cancel(id) => {
                let id = OrderId::new(&id).expect("an order's id");
                let cancelled = self.up().opened.books.record(&Update::Cancel(id)).await;
                if let Err(why) = cancelled {
                    self.prose.line(&format!("  refused: {}", why.line()));
                }
            }
            Ours::Play => self.turn().await,
            Ours::Crash => {
                let up = self.up.take().expect("it runs");
                up.opened.books.store.close().await;
            }
            Ours::Start => self.start(OpenMode::Use).await,
            Ours::Switch(name) => {
                assert!(self.up.is_none(), "`crash` comes before `switch`, and `start` after it");
                self.behind.switch(&name).await;
            }
        }
        self.tell().await;
    }

    fn up(&mut self) -> &mut Up {
        self.up.as_mut().expect("`start` comes after `crash`")
    }

    async fn start(&mut self, mode: OpenMode) {
        self.clock.set(self.behind.time().await);
        let config = Config::parse(&config(&self.behind.url()), self.books.path());
        let config = config.unwrap_or_else(|why| panic!("{}", why.line()));
        if mode == OpenMode::Migrate {
            Store::open(&url(&self.books), mode).await.expect("new books").close().await;
        }
        let opened = Opened::with(config, self.clock.clone()).await.expect("the books open");
        let (name, chain) = opened.config.chain("anvil").expect("configured above");
        let node = opened.node(name, chain).await;
        let node = node.unwrap_or_else(|why| panic!("{}", why.line()));
        let watched = Arc::new(Mutex::new(WatchState::default()));
        let books = opened.books.clone();
        let watcher = Watcher::new(name.clone(), chain, node, books, watched);
        self.up = Some(Up { opened, watcher });
    }

    async fn order(&mut self, id: String, amount: Option<String>) {
        let asked = OrderCreate {
            id,
            customer: "acme".to_owned(),
            chain: "anvil".to_owned(),
            top_up: amount.is_none(),
            amount,
            credits: None,
            plan: None,
            expires_after: None,
            refund_to: None,
            metadata: None,
        };
        let made = bursar::orders::make(&self.up().opened, &asked).await;
        match made {
            Ok((dossier, _)) => self.prose.order(&dossier.order),
            Err(why) => self.prose.line(&format!("  refused: {}", why.line())),
        }
    }

    /// The loop body, until it finds nothing more.
    async fn turn(&mut self) {
        for _ in 0..TURNS {
            let turn = self.up().watcher.step().await;
            self.behind.check();
            match turn {
                Ok(turn) if !turn.more && turn.changes.is_empty() => return,
                Ok(_) => {}
                Err(why) => {
                    let why = self.prose.name(&why.line());
                    self.prose.line(&format!("  the turn failed: {why}"));
                    return;
                }
            }
        }
        panic!("after {TURNS} turns there is still something new");
    }

    /// Writes down every event that was committed since the last time.
    async fn tell(&mut self) {
        self.behind.check();
        let Some(up) = &self.up else { return };
        let events = up.opened.books.store.events(self.told, 1000).await.expect("events");
        for event in events {
            assert_eq!(event.seq, self.told + 1, "events have no gap");
            self.told = event.seq;
            self.prose.event(&event);
        }
    }

    async fn end(mut self) -> String {
        assert!(!self.moved, "the script ends with a line that nobody sees: end it with `play`");
        let up = self.up.take().expect("a script ends with the daemon up");
        self.prose.books(&up.opened.books.store).await;
        up.opened.books.store.close().await;
        if let Behind::Live(live) = self.behind {
            live.finish().await;
        }
        self.prose.text()
    }
}

impl Behind {
    fn url(&self) -> String {
        match self {
            Self::Tape { player, .. } => player.http_url(),
            Self::Live(live) => live.url(),
        }
    }

    fn next_frame(&mut self) {
        match self {
            Self::Tape { player, frame, .. } => {
                *frame += 1;
                player.frame(*frame);
            }
            Self::Live(live) => live.next_frame(),
        }
    }

    async fn switch(&mut self, name: &str) {
        match self {
            Self::Tape { player, folder, note, .. } => player.switch(tape(folder, name, note)),
            Self::Live(live) => live.switch(name).await,
        }
    }

    /// The time of the newest block: the only clock there is.
    async fn time(&self) -> Time {
        let params = json!(["latest", false]);
        let asked =
            json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": params});
        let answer = reqwest::Client::new().post(self.url()).json(&asked).send().await;
        let answer = answer.expect("an answer").text().await.expect("a body");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let time = answer["result"]["timestamp"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let seconds = u64::from_str_radix(time.trim_start_matches("0x"), 16).expect("hex");
        Time::from_seconds(seconds).expect("a time in range")
    }

    /// Fails with the first request that is not on the tape.
    fn check(&self) {
        if let Self::Tape { player, .. } = self {
            let misses = player.misses();
            assert!(misses.is_empty(), "not on the tape: {misses:#?}");
        }
    }
}

/// In small windows, one at a time: so a request is the same in each run.
fn config(url: &str) -> String {
    format!(
        r#"[pricing]
credits_per_usdt = "100"

[chains.anvil]
kind = "evm"
chain_id = 31337
token = "{TOKEN}"
decimals = 6
confirmations = [{{ up_to = "1000", blocks = 3 }}, {{ at = "finalized" }}]
max_reorg = 16
window = 32
in_flight = 1

[chains.anvil.addresses]
xpub = "{XPUB}"

[[chains.anvil.endpoints]]
name = "node"
url = "{url}"
"#
    )
}

/// A moment as prose writes it.
pub(super) fn moment(time: Time) -> String {
    rfc3339(time)
}
