//! `bursar case resolve` and `bursar refund`: a person decides, and the books say what was done.

use lab::evm::{Fault, Methods};
use serde_json::{Value, json};

use super::counter::{Counter, create, pay};

const WHO: [&str; 4] = ["--by", "ann", "--why", "paid twice"];
const BOB: [&str; 4] = ["--by", "bob", "--why", "I agree"];
/// An account of a stranger.
const THERE: &str = "0x00000000219ab540356cBB839Cbe05303d7705Fa";

/// A counter with an order that was paid twice, all of it final, and the case of it.
async fn paid_twice() -> (Counter, String) {
    let counter = Counter::open().await;
    counter.write_with("poll_interval =", "refund_fee = \"0.80\"\npoll_interval =");
    let to = counter.order("A-1").await;
    counter.chain.mine(vec![pay(to, 100_000_000)]);
    counter.chain.mine(vec![pay(to, 100_000_000).tagged(2)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let listed = counter.json(&["case", "list"]).await;
    let id = listed["cases"][0]["id"].as_str().expect("a case").to_owned();
    (counter, id)
}

fn resolve<'a>(id: &'a str, what: &[&'a str], who: &[&'a str]) -> Vec<&'a str> {
    [&["case", "resolve", id], what, who].concat()
}

#[tokio::test]
async fn a_case_tells_what_can_be_typed() {
    let (counter, id) = paid_twice().await;
    let shown = counter.good(&["case", "show", &id]).await;
    for words in [
        "paid first:",
        "paid again:",
        "owes 100.00 - 0.80 = 99.20 USDT",
        "grants acme 10000 credits",
        &format!("bursar case resolve {id} refund --to ADDRESS --by NAME --why TEXT"),
        &format!("bursar case resolve {id} dismiss --by NAME --why TEXT"),
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let told = counter.json(&["case", "show", &id]).await;
    assert_eq!(told["story"][0]["decidable"], true);
    assert_eq!(told["story"][0]["possible"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_case_of_a_paused_chain_offers_no_credits() {
    let (counter, id) = paid_twice().await;
    let mark = ["--by", "ann", "--why", "a flood"];
    counter.good(&[&["chain", "pause", "ethereum"], &mark[..]].concat()).await;
    let told = counter.json(&["case", "show", &id]).await;
    let ways = told["story"][0]["possible"].as_array().expect("a list");
    let ways: Vec<&Value> = ways.iter().map(|way| &way["resolution"]).collect();
    assert_eq!(ways, ["refund", "dismiss"]);
    assert_eq!(told["story"][0]["crediting_paused"], "ann: a flood");
    let shown = counter.good(&["case", "show", &id]).await;
    let why = "Crediting on ethereum is paused: ann: a flood. Until a person has found out why";
    assert!(shown.contains(why) && !shown.contains("grants"), "{shown}");
    let refused = counter.refused(&resolve(&id, &["credit"], &WHO)).await;
    assert!(refused.contains("paused"), "{refused}");
}

#[tokio::test]
async fn a_refund_to_a_stated_address_takes_two_persons() {
    let (counter, id) = paid_twice().await;
    let nowhere = counter.refused(&resolve(&id, &["refund"], &WHO)).await;
    assert!(nowhere.starts_with("--to: no refund address is known"), "{nowhere}");
    let proposed = counter.json(&resolve(&id, &["refund", "--to", THERE], &WHO)).await;
    assert_eq!((&proposed["resolution"], &proposed["changed"]), (&Value::Null, &json!(true)));
    assert_eq!(
        (&proposed["proposal"]["by"], &proposed["proposal"]["fee"]),
        (&json!("ann"), &json!("0.80"))
    );
    let listed = counter.good(&["case", "list"]).await;
    assert!(listed.contains("refund proposed by ann"), "{listed}");
    let shown = counter.good(&["case", "show", &id]).await;
    let confirm = format!("bursar case resolve {id} refund --to {THERE} --fee 0.80");
    assert!(shown.contains(&confirm), "{shown}");
    let ann = ["--by= ANN", "--why=x"];
    let again = counter.json(&resolve(&id, &["refund", "--to", THERE], &ann)).await;
    assert_eq!(again["changed"], false);
    // Who agrees has typed where to, and for what fee where that is not the usual one.
    let proposed = format!(
        "ann proposed refund 100.00 - 0.80 = 99.20 USDT to {THERE}; confirm that with \
         `bursar case resolve {id} refund --to {THERE} --fee 0.80 --by NAME --why TEXT`, or \
         withdraw it"
    );
    for what in
        [&["refund"][..], &["refund", "--fee=0.80"], &["refund", "--to", THERE, "--fee=0.70"]]
    {
        for who in [&BOB[..], &ann] {
            let other = counter.refused(&resolve(&id, what, who)).await;
            assert!(other.ends_with(&proposed), "{what:?}: {other}");
        }
    }
    let decided = counter.json(&resolve(&id, &["refund", "--to", THERE], &BOB)).await;
    assert_eq!(decided["refund"]["amount"], "99.20");
    assert_eq!(decided["refund"]["state"], "requested");
    let again = counter.json(&resolve(&id, &["refund"], &WHO)).await;
    assert_eq!(again["changed"], false, "it is decided");
    let late = counter.refused(&resolve(&id, &["dismiss"], &WHO)).await;
    assert!(late.contains("was decided at") && late.contains("by bob"), "{late}");
    let order = counter.json(&["order", "show", "A-1"]).await;
    assert_eq!(order["deposits"][1]["state"], "refunding");
    let balance = counter.good(&["ledger", "balance", "refunds_payable"]).await;
    assert!(balance.contains("99.20"), "{balance}");
    counter.good(&["ledger", "verify"]).await;
}

/// The order names an address; a proposal names another, and a fee that leaves little.
#[tokio::test]
async fn nobody_agrees_to_what_they_did_not_type() {
    let counter = Counter::open().await;
    let home = "0x6666666666666666666666666666666666666666";
    let made = counter.json(&create("A-1", &["--amount", "100", "--refund-to", home])).await;
    let to = made["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
    counter.chain.mine(vec![pay(to, 100_000_000)]);
    counter.chain.mine(vec![pay(to, 100_000_000).tagged(2)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let listed = counter.json(&["case", "list"]).await;
    let id = listed["cases"][0]["id"].as_str().expect("a case");
    counter.good(&resolve(id, &["refund", "--to", THERE, "--fee=90"], &WHO)).await;
    for what in [&["refund"][..], &["refund", "--to", THERE]] {
        let refused = counter.refused(&resolve(id, what, &BOB)).await;
        assert!(
            refused.contains(&format!(" refund --to {THERE} --fee 90.00 --by NAME")),
            "{refused}"
        );
    }
    // Nor does the same person by another spelling of the name.
    let whole = ["refund", "--to", THERE, "--fee=90"];
    let marks = ["\u{200b}", "\u{200e}", "\u{feff}", "\u{ad}", "\u{202e}", "\u{2066}", "\u{e0041}"];
    for mark in marks {
        let by = format!("--by=an{mark}n");
        let refused = counter.refused(&resolve(id, &whole, &[&by, "--why=x"])).await;
        assert!(refused.starts_with("--by: holds U+"), "{refused}");
    }
    // A joiner spells a name in some scripts, and makes no other one of it.
    for by in ["--by=Ann", "--by= ann\u{a0}", "--by=an\u{200c}n", "--by=an\u{200d}n"] {
        let again = counter.json(&resolve(id, &whole, &[by, "--why=x"])).await;
        assert_eq!(again["changed"], false, "{by}");
    }
    let decided = counter.json(&resolve(id, &whole, &BOB)).await;
    assert_eq!(decided["refund"]["amount"], "10.00");
}

#[tokio::test]
async fn a_refund_is_sent_listed_and_given_up() {
    let (counter, id) = paid_twice().await;
    let none = counter.refused(&["refund", "show", &id]).await;
    assert!(none.contains("has no refund"), "{none}");
    for who in [&WHO, &BOB] {
        counter.good(&resolve(&id, &["refund", "--to", THERE], who)).await;
    }
    let tx = format!("0x{}", "ab".repeat(32));
    let sent = counter.json(&["refund", "sent", &id, "--tx", &tx, "--by", "ann"]).await;
    assert_eq!((&sent["refund"]["state"], &sent["refund"]["tx"]), (&json!("sent"), &json!(tx)));
    // Nobody knows it: it is waited for.
    let checked = counter.json(&["refund", "check"]).await;
    assert_eq!((&checked["asked"], &checked["judged"]), (&json!(1), &json!([])));
    let gave = counter.json(&["refund", "give-up", &id, "--by=ann", "--why=replaced"]).await;
    assert_eq!(gave["refund"]["state"], "failed");
    let listed = counter.json(&["refund", "list", "--state=failed"]).await;
    assert_eq!(listed["refunds"][0]["id"], json!(id));
    let wrong = counter.refused(&["refund", "sent", &id, "--tx=0x12", "--by=ann"]).await;
    assert!(wrong.starts_with("--tx:"), "{wrong}");
}

/// Two refunds are said to be sent. Of the first the node says nothing; the second is judged.
#[tokio::test]
async fn a_refund_that_cannot_be_judged_keeps_no_other_waiting() {
    let counter = Counter::open().await;
    let mut ids = Vec::new();
    for (order, value) in [("A-1", 100_000_000), ("A-2", 100_000_001)] {
        let asked = create(order, &["--amount", "100", "--refund-to", THERE]);
        let made = counter.json(&asked).await;
        let to = made["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        counter.chain.mine(vec![pay(to, value)]);
        counter.chain.mine(vec![pay(to, value).tagged(2)]);
    }
    counter.chain.mine_empty(12);
    counter.watch().await;
    let listed = counter.json(&["case", "list", "--kind=duplicate"]).await;
    let back = counter.chain.mine(vec![pay(THERE.parse().expect("one"), 100_000_001)]);
    let paid = counter.tx(back.height, 0);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let unknown = format!("0x{}", "ab".repeat(32));
    for (case, tx) in listed["cases"].as_array().expect("a list").iter().zip([&unknown, &paid]) {
        let id = case["id"].as_str().expect("an id").to_owned();
        counter.good(&resolve(&id, &["refund", "--fee=0"], &WHO)).await;
        counter.good(&["refund", "sent", &id, "--tx", tx, "--by", "ann"]).await;
        ids.push(id);
    }
    counter.node.fault(Fault::Error {
        methods: Methods::only(&["eth_getTransactionReceipt"]),
        http_status: 200,
        body: r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32601,"message":"method not found: not mine"}}"#
            .into(),
        times: Some(1),
    });
    let said = counter.run(&["--json", "refund", "check"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("1 of 2 refunds could not be judged"), "{said:?}");
    let checked: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(checked["asked"], 2);
    assert_eq!(
        (&checked["judged"][0]["id"], &checked["judged"][1]),
        (&json!(ids[1]), &Value::Null)
    );
    assert_eq!(checked["judged"][0]["refund"]["state"], "verified");
    assert_eq!(checked["unjudged"][0]["case"], json!(ids[0]));
    let why = checked["unjudged"][0]["why"].as_str().expect("a reason");
    assert!(why.contains("not mine"), "{why}");
    let waits = counter.json(&["refund", "check"]).await;
    assert_eq!((&waits["asked"], &waits["unjudged"]), (&json!(1), &json!([])));
}

/// The node says of the transaction that it failed; the receipts that its header binds say
/// otherwise. A refund that is called failed is paid a second time.
#[tokio::test]
async fn a_refund_is_judged_by_what_its_header_proves() {
    let (counter, id) = paid_twice().await;
    for who in [&WHO, &BOB] {
        counter.good(&resolve(&id, &["refund", "--to", THERE], who)).await;
    }
    let back = counter.chain.mine(vec![pay(THERE.parse().expect("one"), 99_200_000)]);
    let paid = counter.tx(back.height, 0);
    counter.chain.mine_empty(12);
    counter.watch().await;
    counter.good(&["refund", "sent", &id, "--tx", &paid, "--by", "ann"]).await;
    let receipt = counter.asked("eth_getTransactionReceipt", json!([paid])).await;
    assert_eq!(receipt["status"], "0x1");
    let failed = receipt.to_string().replace(r#""status":"0x1""#, r#""status":"0x0""#);
    counter.node.fault(Fault::Error {
        methods: Methods::only(&["eth_getTransactionReceipt"]),
        http_status: 200,
        body: format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{failed}}}"#),
        times: None,
    });
    let checked = counter.json(&["refund", "check"]).await;
    assert_eq!(checked["judged"][0]["refund"]["state"], "verified", "{checked}");
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let (counter, id) = paid_twice().await;
    for (what, said) in [
        (&["credit", "--fee=1"][..], "--fee: belongs to `refund`, not to `credit`"),
        (&["dismiss", "--order=B"], "--order: belongs to `reassign`, not to `dismiss`"),
        (&["reassign"], "--order: say which order"),
        (&["reassign", "--order=NONE"], "it does not exist"),
        (&["refund", "--to=TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"], "--to:"),
        (&["refund", "--to", THERE, "--fee=100"], "a fee of 100.00 leaves nothing"),
        (&["refund", "--to", THERE, "--fee=1e3"], "--fee:"),
    ] {
        let refused = counter.refused(&resolve(&id, what, &WHO)).await;
        assert!(refused.contains(said), "{what:?}: {refused}");
    }
    let unknown = counter.refused(&resolve("late:x", &["dismiss"], &WHO)).await;
    assert_eq!(unknown, "case: there is no case `late:x`");
}

#[tokio::test]
async fn cases_are_narrowed_down() {
    let (counter, id) = paid_twice().await;
    for (filter, found) in [
        ("--order=A-1", 1),
        ("--order=B", 0),
        ("--min-amount=100", 1),
        ("--min-amount=100.000001", 0),
        ("--older-than=24h", 0),
        ("--older-than=0s", 1),
    ] {
        let listed = counter.json(&["case", "list", filter]).await;
        assert_eq!(listed["cases"].as_array().map(Vec::len), Some(found), "{filter}");
    }
    counter.good(&resolve(&id, &["credit"], &WHO)).await;
    let listed = counter.json(&["case", "list"]).await;
    assert_eq!(listed["cases"], json!([]));
}
