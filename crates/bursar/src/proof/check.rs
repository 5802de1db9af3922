//! `bursar reconcile proof verify`
//!
//! In: a report, and the books where there are some. Out: that it holds, or the first thing that
//! does not. Never: trust in who wrote it: every sum is added up again, every path walked.

use std::collections::BTreeMap;
use std::path::Path;

use payments::leaf::leaf;
use payments::merkle::{Frontier, TreeHash, TreeHead, includes};
use serde_json::json;

use super::make::{Movements, accounts, custody, liabilities, settled};
use super::report::{AccountLine, FORMAT, Report, micro_of, names, owed};
use crate::cli::ProofVerify;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::Output;
use crate::view::micro;

/// A report that is larger is none of ours.
const LARGEST: u64 = 1 << 30;
/// Rows that are read at once.
const PAGE: u32 = 2_000;

/// `bursar reconcile proof verify`
///
/// # Errors
/// Exit 1 where the report does not hold; 2 where it is none, or the books it is to be compared
/// with cannot be opened; 4 where the books are not those it was made of.
pub async fn verify(config: &Path, asked: &ProofVerify, output: Output) -> Result<(), Error> {
    let report = read(&asked.file)?;
    alone(&report).map_err(|why| Error::Failed(format!("{}: {why}", asked.file.display())))?;
    let compared = !asked.alone && config.exists();
    if compared {
        let opened = Opened::open(config).await?;
        against(&opened, &report).await?.map_err(|why| {
            Error::broken(format!("the books are not those of {}: {why}", asked.file.display()))
        })?;
    }
    let as_of = &report.as_of;
    let head = format!("{}:{}", as_of.journals, as_of.log_root);
    let value = json!({
        "holds": true,
        "compared_with_books": compared,
        "journals": as_of.journals,
        "log": head,
        "inclusions": report.inclusions.len(),
        "codes": report.codes.iter().map(|count| json!({
            "code": count.code, "name": count.name, "found": count.found,
        })).collect::<Vec<_>>(),
        "reconciled": report.reconciled,
        "not_proved": report.not_proved,
    });
    output.print(&value, || {
        let with = if compared { "by itself and against the books" } else { "by itself" };
        let not_proved: String =
            report.not_proved.iter().map(|line| format!("  {line}\n")).collect();
        let broken: u64 = report.codes.iter().map(|count| count.found).fold(0, u64::saturating_add);
        let found = match broken {
            0 => String::new(),
            found => format!("It counts {found} findings: the books were broken then.\n"),
        };
        let compared = report.reconciled.as_ref().map_or_else(
            || "It was never compared with the chains.\n".to_owned(),
            |run| {
                let as_of = run.as_of.as_deref().unwrap_or("nothing");
                let (number, exit) = (run.run, run.exit);
                format!("Run {number} compared the books with the chains as of {as_of}: exit {exit}.\n")
            },
        );
        format!("The report holds, {with}: log {head}.\n{found}{compared}\nNot proved by it:\n{not_proved}")
    })
}

fn read(path: &Path) -> Result<Report, Error> {
    let field = path.display().to_string();
    let failed = |source| Error::File { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(input(&field, "is larger than any proof report"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let report: Report = serde_json::from_slice(&bytes)
        .map_err(|why| input(&field, format!("is no proof report: {why}")))?;
    if report.bursar_proof != FORMAT {
        let why = format!("is a report of format {}, not {FORMAT}", report.bursar_proof);
        return Err(input(&field, why));
    }
    Ok(report)
}

/// What the file says by itself.
fn alone(report: &Report) -> Result<(), String> {
    let digest = report.compute_digest().map_err(|why| why.to_string())?;
    if digest != report.digest {
        return Err("digest: is not that of the rest; the file was changed".to_owned());
    }
    let mut sums: BTreeMap<&str, (i128, i128, i128)> = BTreeMap::new();
    let mut custody: BTreeMap<(String, String), i128> = BTreeMap::new();
    let mut owing: BTreeMap<(String, String), i128> = BTreeMap::new();
    for line in &report.accounts {
        let (account, asset) =
            names(line).ok_or_else(|| format!("accounts: {} is none", line.account))?;
        let [opening, debits, credits, closing] = amounts(line)?;
        if opening.saturating_add(debits).saturating_sub(credits) != closing {
            return Err(format!("{}: opening and movements are not the closing", line.account));
        }
        let sum = sums.entry(&line.asset).or_default();
        sum.0 = sum.0.saturating_add(opening);
        sum.1 = sum.1.saturating_add(debits).saturating_sub(credits);
        sum.2 = sum.2.saturating_add(closing);
        if let payments::ledger::Account::Custody(chain, address) = &account
            && closing != 0
        {
            let address = format!("0x{}", payments::address::lower_hex(&address.0));
            custody.insert((chain.to_string(), address), closing);
        }
        if let Some(to) = owed(&account) {
            let sum = owing.entry((to.to_owned(), asset.to_string())).or_default();
            *sum = sum.saturating_sub(closing);
        }
    }
    for (asset, sum) in sums {
        if sum != (0, 0, 0) {
            return Err(format!("{asset}: debits and credits of all accounts differ"));
        }
    }
    same_custody(report, &custody)?;
    same_liabilities(report, &owing)?;
    inclusions(report)
}

fn amounts(line: &AccountLine) -> Result<[i128; 4], String> {
    let read = |text: &str| {
        micro_of(text).ok_or_else(|| format!("{}: `{text}` is no amount", line.account))
    };
    Ok([read(&line.opening)?, read(&line.debits)?, read(&line.credits)?, read(&line.closing)?])
}

fn same_custody(
    report: &Report,
    expected: &BTreeMap<(String, String), i128>,
) -> Result<(), String> {
    let told: BTreeMap<(String, String), Option<i128>> = report
        .custody
        .iter()
        .map(|line| ((line.chain.clone(), line.address.clone()), micro_of(&line.amount)))
        .collect();
    let fits = told.len() == report.custody.len()
        && told.len() == expected.len()
        && expected.iter().all(|(key, amount)| told.get(key) == Some(&Some(*amount)));
    if fits { Ok(()) } else { Err("custody: is not what the accounts hold".to_owned()) }
}

/// Settled orders owe nothing, so a line may be there of which no account is told.
fn same_liabilities(
    report: &Report,
    expected: &BTreeMap<(String, String), i128>,
) -> Result<(), String> {
    for line in &report.liabilities {
        let key = (line.to.clone(), line.asset.clone());
        let sum = expected.get(&key).copied().unwrap_or_default();
        if micro_of(&line.amount) != Some(sum) {
            return Err(format!("liabilities: {} is {} of {}", line.to, micro(sum), line.asset));
        }
    }
    let told = |(to, asset): &(String, String)| {
        report.liabilities.iter().any(|line| line.to == *to && line.asset == *asset)
    };
    match expected.keys().find(|key| !told(key)) {
        Some((to, _)) => Err(format!("liabilities: {to} is missing")),
        None => Ok(()),
    }
}

fn inclusions(report: &Report) -> Result<(), String> {
    let root = TreeHash::parse(&report.as_of.log_root).ok_or("log_root: is no hash")?;
    let head = TreeHead { size: report.as_of.journals, root };
    for proof in &report.inclusions {
        let fails = || format!("journal {}: its path does not lead to the root", proof.journal);
        let path: Option<Vec<TreeHash>> =
            proof.path.iter().map(|text| TreeHash::parse(text)).collect();
        let leaf = TreeHash::of_leaf(proof.text.as_bytes());
        let index = proof.journal.checked_sub(1).ok_or_else(fails)?;
        if !includes(&head, index, leaf, &path.ok_or_else(fails)?) {
            return Err(fails());
        }
    }
    Ok(())
}

/// The same journals, from the books: the same root, the same balances.
async fn against(opened: &Opened, report: &Report) -> Result<Result<(), String>, Error> {
    let mut reading = opened.books.store.read().await?;
    let (mut log, mut movements) = (Frontier::default(), Movements::default());
    let end = report.as_of.journals;
    while log.size() < end {
        let page = reading.journals(log.size(), PAGE).await?;
        let before = log.size();
        for (seq, journal) in page.iter().take_while(|(seq, _)| *seq <= end) {
            movements.add(journal, *seq < report.as_of.first_journal);
            log.push(leaf(*seq, journal));
        }
        if log.size() == before {
            break;
        }
    }
    reading.end().await?;
    if log.size() < end {
        let why = format!("they have {} of its {end} journals", log.size());
        return Ok(Err(why));
    }
    if log.head().root.to_string() != report.as_of.log_root {
        return Ok(Err("the root of their log is another".to_owned()));
    }
    let same = accounts(&movements) == report.accounts
        && custody(&movements) == report.custody
        && liabilities(&movements) == report.liabilities
        && settled(&movements) == report.settled_orders;
    Ok(if same { Ok(()) } else { Err("the balances of its journals are others".to_owned()) })
}
