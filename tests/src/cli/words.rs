//! What support reads where something is decided, over or gone: the words must fit the books.
//!
//! In: thefts, refunds, dust, late payments, reorgs, long histories. Out: what is said of each.
//! Never: a sentence that was true an hour ago. Why: it is read out to a customer as it stands.

use alloy::primitives::Address as Account;
use lab::evm::Tx;
use serde_json::{Value, json};

use super::counter::{Counter, create, pay};

const ANN: [&str; 4] = ["--by", "ann", "--why", "asked the customer"];
const BOB: [&str; 4] = ["--by", "bob", "--why", "I agree"];
/// An account of a stranger.
const THERE: &str = "0x00000000219ab540356cBB839Cbe05303d7705Fa";

impl Counter {
    /// The ids of the open cases.
    async fn open_cases(&self, more: &[&str]) -> Vec<String> {
        let listed = self.json(&[&["case", "list"], more].concat()).await;
        let cases = listed["cases"].as_array().expect("a list").iter();
        cases.map(|case| case["id"].as_str().expect("an id").to_owned()).collect()
    }

    async fn one_case(&self) -> String {
        let open = self.open_cases(&[]).await;
        let [case] = open.as_slice() else { panic!("one case: {open:?}") };
        case.clone()
    }

    async fn resolve(&self, case: &str, what: &[&str], who: &[&str]) -> Value {
        self.json(&[&["case", "resolve", case], what, who].concat()).await
    }

    /// What is told of an order.
    async fn told(&self, order: &str) -> Value {
        self.json(&["explain", order]).await["story"][0].clone()
    }

    async fn next(&self, order: &str) -> String {
        self.told(order).await["next"].as_str().expect("what to do").to_owned()
    }

    /// Why a deposit of an order is what it is.
    async fn because(&self, order: &str, place: usize) -> String {
        let told = self.told(order).await;
        let because = told["because"][place]["because"].as_str();
        because.unwrap_or_else(|| panic!("why: {told}")).to_owned()
    }

    /// Pays an order of 100 USDT, and again; the case of it.
    async fn paid_twice(&self, id: &str) -> String {
        let to = self.order(id).await;
        self.chain.mine(vec![pay(to, 100_000_000)]);
        self.chain.mine(vec![pay(to, 100_000_000).tagged(2)]);
        self.chain.mine_empty(12);
        self.watch().await;
        self.one_case().await
    }

    /// An order that was paid, and 30 USDT of it taken by a stranger.
    async fn robbed(&self, id: &str) -> String {
        let from = self.order(id).await;
        self.chain.mine(vec![pay(from, 100_000_000)]);
        self.chain.mine_empty(12);
        self.chain.mine(vec![Tx::transfer(from, Account::repeat_byte(0x99), 30_000_000)]);
        self.chain.mine_empty(12);
        self.watch().await;
        self.one_case().await
    }
}

/// The line of a text that holds these words.
fn line<'a>(text: &'a str, words: &str) -> &'a str {
    let mut lines = text.lines().filter(|line| line.contains(words));
    lines.next().unwrap_or_else(|| panic!("no `{words}`: {text}"))
}

#[tokio::test]
async fn a_theft_is_listed_by_what_was_taken() {
    let counter = Counter::open().await;
    let case = counter.robbed("A-1").await;
    let listed = counter.json(&["case", "list"]).await;
    let told = &listed["cases"][0];
    assert_eq!((&told["amount"], &told["at_stake"]), (&json!("0.00"), &json!("30.00")), "{told}");
    let text = counter.good(&["case", "list"]).await;
    assert!(line(&text, &case).contains(" 30.00 "), "{text}");
    assert_eq!(counter.open_cases(&["--min-amount=30"]).await, std::slice::from_ref(&case));
    assert_eq!(counter.open_cases(&["--min-amount=30.000001"]).await, [""; 0]);
    let text = counter.good(&["order", "show", "A-1"]).await;
    assert!(line(&text, &case).contains(" 30.00 "), "{text}");
}

#[tokio::test]
async fn credits_that_were_taken_back_are_listed_by_what_they_were_for() {
    let counter = Counter::open().await;
    counter.paid("A-1").await;
    counter.chain.mine_empty(1);
    counter.chain.reorg(4, vec![vec![]; 5]);
    counter.watch().await;
    let case = counter.one_case().await;
    assert!(case.starts_with("reversed_after_credit:"), "{case}");
    assert_eq!(counter.open_cases(&["--min-amount=100"]).await, std::slice::from_ref(&case));
    let text = counter.good(&["case", "list"]).await;
    assert!(line(&text, &case).contains(" 100.00 "), "{text}");
    let text = counter.good(&["case", "show", &case]).await;
    assert!(text.contains("reversed_after_credit of 100.00 USDT"), "{text}");
    counter.resolve(&case, &["dismiss"], &ANN).await;
    let next = counter.next("A-1").await;
    assert!(next.starts_with("100.00 USDT was seen in a block that is no longer part"), "{next}");
}

/// Nearly all of it is there, and a part of it came too late; so would the rest.
#[tokio::test]
async fn nobody_is_asked_for_what_would_come_too_late() {
    let counter = Counter::open().await;
    counter.write_with("[pricing]\n", "[orders]\nlate_window = \"1s\"\n\n[pricing]\n");
    let made = counter.json(&create("A-1", &["--amount=100", "--expires-after=1m"])).await;
    let to: Account = made["address"].as_str().and_then(|to| to.parse().ok()).expect("an address");
    counter.chain.mine(vec![pay(to, 50_000_000)]);
    counter.chain.mine_empty(2);
    counter.watch().await;
    let later = counter.chain.time(counter.chain.tip().height).expect("the tip") + 600;
    counter.chain.mine_at(later, vec![pay(to, 49_950_000).tagged(2)]);
    counter.watch().await;
    assert_eq!(counter.told("A-1").await["status"], "partially_paid");
    let text = counter.good(&["order", "show", "A-1"]).await;
    assert!(!text.contains("send "), "{text}");
    let next = counter.next("A-1").await;
    assert!(next.starts_with("wait; what arrived last came too late to count: once"), "{next}");
}

/// What is asked for is what counts.
#[tokio::test]
async fn a_rest_below_the_dust_limit_is_asked_for_as_what_counts() {
    let counter = Counter::open().await;
    let to = counter.order("A-1").await;
    counter.chain.mine(vec![pay(to, 99_950_000)]);
    counter.chain.mine_empty(2);
    counter.watch().await;
    let next = counter.next("A-1").await;
    assert!(next.starts_with("the rest, 0.05 USDT, has to arrive before the order"), "{next}");
    let how = "in a payment of at least 0.10: less does not count, and what is then too much is";
    assert!(next.contains(how), "{next}");
    let text = counter.good(&["order", "show", "A-1"]).await;
    let asked = line(&text, "send ");
    assert!(asked.starts_with("send 0.10 USDT on ethereum to 0x"), "{asked}");
    assert!(asked.ends_with("(0.05 is missing, and less than 0.10 does not count)"), "{asked}");
    assert!(line(&text, "/transfer?").ends_with("&uint256=100000"), "{text}");
    counter.chain.mine(vec![pay(to, 100_000)]);
    counter.chain.mine_empty(2);
    counter.watch().await;
    assert_eq!(counter.told("A-1").await["status"], "paid");
    assert!(counter.one_case().await.starts_with("overpaid:"));
}

#[tokio::test]
async fn what_a_person_has_explained_is_unexplained_no_more() {
    let counter = Counter::open().await;
    let case = counter.robbed("A-1").await;
    let unexplained = ["outflow", "list", "--unexplained"];
    let left = |told: Value| told["outflows"].as_array().map(Vec::len);
    assert_eq!(left(counter.json(&unexplained).await), Some(1));
    let told = counter.good(&["explain", "A-1"]).await;
    assert!(told.contains("UNEXPLAINED; a person has to say what it was"), "{told}");
    counter.resolve(&case, &["dismiss"], &ANN).await;
    let told = counter.good(&["explain", "A-1"]).await;
    assert!(!told.contains("UNEXPLAINED"), "{told}");
    assert!(told.contains("ann said what it was: asked the customer"), "{told}");
    let text = counter.good(&["outflow", "list"]).await;
    assert!(text.contains("booked explained by ann") && !text.contains("UNEXPLAINED"), "{text}");
    let told = counter.json(&["outflow", "list"]).await;
    assert_eq!(told["outflows"][0]["said"]["why"], "asked the customer", "{told}");
    assert_eq!(left(counter.json(&unexplained).await), Some(0));
}

/// Longer ago than events are told of.
#[tokio::test]
async fn what_became_final_long_ago_is_not_waited_for() {
    let counter = Counter::open().await;
    let made = counter.json(&create("T-1", &["--top-up"])).await;
    let to: Account = made["address"].as_str().and_then(|to| to.parse().ok()).expect("an address");
    for tag in 0..12 {
        counter.chain.mine(vec![pay(to, 5_000_000).tagged(tag)]);
    }
    counter.chain.mine_empty(12);
    counter.watch().await;
    let told = counter.told("T-1").await;
    let because = told["because"].as_array().expect("a list");
    assert_eq!(because.len(), 12, "{told}");
    for of in because {
        assert!(of["final"]["final_since"].is_string(), "{of}");
    }
    let text = counter.good(&["explain", "T-1"]).await;
    assert!(!text.contains("becomes final"), "{text}");
}

#[tokio::test]
async fn what_counts_for_another_order_is_as_final_there() {
    let counter = Counter::open().await;
    let case = counter.paid_twice("A-1").await;
    counter.order("B-1").await;
    counter.resolve(&case, &["reassign", "--order=B-1"], &ANN).await;
    let told = counter.told("B-1").await;
    assert_eq!(told["status"], "paid", "{told}");
    assert!(told["because"][0]["final"]["final_since"].is_string(), "{told}");
    let because = counter.because("B-1", 0).await;
    assert!(because.starts_with("credited; ") && because.contains(&case), "{because}");
}

#[tokio::test]
async fn an_unassigned_deposit_leads_to_the_case_that_is_open() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    let address = Account::repeat_byte(0x5a);
    std::fs::write(counter.path("list"), format!("{address}\n")).expect("written");
    counter.json(&["address", "import", "list"]).await;
    counter.watch().await;
    let paid = pay(address, 8_000_000);
    let block = counter.chain.mine(vec![paid.clone()]);
    let tx = counter.tx(block.height, 0);
    counter.chain.mine_empty(3);
    counter.watch().await;
    let first = counter.one_case().await;
    let told = counter.good(&["explain", &tx]).await;
    assert!(told.contains(&format!("bursar case show {first}\n")), "{told}");
    counter.chain.reorg(4, vec![vec![], vec![paid], vec![], vec![], vec![]]);
    counter.watch().await;
    let second = counter.one_case().await;
    assert_eq!(second, format!("{first}#2"));
    let told = counter.good(&["explain", &tx]).await;
    assert!(told.contains(&format!("bursar case show {second}\n")), "{told}");
    // And once it is decided, to what was decided.
    counter.chain.mine_empty(8);
    counter.watch().await;
    for who in [&ANN, &BOB] {
        counter.resolve(&second, &["refund", "--to", THERE], who).await;
    }
    let told = counter.good(&["explain", &tx]).await;
    assert!(told.contains("What became of it: to be sent back; not seen on chain yet."), "{told}");
    let next = format!("What to do: its refund is to be sent: bursar case show {second}\n");
    assert!(told.contains(&next), "{told}");
}

#[tokio::test]
async fn a_refund_is_what_is_to_do_until_the_chain_shows_it() {
    let counter = Counter::open().await;
    counter.write_with("poll_interval =", "refund_fee = \"0.80\"\npoll_interval =");
    let case = counter.paid_twice("A-1").await;
    counter.resolve(&case, &["refund", "--to", THERE], &ANN).await;
    let next = counter.next("A-1").await;
    assert!(next.contains("another person than ann confirms"), "{next}");
    counter.resolve(&case, &["refund", "--to", THERE], &BOB).await;
    let next = counter.next("A-1").await;
    assert!(next.starts_with("a refund of 99.20 USDT is to be sent"), "{next}");
    assert!(next.contains(&format!("`bursar refund sent {case} ")), "{next}");
    let tx = format!("0x{}", "ab".repeat(32));
    counter.json(&["refund", "sent", &case, "--tx", &tx, "--by", "ann"]).await;
    let next = counter.next("A-1").await;
    assert!(next.starts_with("wait; a refund of 99.20 USDT was sent"), "{next}");
    counter.json(&["refund", "give-up", &case, "--by=ann", "--why=replaced"]).await;
    let next = counter.next("A-1").await;
    assert!(next.starts_with("a refund of 99.20 USDT has failed"), "{next}");
    // Of a customer as of an order.
    let told = counter.good(&["explain", "acme"]).await;
    assert!(told.contains("A-1: a refund of 99.20 USDT has failed"), "{told}");
}

#[tokio::test]
async fn what_arrived_and_does_not_count_is_not_called_nothing() {
    let counter = Counter::open().await;
    let to = counter.order("A-1").await;
    counter.chain.mine(vec![pay(to, 50_000)]);
    counter.watch().await;
    let next = counter.next("A-1").await;
    let dust = "0.05 USDT arrived, below the dust limit of 0.10: it does not count";
    assert!(next.starts_with(dust), "{next}");
    counter.chain.mine_empty(12);
    counter.watch().await;
    assert!(counter.next("A-1").await.starts_with(dust));
}

#[tokio::test]
async fn a_pause_holds_up_what_waits_and_nothing_else() {
    let counter = Counter::open().await;
    counter.paid("A-1").await;
    let waits = counter.order("B-1").await;
    counter.json(&[&["chain", "pause", "ethereum"], &ANN[..]].concat()).await;
    assert_eq!(counter.next("A-1").await, "nothing; the credits are granted.");
    let next = counter.next("B-1").await;
    assert!(next.starts_with("nothing has arrived; ask for the transaction id"), "{next}");
    counter.chain.mine(vec![pay(waits, 100_000_000)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let next = counter.next("B-1").await;
    assert!(next.starts_with("crediting on ethereum is paused: ann: asked the customer"), "{next}");
    assert!(next.contains("a person has to find out why"), "{next}");
}

#[tokio::test]
async fn a_late_payment_is_credited_by_whoever_decided_it() {
    let counter = Counter::open().await;
    counter.write_with("[pricing]\n", "[orders]\nlate_window = \"1m\"\n\n[pricing]\n");
    let made = counter.json(&create("A-1", &["--amount=100", "--expires-after=1m"])).await;
    let to: Account = made["address"].as_str().and_then(|to| to.parse().ok()).expect("an address");
    let later = counter.chain.time(counter.chain.tip().height).expect("the tip") + 600;
    // 150 where 100 are due.
    counter.chain.mine_at(later, vec![pay(to, 150_000_000)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let case = counter.one_case().await;
    let shown = counter.good(&["case", "show", &case]).await;
    assert!(shown.contains("grants acme 15000 credits; the order is then paid"), "{shown}");
    counter.resolve(&case, &["credit"], &ANN).await;
    assert_eq!(counter.told("A-1").await["status"], "paid");
    let because = counter.because("A-1", 0).await;
    let expected = "credited by a decision of ann; it came after the expiry and the late window";
    assert_eq!(because, expected);
}

#[tokio::test]
async fn what_came_too_late_is_held_against_what_ended_the_order() {
    let counter = Counter::open().await;
    counter.write_with("[pricing]\n", "[orders]\nlate_window = \"1m\"\n\n[pricing]\n");
    let to = counter.order("A-1").await;
    counter.chain.mine(vec![pay(to, 40_000_000)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    counter.json(&["order", "cancel", "A-1"]).await;
    let because = counter.because("A-1", 0).await;
    assert_eq!(because, "held, the order was cancelled with 40.00 of what was due");
    let later = counter.chain.time(counter.chain.tip().height).expect("the tip") + 600;
    counter.chain.mine_at(later, vec![pay(to, 10_000_000).tagged(2)]);
    counter.watch().await;
    counter.chain.mine_empty(12);
    counter.watch().await;
    let because = counter.because("A-1", 1).await;
    assert_eq!(because, "held, it came after the order was cancelled and the late window");
}

/// What is typed may be a private key that was pasted there.
#[tokio::test]
async fn an_id_of_a_discrepancy_is_not_repeated_whole() {
    let counter = Counter::open().await;
    let key = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    for typed in [key.to_owned(), format!("0x{key}"), format!("0X{key}"), format!("{key}g")] {
        let said = counter.refused(&["reconcile", "show", &typed]).await;
        assert!(said.starts_with("ID: ") && said.contains(&key[..8]), "{said}");
        assert!(!said.contains(&key[..16]), "{said}");
    }
}

/// An order is as old as the machine's clock says, a block as old as the chain's.
#[tokio::test]
async fn a_payment_is_found_where_the_clock_of_the_machine_is_ahead() {
    let counter = Counter::behind(20 * 60).await;
    let (address, _) = counter.omitted("A-1").await;
    counter.node.heal();
    let address = address.to_string();
    let again = counter.json(&["rescan", "--chain=ethereum", "--address", &address]).await;
    assert_eq!(again["found"], 1, "{again}");
    assert_eq!(counter.json(&["order", "show", "A-1"]).await["status"], "paid");
}
