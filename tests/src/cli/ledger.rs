//! `bursar ledger`: the books as programs read them, and what is said of books that are wrong.

use serde_json::{Value, json};

use super::counter::{Counter, pay};

#[tokio::test]
async fn balances_have_their_sides() {
    let counter = Counter::open().await;
    assert_eq!(counter.json(&["ledger", "balance"]).await, json!({ "balances": [] }));
    counter.paid("A-1").await;
    let asked = counter.json(&["ledger", "balance", "customer:"]).await;
    let acme = json!({
        "account": "customer:acme", "asset": "CREDIT",
        "debits": "0.00", "credits": "10000.00", "balance": "10000.00",
    });
    assert_eq!(asked, json!({ "balances": [acme] }));
    let all = counter.json(&["ledger", "balance"]).await;
    let all = all["balances"].as_array().expect("a list");
    let names: Vec<&str> = all.iter().filter_map(|of| of["account"].as_str()).collect();
    assert_eq!(names.len(), 5);
    for name in ["customer:acme", "issued", "order:A-1", "sales"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(counter.json(&["ledger", "balance", "nothing:"]).await, json!({ "balances": [] }));
    let text = counter.good(&["ledger", "balance", "sales"]).await;
    assert_eq!(
        text.split_whitespace().collect::<Vec<_>>(),
        [
            "account",
            "asset",
            "debits",
            "credits",
            "balance",
            "sales",
            "USDT.ethereum",
            "0.00",
            "100.00",
            "100.00"
        ]
    );
}

#[tokio::test]
async fn entries_are_read_by_pages_and_by_account() {
    let counter = Counter::open().await;
    let tx = counter.paid("A-1").await;
    let first = counter.json(&["ledger", "entries", "--limit=1"]).await;
    assert_eq!(first["next"], 1);
    let journal = &first["journals"][0];
    assert_eq!(journal["seq"], 1);
    assert_eq!(journal["journal"]["key"], format!("deposit:ethereum:{tx}:0"));
    assert_eq!(journal["journal"]["order"], "A-1");
    let entry = &journal["journal"]["entries"][0];
    assert_eq!((&entry["asset"], &entry["amount"]), (&json!("USDT.ethereum"), &json!("100.00")));
    assert_eq!(entry["credit"], "order:A-1");
    let text = counter.good(&["ledger", "entries", "--limit=1"]).await;
    assert!(text.ends_with("\nMore with --after 1\n"), "{text}");
    let of = ["ledger", "entries", "--account=order:A-1", "--limit=1"];
    assert!(counter.good(&of).await.ends_with("\nMore with --after 1\n"));
    assert!(!counter.good(&["ledger", "entries"]).await.contains("More"));
    let rest = counter.json(&["ledger", "entries", "--after=1"]).await;
    assert_eq!(rest["journals"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["journals"][0]["journal"]["key"], "paid:A-1");
    let none = counter.json(&["ledger", "entries", "--after=2"]).await;
    assert_eq!(none, json!({ "journals": [], "next": null }));
    let acme = counter.json(&["ledger", "entries", "--account=customer:acme"]).await;
    let [line] = acme["entries"].as_array().expect("a list").as_slice() else { panic!("{acme}") };
    assert_eq!((&line["seq"], &line["journal"]), (&json!(2), &json!("paid:A-1")));
    assert_eq!((&line["debit"], &line["credit"]), (&json!("issued"), &json!("customer:acme")));
    let text = counter.good(&["ledger", "entries"]).await;
    assert_eq!(text.lines().count(), 4, "a heading and three entries: {text}");
    for (arguments, part) in [
        (["ledger", "entries", "--account=cash"], "--account: `cash` is not an account"),
        (["ledger", "entries", "--limit=0"], "1..=10000"),
        (["ledger", "entries", "--after=-1"], "--after"),
    ] {
        let said = counter.refused(&arguments).await;
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn verify_says_that_books_agree_and_where_they_do_not() {
    let counter = Counter::open().await;
    counter.paid("A-1").await;
    assert_eq!(counter.json(&["ledger", "verify"]).await, json!({ "findings": [] }));
    let said = counter.good(&["ledger", "verify"]).await;
    assert!(said.starts_with("The books agree with themselves"), "{said}");
    // What the triggers refuse can be done by whoever owns the file.
    counter.tamper("DROP TRIGGER balances_update").await;
    counter.tamper("UPDATE balances SET credits = credits + 1 WHERE account = 'sales'").await;
    let said = counter.run(&["--json", "ledger", "verify"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    let findings: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(!findings["findings"].as_array().expect("a list").is_empty());
    assert!(said.err.starts_with("bursar: the books disagree with themselves: "), "{}", said.err);
}

/// An unassigned payment is nobody's credit and everybody's to see.
#[tokio::test]
async fn money_at_an_imported_address_stands_in_suspense() {
    let counter = Counter::open().await;
    let address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    std::fs::write(counter.path("list"), format!("{address}\n")).expect("written");
    let imported = counter.json(&["address", "import", "list"]).await;
    assert_eq!(imported, json!({ "listed": 1, "imported": 1 }));
    counter.watch().await;
    counter.chain.mine(vec![pay(address.parse().expect("an address"), 7_000_000)]);
    counter.chain.mine_empty(2);
    counter.watch().await;
    let asked = counter.json(&["ledger", "balance", "suspense:"]).await;
    assert_eq!(asked["balances"][0]["account"], "suspense:unassigned");
    assert_eq!(asked["balances"][0]["balance"], "7.00");
    let told = counter.good(&["explain", address]).await;
    let watched = "is watched, and no order of these books has it: it was imported";
    assert!(told.contains(watched), "{told}");
    assert!(told.contains("7.00 USDT reached"), "{told}");
    std::fs::write(counter.path("list"), "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee\n").expect("");
    let said = counter.refused(&["address", "import", "list"]).await;
    assert!(said.starts_with("line 1: the checksum") && said.contains("character 42"), "{said}");
}
