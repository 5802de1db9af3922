//! Money on the wrong network: the same twenty bytes on another chain.
//!
//! In: a TRON order paid in ERC20, an Ethereum order paid in TRC20. Out: one case on the right
//! order, and what support is told. Why: it is the most frequent mistake of payers.

use alloy::primitives::Address as RawAddress;

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
