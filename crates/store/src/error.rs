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
    /// A URL that begins as it should, and cannot be read.
    #[error(
        "the database URL cannot be read: its port is a number, and what is special in a user or a \
         password (/ @ : # ? %) is percent-encoded"
    )]
    UrlUnread,
    /// The file is not one of SQLite's.
    #[error("the file of the books is not an SQLite database")]
    NotADatabase(#[source] sqlx::Error),
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
    /// The database does not answer, cannot reach its files, or is busy beyond patience; nothing
    /// was written.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused.
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
}

/// What an engine's code says, where a caller does something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// There is no room.
    Full,
    /// Another transaction was in the way.
    Busy,
    /// It cannot be reached, or cannot reach its own files.
    Away,
    /// A file that is something else.
    Foreign,
}

impl Trouble {
    /// The meaning of a code: a number of SQLite, whose lowest byte is the primary code
    /// (<https://sqlite.org/rescode.html>), or five characters of PostgreSQL, of which the first
    /// two are the class (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).
    fn of(code: &str) -> Option<Self> {
        if code.len() == 5 {
            return match (code, code.get(..2)?) {
                ("53100", _) => Some(Self::Full),
                ("40001" | "40P01", _) => Some(Self::Busy),
                ("57P01" | "57P02" | "57P03", _) | (_, "08" | "53" | "58") => Some(Self::Away),
                // Idle for too long, in a transaction or not, and ended for that.
                ("25P03" | "57P05", _) => Some(Self::Away),
                _ => None,
            };
        }
        match code.parse::<u32>().ok()? & 0xff {
            13 => Some(Self::Full),
            5 => Some(Self::Busy),
            26 => Some(Self::Foreign),
            // Out of memory, an I/O error, a file that cannot be opened, a lock that is not given.
            7 | 10 | 14 | 15 => Some(Self::Away),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match trouble(&error) {
            Some(Trouble::Full) => return Self::Full(error),
            Some(Trouble::Busy | Trouble::Away) => return Self::Unavailable(error),
            Some(Trouble::Foreign) => return Self::NotADatabase(error),
            None => {}
        }
        match error {
            // What answers in no words of PostgreSQL's is not the server, or no more of it.
            E::Io(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::Tls(_)
            | E::Protocol(_) => Self::Unavailable(error),
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
        trouble(error) == Some(Trouble::Busy)
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

fn trouble(error: &sqlx::Error) -> Option<Trouble> {
    Trouble::of(&error.as_database_error()?.code()?)
}

#[cfg(test)]
mod tests {
    use super::{Error, Trouble};

    #[test]
    fn an_answer_that_is_none_of_the_engine_s_is_none() {
        let cut = sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".to_owned());
        assert!(matches!(Error::from(cut), Error::Unavailable(_)));
        assert!(matches!(Error::from(sqlx::Error::RowNotFound), Error::Database(_)));
    }

    #[test]
    fn a_code_says_whether_waiting_can_help() {
        for (code, trouble) in [
            ("13", Some(Trouble::Full)),
            ("53100", Some(Trouble::Full)),
            ("5", Some(Trouble::Busy)),
            ("517", Some(Trouble::Busy)),
            ("40001", Some(Trouble::Busy)),
            ("40P01", Some(Trouble::Busy)),
            ("10", Some(Trouble::Away)),
            ("778", Some(Trouble::Away)),
            ("4874", Some(Trouble::Away)),
            ("270", Some(Trouble::Away)),
            ("08006", Some(Trouble::Away)),
            ("53300", Some(Trouble::Away)),
            ("57P01", Some(Trouble::Away)),
            ("57P05", Some(Trouble::Away)),
            ("25P03", Some(Trouble::Away)),
            ("58030", Some(Trouble::Away)),
            ("26", Some(Trouble::Foreign)),
            // A constraint, a trigger; a statement ended by a person.
            ("19", None),
            ("1811", None),
            ("2067", None),
            ("23505", None),
            ("P0001", None),
            ("57014", None),
            ("", None),
        ] {
            assert_eq!(Trouble::of(code), trouble, "{code}");
        }
    }
}
