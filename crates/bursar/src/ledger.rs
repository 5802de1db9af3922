//! `bursar ledger …`: what the books say, and whether they agree with themselves.
//!
//! In: an account or nothing. Out: balances, entries, findings.
//! Never: an amount that is not in the books. Why: finance reads these lines.

use payments::ledger::Account;
use serde_json::json;

use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::{Output, table};
use crate::view::{ENTRY_HEADER, entry_cells, journal_json, micro};

/// How many accounts are read at once.
const PAGE: u32 = 1000;

/// Above the number of any line of a journal.
const LAST_LINE: u64 = 0x7fff_ffff;

/// `bursar ledger balance`
///
/// # Errors
/// When the database fails.
pub async fn balance(opened: &Opened, prefix: &str, output: Output) -> Result<(), Error> {
    let mut rows: Vec<(String, String, payments::ledger::Sides)> = Vec::new();
    loop {
        let after = rows.last().map(|(account, ..)| account.clone()).unwrap_or_default();
        let page = opened.books.store.balances(prefix, &after, PAGE).await?;
        let full = page.0.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        let mut page: Vec<_> = page
            .0
            .into_iter()
            .map(|((asset, account), sides)| (account.to_string(), asset.to_string(), sides))
            .collect();
        page.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        rows.append(&mut page);
        if !full {
            break;
        }
    }
    let value: Vec<_> = rows
        .iter()
        .map(|(account, asset, sides)| {
            json!({
                "account": account,
                "asset": asset,
                "debits": micro(sides.debits),
                "credits": micro(sides.credits),
                "balance": micro(sides.net()),
            })
        })
        .collect();
    output.print(&json!({ "balances": value }), || {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|(account, asset, sides)| {
                let (debits, credits) = (micro(sides.debits), micro(sides.credits));
                vec![account.clone(), asset.clone(), debits, credits, micro(sides.net())]
            })
            .collect();
        table(&["account", "asset", "debits", "credits", "balance"], &rows)
    })
}

/// `bursar ledger entries`
///
/// # Errors
/// Exit 2 where the account is none; when the database fails.
pub async fn entries(
    opened: &Opened,
    account: Option<&str>,
    after: u64,
    limit: u32,
    output: Output,
) -> Result<(), Error> {
    match account {
        Some(text) => {
            let account = Account::parse(text)
                .ok_or_else(|| input("--account", format!("`{text}` is not an account")))?;
            account_entries(opened, &account, after, limit, output).await
        }
        None => journals(opened, after, limit, output).await,
    }
}

async fn journals(opened: &Opened, after: u64, limit: u32, output: Output) -> Result<(), Error> {
    let journals = opened.books.store.journals(after, limit).await?;
    let value: Vec<_> = journals
        .iter()
        .map(|(seq, journal)| json!({ "seq": seq, "journal": journal_json(journal) }))
        .collect();
    let next = journals.last().map(|(seq, _)| *seq);
    let more = next.filter(|_| is_full(journals.len(), limit));
    output.print(&json!({ "journals": value, "next": next }), || {
        let lines = journals.iter().flat_map(|(seq, journal)| {
            let of = move |entry| (*seq, entry_cells(journal.effective, entry, &journal.key));
            journal.entries.iter().map(of)
        });
        numbered(lines, more)
    })
}

async fn account_entries(
    opened: &Opened,
    account: &Account,
    after: u64,
    limit: u32,
    output: Output,
) -> Result<(), Error> {
    let store = &opened.books.store;
    let mut lines = store.entries(account, Some((after, LAST_LINE)), limit).await?;
    // A page ends with a whole journal, for the next page begins after it.
    if let Some((journal, line)) = lines.last().map(|last| (last.journal, last.line)) {
        let rest = store.entries(account, Some((journal, line)), PAGE).await?;
        lines.extend(rest.into_iter().take_while(|line| line.journal == journal));
    }
    let value: Vec<_> = lines
        .iter()
        .map(|line| {
            json!({
                "seq": line.journal,
                "journal": line.key,
                "effective_at": rfc3339(line.effective),
                "asset": line.entry.asset.to_string(),
                "debit": line.entry.debit.to_string(),
                "credit": line.entry.credit.to_string(),
                "amount": micro(line.entry.amount.into()),
            })
        })
        .collect();
    let next = lines.last().map(|line| line.journal);
    let more = next.filter(|_| is_full(lines.len(), limit));
    output.print(&json!({ "entries": value, "next": next }), || {
        let cells = |line: &store::EntryLine| {
            (line.journal, entry_cells(line.effective, &line.entry, &line.key))
        };
        numbered(lines.iter().map(cells), more)
    })
}

/// Whether there may be more than what was read.
fn is_full(read: usize, limit: u32) -> bool {
    usize::try_from(limit).is_ok_and(|limit| read >= limit)
}

/// Lines of the ledger as a table, each with the number of its journal, and where to go on.
fn numbered(lines: impl Iterator<Item = (u64, Vec<String>)>, more: Option<u64>) -> String {
    let rows: Vec<Vec<String>> =
        lines.map(|(seq, cells)| std::iter::once(seq.to_string()).chain(cells).collect()).collect();
    let header: Vec<&str> = std::iter::once("seq").chain(ENTRY_HEADER).collect();
    let more = more.map_or_else(String::new, |next| format!("\nMore with --after {next}\n"));
    format!("{}{more}", table(&header, &rows))
}

/// `bursar ledger verify`
///
/// # Errors
/// Exit 1 where the books do not agree with themselves.
pub async fn verify(opened: &Opened, output: Output) -> Result<(), Error> {
    let findings = opened.books.store.verify().await?;
    let value: Vec<_> = findings
        .iter()
        .map(|found| json!({ "name": found.name, "detail": found.detail }))
        .collect();
    output.print(&json!({ "findings": value }), || {
        if findings.is_empty() {
            "The books agree with themselves: balances, journals, numbers, events, settings."
                .to_owned()
        } else {
            let rows: Vec<Vec<String>> = findings
                .iter()
                .map(|found| vec![found.name.to_owned(), found.detail.clone()])
                .collect();
            table(&["finding", "where"], &rows)
        }
    })?;
    match findings.len() {
        0 => Ok(()),
        found => {
            Err(Error::Failed(format!("the books disagree with themselves: {found} findings")))
        }
    }
}
