//! The ledger as rows, and as one JSON document.
//!
//! In: journals, balances. Out: a line of CSV for each entry; a document written as it is read.
//! Never: a quoted field; no name of ours holds a comma or a quote.

use std::io::{Result, Write};

use payments::ledger::{Account, Asset, Journal};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::view::{journal_json, micro};

const COLUMNS: &str =
    "seq,line,effective_at,recorded_at,journal,order,deposit,asset,debit,credit,amount";

pub(super) fn begin_csv(out: &mut impl Write) -> Result<()> {
    writeln!(out, "{COLUMNS}")
}

pub(super) fn csv(out: &mut impl Write, seq: u64, journal: &Journal) -> Result<()> {
    let (effective, recorded) = (rfc3339(journal.effective), rfc3339(journal.recorded));
    let order = journal.order.as_ref().map_or("", |order| order.as_str());
    let deposit = journal.deposit.as_ref().map(ToString::to_string).unwrap_or_default();
    for (line, entry) in journal.entries.iter().enumerate() {
        let cause = format!("{},{order},{deposit}", journal.key);
        let moved = format!("{},{},{}", entry.asset, entry.debit, entry.credit);
        let amount = micro(entry.amount.into());
        writeln!(out, "{seq},{line},{effective},{recorded},{cause},{moved},{amount}")?;
    }
    Ok(())
}

/// What was written of the list that is being written.
#[derive(Debug, Default)]
pub(super) struct Rows {
    journals: u64,
    balances: u64,
}

pub(super) fn begin_json(out: &mut impl Write) -> Result<()> {
    write!(out, "{{\n\"version\": {}", Value::from(env!("CARGO_PKG_VERSION")))
}

pub(super) fn open_json<'a>(
    out: &mut impl Write,
    held: impl Iterator<Item = &'a (Account, Asset, i128)>,
) -> Result<()> {
    write!(out, ",\n\"opening\": [")?;
    for (number, (account, asset, value)) in held.enumerate() {
        item(out, number == 0, &balance(account, asset, *value))?;
    }
    write!(out, "\n],\n\"journals\": [")
}

impl Rows {
    pub(super) fn json(&mut self, out: &mut impl Write, seq: u64, journal: &Journal) -> Result<()> {
        let value = json!({ "seq": seq, "journal": journal_json(journal) });
        self.journals = self.journals.saturating_add(1);
        item(out, self.journals == 1, &value)
    }

    pub(super) fn close_json(&mut self, out: &mut impl Write) -> Result<()> {
        write!(out, "\n],\n\"closing\": [")
    }

    pub(super) fn balance_json(
        &mut self,
        out: &mut impl Write,
        account: &Account,
        asset: &Asset,
        value: i128,
    ) -> Result<()> {
        self.balances = self.balances.saturating_add(1);
        item(out, self.balances == 1, &balance(account, asset, value))
    }
}

pub(super) fn end_json(out: &mut impl Write) -> Result<()> {
    writeln!(out, "\n]\n}}")
}

fn balance(account: &Account, asset: &Asset, value: i128) -> Value {
    let (account, asset) = (account.to_string(), asset.to_string());
    json!({ "account": account, "asset": asset, "debits_less_credits": micro(value) })
}

fn item(out: &mut impl Write, is_first: bool, value: &Value) -> Result<()> {
    write!(out, "{}\n{value}", if is_first { "" } else { "," })
}
