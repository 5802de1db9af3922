//! The demo's stage: a chain, a node, the books and the daemon's own watcher.
//!
//! In: blocks to mine. Out: each event as it is recorded, as a line a person can follow.
//! Never: shortcuts; the watcher runs as in `bursar run`. Why: what is seen is what is shipped.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy::primitives::Address as Account;
use lab::evm::{BlockRef, Chain, ChainSpec, Node, Tx};
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

pub(super) struct Stage {
    pub(super) chain: Chain,
    node: Node,
    opened: Opened,
    turns: mpsc::UnboundedReceiver<Vec<Event>>,
    daemon: JoinHandle<Result<(), Error>>,
    stop: watch::Sender<bool>,
    recorded: Arc<AtomicU64>,
    fast: bool,
    quiet: bool,
}

/// The books after the demo.
pub(super) struct Ended {
    pub(super) store: Store,
    pub(super) view: View,
}

impl Stage {
    pub(super) async fn set(folder: &Path, fast: bool, quiet: bool) -> Result<Self, Error> {
        let chain = Chain::new(ChainSpec { block_time_s: 12, ..ChainSpec::ethereum() });
        chain.finality_lag(8);
        chain.mine_empty(12);
        let failed = |why: lab::Error| Error::Failed(format!("the demo's node: {why}"));
        let node = Node::start(chain.clone()).await.map_err(failed)?;
        let text = config(&node);
        let path = folder.join("bursar.toml");
        std::fs::write(&path, &text).map_err(|source| Error::File { path, source })?;
        let config = Config::parse(&text, folder)?;
        Store::open(config.database.expose(), OpenMode::Migrate).await?.close().await;
        let clock = Clock::at(time_of(&chain));
        let opened = Opened::with(config, clock).await?;
        let (stop, stopped) = watch::channel(false);
        let (tell, turns) = mpsc::unbounded_channel();
        let recorded = Arc::new(AtomicU64::new(0));
        let daemon = start(&opened, tell, stopped, Arc::clone(&recorded)).await?;
        Ok(Self { chain, node, opened, turns, daemon, stop, recorded, fast, quiet })
    }

    pub(super) fn say(&self, text: &str) -> Result<(), Error> {
        if self.quiet { Ok(()) } else { line(&format!("{text}\n")) }
    }

    /// Makes an order as a shop would; its deposit address.
    pub(super) async fn order(&mut self, asked: OrderCreate) -> Result<Account, Error> {
        let (dossier, _) = crate::orders::make(&self.opened, &asked).await?;
        let order = &dossier.order;
        let due = order.due.map_or_else(|| "any amount of".to_owned(), |due| due.to_string());
        self.say(&format!("  {:<9} order made: pay {due} USDT to {}", order.id, order.address))?;
        Ok(Account::from(order.address.0))
    }

    /// Takes an order back as a shop would.
    pub(super) async fn pay(&mut self, txs: Vec<Tx>) -> Result<(), Error> {
        let block = self.chain.mine(txs);
        self.follow(block).await
    }

    /// Mines empty blocks.
    pub(super) async fn wait(&mut self, blocks: u64) -> Result<(), Error> {
        for _ in 0..blocks {
            let block = self.chain.mine(Vec::new());
            self.follow(block).await?;
        }
        Ok(())
    }

    /// Mines one empty block so much later that orders expire.
    pub(super) async fn skip(&mut self, seconds: u64) -> Result<(), Error> {
        let last = self.chain.time(self.chain.tip().height).unwrap_or_default();
        let block = self.chain.mine_at(last.saturating_add(seconds), Vec::new());
        self.follow(block).await
    }

    pub(super) async fn reorg(&mut self, depth: u64, blocks: Vec<Vec<Tx>>) -> Result<(), Error> {
        let block = self.chain.reorg(depth, blocks);
        self.follow(block).await
    }

    /// Waits until the daemon has recorded `block`, and tells what it found.
    async fn follow(&mut self, block: BlockRef) -> Result<(), Error> {
        self.opened.books.clock.set(time_of(&self.chain));
        let deadline = tokio::time::Instant::now().checked_add(PATIENCE);
        let wanted = block.height;
        loop {
            let turn = self.turns.recv();
            let turn = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, turn).await,
                None => Ok(turn.await),
            };
            let Ok(Some(events)) = turn else {
                return Err(Error::Failed(format!("the daemon did not record block {wanted}")));
            };
            for event in &events {
                self.tell(event, wanted)?;
            }
            if self.recorded.load(Ordering::Acquire) == fingerprint(&block) {
                break;
            }
        }
        if !self.fast {
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    fn tell(&self, event: &Event, height: u64) -> Result<(), Error> {
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
        self.say(&format!("  {order:<9} block {height:<3} {text}"))
    }

    /// Stops the daemon and gives the books.
    pub(super) async fn close(self) -> Result<Ended, Error> {
        let _ = self.stop.send(true);
        self.daemon.await.map_err(|why| Error::Failed(why.to_string()))??;
        self.node.stop().await;
        Ok(Ended { store: self.opened.books.store, view: self.opened.view })
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

/// Starts the daemon's watcher on the demo's chain.
async fn start(
    opened: &Opened,
    tell: mpsc::UnboundedSender<Vec<Event>>,
    stopped: watch::Receiver<bool>,
    recorded: Arc<AtomicU64>,
) -> Result<JoinHandle<Result<(), Error>>, Error> {
    let (name, chain) = opened.config.chain("ethereum")?;
    let node = opened.node(name, chain).await?;
    let watched = Arc::new(Mutex::new(WatchState::default()));
    let books: Books = opened.books.clone();
    let watcher = Watcher::new(name.clone(), chain, node, books, watched);
    let interval = chain.poll_interval;
    let seen = move |_: &ChainName, turn: Result<&Changes, &Error>| {
        let Ok(changes) = turn else { return };
        if let Some(last) = changes.cursor.as_ref().and_then(|mv| mv.kept.last()) {
            let hash = alloy::primitives::B256::from(last.id.hash.0);
            let block = BlockRef { height: last.id.height, hash };
            recorded.store(fingerprint(&block), Ordering::Release);
        }
        // The stage may be gone already; then nobody is looking.
        let _ = tell.send(changes.events.clone());
    };
    Ok(tokio::spawn(async move { watcher.run(interval, stopped, seen).await }))
}

/// Enough of a block's hash to know it again.
fn fingerprint(block: &BlockRef) -> u64 {
    let bytes: [u8; 8] = block.hash.0.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(bytes)
}

fn time_of(chain: &Chain) -> Time {
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

fn config(node: &Node) -> String {
    format!(
        r#"# The demo's config: a chain on loopback that ends with the demo.
[pricing]
credits_per_usdt = "100"

[pricing.plans]
team = {{ amount = "100", credits = "10000" }}
pack-500 = {{ amount = "45", credits = "500" }}

[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
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
"#,
        node.http_url(),
        node.ws_url()
    )
}
