//! `bursar reconcile proof verify`
//!
//! In: a report, and the books where there are some. Out: that it holds, or the first thing that
//! does not. Never: trust in who wrote it: every sum is added up again, every path walked.

use std::collections::BTreeMap;
use std::path::Path;

use payments::merkle::{TreeHash, TreeHead, includes};
use serde_json::{Value, json};
use store::Run;

use super::books::{Told, against};
use super::report::{AccountLine, FORMAT, Reconciled, Report, micro_of, names, owed};
use super::said::{plain, said};
use crate::cli::ProofVerify;
use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::{Output, fields};
use crate::verify::NOT_PROVED;
use crate::view::micro;

/// A report that is larger is none of ours.
const LARGEST: u64 = 1 << 30;

/// `bursar reconcile proof verify`
///
/// # Errors
/// Exit 1 where the report does not hold; 2 where it is none, or the books it is to be compared
/// with cannot be opened; 4 where the books are not those it was made of.
pub async fn verify(config: &Path, asked: &ProofVerify, output: Output) -> Result<(), Error> {
    let report = read(&asked.file)?;
    alone(&report).map_err(|why| {
        let why = plain(&why);
        Error::Failed(format!("{}: {why}", asked.file.display()))
    })?;
    let mut told = None;
    if !asked.alone && config.exists() {
        let opened = Opened::open(config).await?;
        let same = against(&opened, &report).await?.map_err(|why| {
            Error::broken(format!("the books are not those of {}: {why}", asked.file.display()))
        })?;
        told = Some(same);
    }
    output.print(&as_json(&report, told.as_ref()), || as_text(&report, told.as_ref()))
}

/// The head of the log that it was made of.
fn head(report: &Report) -> String {
    format!("{}:{}", report.as_of.journals, report.as_of.log_root)
}

fn as_json(report: &Report, told: Option<&Told>) -> Value {
    let said = said(report, told);
    json!({
        "holds": true,
        "compared_with_books": told.is_some(),
        "journals": report.as_of.journals,
        "log": head(report),
        "inclusions": report.inclusions.len(),
        "codes": report.codes.iter().map(|count| json!({
            "code": count.code, "name": count.name, "found": count.found,
        })).collect::<Vec<_>>(),
        "reconciled": report.reconciled,
        "last_run": told.and_then(|told| told.run.as_ref()).map(|run| json!({
            "run": run.seq, "ended": run.ended.map(rfc3339), "exit": run.code,
        })),
        // The fields that nothing was compared with.
        "only_said": said.iter().map(|(field, _)| *field).collect::<Vec<_>>(),
        "not_proved": NOT_PROVED,
    })
}

fn as_text(report: &Report, told: Option<&Told>) -> String {
    let with = if told.is_some() { "by itself and against the books" } else { "by itself" };
    let mut out = format!("The report holds, {with}: log {}.\n", head(report));
    if told.is_some() {
        out.push_str(&match &report.reconciled {
            Some(run) => format!("By report and books, {}.\n", run_words(run)),
            None => String::new(),
        });
        out.push_str(&told.and_then(|told| told.run.as_ref()).map_or_else(String::new, last_run));
    }
    let said = said(report, told);
    let pairs: Vec<_> = said.iter().map(|(field, value)| (*field, value.clone())).collect();
    out.push_str("\nThe report says, and nothing was compared with it:\n");
    for line in fields(&pairs).lines() {
        out.push_str(&format!("  {line}\n"));
    }
    let broken: u64 = report.codes.iter().map(|count| count.found).fold(0, u64::saturating_add);
    if broken > 0 {
        out.push_str(&format!("By what it says, the books were broken then: {broken} findings.\n"));
    }
    if told.is_none() {
        out.push_str(&match &report.reconciled {
            Some(run) => format!("By what it says, {}.\n", run_words(run)),
            None => "By what it says, the books were never compared with the chains.\n".to_owned(),
        });
    }
    let not_proved = NOT_PROVED.map(|line| format!("  {line}\n")).concat();
    out.push_str(&format!("\nNot proved by it:\n{not_proved}"));
    out
}

fn run_words(run: &Reconciled) -> String {
    let as_of = plain(run.as_of.as_deref().unwrap_or("nothing"));
    let (number, exit) = (run.run, run.exit);
    format!("run {number} compared the books with the chains as of {as_of}: exit {exit}")
}

/// Another run than the report's: it may have been left out.
fn last_run(run: &Run) -> String {
    let ended = run.ended.map_or_else(|| "never".to_owned(), rfc3339);
    let exit = run.code.map_or_else(|| "?".to_owned(), |code| code.to_string());
    format!(
        "It does not tell of run {}, the last that the books know: ended {ended}, exit {exit}.\n",
        run.seq
    )
}

fn read(path: &Path) -> Result<Report, Error> {
    let field = path.display().to_string();
    let failed = |source| Error::File { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(input(&field, "is larger than any proof report"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let report: Report = serde_json::from_slice(&bytes)
        .map_err(|why| input(&field, format!("is no proof report: {}", plain(&why.to_string()))))?;
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
    if report.as_of.first_journal > report.as_of.journals.saturating_add(1) {
        return Err("first_journal: is none of its journals".to_owned());
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
