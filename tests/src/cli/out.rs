//! `--out`: a file is written whole or not at all, and nothing that is there goes by mistake.
//!
//! In: names of what is there already, commands that fail halfway. Out: what lies in the folder.
//! Never: half of a file. Why: what was named by mistake may be the database.

use alloy::primitives::Address as Account;
use lab::evm::Fault;
use serde_json::Value;
use tokio::process::Command;

use super::counter::{Counter, PATIENCE, pay};
use crate::binary;

const EXPORT: [&str; 4] = ["ledger", "export", "--format=csv", "--out"];
const PARTIAL: &str = "--out: file.partial exists: another command writes it; if one was killed, \
    --force replaces it";
const LOCKED: &str = "--out: file.partial exists: another command writes it; if none does, it was \
    left behind: delete it";
const PROOF: [&str; 4] = ["reconcile", "proof", "make", "--out"];

fn out<'a>(command: &[&'a str], path: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [command, &[path], more].concat()
}

impl Counter {
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// The names in the folder that hold this.
    fn named(&self, part: &str) -> Vec<String> {
        let all = std::fs::read_dir(self.folder.path()).expect("the folder");
        let names = all.map(|one| one.expect("one").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(part)).collect()
    }
}

#[tokio::test]
async fn what_is_there_is_overwritten_only_where_that_is_said() {
    let counter = Counter::open().await;
    counter.paid("A-1").await;
    std::fs::create_dir(counter.path("folder")).expect("a folder");
    for command in [&EXPORT, &PROOF] {
        let refused = counter.refused(&out(command, "books.db", &[])).await;
        assert_eq!(refused, "--out: books.db exists; --force overwrites it");
        let refused = counter.refused(&out(command, "folder", &["--force"])).await;
        assert_eq!(refused, "--out: folder exists, and is no file");
        let refused = counter.refused(&out(command, "none/file", &[])).await;
        assert!(refused.starts_with("--out: none/file.partial: No such file"), "{refused}");
        counter.good(&out(command, "file", &[])).await;
        let first = counter.read("file");
        counter.refused(&out(command, "file", &[])).await;
        std::fs::write(counter.path("file"), "older, and longer than nothing").expect("written");
        counter.good(&out(command, "file", &["--force"])).await;
        assert_eq!(counter.read("file"), first);
        // Somebody writes it.
        let partial = std::fs::File::create(counter.path("file.partial")).expect("made");
        partial.lock().expect("locked");
        let refused = counter.refused(&out(command, "file", &["--force"])).await;
        assert_eq!(refused, LOCKED);
        // It was killed, or is no command of ours.
        drop(partial);
        std::fs::rename(counter.path("file"), counter.path("kept")).expect("renamed");
        assert_eq!(counter.refused(&out(command, "file", &[])).await, PARTIAL);
        std::fs::rename(counter.path("kept"), counter.path("file")).expect("renamed");
        let half = first.repeat(2);
        std::fs::write(counter.path("file.partial"), half).expect("written");
        counter.good(&out(command, "file", &["--force"])).await;
        assert_eq!(counter.read("file"), first);
        std::fs::remove_file(counter.path("file")).expect("removed");
        // What lies under that name may be the way to another file.
        std::os::unix::fs::symlink("books.db", counter.path("file.partial")).expect("a link");
        assert_eq!(counter.refused(&out(command, "file", &[])).await, PARTIAL);
        let refused = counter.refused(&out(command, "file", &["--force"])).await;
        assert_eq!(refused, "--out: file.partial: exists, and is no file");
        std::fs::remove_file(counter.path("file.partial")).expect("removed");
    }
    let refused = counter.run(&["ledger", "export", "--format=csv", "--force"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    counter.good(&["ledger", "verify"]).await;
}

#[tokio::test]
async fn what_fails_halfway_leaves_what_was_there() {
    let counter = Counter::open().await;
    counter.paid("A-1").await;
    counter.refused(&out(&PROOF, "proof.json", &["--journal", "paid:no"])).await;
    counter.good(&out(&EXPORT, "ledger.csv", &[])).await;
    let whole = counter.read("ledger.csv");
    counter.tamper("ALTER TABLE balances RENAME TO elsewhere").await;
    for more in [&["--force"][..], &[]] {
        let name = if more.is_empty() { "new.csv" } else { "ledger.csv" };
        let said = counter.run(&out(&EXPORT, name, more)).await;
        assert_eq!(said.code, 1, "{said:?}");
    }
    assert_eq!(counter.read("ledger.csv"), whole);
    assert_eq!((counter.named("partial"), counter.named("new")), (vec![], vec![]));
}

/// Money that reached an address before it was ours: reconciling finds it, and can ingest it.
async fn with_something_to_repair() -> Counter {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    counter.watch().await;
    let address = Account::repeat_byte(0x5a);
    counter.chain.mine(vec![pay(address, 8_000_000)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    std::fs::write(counter.path("list"), format!("{address}\n")).expect("written");
    counter.json(&["address", "import", "list"]).await;
    counter.watch().await;
    // Its lock is a file that stays.
    assert_eq!(counter.run(&["reconcile", "--dry-run"]).await.code, 1);
    counter
}

#[tokio::test]
async fn nothing_is_repaired_where_it_cannot_be_written_down() {
    let counter = with_something_to_repair().await;
    std::fs::write(counter.path("taken"), "").expect("a file");
    let refused = counter.refused(&["reconcile", "--repair", "--out", "taken"]).await;
    assert!(refused.starts_with("--out: taken: "), "{refused}");
    std::fs::create_dir_all(counter.path("odd/report.json")).expect("a folder");
    let refused = counter.refused(&["reconcile", "--repair", "--out", "odd"]).await;
    assert_eq!(refused, "--out: odd/report.json exists, and is no file");
    // As a schedule does: again and again into one folder, also after it was killed.
    let said = counter.run(&["reconcile", "--repair", "--out", "reports"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("ingested: ethereum:"), "{said:?}");
    assert_eq!(counter.read("reports/report.txt"), said.out);
    std::fs::write(counter.path("reports/report.txt.partial"), "half").expect("written");
    let again = counter.run(&["reconcile", "--out", "reports"]).await;
    assert_eq!(counter.read("reports/report.txt"), again.out);
    assert!(again.code == 1 && !again.out.contains("ingested"), "{again:?}");
    let kept = std::fs::read_dir(counter.path("reports")).expect("the reports").count();
    assert_eq!(kept, 4);
}

/// The folder goes while it runs: what was ingested is told all the same.
#[tokio::test]
async fn what_was_repaired_is_told_where_the_report_cannot_be_kept() {
    let counter = with_something_to_repair().await;
    counter.node.fault(Fault::Delay { ms: 20 });
    let mut command = binary::command(counter.folder.path());
    command.args(["--json", "reconcile", "--repair", "--out", "reports"]);
    counter.node.forget_requests();
    let running = tokio::spawn(async move { Command::from(command).output().await });
    // Every file is begun before anything is asked.
    let begun = async {
        while counter.node.requests().total() == 0 {
            assert!(!running.is_finished(), "it asks nothing");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("it asks the node");
    assert!(counter.path("reports/deposits.csv.partial").exists(), "it begins its files late");
    std::fs::remove_dir_all(counter.path("reports")).expect("removed");
    let ended = running.await.expect("joined").expect("bursar runs");
    let report: Value = serde_json::from_slice(&ended.stdout).expect("a report");
    let repaired = report["repair"][0].as_str().expect("what was done");
    assert!(repaired.starts_with("ingested: ethereum:"), "{report:#}");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("open discrepanc") && last.contains("; --out: reports"), "{said}");
}
