//! The examples that end the rules of being paid, typed as a person would type them.
//!
//! In: customers who pay well and badly, on anvil and on `lab`'s TRON node, and an operator.
//! Out: what `bursar --json` answers, to the last 0.01. Why: these numbers are the promise.

mod till;

use serde_json::Value;

use super::shop::{list, text};
use till::{Till, USDT};

#[tokio::test]
async fn every_example_on_anvil() {
    every_example(Till::anvil().await, "3.00", "97.00").await;
}

#[tokio::test]
async fn every_example_on_tron() {
    every_example(Till::tron().await, "0.80", "99.20").await;
}

async fn every_example(mut till: Till, fee: &str, refunded: &str) {
    what_is_sold(&mut till).await;
    parts_make_a_whole(&mut till).await;
    too_little_and_too_much(&mut till).await;
    twice(&mut till, fee, refunded).await;
    another_network(&mut till).await;
    another_token(&mut till).await;
    after_its_time(&mut till).await;
    till.close().await;
}

/// 100 for Team is 10,000 credits, 400 is 50,000, the packs, and 20 on top.
async fn what_is_sold(till: &mut Till) {
    let sold = [
        ("TEAM", "team", 100, "10000.00"),
        ("BIG", "enterprise", 400, "50000.00"),
        ("P10", "pack10", 10, "100.00"),
        ("P45", "pack45", 45, "500.00"),
        ("P80", "pack80", 80, "1000.00"),
    ];
    for (id, plan, amount, _) in sold {
        let to = till.order(id, &["--plan", plan]).await;
        till.pay(&[(to, amount * USDT)]).await;
    }
    let to = till.order("TOP", &["--top-up"]).await;
    till.pay(&[(to, 20 * USDT)]).await;
    till.settle().await;
    for (id, _, _, credits) in sold {
        assert_eq!(till.show(id).await["status"], "paid", "{id}");
        assert_eq!(till.credits(id).await, credits, "{id}");
    }
    assert_eq!(till.credits("TOP").await, "2000.00");
}

/// 60 + 40 pay 100, in two transactions and in one.
async fn parts_make_a_whole(till: &mut Till) {
    let apart = till.order("APART", &["--amount", "100"]).await;
    till.pay(&[(apart, 60 * USDT)]).await;
    till.pay(&[(apart, 40 * USDT)]).await;
    let together = till.order("TOGETHER", &["--amount", "100"]).await;
    till.pay(&[(together, 60 * USDT), (together, 40 * USDT)]).await;
    till.settle().await;
    for id in ["APART", "TOGETHER"] {
        let order = till.show(id).await;
        assert_eq!(order["status"], "paid", "{order}");
        assert_eq!(list(&order["deposits"]).len(), 2, "{order}");
        assert_eq!(list(&order["cases"]).len(), 0, "{order}");
        assert_eq!(till.credits(id).await, "10000.00");
    }
}

/// 99.95 is enough where 0.10 is tolerated; of 130 the order takes 100.
async fn too_little_and_too_much(till: &mut Till) {
    let near = till.order("NEAR", &["--amount", "100"]).await;
    till.pay(&[(near, 99_950_000)]).await;
    let over = till.order("OVER", &["--amount", "100"]).await;
    till.pay(&[(over, 130 * USDT)]).await;
    till.settle().await;
    let near = till.show("NEAR").await;
    assert_eq!((text(&near["status"]), list(&near["cases"]).len()), ("paid", 0), "{near}");
    assert_eq!(till.credits("NEAR").await, "10000.00");
    let over = till.show("OVER").await;
    assert_eq!(over["status"], "paid", "{over}");
    assert_eq!(till.credits("OVER").await, "10000.00");
    let case = only_case(&over, "overpaid", "30.00");
    till.resolve(&case, &["credit", "--by", "ana", "--why", "the customer wants credits"]).await;
    assert_eq!(till.credits("OVER").await, "13000.00");
}

/// 100 twice: the second is a duplicate, sent back less the network's fee and seen on chain.
async fn twice(till: &mut Till, fee: &str, refunded: &str) {
    let home = till.stranger();
    let spelled = till.spelled(home);
    let to = till.order("TWICE", &["--amount", "100", "--refund-to", &spelled]).await;
    let first = till.pay(&[(to, 100 * USDT)]).await;
    let second = till.pay(&[(to, 100 * USDT)]).await;
    till.settle().await;
    let order = till.show("TWICE").await;
    assert_eq!(order["status"], "paid", "{order}");
    let case = only_case(&order, "duplicate", "100.00");
    let story = till.bursar(&["case", "show", &case]).await.to_string();
    for said in [&first, &second] {
        assert!(story.contains(said.trim_start_matches("0x")), "both payments: {story}");
    }
    till.resolve(&case, &["refund", "--by", "ana", "--why", "paid twice"]).await;
    let refund = till.bursar(&["refund", "show", &case]).await;
    let arithmetic = refund.to_string();
    assert!(arithmetic.contains(fee) && arithmetic.contains(refunded), "{arithmetic}");
    let micro = refunded.replace('.', "").parse::<u128>().expect("an amount") * 10_000;
    let sent = till.refund(home, micro).await;
    till.bursar(&["refund", "sent", &case, "--tx", &sent, "--by", "ben"]).await;
    till.settle().await;
    till.bursar(&["refund", "check"]).await;
    let order = till.show("TWICE").await;
    let states: Vec<&str> = list(&order["deposits"]).iter().map(|d| text(&d["state"])).collect();
    assert_eq!(states, ["credited", "refunded"], "{order}");
    assert_eq!(order["cases"][0]["refund"]["state"], "verified", "{order}");
    assert_eq!(till.credits("TWICE").await, "10000.00");
}

/// 100 on another network: the right case, nothing credited until a person says so.
async fn another_network(till: &mut Till) {
    let to = till.order("ELSEWHERE", &["--amount", "100"]).await;
    till.pay_elsewhere(to, 100).await;
    let order = till.show("ELSEWHERE").await;
    assert_eq!(order["status"], "awaiting_payment", "{order}");
    let case = only_case(&order, "wrong_network", "100.00");
    assert_eq!(till.credits("ELSEWHERE").await, "0.00");
    till.resolve(&case, &["credit", "--by", "ana", "--why", "we had it back"]).await;
    let order = till.show("ELSEWHERE").await;
    assert_eq!(order["status"], "paid", "{order}");
    assert_eq!(till.credits("ELSEWHERE").await, "10000.00");
}

/// 100 of a look-alike are a case without a value.
async fn another_token(till: &mut Till) {
    let to = till.order("ALIKE", &["--amount", "100"]).await;
    let tx = till.pay_look_alike(to, 100 * USDT).await;
    till.settle().await;
    let order = till.show("ALIKE").await;
    assert_eq!(order["status"], "awaiting_payment", "{order}");
    let case = only_case(&order, "wrong_asset", "0.00");
    assert_eq!(till.credits("ALIKE").await, "0.00");
    let told = till.bursar(&["explain", &tx]).await.to_string();
    assert!(told.contains("not USDT"), "{told}");
    till.resolve(&case, &["dismiss", "--by", "ana", "--why", "worthless"]).await;
    assert_eq!(till.show("ALIKE").await["status"], "awaiting_payment");
}

/// 50 of 100 when the time is over wait for a person; 100 a minute after it are paid, late.
async fn after_its_time(till: &mut Till) {
    let terms = ["--amount", "100", "--expires-after", "30m"];
    let half = till.order("HALF", &terms).await;
    till.pay(&[(half, 50 * USDT)]).await;
    let late = till.order("LATE", &terms).await;
    till.later(31).await;
    till.pay(&[(late, 100 * USDT)]).await;
    till.settle().await;
    let half = till.show("HALF").await;
    assert_eq!(half["status"], "expired", "{half}");
    let case = only_case(&half, "underpaid", "50.00");
    let late = till.show("LATE").await;
    assert_eq!(late["status"], "paid", "{late}");
    assert_eq!(late["deposits"][0]["late"], true, "{late}");
    assert_eq!(list(&late["cases"]).len(), 0, "{late}");
    assert_eq!(till.credits("LATE").await, "10000.00");
    till.resolve(&case, &["credit", "--by", "ana", "--why", "half is better than none"]).await;
    assert_eq!(till.credits("HALF").await, "5000.00");
}

/// The id of the one case of an order.
fn only_case(order: &Value, kind: &str, amount: &str) -> String {
    let [case] = list(&order["cases"]) else { panic!("not one case: {order}") };
    assert_eq!((text(&case["kind"]), text(&case["amount"])), (kind, amount), "{case}");
    text(&case["id"]).to_owned()
}
