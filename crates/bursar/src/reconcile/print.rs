//! The report, for people, programs and spreadsheets.
//!
//! In: a report and what is known of its findings. Out: text, JSON, CSV, or a folder of them.
//! Never: a wall clock, a number of a run, an order that could be another one.
//! Why: two runs over the same facts are compared byte by byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use payments::reconcile::{Disposition, Finding, FindingId, Report};
use serde_json::{Value, json};
use store::Discrepancy;

use super::options::Format;
use super::run::is_acknowledged;
use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::output::{self, table};
use crate::view::{View, micro};
use crate::whole::{Existing, Whole};

/// What [`Page::write`] writes, in its order.
const FILES: [&str; 4] = ["report.txt", "report.json", "discrepancies.csv", "deposits.csv"];

/// Everything that is printed of a run.
pub(super) struct Page<'a> {
    pub(super) view: &'a View,
    pub(super) report: &'a Report,
    pub(super) known: &'a BTreeMap<FindingId, Discrepancy>,
    pub(super) repaired: Vec<String>,
}

/// A folder for the files of a run.
pub(super) struct Folder {
    path: PathBuf,
    files: Vec<Whole>,
}

impl Folder {
    /// Makes it, and begins every file in it. Those of another run are replaced in the end.
    ///
    /// # Errors
    /// Exit 2 where it is none that can be written.
    pub(super) fn begin(path: &Path) -> Result<Self, Error> {
        let wrong = |why| input("--out", format!("{}: {why}", path.display()));
        std::fs::create_dir_all(path).map_err(wrong)?;
        let begin = |name: &str| Whole::begin(&path.join(name), Existing::Replaced);
        let files = FILES.into_iter().map(begin).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { path: path.to_owned(), files })
    }
}

impl Page<'_> {
    /// Prints it to standard output.
    pub(super) fn print(&self, format: Format) -> Result<(), Error> {
        output::line(&match format {
            Format::Text => self.text(),
            Format::Json => pretty(&self.json())?,
            Format::Csv => self.findings_csv(),
        })
    }

    /// Writes all of it into a folder.
    pub(super) fn write(&self, mut folder: Folder) -> Result<(), Error> {
        let texts = [self.text(), pretty(&self.json())?, self.findings_csv(), self.lines_csv()];
        for (file, text) in folder.files.iter_mut().zip(texts) {
            let wrong = |source| Error::File { path: folder.path.clone(), source };
            file.write_all(text.as_bytes()).map_err(wrong)?;
        }
        folder.files.into_iter().try_for_each(Whole::finish)
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let as_of = self.report.as_of.map_or_else(|| "nothing".to_owned(), rfc3339);
        let _ = writeln!(out, "As of {as_of}, journal {}.", self.report.ledger_seq);
        let cuts = self.report.cuts.iter().map(|cut| {
            vec![
                cut.chain.to_string(),
                format!("{} to {}", cut.from, cut.block.height),
                cut.block.hash.to_string(),
                cut.transfers.to_string(),
                cut.balances.to_string(),
            ]
        });
        let cuts: Vec<_> = cuts.collect();
        if !cuts.is_empty() {
            out.push('\n');
            out.push_str(&table(&["CHAIN", "BLOCKS", "LAST", "TRANSFERS", "BALANCES"], &cuts));
        }
        let counts = self
            .report
            .dispositions()
            .into_iter()
            .map(|(what, (count, sum))| vec![what.word(), count.to_string(), micro(sum)]);
        let counts: Vec<_> = counts.collect();
        if !counts.is_empty() {
            out.push('\n');
            out.push_str(&table(&["DEPOSITS", "COUNT", "USDT"], &counts));
        }
        out.push('\n');
        match self.report.findings.len() {
            0 => out.push_str("No discrepancies.\n"),
            1 => out.push_str("1 discrepancy:\n"),
            many => {
                let _ = writeln!(out, "{many} discrepancies:");
            }
        }
        for finding in &self.report.findings {
            self.finding(finding, &mut out);
        }
        if !self.repaired.is_empty() {
            out.push_str("\nRepair:\n");
            for line in &self.repaired {
                let _ = writeln!(out, "  {line}");
            }
        }
        out
    }

    fn finding(&self, finding: &Finding, out: &mut String) {
        let short = short(&finding.id);
        let code = finding.code;
        let known = self.known.get(&finding.id);
        let acknowledged = if is_acknowledged(finding, known) { ", acknowledged" } else { "" };
        let severity = finding.severity.word();
        let _ = writeln!(
            out,
            "\n  {} {}, {severity}{acknowledged} ({short})",
            code.word(),
            code.name()
        );
        let _ = writeln!(out, "    {}", finding.what);
        if let Some(since) = finding.since {
            let _ = writeln!(out, "    since {}, {}", rfc3339(since), finding.key);
        } else {
            let _ = writeln!(out, "    {}", finding.key);
        }
        let _ = writeln!(out, "    {}", code.advice());
    }

    fn json(&self) -> Value {
        let cuts = self.report.cuts.iter().map(|cut| {
            json!({
                "chain": cut.chain.as_str(),
                "from": cut.from,
                "height": cut.block.height,
                "hash": cut.block.hash.to_string(),
                "time": rfc3339(cut.time),
                "transfers": cut.transfers,
                "balances": cut.balances,
            })
        });
        let deposits = self.report.dispositions().into_iter().map(|(what, (count, sum))| {
            json!({ "disposition": what.word(), "count": count, "amount": micro(sum) })
        });
        let findings = self.report.findings.iter().map(|finding| self.finding_json(finding));
        json!({
            "as_of": self.report.as_of.map(rfc3339),
            "ledger_seq": self.report.ledger_seq,
            "complete": !self.report.is_incomplete(),
            "cut_offs": cuts.collect::<Vec<_>>(),
            "deposits": deposits.collect::<Vec<_>>(),
            "discrepancies": findings.collect::<Vec<_>>(),
            "repair": self.repaired,
        })
    }

    fn finding_json(&self, finding: &Finding) -> Value {
        json!({
            "id": finding.id.to_string(),
            "code": finding.code.word(),
            "name": finding.code.name(),
            "severity": finding.severity.word(),
            "key": finding.key,
            "what": finding.what,
            "amount": micro(finding.amount),
            "chain": finding.chain.as_ref().map(ToString::to_string),
            "order": finding.order.as_ref().map(ToString::to_string),
            "deposit": finding.deposit.as_ref().map(ToString::to_string),
            "case": finding.case.as_ref().map(ToString::to_string),
            "since": finding.since.map(rfc3339),
            "acknowledged": is_acknowledged(finding, self.known.get(&finding.id)),
            "repairable": self.report.is_repairable(finding),
        })
    }

    fn findings_csv(&self) -> String {
        let mut out = "id,code,name,severity,amount,chain,order,since,key,what\n".to_owned();
        for finding in &self.report.findings {
            let cells = [
                finding.id.to_string(),
                finding.code.word().to_owned(),
                finding.code.name().to_owned(),
                finding.severity.word().to_owned(),
                micro(finding.amount),
                finding.chain.as_ref().map(ToString::to_string).unwrap_or_default(),
                finding.order.as_ref().map(ToString::to_string).unwrap_or_default(),
                finding.since.map(rfc3339).unwrap_or_default(),
                finding.key.clone(),
                finding.what.clone(),
            ];
            row(&cells, &mut out);
        }
        out
    }

    fn lines_csv(&self) -> String {
        let mut out = "chain,tx,n,token,order,height,amount,disposition\n".to_owned();
        for line in &self.report.lines {
            let id = &line.deposit;
            let cells = [
                id.chain.to_string(),
                self.view.tx(&id.chain, &id.tx),
                id.n.to_string(),
                id.other_token.map(|of| self.view.spelled(&id.chain, &of)).unwrap_or_default(),
                line.order.as_ref().map(ToString::to_string).unwrap_or_default(),
                line.height.to_string(),
                line.amount.to_string(),
                line.disposition.word(),
            ];
            row(&cells, &mut out);
        }
        out
    }
}

/// As many digits of an id as tell it from others.
pub(super) fn short(id: &FindingId) -> String {
    id.to_string().get(..12).unwrap_or_default().to_owned()
}

/// What is remembered of a run, in one line.
pub(super) fn summary(report: &Report, code: u8) -> Value {
    let codes: BTreeMap<&str, u64> =
        report.codes().into_iter().map(|(code, count)| (code.word(), count)).collect();
    let discrepant =
        |(what, _): &(&Disposition, &(u64, i128))| matches!(what, Disposition::Discrepant(_));
    let dispositions = report.dispositions();
    let wrong = dispositions.iter().filter(discrepant).map(|(_, (count, _))| count).sum::<u64>();
    let cuts: BTreeMap<&str, u64> =
        report.cuts.iter().map(|cut| (cut.chain.as_str(), cut.block.height)).collect();
    json!({
        "exit": code,
        "codes": codes,
        "deposits": report.lines.len(),
        "discrepant": wrong,
        "heights": cuts,
    })
}

fn pretty(value: &Value) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|why| Error::Failed(format!("cannot write JSON: {why}")))?;
    Ok(text + "\n")
}

/// A row of a spreadsheet (RFC 4180); a text that a spreadsheet would take for a formula is marked
/// as text.
fn row(cells: &[String], out: &mut String) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let formula = cell.starts_with(['=', '+', '@', '\t', '\r']);
        let cell = if formula { format!("'{cell}") } else { cell.clone() };
        if cell.contains([',', '"', '\n', '\r']) {
            let _ = write!(out, "\"{}\"", cell.replace('"', "\"\""));
        } else {
            out.push_str(&cell);
        }
    }
    out.push('\n');
}
