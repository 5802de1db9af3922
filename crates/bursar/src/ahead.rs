//! The next turn of a chain, prepared while the last one is being written.
//!
//! In: changes on their way into the books. Out: the look that follows them, with what the rules
//! say of it. Never: a word in the books. The loop commits what was prepared, compared by
//! generation and version like everything else, or forgets it and looks itself.
//! Why: on a long way the nodes, the rules and the database have work at the same time.

use std::sync::Arc;

use payments::ahead::Ahead;
use payments::chain::Cursor;
use payments::{Changes, Update, plan};
use store::WatchState;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::books::Books;
use crate::node::{BoxError, Look, Node, NodeError};

/// Deposits from which on a commit takes longer than its end takes to be waited for.
pub(crate) const WORTH: usize = 256;

/// A look at a chain, and what the rules say of it where they were asked already.
pub(crate) struct Seen {
    /// The generation of the cursor it was made from.
    pub(crate) generation: u64,
    pub(crate) look: Look,
    pub(crate) planned: Option<Planned>,
}

/// What the rules said ahead of their turn.
pub(crate) struct Planned {
    pub(crate) changes: Changes,
    /// What the turn after it must know of it.
    ahead: Option<Ahead>,
}

impl Planned {
    pub(crate) fn of(changes: Changes) -> Self {
        let ahead = if changes.recorded.len() < WORTH { None } else { Ahead::of(&changes) };
        Self { changes, ahead }
    }
}

/// Who looks: at which nodes, for which addresses, by which rules.
#[derive(Clone)]
pub(crate) struct Eyes {
    pub(crate) node: Arc<Node>,
    pub(crate) books: Books,
    pub(crate) watched: Arc<Mutex<WatchState>>,
}

impl Eyes {
    /// What is new since `cursor`.
    pub(crate) async fn poll(&self, cursor: &Cursor) -> Result<Look, NodeError> {
        // Called when the bytes are here, so that no address stored before them is missed.
        let refresh = || async move {
            let mut state = self.watched.lock().await;
            self.books.store.watch(&mut state).await.map_err(BoxError::from)
        };
        Box::pin(self.node.poll(cursor, refresh)).await
    }

    /// What is new once the commit under way is written. Whatever is in the way, the loop meets it
    /// in its own turn.
    async fn prepare(self, ahead: Ahead) -> Option<Seen> {
        let look = self.poll(ahead.cursor()).await.ok()?;
        let update = Update::Scan(look.scan);
        let snapshot = self.books.store.snapshot_beside(&update).await.ok()?;
        let Update::Scan(scan) = &update else { return None };
        let foreseen = ahead.foresee(scan, snapshot);
        let now = self.books.clock.now();
        let planned =
            foreseen.and_then(|snapshot| plan(&self.books.rules, &snapshot, &update, now).ok());
        let planned = planned.map(Planned::of);
        let Update::Scan(scan) = update else { return None };
        let look = Look { scan, earlier: look.earlier };
        Some(Seen { generation: ahead.cursor().generation, look, planned })
    }
}

/// The turn that is being prepared, where one is. It is never cut off: a query that is dropped
/// half-way may leave its connection inside a transaction.
#[derive(Default)]
pub(crate) struct Lookout {
    task: Option<JoinHandle<Option<Seen>>>,
}

impl Lookout {
    /// Begins to prepare what follows `planned`, where that is worth it and may be foreseen.
    pub(crate) fn look_past(&mut self, planned: &mut Planned, eyes: &Eyes) {
        let ahead = planned.ahead.take();
        self.task = ahead.map(|ahead| tokio::spawn(eyes.clone().prepare(ahead)));
    }

    /// What was prepared, once it is whole.
    pub(crate) async fn seen(&mut self) -> Option<Seen> {
        let seen = self.task.as_mut()?.await;
        self.task = None;
        seen.ok().flatten()
    }

    /// Lets go of what follows changes that were not written.
    pub(crate) fn forget(&mut self) {
        self.task = None;
    }
}
