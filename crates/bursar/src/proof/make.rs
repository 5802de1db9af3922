//! `bursar reconcile proof make`
//!
//! In: one state of the books. Out: the report, in a file.
//! Never: a number taken from the stored balances; every one is added up from the entries again.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use payments::address::lower_hex;
use payments::leaf::canonical;
use payments::ledger::{Account, Asset, Journal};
use payments::merkle::{Frontier, Parts, TreeHash, inclusion};
use payments::name::CustomerId;
use payments::reconcile::Code;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Reading, Run};

use super::report::{
    AccountLine, AsOf, Chain, Count, Custody, FORMAT, Inclusion, Liability, Reconciled, Report,
    Settled, owed,
};
use crate::cli::ProofMake;
use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::export::moment;
use crate::open::Opened;
use crate::output::Output;
use crate::verify::NOT_PROVED;
use crate::view::micro;
use crate::whole::{Existing, Whole};

/// Rows that are read at once.
const PAGE: u32 = 2_000;
/// Journals that one report proves at most.
const MOST: usize = 1_000;

/// Opening, debits and credits of an account's asset, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moved {
    pub(super) opening: i128,
    pub(super) debits: i128,
    pub(super) credits: i128,
}

impl Moved {
    pub(super) const fn closing(self) -> i128 {
        self.opening.saturating_add(self.debits).saturating_sub(self.credits)
    }
}

/// All that was moved, by account and asset.
#[derive(Debug, Default)]
pub(super) struct Movements(pub(super) BTreeMap<(Account, Asset), Moved>);

impl Movements {
    /// Adds a journal, of the period or before it.
    pub(super) fn add(&mut self, journal: &Journal, is_before: bool) {
        for entry in &journal.entries {
            let amount = i128::from(entry.amount);
            let mut side = |account: &Account, is_debit: bool| {
                let moved = self.0.entry((account.clone(), entry.asset.clone())).or_default();
                match (is_before, is_debit) {
                    (true, true) => moved.opening = moved.opening.saturating_add(amount),
                    (true, false) => moved.opening = moved.opening.saturating_sub(amount),
                    (false, true) => moved.debits = moved.debits.saturating_add(amount),
                    (false, false) => moved.credits = moved.credits.saturating_add(amount),
                }
            };
            side(&entry.debit, true);
            side(&entry.credit, false);
        }
    }
}

/// `bursar reconcile proof make`
///
/// # Errors
/// Exit 2 where a journal or a customer is unknown, or the file exists; when the database fails or
/// the file cannot be written. Exit 4 where the books do not agree with themselves; the report says
/// how, all the same.
pub async fn make(
    opened: &Opened,
    config: &Path,
    asked: &ProofMake,
    output: Output,
) -> Result<(), Error> {
    let mut file = Whole::begin(&asked.out, Existing::forced(asked.force))?;
    let findings = opened.books.store.verify().await?;
    let wanted = wanted(opened, asked).await?;
    let mut reading = opened.books.store.read().await?;
    let mut report = gather(&mut reading, asked, &wanted).await?;
    reading.end().await?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    let text = std::fs::read(config).map_err(failed(config))?;
    report.config_sha256 = lower_hex(&Sha256::digest(text));
    let mut codes: BTreeMap<_, u64> = BTreeMap::new();
    for finding in &findings {
        let found = codes.entry(finding.code()).or_default();
        *found = found.saturating_add(1);
    }
    let count = |(code, found): (payments::reconcile::Code, u64)| Count {
        code: code.word().to_owned(),
        name: code.name().to_owned(),
        found,
    };
    report.codes = codes.into_iter().map(count).collect();
    report.reconciled = opened.books.store.last_run().await?.as_ref().and_then(reconciled);
    let unwritable = |why: serde_json::Error| Error::Failed(format!("cannot write JSON: {why}"));
    report.digest = report.compute_digest().map_err(unwritable)?;
    let mut bytes = serde_json::to_vec_pretty(&report).map_err(unwritable)?;
    bytes.push(b'\n');
    file.write_all(&bytes).map_err(failed(&asked.out))?;
    file.finish()?;
    let as_of = &report.as_of;
    let value = json!({
        "file": asked.out,
        "journals": as_of.journals,
        "log_root": as_of.log_root,
        "digest": report.digest,
        "findings": findings.len(),
    });
    output.print(&value, || {
        format!(
            "Wrote {}: {} journals, log {}:{}, digest {}\n",
            asked.out.display(),
            as_of.journals,
            as_of.journals,
            as_of.log_root,
            report.digest
        )
    })?;
    match findings.len() {
        0 => Ok(()),
        found => {
            let why = "the report counts them";
            Err(Error::broken(format!("the books are broken: {found} findings; {why}")))
        }
    }
}

/// What the books remember of a run.
pub(super) fn reconciled(run: &Run) -> Option<Reconciled> {
    let summary: Value = serde_json::from_str(run.summary.as_deref()?).ok()?;
    let numbers = |field: &str| -> BTreeMap<String, u64> {
        let numbers = summary.get(field).and_then(Value::as_object).into_iter().flatten();
        numbers.filter_map(|(name, number)| Some((name.clone(), number.as_u64()?))).collect()
    };
    let count = |(word, found): (String, u64)| {
        let name = Code::parse(&word).map_or("", Code::name).to_owned();
        Count { code: word, name, found }
    };
    Some(Reconciled {
        run: run.seq,
        as_of: run.as_of.map(rfc3339),
        exit: u64::from(run.code?),
        heights: numbers("heights"),
        codes: numbers("codes").into_iter().map(count).collect(),
    })
}

/// The numbers of the journals whose place in the log is to be proved.
async fn wanted(opened: &Opened, asked: &ProofMake) -> Result<Vec<u64>, Error> {
    let store = &opened.books.store;
    let mut wanted = Vec::new();
    for key in &asked.journal {
        let found = store.journal(key).await?;
        let shown: String = key.chars().take(160).collect();
        let (seq, _) =
            found.ok_or_else(|| input("--journal", format!("there is no journal `{shown}`")))?;
        wanted.push(seq);
    }
    for id in &asked.customer {
        let customer = CustomerId::new(id).map_err(|why| input("--customer", why))?;
        let account = Account::Customer(customer);
        let mut lines = store.entries(&account, None, PAGE).await?;
        if lines.is_empty() {
            return Err(input("--customer", format!("the ledger has no customer `{id}`")));
        }
        while let Some(last) = lines.last().map(|line| (line.journal, line.line)) {
            wanted.extend(lines.iter().map(|line| line.journal));
            bounded(&mut wanted)?;
            lines = store.entries(&account, Some(last), PAGE).await?;
        }
    }
    bounded(&mut wanted)?;
    Ok(wanted)
}

/// Each journal once, and no more of them than one report proves.
fn bounded(wanted: &mut Vec<u64>) -> Result<(), Error> {
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.len() > MOST {
        let why = format!("more than {MOST} journals; name the ones to prove with --journal");
        return Err(input("--customer", format!("{why}, {MOST} in a report at most")));
    }
    Ok(())
}

async fn gather(reading: &mut Reading, asked: &ProofMake, wanted: &[u64]) -> Result<Report, Error> {
    let from = asked.from.as_deref().map(|text| moment("--from", text)).transpose()?;
    let sealed = reading.sealed().await?;
    let cursors = reading.cursors().await?;
    let mut proofs: Vec<(u64, String, Parts)> = wanted
        .iter()
        .filter_map(|seq| {
            let parts = inclusion(seq.checked_sub(1)?, sealed.journals)?;
            Some((*seq, String::new(), Parts::new(&parts)))
        })
        .collect();
    let (mut log, mut movements) = (Frontier::default(), Movements::default());
    let mut first = None;
    let mut recorded = None;
    loop {
        let page = reading.journals(log.size(), PAGE).await?;
        for (seq, journal) in &page {
            let is_before = first.is_none() && from.is_some_and(|from| journal.recorded < from);
            if !is_before {
                first.get_or_insert(*seq);
            }
            movements.add(journal, is_before);
            let text = canonical(*seq, journal);
            let leaf = TreeHash::of_leaf(text.as_bytes());
            log.push(leaf);
            for (wanted, kept, parts) in &mut proofs {
                parts.push(leaf);
                if wanted == seq {
                    kept.clone_from(&text);
                }
            }
            recorded = Some(journal.recorded);
        }
        // A gap in the numbers would be read for ever.
        if page.last().is_none_or(|(seq, _)| *seq != log.size()) {
            break;
        }
    }
    let as_of = AsOf {
        chains: cursors.iter().map(chain).collect(),
        journals: log.size(),
        log_root: log.head().root.to_string(),
        events: sealed.events,
        first_journal: first.unwrap_or_else(|| log.size().saturating_add(1)),
        recorded_at: recorded.map(rfc3339),
    };
    let inclusions = proofs.into_iter().map(|(journal, text, parts)| {
        let path = parts.roots().iter().map(ToString::to_string).collect();
        Inclusion { journal, text, path }
    });
    Ok(Report {
        bursar_proof: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_sha256: String::new(),
        as_of,
        custody: custody(&movements),
        liabilities: liabilities(&movements),
        settled_orders: settled(&movements),
        accounts: accounts(&movements),
        codes: Vec::new(),
        reconciled: None,
        inclusions: inclusions.collect(),
        not_proved: NOT_PROVED.map(str::to_owned).to_vec(),
        digest: String::new(),
    })
}

fn chain(cursor: &payments::chain::Cursor) -> Chain {
    let last = cursor.last().map(|header| header.id);
    Chain {
        chain: cursor.chain.to_string(),
        height: last.map(|block| block.height),
        block: last.map(|block| block.hash.to_string()),
        finalized_height: cursor.finalized.map(|block| block.height),
        finalized_block: cursor.finalized.map(|block| block.hash.to_string()),
    }
}

/// An order's account that began and ended with nothing is one of many, and says nothing by itself.
fn is_settled(account: &Account, moved: Moved) -> bool {
    matches!(account, Account::Order(_)) && moved.opening == 0 && moved.closing() == 0
}

pub(super) fn accounts(movements: &Movements) -> Vec<AccountLine> {
    let lines = movements.0.iter().filter(|((account, _), moved)| !is_settled(account, **moved));
    let line = |((account, asset), moved): (&(Account, Asset), &Moved)| AccountLine {
        account: account.to_string(),
        asset: asset.to_string(),
        opening: micro(moved.opening),
        debits: micro(moved.debits),
        credits: micro(moved.credits),
        closing: micro(moved.closing()),
    };
    lines.map(line).collect()
}

pub(super) fn settled(movements: &Movements) -> Vec<Settled> {
    let mut sums: BTreeMap<&Asset, (u64, i128)> = BTreeMap::new();
    for ((account, asset), moved) in &movements.0 {
        if is_settled(account, *moved) && moved.debits != 0 {
            let (orders, debits) = sums.entry(asset).or_default();
            *orders = orders.saturating_add(1);
            *debits = debits.saturating_add(moved.debits);
        }
    }
    let line = |(asset, (orders, debits)): (&Asset, (u64, i128))| Settled {
        asset: asset.to_string(),
        orders,
        debits: micro(debits),
    };
    sums.into_iter().map(line).collect()
}

pub(super) fn custody(movements: &Movements) -> Vec<Custody> {
    let held = movements.0.iter().filter_map(|((account, _), moved)| match account {
        Account::Custody(chain, address) if moved.closing() != 0 => Some(Custody {
            chain: chain.to_string(),
            address: format!("0x{}", lower_hex(&address.0)),
            amount: micro(moved.closing()),
        }),
        _ => None,
    });
    held.collect()
}

pub(super) fn liabilities(movements: &Movements) -> Vec<Liability> {
    let mut sums: BTreeMap<(&'static str, &Asset), i128> = BTreeMap::new();
    for ((account, asset), moved) in &movements.0 {
        if let Some(to) = owed(account) {
            let sum = sums.entry((to, asset)).or_default();
            *sum = sum.saturating_sub(moved.closing());
        }
    }
    let line = |((to, asset), sum): ((&'static str, &Asset), i128)| Liability {
        to: to.to_owned(),
        asset: asset.to_string(),
        amount: micro(sum),
    };
    sums.into_iter().map(line).collect()
}
