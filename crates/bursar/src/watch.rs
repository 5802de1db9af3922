//! The loop of one chain: fetch, remember, decide, write.
//!
//! In: a node and the books. Out: the books, further along the chain.
//! Never: skips a block; what cannot be read whole is tried again, however long that takes.
//! Why: this is the whole daemon; everything else starts it, stops it or looks at it.

use std::sync::Arc;
use std::time::Duration;

use payments::Update;
use payments::chain::{ConnectError, Scan};
use payments::name::ChainName;
use payments::time::Time;
use payments::{Changes, PlanError};
use store::{WatchState, point};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::accounts::{Accounts, Behind};
use crate::ahead::{Eyes, Lookout, Planned, Seen, WORTH};
use crate::books::Books;
use crate::config::Chain;
use crate::contract::Hearing;
use crate::error::Error;
use crate::node::{Look, Meaning, Node};
use crate::refunds;
use crate::retry::Retry;
use crate::vet::vet;
use crate::vigil::Vigil;

/// One chain being watched.
pub struct Watcher {
    chain: ChainName,
    eyes: Eyes,
    ahead: Lookout,
    accounts: Option<Accounts>,
    behind: Option<Behind>,
    stalled_after: Duration,
    unread_since: Option<Time>,
    hearing: Hearing,
    /// The generation of the chain that this turn judges by.
    generation: u64,
    /// Whether what is recorded was held against the nodes.
    vetted: bool,
    /// The finalized height, and the one at which refunds were last asked about.
    finalized: Option<u64>,
    asked_at: Option<u64>,
    /// When those that nobody could judge then are asked about again.
    ask_again: Option<Instant>,
    asking: Retry,
}

/// What one turn of the loop did.
#[derive(Debug)]
pub struct Turn {
    /// What was written.
    pub changes: Changes,
    /// Whether more blocks are waiting to be read.
    pub more: bool,
    /// Whether it was prepared while the turn before it was written.
    pub prepared: bool,
}

impl Drop for Turn {
    /// What thousands of payments changed takes a while to be freed, and the next turn is ready.
    fn drop(&mut self) {
        if self.changes.recorded.len() >= WORTH {
            let changes = std::mem::take(&mut self.changes);
            // Where there is no thread for it, it is freed here.
            let _ = std::thread::Builder::new().spawn(move || drop(changes));
        }
    }
}

impl Watcher {
    /// Watches a chain through `node` into `books`, as its config says.
    #[must_use]
    pub fn new(
        name: ChainName,
        chain: &Chain,
        node: Node,
        books: Books,
        watched: Arc<Mutex<WatchState>>,
    ) -> Self {
        let (accounts, behind) = (Accounts::of(chain), Behind::of(chain));
        Self {
            chain: name,
            eyes: Eyes { node: Arc::new(node), books, watched },
            ahead: Lookout::default(),
            accounts,
            behind,
            stalled_after: chain.stalled_after,
            unread_since: None,
            finalized: None,
            asked_at: None,
            ask_again: None,
            asking: Retry::default(),
            hearing: Hearing::default(),
            generation: 0,
            vetted: false,
        }
    }

    /// The nodes this chain is read through.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.eyes.node
    }

    /// One turn: the loop of the architecture page, line by line.
    ///
    /// # Errors
    /// What kept the turn from being recorded. Trying again is always right.
    pub async fn step(&mut self) -> Result<Turn, Error> {
        let look = self.fetch().await;
        self.record(look).await
    }

    async fn record(&mut self, seen: Result<Seen, Error>) -> Result<Turn, Error> {
        let Seen { look: Look { scan, earlier }, planned, .. } = match seen {
            Ok(seen) => seen,
            Err(error) => return Err(self.note(error).await),
        };
        let last = scan.blocks.last().map(|header| header.id.height);
        let more = last.is_some_and(|last| last < scan.tip) && !self.reads_to_finality(&scan);
        point!("watch.fetched");
        let prepared = planned.is_some();
        let mut changes = self.write_scan(&Update::Scan(scan), planned, more).await?;
        point!("watch.recorded");
        self.unread_since = None;
        if let Some(mv) = &changes.cursor {
            self.finalized = mv.finalized.map(|block| block.height);
            self.generation = mv.generation.saturating_add(1);
        }
        if !earlier.is_empty() {
            let (chain, notices) = (self.chain.clone(), Vec::new());
            let late = Update::Rescan { chain, transfers: earlier, notices };
            changes.events.append(&mut self.write(&late).await?.events);
            point!("watch.recorded_late");
        }
        Ok(Turn { changes, more, prepared })
    }

    /// Writes what a look found. Where `more` is to be read, that is looked at meanwhile.
    async fn write_scan(
        &mut self,
        update: &Update,
        planned: Option<Planned>,
        more: bool,
    ) -> Result<Changes, Error> {
        let mut planned = match planned {
            Some(planned) => planned,
            None => match self.eyes.books.judge(update).await {
                Ok(changes) => Planned::of(changes),
                Err(error) => return Err(self.unrecorded(error).await),
            },
        };
        if planned.changes.is_empty() {
            return Ok(planned.changes);
        }
        if more && self.accounts.is_none() {
            self.ahead.look_past(&mut planned, &self.eyes);
        }
        if self.eyes.books.write(&planned.changes).await.is_ok_and(|written| written) {
            return Ok(planned.changes);
        }
        self.ahead.forget();
        self.write(update).await
    }

    async fn write(&self, update: &Update) -> Result<Changes, Error> {
        match self.eyes.books.record(update).await {
            Ok(changes) => Ok(changes),
            Err(error) => Err(self.unrecorded(error).await),
        }
    }

    async fn unrecorded(&self, error: Error) -> Error {
        match error {
            Error::Refused(why) => self.refused(*why).await,
            error => self.unwritten(error).await,
        }
    }

    /// Whether a look by accounts has come to its end: it never goes above what is final.
    fn reads_to_finality(&self, scan: &Scan) -> bool {
        let last = scan.blocks.last().map(|header| header.id);
        self.accounts.is_some() && last.is_some() && last == scan.finalized
    }

    async fn fetch(&mut self) -> Result<Seen, Error> {
        if let Some(seen) = self.ahead.seen().await {
            self.generation = seen.generation;
            return Ok(seen);
        }
        let (look, planned) = (self.look().await?, None);
        Ok(Seen { generation: self.generation, look, planned })
    }

    async fn look(&mut self) -> Result<Look, Error> {
        let (books, node) = (&self.eyes.books, &self.eyes.node);
        let mut cursor = books.store.cursor(&self.chain).await?;
        self.generation = cursor.generation;
        if !self.vetted {
            // One that was paused for another reason is looked at once that is over; a person who
            // ends this pause has decided.
            let skipped = cursor.paused.is_some();
            while let Some(pause) = vet(books, &self.chain, node, &cursor).await? {
                books.mark(cursor.generation, &pause).await?;
                cursor = books.store.cursor(&self.chain).await?;
                self.generation = cursor.generation;
            }
            self.vetted = !skipped;
        }
        point!("watch.begun");
        let wrong = |source| Error::chain(&self.chain, source);
        if let Some(accounts) = &self.accounts
            && let Some(open) = accounts.open(books, &cursor).await?
        {
            if let Some(behind) = &mut self.behind {
                behind.begin(books, &cursor).await?;
            }
            if let Some(look) = node.poll_accounts(&cursor, &open).await.map_err(wrong)? {
                return Ok(look);
            }
        }
        self.eyes.poll(&cursor).await.map_err(wrong)
    }

    /// Marks a chain that cannot be read or trusted, so that every process can say so.
    async fn note(&mut self, error: Error) -> Error {
        let why = error.line();
        let Error::Chain { source, .. } = &error else {
            return error;
        };
        let chain = self.chain.clone();
        let update = match source.meaning() {
            Meaning::Replaced => Some(Update::Pause { chain, why }),
            Meaning::Disagreement => Some(Update::Stall { chain, why }),
            // Nothing is read before that is over, and nobody asks meanwhile.
            Meaning::Throttled(wait) if wait >= self.stalled_after => {
                Some(Update::Stall { chain, why })
            }
            // A block that a reorg replaces between two requests is unreadable for a moment.
            Meaning::Misconfigured | Meaning::Throttled(_) | Meaning::Passing => {
                self.is_overdue().then_some(Update::Stall { chain, why })
            }
        };
        self.mark(update, error).await
    }

    /// A scan that does not join the recorded chain, or a value that does not fit the books.
    async fn refused(&self, why: PlanError) -> Error {
        let (chain, text) = (self.chain.clone(), why.to_string());
        let error = Error::from(why.clone());
        let PlanError::Connect(why) = why else {
            let update = Update::Stall { chain, why: error.line() };
            return self.mark(Some(update), error).await;
        };
        let update = match why {
            ConnectError::BelowFinalized { .. } | ConnectError::TooDeep { .. } => {
                Some(Update::Pause { chain, why: text })
            }
            ConnectError::FinalizedElsewhere { .. } => Some(Update::Stall { chain, why: text }),
            // The cursor moved meanwhile, or the node did: the next turn reads it again.
            ConnectError::CannotConnect { .. } | ConnectError::Unlinked { .. } => None,
        };
        self.mark(update, error).await
    }

    /// Books that refuse what the chain says. One that is away, or full, takes no mark either.
    async fn unwritten(&self, error: Error) -> Error {
        use store::Error as E;
        let refuses = matches!(
            &error,
            Error::Store(E::Database(_) | E::AlreadyPosted { .. } | E::Unversioned(_))
        );
        let why = error.line();
        self.mark(refuses.then(|| Update::Stall { chain: self.chain.clone(), why }), error).await
    }

    /// Records a mark on the chain this turn saw; one that stands already changes nothing and is
    /// told once.
    async fn mark(&self, update: Option<Update>, error: Error) -> Error {
        let Some(update) = update else { return error };
        self.eyes.books.mark(self.generation, &update).await.err().unwrap_or(error)
    }

    /// Reads some of the blocks behind the index again. A failure costs time only.
    async fn catch_up(&mut self) -> Option<Changes> {
        let behind = self.behind.as_mut()?;
        match behind.catch_up(&self.eyes.books, &self.chain, &self.eyes.node).await {
            Ok(caught) => caught,
            Err(error) => {
                let error = error.line();
                tracing::warn!(chain = %self.chain, error, "blocks behind the index are not read");
                None
            }
        }
    }

    /// Asks about refunds that are said to be sent, once more of the chain is final. A failure
    /// costs time only.
    async fn check_refunds(&mut self) -> Vec<Changes> {
        let is_due = self.ask_again.is_some_and(|due| Instant::now() >= due);
        if self.finalized == self.asked_at && !is_due {
            return Vec::new();
        }
        self.asked_at = self.finalized;
        let asked = refunds::look(&self.eyes.books, &self.chain, &self.eyes.node).await;
        if asked.as_ref().is_ok_and(|looked| looked.unjudged.is_empty()) {
            self.asking.reset();
            self.ask_again = None;
        } else {
            // An endpoint that is away is not asked about all of them at every turn.
            self.ask_again = Instant::now().checked_add(self.asking.next_wait());
        }
        match asked {
            Ok(looked) => {
                for (case, error) in &looked.unjudged {
                    let error = error.line();
                    tracing::warn!(chain = %self.chain, %case, error, "a refund is not judged");
                }
                looked.written
            }
            Err(error) => {
                let error = error.line();
                tracing::warn!(chain = %self.chain, error, "refunds are not asked about");
                Vec::new()
            }
        }
    }

    /// What can wait until nothing else is to be read.
    async fn rest(&mut self) -> Vec<Changes> {
        let mut written = self.check_refunds().await;
        written.extend(self.catch_up().await);
        written
    }

    /// Whether nothing could be read for longer than the config allows.
    fn is_overdue(&mut self) -> bool {
        let now = self.eyes.books.clock.now();
        let since = *self.unread_since.get_or_insert(now);
        now.since(since) >= self.stalled_after
    }

    /// Turns until `stop` is told: at once while blocks are waiting, else when the doorbell rings
    /// or `poll_interval` has passed, and after a failure when its wait is over.
    ///
    /// # Errors
    /// What waiting cannot mend.
    pub async fn run(
        mut self,
        poll_interval: Duration,
        mut stop: tokio::sync::watch::Receiver<bool>,
        mut seen: impl FnMut(&ChainName, Result<&Changes, &Error>),
    ) -> Result<(), Error> {
        let mut retry = Retry::default();
        let bell = self.eyes.node.doorbell();
        let mut vigil = Vigil::new(self.eyes.books.clone(), self.chain.clone(), self.stalled_after);
        loop {
            // Fetching may be cut short at any time; what is being written is written whole.
            let (look, marked) = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                look = async {
                    // Before anything is credited.
                    let heard = self.hearing.turn(&self.eyes.books, &self.chain, &self.eyes.node);
                    if let Some(changes) = heard.await {
                        seen(&self.chain, Ok(&changes));
                    }
                    vigil.over(self.fetch()).await
                } => look,
            };
            if marked == Some(self.generation) {
                // By this very look: what it leads to is recorded over that.
                self.generation = self.generation.saturating_add(1);
            }
            let turn = self.record(look).await;
            seen(&self.chain, turn.as_ref().map(|turn| &turn.changes));
            point!("watch.told");
            match turn {
                Ok(turn) if turn.more => retry.reset(),
                Ok(_) => {
                    retry.reset();
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => return Ok(()),
                        (caught, _) = vigil.over(self.rest()) => {
                            for changes in &caught {
                                seen(&self.chain, Ok(changes));
                            }
                        }
                    }
                    tokio::select! {
                        () = bell.rung() => {}
                        () = tokio::time::sleep(poll_interval) => {}
                        _ = stop.wait_for(|stop| *stop) => return Ok(()),
                    }
                }
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    // The doorbell does not shorten this: a throttled endpoint is left alone.
                    let wait = retry.next_wait().max(asked_for(&error));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = stop.wait_for(|stop| *stop) => return Ok(()),
                    }
                }
            }
        }
    }
}

/// How long the endpoints asked to be left alone.
fn asked_for(error: &Error) -> Duration {
    match error {
        Error::Chain { source, .. } => match source.meaning() {
            Meaning::Throttled(wait) => wait,
            _ => Duration::ZERO,
        },
        _ => Duration::ZERO,
    }
}
