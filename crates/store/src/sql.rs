//! Statements of many rows, and rows packed into text.
//!
//! In: a statement's head, a list. Out: the statement run in chunks of a few fixed sizes, so that
//! it is prepared once for each size.
//! Why: through sqlx a statement costs about 80 µs, a row 1 µs and a column 0.2 µs. So rows are
//! written by the thousand, and read as one text a thousand: fields are parted by U+001F, rows by
//! U+001E, and no column holds either.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, Arguments, AssertSqlSafe, Row};

use crate::engine::Engine;
use crate::error::Error;

/// Rows of a chunk, largest first.
const SIZES: [usize; 5] = [1024, 256, 64, 8, 1];
/// Room for an account, or the id of a deposit, in bytes.
const LENGTH: usize = 96;
/// Parts the fields of a packed row.
pub(crate) const FIELD: char = '\u{1f}';
/// Parts packed rows.
pub(crate) const ROW: char = '\u{1e}';

/// A statement with a list in the middle: `head (..), (..) tail`.
pub(crate) struct Bulk {
    /// Names the statement in the cache of texts.
    pub(crate) name: &'static str,
    pub(crate) head: String,
    /// Placeholders of a row.
    pub(crate) columns: usize,
    pub(crate) tail: &'static str,
}

/// The texts of bulk statements, made once.
#[derive(Default)]
pub(crate) struct Texts(Mutex<BTreeMap<(&'static str, usize), Arc<str>>>);

impl Texts {
    fn of(&self, engine: Engine, bulk: &Bulk, rows: usize) -> Arc<str> {
        let mut texts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = texts.entry((bulk.name, rows)).or_insert_with(|| bulk.text(engine, rows).into());
        Arc::clone(text)
    }
}

impl Bulk {
    fn text(&self, engine: Engine, rows: usize) -> String {
        let mut text = self.head.clone();
        let mut place = 0usize;
        for row in 0..rows {
            text.push_str(if row == 0 { " (" } else { ", (" });
            for column in 0..self.columns {
                if column > 0 {
                    text.push_str(", ");
                }
                place = place.saturating_add(1);
                text.push_str(&engine.placeholder(place));
            }
            text.push(')');
        }
        text.push_str(self.tail);
        text
    }
}

/// The values bound to one statement.
#[derive(Default)]
pub(crate) struct Binds(AnyArguments);

impl Binds {
    pub(crate) fn text(&mut self, value: String) -> Result<(), Error> {
        self.0.add(value).map_err(encode)
    }

    /// What `value` is shown as. A text that grows piece by piece is moved each time.
    pub(crate) fn shown(&mut self, value: &impl Display) -> Result<(), Error> {
        let mut text = String::with_capacity(LENGTH);
        // Writing to a text cannot fail.
        let _ = write!(text, "{value}");
        self.text(text)
    }

    pub(crate) fn text_or_null(&mut self, value: Option<String>) -> Result<(), Error> {
        match value {
            Some(value) => self.text(value),
            None => self.0.add(None::<String>).map_err(encode),
        }
    }

    pub(crate) fn int(&mut self, value: i64) -> Result<(), Error> {
        self.0.add(value).map_err(encode)
    }

    pub(crate) fn int_or_null(&mut self, value: Option<i64>) -> Result<(), Error> {
        self.0.add(value).map_err(encode)
    }

    pub(crate) fn into_inner(self) -> AnyArguments {
        self.0
    }
}

fn encode(error: sqlx::error::BoxDynError) -> Error {
    Error::Database(sqlx::Error::Encode(error))
}

/// Where statements are run: a connection, what it speaks, and the texts made for it.
pub(crate) struct Link<'a> {
    pub(crate) connection: &'a mut AnyConnection,
    pub(crate) engine: Engine,
    pub(crate) texts: &'a Texts,
}

impl Link<'_> {
    /// Runs `bulk` over all of `items`. The number of rows that were changed.
    pub(crate) async fn write<T>(
        &mut self,
        bulk: &Bulk,
        items: &[T],
        bind: impl Fn(&mut Binds, &T) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut changed = 0u64;
        let mut chunks = chunks(items);
        let fill = |chunk: &[T]| -> Result<Binds, Error> {
            let mut binds = Binds::default();
            binds.0.reserve(chunk.len().saturating_mul(bulk.columns), 0);
            chunk.iter().try_for_each(|item| bind(&mut binds, item))?;
            Ok(binds)
        };
        let Some(first) = chunks.next() else {
            return Ok(0);
        };
        let mut ready = (first.len(), fill(first)?);
        loop {
            let (rows, binds) = ready;
            let text = self.texts.of(self.engine, bulk, rows);
            let query = sqlx::query_with(AssertSqlSafe(text), binds.0);
            // The next chunk is filled while the engine works on this one.
            let following = async { chunks.next().map(|chunk| (chunk.len(), fill(chunk))) };
            let (done, next) = tokio::join!(query.execute(&mut *self.connection), following);
            changed = changed.saturating_add(done?.rows_affected());
            match next {
                Some((rows, binds)) => ready = (rows, binds?),
                None => return Ok(changed),
            }
        }
    }

    /// Runs `bulk`, a query for one text of packed rows, over all of `keys`, and hands each row
    /// to `take`.
    pub(crate) async fn read<T>(
        &mut self,
        bulk: &Bulk,
        keys: &[T],
        bind: impl Fn(&mut Binds, &T) -> Result<(), Error>,
        mut take: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut before: Option<AnyRow> = None;
        for chunk in chunks(keys) {
            let mut binds = Binds::default();
            binds.0.reserve(chunk.len().saturating_mul(bulk.columns), 0);
            chunk.iter().try_for_each(|key| bind(&mut binds, key))?;
            let text = self.texts.of(self.engine, bulk, chunk.len());
            let query = sqlx::query_with(AssertSqlSafe(text), binds.0);
            // The rows of one chunk are taken while the engine works on the next.
            let taking = async { before.take().map_or(Ok(()), |row| each(&row, &mut take)) };
            let (row, taken) = tokio::join!(query.fetch_one(&mut *self.connection), taking);
            taken?;
            before = Some(row?);
        }
        before.map_or(Ok(()), |row| each(&row, &mut take))
    }

    /// Runs a query for one text of packed rows and hands each row to `take`.
    pub(crate) async fn select(
        &mut self,
        text: String,
        binds: Binds,
        take: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let query = sqlx::query_with(AssertSqlSafe(text), binds.0);
        let row = query.fetch_one(&mut *self.connection).await?;
        each(&row, take)
    }

    /// Runs one statement. The number of rows that were changed.
    pub(crate) async fn run(&mut self, text: &'static str, binds: Binds) -> Result<u64, Error> {
        let done = sqlx::query_with(text, binds.0).execute(&mut *self.connection).await?;
        Ok(done.rows_affected())
    }
}

/// A query for one text of packed rows: `columns` of `rest`, which begins with `FROM`.
pub(crate) fn packed(columns: &[&str], rest: &str) -> String {
    let fields: Vec<String> =
        columns.iter().map(|column| format!("coalesce(CAST({column} AS TEXT), '')")).collect();
    let line = fields.join(&format!(" || '{FIELD}' || "));
    format!("SELECT string_agg(line, '{ROW}') FROM (SELECT {line} AS line {rest}")
}

/// Ends what [`packed`] began.
pub(crate) const PACKED_END: &str = ") AS lines";

fn each(row: &AnyRow, take: impl FnMut(&str) -> Result<(), Error>) -> Result<(), Error> {
    rows(row.try_get(0)?).try_for_each(take)
}

fn rows(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(|text| text.split(ROW))
}

/// `items` in chunks of the fixed sizes.
fn chunks<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rest.len())?;
        let (chunk, after) = rest.split_at_checked(size)?;
        rest = after;
        Some(chunk)
    })
}
