//! `bursar ledger export`: the ledger for somebody else's program.
//!
//! In: the books, a stretch of time. Out: every journal of it in the order of recording, between
//! the balances it began and ended with. Never: an amount that was rounded.
//! Why: hledger and beancount are auditors that share no line with us; each recomputes what the
//! books claim, and refuses a file in which a millionth is missing.

mod accounts;
mod beancount;
mod hledger;
mod rows;

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use payments::ledger::{Account, Asset, Journal};
use payments::time::Time;
use store::{Balance, Reading};

use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::whole::{Existing, Whole};

/// Rows that are read at once.
const PAGE: u32 = 2_000;

/// What each account holds of each asset: debits less credits, in millionths.
pub(crate) type Held = BTreeMap<(String, String), (Account, Asset, i128)>;

/// Which program the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A journal for hledger: `hledger check -s ordereddates`
    Hledger,
    /// A ledger for beancount: `bean-check`
    Beancount,
    /// A line for each entry
    Csv,
    /// One document with journals and balances
    Json,
}

/// Options of `bursar ledger export`.
#[derive(Debug, Args)]
pub struct LedgerExport {
    /// Who is to read it
    #[arg(long, value_enum)]
    pub format: Format,
    /// The file to write; standard output without it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Overwrite a file that exists
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Only what was recorded on this day (UTC) or at this time, or later
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only what was recorded before this day (UTC) or time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

/// Journals from `from` on and before `to`, by when they were recorded.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    from: Option<Time>,
    to: Option<Time>,
}

/// `bursar ledger export`
///
/// # Errors
/// Exit 2 where a time is none or the file exists; when the database fails or the file cannot be
/// written.
pub async fn run(opened: &Opened, asked: &LedgerExport) -> Result<(), Error> {
    let stretch = Stretch {
        from: asked.from.as_deref().map(|text| moment("--from", text)).transpose()?,
        to: asked.to.as_deref().map(|text| moment("--to", text)).transpose()?,
    };
    if let (Some(from), Some(to)) = (stretch.from, stretch.to)
        && from >= to
    {
        return Err(input("--to", "is not after --from: nothing can be recorded in between"));
    }
    let begin = |path| Whole::begin(path, Existing::forced(asked.force));
    let mut file = asked.out.as_deref().map(begin).transpose()?;
    let mut reading = opened.books.store.read().await?;
    match (&asked.out, &mut file) {
        (Some(path), Some(out)) => {
            export(&mut reading, asked.format, stretch, out, path).await?;
        }
        _ => {
            let path = Path::new("standard output");
            let mut out = BufWriter::new(std::io::stdout());
            match export(&mut reading, asked.format, stretch, &mut out, path).await {
                // A reader that has seen enough is no failure.
                Err(Error::File { source, .. })
                    if source.kind() == std::io::ErrorKind::BrokenPipe => {}
                done => done?,
            }
        }
    }
    reading.end().await?;
    file.map_or(Ok(()), Whole::finish)
}

/// A day (its beginning, UTC) or a moment.
pub(crate) fn moment(field: &str, text: &str) -> Result<Time, Error> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    crate::clock::parse_rfc3339(&whole).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        input(field, format!("`{shown}` is no day and no time, such as 2026-01-31"))
    })
}

async fn export(
    reading: &mut Reading,
    format: Format,
    stretch: Stretch,
    out: &mut impl Write,
    path: &Path,
) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let opening = opening(reading, stretch).await?;
    let mut statement = Statement::new(format, out);
    statement.begin().map_err(failed)?;
    let mut last = None;
    loop {
        let page = reading.balances(last.as_ref(), PAGE).await?;
        for (account, asset, _) in &page {
            statement.declare(account, asset).map_err(failed)?;
        }
        match page.last() {
            Some(balance) => last = Some(balance.clone()),
            None => break,
        }
    }
    let start = stretch.from.unwrap_or_default();
    statement.open(start, &opening.held).map_err(failed)?;
    // The whole ledger is closed by what the books say, a stretch of it by what it adds up to.
    let mut held = stretch.to.is_some().then(|| opening.held.clone());
    let mut after = opening.last;
    'journals: loop {
        let page = reading.journals(after, PAGE).await?;
        for (seq, journal) in &page {
            if stretch.to.is_some_and(|to| journal.recorded >= to) {
                break 'journals;
            }
            statement.journal(*seq, journal).map_err(failed)?;
            if let Some(held) = &mut held {
                add(held, journal);
            }
            after = *seq;
        }
        if page.is_empty() {
            break;
        }
    }
    statement.close().map_err(failed)?;
    match held {
        Some(held) => {
            for (account, asset, value) in held.values() {
                statement.holds(account, asset, *value).map_err(failed)?;
            }
        }
        None => claims(reading, &mut statement).await?.map_err(failed)?,
    }
    statement.end().map_err(failed)
}

/// The balances that the books themselves keep, for the reader to come to as well.
async fn claims<W: Write>(
    reading: &mut Reading,
    statement: &mut Statement<'_, W>,
) -> Result<std::io::Result<()>, Error> {
    let mut last: Option<Balance> = None;
    loop {
        let page = reading.balances(last.as_ref(), PAGE).await?;
        for (account, asset, sides) in &page {
            if let Err(why) = statement.holds(account, asset, sides.net().saturating_neg()) {
                return Ok(Err(why));
            }
        }
        match page.last() {
            Some(balance) => last = Some(balance.clone()),
            None => return Ok(Ok(())),
        }
    }
}

/// What there was before a stretch: the last journal recorded before it, and the balances then.
#[derive(Default)]
struct Opening {
    last: u64,
    held: Held,
}

async fn opening(reading: &mut Reading, stretch: Stretch) -> Result<Opening, Error> {
    let mut opening = Opening::default();
    let Some(from) = stretch.from else {
        return Ok(opening);
    };
    loop {
        let page = reading.journals(opening.last, PAGE).await?;
        for (seq, journal) in &page {
            if journal.recorded >= from {
                return Ok(opening);
            }
            add(&mut opening.held, journal);
            opening.last = *seq;
        }
        if page.is_empty() {
            return Ok(opening);
        }
    }
}

pub(crate) fn add(held: &mut Held, journal: &Journal) {
    for entry in &journal.entries {
        let amount = i128::from(entry.amount);
        for (account, value) in [(&entry.debit, amount), (&entry.credit, amount.saturating_neg())] {
            let key = (account.to_string(), entry.asset.to_string());
            let fresh = || (account.clone(), entry.asset.clone(), 0);
            let (.., sum) = held.entry(key).or_insert_with(fresh);
            *sum = sum.saturating_add(value);
        }
    }
}

/// A statement as it is written, piece by piece.
struct Statement<'a, W> {
    format: Format,
    out: &'a mut W,
    /// The newest moment so far: a clock that was set back must not put days out of order.
    latest: Time,
    /// What the programs know already.
    assets: Vec<Asset>,
    account: Option<Account>,
    rows: rows::Rows,
}

impl<'a, W: Write> Statement<'a, W> {
    fn new(format: Format, out: &'a mut W) -> Self {
        let rows = rows::Rows::default();
        Self { format, out, latest: Time(0), assets: Vec::new(), account: None, rows }
    }

    fn begin(&mut self) -> std::io::Result<()> {
        match self.format {
            Format::Hledger => hledger::begin(self.out),
            Format::Beancount => beancount::begin(self.out),
            Format::Csv => rows::begin_csv(self.out),
            Format::Json => rows::begin_json(self.out),
        }
    }

    /// An account and an asset that come up in the ledger, in the order of the balances.
    fn declare(&mut self, account: &Account, asset: &Asset) -> std::io::Result<()> {
        let asset_is_new = !self.assets.contains(asset);
        if asset_is_new {
            self.assets.push(asset.clone());
        }
        let account_is_new = self.account.as_ref() != Some(account);
        self.account = Some(account.clone());
        match self.format {
            Format::Hledger => hledger::declare(
                self.out,
                account_is_new.then_some(account),
                asset_is_new.then_some(asset),
            ),
            Format::Beancount => beancount::declare(
                self.out,
                account_is_new.then_some(account),
                asset_is_new.then_some(asset),
            ),
            Format::Csv | Format::Json => Ok(()),
        }
    }

    fn open(&mut self, at: Time, held: &Held) -> std::io::Result<()> {
        self.latest = at;
        let lines = held.values().filter(|(.., value)| *value != 0);
        let mut lines = lines.peekable();
        if lines.peek().is_none() && self.format != Format::Json {
            return Ok(());
        }
        match self.format {
            Format::Hledger => hledger::open(self.out, day(at), lines),
            Format::Beancount => beancount::open(self.out, day(at), lines),
            // A line is an entry; what was before is left to who asks for a part.
            Format::Csv => Ok(()),
            Format::Json => rows::open_json(self.out, lines),
        }
    }

    fn journal(&mut self, seq: u64, journal: &Journal) -> std::io::Result<()> {
        self.latest = self.latest.max(journal.recorded);
        let at = day(self.latest);
        match self.format {
            Format::Hledger => hledger::journal(self.out, at, seq, journal),
            Format::Beancount => beancount::journal(self.out, at, seq, journal),
            Format::Csv => rows::csv(self.out, seq, journal),
            Format::Json => self.rows.json(self.out, seq, journal),
        }
    }

    fn close(&mut self) -> std::io::Result<()> {
        match self.format {
            Format::Hledger => hledger::close(self.out, day(self.latest)),
            Format::Beancount | Format::Csv => Ok(()),
            Format::Json => self.rows.close_json(self.out),
        }
    }

    /// What an account holds at the end.
    fn holds(&mut self, account: &Account, asset: &Asset, value: i128) -> std::io::Result<()> {
        match self.format {
            Format::Hledger => hledger::holds(self.out, account, asset, value),
            // A balance of beancount is of the morning.
            Format::Beancount => {
                let morning = day(Time(self.latest.0.saturating_add(24 * 3_600_000)));
                beancount::holds(self.out, morning, account, asset, value)
            }
            Format::Csv => Ok(()),
            Format::Json => self.rows.balance_json(self.out, account, asset, value),
        }
    }

    fn end(&mut self) -> std::io::Result<()> {
        if self.format == Format::Json {
            rows::end_json(self.out)?;
        }
        self.out.flush()
    }
}

/// The day of a moment (UTC), as both programs write it.
fn day(at: Time) -> String {
    rfc3339(at).chars().take(10).collect()
}

/// Millionths with all six decimals: the programs take their precision from what they read.
fn exact(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs();
    let whole = digits.checked_div(1_000_000).unwrap_or_default();
    format!("{sign}{whole}.{:06}", digits.checked_rem(1_000_000).unwrap_or_default())
}
