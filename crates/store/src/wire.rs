//! The engines' own connections, for what is read and written by the thousand.
//!
//! In: rows of values. Out: the same as arguments of the engine, and a statement run with them.
//! Never: a setting that the other connections do not have; a connection given back whose
//! transaction did not end.
//! Why: `Any` copies each text once more when a statement is run, while the engine waits for it,
//! and has no arrays, by which PostgreSQL takes a column of a thousand values as one.

use std::io::Write as _;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyConnectOptions};
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgCopyIn};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions};
use sqlx::{
    Any, AnyConnection, AnyPool, Arguments, ConnectOptions, Encode, PgConnection, PgPool, Postgres,
    Row, SqlStr, Sqlite, SqliteConnection, SqlitePool, Transaction, Type,
};

use crate::engine::{CONNECTIONS, Engine, heard, heard_of_any, pool};
use crate::error::Error;

/// Room for a field of a line, in bytes.
const FIELD: usize = 32;

/// A value of a row. One that is missing has a kind all the same: PostgreSQL asks for it.
#[derive(PartialEq, Eq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
}

/// The pool that commits: one connection on SQLite.
pub(crate) enum Commits {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Commits {
    /// Connects beside what is connected already, in its own time.
    pub(crate) fn at(engine: Engine, others: &AnyConnectOptions) -> Result<Self, Error> {
        let url = &others.database_url;
        let quiet = "off".parse().map_err(|_| Error::Url)?;
        match engine {
            Engine::Sqlite => {
                let options = SqliteConnectOptions::from_url(url).map_err(|_| Error::UrlUnread)?;
                let options = options.log_statements(quiet);
                let options = options.log_slow_statements(quiet, Duration::ZERO);
                Ok(Self::Sqlite(pool(engine, 1).connect_lazy_with(options)))
            }
            Engine::Postgres => {
                let options = PgConnectOptions::from_url(url).map_err(|_| Error::UrlUnread)?;
                let options = options.log_statements(quiet);
                let options = options.log_slow_statements(quiet, Duration::ZERO);
                Ok(Self::Postgres(pool(engine, CONNECTIONS).connect_lazy_with(options)))
            }
        }
    }

    /// Begins a transaction by `begin`. On SQLite a connection of `writers` is held meanwhile: who
    /// wants to write waits in one line, whichever connection it writes through.
    pub(crate) async fn begin(
        &self,
        writers: &AnyPool,
        begin: &'static str,
    ) -> Result<Committing, Error> {
        match self {
            Self::Sqlite(pool) => {
                let place = writers.acquire().await?;
                let transaction = pool.begin_with(begin).await?;
                Ok(Committing::Sqlite { transaction, _place: place })
            }
            Self::Postgres(pool) => {
                let mut session = Session { connection: pool.acquire().await?, ended: false };
                heard(sqlx::raw_sql(begin).execute(&mut *session.connection)).await?;
                Ok(Committing::Postgres(session))
            }
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction on one of [`Commits`].
pub(crate) enum Committing {
    /// Its place in the line is given up last.
    Sqlite {
        transaction: Transaction<'static, Sqlite>,
        _place: PoolConnection<Any>,
    },
    Postgres(Session),
}

/// A connection inside a transaction. One that is dropped there is closed, which takes everything
/// back: a `COPY` that was cut off leaves an answer behind that sqlx does not count, and every
/// later question would be given the answer to the one before.
pub(crate) struct Session {
    connection: PoolConnection<Postgres>,
    ended: bool,
}

impl Session {
    async fn end(mut self, how: &'static str) -> Result<(), Error> {
        heard(sqlx::raw_sql(how).execute(&mut *self.connection)).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

impl Committing {
    pub(crate) fn wire(&mut self) -> Wire<'_> {
        match self {
            Self::Sqlite { transaction, .. } => Wire::Sqlite(transaction),
            Self::Postgres(session) => Wire::Postgres(&mut session.connection),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite { transaction, .. } => transaction.commit().await?,
            Self::Postgres(session) => session.end("COMMIT").await?,
        }
        Ok(())
    }

    /// Takes everything back, after `error`. Where that is refused, or the server was silent, the
    /// connection is not used again, which takes it back as well.
    pub(crate) async fn take_back(self, error: &Error) {
        let is_away = matches!(error, Error::Unavailable(_)) && !error.is_busy();
        let _ = match self {
            Self::Postgres(_) if is_away => Ok(()),
            Self::Sqlite { transaction, .. } => transaction.rollback().await.map_err(Error::from),
            Self::Postgres(session) => session.end("ROLLBACK").await,
        };
    }
}

/// A `COPY` under way.
pub(crate) type Copy<'a> = PgCopyIn<&'a mut PgConnection>;

/// A connection on which statements are run.
pub(crate) enum Wire<'a> {
    Any(&'a mut AnyConnection, Engine),
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Any,
    Sqlite,
    Postgres,
}

impl Wire<'_> {
    pub(crate) const fn driver(&self) -> Driver {
        match self {
            Self::Any(..) => Driver::Any,
            Self::Sqlite(_) => Driver::Sqlite,
            Self::Postgres(_) => Driver::Postgres,
        }
    }

    /// Runs a statement. The number of rows that were changed.
    pub(crate) async fn execute(&mut self, text: SqlStr, bound: Bound) -> Result<u64, Error> {
        Ok(match (self, bound) {
            (Self::Any(connection, engine), Bound::Any(values)) => {
                let running = sqlx::query_with(text, values).execute(&mut **connection);
                heard_of_any(*engine, running).await?.rows_affected()
            }
            (Self::Sqlite(connection), Bound::Sqlite(values)) => {
                sqlx::query_with(text, values).execute(&mut **connection).await?.rows_affected()
            }
            (Self::Postgres(connection), Bound::Postgres(values)) => {
                let running = sqlx::query_with(text, values).execute(&mut **connection);
                heard(running).await?.rows_affected()
            }
            _ => return Err(mismatched()),
        })
    }

    /// Begins a `COPY` of [`lines`]. Whoever begins it ends it by `finish`, also where it is not
    /// whole: every other way leaves an answer behind that sqlx does not count.
    pub(crate) async fn copy(&mut self, text: &SqlStr) -> Result<Copy<'_>, Error> {
        match self {
            Self::Postgres(connection) => heard(connection.copy_in_raw(text.as_str())).await,
            Self::Any(..) | Self::Sqlite(_) => Err(mismatched()),
        }
    }

    /// Runs a query for one text. `None` where it is NULL, or there is no row.
    pub(crate) async fn text(
        &mut self,
        text: SqlStr,
        bound: Bound,
    ) -> Result<Option<String>, Error> {
        Ok(match (self, bound) {
            (Self::Any(connection, engine), Bound::Any(values)) => {
                let asking = sqlx::query_with(text, values).fetch_optional(&mut **connection);
                let row = heard_of_any(*engine, asking).await?;
                row.map(|row| row.try_get(0)).transpose()?.flatten()
            }
            (Self::Sqlite(connection), Bound::Sqlite(values)) => {
                let row = sqlx::query_with(text, values).fetch_optional(&mut **connection).await?;
                row.map(|row| row.try_get(0)).transpose()?.flatten()
            }
            (Self::Postgres(connection), Bound::Postgres(values)) => {
                let asking = sqlx::query_with(text, values).fetch_optional(&mut **connection);
                let row = heard(asking).await?;
                row.map(|row| row.try_get(0)).transpose()?.flatten()
            }
            _ => return Err(mismatched()),
        })
    }
}

/// Values as the arguments of an engine.
pub(crate) enum Bound {
    Any(AnyArguments),
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

impl Bound {
    /// One argument a value.
    pub(crate) fn each(driver: Driver, values: Vec<Value>) -> Result<Self, Error> {
        Ok(match driver {
            Driver::Any => Self::Any(arguments(values)?),
            Driver::Sqlite => Self::Sqlite(arguments(values)?),
            Driver::Postgres => Self::Postgres(arguments(values)?),
        })
    }

    /// One argument a column, of the rows that `values` hold one after the other.
    pub(crate) fn columns(columns: usize, values: Vec<Value>) -> Result<Self, Error> {
        let rows = values.len().checked_div(columns).unwrap_or_default();
        let new = |first: Value| match first {
            Value::Int(first) => {
                let mut ints = Vec::with_capacity(rows);
                ints.push(first);
                Column::Ints(ints)
            }
            Value::Text(first) => {
                let mut texts = Vec::with_capacity(rows);
                texts.push(first);
                Column::Texts(texts)
            }
        };
        let mut values = values.into_iter();
        let mut all: Vec<Column> = values.by_ref().take(columns).map(new).collect();
        let mut place = 0usize;
        for value in values {
            match (all.get_mut(place), value) {
                (Some(Column::Ints(ints)), Value::Int(int)) => ints.push(int),
                (Some(Column::Texts(texts)), Value::Text(text)) => texts.push(text),
                _ => return Err(mismatched()),
            }
            place = if place.saturating_add(1) < columns { place.saturating_add(1) } else { 0 };
        }
        let mut arguments = PgArguments::default();
        for column in all {
            match column {
                Column::Ints(ints) => arguments.add(ints),
                Column::Texts(texts) => arguments.add(texts),
            }
            .map_err(encode)?;
        }
        Ok(Self::Postgres(arguments))
    }
}

/// A line a row, as PostgreSQL's `COPY` reads it: fields are parted by tabs, `\N` is NULL, and
/// what means something to it has a backslash before it (its documentation, "Text Format").
pub(crate) fn lines(columns: usize, values: &[Value]) -> Result<Vec<u8>, Error> {
    let mut lines = Vec::with_capacity(values.len().saturating_mul(FIELD));
    for row in values.chunks(columns.max(1)) {
        for (place, value) in row.iter().enumerate() {
            if place > 0 {
                lines.push(b'\t');
            }
            match value {
                Value::Int(Some(int)) => write!(lines, "{int}"),
                Value::Text(Some(text)) => escape(&mut lines, text),
                Value::Int(None) | Value::Text(None) => lines.write_all(b"\\N"),
            }
            .map_err(|error| encode(error.into()))?;
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

fn escape(lines: &mut Vec<u8>, text: &str) -> std::io::Result<()> {
    let mut rest = text.as_bytes();
    while let Some(place) = rest.iter().position(|byte| b"\\\t\n\r".contains(byte)) {
        let (plain, special) = rest.split_at(place);
        lines.write_all(plain)?;
        let (byte, after) = special.split_at(1);
        lines.write_all(match byte {
            b"\t" => b"\\t",
            b"\n" => b"\\n",
            b"\r" => b"\\r",
            _ => b"\\\\",
        })?;
        rest = after;
    }
    lines.write_all(rest)
}

enum Column {
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
}

fn arguments<A>(values: Vec<Value>) -> Result<A, Error>
where
    A: Arguments,
    Option<i64>: Type<A::Database> + for<'v> Encode<'v, A::Database>,
    Option<String>: Type<A::Database> + for<'v> Encode<'v, A::Database>,
{
    let mut arguments = A::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Int(int) => arguments.add(int),
            Value::Text(text) => arguments.add(text),
        }
        .map_err(encode)?;
    }
    Ok(arguments)
}

pub(crate) fn encode(error: BoxDynError) -> Error {
    Error::Database(sqlx::Error::Encode(error))
}

/// Cannot be: values are bound for the connection that they are sent through.
fn mismatched() -> Error {
    Error::Database(sqlx::Error::Protocol("values were bound for another engine".to_owned()))
}
