//! Being paid: exactly, in parts, less a fee, in a token of 18 decimals, and not at all.

use super::audit::{assert_told_once, told_of};
use super::shop::{Engine, Setup, Shop, USDT, deposits, list, on_both_engines, text};
use crate::anvil::payment;

on_both_engines!(
    an_order_paid_exactly_is_credited_once,
    two_transfers_in_one_transaction_are_two_deposits,
    of_a_fee_token_only_the_net_log_counts,
    what_did_not_happen_is_not_credited,
    a_token_of_18_decimals_is_counted_in_whole_millionths,
);

/// The order is made by one process while another one watches, and a credit comes by the doorbell
/// alone: the poll interval is longer than any wait.
async fn an_order_paid_exactly_is_credited_once(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("A-1", "100.00").await;
    let tx = shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(1).await;
    daemon.told("order.confirming", "A-1").await;
    let seen = shop.show("A-1").await;
    assert_eq!((text(&seen["status"]), text(&seen["amount_pending"])), ("confirming", "100.00"));
    shop.anvil.mine(2).await;
    let mined = std::time::Instant::now();
    daemon.told("credits.granted", "A-1").await;
    println!("{engine:?}: credited {:?} after the final block was mined", mined.elapsed());
    shop.settle(&mut daemon).await;
    let paid = shop.show("A-1").await;
    assert_eq!(text(&paid["status"]), "paid");
    let id = format!("ethereum:{tx}:0");
    assert_eq!(deposits(&paid), [(id.as_str(), "credited", "100.00")]);
    let keys: Vec<&str> = list(&paid["journals"]).iter().map(|j| text(&j["key"])).collect();
    assert_eq!(keys, [format!("deposit:{id}"), "paid:A-1".to_owned()]);
    for (term, kind) in [
        ("A-1".to_owned(), "order"),
        (tx.to_string(), "transaction"),
        (address.to_string(), "address"),
    ] {
        let told = shop.bursar(&["explain", &term]).await;
        assert_eq!(text(&told["kind"]), kind);
        assert_eq!(told["story"][0]["id"], "A-1", "{told}");
        assert_eq!(told["story"][0]["because"][0]["because"], "credited", "{told}");
    }
    daemon.stop().await;
    let events = shop.audit(&[("A-1", "10000.00")]).await;
    let expected = [
        "order.created",
        "deposit.detected",
        "order.confirming",
        "deposit.confirmed",
        "order.paid",
        "credits.granted",
    ];
    assert_eq!(told_of(&events, "A-1"), expected);
}

async fn two_transfers_in_one_transaction_are_two_deposits(engine: Engine) {
    let shop = Shop::open(engine).await;
    let payer = shop.anvil.owner();
    let contract = shop.anvil.deploy_multisend(payer, &[shop.token]).await;
    let mut daemon = shop.daemon();
    let split = shop.order("SPLIT", "100").await;
    let (one, other) = (shop.order("ONE", "100").await, shop.order("OTHER", "20").await);
    let parts = vec![payment(shop.token, split, 60 * USDT), payment(shop.token, split, 40 * USDT)];
    let halves = shop.anvil.multisend(contract, payer, parts).await;
    let both = vec![payment(shop.token, one, 100 * USDT), payment(shop.token, other, 20 * USDT)];
    let shared = shop.anvil.multisend(contract, payer, both).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    for (order, tx, expected) in [
        ("SPLIT", halves, vec![(0, "60.00"), (1, "40.00")]),
        ("ONE", shared, vec![(0, "100.00")]),
        ("OTHER", shared, vec![(1, "20.00")]),
    ] {
        let paid = shop.show(order).await;
        assert_eq!(text(&paid["status"]), "paid");
        let expected: Vec<_> =
            expected.iter().map(|(n, amount)| (format!("ethereum:{tx}:{n}"), *amount)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(id, amount)| (id.as_str(), "credited", *amount)).collect();
        assert_eq!(deposits(&paid), expected);
    }
    daemon.stop().await;
    let due = [("SPLIT", "10000.00"), ("ONE", "10000.00"), ("OTHER", "2000.00")];
    assert_told_once(&shop.audit(&due).await);
}

/// A fee of 0.1 % is the first Transfer of the transaction, the net amount the second.
async fn of_a_fee_token_only_the_net_log_counts(engine: Engine) {
    let orders = "expires_after = \"30d\"\ntolerance = \"0.10\"";
    let shop = Shop::with(Setup { orders, ..Setup::new(engine) }).await;
    let payer = shop.anvil.account(1);
    shop.anvil.transfer(shop.token, shop.anvil.owner(), payer, 1_000 * USDT).await;
    shop.anvil.set_fee(shop.token, 10, 5).await;
    let mut daemon = shop.daemon();
    let near = shop.order("NEAR", "100").await;
    let short = shop.order_with("SHORT", &["--amount", "200", "--expires-after", "1h"]).await;
    let paid = shop.anvil.transfer(shop.token, payer, near, 100 * USDT).await;
    let missing = shop.anvil.transfer(shop.token, payer, short, 200 * USDT).await;
    shop.anvil.mine(1).await;
    assert_eq!(shop.anvil.moved(paid).await.len(), 2, "a fee and the net amount");
    shop.settle(&mut daemon).await;
    let near = shop.show("NEAR").await;
    let (id, other) = (format!("ethereum:{paid}:1"), format!("ethereum:{missing}:1"));
    assert_eq!((text(&near["status"]), text(&near["amount_counted"])), ("paid", "99.90"));
    assert_eq!(deposits(&near), [(id.as_str(), "credited", "99.90")]);
    let short = shop.show("SHORT").await;
    assert_eq!(text(&short["status"]), "partially_paid");
    assert_eq!(deposits(&short), [(other.as_str(), "confirmed", "199.80")]);
    shop.anvil.advance_time(2 * 3_600).await;
    shop.settle(&mut daemon).await;
    let short = shop.show("SHORT").await;
    assert_eq!(text(&short["status"]), "expired");
    assert_eq!(deposits(&short), [(other.as_str(), "suspended", "199.80")]);
    assert_eq!(short["cases"][0]["kind"], "underpaid");
    daemon.stop().await;
    assert_told_once(&shop.audit(&[("NEAR", "10000.00")]).await);
    assert_eq!(shop.balances().await["suspense:underpaid"], "199.80");
}

/// A transfer that fails leaves a transaction without logs; one inside a call that was reverted
/// leaves a transaction that succeeded, with the other logs alone.
async fn what_did_not_happen_is_not_credited(engine: Engine) {
    let shop = Shop::open(engine).await;
    let (anvil, token) = (&shop.anvil, shop.token);
    let (payer, frozen) = (anvil.account(1), anvil.account(2));
    for account in [payer, frozen] {
        anvil.transfer(token, anvil.owner(), account, 1_000 * USDT).await;
    }
    let contract = anvil.deploy_multisend(payer, &[token]).await;
    let look_alike = anvil.deploy_token(1_000 * USDT, 6).await;
    anvil.blacklist(token, frozen).await;
    let mut daemon = shop.daemon();
    let mut orders = Vec::new();
    for id in ["PAUSED", "FROZEN", "POOR", "UNDONE", "ALIKE", "KEPT"] {
        orders.push(shop.order(id, "100").await);
    }
    let [paused, blacklisted, poor, undone, alike, kept] = orders[..] else { panic!("six") };
    let mut failed = vec![anvil.transfer(token, frozen, blacklisted, 100 * USDT).await];
    failed.push(anvil.transfer(token, anvil.account(3), poor, 100 * USDT).await);
    anvil.transfer(look_alike, anvil.owner(), alike, 100 * USDT).await;
    let inner = vec![payment(token, undone, 100 * USDT)];
    let outer = vec![payment(token, kept, 100 * USDT)];
    let swallowed = anvil.multisend_after_revert(contract, payer, inner, outer).await;
    anvil.mine(1).await;
    anvil.pause(token).await;
    failed.push(anvil.transfer(token, payer, paused, 100 * USDT).await);
    anvil.mine(1).await;
    for tx in failed {
        assert!(!anvil.receipt(tx).await.expect("mined").status());
        let told = shop.bursar(&["explain", &tx.to_string()]).await;
        assert_eq!(text(&told["kind"]), "foreign_transaction");
    }
    anvil.unpause(token).await;
    shop.settle(&mut daemon).await;
    let kept = shop.show("KEPT").await;
    let id = format!("ethereum:{swallowed}:0");
    assert_eq!(deposits(&kept), [(id.as_str(), "credited", "100.00")]);
    for id in ["PAUSED", "FROZEN", "POOR", "UNDONE", "ALIKE"] {
        let order = shop.show(id).await;
        assert_eq!((text(&order["status"]), deposits(&order)), ("awaiting_payment", vec![]));
    }
    daemon.stop().await;
    let events = shop.audit(&[("KEPT", "10000.00")]).await;
    let detected = events.iter().filter(|event| event.kind.word() == "deposit.detected");
    assert_eq!(detected.count(), 1);
}

/// What lies below a millionth is kept as raw units and is nothing in the books.
async fn a_token_of_18_decimals_is_counted_in_whole_millionths(engine: Engine) {
    let setup = Setup { decimals: 18, chain_id: 56, ..Setup::new(engine) };
    let shop = Shop::with(setup).await;
    let mut daemon = shop.daemon();
    let exact = shop.order("EXACT", "100").await;
    let short = shop.order("SHORT", "100").await;
    shop.pay(exact, 100 * USDT).await;
    let owner = shop.anvil.owner();
    let almost = shop.units(100 * USDT) - 1;
    shop.anvil.transfer(shop.token, owner, short, almost).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    assert_eq!(text(&shop.show("EXACT").await["status"]), "paid");
    let order = shop.show("SHORT").await;
    assert_eq!(text(&order["status"]), "partially_paid");
    assert_eq!(text(&order["deposits"][0]["amount"]), "99.999999");
    assert_eq!(text(&order["deposits"][0]["raw"]), almost.to_string());
    daemon.stop().await;
    assert_told_once(&shop.audit(&[("EXACT", "10000.00")]).await);
}
