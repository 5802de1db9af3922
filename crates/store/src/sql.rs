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

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::engine::Engine;
use crate::error::Error;
use crate::wire::{Bound, Driver, Value, Wire, lines};

/// Rows of a chunk, largest first.
const SIZES: [usize; 5] = [1024, 256, 64, 8, 1];
/// Rows from which on PostgreSQL's `COPY` is quicker, which needs one more answer.
const COPIED: usize = 256;
/// Rows from which on SQLite is told a value once that all of them have. Which columns those are
/// is of the statement's text, and texts of few rows would be as many as there are commits.
const SHARED: usize = 1024;
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

/// How the rows of a statement are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// Each value by a placeholder of its own, so many rows of them, but for the columns of which
    /// all rows have the same.
    Values(usize, Same),
    /// Each column by an array.
    Arrays,
    /// By lines that follow the statement.
    Lines,
}

/// Columns of which all rows have the same value, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Same(u64);

impl Same {
    /// What `values` have in common, row after row of so many columns.
    fn of(columns: usize, values: &[Value]) -> Self {
        let (first, rest) = values.split_at_checked(columns).unwrap_or_default();
        let same = |(column, value): &(usize, &Value)| {
            rest.iter().skip(*column).step_by(columns.max(1)).all(|other| other == *value)
        };
        let columns = first.iter().enumerate().filter(same);
        Self(columns.fold(0, |same, (column, _)| same | bit(column)))
    }

    const fn has(self, column: usize) -> bool {
        self.0 & bit(column) != 0
    }

    /// The values that are told: those that differ, row after row, then each that is the same.
    fn told(self, columns: usize, mut values: Vec<Value>) -> Vec<Value> {
        if self == Self::default() {
            return values;
        }
        let rest = values.split_off(columns.min(values.len()));
        let places = (0..columns).cycle();
        let (same, first): (Vec<_>, Vec<_>) =
            values.into_iter().zip(places.clone()).partition(|(_, column)| self.has(*column));
        let rest = rest.into_iter().zip(places).filter(|(_, column)| !self.has(*column));
        first.into_iter().chain(rest).chain(same).map(|(value, _)| value).collect()
    }
}

const fn bit(column: usize) -> u64 {
    if column < 64 { 1 << column } else { 0 }
}

/// The texts of bulk statements, made once.
#[derive(Default)]
pub(crate) struct Texts(Mutex<BTreeMap<(&'static str, Form), Arc<str>>>);

impl Texts {
    fn of(&self, name: (&'static str, Form), text: impl FnOnce() -> String) -> SqlStr {
        let mut texts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = texts.entry(name).or_insert_with(|| text().into());
        AssertSqlSafe(Arc::clone(text)).into_sql_str()
    }
}

impl Bulk {
    fn text(&self, engine: Engine, rows: usize, same: Same) -> String {
        let mut text = self.head.clone();
        let mut place = 0usize;
        let differ = (0..self.columns).filter(|column| !same.has(*column)).count();
        for row in 0..rows {
            text.push_str(if row == 0 { " (" } else { ", (" });
            let mut shared = differ.saturating_mul(rows);
            for column in 0..self.columns {
                if column > 0 {
                    text.push_str(", ");
                }
                if same.has(column) {
                    shared = shared.saturating_add(1);
                    text.push_str(&Engine::numbered(shared));
                } else {
                    place = place.saturating_add(1);
                    text.push_str(&engine.placeholder(place));
                }
            }
            text.push(')');
        }
        text.push_str(self.tail);
        text
    }

    /// The same of any number of rows, each column of which is one array.
    fn text_of_arrays(&self, head: &str) -> String {
        let places: Vec<String> = (1..=self.columns).map(|place| format!("${place}")).collect();
        format!("{head} SELECT * FROM unnest({}){}", places.join(", "), self.tail)
    }

    /// Room for the values of `rows` rows.
    pub(crate) fn binds(&self, rows: usize) -> Binds {
        Binds(Vec::with_capacity(rows.saturating_mul(self.columns)))
    }

    /// The statement for `rows` rows, which `binds` holds.
    pub(crate) fn ready(
        &self,
        (driver, engine, texts): (Driver, Engine, &Texts),
        rows: usize,
        binds: Binds,
    ) -> Result<Ready, Error> {
        if let Some(head) = self.before_arrays(driver) {
            let text = texts.of((self.name, Form::Arrays), || self.text_of_arrays(head));
            return Ok(Ready { text, bound: Bound::columns(self.columns, binds.0)? });
        }
        let same = if driver == Driver::Sqlite && rows >= SHARED {
            Same::of(self.columns, &binds.0)
        } else {
            Same::default()
        };
        let text =
            texts.of((self.name, Form::Values(rows, same)), || self.text(engine, rows, same));
        Ok(Ready { text, bound: Bound::each(driver, same.told(self.columns, binds.0))? })
    }

    /// The statement that is followed by `rows` rows as [`Binds::lines`], where that is quicker and
    /// nothing is asked of them but that they are added.
    pub(crate) fn copied(&self, driver: Driver, texts: &Texts, rows: usize) -> Option<SqlStr> {
        if rows < COPIED {
            return None;
        }
        let head = self.before_arrays(driver).filter(|_| self.tail.is_empty())?;
        let head = head.strip_prefix("INSERT INTO")?;
        Some(texts.of((self.name, Form::Lines), || format!("COPY{head} FROM STDIN")))
    }

    /// What is before the list, where it is one of rows that can be told by their columns.
    fn before_arrays(&self, driver: Driver) -> Option<&str> {
        if driver == Driver::Postgres { self.head.strip_suffix("VALUES") } else { None }
    }
}

/// The values bound to one statement.
#[derive(Default)]
pub(crate) struct Binds(Vec<Value>);

impl Binds {
    pub(crate) fn text(&mut self, value: String) -> Result<(), Error> {
        self.text_or_null(Some(value))
    }

    /// What `value` is shown as. A text that grows piece by piece is moved each time.
    pub(crate) fn shown(&mut self, value: &impl Display) -> Result<(), Error> {
        let mut text = String::with_capacity(LENGTH);
        // Writing to a text cannot fail.
        let _ = write!(text, "{value}");
        self.text(text)
    }

    pub(crate) fn text_or_null(&mut self, value: Option<String>) -> Result<(), Error> {
        self.0.push(Value::Text(value));
        Ok(())
    }

    pub(crate) fn int(&mut self, value: i64) -> Result<(), Error> {
        self.int_or_null(Some(value))
    }

    pub(crate) fn int_or_null(&mut self, value: Option<i64>) -> Result<(), Error> {
        self.0.push(Value::Int(value));
        Ok(())
    }

    /// Rows of so many columns, as a `COPY` takes them.
    pub(crate) fn lines(&self, columns: usize) -> Result<Vec<u8>, Error> {
        lines(columns, &self.0)
    }
}

/// A statement of many rows, ready to be run.
pub(crate) struct Ready {
    pub(crate) text: SqlStr,
    pub(crate) bound: Bound,
}

/// Where statements are run: a connection, what it speaks, and the texts made for it.
pub(crate) struct Link<'a> {
    pub(crate) wire: Wire<'a>,
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
        let (driver, engine, texts) = (self.wire.driver(), self.engine, self.texts);
        let fill = |chunk: &[T]| fill(bulk, (driver, engine, texts), chunk, &bind);
        let mut changed = 0u64;
        let mut chunks = chunks(items);
        let mut next = chunks.next().map(fill);
        while let Some(ready) = next {
            let Ready { text, bound } = ready?;
            let running = self.wire.execute(text, bound);
            // The next chunk is filled while the engine works on this one.
            let following = async { chunks.next().map(fill) };
            let (done, filled) = tokio::join!(running, following);
            changed = changed.saturating_add(done?);
            next = filled;
        }
        Ok(changed)
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
        let (driver, engine, texts) = (self.wire.driver(), self.engine, self.texts);
        let mut before: Option<String> = None;
        for chunk in chunks(keys) {
            let Ready { text, bound } = fill(bulk, (driver, engine, texts), chunk, &bind)?;
            let asking = self.wire.text(text, bound);
            // The rows of one chunk are taken while the engine works on the next.
            let taking = async { rows(before.take().as_deref()).try_for_each(&mut take) };
            let (found, taken) = tokio::join!(asking, taking);
            taken?;
            before = found?;
        }
        rows(before.as_deref()).try_for_each(take)
    }

    /// Runs a query for one text of packed rows and hands each row to `take`.
    pub(crate) async fn select(
        &mut self,
        text: String,
        binds: Binds,
        take: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let found = self.text(AssertSqlSafe(text), binds).await?;
        rows(found.as_deref()).try_for_each(take)
    }

    /// Runs a query for one text; `None` where there is none.
    pub(crate) async fn text(
        &mut self,
        text: impl SqlSafeStr,
        binds: Binds,
    ) -> Result<Option<String>, Error> {
        let bound = Bound::each(self.wire.driver(), binds.0)?;
        self.wire.text(text.into_sql_str(), bound).await
    }

    /// Runs one statement. The number of rows that were changed.
    pub(crate) async fn run(&mut self, text: &'static str, binds: Binds) -> Result<u64, Error> {
        let bound = Bound::each(self.wire.driver(), binds.0)?;
        self.wire.execute(text.into_sql_str(), bound).await
    }
}

/// The statement of `bulk` for a chunk of rows.
fn fill<T>(
    bulk: &Bulk,
    made_for: (Driver, Engine, &Texts),
    chunk: &[T],
    bind: &impl Fn(&mut Binds, &T) -> Result<(), Error>,
) -> Result<Ready, Error> {
    let mut binds = bulk.binds(chunk.len());
    chunk.iter().try_for_each(|item| bind(&mut binds, item))?;
    bulk.ready(made_for, chunk.len(), binds)
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

fn rows(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(|text| text.split(ROW))
}

/// `items` in chunks of the fixed sizes.
pub(crate) fn chunks<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rest.len())?;
        let (chunk, after) = rest.split_at_checked(size)?;
        rest = after;
        Some(chunk)
    })
}
