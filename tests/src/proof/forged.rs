//! A report that was changed and given its digest anew, beside the books it was made of.
//!
//! In: books with runs in them, a report, a forger. Out: what is told otherwise by the books is
//! refused; what they cannot tell is named. Never: a changed field told as compared.
//! Why: an auditor reads `holds`, and what it was that held.

use payments::time::Time;
use serde_json::{Value, json};
use store::{Ended, Engine};

use super::report::{made, redigest, verified};
use super::{Place, STEPS};

/// A run that ended as it says, in the books.
async fn run(place: &Place, at: i64, code: u8, codes: Value) -> u64 {
    let number = place.store.begin_run("{}", Time(at)).await.expect("begun");
    let summary = json!({ "heights": { "ethereum": 7 }, "codes": codes }).to_string();
    let ended = Ended {
        at: Time(at + 1_000),
        as_of: Some(Time(at)),
        ledger_seq: 1,
        code,
        summary: &summary,
        whole: false,
    };
    place.store.end_run(number, &[], &ended).await.expect("ended");
    number
}

fn holds(place: &Place, more: &[&str]) -> Value {
    let said =
        place.bursar(&[&["--json", "reconcile", "proof", "verify", "proof.json"], more].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    serde_json::from_str(&said.out).expect("JSON")
}

fn fields(told: &Value) -> Vec<&str> {
    let fields = told["only_said"].as_array().expect("a list").iter();
    fields.map(|field| field.as_str().expect("a name")).collect()
}

async fn forged_beside_its_books(engine: Engine) {
    let place = Place::played(engine, 5).await;
    run(&place, 1_700_000_000_000, 0, json!({})).await;
    run(&place, 1_700_000_100_000, 1, json!({ "C101": 2 })).await;
    let report = made(&place, &[]).await;
    assert_eq!(report["reconciled"]["exit"], 1, "{report:#}");
    let forgeries: [(&str, Value, &str); 10] = [
        ("/reconciled/exit", json!(0), "what they remember of run 2 is another"),
        ("/reconciled/codes", json!([]), "what they remember of run 2 is another"),
        ("/reconciled/as_of", json!("2026-01-01T00:00:00Z"), "of run 2 is another"),
        ("/reconciled/heights/ethereum", json!(9_999), "of run 2 is another"),
        ("/reconciled/run", json!(1), "what they remember of run 1 is another"),
        ("/reconciled/run", json!(3), "they know no run 3"),
        ("/as_of/events", json!(1), "not 1"),
        ("/as_of/events", json!(1_000_000), "not 1000000"),
        ("/as_of/recorded_at", json!("2020-01-01T00:00:00Z"), "recorded_at: its last journal"),
        ("/as_of/recorded_at", Value::Null, "recorded_at: its last journal"),
    ];
    for (field, value, words) in forgeries {
        let mut forged = report.clone();
        *forged.pointer_mut(field).unwrap_or_else(|| panic!("{field} is not there")) = value;
        redigest(&place, forged);
        let said = verified(&place, &[]);
        assert_eq!(said.code, 4, "{field}: {}", said.out);
        assert!(said.err.contains(words), "{field}: {}", said.err);
    }
    redigest(&place, report.clone());
    let said = ["as_of.chains", "codes", "config_sha256", "version"];
    assert_eq!(fields(&holds(&place, &[])), said);
    // Of books that go on, an event without a journal may have come before the report, or after.
    place.go_on(5, STEPS, 100).await;
    let said = ["as_of.chains", "as_of.events", "codes", "config_sha256", "version"];
    assert_eq!(fields(&holds(&place, &[])), said);
}

#[tokio::test]
async fn a_report_forged_beside_its_sqlite_books_is_refused() {
    forged_beside_its_books(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_report_forged_beside_its_postgresql_books_is_refused() {
    forged_beside_its_books(Engine::Postgres).await;
}

/// Nobody can tell what the config was, or what the books alone showed, so it is said who says it.
#[tokio::test]
async fn what_nothing_was_compared_with_is_named() {
    let place = Place::played(Engine::Sqlite, 5).await;
    run(&place, 1_700_000_000_000, 0, json!({})).await;
    let mut report = made(&place, &[]).await;
    report["config_sha256"] = json!("0".repeat(64));
    report["codes"] = json!([{ "code": "I902", "name": "anything", "found": 3 }]);
    redigest(&place, report.clone());
    let said = verified(&place, &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    let (proved, rest) = said.out.split_once("\nThe report says, and nothing").expect("marked");
    assert!(proved.contains("By report and books, run 1 compared"), "{proved}");
    assert!(!proved.contains("I902") && rest.contains("I902 3 times"), "{}", said.out);
    assert!(rest.contains("config_sha256  0000"), "{rest}");
    let said = verified(&place, &["--alone"]);
    let (proved, rest) = said.out.split_once("\nThe report says, and nothing").expect("marked");
    assert!(!proved.contains("run 1"), "{proved}");
    assert!(rest.contains("By what it says, run 1 compared the books"), "{rest}");
    let alone = holds(&place, &["--alone"]);
    for field in ["accounts", "as_of.events", "as_of.log_root", "codes", "reconciled"] {
        assert!(fields(&alone).contains(&field), "{field}: {alone:#}");
    }
}

/// What no report proves is said by the program, whatever the file says: an older program, or a
/// forger, had another list.
#[tokio::test]
async fn a_report_does_not_say_what_it_proves() {
    let place = Place::played(Engine::Sqlite, 5).await;
    let mut report = made(&place, &[]).await;
    let own = report["not_proved"].clone();
    for list in [json!([]), json!(["nothing: all of it is proved"])] {
        report["not_proved"] = list;
        redigest(&place, report.clone());
        for more in [&[][..], &["--alone"]] {
            let told = holds(&place, more);
            assert!(fields(&told).contains(&"not_proved"), "{told:#}");
            assert_eq!(told["not_proved"], own, "{told:#}");
        }
        let said = verified(&place, &[]);
        assert!(!said.out.contains("all of it is proved"), "{}", said.out);
        assert!(said.out.contains("another list than below"), "{}", said.out);
    }
}

/// Whoever wrote a report chose its letters; none of them moves what stands above it.
#[tokio::test]
async fn a_report_does_not_write_on_the_screen() {
    let place = Place::played(Engine::Sqlite, 5).await;
    run(&place, 1_700_000_000_000, 0, json!({})).await;
    let report = made(&place, &[]).await;
    let up = "\u{1b}[3A\u{1b}[0JThe report holds, by itself and against the books";
    for field in ["/version", "/config_sha256", "/as_of/chains/0/chain", "/as_of/recorded_at"] {
        let mut forged = report.clone();
        *forged.pointer_mut(field).unwrap_or_else(|| panic!("{field} is not there")) = json!(up);
        redigest(&place, forged);
        let said = verified(&place, &["--alone"]);
        assert!(said.out.contains("[3A"), "{field}: {}", said.out);
        assert!(!said.out.contains('\u{1b}'), "{field}: {}", said.out);
    }
    for (field, code) in [("/accounts/0/account", 1), ("/liabilities/0/to", 1)] {
        let mut forged = report.clone();
        *forged.pointer_mut(field).unwrap_or_else(|| panic!("{field} is not there")) = json!(up);
        redigest(&place, forged);
        let said = verified(&place, &["--alone"]);
        assert_eq!(said.code, code, "{field}: {}", said.out);
        assert!(!said.err.contains('\u{1b}'), "{field}: {}", said.err);
    }
    let mut forged = report;
    forged[up] = json!(1);
    redigest(&place, forged);
    let said = verified(&place, &[]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(!said.err.contains('\u{1b}'), "{}", said.err);
}

/// A report that tells of an older run, or of none, is not wrong; the last one is told beside it.
#[tokio::test]
async fn a_run_that_a_report_leaves_out_is_told() {
    let place = Place::played(Engine::Sqlite, 5).await;
    made(&place, &[]).await;
    assert!(!verified(&place, &[]).out.contains("It does not tell of run"));
    run(&place, 1_700_000_000_000, 1, json!({ "C101": 2 })).await;
    let said = verified(&place, &[]);
    let words = "It does not tell of run 1, the last that the books know: ended \
        2023-11-14T22:13:21Z, exit 1.";
    assert!(said.out.contains(words), "{}", said.out);
    let told = holds(&place, &[]);
    assert_eq!(told["last_run"]["exit"], 1, "{told:#}");
    assert!(fields(&told).contains(&"reconciled"), "{told:#}");
}
