//! What belongs together, loaded by the hundred: orders with their deposits, cases and journals.
//!
//! In: ids. Out: values in the order they were recorded.
//! Never: a statement for each order. Why: a scan may touch thousands.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use payments::address::Address;
use payments::case::Case;
use payments::chain::Cursor;
use payments::deposit::{Deposit, DepositId};
use payments::ledger::Journal;
use payments::name::{ChainName, OrderId};
use payments::order::Dossier;
use payments::recent::Recent;

use crate::error::Error;
use crate::row::{self, Fields};
use crate::sql::{Binds, Bulk, Link, PACKED_END, packed};

/// Rows by the number that orders them.
pub(crate) type Numbered<T> = BTreeMap<i64, T>;

fn list(name: &'static str, columns: &[&str], rest: &str) -> Bulk {
    let head = format!("{} IN (", packed(columns, rest));
    Bulk { name, head, columns: 1, tail: ")) AS lines" }
}

static OWNERS: LazyLock<Bulk> = LazyLock::new(|| {
    let columns: Vec<&str> = ["a.address"].into_iter().chain(row::ORDER).collect();
    let from = "FROM addresses AS a LEFT JOIN orders AS o ON o.id = a.order_id WHERE a.address";
    list("owners", &columns, from)
});
static ORDERS: LazyLock<Bulk> =
    LazyLock::new(|| list("orders", &row::ORDER, "FROM orders AS o WHERE o.id"));
static DEPOSITS_OF_ORDERS: LazyLock<Bulk> = LazyLock::new(|| {
    list("deposits of orders", &row::DEPOSIT, "FROM deposits AS d WHERE d.order_id")
});
// What is confirmed or credited is where its order was first paid; the index of the rest will do.
static DEPOSITS_ELSEWHERE: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM deposits AS d \
        WHERE (d.state NOT IN ('confirmed', 'credited') OR d.amount = 0) \
        AND d.assigned_by IS NULL AND d.id";
    list("deposits elsewhere", &row::DEPOSIT, from)
});
static CASES_OF_ORDERS: LazyLock<Bulk> =
    LazyLock::new(|| list("cases of orders", &row::CASE, "FROM cases AS c WHERE c.order_id"));
static CASES_OF_DEPOSITS: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM cases AS c WHERE c.seq IN (SELECT case_seq FROM case_deposits WHERE deposit";
    Bulk { tail: "))) AS lines", ..list("cases of deposits", &row::CASE, from) }
});
static DEPOSITS_OF_CASES: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM case_deposits AS x JOIN deposits AS d ON d.seq = x.deposit WHERE x.case_seq";
    list("deposits of cases", &["x.case_seq", "x.place", "d.id"], from)
});
const JOURNALS: &str = "FROM journals AS j LEFT JOIN deposits AS d ON d.seq = j.deposit WHERE";
static JOURNALS_OF_ORDERS: LazyLock<Bulk> =
    LazyLock::new(|| list("journals of orders", &row::JOURNAL, &format!("{JOURNALS} j.order_id")));
static JOURNALS_OF_DEPOSITS: LazyLock<Bulk> = LazyLock::new(|| {
    let from = format!("{JOURNALS} j.order_id IS NULL AND j.deposit");
    list("journals of deposits", &row::JOURNAL, &from)
});
static JOURNALS_OF_KEYS: LazyLock<Bulk> =
    LazyLock::new(|| list("journals of keys", &row::JOURNAL, &format!("{JOURNALS} j.key")));
static ENTRIES: LazyLock<Bulk> =
    LazyLock::new(|| list("entries", &row::ENTRY, "FROM entries AS e WHERE e.journal"));

/// The cursor of a chain; a fresh one where nothing is recorded of it.
pub(crate) async fn cursor(link: &mut Link<'_>, chain: &ChainName) -> Result<Cursor, Error> {
    let mut cursor = Cursor::new(chain.clone());
    let columns = [
        "c.name",
        "c.generation",
        "c.finalized_height",
        "c.finalized_hash",
        "c.safe_height",
        "'=' || c.paused",
        "'=' || c.stalled",
        "c.recent",
    ];
    let text = packed(&columns, "FROM chains AS c WHERE c.name = $1") + PACKED_END;
    let mut binds = Binds::default();
    binds.text(chain.to_string())?;
    link.select(text, binds, |line| {
        let mut fields = Fields::new("chains", line);
        fields.text("name")?;
        cursor.generation = fields.parse("generation", |text| text.parse().ok())?;
        cursor.finalized = row::finalized(&mut fields)?;
        cursor.safe = fields.maybe("safe_height", |text| text.parse().ok())?;
        cursor.paused = fields.maybe("paused", row::marked)?;
        cursor.stalled = fields.maybe("stalled", row::marked)?;
        cursor.recent = fields.parse("recent", Recent::parse)?;
        Ok(())
    })
    .await?;
    let text = packed(&row::HEADER, "FROM headers AS h WHERE h.chain = $1") + PACKED_END;
    let mut binds = Binds::default();
    binds.text(chain.to_string())?;
    link.select(text, binds, |line| {
        cursor.kept.push(row::header(line)?);
        Ok(())
    })
    .await?;
    cursor.kept.sort_unstable_by_key(|header| header.id.height);
    Ok(cursor)
}

/// An address of ours.
pub(crate) struct Owned {
    pub(crate) address: Address,
    /// The order that owns it, with its facts and nothing else.
    pub(crate) order: Option<Dossier>,
}

/// Those of these addresses that are ours.
pub(crate) async fn owners(
    link: &mut Link<'_>,
    addresses: &[Address],
    mut take: impl FnMut(Owned),
) -> Result<(), Error> {
    let bind = |binds: &mut Binds, address: &Address| binds.text(row::hex(&address.0));
    link.read(&OWNERS, addresses, bind, |line| {
        let mut fields = Fields::new("addresses", line);
        let address = fields.parse("address", row::address)?;
        // Behind an address without an order there is nothing but empty fields.
        let is_owned = !fields.is_at_empty();
        let order = if is_owned { Some(row::order(&mut fields)?.0) } else { None };
        take(Owned { address, order });
        Ok(())
    })
    .await
}

/// These orders with their facts and nothing else, and their numbers.
pub(crate) async fn orders(
    link: &mut Link<'_>,
    ids: &[OrderId],
    mut take: impl FnMut(Dossier, u64),
) -> Result<(), Error> {
    link.read(&ORDERS, ids, by_name, |line| {
        let (dossier, number) = row::order(&mut Fields::new("orders", line))?;
        take(dossier, number);
        Ok(())
    })
    .await
}

/// The orders that `from` selects as `o`, whole, with their numbers, in the order in which they
/// were made.
pub(crate) async fn page_of_orders(
    link: &mut Link<'_>,
    from: &str,
    binds: Binds,
) -> Result<Vec<(u64, Dossier)>, Error> {
    let (mut dossiers, mut numbers) = (BTreeMap::new(), BTreeMap::new());
    link.select(packed(&row::ORDER, from) + PACKED_END, binds, |line| {
        let (dossier, number) = row::order(&mut Fields::new("orders", line))?;
        numbers.insert(number, dossier.order.id.clone());
        dossiers.insert(dossier.order.id.clone(), dossier);
        Ok(())
    })
    .await?;
    fill(link, &mut dossiers).await?;
    let found = numbers.into_iter();
    Ok(found.filter_map(|(number, id)| Some((number, dossiers.remove(&id)?))).collect())
}

/// Adds everything that is recorded of the orders in `dossiers`. The version rises with whatever
/// is recorded of an order, so an order at version 0 has nothing.
pub(crate) async fn fill(
    link: &mut Link<'_>,
    dossiers: &mut BTreeMap<OrderId, Dossier>,
) -> Result<(), Error> {
    let known = dossiers.values().filter(|dossier| dossier.version > 0);
    let ids: Vec<OrderId> = known.map(|dossier| dossier.order.id.clone()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for deposit in deposits(link, &DEPOSITS_OF_ORDERS, &ids, by_name).await?.into_values() {
        if let Some(dossier) = deposit.order.as_ref().and_then(|id| dossiers.get_mut(id)) {
            dossier.deposits.push(deposit);
        }
    }
    for case in cases(link, &CASES_OF_ORDERS, &ids, by_name).await?.into_values() {
        if let Some(dossier) = case.order.as_ref().and_then(|id| dossiers.get_mut(id)) {
            dossier.cases.push(case);
        }
    }
    for journal in journals(link, &JOURNALS_OF_ORDERS, &ids, by_name).await?.into_values() {
        if let Some(dossier) = journal.order.as_ref().and_then(|id| dossiers.get_mut(id)) {
            dossier.journals.push(journal);
        }
    }
    Ok(())
}

/// Cases and journals of deposits that no order owns, by the deposits' numbers.
pub(crate) async fn of_deposits(
    link: &mut Link<'_>,
    seqs: &[i64],
) -> Result<(Vec<Case>, Vec<Journal>), Error> {
    let cases = cases(link, &CASES_OF_DEPOSITS, seqs, by_number).await?;
    let journals = journals(link, &JOURNALS_OF_DEPOSITS, seqs, by_number).await?;
    let unowned = cases.into_values().filter(|case| case.order.is_none());
    Ok((unowned.collect(), journals.into_values().collect()))
}

/// The journals with these natural keys.
pub(crate) async fn journals_of_keys(
    link: &mut Link<'_>,
    keys: &[String],
) -> Result<Numbered<Journal>, Error> {
    journals(link, &JOURNALS_OF_KEYS, keys, |binds, key| binds.text(key.clone())).await
}

static DEPOSITS_OF_CASE: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM case_deposits AS x JOIN deposits AS d ON d.seq = x.deposit WHERE x.case_seq";
    list("whole deposits of cases", &row::DEPOSIT, from)
});

/// The deposits that a case is about.
pub(crate) async fn deposits_of_case(
    link: &mut Link<'_>,
    seq: i64,
) -> Result<Numbered<Deposit>, Error> {
    deposits(link, &DEPOSITS_OF_CASE, &[seq], by_number).await
}

/// Recorded deposits among these ids that may belong elsewhere than the address they went to says:
/// nobody's, those that a reorg took away, and those that came back to another address.
pub(crate) async fn elsewhere(
    link: &mut Link<'_>,
    ids: &[DepositId],
) -> Result<Numbered<Deposit>, Error> {
    deposits(link, &DEPOSITS_ELSEWHERE, ids, |binds, id| binds.text(id.to_string())).await
}

pub(crate) fn by_name(binds: &mut Binds, id: &OrderId) -> Result<(), Error> {
    binds.text(id.to_string())
}

pub(crate) fn by_number(binds: &mut Binds, seq: &i64) -> Result<(), Error> {
    binds.int(*seq)
}

async fn deposits<T>(
    link: &mut Link<'_>,
    bulk: &Bulk,
    keys: &[T],
    bind: impl Fn(&mut Binds, &T) -> Result<(), Error>,
) -> Result<Numbered<Deposit>, Error> {
    let mut found = Numbered::new();
    link.read(bulk, keys, bind, |line| {
        let (seq, deposit) = row::deposit(line)?;
        found.insert(seq, deposit);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// The cases that `bulk` finds by these keys, whole.
pub(crate) async fn cases<T>(
    link: &mut Link<'_>,
    bulk: &Bulk,
    keys: &[T],
    bind: impl Fn(&mut Binds, &T) -> Result<(), Error>,
) -> Result<Numbered<Case>, Error> {
    let mut found = Numbered::new();
    link.read(bulk, keys, bind, |line| {
        let (seq, case) = row::case(line)?;
        found.insert(seq, case);
        Ok(())
    })
    .await?;
    case_deposits(link, &mut found).await?;
    Ok(found)
}

/// Adds the deposits of these cases, in their places, and what was done about them.
async fn case_deposits(link: &mut Link<'_>, cases: &mut Numbered<Case>) -> Result<(), Error> {
    let seqs: Vec<i64> = cases.keys().copied().collect();
    let mut places = BTreeMap::new();
    link.read(&DEPOSITS_OF_CASES, &seqs, by_number, |line| {
        let mut fields = Fields::new("case_deposits", line);
        let place = (fields.int("case_seq")?, fields.int("place")?);
        places.insert(place, fields.parse("deposit", DepositId::parse)?);
        Ok(())
    })
    .await?;
    for ((seq, _), deposit) in places {
        if let Some(case) = cases.get_mut(&seq) {
            case.deposits.push(deposit);
        }
    }
    crate::cases::read_steps(link, cases).await
}

async fn journals<T>(
    link: &mut Link<'_>,
    bulk: &Bulk,
    keys: &[T],
    bind: impl Fn(&mut Binds, &T) -> Result<(), Error>,
) -> Result<Numbered<Journal>, Error> {
    let mut found = Numbered::new();
    link.read(bulk, keys, bind, |line| {
        let (seq, journal) = row::journal(line)?;
        found.insert(seq, journal);
        Ok(())
    })
    .await?;
    entries(link, &mut found).await?;
    Ok(found)
}

/// The rows that `from` selects, each with the number that orders it.
pub(crate) async fn numbered<T>(
    link: &mut Link<'_>,
    (columns, from): (&[&str], &str),
    binds: Binds,
    read: impl Fn(&str) -> Result<(i64, T), Error>,
) -> Result<Numbered<T>, Error> {
    let mut found = Numbered::new();
    link.select(packed(columns, from) + PACKED_END, binds, |line| {
        let (seq, value) = read(line)?;
        found.insert(seq, value);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// The cases that `from` selects as `c`, whole.
pub(crate) async fn cases_from(
    link: &mut Link<'_>,
    from: &str,
    binds: Binds,
) -> Result<Numbered<Case>, Error> {
    let mut found = numbered(link, (&row::CASE, from), binds, row::case).await?;
    case_deposits(link, &mut found).await?;
    Ok(found)
}

/// The journals that `from` selects as `j` with their deposits as `d`, whole.
pub(crate) async fn journals_from(
    link: &mut Link<'_>,
    from: &str,
    binds: Binds,
) -> Result<Numbered<Journal>, Error> {
    let mut found = numbered(link, (&row::JOURNAL, from), binds, row::journal).await?;
    entries(link, &mut found).await?;
    Ok(found)
}

/// The journals that fit, whole.
pub(crate) async fn journals_where(
    link: &mut Link<'_>,
    condition: &str,
    end: &str,
    binds: Binds,
) -> Result<Numbered<Journal>, Error> {
    let from = format!(
        "FROM journals AS j LEFT JOIN deposits AS d ON d.seq = j.deposit {condition} {end}"
    );
    journals_from(link, &from, binds).await
}

/// Adds the entries of these journals, in their order.
async fn entries(link: &mut Link<'_>, journals: &mut Numbered<Journal>) -> Result<(), Error> {
    let seqs: Vec<i64> = journals.keys().copied().collect();
    let mut lines = Vec::new();
    link.read(&ENTRIES, &seqs, by_number, |line| {
        lines.push(row::entry(line)?);
        Ok(())
    })
    .await?;
    lines.sort_unstable_by_key(|(journal, line, _)| (*journal, *line));
    for (seq, _, entry) in lines {
        if let Some(journal) = journals.get_mut(&seq) {
            journal.entries.push(entry);
        }
    }
    Ok(())
}

/// How far every chain is recorded, by name.
pub(crate) async fn cursors(link: &mut Link<'_>) -> Result<Vec<Cursor>, Error> {
    let mut names = Vec::new();
    let text = packed(&["c.name"], "FROM chains AS c") + PACKED_END;
    link.select(text, Binds::default(), |line| {
        names.push(Fields::new("chains", line).parse("name", row::chain)?);
        Ok(())
    })
    .await?;
    names.sort_unstable();
    let mut cursors = Vec::new();
    for name in names {
        cursors.push(cursor(link, &name).await?);
    }
    Ok(cursors)
}
