//! A script played: the shipped watcher, books on SQLite, and tapes or live nodes behind it.
//!
//! In: the lines of a script. Out: what was told, line by line, and how the books ended.
//! Never: a request that the tape does not hold; the clock of this machine.
//! Why: a recording and a replay differ in what stands behind the endpoint and in nothing else.

use std::path::Path;
use std::sync::Arc;

use bursar::accounts;
use bursar::cli::OrderCreate;
use bursar::clock::{Clock, rfc3339};
use bursar::config::Config;
use bursar::open::Opened;
use bursar::watch::Watcher;
use payments::Update;
use payments::address::Address;
use payments::name::{ChainName, OrderId};
use payments::time::Time;
use store::{OpenMode, Store, WatchState};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::behind::{Behind, Kind};
use super::prose::Prose;
use super::script::{self, Line, Ours, Step};

/// A watcher that still finds something after so many turns goes round in circles.
const TURNS: usize = 200;

/// A daemon and a shop, with everything they have.
struct Stage {
    /// The scenario's own chain, and where there is one the chain beside it.
    chains: Vec<Behind>,
    /// A node has done something since it was last looked at.
    moved: bool,
    /// The chain is watched by its accounts.
    accounts: bool,
    /// Further lines of the chain's config.
    settings: String,
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
    watchers: Vec<Watcher>,
}

/// A script, and what its node lines are by chain.
struct Script {
    lines: Vec<Line>,
    accounts: bool,
    settings: String,
    /// Each chain's kind, and the note of its tape.
    chains: Vec<(Kind, String)>,
}

impl Script {
    fn read(kind: Kind, text: &str) -> Self {
        let lines = script::parse(text).unwrap_or_else(|why| panic!("{why}"));
        let by_accounts = |line: &Line| line.step == Step::Ours(Ours::ByAccounts);
        let accounts = lines.first().is_some_and(by_accounts);
        assert!(!lines.iter().skip(1).any(by_accounts), "`by accounts` is the first line");
        let settings: String = lines
            .iter()
            .map_while(|line| match &line.step {
                Step::Ours(Ours::With(setting)) => Some(format!("{setting}\n")),
                Step::Ours(Ours::ByAccounts) => Some(String::new()),
                _ => None,
            })
            .collect();
        let mut chains = vec![(kind, script::at_the_node(&lines, None))];
        if let Some(beside) = script::beside(&lines) {
            let note = script::at_the_node(&lines, Some(&beside));
            chains.push((Kind::named(&beside), note));
        }
        Self { lines, accounts, settings, chains }
    }
}

/// Plays `script` against the tapes in `folder`; the prose of it.
pub(super) async fn replay(kind: Kind, script: &str, folder: &Path) -> String {
    let script = Script::read(kind, script);
    let mut chains = Vec::new();
    for (at, (kind, note)) in script.chains.iter().enumerate() {
        chains.push(match kind {
            Kind::JavaTron => Behind::files().await,
            kind => Behind::tape(*kind, at > 0, folder, note.clone()).await,
        });
    }
    play(script, chains).await
}

/// Plays `script` on live nodes and writes their tapes into `folder`; the prose of it.
pub(super) async fn record(kind: Kind, script: &str, folder: &Path) -> String {
    let script = Script::read(kind, script);
    let mut chains = Vec::new();
    for (at, (kind, note)) in script.chains.iter().enumerate() {
        chains.push(Behind::live(*kind, at > 0, folder, note, script.accounts).await);
    }
    play(script, chains).await
}

async fn play(script: Script, chains: Vec<Behind>) -> String {
    let books = tempfile::tempdir().expect("a scratch folder");
    let clock = Clock::at(Time(0));
    let prose = Prose::default();
    let (moved, accounts, up, told) = (false, script.accounts, None, 0);
    let settings = script.settings;
    let mut stage = Stage { chains, moved, accounts, settings, books, clock, up, told, prose };
    Box::pin(stage.start(OpenMode::Migrate)).await;
    for Line { text, chain, step } in script.lines {
        stage.prose.line(&format!("> {text}"));
        match step {
            Step::Node(step) => stage.at_the_node(chain.as_deref(), &step).await,
            Step::Wait(blocks) => {
                stage.at_the_node(None, &script::Node::Mine(blocks)).await;
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
    /// Where nothing is recorded this was done when it was.
    async fn at_the_node(&mut self, chain: Option<&str>, step: &script::Node) {
        let there = match chain {
            None => self.chains.first_mut(),
            Some(name) => self.chains.iter_mut().find(|behind| behind.chain() == name),
        };
        let behind = there.expect("the script's chains are all there");
        if behind.acts() {
            let orders = orders(&self.up, &self.books).await;
            Box::pin(behind.act(step, |id| address(&orders, id))).await;
        }
        self.moved = true;
    }

    /// The scenario's own chain.
    fn own(&mut self) -> &mut Behind {
        self.chains.first_mut().expect("there is one")
    }

    async fn ours(&mut self, step: Ours) {
        if std::mem::take(&mut self.moved) {
            self.chains.iter_mut().for_each(Behind::next_frame);
        }
        self.set_clock().await;
        match step {
            Ours::ByAccounts | Ours::With(_) => {}
            Ours::GoOn => self.go_on().await,
            Ours::Adopt => Box::pin(self.adopt()).await,
            Ours::Order { id, amount, chain } => self.order(id, amount, chain).await,
            Ours::Cancel(id) => {
                let id = OrderId::new(&id).expect("an order's id");
                let cancelled = self.up().opened.books.record(&Update::Cancel(id)).await;
                if let Err(why) = cancelled {
                    self.prose.line(&format!("  refused: {}", why.line()));
                }
            }
            Ours::Play => self.turn().await,
            Ours::Reread => self.reread().await,
            Ours::Crash => {
                let up = self.up.take().expect("it runs");
                up.opened.books.store.close().await;
            }
            Ours::Start => Box::pin(self.start(OpenMode::Use)).await,
            Ours::Switch(name) => {
                assert!(self.up.is_none(), "`crash` comes before `switch`, and `start` after it");
                self.own().switch(&name).await;
            }
        }
        self.tell().await;
    }

    fn up(&mut self) -> &mut Up {
        self.up.as_mut().expect("`start` comes after `crash`")
    }

    async fn set_clock(&mut self) {
        let time = self.own().time().await;
        self.clock.set(time);
    }

    async fn start(&mut self, mode: OpenMode) {
        self.set_clock().await;
        let settings = &self.settings;
        let chains = self.chains.iter().map(|behind| behind.config(self.accounts, settings));
        let config = format!("{PRICING}{}", chains.collect::<String>());
        let config = Config::parse(&config, self.books.path());
        let config = config.unwrap_or_else(|why| panic!("{}", why.line()));
        if mode == OpenMode::Migrate {
            let store = Store::open(&url(&self.books), mode).await.expect("new books");
            let imported = self.own().imported();
            store.import(&imported).await.expect("they are imported");
            store.close().await;
        }
        let opened = Opened::with(config, self.clock.clone()).await.expect("the books open");
        let mut watchers = Vec::new();
        for behind in &self.chains {
            let (name, chain) = opened.config.chain(behind.chain()).expect("configured above");
            // Boxed here and below: an EVM client's futures are large, and a test's stack is not.
            let node = Box::pin(opened.node(name, chain)).await;
            let node = node.unwrap_or_else(|why| panic!("{}", why.line()));
            let watched = Arc::new(Mutex::new(WatchState::default()));
            let books = opened.books.clone();
            watchers.push(Watcher::new(name.clone(), chain, node, books, watched));
        }
        self.up = Some(Up { opened, watchers });
    }

    async fn order(&mut self, id: String, amount: Option<String>, chain: Option<String>) {
        let asked = OrderCreate {
            id,
            customer: "acme".to_owned(),
            chain: chain.unwrap_or_else(|| self.own().chain().to_owned()),
            top_up: amount.is_none(),
            amount,
            credits: None,
            plan: None,
            expires_after: None,
            refund_to: None,
            metadata: None,
        };
        let made = Box::pin(bursar::orders::make(&self.up().opened, &asked)).await;
        match made {
            Ok((dossier, _)) => self.prose.order(&dossier.order),
            Err(why) => self.prose.line(&format!("  refused: {}", why.line())),
        }
    }

    /// The loop body of each chain, until it finds nothing more.
    async fn turn(&mut self) {
        for at in 0..self.chains.len() {
            self.turn_one(at).await;
        }
    }

    async fn turn_one(&mut self, at: usize) {
        for _ in 0..TURNS {
            let watcher = self.up().watchers.get_mut(at).expect("one for each chain");
            let turn = Box::pin(watcher.step()).await;
            self.check();
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

    /// What the loop does when a look has ended: one portion of the blocks behind the index.
    async fn reread(&mut self) {
        let up = self.up.as_ref().expect("it runs");
        let watcher = up.watchers.first().expect("one for each chain");
        let own = self.chains.first().expect("there is one").chain();
        let (name, chain) = up.opened.config.chain(own).expect("configured");
        let mut behind = accounts::Behind::of(chain).expect("the script begins with `by accounts`");
        let read = Box::pin(behind.catch_up(&up.opened.books, name, watcher.node())).await;
        read.unwrap_or_else(|why| panic!("{}", why.line()));
    }

    async fn go_on(&mut self) {
        let chain = ChainName::new(self.own().chain()).expect("a chain's name");
        let (by, why) = ("maria".to_owned(), "looked into".to_owned());
        let resumed = self.up().opened.books.record(&Update::Resume { chain, by, why }).await;
        resumed.unwrap_or_else(|why| panic!("{}", why.line()));
    }

    /// What `bursar chain resume --adopt` does, of the node's newest block.
    async fn adopt(&mut self) {
        let height = self.own().height().await;
        let name = ChainName::new(self.own().chain()).expect("a chain's name");
        let up = self.up();
        let node = up.watchers.first().expect("one for each chain").node();
        let header = node.header(height).await.expect("an answer").expect("a block");
        let named = format!("{height}:{}", header.id.hash);
        let said = ("maria".to_owned(), "looked into".to_owned());
        let adopted = bursar::adopt::adopt(&up.opened, &name, (&named, None), said).await;
        let words = adopted.map_or_else(|why| format!("refused: {}", why.line()), |(text, _)| text);
        let words = self.prose.name(words.trim());
        self.prose.line(&format!("  {words}"));
    }

    fn check(&self) {
        self.chains.iter().for_each(Behind::check);
    }

    /// Writes down every event that was committed since the last time.
    async fn tell(&mut self) {
        self.check();
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
        for behind in self.chains {
            behind.finish().await;
        }
        self.prose.text()
    }
}

const PRICING: &str = "[pricing]\ncredits_per_usdt = \"100\"\n\n";

/// A moment as prose writes it.
pub(super) fn moment(time: Time) -> String {
    rfc3339(time)
}
