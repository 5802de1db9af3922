//! Windows of blocks below the solidified height, several under way at once.
//!
//! In: where to go on, and how far. Out: the next stretch, in order. Never: more than `in_flight`
//! windows held, a window out of order, two windows joined that do not follow from each other.
//! Why: fetching overlaps the caller's commit across polls, so catching up is as fast as the
//! slower of the two, and a caller that changes its mind costs no more than a new start.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::error::Error;
use crate::pool::Pool;
use crate::read::{self, Stretch};

/// Windows that are already there are joined up to this many blocks.
const JOINED_BLOCKS: usize = 1_024;
/// And up to this many Transfers.
pub(crate) const JOINED_ROWS: usize = 200_000;

/// The windows under way.
#[derive(Default)]
pub(crate) struct Far {
    windows: VecDeque<Window>,
}

struct Window {
    from: u64,
    to: u64,
    task: JoinHandle<Result<Stretch, Error>>,
}

impl Drop for Window {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The first height.
    pub(crate) from: u64,
    /// The last height.
    pub(crate) to: u64,
    /// How many blocks a new window holds.
    pub(crate) span: u64,
}

impl Far {
    /// The blocks from `wanted.from` on, as many as are there, at least one.
    pub(crate) async fn next(
        &mut self,
        pool: &Arc<Pool>,
        wanted: Wanted,
    ) -> Result<Stretch, Error> {
        let goes_on = self.windows.front().is_none_or(|window| window.from == wanted.from);
        if !goes_on {
            self.clear();
        }
        self.fill(pool, wanted);
        let mut whole = self.first().await?;
        while whole.headers.len() < JOINED_BLOCKS && whole.rows.len() < JOINED_ROWS {
            let ready = self.windows.front().is_some_and(|window| window.task.is_finished());
            if !ready {
                break;
            }
            // An error here is met again by the next poll, which asks for that window first.
            match self.first().await {
                Ok(next) if whole.join(&next) => {}
                _ => self.clear(),
            }
        }
        let next = whole.headers.last().and_then(|header| header.id.height.checked_add(1));
        if let Some(from) = next.filter(|from| *from <= wanted.to) {
            // A window that ended early leaves the ones behind it without a base.
            if self.windows.front().is_some_and(|window| window.from != from) {
                self.clear();
            }
            self.fill(pool, Wanted { from, ..wanted });
        }
        Ok(whole)
    }

    /// Whether the window that begins at `from` is under way.
    pub(crate) fn goes_on_at(&self, from: u64) -> bool {
        self.windows.front().is_some_and(|window| window.from == from)
    }

    /// Forgets every window under way.
    pub(crate) fn clear(&mut self) {
        self.windows.clear();
    }

    fn fill(&mut self, pool: &Arc<Pool>, wanted: Wanted) {
        while self.windows.len() < pool.in_flight {
            let last = self.windows.back().map(|window| window.to);
            let from = last.map_or(wanted.from, |last| last.saturating_add(1));
            if from > wanted.to {
                return;
            }
            let to = from.saturating_add(wanted.span.max(1).saturating_sub(1)).min(wanted.to);
            let pool = Arc::clone(pool);
            let task = tokio::spawn(async move { read::window(&pool, from, to).await });
            self.windows.push_back(Window { from, to, task });
        }
    }

    /// Waits for the first window. It is let go of only when it is there, so a poll that is
    /// dropped loses nothing.
    async fn first(&mut self) -> Result<Stretch, Error> {
        let Some(window) = self.windows.front_mut() else { return Ok(Stretch::default()) };
        let read = (&mut window.task).await;
        let height = window.from;
        self.windows.pop_front();
        let read = read.unwrap_or_else(|ended| {
            Err(Error::Unread { height, why: format!("the window's task ended: {ended}") })
        });
        if read.is_err() {
            self.clear();
        }
        read
    }
}
