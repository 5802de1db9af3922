//! `bursar explain`: whatever a customer sends, an answer that helps.

use alloy::primitives::Address as Account;
use lab::evm::{Fault, Methods, TokenSpec, Tx};

use super::counter::{Counter, Running, pay};

#[tokio::test]
async fn an_order_its_payment_its_address_and_its_case_tell_one_story() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    let block = counter.chain.mine(vec![pay(address, 130_000_000)]);
    counter.chain.mine_empty(2);
    counter.watch().await;
    let tx = counter.tx(block.height, 0);
    let case = format!("overpaid:ethereum:{tx}:0");
    let address = address.to_string();
    for (term, kind) in
        [("A-1", "order"), (&tx, "transaction"), (&address, "address"), (&case, "case")]
    {
        let told = counter.json(&["explain", term]).await;
        assert_eq!((&told["kind"], &told["term"]), (&kind.into(), &term.into()));
        let order = told["story"].as_array().expect("a story").last().expect("an order");
        assert_eq!((&order["id"], &order["status"]), (&"A-1".into(), &"paid".into()), "{term}");
        assert_eq!(order["because"][0]["because"], "credited");
        let next = "a person decides about: overpaid. Nothing of it is credited until then.";
        assert_eq!(order["next"], next);
        let text = counter.good(&["explain", term]).await;
        assert!(text.contains(&format!("What to do: {next}")), "{text}");
        assert!(text.contains("130.00 counted"), "{text}");
    }
    // As people paste them.
    for term in [format!(" {tx} "), tx.to_uppercase().replace("0X", "0x"), address.to_lowercase()] {
        assert_eq!(counter.json(&["explain", &term]).await["story"][0]["id"], "A-1", "{term}");
    }
}

#[tokio::test]
async fn a_customer_may_have_the_name_of_a_wallet() {
    let counter = Counter::open().await;
    let wallet = "0x00000000219ab540356cBB839Cbe05303d7705Fa";
    let foreign = counter.json(&["explain", wallet]).await;
    assert_eq!(foreign["kind"], "foreign_address");
    let order = ["order", "create", "--id=A-1", "--chain=ethereum", "--amount=5", "--customer"];
    counter.json(&[&order[..], &[wallet]].concat()).await;
    let told = counter.json(&["explain", wallet]).await;
    assert_eq!(told["kind"], "customer", "{told}");
}

#[tokio::test]
async fn an_order_says_what_it_waits_for() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    counter.order("B-1").await;
    assert!(next(&counter, "A-1").await.starts_with("nothing has arrived"));
    counter.chain.mine(vec![pay(address, 40_000_000)]);
    counter.watch().await;
    let told = counter.json(&["explain", "A-1"]).await;
    let because = "seen in block 21, 1 confirmations; not final yet";
    assert_eq!(told["story"][0]["because"][0]["because"], because);
    assert!(next(&counter, "A-1").await.starts_with("the rest has to arrive before"));
    counter.json(&["order", "cancel", "B-1"]).await;
    let next = next(&counter, "B-1").await;
    assert!(next.contains("late window"), "a payment inside it still counts: {next}");
}

async fn next(counter: &Counter, order: &str) -> String {
    let told = counter.json(&["explain", order]).await;
    told["story"][0]["next"].as_str().expect("what to do").to_owned()
}

#[tokio::test]
async fn a_transaction_that_is_not_ours_is_looked_up() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    counter.watch().await;
    let stranger = Account::repeat_byte(0x99);
    let other = Account::repeat_byte(0xbb);
    counter.chain.deploy(TokenSpec { address: other, decimals: 6, symbol: "USDT".to_owned() });
    let block = counter.chain.mine(vec![
        pay(stranger, 25_000_000),
        pay(address, 1_000_000).failed(),
        Tx::transfer_of(other, stranger, address, 1_000_000),
        pay(address, 5_000_000),
    ]);
    let height = block.height;
    let unknown = format!("0x{}", "ab".repeat(32));
    for (tx, found, words) in [
        (counter.tx(height, 0), "mined", "25.00 USDT to 0x9999".to_owned()),
        (counter.tx(height, 1), "failed", format!("failed in block {height}")),
        (counter.tx(height, 2), "no_transfer", "it moves no USDT of this chain".to_owned()),
        (counter.tx(height, 3), "mined", "ours; scanned to 20, it will be recorded".to_owned()),
        (unknown.clone(), "none", "ethereum: not known there.".to_owned()),
    ] {
        let told = counter.json(&["explain", &tx]).await;
        assert_eq!(told["kind"], "foreign_transaction");
        assert_eq!(told["chains"][0]["answer"]["found"], found, "{told}");
        let text = counter.good(&["explain", &tx]).await;
        assert!(text.starts_with(&format!("No deposit of ours is recorded for {tx}.")), "{text}");
        assert!(text.contains(&words), "{words}: {text}");
    }
    let body = r#"{"jsonrpc":"2.0","id":$ID,"result":{"hash":"0xabababababababababababababababababababababababababababababababab","blockHash":null}}"#;
    let methods = Methods::only(&["eth_getTransactionByHash"]);
    counter.node.fault(Fault::Error {
        methods,
        http_status: 200,
        body: body.to_owned(),
        times: None,
    });
    let told = counter.good(&["explain", &unknown]).await;
    assert!(told.contains("ethereum: known, in no block yet. Wait until it is mined."), "{told}");
    counter.node.stop().await;
    let told = counter.json(&["explain", &unknown]).await;
    assert_eq!(told["chains"][0]["answer"]["found"], "unknown", "{told}");
}

#[tokio::test]
async fn what_nobody_knows_is_said_to_be_unknown() {
    let counter = Counter::open().await;
    let foreign = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let told = counter.json(&["explain", foreign]).await;
    assert_eq!(told["kind"], "foreign_address");
    for term in ["nothing", "overpaid:A-1", "two words", "0x12"] {
        let said = counter.refused(&["explain", term]).await;
        assert!(said.contains(term), "{said}");
    }
    let said = counter.refused(&["explain", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee"]).await;
    assert!(said.contains("look at character 42"), "{said}");
}

#[tokio::test]
async fn a_transfer_of_nothing_is_told_as_such() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    let block = counter.chain.mine(vec![Tx::transfer(Account::repeat_byte(0xaa), address, 0)]);
    counter.watch().await;
    let text = counter.good(&["explain", &counter.tx(block.height, 0)]).await;
    assert!(text.contains("ours, but nothing was sent"), "{text}");
}

/// What moves nothing is no payment that was missed.
#[tokio::test]
async fn a_transfer_from_an_address_to_itself_is_told_as_such() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    let paid = counter.chain.mine(vec![pay(address, 5_000_000)]);
    let block = counter.chain.mine(vec![Tx::transfer(address, address, 5_000_000)]);
    counter.watch().await;
    let text = counter.good(&["explain", &counter.tx(block.height, 0)]).await;
    assert!(text.contains("ours, but sent to itself: nothing moved"), "{text}");
    assert!(counter.good(&["explain", &counter.tx(paid.height, 0)]).await.contains("A-1"));
}

/// Books that refuse what the chain says are told by every process, not by the daemon's log alone.
#[tokio::test]
async fn what_the_books_refuse_is_told() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    counter
        .tamper(
            "CREATE TRIGGER broken BEFORE INSERT ON deposits \
             BEGIN SELECT RAISE(ABORT, 'the books are broken'); END",
        )
        .await;
    counter.chain.mine(vec![pay(address, 100_000_000)]);
    counter.chain.mine_empty(2);
    let mut daemon = Running::start(&counter, &["run"], &[]);
    daemon.hears("this turn failed").await;
    let told = counter.json(&["explain", "A-1"]).await;
    let next = told["story"][0]["next"].as_str().expect("what to do");
    assert!(next.starts_with("ethereum does not go on: database: "), "{next}");
    assert!(next.contains("the books are broken"), "{next}");
    counter.tamper("DROP TRIGGER broken").await;
    daemon.hears("chain.recovered").await;
    assert_eq!(daemon.stop().await, 0);
    assert_eq!(counter.json(&["order", "show", "A-1"]).await["status"], "paid");
}

#[tokio::test]
async fn a_look_alike_is_told_apart_whether_it_is_recorded_or_not() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    let fake = Account::repeat_byte(0xfa);
    let spec = TokenSpec { address: fake, decimals: 6, symbol: "USDT".to_owned() };
    counter.chain.deploy(spec);
    let stranger = Account::repeat_byte(0x99);
    let txs = vec![Tx::transfer_of(fake, stranger, address, 100_000_000)];
    let first = counter.chain.mine(txs.clone()).height;
    counter.chain.mine_empty(12);
    counter.watch().await;
    let words = [
        format!("another token, of contract {fake}: not USDT, whose contract is 0xdAC17F95"),
        "nothing is credited for it".to_owned(),
        "Tell the customer that this token was sent and not USDT".to_owned(),
    ];
    // Not watched: found by its transaction all the same.
    let tx = counter.tx(first, 0);
    let told = counter.json(&["explain", &tx]).await;
    let answer = &told["chains"][0]["answer"];
    assert_eq!(answer["found"], "no_transfer");
    assert_eq!(answer["others"][0]["token"], fake.to_string());
    let text = counter.good(&["explain", &tx]).await;
    assert!(words.iter().all(|words| text.contains(words)), "{text}");
    // Watched: recorded, and told with its order.
    counter.write_with("decimals = 6", "decimals = 6\nother_tokens = \"watch\"");
    let second = counter.chain.mine(txs).height;
    counter.chain.mine_empty(12);
    counter.watch().await;
    let tx = counter.tx(second, 0);
    let told = counter.json(&["explain", &tx]).await;
    assert_eq!(told["kind"], "transaction");
    let order = &told["story"][0];
    assert_eq!((&order["id"], &order["status"]), (&"A-1".into(), &"awaiting_payment".into()));
    assert_eq!(order["cases"][0]["kind"], "wrong_asset");
    let text = counter.good(&["explain", &tx]).await;
    assert!(words.iter().all(|words| text.contains(words)), "{text}");
    assert!(text.contains("100000000 base units of another token"), "{text}");
}
