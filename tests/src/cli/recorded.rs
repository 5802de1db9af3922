//! What is told where nobody records any more, and of what was recorded long ago.
//!
//! In: a chain whose newest recorded block is old, config that was changed since, many cases.
//! Out: until when everything is known. Never: `watched` of what nobody watches; a number or a rule
//! that is not in the books. Why: a killed daemon leaves no mark, and today's config is not then's.

use alloy::primitives::Address as Account;
use serde_json::Value;

use super::counter::{Counter, create, pay};

/// The words, up to how long ago that is.
fn nothing_newer(counter: &Counter) -> String {
    let height = counter.chain.tip().height;
    let seconds = counter.chain.time(height).expect("the tip");
    let time = payments::time::Time(i64::try_from(seconds).expect("a time") * 1_000);
    format!("nothing newer than {} is recorded, ", bursar::clock::rfc3339(time))
}

/// The daemon was killed two hours ago, or the chain is as old: the books do not know which.
#[tokio::test]
async fn a_chain_that_nobody_records_is_not_called_watched() {
    let counter = Counter::behind(2 * 3_600).await;
    // While it ran, nothing was old.
    counter.write_with("decimals = 6\n", "decimals = 6\nsilent_after = \"never\"\n");
    counter.order("A-1").await;
    counter.watch().await;
    counter.write(&counter.config());
    let words = nothing_newer(&counter);
    let fits = |value: &Value| value.as_str().is_some_and(|text| text.contains(&words));
    let status = counter.json(&["status"]).await;
    let chain = &status["chains"][0];
    assert!(fits(&chain["standing"]), "{chain}");
    assert!(chain["silent"]["seconds"].as_u64().is_some_and(|age| age >= 7_200), "{chain}");
    let shown = counter.json(&["chain", "show"]).await;
    assert_eq!(shown["chains"][0]["state"], "silent", "{shown}");
    assert!(words.contains(shown["chains"][0]["silent"]["recorded_to"].as_str().expect("a time")));
    let order = counter.json(&["order", "show", "A-1"]).await;
    assert!(fits(&order["standstill"]), "{order}");
    let told = counter.json(&["explain", "A-1"]).await;
    assert!(fits(&told["story"][0]["next"]), "{told}");
    let customer = counter.json(&["explain", "acme"]).await;
    assert!(fits(&customer["story"][0]["orders"][0]["next"]), "{customer}");
    for asked in
        [&["status"][..], &["chain", "show"], &["order", "show", "A-1"], &["explain", "A-1"]]
    {
        let text = counter.good(asked).await;
        assert!(text.contains(&words) && text.contains("does the daemon run?"), "{text}");
    }
    // What comes late for a closed order is to be seen as well.
    let canceled = counter.json(&["order", "cancel", "A-1"]).await;
    assert_eq!(canceled["status"], "cancelled", "{canceled}");
    let told = counter.json(&["explain", "A-1"]).await;
    assert!(fits(&told["story"][0]["next"]), "{told}");
    // A chain may be silent for as long as its config bears it.
    counter.write_with("decimals = 6\n", "decimals = 6\nsilent_after = \"never\"\n");
    let status = counter.json(&["status"]).await;
    assert_eq!(status["chains"][0]["standing"], "watched");
    assert_eq!(status["chains"][0]["silent"], Value::Null);
    let shown = counter.json(&["chain", "show"]).await;
    assert_eq!(shown["chains"][0]["state"], "good");
}

/// A paused or a stalled chain is as old, and why it is paused is told all the same.
#[tokio::test]
async fn a_mark_is_told_beside_the_silence() {
    let counter = Counter::behind(2 * 3_600).await;
    counter.order("A-1").await;
    counter.watch().await;
    counter.json(&["chain", "pause", "ethereum", "--by=ann", "--why=an upgrade"]).await;
    let words = nothing_newer(&counter);
    for asked in
        [&["status"][..], &["chain", "show"], &["order", "show", "A-1"], &["explain", "A-1"]]
    {
        let text = counter.good(asked).await;
        assert!(text.contains("ann: an upgrade") && text.contains(&words), "{text}");
    }
}

/// Also while the daemon runs, nothing is known of what came since its last block.
#[tokio::test]
async fn nothing_has_arrived_up_to_the_last_block_that_is_recorded() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    counter.watch().await;
    let told = counter.json(&["explain", "A-1"]).await;
    let shown = counter.json(&["chain", "show"]).await;
    let time = shown["chains"][0]["block_time"].as_str().expect("a time");
    let next = format!(
        "nothing has arrived; ask for the transaction id and explain that. Blocks up to {time} \
         are recorded."
    );
    assert_eq!(told["story"][0]["next"], next);
    assert_eq!(shown["chains"][0]["silent"], Value::Null);
}

/// By which rule a payment became final is in no book, and the config has another one by now.
#[tokio::test]
async fn what_is_final_is_not_told_by_a_rule_of_today() {
    let counter = Counter::open().await;
    counter.paid("A-1").await;
    let pending: Account = counter.order("B-1").await;
    counter.chain.mine(vec![pay(pending, 100_000_000)]);
    counter.watch().await;
    counter.write_with("{ blocks = 3 }", "{ blocks = 40 }");
    let told = counter.json(&["explain", "A-1"]).await;
    let is_final = &told["story"][0]["because"][0]["final"];
    assert_eq!((&is_final["rule"], &is_final["needed"]), (&Value::Null, &Value::Null), "{told}");
    assert_eq!(is_final["confirmations"], 4);
    let since = is_final["final_since"].as_str().expect("a time");
    let text = counter.good(&["explain", "A-1"]).await;
    assert!(text.contains(&format!("\n  final since {since}; 4 confirmations now\n")), "{text}");
    assert!(!text.contains("rule") && !text.contains("then"), "{text}");
    let text = counter.good(&["explain", "B-1"]).await;
    let waits = "becomes final by the rule `40 confirmations`; 1 confirmations now";
    assert!(text.contains(waits), "{text}");
    let told = counter.json(&["explain", "B-1"]).await;
    assert_eq!(told["story"][0]["because"][0]["final"]["needed"], 40, "{told}");
}

#[tokio::test]
async fn more_cases_than_are_counted_are_said_to_be_more() {
    let counter = Counter::open().await;
    counter.json(&create("A-1", &["--amount=100"])).await;
    counter
        .tamper(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
             INSERT INTO cases (seq, id, kind, order_id, chain, amount, opened_at) \
             SELECT i, 'late:x:' || i, 'late', 'A-1', 'ethereum', 1, 1 FROM n",
        )
        .await;
    let status = counter.json(&["status"]).await;
    assert_eq!(
        (&status["open_cases"], &status["more_open_cases"]),
        (&10_000.into(), &false.into())
    );
    let text = counter.good(&["status"]).await;
    assert!(text.contains("\nopen cases          10000\n"), "{text}");
    counter
        .tamper(
            "INSERT INTO cases (seq, id, kind, order_id, chain, amount, opened_at) \
             VALUES (10001, 'late:x:10001', 'late', 'A-1', 'ethereum', 1, 1)",
        )
        .await;
    let status = counter.json(&["status"]).await;
    assert_eq!((&status["open_cases"], &status["more_open_cases"]), (&10_000.into(), &true.into()));
    let text = counter.good(&["status"]).await;
    assert!(text.contains("\nopen cases          more than 10000\n"), "{text}");
}
