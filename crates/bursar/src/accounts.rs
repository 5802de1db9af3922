//! Watching a chain by its accounts: whose money is waited for, and the blocks behind it.
//!
//! In: the books and a node with an index. Out: accounts to ask about; what the index lost.
//! Never: an account left out in silence; a block behind that is skipped.
//! Why: an index is cheap and forgets; every block, read slowly behind it, does not.

use std::time::Duration;

use payments::Changes;
use payments::chain::Cursor;
use payments::name::ChainName;
use payments::time::Time;
use store::{WatchState, point};
use tokio::time::Instant;

use crate::books::Books;
use crate::config::{self, Chain, Way};
use crate::error::Error;
use crate::node::Node;
use crate::rescan::{Reader, detected};

/// The clock of the machine and the chain's may differ, and an order may be paid at once.
const BEFORE: Duration = Duration::from_secs(600);
/// How long an index may take to show a transfer; what it shows later, the blocks show.
const LOOKBACK: Duration = Duration::from_secs(86_400);
/// Milliseconds from one block to the next, and twice as fast: a day behind is read in a day.
const PACE_MS: u64 = 1_500;
/// How often the mark follows blocks that were read whole anyway.
const FOLLOWS: Duration = Duration::from_secs(60);

/// How a chain is watched by its accounts.
#[derive(Debug, Clone, Copy)]
pub struct Accounts {
    at_most: u32,
    linger: Duration,
}

/// The blocks read again behind the index.
pub struct Behind {
    /// Whether every block is read now: then only what an index was trusted with is left.
    by_blocks: bool,
    begun: bool,
    /// Whether it has come to the final block.
    done: bool,
    next: Instant,
    watched: WatchState,
}

impl Accounts {
    /// How `chain` is watched; `None` where by its blocks.
    #[must_use]
    pub fn of(chain: &Chain) -> Option<Self> {
        let config::Node::Tron(tron) = &chain.node else { return None };
        let Way::Accounts { at_most, linger, .. } = tron.way else { return None };
        Some(Self { at_most, linger })
    }

    /// The accounts to ask about; `None` where they are too many, and the blocks are to be read.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open(
        &self,
        books: &Books,
        cursor: &Cursor,
    ) -> Result<Option<Vec<trc20::Account>>, Error> {
        let Some(last) = cursor.last() else {
            // The books begin with blocks, as they would without an index.
            return Ok(None);
        };
        let ended = before(books.clock.now(), self.linger);
        let waiting = books.store.accounts(ended, self.at_most.saturating_add(1)).await?;
        if waiting.len() > usize::try_from(self.at_most).unwrap_or(usize::MAX) {
            return Ok(None);
        }
        let old = before(last.time, LOOKBACK);
        let account = |(address, created)| {
            let since = before(created, BEFORE).max(old);
            trc20::Account { address, since }
        };
        Ok(Some(waiting.into_iter().map(account).collect()))
    }
}

impl Behind {
    /// What of `chain` is read behind an index, or has been until its config was changed; `None`
    /// where an index alone is trusted.
    #[must_use]
    pub fn of(chain: &Chain) -> Option<Self> {
        let config::Node::Tron(tron) = &chain.node else { return None };
        let by_blocks = match tron.way {
            Way::Blocks => true,
            Way::Accounts { behind: true, .. } => false,
            Way::Accounts { behind: false, .. } => return None,
        };
        let (next, watched) = (Instant::now(), WatchState::default());
        Some(Self { by_blocks, begun: false, done: false, next, watched })
    }

    /// Marks where the index begins to be trusted, before it is: what is recorded until then was
    /// read whole.
    ///
    /// # Errors
    /// What the database says; then the index must not be asked.
    pub async fn begin(&mut self, books: &Books, cursor: &Cursor) -> Result<(), Error> {
        let Some(last) = cursor.last().filter(|_| !self.begun) else { return Ok(()) };
        if books.store.reread(&cursor.chain).await?.is_none() {
            // What lies above the final block may be replaced, and the index asked about the rest.
            let below = cursor.kept.first().and_then(|first| first.id.height.checked_sub(1));
            let known = cursor.finalized.map(|id| id.height.min(last.id.height)).or(below);
            books.store.keep_reread(&cursor.chain, None, known.unwrap_or_default()).await?;
            point!("behind.begun");
        }
        self.begun = true;
        Ok(())
    }

    /// Reads a portion of the blocks behind the cursor again, when it is time; what the index had
    /// lost.
    ///
    /// # Errors
    /// As a look at the chain; the portion is read again then.
    pub async fn catch_up(
        &mut self,
        books: &Books,
        name: &ChainName,
        node: &Node,
    ) -> Result<Option<Changes>, Error> {
        if self.next > Instant::now() {
            return Ok(None);
        }
        let Some(done) = books.store.reread(name).await? else {
            if self.by_blocks {
                // No index was ever trusted: there is nothing to ask about at every poll.
                self.rest(FOLLOWS);
            }
            return Ok(None);
        };
        let cursor = books.store.cursor(name).await?;
        let Some(finalized) = cursor.finalized.map(|id| id.height) else { return Ok(None) };
        let last = cursor.last().map_or(0, |header| header.id.height).min(finalized);
        let from = done.saturating_add(1);
        self.done |= from > last;
        if self.done && self.by_blocks {
            // Every block is read whole before it is recorded: only the mark is to follow.
            books.store.keep_reread(name, Some(done), last).await?;
            self.rest(FOLLOWS);
        }
        if from > last || self.done && self.by_blocks {
            return Ok(None);
        }
        let reader = Reader { books, name, node };
        let (end, changes) = reader.portion(&mut self.watched, from, last).await?;
        point!("behind.read");
        books.store.keep_reread(name, Some(done), end).await?;
        point!("behind.kept");
        let blocks = end.saturating_sub(done);
        self.rest(Duration::from_millis(blocks.saturating_mul(PACE_MS)));
        let caught = detected(&changes);
        if caught > 0 {
            tracing::warn!(chain = %name, from, to = end, caught, "the index had lost deposits");
        } else {
            tracing::debug!(chain = %name, from, to = end, "the index had lost nothing");
        }
        Ok(Some(changes))
    }

    /// Nothing is asked or read again for so long.
    fn rest(&mut self, span: Duration) {
        self.next = Instant::now().checked_add(span).unwrap_or(self.next);
    }
}

fn before(time: Time, span: Duration) -> Time {
    Time(time.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
