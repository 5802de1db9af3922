//! The demo's stage: two chains, their nodes, the books and the daemon's own watchers.
//!
//! In: blocks to mine. Out: each event as it is recorded, as a line a person can follow.
//! Never: shortcuts; the watcher runs as in `bursar run`. Why: what is seen is what is shipped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address as Account;
use lab::evm::{BlockRef, Tx};
use lab::{evm, tron};
use payments::event::{Event, EventKind};
use payments::name::{ChainName, OrderId};
use payments::order::Dossier;
use payments::time::Time;
use payments::{Changes, PlanError};
use store::{OpenMode, Store, WatchState};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use crate::books::Books;
use crate::cli::OrderCreate;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::open::Opened;
use crate::output::line;
use crate::view::View;
use crate::watch::Watcher;

/// From one block to the next, for a person to follow.
const PACE: Duration = Duration::from_millis(1200);
/// The daemon is given so long to record a block before the demo says that it did not.
const PATIENCE: Duration = Duration::from_secs(30);
/// The payer's wallet in every scene.
const WALLET: Account = Account::repeat_byte(0xaa);
/// A public test key's account: its private key is in every tutorial.
const XPUB: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";

/// A TRON account of the same kind of key.
const TRON_XPUB: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";

/// The chains of the demo, by the names its config gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Ethereum,
    Tron,
}

impl On {
    const fn name(self) -> &'static str {
        match self {
            Self::Ethereum => "ethereum",
            Self::Tron => "tron",
        }
    }
}

pub(super) struct Stage {
    ethereum: (evm::Chain, evm::Node),
    tron: (tron::Chain, tron::Node),
    opened: Opened,
    turns: mpsc::UnboundedReceiver<Turn>,
    /// The daemon's watchers, one of each chain.
    daemons: [JoinHandle<Result<(), Error>>; 2],
    stop: watch::Sender<bool>,
    fast: bool,
    quiet: bool,
}

/// What one turn of a watcher recorded: told in one piece, so that no block is taken for recorded
/// whose events are yet to come.
struct Turn {
    on: On,
    last: Option<BlockRef>,
    events: Vec<Event>,
}

/// The nodes of both chains.
pub(super) struct Nodes(evm::Node, tron::Node);

/// The books after the demo.
pub(super) struct Ended {
    pub(super) store: Store,
    pub(super) view: View,
}

impl Stage {
    pub(super) async fn set(folder: &Path, fast: bool, quiet: bool) -> Result<Self, Error> {
        let failed = |why: lab::Error| Error::Failed(format!("the demo's node: {why}"));
        let spec = evm::ChainSpec { block_time_s: 12, ..evm::ChainSpec::ethereum() };
        let ethereum = evm::Chain::new(spec);
        ethereum.finality_lag(8);
        ethereum.mine_empty(12);
        let ethereum_node = evm::Node::start(ethereum.clone()).await.map_err(failed)?;
        let tron = tron::Chain::new(tron::ChainSpec::tron());
        tron.mine_empty(30);
        let tron_node = tron::Node::start(tron.clone()).await.map_err(failed)?;
        let text = config(&ethereum_node, &tron_node);
        let path = folder.join("bursar.toml");
        std::fs::write(&path, &text).map_err(|source| Error::File { path, source })?;
        let config = Config::parse(&text, folder)?;
        Store::open(config.database.expose(), OpenMode::Migrate).await?.close().await;
        let opened = Opened::with(config, Clock::at(time_of(&ethereum))).await?;
        let (stop, stopped) = watch::channel(false);
        let (tell, turns) = mpsc::unbounded_channel();
        let daemons = [
            start(&opened, On::Ethereum, tell.clone(), stopped.clone()).await?,
            start(&opened, On::Tron, tell, stopped).await?,
        ];
        let (ethereum, tron) = ((ethereum, ethereum_node), (tron, tron_node));
        Ok(Self { ethereum, tron, opened, turns, daemons, stop, fast, quiet })
    }

    pub(super) fn say(&self, text: &str) -> Result<(), Error> {
        if self.quiet { Ok(()) } else { line(&format!("{text}\n")) }
    }

    /// Makes an order as a shop would; its deposit address.
    pub(super) async fn order(&mut self, asked: OrderCreate) -> Result<Account, Error> {
        let (dossier, _) = crate::orders::make(&self.opened, &asked).await?;
        let order = &dossier.order;
        let due = order.due.map_or_else(|| "any amount of".to_owned(), |due| due.to_string());
        let address = self.opened.view.spelled(&order.chain, &order.address);
        self.say(&format!("  {:<9} order made: pay {due} USDT to {address}", order.id))?;
        Ok(Account::from(order.address.0))
    }

    /// Mines a block with these transactions on Ethereum.
    pub(super) async fn pay(&mut self, txs: Vec<Tx>) -> Result<(), Error> {
        let block = self.ethereum.0.mine(txs);
        self.follow(On::Ethereum, block).await
    }

    /// Mines a block with a transfer from the payer's wallet on TRON, and then as many as it takes
    /// until that is solidified.
    pub(super) async fn pay_on_tron(&mut self, to: Account, usdt: u64) -> Result<(), Error> {
        let now = u64::try_from(self.opened.books.clock.now().0).unwrap_or_default();
        let payment = tron::Tx::transfer(WALLET, to, units(usdt));
        let block = self.tron.0.mine_at(now, vec![payment]);
        self.solidify(block).await
    }

    /// The same, and the node does not show it until the daemon is past it.
    pub(super) async fn hide_on_tron(&mut self, to: Account, usdt: u64) -> Result<(), Error> {
        let now = u64::try_from(self.opened.books.clock.now().0).unwrap_or_default();
        let (chain, node) = &self.tron;
        // Nothing is answered until it is hidden.
        let silent = node.fault(tron::Fault::Hang { paths: tron::Paths::all(), times: None });
        let block = chain.mine_at(now, vec![tron::Tx::transfer(WALLET, to, units(usdt))]);
        for tx in chain.transactions(block.height) {
            node.fault(tron::Fault::OmitLogs { tx });
        }
        node.heal_one(silent);
        self.solidify(block).await?;
        self.tron.1.heal();
        Ok(())
    }

    async fn solidify(&mut self, block: lab::tron::BlockRef) -> Result<(), Error> {
        self.follow(On::Tron, block).await?;
        self.say("            19 more witnesses build on it: a minute on TRON")?;
        while self.tron.0.solid().height < block.height {
            self.tron.0.mine_empty(1);
        }
        let tip = self.tron.0.tip();
        self.follow(On::Tron, tip).await
    }

    /// Mines empty blocks.
    pub(super) async fn wait(&mut self, blocks: u64) -> Result<(), Error> {
        for _ in 0..blocks {
            let block = self.ethereum.0.mine(Vec::new());
            self.follow(On::Ethereum, block).await?;
        }
        Ok(())
    }

    /// Mines one empty block so much later that orders expire.
    pub(super) async fn skip(&mut self, seconds: u64) -> Result<(), Error> {
        let chain = &self.ethereum.0;
        let last = chain.time(chain.tip().height).unwrap_or_default();
        let block = chain.mine_at(last.saturating_add(seconds), Vec::new());
        self.follow(On::Ethereum, block).await
    }

    pub(super) async fn reorg(&mut self, depth: u64, blocks: Vec<Vec<Tx>>) -> Result<(), Error> {
        let block = self.ethereum.0.reorg(depth, blocks);
        self.follow(On::Ethereum, block).await
    }

    /// Waits until the daemon has recorded `block`, and tells what it found.
    async fn follow(&mut self, on: On, block: BlockRef) -> Result<(), Error> {
        let tron = self.tron.0.time(self.tron.0.tip().height).unwrap_or_default();
        let tron = Time(i64::try_from(tron).unwrap_or_default());
        let now = self.opened.books.clock.now();
        self.opened.books.clock.set(time_of(&self.ethereum.0).max(tron).max(now));
        let deadline = tokio::time::Instant::now().checked_add(PATIENCE);
        let wanted = block.height;
        loop {
            let turn = self.turns.recv();
            let turn = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, turn).await,
                None => Ok(turn.await),
            };
            let Ok(Some(turn)) = turn else {
                return Err(Error::Failed(format!("the daemon did not record block {wanted}")));
            };
            for event in &turn.events {
                self.tell(on, event, wanted)?;
            }
            if turn.on == on && turn.last == Some(block) {
                break;
            }
        }
        if !self.fast {
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    fn tell(&self, on: On, event: &Event, height: u64) -> Result<(), Error> {
        let order = event.order.as_ref().map_or("", OrderId::as_str);
        let fact = |name: &str| {
            let found = event.data.iter().find(|(known, _)| *known == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let (amount, kind) = (fact("amount"), fact("kind"));
        let text = match event.kind {
            EventKind::DepositDetected => format!("detected   {amount} USDT"),
            EventKind::DepositConfirmed => format!("confirmed  {amount} USDT"),
            EventKind::DepositOrphaned => "orphaned   the reorg took the payment away".to_owned(),
            EventKind::CreditsGranted => {
                format!("credited   {} credits to {}", fact("credits"), fact("customer"))
            }
            EventKind::OrderExpired => "expired".to_owned(),
            EventKind::CaseOpened => format!("case       {kind}: {amount} USDT wait for a person"),
            EventKind::CaseResolved => format!("case       {kind} settled: {}", fact("why")),
            _ => return Ok(()),
        };
        let place = if on == On::Ethereum { "block" } else { on.name() };
        self.say(&format!("  {order:<9} {place:<5} {height:<3} {text}"))
    }

    /// Stops the daemon and gives the books, and the nodes.
    pub(super) async fn close(self) -> Result<(Ended, Nodes), Error> {
        let _ = self.stop.send(true);
        for daemon in self.daemons {
            daemon.await.map_err(|why| Error::Failed(why.to_string()))??;
        }
        let ended = Ended { store: self.opened.books.store, view: self.opened.view };
        Ok((ended, Nodes(self.ethereum.1, self.tron.1)))
    }
}

impl Nodes {
    pub(super) async fn stop(self) {
        self.0.stop().await;
        self.1.stop().await;
    }
}

impl Ended {
    pub(super) async fn order(&self, id: &str) -> Result<Dossier, Error> {
        let id = OrderId::new(id).map_err(|why| Error::Failed(why.to_string()))?;
        let dossier = self.store.order(&id).await?;
        dossier.ok_or_else(|| PlanError::UnknownOrder(id).into())
    }

    /// Account, asset and balance of every account.
    pub(super) async fn balances(&self) -> Result<Vec<(String, String, i128)>, Error> {
        let standing = self.store.balances("", "", 1000).await?;
        let mut rows: Vec<_> = standing
            .0
            .iter()
            .map(|((asset, account), sides)| (account.to_string(), asset.to_string(), sides.net()))
            .collect();
        rows.sort();
        Ok(rows)
    }
}

/// Starts the daemon's watcher on one of the demo's chains.
async fn start(
    opened: &Opened,
    on: On,
    tell: mpsc::UnboundedSender<Turn>,
    stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<Result<(), Error>>, Error> {
    let (name, chain) = opened.config.chain(on.name())?;
    let node = opened.node(name, chain).await?;
    let watched = Arc::new(Mutex::new(WatchState::default()));
    let books: Books = opened.books.clone();
    let watcher = Watcher::new(name.clone(), chain, node, books, watched);
    let interval = chain.poll_interval;
    let seen = move |_: &ChainName, turn: Result<&Changes, &Error>| {
        let Ok(changes) = turn else { return };
        let last = changes.cursor.as_ref().and_then(|mv| mv.kept.last()).map(|last| {
            let hash = alloy::primitives::B256::from(last.id.hash.0);
            BlockRef { height: last.id.height, hash }
        });
        // The stage may be gone already; then nobody is looking.
        let _ = tell.send(Turn { on, last, events: changes.events.clone() });
    };
    Ok(tokio::spawn(async move { watcher.run(interval, stopped, seen).await }))
}

fn time_of(chain: &evm::Chain) -> Time {
    let seconds = chain.time(chain.tip().height).unwrap_or_default();
    Time::from_seconds(seconds).unwrap_or(Time(0))
}

/// A transfer from the payer's wallet, in whole USDT.
pub(super) fn transfer(to: Account, usdt: u64) -> Tx {
    Tx::transfer(WALLET, to, units(usdt))
}

/// Two transfers in one transaction.
pub(super) fn transfers(to: Account, first: u64, second: u64) -> Tx {
    transfer(to, first).and_transfer(WALLET, to, units(second))
}

const fn units(usdt: u64) -> u64 {
    usdt.saturating_mul(1_000_000)
}

fn config(ethereum: &evm::Node, tron: &tron::Node) -> String {
    format!(
        r#"# The demo's config: chains on loopback that end with the demo.
[pricing]
credits_per_usdt = "100"

[pricing.plans]
team = {{ amount = "100", credits = "10000" }}
pack-500 = {{ amount = "45", credits = "500" }}
pack-1000 = {{ amount = "80", credits = "1000" }}

[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
recovery_fee = "5.00"
confirmations = [{{ up_to = "1000", blocks = 3 }}, {{ at = "finalized" }}]
poll_interval = "200ms"

[chains.ethereum.addresses]
xpub = "{XPUB}"

[[chains.ethereum.endpoints]]
name = "http"
url = "{}"

[[chains.ethereum.endpoints]]
name = "websocket"
url = "{}"

[chains.tron]
kind = "tron"
token = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
decimals = 6
recovery_fee = "0.80"
poll_interval = "50ms"

[chains.tron.addresses]
xpub = "{TRON_XPUB}"

[[chains.tron.endpoints]]
name = "node"
url = "{}"
solidity_url = "{}"
"#,
        ethereum.http_url(),
        ethereum.ws_url(),
        tron.url(),
        tron.solidity_url(),
    )
}
