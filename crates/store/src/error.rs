//! Why the books could not be read or written.
//!
//! In: what the engine said. Out: one variant for each thing a caller does differently.
//! Never: a connection URL, which may hold a password.

use sqlx::error::ErrorKind;

/// Why the books could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that was read has changed since; nothing was written. Read it and plan again.
    #[error("{0} has changed since it was read")]
    Conflict(String),
    /// A journal with this natural key is in the books; nothing was written.
    #[error("journal `{key}` is in the books already")]
    AlreadyPosted {
        /// The natural key.
        key: String,
    },
    /// The changes name an order whose version they did not read; nothing was written.
    #[error("the changes name order `{0}` without the version that was read")]
    Unversioned(String),
    /// The books were written by a newer program.
    #[error("the books have schema {found}, this program knows {known}")]
    NewerSchema {
        /// The schema of the books.
        found: u64,
        /// The newest schema this program knows.
        known: u64,
    },
    /// The books have to be migrated first.
    #[error("the books have schema {found} and need schema {known}")]
    NeedsMigration {
        /// The schema of the books, 0 where there are none.
        found: u64,
        /// The schema this program needs.
        known: u64,
    },
    /// A migration that was applied has another text now.
    #[error("migration `{0}` is not the one that was applied")]
    Checksum(String),
    /// A setting without which the books are not safe.
    #[error("{name} is {found} and must be {wanted}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The URL is neither `sqlite:` nor `postgres:`.
    #[error("the database URL must begin with sqlite: or postgres:")]
    Url,
    /// A row that does not parse. Guessing about money is worse than stopping.
    #[error("{table}.{column} of row `{row}` {why}")]
    Broken {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What names the row.
        row: String,
        /// What is wrong.
        why: String,
    },
    /// The disk or the database is full; nothing was written.
    #[error("the database is full")]
    Full(#[source] sqlx::Error),
    /// The database does not answer, or is busy beyond patience; nothing was written.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused.
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
}

/// `SQLITE_FULL`, and `disk_full` of PostgreSQL.
const FULL: [&str; 2] = ["13", "53100"];
/// `SQLITE_BUSY` with its extended codes, serialization failure and deadlock of PostgreSQL.
const BUSY: [&str; 6] = ["5", "261", "517", "773", "40001", "40P01"];
/// `SQLITE_CANTOPEN`, `SQLITE_IOERR`; shutdown, start-up and too many connections of PostgreSQL.
const AWAY: [&str; 6] = ["14", "10", "57P01", "57P02", "57P03", "53300"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let code = code(&error);
        let any = |codes: &[&str]| code.as_deref().is_some_and(|code| codes.contains(&code));
        let connection = code.as_deref().is_some_and(|code| code.starts_with("08"));
        if any(&FULL) {
            return Self::Full(error);
        }
        if connection || any(&BUSY) || any(&AWAY) {
            return Self::Unavailable(error);
        }
        match error {
            E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Tls(_) => {
                Self::Unavailable(error)
            }
            other => Self::Database(other),
        }
    }
}

impl Error {
    /// Whether trying the same again at once can help.
    pub(crate) fn is_busy(&self) -> bool {
        let Self::Unavailable(error) = self else {
            return false;
        };
        code(error).is_some_and(|code| BUSY.contains(&code.as_str()))
    }

    /// Whether a unique key refused a row.
    pub(crate) fn is_repeated(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.as_database_error().is_some_and(|error| error.kind() == ErrorKind::UniqueViolation)
    }

    /// A value that does not fit its column.
    pub(crate) fn beyond(table: &'static str, column: &'static str, row: impl ToString) -> Self {
        let why = "is beyond the range of the books".to_owned();
        Self::Broken { table, column, row: row.to_string(), why }
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}
