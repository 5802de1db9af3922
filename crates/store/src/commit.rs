//! Writes what a plan decided: all of it in one transaction, or nothing.
//!
//! In: `payments::Changes`. Out: the sequence numbers of its journals and events.
//! Never: a change over something that was changed since it was read.
//! Why: two watchers, commands and an operator plan at the same time; the one who comes second
//! reads again.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use hashbrown::HashSet;
use payments::changes::Changes;
use payments::merkle::Frontier;
use payments::order::Order;

use crate::Store;
use crate::cursor::{adopt, move_cursor};
use crate::deposits::{move_deposits, naming, numbers, record, spell_moved, spell_recorded};
use crate::error::Error;
use crate::feed::{Feed, feed, left_out};
use crate::ledger::{Numbers, spell_events, spell_journals, write_cases, write_journals};
use crate::notices;
use crate::outflows;
use crate::point;
use crate::row::{self, Fields, hex, signed};
use crate::sql::{Binds, Bulk, Link, packed};

/// How often a commit is tried that the engine turned away because of another one.
const ATTEMPTS: u32 = 5;

/// What a commit was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// The sequence numbers of its journals, in their order; empty where it had none.
    pub journals: Range<u64>,
    /// The sequence numbers of its events, in their order; empty where it had none.
    pub events: Range<u64>,
}

impl Store {
    /// Writes `changes` in one transaction, durably. Empty changes are not written at all.
    ///
    /// # Errors
    /// [`Error::Conflict`]: read the snapshot and plan again. [`Error::AlreadyPosted`] where a
    /// journal's natural key is in the books. [`Error::Unversioned`] where the changes record
    /// something of an order that they do not touch. Nothing is written on any error.
    pub async fn commit(&self, changes: &Changes) -> Result<Committed, Error> {
        if changes.is_empty() {
            return Ok(Committed::default());
        }
        let mut attempt = 1;
        loop {
            match self.try_commit(changes).await {
                Err(error) if error.is_busy() && attempt < ATTEMPTS => {
                    attempt = attempt.saturating_add(1);
                }
                Err(Error::AlreadyPosted { .. }) => return Err(self.posted(changes).await?),
                done => {
                    if done.is_ok() {
                        self.write_back(changes);
                    }
                    return done;
                }
            }
        }
    }

    async fn try_commit(&self, changes: &Changes) -> Result<Committed, Error> {
        let mut transaction = self.committing(self.engine.begin()).await?;
        point!("commit.begun");
        match write_all(&mut self.link_to(transaction.wire()), changes).await {
            Ok(committed) => {
                point!("commit.sealed");
                transaction.commit().await?;
                point!("commit.written");
                Ok(committed)
            }
            Err(error) => {
                transaction.take_back(&error).await;
                Err(error)
            }
        }
    }

    /// Which journal of `changes` is in the books already.
    async fn posted(&self, changes: &Changes) -> Result<Error, Error> {
        let mut connection = self.reader().await?;
        let mut found = None;
        let bind = |binds: &mut Binds, key: &&String| binds.text((*key).clone());
        let keys: Vec<&String> = changes.journals.iter().map(|journal| &journal.key).collect();
        self.link(&mut connection)
            .read(&POSTED, &keys, bind, |key| {
                found.get_or_insert_with(|| key.to_owned());
                Ok(())
            })
            .await?;
        // Without one in the books the key is twice in the changes themselves.
        let mut seen = HashSet::new();
        let twice = || keys.iter().find(|key| !seen.insert(**key)).map(|key| (*key).clone());
        let key = found.or_else(twice).unwrap_or_default();
        Ok(Error::AlreadyPosted { key })
    }
}

/// Writes everything, and seals it.
async fn write_all(link: &mut Link<'_>, changes: &Changes) -> Result<Committed, Error> {
    let first = reserve(link, changes).await?;
    point!("commit.numbered");
    if let Some(mv) = &changes.cursor {
        adopt(link, mv).await?;
        move_cursor(link, mv).await?;
        point!("commit.cursor");
    }
    if let Some(order) = &changes.created {
        create(link, order, &first).await?;
        point!("commit.created");
    }
    // What needs no engine is done while it works.
    let checked = async {
        versioned(changes)?;
        Ok::<_, Error>(naming(changes, first.deposits).await)
    };
    let (touched, naming) = tokio::join!(touch(link, changes), checked);
    let naming = naming?;
    touched?;
    point!("commit.touched");
    let numbers = numbers(link, naming).await?;
    let log = write_rows(link, changes, &first, &numbers).await?;
    seal(link, &log).await?;
    Ok(Committed {
        journals: range(first.journals, changes.journals.len()),
        events: range(first.events, changes.events.len()),
    })
}

/// Writes the rows of everything that has many, each in its place. The log as it is then.
async fn write_rows(
    link: &mut Link<'_>,
    changes: &Changes,
    first: &First,
    numbers: &Numbers<'_>,
) -> Result<Frontier, Error> {
    let (feed, mut supply) = feed(link);
    let log = OnceLock::new();
    let grown = &log;
    // Whoever writes sees the end of what is made when this is dropped.
    let spelling = async move {
        if let Err(error) = spell(&feed, changes, first, numbers, grown).await {
            feed.fail(error).await;
        }
    };
    let writing = async {
        record(link, &mut supply).await?;
        point!("commit.recorded");
        move_deposits(link, &mut supply, changes.moved.len()).await?;
        point!("commit.moved");
        notices::write(link, &changes.notices).await?;
        point!("commit.notices");
        write_cases(link, &changes.cases, first.cases, numbers).await?;
        point!("commit.cases");
        // Behind the steps of refunds, by which one may be explained.
        outflows::write(link, &changes.outflows).await?;
        point!("commit.outflows");
        write_journals(link, &mut supply).await?;
        point!("commit.journals");
        supply.write(link).await?;
        supply.end().await?;
        point!("commit.events");
        Ok(())
    };
    // Rows are made for as long as somebody writes them.
    let mut writing = std::pin::pin!(writing);
    let written: Result<(), Error> = tokio::select! {
        biased;
        written = &mut writing => written,
        () = spelling => writing.await,
    };
    written?;
    log.into_inner().ok_or_else(left_out)
}

/// Makes the rows of what [`write_rows`] writes, in the same order of tables. The log is known
/// before the last of them.
async fn spell(
    feed: &Feed<'_>,
    changes: &Changes,
    first: &First,
    numbers: &Numbers<'_>,
    log: &OnceLock<Frontier>,
) -> Result<(), Error> {
    spell_recorded(feed, &changes.recorded, first.deposits).await?;
    spell_moved(feed, &changes.moved).await?;
    let before = first.log.clone();
    let grown = spell_journals(feed, &changes.journals, first.journals, numbers, before).await?;
    log.get_or_init(|| grown);
    spell_events(feed, &changes.events, first.events, numbers).await
}

static POSTED: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "posted journals",
    head: packed(&["key"], "FROM journals WHERE key IN ("),
    columns: 1,
    tail: ")) AS lines",
});

fn range(first: i64, len: usize) -> Range<u64> {
    let first = u64::try_from(first).unwrap_or(0);
    first..first.saturating_add(u64::try_from(len).unwrap_or(u64::MAX))
}

/// Whatever is recorded of an order raises its version: a snapshot relies on it, and so does
/// everybody else who read that order.
fn versioned(changes: &Changes) -> Result<(), Error> {
    let mut known: HashSet<&str> = changes.touched.iter().map(|t| t.order.as_str()).collect();
    known.extend(changes.created.iter().map(|order| order.id.as_str()));
    let deposits = changes.recorded.iter().chain(&changes.moved).map(|deposit| &deposit.order);
    let cases = changes.cases.iter().map(|case| &case.order);
    let journals = changes.journals.iter().map(|journal| &journal.order);
    match deposits.chain(cases).chain(journals).flatten().find(|id| !known.contains(id.as_str())) {
        Some(id) => Err(Error::Unversioned(id.to_string())),
        None => Ok(()),
    }
}

/// Seals what was announced, with the log as it is now.
async fn seal(link: &mut Link<'_>, log: &Frontier) -> Result<(), Error> {
    let mut binds = Binds::default();
    binds.text(log.peaks_text())?;
    binds.text(log.head().root.to_string())?;
    let sealed = "UPDATE counters SET sealed_journals = journals, sealed_events = events, \
        log_peaks = $1, log_root = $2 WHERE sealed_journals <> journals OR sealed_events <> events";
    link.run(sealed, binds).await?;
    Ok(())
}

/// The first sequence number of each kind of row that this commit writes, and the log so far.
struct First {
    orders: i64,
    addresses: i64,
    deposits: i64,
    cases: i64,
    journals: i64,
    events: i64,
    log: Frontier,
}

/// Takes the write lock, and the numbers of everything that will be written.
async fn reserve(link: &mut Link<'_>, changes: &Changes) -> Result<First, Error> {
    let created = usize::from(changes.created.is_some());
    let wanted = [
        created,
        created,
        changes.recorded.len(),
        changes.cases.len(),
        changes.journals.len(),
        changes.events.len(),
    ];
    let mut binds = Binds::default();
    for count in wanted {
        binds.int(i64::try_from(count).map_err(|_| Error::beyond("counters", "one", "1"))?)?;
    }
    let query = "UPDATE counters SET orders = orders + $1, addresses = addresses + $2, \
        deposits = deposits + $3, cases = cases + $4, journals = journals + $5, \
        events = events + $6 \
        RETURNING CAST(orders AS TEXT) || '\u{1f}' || CAST(addresses AS TEXT) || '\u{1f}' || \
        CAST(deposits AS TEXT) || '\u{1f}' || CAST(cases AS TEXT) || '\u{1f}' || \
        CAST(journals AS TEXT) || '\u{1f}' || CAST(events AS TEXT) || '\u{1f}' || log_peaks";
    let line = link.text(query, binds).await?.unwrap_or_default();
    let mut fields = Fields::new("counters", &line);
    let mut first = |place: usize, column: &'static str| -> Result<i64, Error> {
        let last = fields.int(column)?;
        let count = wanted.get(place).and_then(|count| i64::try_from(*count).ok()).unwrap_or(0);
        Ok(last.saturating_sub(count).saturating_add(1))
    };
    let orders = first(0, "orders")?;
    let addresses = first(1, "addresses")?;
    let deposits = first(2, "deposits")?;
    let cases = first(3, "cases")?;
    let journals = first(4, "journals")?;
    let events = first(5, "events")?;
    let logged = u64::try_from(journals.saturating_sub(1)).unwrap_or_default();
    let peaks = fields.text("log_peaks")?;
    let log = Frontier::parse(logged, peaks).ok_or_else(|| Error::Broken {
        table: "counters",
        column: "log_peaks",
        row: "1".to_owned(),
        why: format!("is not of a log of {logged} journals"),
    })?;
    Ok(First { orders, addresses, deposits, cases, journals, events, log })
}

/// Writes an order and its address, which is watched from this commit on.
async fn create(link: &mut Link<'_>, order: &Order, first: &First) -> Result<(), Error> {
    let mut binds = Binds::default();
    binds.int(first.orders)?;
    binds.text(order.id.to_string())?;
    binds.text(order.customer.to_string())?;
    binds.text(order.chain.to_string())?;
    binds.int_or_null(order.due.map(|due| due.micro()))?;
    binds.text(row::price_text(order.price))?;
    binds.int(order.created_at.0)?;
    binds.int_or_null(order.expires_at.map(|at| at.0))?;
    binds.text(hex(&order.address.0))?;
    binds.int_or_null(order.address_index.map(i64::from))?;
    binds.text_or_null(order.refund_to.map(|address| hex(&address.0)))?;
    binds.text(row::terms_text(&order.terms))?;
    binds.text_or_null(order.metadata.clone())?;
    let insert = "INSERT INTO orders (number, id, customer, chain, due, price, created_at, \
        expires_at, address, address_index, refund_to, terms, metadata, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0)";
    let exists = || Error::Conflict(format!("order {}", order.id));
    link.run(insert, binds).await.map_err(|error| or_conflict(error, exists))?;
    let mut binds = Binds::default();
    binds.int(first.addresses)?;
    binds.text(hex(&order.address.0))?;
    binds.text(order.id.to_string())?;
    binds.int_or_null(order.address_index.map(i64::from))?;
    // An imported address finds its owner; one that has another owner stays with it.
    let insert = "INSERT INTO addresses (seq, address, order_id, derivation_index, taken) \
        VALUES ($1, $2, $3, $4, 1) ON CONFLICT (address) DO UPDATE \
        SET order_id = excluded.order_id, taken = 1 WHERE addresses.order_id IS NULL";
    if link.run(insert, binds).await? == 1 {
        Ok(())
    } else {
        Err(Error::Conflict(format!("address {}", order.address)))
    }
}

pub(crate) fn or_conflict(error: Error, conflict: impl FnOnce() -> Error) -> Error {
    if error.is_repeated() { conflict() } else { error }
}

/// Raises the version of every order that was touched, if it is the one that was read.
async fn touch(link: &mut Link<'_>, changes: &Changes) -> Result<(), Error> {
    let changed = link
        .write(&TOUCH, &changes.touched, |binds, touched| {
            binds.text(touched.order.to_string())?;
            binds.int(signed("orders", "version", &touched.order, touched.version)?)?;
            binds.int_or_null(touched.paid.map(|time| time.0))?;
            binds.int_or_null(touched.expired.map(|time| time.0))?;
            binds.int_or_null(touched.cancelled.map(|time| time.0))
        })
        .await?;
    if Ok(changed) == u64::try_from(changes.touched.len()) {
        Ok(())
    } else {
        Err(Error::Conflict("an order".to_owned()))
    }
}

static TOUCH: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "touch orders",
    head: "WITH v (id, version, paid, expired, cancelled) AS (VALUES".to_owned(),
    columns: 5,
    tail: ") UPDATE orders SET version = orders.version + 1, paid = v.paid, \
        expired = v.expired, cancelled = v.cancelled FROM v \
        WHERE orders.id = v.id AND orders.version = v.version",
});
