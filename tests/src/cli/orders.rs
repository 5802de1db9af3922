//! `bursar order`: what is refused, and that saying a thing twice does it once.

use lab::evm::{BeyondTip, Fault, Node};
use serde_json::Value;

use super::counter::{Counter, Running, create, pay};

const NOBODY: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

#[tokio::test]
async fn amounts_that_are_none_are_refused() {
    let counter = Counter::open().await;
    for (amount, why) in [
        ("100.1234567", "`100.1234567` has more than 6 decimals"),
        ("-5", "`-5` is below zero"),
        ("0", "is zero"),
        ("0.00", "is zero"),
        ("9223372036854.775808", "is beyond the largest amount, 9223372036854.775807"),
        ("99999999999999999999999999999999", "is beyond the largest amount"),
        ("a lot", "`a lot` is not a decimal number such as 100.00"),
        ("1,000", "`1,000` is not a decimal number such as 100.00"),
        ("1e3", "`1e3` is not a decimal number such as 100.00"),
        ("", "`` is not a decimal number such as 100.00"),
        ("NaN", "`NaN` is not a decimal number such as 100.00"),
        ("0x10", "`0x10` is not a decimal number such as 100.00"),
    ] {
        let said = counter.refused(&create("A-1", &[&format!("--amount={amount}")])).await;
        assert!(said.contains("amount") && said.contains(why), "{amount}: {said}");
        let both = [&format!("--credits={amount}"), "--amount=5"];
        let said = counter.refused(&create("A-1", &both)).await;
        assert!(said.contains("credits"), "{amount}: {said}");
    }
    assert_eq!(counter.json(&["order", "list"]).await["orders"], Value::Array(vec![]));
}

#[tokio::test]
async fn what_else_can_be_wrong_with_an_order() {
    let counter = Counter::open().await;
    let long = format!("--metadata=\"{}\"", "x".repeat(4096));
    let typo = NOBODY.replace("BeAed", "BeAee");
    let refund = format!("--refund-to={typo}");
    let nobody = format!("--refund-to=0x{}", "0".repeat(40));
    let token = "--refund-to=0xdAC17F958D2ee523a2206206994597C13D831ec7".to_owned();
    let ours = format!("--refund-to={}", counter.order("A-0").await);
    for (more, why) in [
        (vec!["--amount=5", "--metadata={"], "--metadata: is not JSON: "),
        (vec!["--amount=5", &long], "--metadata: is longer than 4096 bytes"),
        (vec!["--amount=5", "--metadata={\"a\":1,\"a\":2}"], "--metadata: has `a` twice"),
        (
            vec!["--amount=5", "--metadata=[12345678901234567890123]"],
            "has 12345678901234567890123, which would be kept as 1.2345678901234568e+22",
        ),
        (vec!["--amount=5", &nobody], "refund address of order `A-1` is nobody's"),
        (vec!["--amount=5", &token], "is the token's own contract"),
        (vec!["--amount=5", &ours], "is a deposit address of ours"),
        (vec!["--amount=5", &refund], "look at character 42, `e`"),
        (vec!["--amount=5", "--refund-to=0x12"], "--refund-to: `0x12` is neither"),
        (
            vec!["--amount=5", "--refund-to=TWer2Ygk5TEheHp3TPuYeqxmB6SsGZmaL6"],
            "another kind of chain",
        ),
        (vec!["--amount=5", "--expires-after=soon"], "--expires-after: `soon` is not a duration"),
        (vec!["--amount=5", "--expires-after=1ms"], "--expires-after: `1ms` must be 1s to a year"),
        (vec!["--plan=gold"], "--plan: `gold` is not configured; there is team"),
        (vec!["--amount=5", "--plan=team"], "cannot be used with"),
        (vec![], "--amount <AMOUNT>"),
        (vec!["--top-up", "--credits=5"], "cannot be used with '--credits <CREDITS>'"),
    ] {
        let said = counter.refused(&create("A-1", &more)).await;
        assert!(said.contains(why), "{more:?}: {said}");
    }
    for id in ["", "two words", "colon:colon", "é", &"x".repeat(65), "a/b", "a'b"] {
        let said = counter.refused(&create(id, &["--amount=5"])).await;
        assert!(said.starts_with("--id: order id `") && said.contains("1 to 64"), "{said}");
        let customer =
            ["order", "create", "--id=A", "--chain=ethereum", "--amount=5", "--customer"];
        let said = counter.refused(&[&customer[..], &[id]].concat()).await;
        assert!(said.starts_with("--customer: customer id `"), "{said}");
    }
    let elsewhere = ["order", "create", "--id=A", "--customer=b", "--chain=tron", "--amount=5"];
    let said = counter.refused(&elsewhere).await;
    assert_eq!(said, "--chain: `tron` is not configured; there is ethereum");
}

#[tokio::test]
async fn an_order_told_twice_is_the_same_order() {
    let counter = Counter::open().await;
    let more = ["--amount=100", "--refund-to", NOBODY, "--metadata={\"a\": 1}"];
    let first = counter.json(&create("A-1", &more)).await;
    assert_eq!(first["created"], true);
    let before = counter.contents().await;
    let mut second = counter.json(&create("A-1", &more)).await;
    assert_eq!(second["created"], false);
    second["created"] = true.into();
    assert_eq!(first, second);
    assert_eq!(counter.contents().await, before, "the second time used something up");
    let said = counter.good(&create("A-1", &more)).await;
    assert!(said.starts_with("This order exists already, with these terms."), "{said}");
}

/// What the config says by now is no term of an order that was made before.
#[tokio::test]
async fn an_order_told_again_after_the_config_changed_is_the_same_order() {
    let counter = Counter::open().await;
    let first = counter.json(&create("A-1", &["--amount=100"])).await;
    let plans = "[pricing.plans]";
    counter.write_with(plans, &format!("[orders]\nexpires_after = \"2h\"\n\n{plans}"));
    let second = counter.json(&create("A-1", &["--amount=100"])).await;
    assert_eq!(second["created"], false);
    assert_eq!(second["expires_at"], first["expires_at"]);
    let said = counter.refused(&create("A-1", &["--amount=100", "--expires-after=2h"])).await;
    assert_eq!(said, "order `A-1` exists with another expiry");
    let third = counter.json(&create("A-2", &["--amount=100"])).await;
    assert_ne!(third["expires_at"], first["expires_at"]);
}

/// A caller that heard no answer asks again, perhaps after the price was changed.
#[tokio::test]
async fn an_order_told_again_at_another_rate_is_the_same_order() {
    let counter = Counter::open().await;
    let fixed = counter.json(&create("A-1", &["--amount=100"])).await;
    let open = counter.json(&create("A-2", &["--top-up"])).await;
    counter.json(&create("A-3", &["--amount=100", "--credits=7"])).await;
    counter.write_with("credits_per_usdt = \"100\"", "credits_per_usdt = \"50\"");
    for (id, more, first) in [("A-1", "--amount=100", &fixed), ("A-2", "--top-up", &open)] {
        let second = counter.json(&create(id, &[more])).await;
        assert_eq!(second["created"], false);
        assert_eq!(second["price"], first["price"]);
    }
    for (id, more) in [("A-1", &["--amount=100", "--credits=7"][..]), ("A-3", &["--amount=100"])] {
        let said = counter.refused(&create(id, more)).await;
        assert_eq!(said, format!("order `{id}` exists with another price"));
    }
    counter.write_with("credits_per_usdt = \"100\"", "");
    let third = counter.json(&create("A-1", &["--amount=100"])).await;
    assert_eq!(third["price"], fixed["price"]);
    let said = counter.refused(&create("A-4", &["--amount=100"])).await;
    assert!(said.starts_with("pricing.credits_per_usdt: is not set"), "{said}");
}

/// Nothing below it is read, and nothing would tell.
#[tokio::test]
async fn no_address_is_shown_where_the_books_would_begin_above_the_chain() {
    let counter = Counter::open().await;
    counter.write_with("poll_interval =", "start = 23\npoll_interval =");
    let why = "is 23, above the newest block: what is paid before is never read";
    let line = format!("chains.ethereum.start: {why}");
    // The first that speaks to a chain writes down which one it is.
    assert_eq!(counter.run(&create("A-1", &["--amount=5"])).await.code, 2);
    assert_eq!(counter.refused(&create("A-1", &["--amount=5"])).await, line);
    assert!(!counter.path("ethereum.index").exists());
    let checked = counter.run(&["check"]).await;
    assert!(checked.code == 2 && checked.out.contains(&line), "{checked:?}");
    let mut daemon = Running::start(&counter, &["run"], &[]);
    daemon.hears("nothing is read yet").await;
    assert!(daemon.heard.join("").contains(why), "{:?}", daemon.heard);
    assert_eq!(daemon.stop().await, 0);
    counter.chain.mine_empty(2);
    // One endpoint that is behind is not the chain.
    let behind = Node::start(counter.chain.clone()).await.expect("a port");
    behind.fault(Fault::Lag { blocks: 5, beyond: BeyondTip::Clamp });
    let first = format!("\n[[chains.ethereum.endpoints]]\nurl = \"{}\"\n", behind.http_url());
    let both = "\n[[chains.ethereum.endpoints]]\n";
    let config = std::fs::read_to_string(counter.path("bursar.toml")).expect("the config");
    counter.write(&config.replacen(both, &(first + both), 1));
    counter.good(&create("A-1", &["--amount=5"])).await;
    assert!(counter.run(&["check"]).await.out.contains("at block 23"));
}

/// Nothing is found of a chain that is not there: that is no list of nothing.
#[tokio::test]
async fn orders_of_a_chain_that_is_not_there_are_refused() {
    let counter = Counter::open().await;
    let said = counter.refused(&["order", "list", "--chain=etherium"]).await;
    assert_eq!(said, "--chain: `etherium` is not configured; there is ethereum");
    let none = counter.json(&["order", "list", "--chain=ethereum"]).await;
    assert_eq!(none["orders"], Value::Array(vec![]));
}

#[tokio::test]
async fn an_order_told_with_other_terms_is_refused_by_the_first_that_differs() {
    let counter = Counter::open().await;
    let metadata = "--metadata={\"a\":1}";
    let (amount, expiry) = ("--amount=100", "--expires-after=1h");
    let refund = format!("--refund-to={NOBODY}");
    counter.json(&create("A-1", &[amount, expiry, &refund, metadata])).await;
    let other = "--refund-to=0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
    for (more, field) in [
        (vec!["--amount=101", expiry, &refund, metadata], "amount"),
        (vec!["--top-up", expiry, &refund, metadata], "amount"),
        (vec![amount, "--credits=7", expiry, &refund, metadata], "price"),
        (vec!["--plan=team", expiry, &refund, metadata], "price"),
        (vec![amount, "--expires-after=2h", &refund, metadata], "expiry"),
        (vec![amount, expiry, other, metadata], "refund address"),
        (vec![amount, expiry, metadata], "refund address"),
        (vec![amount, expiry, &refund, "--metadata={\"a\":2}"], "metadata"),
        (vec![amount, expiry, &refund], "metadata"),
    ] {
        let said = counter.refused(&create("A-1", &more)).await;
        assert_eq!(said, format!("order `A-1` exists with another {field}"), "{more:?}");
    }
    let other = ["order", "create", "--id=A-1", "--customer=zeta", "--chain=ethereum", amount];
    let said = counter.refused(&[&other[..], &[expiry, &refund, metadata]].concat()).await;
    assert_eq!(said, "order `A-1` exists with another customer");
}

#[tokio::test]
async fn orders_that_are_not_there_cannot_be_shown_or_taken_back() {
    let counter = Counter::open().await;
    for verb in ["show", "cancel"] {
        let said = counter.refused(&["order", verb, "A-1"]).await;
        assert_eq!(said, "order `A-1` does not exist");
        let said = counter.refused(&["order", verb, "no such thing"]).await;
        assert!(said.starts_with("order: order id `no such thing` must be"), "{said}");
    }
}

#[tokio::test]
async fn an_order_is_taken_back_once_and_never_after_it_was_paid() {
    let counter = Counter::open().await;
    counter.paid("A-1").await;
    assert_eq!(counter.refused(&["order", "cancel", "A-1"]).await, "order `A-1` is paid");
    counter.order("A-2").await;
    let first = counter.json(&["order", "cancel", "A-2"]).await;
    assert_eq!(first["status"], "cancelled");
    let before = counter.contents().await;
    assert_eq!(counter.json(&["order", "cancel", "A-2"]).await, first);
    assert_eq!(counter.contents().await, before);
}

#[tokio::test]
async fn orders_are_listed_by_pages_and_by_what_they_are() {
    let counter = Counter::open().await;
    counter.paid("A-0").await;
    for n in 1..=5 {
        counter.order(&format!("A-{n}")).await;
    }
    let zeta = ["order", "create", "--id=Z-1", "--customer=zeta", "--chain=ethereum", "--top-up"];
    counter.json(&zeta).await;
    counter.json(&["order", "cancel", "A-5"]).await;
    for (filter, ids) in [
        (vec!["--status=paid"], vec!["A-0"]),
        (vec!["--status=cancelled"], vec!["A-5"]),
        (vec!["--status=expired"], vec![]),
        (vec!["--status=awaiting_payment"], vec!["A-1", "A-2", "A-3", "A-4", "Z-1"]),
        (vec!["--customer=zeta"], vec!["Z-1"]),
        (vec!["--customer=nobody"], vec![]),
        (vec!["--customer=acme", "--status=cancelled", "--chain=ethereum"], vec!["A-5"]),
    ] {
        let list = counter.json(&[&["order", "list"], &filter[..]].concat()).await;
        assert_eq!(listed(&list), ids, "{filter:?}");
        assert_eq!(list["next"], Value::Null, "{filter:?}");
    }
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let after_text = format!("--after={after}");
        let page = counter.json(&["order", "list", "--limit=3", &after_text]).await;
        assert!(listed(&page).len() <= 3);
        all.extend(listed(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_u64() else { break };
        assert!(next > after);
        after = next;
    }
    assert_eq!(all, ["A-0", "A-1", "A-2", "A-3", "A-4", "A-5", "Z-1"]);
    let text = counter.good(&["order", "list", "--limit=2"]).await;
    assert!(text.starts_with("order") && text.ends_with("\nMore with --after 2\n"), "{text}");
    for (limit, part) in [("0", "1..=1000"), ("1001", "1..=1000"), ("many", "invalid digit")] {
        let said = counter.refused(&["order", "list", "--limit", limit]).await;
        assert!(said.contains("--limit") && said.contains(part), "{said}");
    }
    let said = counter.refused(&["order", "list", "--status", "done"]).await;
    assert!(said.contains("done") && said.contains("partially_paid"), "{said}");
}

fn listed(list: &Value) -> Vec<&str> {
    let orders = list["orders"].as_array().expect("a list").iter();
    orders.map(|order| order["id"].as_str().expect("an id")).collect()
}

/// The books of a chain begin before its first address is shown, so that a payment cannot be mined
/// and final below them while no daemon has run.
#[tokio::test]
async fn an_order_that_is_paid_before_a_daemon_ever_ran_is_paid() {
    let counter = Counter::open().await;
    let address = counter.order("A-1").await;
    counter.chain.mine(vec![pay(address, 100_000_000)]);
    counter.chain.mine_empty(100);
    counter.watch().await;
    assert_eq!(counter.json(&["order", "show", "A-1"]).await["status"], "paid");
}
