//! Writes cases, journals with their entries, and events.
//!
//! In: what a plan decided, and the numbers reserved for it. Out: rows.
//! Never: a journal key a second time, an amount without its other side.
//! Why: the engine itself refuses both; here is only the spelling of the rows.

use std::sync::LazyLock;

use hashbrown::HashMap;
use payments::case::Case;
use payments::deposit::DepositId;
use payments::event::Event;
use payments::leaf::leaf;
use payments::ledger::{Entry, Journal};
use payments::merkle::Frontier;
use payments::name::OrderId;

use crate::cases::{bind_resolution, write_steps};
use crate::error::Error;
use crate::feed::{Feed, Supply};
use crate::row::{printable, signed};
use crate::sql::{Binds, Bulk, Link};
use crate::wire::encode;

/// A deposit as a journal, a case or an event names it, with the order it speaks of. A transaction
/// that is mined again may pay another order of ours: then both have a deposit of that id.
pub(crate) type Named<'a> = (Option<&'a OrderId>, &'a DepositId);

/// The numbers of recorded deposits.
pub(crate) struct Numbers<'a>(pub(crate) HashMap<Named<'a>, i64>);

impl Numbers<'_> {
    fn of(&self, order: Option<&OrderId>, id: Option<&DepositId>) -> Option<i64> {
        id.and_then(|id| self.0.get(&(order, id))).copied()
    }
}

pub(crate) async fn write_cases(
    link: &mut Link<'_>,
    cases: &[Case],
    first: i64,
    numbers: &Numbers<'_>,
) -> Result<(), Error> {
    let numbered: Vec<(i64, &Case)> = (first..).zip(cases).collect();
    link.write(&CASES, &numbered, |binds, (seq, case)| bind_case(binds, *seq, case)).await?;
    let id = |binds: &mut Binds, case: &Case| binds.text(case.id.0.clone());
    link.write(&CLEAR_CASE_DEPOSITS, cases, id).await?;
    let mut places: Vec<(&str, i64, i64)> = Vec::new();
    for case in cases {
        for (place, deposit) in (1i64..).zip(&case.deposits) {
            let number = numbers.of(case.order.as_ref(), Some(deposit)).unwrap_or_default();
            places.push((&case.id.0, place, number));
        }
    }
    link.write(&CASE_DEPOSITS, &places, |binds, (case, place, deposit)| {
        binds.text((*case).to_owned())?;
        binds.int(*place)?;
        binds.int(*deposit)
    })
    .await?;
    write_steps(link, cases).await
}

fn bind_case(binds: &mut Binds, seq: i64, case: &Case) -> Result<(), Error> {
    binds.int(seq)?;
    binds.text(case.id.0.clone())?;
    binds.text(case.kind.word().to_owned())?;
    binds.text_or_null(case.order.as_ref().map(ToString::to_string))?;
    binds.text(case.chain.to_string())?;
    binds.int(case.amount.micro())?;
    binds.int(case.opened_at.0)?;
    let decision = case.decision.as_ref();
    let resolution = decision.map(|decision| &decision.resolution);
    bind_resolution(binds, resolution)?;
    binds.text_or_null(decision.map(|decision| printable(&decision.by)))?;
    binds.text_or_null(decision.map(|decision| printable(&decision.why)))?;
    binds.int_or_null(decision.map(|decision| decision.at.0))?;
    binds.text_or_null(case.refund().map(|refund| refund.state.word().to_owned()))
}

static CASES: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "cases",
    head: "INSERT INTO cases (seq, id, kind, order_id, chain, amount, opened_at, resolution, \
        refund_to, fee, reassigned_to, decided_by, why, decided_at, refund) VALUES"
        .to_owned(),
    columns: 15,
    tail: " ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, \
        resolution = excluded.resolution, refund_to = excluded.refund_to, fee = excluded.fee, \
        reassigned_to = excluded.reassigned_to, decided_by = excluded.decided_by, \
        why = excluded.why, decided_at = excluded.decided_at, refund = excluded.refund",
});
static CLEAR_CASE_DEPOSITS: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "clear deposits of cases",
    head: "DELETE FROM case_deposits WHERE case_seq IN (SELECT seq FROM cases WHERE id IN ("
        .to_owned(),
    columns: 1,
    tail: "))",
});
static CASE_DEPOSITS: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "write deposits of cases",
    head: "WITH v (case_id, place, deposit) AS (VALUES".to_owned(),
    columns: 3,
    tail: ") INSERT INTO case_deposits (case_seq, place, deposit) \
        SELECT cases.seq, v.place, v.deposit FROM v JOIN cases ON cases.id = v.case_id",
});

/// Makes the rows of journals and of their entries, and appends each journal to `log`: what the log
/// is then.
pub(crate) async fn spell_journals(
    feed: &Feed<'_>,
    journals: &[Journal],
    first: i64,
    numbers: &Numbers<'_>,
    mut log: Frontier,
) -> Result<Frontier, Error> {
    let numbered: Vec<(i64, &Journal)> = (first..).zip(journals).collect();
    let rows = feed.table(&JOURNALS, &numbered, |binds, (seq, journal)| {
        log.push(leaf(seq.unsigned_abs(), journal));
        binds.int(*seq)?;
        binds.text(journal.key.clone())?;
        binds.text_or_null(journal.order.as_ref().map(ToString::to_string))?;
        binds.int_or_null(numbers.of(journal.order.as_ref(), journal.deposit.as_ref()))?;
        binds.int(journal.effective.0)?;
        binds.int(journal.recorded.0)?;
        binds.int(signed("journals", "remainder", &journal.key, journal.remainder)?)?;
        let lines = i64::try_from(journal.entries.len());
        binds.int(lines.map_err(|_| Error::beyond("journals", "lines", &journal.key))?)
    });
    rows.await?;
    let entries: Vec<(i64, i64, &Entry)> = numbered
        .iter()
        .flat_map(|(seq, journal)| {
            (0i64..).zip(&journal.entries).map(|(line, entry)| (*seq, line, entry))
        })
        .collect();
    let rows = feed.table(&ENTRIES, &entries, |binds, (journal, line, entry)| {
        binds.int(*journal)?;
        binds.int(*line)?;
        binds.shown(&entry.asset)?;
        binds.shown(&entry.debit)?;
        binds.shown(&entry.credit)?;
        binds.int(entry.amount)
    });
    rows.await?;
    Ok(log)
}

/// Writes them.
pub(crate) async fn write_journals(link: &mut Link<'_>, supply: &mut Supply) -> Result<(), Error> {
    if let Err(error) = supply.write(link).await {
        let key = String::new();
        return Err(if error.is_repeated() { Error::AlreadyPosted { key } } else { error });
    }
    supply.write(link).await?;
    Ok(())
}

static JOURNALS: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "journals",
    head: "INSERT INTO journals (seq, key, order_id, deposit, effective, recorded, remainder, \
        lines) VALUES"
        .to_owned(),
    columns: 8,
    tail: "",
});
static ENTRIES: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "write entries",
    head: "INSERT INTO entries (journal, line, asset, debit, credit, amount) VALUES".to_owned(),
    columns: 6,
    tail: "",
});

/// Makes the rows of events.
pub(crate) async fn spell_events(
    feed: &Feed<'_>,
    events: &[Event],
    first: i64,
    numbers: &Numbers<'_>,
) -> Result<(), Error> {
    let numbered: Vec<(i64, &Event)> = (first..).zip(events).collect();
    let rows = feed.table(&EVENTS, &numbered, |binds, (seq, event)| {
        binds.int(*seq)?;
        binds.text(event.kind.word().to_owned())?;
        binds.int(event.at.0)?;
        binds.text_or_null(event.chain.as_ref().map(ToString::to_string))?;
        binds.text_or_null(event.order.as_ref().map(ToString::to_string))?;
        binds.int_or_null(numbers.of(event.order.as_ref(), event.deposit.as_ref()))?;
        binds.text_or_null(event.case.as_ref().map(|case| case.0.clone()))?;
        binds.text(object(&event.data)?)
    });
    rows.await
}

static EVENTS: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "events",
    head: "INSERT INTO events (seq, kind, at, chain, order_id, deposit, case_id, data) VALUES"
        .to_owned(),
    columns: 8,
    tail: "",
});

/// A JSON object of texts, in the order in which the plan gave them.
fn object(data: &[(&'static str, String)]) -> Result<String, Error> {
    let mut out = Vec::with_capacity(256);
    for (name, value) in data {
        out.push(if out.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut out, name).map_err(|error| encode(error.into()))?;
        out.push(b':');
        serde_json::to_writer(&mut out, value).map_err(|error| encode(error.into()))?;
    }
    out.extend_from_slice(if out.is_empty() { b"{}" } else { b"}" });
    String::from_utf8(out).map_err(|error| encode(error.into()))
}
