//! TRC20 by the real `bursar`, beside Ethereum, on both engines.
//!
//! In: blocks, fork switches, restarts, an index that forgets. Out: what `--json` says, asserted.
//! Never: a sleep. Why: the second chain is held to the standard of the first.

mod adopt;
mod contract;
mod hourly;
mod morning;
mod networks;
mod reconcile;
pub(in crate::live) mod shop;
mod token;
mod trust;
mod ways;

use shop::{Shop, payment};

use super::shop::{Engine, deposits, list, on_both_engines, text};

on_both_engines!(
    a_payment_is_credited_when_it_is_solidified,
    a_fork_switch_takes_a_payment_away,
    a_restarted_node_is_behind_for_a_while,
);

async fn a_payment_is_credited_when_it_is_solidified(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("T-1", "tron", "100").await;
    let before = shop.node.requests().total();
    let block = shop.chain.mine(vec![payment(to, 60), payment(to, 40).tagged(1)]);
    daemon.recorded_on("tron", block.height).await;
    let order = shop.show("T-1").await;
    assert_eq!(order["status"], "confirming", "{order}");
    assert_eq!(order["amount_pending"], "100.00");
    // One block before it is solidified nothing is credited.
    while shop.chain.solid().height + 1 < block.height {
        shop.chain.mine_empty(1);
    }
    let tip = shop.chain.tip().height;
    daemon.recorded_on("tron", tip).await;
    assert_eq!(shop.show("T-1").await["status"], "confirming");
    let tip = shop.chain.mine_empty(1);
    daemon.told("credits.granted", "T-1").await;
    daemon.recorded_on("tron", tip.height).await;
    let blocks = tip.height - block.height + 1;
    let requests = shop.node.requests().total() - before;
    println!("{requests} requests for {blocks} blocks from transaction to credit");
    let order = shop.show("T-1").await;
    assert_eq!(order["status"], "paid", "{order}");
    let states: Vec<_> =
        deposits(&order).iter().map(|(_, state, amount)| (*state, *amount)).collect();
    assert_eq!(states, [("credited", "60.00"), ("credited", "40.00")].map(|(s, a)| (s, a)));
    let credits = shop.bursar(&["ledger", "balance", "customer:T-1"]).await;
    assert!(credits.to_string().contains("10000.00"), "{credits}");
    // The same blocks read again credit nothing again.
    let (from, to) = (block.height.to_string(), tip.height.to_string());
    let again = ["rescan", "--chain=tron", "--from", &from, "--to", &to];
    assert_eq!(shop.bursar(&again).await["found"], 0);
    shop.verify().await;
    daemon.stop().await;
}

/// As seen on a real network: a payment with eight blocks on top was gone after a partition
/// healed, for good.
async fn a_fork_switch_takes_a_payment_away(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("T-1", "tron", "100").await;
    shop.chain.mine(vec![payment(to, 100)]);
    let tip = shop.chain.mine_empty(8);
    daemon.recorded_on("tron", tip.height).await;
    assert_eq!(shop.show("T-1").await["status"], "confirming");
    shop.chain.reorg(9, vec![vec![]; 10]);
    daemon.told("deposit.orphaned", "T-1").await;
    shop.solidify();
    let solid = shop.chain.tip().height;
    daemon.recorded_on("tron", solid).await;
    let order = shop.show("T-1").await;
    assert_eq!(order["status"], "awaiting_payment", "{order}");
    assert_eq!(list(&order["journals"]).len(), 0);
    // The customer pays again, and that is all that is credited.
    shop.chain.mine(vec![payment(to, 100).tagged(2)]);
    shop.solidify();
    daemon.told("credits.granted", "T-1").await;
    let order = shop.show("T-1").await;
    let states: Vec<&str> = deposits(&order).iter().map(|(_, state, _)| *state).collect();
    assert_eq!(states, ["orphaned", "credited"]);
    shop.verify().await;
    daemon.stop().await;
}

/// A node that restarts throws away all that is not solidified.
async fn a_restarted_node_is_behind_for_a_while(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("T-1", "tron", "100").await;
    shop.chain.mine(vec![payment(to, 100)]);
    let tip = shop.chain.mine_empty(3);
    daemon.recorded_on("tron", tip.height).await;
    shop.chain.restart();
    shop.chain.mine_empty(1);
    daemon.told("deposit.orphaned", "T-1").await;
    shop.chain.mine(vec![payment(to, 100)]);
    daemon.told_times("deposit.detected", "T-1", 2).await;
    shop.solidify();
    daemon.told("credits.granted", "T-1").await;
    let order = shop.show("T-1").await;
    assert_eq!(deposits(&order).len(), 1, "the same transaction is the same deposit: {order}");
    assert_eq!(order["status"], "paid");
    assert!(!text(&order["deposits"][0]["tx"]).starts_with("0x"), "TRON writes ids without 0x");
    shop.verify().await;
    daemon.stop().await;
}
