//! The two engines: how each is opened, and the settings without which the books are not safe.
//!
//! In: a URL. Out: pools of connections whose settings were read back.
//! Never: a setting that was asked for and not checked.
//! Why: a database that answers "committed" and forgets is worse than none.

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::pool::PoolOptions;
use sqlx::{AnyPool, ConnectOptions, Connection, Database, Executor};
use tokio::time::timeout;

use crate::error::Error;
use crate::sql::{Binds, Link};
use crate::wire::Commits;

/// What speaks behind the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file beside the daemon.
    Sqlite,
    /// A server.
    Postgres,
}

/// How long a writer waits for another one before it gives up, in milliseconds.
const BUSY_TIMEOUT: u64 = 10_000;
/// How long a caller waits for a connection. A file is always there: on SQLite that is a wait for
/// the connection that writes, which a long commit holds.
const PATIENCE_SQLITE: Duration = Duration::from_secs(30);
/// A server may be away: whoever waits for it is told soon, and asks again or does not.
const PATIENCE_POSTGRES: Duration = Duration::from_secs(5);
/// How long a server may be silent over one statement of a commit, or of what it is decided by. It
/// may have died after it took the question: TCP says nothing of that, for hours or for ever.
const SILENCE: Duration = Duration::from_secs(60);
/// The same over another statement: one that goes over large books takes its time.
const LONG_SILENCE: Duration = Duration::from_secs(600);
/// Readers beside the one writer on SQLite; on PostgreSQL those that commit, and as many others.
pub(crate) const CONNECTIONS: u32 = 6;

/// Run on every new connection. WAL and FULL make a commit durable; without recursive triggers
/// `INSERT OR REPLACE` walks past the triggers that refuse a delete. The log is written back to
/// the file behind a large commit (`write_back`), and by the writer itself at 400 MB (half of that
/// where pages are the usual ones): keys that are hashes touch a page each, and a page that many
/// commits touch is then written back once. What a statement may have to undo, and what a commit
/// has not yet written, stays in memory. Pages of 8 KiB, twice the usual, are a tenth quicker on a
/// long way; a file that has others keeps them, for in WAL mode they cannot be changed.
const SQLITE_SETTINGS: &str = "PRAGMA page_size = 8192; \
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; PRAGMA busy_timeout = 10000; \
    PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_spill = OFF; \
    PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 50000";
/// Nearly every statement looks up a few rows by key. A plan that was made for a small table and
/// kept would read all of a large one. A plan that cannot avoid it looks expensive then, and
/// compiling it would cost 40 ms a statement. A process that is gone without a word holds what it
/// has locked until the server knows: in the middle of a `COPY` by these probes alone, after a
/// minute. They mean nothing where the connection is a local socket.
const POSTGRES_SETTINGS: &str = "SET enable_seqscan = off; SET jit = off; \
    SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; \
    SET tcp_user_timeout = 60000";

/// `server_version_num` of the first PostgreSQL with `MERGE`.
const OLDEST_POSTGRES: u64 = 150_000;

impl Engine {
    /// # Errors
    /// [`Error::Url`].
    pub(crate) fn of(url: &str) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Ok(Self::Postgres)
        } else {
            Err(Error::Url)
        }
    }

    /// The placeholder at `place`, from 1. SQLite looks a numbered one up by its name, one after
    /// the other: with 2,000 of them in a statement that costs more than the rows.
    pub(crate) fn placeholder(self, place: usize) -> String {
        match self {
            Self::Sqlite => "?".to_owned(),
            Self::Postgres => Self::numbered(place),
        }
    }

    /// A placeholder that says its place: on PostgreSQL each, on SQLite that of what many rows
    /// share. There sqlx takes the number in its name for a place among the values, and counts
    /// those without a name by themselves.
    pub(crate) fn numbered(place: usize) -> String {
        format!("${place}")
    }

    /// Begins a transaction that writes.
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            // Takes the one write lock now: a reader that becomes a writer would have to fail.
            Self::Sqlite => "BEGIN IMMEDIATE",
            // Every commit updates the one row of `counters` first, which is the lock. One whose
            // process is gone, or cut off, gives it back after a minute, and not when TCP knows.
            Self::Postgres => {
                "BEGIN ISOLATION LEVEL READ COMMITTED; \
                 SET LOCAL idle_in_transaction_session_timeout = 60000"
            }
        }
    }

    /// Begins a transaction that reads one state of the books.
    pub(crate) const fn begin_reading(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// The pools: one writer and some readers on SQLite, one pool for both on PostgreSQL, and what
/// commits through the engine's own connections.
pub(crate) struct Pools {
    pub(crate) commits: Commits,
    pub(crate) writer: AnyPool,
    pub(crate) reader: AnyPool,
}

impl Pools {
    /// Connects. `create` makes a missing SQLite file.
    pub(crate) async fn open(engine: Engine, url: &str, create: bool) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let url = with_mode(engine, url, create);
        // Statements are not for the log.
        let quiet = "off".parse().map_err(|_| Error::Url)?;
        let options = AnyConnectOptions::from_str(&url)
            .map_err(|_| Error::UrlUnread)?
            .log_statements(quiet)
            .log_slow_statements(quiet, Duration::ZERO);
        match engine {
            Engine::Sqlite => {
                // As below; and a file is not read before something is asked.
                let mut first = options.connect().await?;
                first.execute("PRAGMA schema_version").await?;
                first.close().await?;
                let writer = pool(engine, 1).connect_with(options.clone()).await?;
                let commits = Commits::at(engine, &options)?;
                let reader = pool(engine, CONNECTIONS).connect_lazy_with(options);
                Ok(Self { commits, writer, reader })
            }
            Engine::Postgres => {
                // A pool tries a refused connection again for as long as it may wait; the first
                // one tells at once.
                let reached = within(PATIENCE_POSTGRES, options.connect()).await;
                reached?.close().await?;
                let writer = pool(engine, CONNECTIONS).connect_with(options.clone()).await?;
                let commits = Commits::at(engine, &options)?;
                Ok(Self { commits, reader: writer.clone(), writer })
            }
        }
    }
}

/// Waits for a server's answer for so long at most.
async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => {
            let why = format!("no answer within {} s", patience.as_secs());
            let why = match patience {
                PATIENCE_POSTGRES => why,
                _ => format!("{why}: the server is away, or busy with something long"),
            };
            let why = std::io::Error::new(std::io::ErrorKind::TimedOut, why);
            Err(Error::Unavailable(why.into()))
        }
    }
}

/// Waits for PostgreSQL's answer to a statement of a commit, or of what it is decided by. Where
/// there is none the connection is not to be used again.
pub(crate) async fn heard<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    within(SILENCE, answer).await
}

/// Waits for the answer to another statement; a file is never silent.
pub(crate) async fn heard_of_any<T>(
    engine: Engine,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match engine {
        Engine::Sqlite => Ok(answer.await?),
        Engine::Postgres => within(LONG_SILENCE, answer).await,
    }
}

fn with_mode(engine: Engine, url: &str, create: bool) -> String {
    match engine {
        Engine::Sqlite if create && !url.contains("mode=") => {
            let joint = if url.contains('?') { '&' } else { '?' };
            format!("{url}{joint}mode=rwc")
        }
        _ => url.to_owned(),
    }
}

pub(crate) fn pool<D: Database>(engine: Engine, connections: u32) -> PoolOptions<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let (settings, patience) = match engine {
        Engine::Sqlite => (SQLITE_SETTINGS, PATIENCE_SQLITE),
        Engine::Postgres => (POSTGRES_SETTINGS, PATIENCE_POSTGRES),
    };
    PoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(patience)
        .test_before_acquire(engine == Engine::Postgres)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection: &mut D::Connection, _| {
            Box::pin(async move { connection.execute(settings).await.map(|_| ()) })
        })
        // A disk that is full at the end of a transaction makes SQLite take it back by itself: for
        // sqlx it goes on, and nothing could begin on this connection any more.
        .after_release(move |connection: &mut D::Connection, _| {
            Box::pin(async move {
                // Behind what was sent to take it back.
                if engine == Engine::Sqlite {
                    connection.ping().await?;
                    return Ok(!connection.is_in_transaction());
                }
                // The pool waits for the same without an end, and for its place meanwhile.
                let alive = timeout(PATIENCE_POSTGRES, connection.ping()).await;
                alive.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
                Ok(true)
            })
        })
}

/// Reads the settings back.
///
/// # Errors
/// [`Error::Setting`] names the first that is not what it must be.
pub(crate) async fn check(link: &mut Link<'_>) -> Result<(), Error> {
    match link.engine {
        Engine::Sqlite => check_sqlite(link).await,
        Engine::Postgres => check_postgres(link).await,
    }
}

async fn check_sqlite(link: &mut Link<'_>) -> Result<(), Error> {
    for (name, query, wanted) in [
        ("journal_mode", "SELECT journal_mode FROM pragma_journal_mode", "wal"),
        ("synchronous", "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("foreign_keys", "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        (
            "recursive_triggers",
            "SELECT CAST(recursive_triggers AS TEXT) FROM pragma_recursive_triggers",
            "1",
        ),
        (
            "tables that are not STRICT",
            "SELECT CAST(count(*) AS TEXT) FROM pragma_table_list WHERE schema = 'main' \
             AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite%'",
            "0",
        ),
    ] {
        let found = link.text(query, Binds::default()).await?.unwrap_or_default();
        if found != wanted {
            return Err(Error::Setting { name, found, wanted });
        }
    }
    let query = "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout";
    let found = link.text(query, Binds::default()).await?.unwrap_or_default();
    if found.parse().ok().is_none_or(|found: u64| found < BUSY_TIMEOUT) {
        return Err(Error::Setting { name: "busy_timeout", found, wanted: "10000" });
    }
    Ok(())
}

/// Whether the server knows what the migrations and the commits are written in.
///
/// # Errors
/// [`Error::Setting`] names its version.
pub(crate) async fn check_version(link: &mut Link<'_>) -> Result<(), Error> {
    if link.engine == Engine::Sqlite {
        return Ok(());
    }
    let query = "SELECT current_setting('server_version_num')";
    let found = link.text(query, Binds::default()).await?.unwrap_or_default();
    if found.parse().ok().is_none_or(|found: u64| found < OLDEST_POSTGRES) {
        let wanted = "150000 or more (PostgreSQL 15, which has MERGE)";
        return Err(Error::Setting { name: "server_version_num", found, wanted });
    }
    Ok(())
}

async fn check_postgres(link: &mut Link<'_>) -> Result<(), Error> {
    check_version(link).await?;
    let query = "SELECT current_setting('synchronous_commit')";
    let found = link.text(query, Binds::default()).await?.unwrap_or_default();
    if found == "off" {
        return Err(Error::Setting { name: "synchronous_commit", found, wanted: "on" });
    }
    Ok(())
}
