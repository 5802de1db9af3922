//! `bursar reconcile proof`: a report holds by itself, holds against its books, and shows any hand
//! laid on it or on them.

use serde_json::{Value, json};
use store::Engine;

use super::{Place, STEPS};

pub(super) async fn made(place: &Place, more: &[&str]) -> Value {
    let out = place.folder.path().join("proof.json");
    let path = out.to_str().expect("UTF-8");
    place.good(&[&["reconcile", "proof", "make", "--force", "--out", path], more].concat());
    serde_json::from_slice(&std::fs::read(out).expect("the report")).expect("JSON")
}

pub(super) fn verified(place: &Place, more: &[&str]) -> super::Said {
    place.bursar(&[&["reconcile", "proof", "verify", "proof.json"], more].concat())
}

async fn a_report_holds(engine: Engine) {
    let place = Place::played(engine, 5).await;
    let journals = place.store.journals(0, u32::MAX).await.expect("journals");
    let (_, middle) = &journals[journals.len() / 2];
    let (_, granted) = journals
        .iter()
        .find(|(_, journal)| journal.key.starts_with("paid:"))
        .expect("something is paid");
    let customer = granted.entries.iter().find_map(|entry| {
        let account = entry.credit.to_string();
        account.strip_prefix("customer:").map(str::to_owned)
    });
    let customer = customer.expect("a customer");
    let moment = bursar::clock::rfc3339(middle.recorded);
    let more = ["--from", &moment, "--journal", &middle.key, "--customer", &customer];
    let report = made(&place, &more).await;
    assert_eq!(report["as_of"]["journals"], journals.len());
    assert!(report["inclusions"].as_array().expect("proofs").len() >= 2);
    assert!(!report["as_of"]["chains"].as_array().expect("chains").is_empty());
    let text = report["inclusions"].to_string();
    assert!(text.contains(&middle.key) && text.contains(&granted.key));
    let said = verified(&place, &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.starts_with("The report holds, by itself and against the books"),
        "{}",
        said.out
    );
    let said = verified(&place, &["--alone"]);
    assert!(said.out.starts_with("The report holds, by itself:"), "{}", said.out);
    // The books go on; what was reported of them stays true.
    place.go_on(5, STEPS, 100).await;
    assert_eq!(verified(&place, &[]).code, 0);
}

#[tokio::test]
async fn a_report_holds_on_sqlite() {
    a_report_holds(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_report_holds_on_postgresql() {
    a_report_holds(Engine::Postgres).await;
}

/// A field of a report, and another value for it, with the digest made anew: what a forger does.
#[tokio::test]
async fn a_forged_report_does_not_hold() {
    let place = Place::played(Engine::Sqlite, 5).await;
    let journals = place.store.journals(0, u32::MAX).await.expect("journals");
    let report = made(&place, &["--journal", &journals[2].1.key]).await;
    let root = "0".repeat(64);
    let forgeries: [(&str, Value, &str); 8] = [
        ("/accounts/0/closing", json!("1.000001"), "opening and movements"),
        ("/accounts/0/debits", json!("1e3"), "is no amount"),
        ("/custody/0/amount", json!("0.000001"), "custody"),
        ("/liabilities/0/amount", json!("123456.00"), "liabilities"),
        ("/as_of/log_root", json!(root), "its path does not lead to the root"),
        ("/inclusions/0/text", json!("bursar journal 1\n"), "its path does not lead to the root"),
        ("/inclusions/0/journal", json!(4), "its path does not lead to the root"),
        ("/accounts/0/account", json!("petty cash"), "accounts: petty cash is none"),
    ];
    for (field, value, words) in forgeries {
        let mut forged = report.clone();
        *forged.pointer_mut(field).unwrap_or_else(|| panic!("{field} is not there")) = value;
        write(&place, &forged);
        let said = verified(&place, &["--alone"]);
        assert_eq!(said.code, 1, "{field}");
        assert!(said.err.contains("digest: is not that of the rest"), "{field}: {}", said.err);
        redigest(&place, forged);
        let said = verified(&place, &["--alone"]);
        assert_eq!(said.code, 1, "{field}: {}", said.out);
        assert!(said.err.contains(words), "{field}: {}", said.err);
    }
    for (text, words) in [("{}", "is no proof report"), ("[", "is no proof report")] {
        std::fs::write(place.folder.path().join("proof.json"), text).expect("written");
        let said = verified(&place, &[]);
        assert_eq!(said.code, 2);
        assert!(said.err.contains(words), "{}", said.err);
    }
}

fn write(place: &Place, report: &Value) {
    let text = serde_json::to_string(report).expect("JSON");
    std::fs::write(place.folder.path().join("proof.json"), text).expect("written");
}

/// Makes the digest anew, as a forger would.
pub(super) fn redigest(place: &Place, mut report: Value) {
    use sha2::{Digest, Sha256};
    report["digest"] = json!("");
    let digest = Sha256::digest(report.to_string().as_bytes());
    report["digest"] = json!(payments::address::lower_hex(&digest));
    write(place, &report);
}

/// A report of other books, and of books that were changed since.
#[tokio::test]
async fn a_report_of_other_books_is_refused() {
    let place = Place::played(Engine::Sqlite, 5).await;
    made(&place, &[]).await;
    let other = Place::played(Engine::Sqlite, 1_007).await;
    let path = place.folder.path().join("proof.json");
    let path = path.to_str().expect("UTF-8");
    let said = other.bursar(&["reconcile", "proof", "verify", path]);
    assert_eq!(said.code, 4, "{}", said.out);
    assert!(said.err.contains("the books are not those of"), "{}", said.err);
    let said = place.bursar(&["reconcile", "proof", "make", "--out", "x", "--journal", "paid:no"]);
    assert_eq!(said.code, 2);
    assert!(said.err.starts_with("bursar: --journal: there is no journal `paid:no`"));
}
