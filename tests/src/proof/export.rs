//! `bursar ledger export`, read by hledger and beancount: they take it as it is, and neither takes
//! it with a millionth of a USDT more or less anywhere.

use std::path::Path;
use std::process::Command;

use payments::ledger::Account;
use serde_json::Value;
use store::{Engine, OpenMode, Store};

use super::Place;
use crate::binary;

/// `hledger check`: declared accounts and commodities, days in order, every assertion.
fn hledger(file: &Path) -> Result<(), String> {
    let mut command = Command::new("hledger");
    command.arg("-f").arg(file).args(["check", "-s", "ordereddates"]);
    accepts(&mut command)
}

/// `bean-check`, as `tests/run` installs it.
fn beancount(file: &Path) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/beancount/bin/bean-check");
    accepts(Command::new(root).arg("--no-cache").arg(file))
}

fn accepts(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}: see tests/run"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

type Auditor = fn(&Path) -> Result<(), String>;
const AUDITORS: [(&str, Auditor); 2] = [("hledger", hledger), ("beancount", beancount)];

/// A line of a movement: whether it debits, by the sign of its amount.
fn is_movement(line: &str) -> bool {
    let amount = line.split("  ").last().and_then(|rest| rest.split(' ').next());
    line.starts_with("  ") && !line.contains(" = ") && amount.is_some_and(|a| a.contains('.'))
}

/// The text with the amount of line number `at` a millionth larger, on whichever side it stands.
fn altered(text: &str, at: usize) -> String {
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| if number == at { raised(line) } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn raised(line: &str) -> String {
    let (account, rest) = line.rsplit_once("  ").expect("an amount");
    let (amount, unit) = rest.split_once(' ').expect("a unit");
    let micro: i128 = amount.replace('.', "").parse().expect("millionths");
    let sign = if micro < 0 { "-" } else { "" };
    let micro = micro.unsigned_abs() + 1;
    format!("{account}  {sign}{}.{:06} {unit}", micro / 1_000_000, micro % 1_000_000)
}

/// Both programs take the books as they are, and refuse them with one movement altered, on one of
/// its sides (it no longer balances) and on both (only the balances tell).
fn audit(folder: &Path, export: impl Fn(&str, &str)) {
    for (format, accepts) in AUDITORS {
        let file = folder.join(format!("ledger.{format}"));
        export(format, file.to_str().expect("UTF-8"));
        accepts(&file).unwrap_or_else(|why| panic!("{format} refuses the ledger: {why}"));
        let text = std::fs::read_to_string(&file).expect("the ledger");
        let lines: Vec<&str> = text.lines().collect();
        let movements: Vec<usize> = (0..lines.len()).filter(|at| is_movement(lines[*at])).collect();
        assert!(movements.len() > 10, "a ledger of {} movements proves little", movements.len());
        for nth in [0, movements.len() / 2 / 2 * 2, movements.len() - 2] {
            let debit = movements[nth];
            std::fs::write(&file, altered(&text, debit)).expect("written");
            assert!(accepts(&file).is_err(), "{format} takes line {debit} altered");
            std::fs::write(&file, altered(&altered(&text, debit), debit + 1)).expect("written");
            assert!(accepts(&file).is_err(), "{format} takes both sides of {debit} altered");
        }
        // Nothing may be left out either.
        let shorter = lines[..movements[movements.len() - 2]].join("\n");
        let closing = lines.iter().position(|line| line.contains("closing balances"));
        let balances = closing.unwrap_or_else(|| {
            lines.iter().position(|line| line.contains(" balance ")).expect("balances")
        });
        let cut = format!("{shorter}\n\n{}\n", lines[balances..].join("\n"));
        std::fs::write(&file, cut).expect("written");
        assert!(accepts(&file).is_err(), "{format} takes a ledger without its last movement");
    }
}

async fn of_a_history(engine: Engine, seed: u64) {
    let place = Place::played(engine, seed).await;
    audit(place.folder.path(), |format, file| {
        place.good(&["ledger", "export", "--format", format, "--out", file]);
    });
}

#[tokio::test]
async fn a_random_ledger_passes_two_auditors_and_an_altered_one_neither() {
    of_a_history(Engine::Sqlite, 3).await;
}

#[tokio::test]
async fn a_random_ledger_on_postgresql_does_so_too() {
    of_a_history(Engine::Postgres, 5).await;
}

#[tokio::test]
async fn the_books_of_the_demo_pass_two_auditors_and_altered_ones_neither() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept");
    let kept = kept.to_str().expect("UTF-8");
    let ran = binary::run(folder.path(), &["demo", "--fast", "--keep", kept]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    audit(Path::new(kept), |format, file| {
        let arguments = ["ledger", "export", "--format", format, "--out", file];
        let ran = binary::run(Path::new(kept), &arguments);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    });
}

/// A stretch of the ledger begins with what was before, and the stretches are the whole.
#[tokio::test]
async fn a_stretch_has_its_opening_balances() {
    let place = Place::played(Engine::Sqlite, 5).await;
    let journals = place.store.journals(0, u32::MAX).await.expect("journals");
    let middle = &journals[journals.len() / 2].1;
    let moment = bursar::clock::rfc3339(middle.recorded);
    let file = place.folder.path().join("part");
    let path = file.to_str().expect("UTF-8");
    let mut parts = 0;
    for limits in [["--from", &moment], ["--to", &moment]] {
        for (format, accepts) in AUDITORS {
            let export = ["ledger", "export", "--format", format, "--force", "--out", path];
            place.good(&[&export[..], &limits].concat());
            accepts(&file).unwrap_or_else(|why| panic!("{format} {limits:?}: {why}"));
        }
        let export = ["ledger", "export", "--format", "json"];
        let told: Value =
            serde_json::from_str(&place.good(&[&export[..], &limits].concat())).expect("JSON");
        parts += told["journals"].as_array().expect("journals").len();
    }
    assert_eq!(parts, journals.len());
    let said = place.bursar(&["ledger", "export", "--format", "csv", "--from", "yesterday"]);
    assert_eq!(said.code, 2);
    assert!(said.err.starts_with("bursar: --from: `yesterday` is no day"), "{}", said.err);
    let turned = ["--from", &moment, "--to", &moment];
    let said = place.bursar(&[&["ledger", "export", "--format", "csv"][..], &turned].concat());
    let line = "bursar: --to: is not after --from: nothing can be recorded in between\n";
    assert_eq!((said.code, said.err.as_str(), said.out.as_str()), (2, line, ""));
}

#[tokio::test]
async fn rows_and_json_have_every_entry() {
    let place = Place::played(Engine::Sqlite, 7).await;
    let journals = place.store.journals(0, u32::MAX).await.expect("journals");
    let entries = journals.iter().map(|(_, journal)| journal.entries.len()).sum::<usize>();
    let csv = place.good(&["ledger", "export", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 1 + entries);
    let columns = csv.lines().next().expect("a head").split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns), "a field has a comma");
    let told: Value =
        serde_json::from_str(&place.good(&["ledger", "export", "--format", "json"])).expect("JSON");
    assert_eq!(told["journals"].as_array().expect("journals").len(), journals.len());
    let sales = Account::Sales.to_string();
    let closing = told["closing"].as_array().expect("balances");
    assert!(closing.iter().any(|balance| balance["account"] == sales.as_str()));
    // What a program prints twice is the same twice.
    assert_eq!(csv, place.good(&["ledger", "export", "--format", "csv"]));
}

/// Nothing was sold yet: an empty ledger is one, too.
#[tokio::test]
async fn an_empty_ledger_passes() {
    let place = Place::new(Engine::Sqlite).await;
    assert!(Store::open(&place.url, OpenMode::Use).await.is_ok());
    let file = place.folder.path().join("empty");
    for (format, accepts) in AUDITORS {
        let path = file.to_str().expect("UTF-8");
        place.good(&["ledger", "export", "--format", format, "--force", "--out", path]);
        accepts(&file).unwrap_or_else(|why| panic!("{format}: {why}"));
    }
}
