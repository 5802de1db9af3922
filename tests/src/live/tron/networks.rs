//! Money on the wrong network: the same twenty bytes on another chain.
//!
//! In: a TRON order paid in ERC20, an Ethereum order paid in TRC20. Out: one case on the right
//! order, and what support is told. Why: it is the most frequent mistake of payers.

use alloy::primitives::Address as RawAddress;
use tokio::process::Command;

use super::{Engine, Shop, list, on_both_engines, payment, text};

on_both_engines! {
    a_tron_order_paid_on_ethereum_is_a_case,
    an_ethereum_order_paid_on_tron_is_a_case,
}

async fn a_tron_order_paid_on_ethereum_is_a_case(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("T-1", "tron", "100").await;
    let paid = lab::evm::Tx::transfer(RawAddress::repeat_byte(0xaa), to, 100_000_000u64);
    shop.ethereum.mine(vec![paid]);
    shop.ethereum.mine_empty(5);
    daemon.told("case.opened", "T-1").await;
    let order = shop.show("T-1").await;
    assert_eq!(order["status"], "awaiting_payment", "{order}");
    let [case] = list(&order["cases"]) else { panic!("one case: {order}") };
    assert_eq!((text(&case["kind"]), text(&case["chain"])), ("wrong_network", "ethereum"));
    assert_eq!(case["recovery"]["recoverable"], true);
    assert_eq!(case["recovery"]["path"], "m/44'/195'/0'/0/0");
    assert_eq!(case["recovery"]["fee"], "5.00");
    nothing_is_credited(&shop).await;
    let explained = shop.bursar(&["explain", text(&order["deposits"][0]["tx"])]).await;
    let said = explained.to_string();
    assert!(said.contains("it arrived on ethereum; the order is to be paid on tron"), "{said}");
    assert!(said.contains("the recovery fee on ethereum is 5.00 USDT"), "{said}");
    // The right payment is credited beside it.
    shop.chain.mine(vec![payment(to, 100)]);
    shop.solidify();
    daemon.told("credits.granted", "T-1").await;
    let order = shop.show("T-1").await;
    assert_eq!(order["status"], "paid", "{order}");
    assert_eq!(list(&order["cases"]).len(), 1);
    shop.verify().await;
    daemon.stop().await;
}

async fn an_ethereum_order_paid_on_tron_is_a_case(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("E-1", "ethereum", "100").await;
    shop.chain.mine(vec![payment(to, 100)]);
    shop.solidify();
    daemon.told("case.opened", "E-1").await;
    let order = shop.show("E-1").await;
    let [case] = list(&order["cases"]) else { panic!("one case: {order}") };
    assert_eq!((text(&case["kind"]), text(&case["chain"])), ("wrong_network", "tron"));
    assert_eq!(case["recovery"]["path"], "m/44'/60'/0'/0/0");
    assert_eq!(case["recovery"]["fee"], "0.80");
    nothing_is_credited(&shop).await;
    // Support is sent the address as the payer's TRON wallet shows it.
    let tron = payments::address::Address(to.into_array()).tron();
    let explained = shop.bursar(&["explain", &tron]).await;
    assert_eq!(explained["kind"], "address");
    assert!(explained.to_string().contains("it arrived on tron"), "{explained}");
    shop.verify().await;
    daemon.stop().await;
}

async fn nothing_is_credited(shop: &Shop) {
    let balances = shop.bursar(&["ledger", "balance", "customer:"]).await;
    assert!(!balances.to_string().contains("CREDIT"), "{balances}");
}

/// Support is told of it before it is final, what a decision does besides, and every address as its
/// chain spells it.
#[tokio::test]
async fn money_on_the_wrong_network_is_told_of_at_once() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("E-1", "ethereum", "100").await;
    shop.chain.mine(vec![payment(to, 150)]);
    daemon.told("deposit.detected", "E-1").await;
    let told = shop.bursar(&["explain", "E-1"]).await;
    let next = text(&told["story"][0]["next"]);
    assert!(next.starts_with("150.00 USDT arrived on tron instead of ethereum"), "{next}");
    shop.solidify();
    daemon.told("case.opened", "E-1").await;
    // Some of it where it belongs.
    let part = lab::evm::Tx::transfer(RawAddress::repeat_byte(0xaa), to, 60_000_000u64);
    shop.ethereum.mine(vec![part]);
    shop.ethereum.mine_empty(5);
    daemon.told_times("deposit.confirmed", "E-1", 2).await;
    let case = text(&shop.show("E-1").await["cases"][0]["id"]).to_owned();
    let shown = shop.says(&["case", "show", &case]).await.0;
    let effect = "the order is then paid, and 60.00 USDT that had counted for it is a duplicate";
    assert!(shown.contains(&format!("grants E-1 15000 credits; {effect}")), "{shown}");
    let there = payments::address::Address([0x66; 20]).tron();
    let (decide, ann) = (["case", "resolve", &case], ["--by", "ann", "--why", "asked"]);
    shop.bursar(&[&decide[..], &["refund", "--to", &there], &ann].concat()).await;
    let proposed = format!("refund 150.00 - 0.80 = 149.20 USDT to {there} proposed by ann");
    let shown = shop.says(&["order", "show", "E-1"]).await.0;
    assert!(shown.contains(&proposed), "{shown}");
    let bob = ["--by", "bob", "--why", "no"];
    let refused = shop.says(&[&decide[..], &["dismiss"], &bob].concat()).await.1;
    assert!(refused.contains("ann proposed refund") && refused.contains(&there), "{refused}");
    let foreign = shop.says(&["explain", &there]).await.0;
    assert_eq!(foreign.trim(), format!("{there} was never a deposit address of ours."));
    daemon.stop().await;
}

impl Shop {
    /// What a command says to people: on standard output, and on standard error.
    async fn says(&self, arguments: &[&str]) -> (String, String) {
        let mut command = Command::from(crate::binary::command(self.folder.path()));
        let said = command.args(arguments).output().await.expect("bursar runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (text(said.stdout), text(said.stderr))
    }
}
