//! What is asked of reconciliations besides a report: what is new since yesterday, who knows of it,
//! what the daemon found by itself, whether the billing service was told.
//!
//! In: payments and sweeps that a node hid, locks, rows that do not parse. Out: exit codes, JSON.
//! Why: what supervises this program has nothing but its exit code and its events.

use lab::tron::{Fault, Tx};
use serde_json::Value;
use sqlx::Connection as _;
use store::{OpenMode, Store};

use super::reconcile::{FORGETFUL, codes};
use super::{Engine, Shop, list, on_both_engines, payment, text};
use crate::live::daemon::Daemon;

on_both_engines!(runs_are_compared_and_their_findings_have_a_history, what_is_told_is_acknowledged);

impl Shop {
    /// Does what only somebody with the database's password can.
    async fn tamper(&self, statement: &str) {
        sqlx::any::install_default_drivers();
        let mut books = sqlx::AnyConnection::connect(&self.url).await.expect("the books");
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut books).await.expect("a hostile write");
        books.close().await.expect("closed");
    }

    /// The exit code of a command that prints no JSON, and its last line.
    async fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let (code, _, said) = self.ended(arguments).await;
        (code.expect("it ends by itself"), said.lines().last().unwrap_or_default().to_owned())
    }
}

/// The deposit address of an order.
pub(super) fn address_of(order: &Value) -> alloy::primitives::Address {
    let ours = payments::address::Address::parse(text(&order["address"])).expect("an address");
    alloy::primitives::Address::from(ours.0)
}

/// Who is in a list of findings, by code.
fn among(value: &Value) -> Vec<&str> {
    list(value).iter().map(|finding| text(&finding["code"])).collect()
}

async fn runs_are_compared_and_their_findings_have_a_history(engine: Engine) {
    let shop = Shop::open(engine, FORGETFUL).await;
    let mut daemon = shop.watching().await;
    let lost = shop.order("T-1", "tron", "50").await;
    shop.all_final(&mut daemon).await;
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    let block = shop.chain.mine(vec![payment(lost, 50)]);
    shop.node.fault(Fault::LostRows { tx: shop.chain.transactions(block.height)[0] });
    shop.all_final(&mut daemon).await;
    assert_eq!(shop.reconcile(&[]).await.0, 1);
    let diff = shop.bursar(&["reconcile", "diff", "1", "2"]).await;
    assert_eq!((among(&diff["new"]), among(&diff["over"])), (vec!["C101"], vec![]), "{diff:#}");
    assert_eq!((&diff["from"]["exit"], &diff["to"]["exit"]), (&0.into(), &1.into()));
    let id = text(&diff["new"][0]["id"]).to_owned();
    let by = ["--by", "maria", "--why", "the index is down"];
    shop.bursar(&[&["reconcile", "ack", &id[..12]], &by[..]].concat()).await;
    // A run that looks at less says nothing of the rest.
    assert_eq!(shop.reconcile(&["--chain", "ethereum"]).await.0, 0);
    let diff = shop.bursar(&["reconcile", "diff", "2", "3"]).await;
    assert_eq!(among(&diff["over"]), Vec::<&str>::new(), "{diff:#}");
    assert_eq!(among(&diff["not_looked_at"]), ["C101"]);
    assert_eq!(shop.reconcile(&["--repair"]).await.0, 0);
    let diff = shop.bursar(&["reconcile", "diff", "2", "4"]).await;
    assert_eq!((among(&diff["new"]), among(&diff["over"])), (vec![], vec!["C101"]), "{diff:#}");
    let shown = shop.bursar(&["reconcile", "show", &id[..12]]).await;
    assert_eq!((&shown["state"], &shown["last_run"]), (&"gone".into(), &2.into()), "{shown:#}");
    assert_eq!(list(&shown["runs"]).len(), 1, "{shown:#}");
    let said = &shown["marks"][0];
    assert_eq!((text(&said["state"]), text(&said["why"])), ("acknowledged", "the index is down"));
    let runs = shop.bursar(&["reconcile", "runs"]).await;
    let ended: Vec<i64> = list(&runs).iter().filter_map(|run| run["exit"].as_i64()).collect();
    assert_eq!(ended, [0, 0, 1, 0], "{runs:#}");
    assert_eq!(runs[1]["looked_at"], "chain ethereum");
    for (asked, words) in [
        (["diff", "2", "1"], "RUN2: must be later than RUN1"),
        (["diff", "1", "9"], "RUN2: there is no run 9"),
    ] {
        let (code, said) = shop.fails(&[&["reconcile"], &asked[..]].concat()).await;
        assert_eq!(code, 2);
        assert!(said.contains(words), "{said}");
    }
    daemon.stop().await;
    shop.verify().await;
}

/// A sweep that a node hid is found by the balance and by its log, and ingested: a person is asked.
#[tokio::test]
async fn an_outflow_that_was_missed_is_ingested() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.two_paid().await;
    let order = shop.show("T-1").await;
    let ours = address_of(&order);
    let thief = alloy::primitives::Address::repeat_byte(0x66);
    shop.hide(Tx::transfer(ours, thief, 30_000_000));
    shop.all_final(&mut daemon).await;
    // As long as it is hidden, the balance shows it.
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (1, vec!["B501"]), "{report:#}");
    let found = &report["discrepancies"][0];
    assert_eq!(found["amount"], "30.00");
    let ours_spelled = text(&order["address"]);
    assert!(ours_spelled.starts_with('T'), "{order:#}");
    assert_eq!(found["key"], format!("tron:{ours_spelled}"));
    let says = format!("the token says that {ours_spelled} holds 70.00, its transfers make 100.00");
    assert_eq!(found["what"], says);
    let shown = shop.bursar(&["reconcile", "show", &text(&found["id"])[..12]]).await;
    assert_eq!(shown["what"], says);
    assert_eq!(report["discrepancies"][0]["repairable"], false);
    shop.node.heal();
    let (code, report) = shop.reconcile(&["--repair", "--dry-run"]).await;
    assert_eq!((code, codes(&report)), (1, vec!["B502"]), "{report:#}");
    assert_eq!(report["discrepancies"][0]["repairable"], true);
    let (would, left) = (text(&report["repair"][0]), text(&report["discrepancies"][0]["what"]));
    assert!(would.starts_with("would ingest tron:") && would.ends_with(ours_spelled), "{would}");
    let thief_spelled = payments::address::Address([0x66; 20]).tron();
    let says = format!("30.00 left {ours_spelled} for {thief_spelled} in block ");
    assert!(left.starts_with(&says), "{left}");
    let (code, report) = shop.reconcile(&["--repair"]).await;
    assert!(text(&report["repair"][0]).starts_with("ingested: tron:"), "{report:#}");
    // It is in the books now, and only a person can say why.
    assert_eq!((code, codes(&report)), (1, vec!["B502"]), "{report:#}");
    let case = text(&report["discrepancies"][0]["case"]).to_owned();
    assert!(case.starts_with("unexplained_outflow:tron:"), "{case}");
    let held = shop.bursar(&["ledger", "balance", "custody:tron:"]).await;
    assert!(held.to_string().contains("-70.00"), "{held:#}");
    let decide = ["case", "resolve", &case, "dismiss", "--by", "maria", "--why", "a test"];
    shop.bursar(&decide).await;
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    daemon.stop().await;
    shop.verify().await;
}

#[tokio::test]
async fn a_run_beside_another_and_books_that_do_not_parse_have_codes_of_their_own() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    shop.two_paid().await.stop().await;
    let store = Store::open(&shop.url, OpenMode::Use).await.expect("the books");
    let lock = store.lock_runs().await.expect("asked").expect("free");
    let (code, said) = shop.fails(&["reconcile"]).await;
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("another run holds the lock"), "{said}");
    drop(lock);
    store.close().await;
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    // A folder that cannot be written.
    std::fs::write(shop.folder.path().join("taken"), "").expect("a file");
    let (code, said) = shop.fails(&["reconcile", "--out", "taken"]).await;
    assert!(code == 2 && said.contains("--out: taken: "), "{code}: {said}");
    // A row that does not parse is no discrepancy, and no clean run either.
    let id = "a".repeat(64);
    let row = format!("'{id}', 'C999', 'x', '0.00', 'low', 'x', 1, 1, 1, 1, 'open'");
    let columns = "id, code, key, amount, severity, what, first_run, first_as_of, last_run, \
        last_as_of, state";
    shop.tamper(&format!("INSERT INTO discrepancies ({columns}) VALUES ({row})")).await;
    let (code, said) = shop.fails(&["reconcile"]).await;
    assert_eq!(code, 70, "{said}");
    assert!(said.contains("discrepancies") && said.contains("code"), "{said}");
    // Nor are books that are none.
    let path = shop.url.strip_prefix("sqlite:").expect("a file");
    std::fs::write(path, "no database").expect("written");
    let (code, said) = shop.fails(&["reconcile"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is not an SQLite database"), "{said}");
}

#[tokio::test]
async fn a_run_with_a_second_endpoint_is_resumed_with_it() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    shop.two_paid().await.stop().await;
    let other = lab::evm::Node::start(shop.ethereum.clone()).await.expect("a port");
    let url = other.http_url();
    let store = Store::open(&shop.url, OpenMode::Use).await.expect("the books");
    // As a killed run leaves them.
    let options = format!(r#"{{"chain":"ethereum","from":null,"to":null,"second":"{url}"}}"#);
    let begun = store.begin_run(&options, bursar::clock::Clock::System.now()).await.expect("begun");
    store.close().await;
    let number = begun.to_string();
    for more in [&[][..], &["--second-endpoint", "http://127.0.0.1:9"]] {
        let (code, said) = shop.fails(&[&["reconcile", "--resume", &number], more].concat()).await;
        assert_eq!(code, 2);
        assert!(said.contains("--second-endpoint") && said.contains(&url), "{said}");
    }
    let before = other.requests().total();
    let resumed = ["--resume", &number, "--second-endpoint", &url];
    let (code, report) = shop.reconcile(&resumed).await;
    assert_eq!((code, list(&report["cut_offs"]).len()), (0, 1), "{report:#}");
    assert!(other.requests().total() > before, "the second endpoint was not asked");
    // Of what one of the two cannot read, neither says that the other left it out.
    other.fault(lab::evm::Fault::Gap { heights: 1..=shop.ethereum.tip().height - 6 });
    let second = ["--chain", "ethereum", "--second-endpoint", &url];
    let (code, report) = shop.reconcile(&second).await;
    let found = codes(&report);
    assert!(code == 3 && found.iter().all(|code| *code == "C108"), "{report:#}");
    other.heal();
    let (code, said) = shop.fails(&["reconcile", "--second-endpoint", &url]).await;
    assert_eq!(code, 2);
    assert!(said.contains("--chain"), "{said}");
    // What an endpoint lacks for now is evidence that is missing, and nobody's mistake.
    let spare = lab::tron::Node::start(shop.chain.clone()).await.expect("a port");
    let second = ["--chain", "tron", "--second-endpoint", &spare.url()];
    let (code, report) = shop.reconcile(&second).await;
    assert_eq!((code, codes(&report)), (3, vec!["C108"]), "{report:#}");
    assert!(text(&report["discrepancies"][0]["what"]).contains("solidity"), "{report:#}");
}

/// Every so often the daemon looks by itself; what it finds is an event, and no discrepancy of the
/// part that it did not look at is taken for gone.
#[tokio::test]
async fn the_daemon_looks_by_itself_and_tells() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.two_paid().await;
    let order = shop.show("T-1").await;
    let ours = address_of(&order);
    daemon.stop().await;
    shop.rewrite(|config| format!("{config}\n[reconcile]\nevery = \"100ms\"\n"));
    daemon = shop.daemon();
    looked(&mut daemon, "chain and books agree").await;
    let status = shop.bursar(&["status"]).await;
    assert_eq!(status["last_reconcile"]["exit"], 0, "{status:#}");
    assert_eq!((&status["open_cases"], &status["open_discrepancies"]), (&0.into(), &0.into()));
    for chain in list(&status["chains"]) {
        assert_eq!(
            (&chain["standing"], &chain["lag"]),
            (&"watched".into(), &0.into()),
            "{status:#}"
        );
        assert_eq!(chain["endpoints"][0]["why"], Value::Null, "{status:#}");
    }
    // What left is hidden: the balance says so within the next look.
    let thief = alloy::primitives::Address::repeat_byte(0x66);
    shop.hide(Tx::transfer(ours, thief, 30_000_000));
    shop.all_final(&mut daemon).await;
    looked(&mut daemon, "chain and books do not agree: `bursar reconcile`").await;
    daemon.stop().await;
    let store = Store::open(&shop.url, OpenMode::Use).await.expect("the books");
    let events = store.events(0, 10_000).await.expect("events");
    store.close().await;
    let told = events.iter().filter(|event| event.kind.word() == "reconcile.failed");
    let told: Vec<_> = told.collect();
    assert!(!told.is_empty(), "nobody was told");
    assert!(told[0].data.contains("1 open discrepancy"), "{:?}", told[0]);
    let known = shop.bursar(&["reconcile", "list"]).await;
    assert_eq!(among(&known), ["B501"], "{known:#}");
    let runs = shop.bursar(&["reconcile", "runs", "--limit", "1"]).await;
    assert_eq!(runs[0]["looked_at"], "what was new", "{runs:#}");
    shop.ethereum_node.stop().await;
    let status = shop.bursar(&["status"]).await;
    assert_eq!(status["last_reconcile"]["exit"], 1, "{status:#}");
    assert_eq!(status["open_discrepancies"], 1, "{status:#}");
    let ethereum = &status["chains"][0];
    assert!(ethereum["endpoints"][0]["why"].is_string(), "{status:#}");
}

pub(super) async fn looked(daemon: &mut Daemon, message: &str) {
    let said = |heard: &[crate::live::daemon::Line]| {
        heard.iter().any(|line| line.message() == message).then_some(())
    };
    daemon.until(message, said).await;
}

/// A sweep below the first height that is read is known by the books.
#[tokio::test]
async fn a_part_above_a_sweep_is_clean() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.two_paid().await;
    let order = shop.show("T-1").await;
    let ours = address_of(&order);
    let treasury = alloy::primitives::Address::repeat_byte(0x77);
    shop.chain.mine(vec![Tx::transfer(ours, treasury, 30_000_000)]);
    shop.all_final(&mut daemon).await;
    daemon.told("case.opened", "T-1").await;
    let case = shop.bursar(&["case", "list"]).await;
    let case = text(&case["cases"][0]["id"]).to_owned();
    let decide = ["case", "resolve", &case, "dismiss", "--by", "maria", "--why", "a sweep"];
    shop.bursar(&decide).await;
    shop.chain.mine(vec![payment(ours, 5).tagged(9)]);
    shop.all_final(&mut daemon).await;
    let last = shop.chain.solid().height;
    shop.all_final(&mut daemon).await;
    let from = last.to_string();
    let (_, report) = shop.reconcile(&["--chain", "tron", "--from", &from]).await;
    assert!(!codes(&report).contains(&"B501"), "{report:#}");
    daemon.stop().await;
}

async fn what_is_told_is_acknowledged(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    shop.rewrite(|config| format!("{config}\n[reconcile]\nacknowledged_within = \"1s\"\n"));
    let mut daemon = shop.two_paid().await;
    // Later blocks are dated later: what was told before them is due.
    for _ in 0..3 {
        shop.all_final(&mut daemon).await;
    }
    daemon.stop().await;
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (1, vec!["G405"]), "{report:#}");
    let (code, said) = shop.fails(&["events", "ack", "--through", "999999"]).await;
    assert_eq!(code, 2);
    assert!(said.contains("--through: 999999 is above"), "{said}");
    let store = Store::open(&shop.url, OpenMode::Use).await.expect("the books");
    let events = store.events(0, 10_000).await.expect("events");
    store.close().await;
    let told = events.iter().rev().find_map(|event| Some((event.seq, event.head?)));
    let (seq, head) = told.expect("a head");
    let (through, head) = (seq.to_string(), head.to_string());
    let explained = shop.bursar(&["explain", "E-1"]).await;
    assert_eq!(explained["story"][0]["events"][0]["acknowledged"], false, "{explained:#}");
    // A head of another log, and one that these books never reached.
    let other = format!("1:{}", "0".repeat(64));
    for (through, head) in [(through.as_str(), other.as_str()), ("999999", head.as_str())] {
        let asked = ["events", "ack", "--through", through, "--head", head];
        let (code, said) = shop.fails(&asked).await;
        assert_eq!(code, 4, "{said}");
    }
    shop.bursar(&["events", "ack", "--through", &through, "--head", &head]).await;
    let all = events.len().to_string();
    let acked = shop.bursar(&["events", "ack", "--through", &all]).await;
    assert_eq!(acked["acknowledged"], events.len());
    // It does not go back.
    let acked = shop.bursar(&["events", "ack", "--through", "1"]).await;
    assert_eq!(acked["acknowledged"], events.len());
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    let explained = shop.bursar(&["explain", "E-1"]).await;
    assert_eq!(explained["story"][0]["events"][0]["acknowledged"], true, "{explained:#}");
}
