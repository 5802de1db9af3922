//! `bursar case` and `bursar chain`: what an operator looks at and the hand brake.

use serde_json::{Value, json};

use super::counter::{Counter, pay};

/// A counter with an order that was paid twice: one case.
async fn with_a_duplicate() -> Counter {
    let counter = Counter::open().await;
    let to = counter.order("A-1").await;
    counter.chain.mine(vec![pay(to, 100_000_000)]);
    counter.chain.mine(vec![pay(to, 100_000_000).tagged(2)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    counter
}

fn all(value: &Value, list: &str) -> Vec<Value> {
    value[list].as_array().expect("a list").clone()
}

#[tokio::test]
async fn cases_are_listed_and_shown() {
    let counter = with_a_duplicate().await;
    let listed = counter.json(&["case", "list"]).await;
    let [case] = &all(&listed, "cases")[..] else { panic!("one case: {listed}") };
    assert_eq!((&case["kind"], &case["amount"]), (&json!("duplicate"), &json!("100.00")));
    assert_eq!((&case["order"], &listed["next"]), (&json!("A-1"), &Value::Null));
    let id = case["id"].as_str().expect("an id");
    let shown = counter.good(&["case", "show", id]).await;
    assert!(shown.contains("the order was covered already"), "{shown}");
    for none in [&["--kind=late"][..], &["--after=1"]] {
        let listed = counter.json(&[&["case", "list"], none].concat()).await;
        assert_eq!(all(&listed, "cases").len(), 0, "{none:?}");
    }
    let one = counter.json(&["case", "list", "--kind=duplicate", "--chain=ethereum"]).await;
    assert_eq!(all(&one, "cases").len(), 1);
    let paged = counter.json(&["case", "list", "--limit=1"]).await;
    assert_eq!(paged["next"], 1);
    let text = counter.good(&["case", "list"]).await;
    assert!(text.contains("duplicate") && text.contains(id), "{text}");
    assert_eq!(
        counter.refused(&["case", "show", "late:x"]).await,
        "case: there is no case `late:x`"
    );
    let unknown = counter.refused(&["case", "list", "--chain=bsc"]).await;
    assert_eq!(unknown, "--chain: `bsc` is not configured; there is ethereum");
}

#[tokio::test]
async fn a_paused_chain_credits_nothing_until_it_is_resumed() {
    let counter = Counter::open().await;
    let to = counter.order("A-1").await;
    let mark = ["--by", "ann", "--why", "the token is being upgraded"];
    let paused = counter.json(&[&["chain", "pause", "ethereum"], &mark[..]].concat()).await;
    assert_eq!(paused["chains"][0]["state"], "paused");
    assert_eq!(paused["chains"][0]["paused"], "ann: the token is being upgraded");
    let again = counter.refused(&[&["chain", "pause", "ethereum"], &mark[..]].concat()).await;
    assert!(again.starts_with("chain: ethereum is paused already: ann:"), "{again}");
    counter.chain.mine(vec![pay(to, 100_000_000)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let order = counter.json(&["order", "show", "A-1"]).await;
    assert_eq!(
        (&order["status"], &order["amount_pending"]),
        (&json!("confirming"), &json!("100.00"))
    );
    let standstill =
        "ethereum is paused: ann: the token is being upgraded; meanwhile no order on it";
    let shown = counter.good(&["order", "show", "A-1"]).await;
    assert!(shown.contains(standstill), "{shown}");
    assert!(order["standstill"].as_str().is_some_and(|words| words.starts_with(standstill)));
    let told = counter.good(&["explain", "A-1"]).await;
    assert!(told.contains("`bursar chain resume ethereum --by NAME --why TEXT`"), "{told}");
    let mark = ["--by", "bob", "--why", "it is over"];
    let resumed = counter.json(&[&["chain", "resume", "ethereum"], &mark[..]].concat()).await;
    assert_eq!(resumed["chains"][0]["state"], "good");
    let again = counter.refused(&[&["chain", "resume", "ethereum"], &mark[..]].concat()).await;
    assert_eq!(again, "chain: ethereum is not paused");
    counter.chain.mine_empty(1);
    counter.watch().await;
    assert_eq!(counter.json(&["order", "show", "A-1"]).await["status"], "paid");
}

#[tokio::test]
async fn a_mark_says_who_and_why() {
    let counter = Counter::open().await;
    for (arguments, said) in [
        (&["chain", "pause", "ethereum", "--by= ", "--why=x"][..], "--by: must be 1 to 500 bytes"),
        (&["chain", "pause", "ethereum", "--by=a", "--why=x\ny"], "--why: must be 1 to 500 bytes"),
        (&["chain", "pause", "bsc", "--by=a", "--why=x"], "`bsc` is not configured"),
        (&["chain", "pause", "ethereum", "--by=a"], "--why"),
    ] {
        let refused = counter.refused(arguments).await;
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
    let shown = counter.good(&["chain", "show"]).await;
    assert!(shown.contains("ethereum"), "{shown}");
}
