//! The books: SQLite or PostgreSQL through sqlx.
//!
//! In: an update's question, a plan's changes. Out: a snapshot; the changes written whole or not.
//! Never: a rule of being paid, network I/O inside a transaction, a second truth.
//! Why one SQL text serves both engines, but for rows by the thousand (`wire.rs`): what it reaches
//! is measured by `tests/benches/store.rs`.

mod accounts;
mod blocks;
mod cases;
mod commit;
mod cursor;
mod deposits;
mod engine;
mod error;
mod feed;
mod groups;
mod held;
mod history;
mod index;
mod ledger;
mod load;
mod migrate;
mod notices;
mod outbox;
mod outflows;
pub mod point;
mod query;
mod reading;
mod row;
mod runs;
mod snapshot;
mod sql;
mod verify;
mod watch;
mod wire;
mod write_back;

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Transaction};

use engine::Pools;
use sql::{Link, Texts};
use wire::{Committing, Wire};

pub use cases::{CaseFilter, SeenRefund};
pub use commit::Committed;
pub use engine::Engine;
pub use error::Error;
pub use groups::Unassigned;
pub use history::{Said, Sighting};
pub use migrate::newest as newest_schema;
pub use outbox::Told;
pub use outflows::OutflowFilter;
pub use query::{EntryLine, Found, OrderFilter, Pins, Standing};
pub use reading::{Balance, Reading, Sealed};
pub use runs::{Discrepancy, Ended, Mark, Run, RunLock};
pub use verify::{Finding, Replayed, Verified};
pub use watch::WatchState;

/// What opening may do to the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Use the books as they are; they must have the newest schema.
    Use,
    /// Create what is missing and bring the schema to the newest.
    Migrate,
}

/// The books. Cloning shares the connections.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    pools: Arc<Pools>,
    texts: Arc<Texts>,
    writing_back: write_back::Running,
}

impl std::fmt::Debug for Store {
    /// Without the URL, which may hold a password.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Store({:?})", self.engine)
    }
}

impl Store {
    /// Opens the books at `url`: `sqlite:<path>` or `postgres://…`. A missing SQLite file is made
    /// with [`OpenMode::Migrate`] alone; a PostgreSQL database must exist.
    ///
    /// # Errors
    /// [`Error::NeedsMigration`], [`Error::NewerSchema`], [`Error::Checksum`], [`Error::Setting`]
    /// where the books are not to be used, and what the engine says.
    pub async fn open(url: &str, mode: OpenMode) -> Result<Self, Error> {
        let engine = Engine::of(url)?;
        let pools = Pools::open(engine, url, mode == OpenMode::Migrate).await?;
        let (pools, texts) = (Arc::new(pools), Arc::default());
        let store = Self { engine, pools, texts, writing_back: Arc::default() };
        let mut connection = store.pools.writer.acquire().await?;
        engine::check_version(&mut store.link(&mut connection)).await?;
        match mode {
            OpenMode::Use => migrate::check(engine, &mut connection).await?,
            OpenMode::Migrate => migrate::migrate(engine, &mut connection).await?,
        }
        engine::check(&mut store.link(&mut connection)).await?;
        drop(connection);
        let mut committing = store.committing(engine.begin_reading()).await?;
        engine::check(&mut store.link_to(committing.wire())).await?;
        committing.commit().await?;
        Ok(store)
    }

    /// What speaks behind it.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// Closes every connection; what is running ends first.
    pub async fn close(&self) {
        self.pools.reader.close().await;
        self.pools.commits.close().await;
        self.pools.writer.close().await;
    }

    fn link<'a>(&'a self, connection: &'a mut AnyConnection) -> Link<'a> {
        self.link_to(Wire::Any(connection, self.engine))
    }

    fn link_to<'a>(&'a self, wire: Wire<'a>) -> Link<'a> {
        Link { wire, engine: self.engine, texts: &self.texts }
    }

    async fn reader(&self) -> Result<PoolConnection<Any>, Error> {
        Ok(self.pools.reader.acquire().await?)
    }

    /// A transaction that sees one state of the books.
    async fn reading(&self) -> Result<Transaction<'static, Any>, Error> {
        begun(self.pools.reader.clone(), self.engine.begin_reading()).await
    }

    /// A transaction that writes; on SQLite it holds the write lock from here on.
    async fn writing(&self) -> Result<Transaction<'static, Any>, Error> {
        begun(self.pools.writer.clone(), self.engine.begin()).await
    }

    /// The same for what is written, or read, by the thousand.
    async fn committing(&self, begin: &'static str) -> Result<Committing, Error> {
        self.pools.commits.begin(&self.pools.writer, begin).await
    }
}

async fn begun(pool: AnyPool, begin: &'static str) -> Result<Transaction<'static, Any>, Error> {
    whole(async move { pool.begin_with(begin).await }).await
}

/// Ends a transaction of [`Store::reading`] or [`Store::writing`].
async fn finish(transaction: Transaction<'static, Any>) -> Result<(), Error> {
    whole(transaction.commit()).await
}

/// Does `work` to its end, also where whoever waits for it is cut short. sqlx does not count a
/// `BEGIN` of PostgreSQL that nobody waited for, so its connection would be handed out inside of a
/// transaction, and takes back once more what a `COMMIT` that nobody waited for has ended.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(work).await {
        Ok(done) => Ok(done?),
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The program is at its end.
            Err(stopped) => {
                Err(Error::Unavailable(sqlx::Error::Io(std::io::Error::other(stopped))))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every daemon task is spawned, so what it awaits must be `Send` for every lifetime.
    #[test]
    fn futures_can_be_spawned() {
        fn spawned(_: impl Future<Output = ()> + Send + 'static) {}
        let begin = |store: Store, update: payments::Update, changes: payments::Changes| {
            spawned(async move {
                let mut state = WatchState::default();
                let _ = store.snapshot(&update).await;
                let _ = store.commit(&changes).await;
                let _ = store.watch(&mut state).await;
                let _ = store.events(0, 1).await;
                let _ = store.orders(&OrderFilter::default(), 0, 1).await;
                let _ = store.cases_of(&CaseFilter::default(), 0, 1).await;
                let _ = store.journals(0, 1).await;
                let _ = store.balances("", "", 1).await;
                let _ = store.cursors().await;
                let _ = store.find("").await;
                let _ = store.import(&[]).await;
                let _ = store.verify().await;
            });
        };
        let _: fn(Store, payments::Update, payments::Changes) = begin;
    }
}
