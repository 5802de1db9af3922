//! `bursar reconcile` over both chains: what it finds, mends, and never calls clean.
//!
//! In: payments that somebody lost, endpoints that are down, behind or lying, kills.
//! Out: exit codes and reports. Why: finance decides by the exit code alone.

use std::process::Stdio;

use lab::evm::{self, BeyondTip};
use lab::tron::Fault;
use payments::time::Time;
use serde_json::Value;
use sqlx::Connection as _;
use store::{OpenMode, Store};
use tokio::process::Command;

use super::{Engine, Shop, list, on_both_engines, payment, text};
use crate::binary;
use crate::live::daemon::Daemon;

/// An index that forgets, and nobody who reads the blocks behind it.
pub(super) const FORGETFUL: &str = "read = \"accounts\"\naccounts = { blocks_behind = false }";

on_both_engines!(what_is_right_is_reconciled, a_payment_that_an_index_lost_is_found_and_ingested,);

/// A payment in whole USDT to an order on Ethereum.
pub(super) fn ether_payment(to: alloy::primitives::Address, usdt: u64) -> evm::Tx {
    evm::Tx::transfer(alloy::primitives::Address::repeat_byte(0xbb), to, usdt * 1_000_000)
}

impl Shop {
    /// Both chains final, and recorded. What waits for that may be decided by the look after: one
    /// that is under way has asked before what is final.
    pub(super) async fn all_final(&self, daemon: &mut Daemon) {
        self.solidify();
        let tip = self.ethereum.mine_empty(6);
        daemon.recorded_on("ethereum", tip.height).await;
        daemon.recorded_on("tron", self.chain.solid().height).await;
    }

    /// Runs a reconciliation: its exit code and its report.
    pub(super) async fn reconcile(&self, options: &[&str]) -> (i32, Value) {
        let (code, stdout, stderr) = self.ended(&[&["reconcile"], options].concat()).await;
        let report = serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{why}: {stderr}"));
        (code.expect("a code"), report)
    }

    /// The same as it is written, for comparisons.
    async fn reconciled(&self, options: &[&str]) -> (i32, String) {
        let (code, stdout, stderr) = self.ended(&[&["reconcile"], options].concat()).await;
        (code.unwrap_or_else(|| panic!("{stderr}")), stdout)
    }

    /// One order on each chain, paid and credited.
    pub(super) async fn two_paid(&self) -> Daemon {
        let mut daemon = self.watching().await;
        let tron = self.order("T-1", "tron", "100").await;
        let ether = self.order("E-1", "ethereum", "40").await;
        self.chain.mine(vec![payment(tron, 60), payment(tron, 40).tagged(1)]);
        self.ethereum.mine(vec![ether_payment(ether, 40)]);
        self.all_final(&mut daemon).await;
        daemon.told("credits.granted", "T-1").await;
        daemon.told("credits.granted", "E-1").await;
        daemon
    }
}

pub(super) fn codes(report: &Value) -> Vec<&str> {
    list(&report["discrepancies"]).iter().map(|finding| text(&finding["code"])).collect()
}

async fn what_is_right_is_reconciled(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let daemon = shop.two_paid().await;
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (0, vec![]), "{report:#}");
    let deposits = &report["deposits"];
    assert_eq!(deposits[0]["disposition"], "credited", "{report:#}");
    assert_eq!((&deposits[0]["count"], &deposits[0]["amount"]), (&3.into(), &"140.00".into()));
    assert_eq!(list(&report["cut_offs"]).len(), 2);
    for cut in list(&report["cut_offs"]) {
        assert_eq!(cut["balances"], 1, "{report:#}");
    }
    // The same facts, the same bytes; a run that remembers nothing says the same.
    let first = shop.reconciled(&[]).await;
    assert_eq!(shop.reconciled(&["--dry-run"]).await, first);
    daemon.stop().await;
    assert_eq!(shop.reconciled(&["--out", "audit"]).await, first);
    let written = std::fs::read_to_string(shop.folder.path().join("audit/report.json"));
    assert_eq!(written.expect("a report"), first.1);
    let lines = std::fs::read_to_string(shop.folder.path().join("audit/deposits.csv"));
    assert_eq!(lines.expect("a list").lines().count(), 4);
    shop.bursar(&["reconcile", "proof", "make", "--out", "proof.json"]).await;
    let proof = shop.bursar(&["reconcile", "proof", "verify", "proof.json"]).await;
    assert_eq!(proof["reconciled"]["exit"], 0, "{proof:#}");
    assert_eq!(proof["reconciled"]["codes"], serde_json::json!([]));
    assert_eq!(proof["reconciled"]["heights"]["tron"], report["cut_offs"][1]["height"]);
    // Only a part of it, by height and by time.
    let solid = shop.chain.solid().height.to_string();
    let (code, report) = shop.reconcile(&["--chain", "tron", "--from", &solid]).await;
    assert_eq!((code, codes(&report)), (0, vec![]), "{report:#}");
    assert_eq!(report["deposits"][0]["disposition"], "credited", "{report:#}");
    let (code, _, said) = shop.ended(&["reconcile", "--from", "yesterday"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--from"), "{said}");
}

async fn a_payment_that_an_index_lost_is_found_and_ingested(engine: Engine) {
    let shop = Shop::open(engine, FORGETFUL).await;
    let mut daemon = shop.watching().await;
    let paid = shop.order("T-1", "tron", "100").await;
    let lost = shop.order("T-2", "tron", "50").await;
    let block = shop.chain.mine(vec![payment(paid, 100), payment(lost, 50).tagged(1)]);
    let [_, tx] = shop.chain.transactions(block.height)[..] else { panic!("two transactions") };
    shop.node.fault(Fault::LostRows { tx });
    shop.all_final(&mut daemon).await;
    daemon.told("credits.granted", "T-1").await;
    assert_eq!(shop.show("T-2").await["status"], "awaiting_payment");
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (1, vec!["C101"]), "{report:#}");
    let finding = &report["discrepancies"][0];
    assert_eq!(finding["key"], format!("tron:{tx}:0"));
    assert_eq!((text(&finding["amount"]), text(&finding["severity"])), ("50.00", "critical"));
    // What would be done, and it is not done.
    let (code, report) = shop.reconcile(&["--repair", "--dry-run"]).await;
    assert_eq!(code, 1);
    assert!(text(&report["repair"][0]).starts_with("would ingest"), "{report:#}");
    assert_eq!(shop.show("T-2").await["status"], "awaiting_payment");
    // It has an age, and a person can say that it is known.
    let id = text(&finding["id"]).to_owned();
    let by = ["--by", "maria", "--why", "the index is down"];
    let marked = shop.bursar(&[&["reconcile", "ack", &id[..12]], &by[..]].concat()).await;
    assert_eq!((text(&marked["state"]), text(&marked["by"])), ("acknowledged", "maria"));
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (0, vec!["C101"]), "{report:#}");
    let shown = shop.bursar(&["reconcile", "show", &id[..8]]).await;
    assert_eq!(shown["first_run"], 1, "{shown}");
    // The daemon is running beside it.
    let (code, report) = shop.reconcile(&["--repair"]).await;
    assert_eq!((code, codes(&report)), (0, vec![]), "{report:#}");
    assert!(text(&report["repair"][0]).starts_with("ingested"), "{report:#}");
    daemon.stop().await;
    assert_eq!(shop.show("T-2").await["status"], "paid");
    let over = shop.bursar(&["reconcile", "list", "--all"]).await;
    assert_eq!(over[0]["state"], "gone", "{over}");
    shop.verify().await;
}

/// The row of a deposit is taken out of the database behind its back.
#[tokio::test]
async fn a_deposit_that_was_taken_out_of_the_books_is_found_and_they_are_called_broken() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("E-1", "ethereum", "40").await;
    let block = shop.ethereum.mine(vec![ether_payment(to, 40)]);
    daemon.told("deposit.detected", "E-1").await;
    daemon.recorded_on("ethereum", block.height).await;
    daemon.stop().await;
    let mut books = sqlx::SqliteConnection::connect(&shop.url).await.expect("the books");
    let query = "SELECT sql FROM sqlite_master WHERE name = 'deposits_stay'";
    let trigger: String = sqlx::query_scalar(query).fetch_one(&mut books).await.expect("one");
    for statement in ["DROP TRIGGER deposits_stay", "DELETE FROM deposits", &trigger] {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut books).await.expect("a hostile write");
    }
    books.close().await.expect("closed");
    let mut daemon = shop.daemon();
    shop.all_final(&mut daemon).await;
    assert_eq!(shop.show("E-1").await["status"], "awaiting_payment");
    let (code, report) = shop.reconcile(&["--chain", "ethereum"]).await;
    // The event that told of it names a row that is gone: no rule leads to such books.
    assert_eq!((code, codes(&report)), (4, vec!["I902", "C101"]), "{report:#}");
    let (code, report) = shop.reconcile(&["--repair", "--chain", "ethereum"]).await;
    assert_eq!((code, codes(&report)), (4, vec!["I902", "C101"]), "{report:#}");
    assert_eq!(report["repair"][0], "nothing is repaired while the books are broken");
    // A person may: the customer has what was paid for, what was done to the books stays seen.
    let height = block.height.to_string();
    let range = ["rescan", "--chain", "ethereum", "--from", &height, "--to", &height];
    shop.bursar(&range).await;
    assert_eq!(shop.show("E-1").await["status"], "paid");
    let (code, report) = shop.reconcile(&["--chain", "ethereum"]).await;
    assert_eq!((code, codes(&report)), (4, vec!["I902"]), "{report:#}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_behind_or_lying_is_never_clean() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    shop.two_paid().await.stop().await;
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    let (node, ethereum) = (&shop.node, &shop.ethereum_node);
    // Lying: a log that is there is left out, or not to be had at all.
    let paid = (0..).find_map(|at| shop.ethereum.transactions(at).first().copied());
    let tx = paid.expect("a payment");
    ethereum.fault(evm::Fault::OmitLog { tx });
    ethereum.fault(evm::Fault::OmitReceiptLogs { tx });
    let (code, report) = shop.reconcile(&[]).await;
    assert_ne!(code, 0, "{report:#}");
    ethereum.heal();
    let paid = (1..).map(|at| shop.chain.transactions(at)).find(|txs| txs.len() == 2);
    node.fault(Fault::OmitLogs { tx: paid.expect("two payments")[0] });
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!(code, 1, "{report:#}");
    assert!(codes(&report).contains(&"C102"), "{report:#}");
    node.heal();
    // Behind.
    ethereum.fault(evm::Fault::Lag { blocks: 5, beyond: BeyondTip::Clamp });
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (3, vec!["C108"]), "{report:#}");
    ethereum.heal();
    node.fault(Fault::SolidityLag { blocks: 30 });
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (3, vec!["C108"]), "{report:#}");
    node.heal();
    // Down; and a second one that is down beside a first that is not.
    let dead = ["--chain", "ethereum", "--second-endpoint", "http://127.0.0.1:9"];
    let (code, report) = shop.reconcile(&dead).await;
    assert_eq!((code, codes(&report)), (3, vec!["C108"]), "{report:#}");
    ethereum.stop().await;
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (3, vec!["C108"]), "{report:#}");
    ethereum.restart().await.expect("up again");
    // A second endpoint that tells less than the first.
    let other = evm::Node::start(shop.ethereum.clone()).await.expect("a port");
    let url = other.http_url();
    let both = ["--chain", "ethereum", "--second-endpoint", &url];
    assert_eq!(shop.reconcile(&both).await.0, 0);
    other.fault(evm::Fault::OmitLog { tx });
    other.fault(evm::Fault::OmitReceiptLogs { tx });
    let (code, report) = shop.reconcile(&both).await;
    assert_ne!(code, 0, "{report:#}");
    assert_eq!(shop.reconcile(&[]).await.0, 0);
}

/// Killed wherever it is, and resumed, it ends with the bytes of a run that was not.
#[tokio::test]
async fn a_run_that_was_killed_is_resumed_to_the_same_bytes() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.two_paid().await;
    let to = shop.order("T-2", "tron", "10").await;
    shop.chain.mine(vec![payment(to, 13)]);
    shop.all_final(&mut daemon).await;
    daemon.told("case.opened", "T-2").await;
    daemon.stop().await;
    let expected = shop.reconciled(&[]).await;
    assert_eq!(expected.0, 1, "{}", expected.1);
    let requests = || shop.node.requests().total() + shop.ethereum_node.requests().total();
    let before = requests();
    assert_eq!(shop.reconciled(&[]).await, expected);
    let whole = requests() - before;
    assert!(whole >= 20, "{whole} requests are too few to be killed between");
    let mut run = 2;
    for point in 0..20 {
        let wanted = requests() + whole * point / 20;
        let mut command = Command::from(binary::command(shop.folder.path()));
        command.args(["--json", "reconcile"]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("bursar runs");
        let mut said = tokio::io::BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut said, &mut line).await.expect("its number");
        run += 1;
        assert!(line.starts_with(&format!("run {run};")), "{line}");
        while requests() < wanted && child.try_wait().expect("a child").is_none() {
            tokio::task::yield_now().await;
        }
        child.start_kill().expect("killed");
        let ended = child.wait().await.expect("ended");
        if ended.code().is_some() {
            // It was quicker than the kill.
            continue;
        }
        let number = run.to_string();
        assert_eq!(shop.reconciled(&["--resume", &number]).await, expected, "point {point}");
    }
    let (code, _, said) = shop.ended(&["reconcile", "--resume", "1"]).await;
    assert_eq!(code, Some(2), "{said}");
    // What it had gathered is let go of where another one has looked at everything.
    let store = Store::open(&shop.url, OpenMode::Use).await.expect("the books");
    let options = store.run_of(1).await.expect("a run").expect("a run").options;
    let late = store.begin_run(&options, Time(1)).await.expect("begun").to_string();
    store.close().await;
    shop.reconciled(&[]).await;
    let (code, _, said) = shop.ended(&["reconcile", "--resume", &late]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("has looked at everything since; begin another"), "{said}");
}
