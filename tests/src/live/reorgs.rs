//! Reorgs: a payment that goes, one that comes back elsewhere, and one that was credited before.

use super::audit::told_of;
use super::shop::{Engine, Setup, Shop, USDT, deposits, list, on_both_engines, text};
use crate::anvil::transfer_request;
use alloy::providers::Provider;
use alloy::rpc::types::anvil::TransactionData;

on_both_engines!(
    a_payment_that_a_reorg_drops_is_not_credited,
    a_payment_mined_again_elsewhere_is_the_same_deposit,
    a_credit_that_a_reorg_takes_back_is_reversed_and_granted_again,
    a_credited_payment_that_a_reorg_moves_is_worth_itself_once,
    a_tip_that_goes_back_and_grows_elsewhere_is_followed,
    a_reorg_below_the_finalized_height_pauses_the_chain_and_is_told_once,
);

// before   .. n [pay]
// after    .. n'[]      n+1' []
async fn a_payment_that_a_reorg_drops_is_not_credited(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("GONE", "100").await;
    let tx = shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(2).await;
    daemon.told("order.confirming", "GONE").await;
    shop.anvil.reorg(2, vec![]).await;
    shop.anvil.mine(1).await;
    daemon.told("deposit.orphaned", "GONE").await;
    let order = shop.show("GONE").await;
    assert_eq!(text(&order["status"]), "awaiting_payment");
    let id = format!("ethereum:{tx}:0");
    assert_eq!(deposits(&order), [(id.as_str(), "orphaned", "100.00")]);
    let told = shop.bursar(&["explain", "GONE"]).await;
    let why = text(&told["story"][0]["because"][0]["because"]);
    assert!(why.contains("no longer part of the chain"), "{told}");
    shop.settle(&mut daemon).await;
    assert_eq!(text(&shop.show("GONE").await["status"]), "awaiting_payment");
    daemon.stop().await;
    let events = shop.audit(&[]).await;
    let expected = ["order.created", "deposit.detected", "order.confirming", "deposit.orphaned"];
    assert_eq!(told_of(&events, "GONE"), expected);
}

// before   .. n [pay]   n+1 []
// after    .. n'[]      n+1'[other other pay]   n+2' []
async fn a_payment_mined_again_elsewhere_is_the_same_deposit(engine: Engine) {
    let shop = Shop::open(engine).await;
    let (anvil, token) = (&shop.anvil, shop.token);
    let other = anvil.account(1);
    anvil.transfer(token, anvil.owner(), other, 10 * USDT).await;
    anvil.mine(1).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("MOVED", "100").await;
    let tx = shop.pay(address, 100 * USDT).await;
    anvil.mine(2).await;
    daemon.told("order.confirming", "MOVED").await;
    let before = shop.show("MOVED").await["deposits"][0].clone();
    let again = anvil.again(tx).await;
    let first = TransactionData::JSON(transfer_request(token, other, anvil.account(2), USDT));
    anvil.reorg(2, vec![(first.clone(), 1), (first, 1), (again, 1)]).await;
    anvil.mine(1).await;
    daemon.told_times("deposit.detected", "MOVED", 2).await;
    let order = shop.show("MOVED").await;
    let after = &order["deposits"][0];
    assert_eq!(after["id"], before["id"]);
    assert_ne!(after["block"], before["block"]);
    assert_eq!((before["log_index"].as_u64(), after["log_index"].as_u64()), (Some(0), Some(2)));
    assert_eq!(after["height"].as_u64(), before["height"].as_u64().map(|height| height + 1));
    shop.settle(&mut daemon).await;
    let id = format!("ethereum:{tx}:0");
    assert_eq!(deposits(&shop.show("MOVED").await), [(id.as_str(), "credited", "100.00")]);
    daemon.stop().await;
    let events = shop.audit(&[("MOVED", "10000.00")]).await;
    let granted =
        told_of(&events, "MOVED").iter().filter(|kind| **kind == "credits.granted").count();
    assert_eq!(granted, 1);
}

// at first   .. n [pay]            credited at one confirmation
// then       .. n'[]     n+1'[]    reversed, a person is told
// then       .. n'[]     n+1'[] n+2'[pay]
async fn a_credit_that_a_reorg_takes_back_is_reversed_and_granted_again(engine: Engine) {
    let shop = Shop::with(Setup { confirmations: 1, ..Setup::new(engine) }).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("BACK", "100").await;
    let tx = shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(1).await;
    daemon.told("credits.granted", "BACK").await;
    let TransactionData::Raw(raw) = shop.anvil.again(tx).await else { panic!("raw") };
    shop.anvil.reorg(1, vec![]).await;
    shop.anvil.mine(1).await;
    daemon.told("credits.reversed", "BACK").await;
    let order = shop.show("BACK").await;
    let id = format!("ethereum:{tx}:0");
    assert_eq!(text(&order["status"]), "awaiting_payment");
    assert_eq!(deposits(&order), [(id.as_str(), "reversed", "100.00")]);
    let [case] = list(&order["cases"]) else { panic!("{order}") };
    assert_eq!(
        (text(&case["kind"]), case["resolution"].is_null()),
        ("reversed_after_credit", true)
    );
    let customer = shop.balances().await.remove("customer:BACK");
    assert_eq!(customer.as_deref(), Some("0.00"));
    let sent = shop.anvil.provider.send_raw_transaction(&raw).await.expect("sent again");
    assert_eq!(*sent.tx_hash(), tx);
    shop.anvil.mine(1).await;
    daemon.told_times("credits.granted", "BACK", 2).await;
    shop.settle(&mut daemon).await;
    let order = shop.show("BACK").await;
    assert_eq!(text(&order["status"]), "paid");
    assert_eq!(deposits(&order), [(id.as_str(), "credited", "100.00")]);
    assert_eq!(order["cases"][0]["resolution"]["resolution"], "itself", "{order}");
    daemon.stop().await;
    let events = shop.audit(&[("BACK", "10000.00")]).await;
    let moved: Vec<_> = told_of(&events, "BACK")
        .into_iter()
        .filter(|kind| kind.starts_with("credits.") || kind.starts_with("case."))
        .collect();
    let expected =
        ["credits.granted", "credits.reversed", "case.opened", "credits.granted", "case.resolved"];
    assert_eq!(moved, expected);
}

/// The daemon may see the reorg in one look: taken back and granted again in one commit.
async fn a_credited_payment_that_a_reorg_moves_is_worth_itself_once(engine: Engine) {
    let shop = Shop::with(Setup { confirmations: 1, ..Setup::new(engine) }).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("MOVED", "100").await;
    let open = shop.order_with("OPEN", &["--top-up"]).await;
    let tx = shop.pay(address, 100 * USDT).await;
    let other = shop.pay(open, 20 * USDT).await;
    shop.anvil.mine(2).await;
    for order in ["MOVED", "OPEN"] {
        daemon.told("credits.granted", order).await;
    }
    let (again, other_again) = (shop.anvil.again(tx).await, shop.anvil.again(other).await);
    shop.anvil.reorg(2, vec![(again, 0), (other_again, 1)]).await;
    shop.anvil.mine(1).await;
    for order in ["MOVED", "OPEN"] {
        daemon.told_times("credits.granted", order, 2).await;
    }
    shop.settle(&mut daemon).await;
    for (order, tx, amount) in [("MOVED", tx, "100.00"), ("OPEN", other, "20.00")] {
        let id = format!("ethereum:{tx}:0");
        assert_eq!(deposits(&shop.show(order).await), [(id.as_str(), "credited", amount)]);
    }
    daemon.stop().await;
    shop.audit(&[("MOVED", "10000.00"), ("OPEN", "2000.00")]).await;
}

// at first   .. n []  n+1 [pay] n+2 [] n+3 []
// then       .. n []
// then       .. n []  n+1'[]    n+2'[] n+3'[pay] n+4'[] n+5'[]
async fn a_tip_that_goes_back_and_grows_elsewhere_is_followed(engine: Engine) {
    let setup = Setup { confirmations: 4, poll_interval: "100ms", ..Setup::new(engine) };
    let shop = Shop::with(setup).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("SHRUNK", "100").await;
    let snapshot = shop.anvil.snapshot().await;
    let tx = shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(3).await;
    daemon.told("order.confirming", "SHRUNK").await;
    let TransactionData::Raw(raw) = shop.anvil.again(tx).await else { panic!("raw") };
    shop.anvil.revert(snapshot).await;
    shop.anvil.mine(2).await;
    let sent = shop.anvil.provider.send_raw_transaction(&raw).await.expect("sent again");
    assert_eq!(*sent.tx_hash(), tx);
    shop.anvil.mine(3).await;
    daemon.told_times("deposit.detected", "SHRUNK", 2).await;
    assert_eq!(text(&shop.show("SHRUNK").await["status"]), "confirming");
    shop.settle(&mut daemon).await;
    let id = format!("ethereum:{tx}:0");
    assert_eq!(deposits(&shop.show("SHRUNK").await), [(id.as_str(), "credited", "100.00")]);
    daemon.stop().await;
    shop.audit(&[("SHRUNK", "10000.00")]).await;
}

/// What was credited stays, and nothing more is, until a person has looked.
async fn a_reorg_below_the_finalized_height_pauses_the_chain_and_is_told_once(engine: Engine) {
    let setup = Setup { slots: 1, confirmations: 1, poll_interval: "100ms", ..Setup::new(engine) };
    let shop = Shop::with(setup).await;
    let mut daemon = shop.watching().await;
    let paid = shop.order("PAID", "100").await;
    let later = shop.order("LATER", "100").await;
    shop.pay(paid, 100 * USDT).await;
    shop.anvil.mine(3).await;
    daemon.told("credits.granted", "PAID").await;
    shop.finality_is_known(&mut daemon).await;
    shop.anvil.reorg(4, vec![]).await;
    shop.anvil.mine(1).await;
    daemon.said_times("this turn failed", 1).await;
    shop.pay(later, 100 * USDT).await;
    shop.anvil.mine(2).await;
    let failed = daemon.heard.iter().filter(|line| line.message() == "this turn failed").count();
    daemon.said_times("this turn failed", failed + 2).await;
    daemon.stop().await;
    assert_eq!(text(&shop.show("PAID").await["status"]), "paid");
    let told = shop.bursar(&["explain", "LATER"]).await;
    let next = text(&told["story"][0]["next"]);
    assert!(next.contains("Crediting on ethereum is paused meanwhile: "), "{told}");
    let verified = shop.bursar(&["ledger", "verify"]).await;
    assert_eq!(list(&verified["findings"]).len(), 0);
    let events = shop.events().await;
    let paused = events.iter().filter(|event| event.kind.word() == "chain.paused");
    assert_eq!(paused.count(), 1);
    assert_eq!(told_of(&events, "LATER"), ["order.created"]);
}
