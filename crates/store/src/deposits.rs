//! Writes deposits, and finds the numbers of those that are recorded.
//!
//! In: what a plan recorded or moved. Out: rows, and the number of every deposit it names.
//! Never: a deposit a second time, a move of one that is not there.

use std::sync::LazyLock;

use hashbrown::{HashMap, HashSet};
use payments::changes::Changes;
use payments::deposit::{Deposit, DepositId};
use payments::name::OrderId;
use tokio::task::yield_now;

use crate::commit::or_conflict;
use crate::error::Error;
use crate::feed::{Feed, Supply};
use crate::ledger::{Named, Numbers};
use crate::row::{self, hex, signed};
use crate::sql::{Binds, Bulk, Link, packed};

/// Names that are gone through between two looks at whether the engine is done.
const SLICE: usize = 1024;

/// Makes the rows of new deposits.
pub(crate) async fn spell_recorded(
    feed: &Feed<'_>,
    recorded: &[Deposit],
    first: i64,
) -> Result<(), Error> {
    let numbered: Vec<(i64, &Deposit)> = (first..).zip(recorded).collect();
    let rows = feed.table(&RECORD, &numbered, |binds, (seq, deposit)| {
        let id = &deposit.id;
        binds.int(*seq)?;
        binds.shown(id)?;
        binds.text_or_null(deposit.order.as_ref().map(ToString::to_string))?;
        binds.text(id.chain.to_string())?;
        binds.int(signed("deposits", "height", id, deposit.block.height)?)?;
        binds.text(hex(&deposit.block.hash.0))?;
        binds.int(deposit.time.0)?;
        binds.int(signed("deposits", "log_index", id, deposit.log_index)?)?;
        binds.text(hex(&deposit.from.0))?;
        binds.text(hex(&deposit.to.0))?;
        binds.shown(&deposit.raw)?;
        binds.int(deposit.amount.micro())?;
        binds.text(deposit.state.word().to_owned())?;
        binds.text_or_null(row::kind_of(deposit.state).map(|kind| kind.word().to_owned()))?;
        binds.int(i64::from(deposit.late))?;
        binds.text_or_null(deposit.assigned.as_ref().map(|case| case.0.clone()))
    });
    rows.await
}

/// Writes them.
pub(crate) async fn record(link: &mut Link<'_>, supply: &mut Supply) -> Result<(), Error> {
    let known = || Error::Conflict("a deposit".to_owned());
    supply.write(link).await.map_err(|error| or_conflict(error, known))?;
    Ok(())
}

static RECORD: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "record deposits",
    head: "INSERT INTO deposits (seq, id, order_id, chain, height, block_hash, time, log_index, \
        sender, receiver, raw, amount, state, kind, late, assigned_by) VALUES"
        .to_owned(),
    columns: 16,
    tail: "",
});

/// Makes the rows of deposits that moved: those of orders, and those of nobody.
pub(crate) async fn spell_moved(feed: &Feed<'_>, moved: &[Deposit]) -> Result<(), Error> {
    let (owned, unowned): (Vec<&Deposit>, Vec<&Deposit>) =
        moved.iter().partition(|deposit| deposit.order.is_some());
    let bind = |binds: &mut Binds, deposit: &&Deposit| {
        let id = &deposit.id;
        binds.shown(id)?;
        binds.text_or_null(deposit.order.as_ref().map(ToString::to_string))?;
        binds.int(signed("deposits", "height", id, deposit.block.height)?)?;
        binds.text(hex(&deposit.block.hash.0))?;
        binds.int(deposit.time.0)?;
        binds.int(signed("deposits", "log_index", id, deposit.log_index)?)?;
        binds.text(hex(&deposit.from.0))?;
        binds.text(hex(&deposit.to.0))?;
        binds.shown(&deposit.raw)?;
        binds.int(deposit.amount.micro())?;
        binds.text(deposit.state.word().to_owned())?;
        binds.text_or_null(row::kind_of(deposit.state).map(|kind| kind.word().to_owned()))?;
        binds.int(i64::from(deposit.late))
    };
    feed.table(&MOVE_OWNED, &owned, bind).await?;
    feed.table(&MOVE_UNOWNED, &unowned, bind).await
}

/// Writes them; there are `moved`.
pub(crate) async fn move_deposits(
    link: &mut Link<'_>,
    supply: &mut Supply,
    moved: usize,
) -> Result<(), Error> {
    let changed = supply.write(link).await?;
    let changed = changed.saturating_add(supply.write(link).await?);
    if Ok(changed) == u64::try_from(moved) {
        Ok(())
    } else {
        Err(Error::Conflict("a deposit".to_owned()))
    }
}

fn moving(name: &'static str, tail: &'static str) -> Bulk {
    let head = "WITH v (id, order_id, height, block_hash, time, log_index, sender, receiver, raw, \
        amount, state, kind, late) AS (VALUES";
    Bulk { name, head: head.to_owned(), columns: 13, tail }
}

static MOVE_OWNED: LazyLock<Bulk> = LazyLock::new(|| {
    moving(
        "move owned deposits",
        ") UPDATE deposits SET height = v.height, block_hash = v.block_hash, time = v.time, \
        log_index = v.log_index, sender = v.sender, receiver = v.receiver, raw = v.raw, \
        amount = v.amount, state = v.state, kind = v.kind, late = v.late FROM v \
        WHERE deposits.order_id = v.order_id AND deposits.id = v.id",
    )
});
static MOVE_UNOWNED: LazyLock<Bulk> = LazyLock::new(|| {
    moving(
        "move unowned deposits",
        ") UPDATE deposits SET height = v.height, block_hash = v.block_hash, time = v.time, \
        log_index = v.log_index, sender = v.sender, receiver = v.receiver, raw = v.raw, \
        amount = v.amount, state = v.state, kind = v.kind, late = v.late FROM v \
        WHERE deposits.order_id IS NULL AND deposits.id = v.id",
    )
});

/// The deposits that journals, cases and events name: those that are being recorded, with their
/// numbers, and those that must be recorded already.
pub(crate) struct Naming<'a> {
    numbers: HashMap<Named<'a>, i64>,
    missing: Vec<Named<'a>>,
}

/// Goes through what `changes` name, and lets others go on meanwhile.
pub(crate) async fn naming(changes: &Changes, first: i64) -> Naming<'_> {
    let mut numbers = HashMap::with_capacity(changes.recorded.len());
    for (recorded, first) in changes.recorded.chunks(SLICE).zip((first..).step_by(SLICE)) {
        let named = recorded.iter().map(|deposit| (deposit.order.as_ref(), &deposit.id));
        numbers.extend(named.zip(first..));
        yield_now().await;
    }
    let mut missing = HashSet::new();
    let mut named = named(changes).peekable();
    while named.peek().is_some() {
        let slice = named.by_ref().take(SLICE);
        missing.extend(slice.filter(|name| !numbers.contains_key(name)));
        yield_now().await;
    }
    Naming { numbers, missing: missing.into_iter().collect() }
}

/// The numbers of all of them.
pub(crate) async fn numbers<'a>(
    link: &mut Link<'_>,
    naming: Naming<'a>,
) -> Result<Numbers<'a>, Error> {
    let Naming { mut numbers, missing } = naming;
    let pair = |binds: &mut Binds, (order, id): &Named<'_>| {
        binds.text_or_null(order.map(ToString::to_string))?;
        binds.shown(id)
    };
    let found = look_up(link, &NUMBERS, &missing, pair).await?;
    // What a decision moved to another order is found by its first journal.
    let of = |(order, id): &Named<'a>| found.get(&(order.cloned(), (*id).clone())).copied();
    let rest: Vec<Named<'a>> = missing.iter().copied().filter(|n| of(n).is_none()).collect();
    let key = |binds: &mut Binds, (_, id): &Named<'_>| binds.text(format!("deposit:{id}"));
    let posted = look_up(link, &NUMBERS_BY_JOURNAL, &rest, key).await?;
    let posted: HashMap<&DepositId, i64> =
        posted.iter().map(|((_, id), number)| (id, *number)).collect();
    for named in missing {
        let Some(number) = of(&named).or_else(|| posted.get(named.1).copied()) else {
            let (table, column, row) = ("deposits", "id", named.1.to_string());
            return Err(Error::Broken { table, column, row, why: "is named, not recorded".into() });
        };
        numbers.insert(named, number);
    }
    Ok(Numbers(numbers))
}

async fn look_up(
    link: &mut Link<'_>,
    bulk: &Bulk,
    ids: &[Named<'_>],
    bind: impl Fn(&mut Binds, &Named<'_>) -> Result<(), Error>,
) -> Result<HashMap<(Option<OrderId>, DepositId), i64>, Error> {
    let mut found = HashMap::new();
    link.read(bulk, ids, bind, |line| {
        let mut fields = row::Fields::new("deposits", line);
        let id = fields.parse("id", DepositId::parse)?;
        let seq = fields.int("seq")?;
        found.insert((fields.maybe("order_id", row::order_id)?, id), seq);
        Ok(())
    })
    .await?;
    Ok(found)
}

fn named(changes: &Changes) -> impl Iterator<Item = Named<'_>> {
    let journals = changes.journals.iter();
    let journals = journals.filter_map(|j| Some((j.order.as_ref(), j.deposit.as_ref()?)));
    let events = changes.events.iter();
    let events = events.filter_map(|event| Some((event.order.as_ref(), event.deposit.as_ref()?)));
    let cases = changes.cases.iter();
    let cases = cases.flat_map(|case| case.deposits.iter().map(|id| (case.order.as_ref(), id)));
    journals.chain(events).chain(cases)
}

const NUMBER: [&str; 3] = ["d.id", "d.seq", "d.order_id"];

static NUMBERS: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "numbers of deposits",
    head: "WITH v (order_id, id) AS (VALUES".to_owned(),
    columns: 2,
    tail: ") SELECT string_agg(id || '\u{1f}' || CAST(seq AS TEXT) || '\u{1f}' || order_id, \
        '\u{1e}') FROM (SELECT d.id, d.seq, d.order_id FROM v JOIN deposits AS d \
        ON d.id = v.id AND d.order_id = v.order_id UNION ALL \
        SELECT d.id, d.seq, '' FROM v JOIN deposits AS d \
        ON d.id = v.id AND d.order_id IS NULL WHERE v.order_id IS NULL) AS lines",
});
static NUMBERS_BY_JOURNAL: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "numbers of deposits by journal",
    head: packed(
        &NUMBER,
        "FROM journals AS j JOIN deposits AS d ON d.seq = j.deposit WHERE j.key IN (",
    ),
    columns: 1,
    tail: ")) AS lines",
});
