//! Answers about more than is told at once: what is left out is said to be, and what waits for a
//! person is never left out.
//!
//! In: a customer of many orders and journals, an address that much has left.
//! Never: a list that ends without a word. Why: who reads it takes it for all there is.

use alloy::primitives::Address as Account;
use lab::evm::Tx;
use serde_json::{Value, json};

use super::counter::{Counter, create, pay};

fn count(list: &Value) -> usize {
    list.as_array().expect("a list").len()
}

#[tokio::test]
async fn a_customer_of_many_orders() {
    let counter = Counter::open().await;
    let to = counter.order("A-0").await;
    counter.chain.mine(vec![pay(to, 100_000_000)]);
    counter.chain.mine(vec![pay(to, 100_000_000).tagged(2)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    for number in 1..20 {
        counter.order(&format!("A-{number}")).await;
    }
    let told = counter.good(&["explain", "acme"]).await;
    assert!(!told.contains("and more") && !told.contains("older orders"), "{told}");
    counter.order("A-20").await;
    let told = counter.good(&["explain", "acme"]).await;
    assert!(told.contains("\nand more: bursar order list --customer acme\n"), "{told}");
    let case = format!("duplicate:ethereum:{}:0", counter.tx(22, 0));
    assert!(told.contains("\nopen cases of older orders\n") && told.contains(&case), "{told}");
    let told = counter.json(&["explain", "acme"]).await["story"][0].clone();
    assert_eq!((count(&told["orders"]), &told["more_orders"]), (20, &json!(true)), "{told:#}");
    let open = json!([{ "id": case, "kind": "duplicate", "order": "A-0" }]);
    assert_eq!((&told["open_cases"], &told["more_open_cases"]), (&open, &json!(false)));
}

#[tokio::test]
async fn an_address_that_much_has_left() {
    let counter = Counter::open().await;
    let treasury = Account::repeat_byte(0x77);
    counter.write_with("poll_interval =", &format!("treasury = [\"{treasury}\"]\npoll_interval ="));
    let from = counter.order("A-1").await;
    counter.chain.mine(vec![pay(from, 100_000_000)]);
    counter.chain.mine_empty(12);
    let thief = Account::repeat_byte(0x99);
    counter.chain.mine(vec![Tx::transfer(from, thief, 30_000_000)]);
    counter.chain.mine(vec![Tx::transfer(from, thief, 7_000_000)]);
    for block in 0..7u64 {
        let sweeps = (0..15u64).map(|n| Tx::transfer(from, treasury, 100_000 + 15 * block + n));
        counter.chain.mine(sweeps.collect());
    }
    counter.chain.mine_empty(12);
    counter.watch().await;
    let listed = counter.json(&["case", "list"]).await;
    let cases: Vec<&str> = (0..2).filter_map(|at| listed["cases"][at]["id"].as_str()).collect();
    let [open, decided] = cases[..] else { panic!("two cases: {listed:#}") };
    let said = ["--by", "ann", "--why", "asked the customer"];
    counter.json(&[&["case", "resolve", decided, "dismiss"][..], &said].concat()).await;
    let shown = counter.json(&["order", "show", "A-1"]).await;
    let left = &shown["outflows"];
    // 107 left: the newest 100 are told, and the one that waits; of the others, 5 sweeps and one
    // that was decided about, only how many.
    assert_eq!((count(left), &shown["more_outflows"]), (101, &json!(6)), "{shown:#}");
    assert_eq!((&left[0]["amount"], &left[100]["amount"]), (&json!("0.100104"), &json!("30.00")));
    let rest = format!("\nand 6 outflows more: bursar outflow list --address {from}\n");
    for command in [["order", "show", "A-1"], ["explain", "A-1", ""], ["explain", open, ""]] {
        let command: Vec<&str> = command.into_iter().filter(|word| !word.is_empty()).collect();
        let text = counter.good(&command).await;
        assert!(text.contains(&rest), "{command:?}: {text}");
        for (case, amount) in [(open, " 30.00 "), (decided, " 7.00 ")] {
            let row = |line: &&str| line.starts_with("unexplained_outflow ") && line.contains(case);
            let row = text.lines().find(row).unwrap_or_else(|| panic!("no {case}: {text}"));
            assert!(row.contains(amount), "{row}");
        }
        assert!(text.contains(&format!("30.00 USDT left {from} (order A-1)")), "{text}");
    }
    let told = counter.json(&["explain", "A-1"]).await;
    assert_eq!(told["more_outflows"], 6, "{told:#}");
}

/// A report proves a thousand journals at most, and says so.
#[tokio::test]
async fn a_customer_of_more_journals_than_a_report_proves() {
    let counter = Counter::open().await;
    let made = counter.json(&create("T-1", &["--top-up"])).await;
    let to: Account = made["address"].as_str().and_then(|to| to.parse().ok()).expect("an address");
    let paid = |from: u16, count: u16| {
        (from..from + count).map(|n| pay(to, 1_000_000).tagged(u64::from(n))).collect::<Vec<_>>()
    };
    for block in 0..5 {
        counter.chain.mine(paid(200 * block, 200));
    }
    counter.chain.mine_empty(12);
    counter.watch().await;
    let make = ["reconcile", "proof", "make", "--customer", "acme", "--out"];
    counter.good(&[&make[..], &["all.json"]].concat()).await;
    let report = std::fs::read(counter.path("all.json")).expect("a report");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(count(&report["inclusions"]), 1_000);
    counter.chain.mine(paid(1_000, 1));
    counter.chain.mine_empty(12);
    counter.watch().await;
    let refused = counter.refused(&[&make[..], &["more.json"]].concat()).await;
    assert!(refused.starts_with("--customer: more than 1000 journals; name"), "{refused}");
}
