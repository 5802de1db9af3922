//! The ledger as hledger reads it.
//!
//! In: accounts, journals, balances. Out: a journal in which every account and commodity is
//! declared, days are in order, and a last transaction asserts every balance.
//! Why: `hledger check -s ordereddates` then recomputes all of it.

use std::io::{Result, Write};

use payments::ledger::{Account, Asset, Journal};

use super::accounts::{hledger, hledger_asset};
use super::exact;
use crate::clock::rfc3339;

/// An account, an asset of it, and how much.
type Line<'a> = &'a (Account, Asset, i128);

pub(super) fn begin(out: &mut impl Write) -> Result<()> {
    writeln!(out, "; Written by bursar {}. Check: hledger -f FILE check -s ordereddates", VERSION)?;
    writeln!(out, "decimal-mark .\n")
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn declare(
    out: &mut impl Write,
    account: Option<&Account>,
    asset: Option<&Asset>,
) -> Result<()> {
    if let Some(asset) = asset {
        writeln!(out, "commodity 1000.000000 {}", hledger_asset(asset))?;
    }
    match account {
        Some(account) => writeln!(out, "account {}", hledger(account)),
        None => Ok(()),
    }
}

pub(super) fn open<'a>(
    out: &mut impl Write,
    day: String,
    held: impl Iterator<Item = Line<'a>>,
) -> Result<()> {
    writeln!(out, "\n{day} * opening balances")?;
    for (account, asset, value) in held {
        posting(out, account, asset, *value)?;
    }
    Ok(())
}

fn posting(out: &mut impl Write, account: &Account, asset: &Asset, value: i128) -> Result<()> {
    writeln!(out, "    {}  {} {}", hledger(account), exact(value), hledger_asset(asset))
}

pub(super) fn journal(
    out: &mut impl Write,
    day: String,
    seq: u64,
    journal: &Journal,
) -> Result<()> {
    let (effective, recorded) = (rfc3339(journal.effective), rfc3339(journal.recorded));
    writeln!(out, "\n{day} * ({seq}) {}", journal.key)?;
    writeln!(out, "    ; effective: {effective}, recorded: {recorded}")?;
    for entry in &journal.entries {
        let amount = i128::from(entry.amount);
        posting(out, &entry.debit, &entry.asset, amount)?;
        posting(out, &entry.credit, &entry.asset, amount.saturating_neg())?;
    }
    Ok(())
}

pub(super) fn close(out: &mut impl Write, day: String) -> Result<()> {
    writeln!(out, "\n{day} * closing balances")
}

/// Nothing is moved; the assertion behind it is what counts.
pub(super) fn holds(
    out: &mut impl Write,
    account: &Account,
    asset: &Asset,
    value: i128,
) -> Result<()> {
    let (name, unit) = (hledger(account), hledger_asset(asset));
    writeln!(out, "    {name}  0.000000 {unit} = {} {unit}", exact(value))
}
