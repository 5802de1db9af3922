//! What earlier runs found, and what people said of it.
//!
//! In: the first digits of an id. Out: its history; a mark with who and why.
//! Never: a mark without a name. Why: an auditor asks who decided that this is fine.

use serde_json::{Value, json};
use store::{Discrepancy, Mark, Said, Sighting};

use super::diff;
use super::options::{Command, MarkOptions};
use super::print::short;
use crate::chains::words;
use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::{Output, fields, table};
use crate::view::micro;

/// Fewer digits of an id name too much.
const FEWEST: usize = 6;
/// Runs that are shown of one discrepancy.
const SHOWN: u32 = 20;

pub(super) async fn command(
    opened: &Opened,
    command: &Command,
    output: Output,
) -> Result<(), Error> {
    match command {
        Command::List { all } => list(opened, *all, output).await,
        Command::Runs { limit } => diff::runs(opened, *limit, output).await,
        Command::Diff { one, other } => diff::diff(opened, (*one, *other), output).await,
        Command::Show { id } => show(opened, &find(opened, id).await?, output).await,
        Command::Ack(options) => mark(opened, options, Mark::Acknowledged, output).await,
        Command::Resolve(options) => mark(opened, options, Mark::Resolved, output).await,
        // They are dispatched before the books are opened.
        Command::Verify(_) | Command::Proof(_) => Ok(()),
    }
}

async fn list(opened: &Opened, all: bool, output: Output) -> Result<(), Error> {
    let known = opened.books.store.discrepancies(!all).await?;
    let values: Vec<Value> = known.iter().map(value).collect();
    output.print(&json!(values), || {
        let rows = known.iter().map(|known| {
            vec![
                short(&known.id),
                format!("{} {}", known.code.word(), known.code.name()),
                known.severity.word().to_owned(),
                known.mark.word().to_owned(),
                rfc3339(known.first.1),
                micro(known.amount),
                known.key.clone(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return "No discrepancies.".to_owned();
        }
        table(&["ID", "CODE", "SEVERITY", "STATE", "FIRST SEEN AS OF", "AMOUNT", "KEY"], &rows)
    })
}

async fn mark(
    opened: &Opened,
    options: &MarkOptions,
    mark: Mark,
    output: Output,
) -> Result<(), Error> {
    let (by, why) = (words("--by", &options.by)?, words("--why", &options.why)?);
    let known = find(opened, &options.id).await?;
    let (now, store) = (opened.books.clock.now(), &opened.books.store);
    store.mark(&known.id, mark, &by, &why, now).await?;
    show(opened, &find(opened, &known.id.to_string()).await?, output).await
}

/// A discrepancy with the runs that found it and what people said of it.
async fn show(opened: &Opened, known: &Discrepancy, output: Output) -> Result<(), Error> {
    let store = &opened.books.store;
    let sightings = store.sightings(&known.id, SHOWN).await?;
    let said = store.said_of(&known.id).await?;
    let mut told = value(known);
    let runs = sightings.iter().map(|seen| {
        json!({
            "run": seen.run,
            "as_of": seen.as_of.map(rfc3339),
            "severity": seen.severity.word(),
            "amount": micro(seen.amount),
            "what": seen.what,
        })
    });
    let marks = said.iter().map(|said| {
        json!({
            "state": said.mark.word(),
            "severity": said.severity.word(),
            "by": said.by,
            "why": said.why,
            "at": rfc3339(said.at),
        })
    });
    if let Value::Object(fields) = &mut told {
        fields.insert("runs".to_owned(), runs.collect());
        fields.insert("marks".to_owned(), marks.collect());
    }
    output.print(&told, || {
        let mut out = text(known);
        let row = |seen: &Sighting| {
            vec![
                seen.run.to_string(),
                seen.as_of.map(rfc3339).unwrap_or_default(),
                seen.severity.word().to_owned(),
                micro(seen.amount),
            ]
        };
        let rows: Vec<_> = sightings.iter().map(row).collect();
        out.push('\n');
        out.push_str(&table(&["FOUND BY RUN", "AS OF", "SEVERITY", "AMOUNT"], &rows));
        if !said.is_empty() {
            let row = |said: &Said| {
                let (mark, severity) = (said.mark.word().to_owned(), said.severity.word());
                vec![rfc3339(said.at), mark, severity.to_owned(), said.by.clone(), said.why.clone()]
            };
            let rows: Vec<_> = said.iter().map(row).collect();
            out.push('\n');
            out.push_str(&table(&["SAID AT", "STATE", "WHEN IT WAS", "BY", "WHY"], &rows));
        }
        out
    })
}

/// The one discrepancy whose id begins so.
async fn find(opened: &Opened, digits: &str) -> Result<Discrepancy, Error> {
    // What was pasted here may be a private key: no more of it is repeated than an id's digits.
    let shown: String = digits.chars().take(12).collect();
    let digits = digits.to_ascii_lowercase();
    let digits = digits.strip_prefix("0x").unwrap_or(&digits);
    if digits.len() < FEWEST || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(input("ID", format!("`{shown}` must be 6 or more digits of an id")));
    }
    let known = opened.books.store.discrepancies(false).await?;
    let mut fits = known.into_iter().filter(|known| known.id.to_string().starts_with(digits));
    match (fits.next(), fits.next()) {
        (Some(known), None) => Ok(known),
        (None, _) => Err(input("ID", format!("no discrepancy begins with `{shown}`"))),
        (Some(_), Some(_)) => Err(input("ID", format!("several begin with `{shown}`"))),
    }
}

fn value(known: &Discrepancy) -> Value {
    let (by, why) = known.by.clone().unzip();
    json!({
        "id": known.id.to_string(),
        "code": known.code.word(),
        "name": known.code.name(),
        "severity": known.severity.word(),
        "key": known.key,
        "what": known.what,
        "amount": micro(known.amount),
        "state": known.mark.word(),
        "first_run": known.first.0,
        "first_as_of": rfc3339(known.first.1),
        "last_run": known.last.0,
        "last_as_of": rfc3339(known.last.1),
        "by": by,
        "why": why,
    })
}

fn text(known: &Discrepancy) -> String {
    let mut pairs = vec![
        ("id", known.id.to_string()),
        ("code", format!("{} {}", known.code.word(), known.code.name())),
        ("severity", known.severity.word().to_owned()),
        ("about", known.key.clone()),
        ("what", known.what.clone()),
        ("first seen", format!("as of {} (run {})", rfc3339(known.first.1), known.first.0)),
        ("last seen", format!("as of {} (run {})", rfc3339(known.last.1), known.last.0)),
        ("state", known.mark.word().to_owned()),
    ];
    if let Some((by, why)) = &known.by {
        pairs.push(("by", format!("{by}: {why}")));
    }
    pairs.push(("to do", known.code.advice().to_owned()));
    fields(&pairs)
}
