//! The ledger as beancount reads it.
//!
//! In: accounts, journals, balances. Out: a file in which every account is opened and the morning
//! after the last day asserts every balance, without the tolerance beancount would allow.
//! Why: `bean-check` then recomputes all of it.

use std::io::{Result, Write};

use payments::ledger::{Account, Asset, Journal};

use super::accounts::{beancount, beancount_asset};
use super::exact;
use crate::clock::rfc3339;

/// An account, an asset of it, and how much.
type Line<'a> = &'a (Account, Asset, i128);

/// Before any chain had a block of USDT.
const BEGINNING: &str = "1970-01-01";

pub(super) fn begin(out: &mut impl Write) -> Result<()> {
    writeln!(out, "; Written by bursar {}. Check: bean-check FILE\n", env!("CARGO_PKG_VERSION"))
}

pub(super) fn declare(
    out: &mut impl Write,
    account: Option<&Account>,
    asset: Option<&Asset>,
) -> Result<()> {
    if let Some(asset) = asset {
        writeln!(out, "{BEGINNING} commodity {}", beancount_asset(asset))?;
        writeln!(out, "  name: \"{asset}\"")?;
    }
    if let Some(account) = account {
        writeln!(out, "{BEGINNING} open {}", beancount(account))?;
        writeln!(out, "  name: \"{account}\"")?;
    }
    Ok(())
}

pub(super) fn open<'a>(
    out: &mut impl Write,
    day: String,
    held: impl Iterator<Item = Line<'a>>,
) -> Result<()> {
    writeln!(out, "\n{day} * \"opening balances\"")?;
    for (account, asset, value) in held {
        posting(out, account, asset, *value)?;
    }
    Ok(())
}

fn posting(out: &mut impl Write, account: &Account, asset: &Asset, value: i128) -> Result<()> {
    writeln!(out, "  {}  {} {}", beancount(account), exact(value), beancount_asset(asset))
}

pub(super) fn journal(
    out: &mut impl Write,
    day: String,
    seq: u64,
    journal: &Journal,
) -> Result<()> {
    writeln!(out, "\n{day} * \"{}\"", journal.key)?;
    writeln!(out, "  seq: {seq}")?;
    writeln!(out, "  effective: \"{}\"", rfc3339(journal.effective))?;
    writeln!(out, "  recorded: \"{}\"", rfc3339(journal.recorded))?;
    for entry in &journal.entries {
        let amount = i128::from(entry.amount);
        posting(out, &entry.debit, &entry.asset, amount)?;
        posting(out, &entry.credit, &entry.asset, amount.saturating_neg())?;
    }
    Ok(())
}

pub(super) fn holds(
    out: &mut impl Write,
    day: String,
    account: &Account,
    asset: &Asset,
    value: i128,
) -> Result<()> {
    let (account, unit) = (beancount(account), beancount_asset(asset));
    writeln!(out, "{day} balance {account}  {} ~ 0 {unit}", exact(value))
}
