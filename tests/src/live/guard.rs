//! What stops crediting, and how a person lets it go on: the real binary on a live node.

use super::audit::told_of;
use super::shop::{Engine, Setup, Shop, USDT, deposits, list, on_both_engines, text};

on_both_engines!(
    another_branch_is_followed_because_a_person_says_so,
    a_reorg_while_the_daemon_was_down_is_followed,
    a_final_block_replaced_while_the_daemon_was_down_pauses_the_chain,
    the_hourly_ceiling_waits_for_a_person,
    nothing_expires_while_the_chain_stands_still,
    a_look_alike_is_a_case_without_a_value,
);

/// Finality two blocks below the tip, one confirmation for small amounts.
fn quick(engine: Engine) -> Setup {
    Setup { slots: 1, confirmations: 1, poll_interval: "100ms", ..Setup::new(engine) }
}

/// The node's newest block as `--adopt` wants it.
async fn newest(shop: &Shop) -> String {
    let height = shop.anvil.height().await;
    format!("{height}:{}", shop.anvil.block_hash(height).await)
}

async fn state(shop: &Shop) -> serde_json::Value {
    shop.bursar(&["chain", "show", "ethereum"]).await["chains"][0].clone()
}

const SAID: [&str; 4] = ["--by", "maria", "--why", "three explorers show it"];

async fn adopt(shop: &Shop, block: &str) -> serde_json::Value {
    let resume = ["chain", "resume", "ethereum", "--adopt", block];
    shop.bursar(&[&resume[..], &SAID[..]].concat()).await
}

async fn another_branch_is_followed_because_a_person_says_so(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let mut daemon = shop.watching().await;
    let (paid, later) = (shop.order("PAID", "100").await, shop.order("LATER", "100").await);
    let old = shop.order("OLD", "100").await;
    shop.pay(old, 100 * USDT).await;
    shop.anvil.mine(9).await;
    daemon.told("credits.granted", "OLD").await;
    let tx = shop.pay(paid, 100 * USDT).await;
    shop.anvil.mine(3).await;
    daemon.told("credits.granted", "PAID").await;
    shop.finality_is_known(&mut daemon).await;
    let lost = newest(&shop).await;
    shop.anvil.reorg(4, vec![]).await;
    shop.anvil.mine(1).await;
    shop.pay(later, 100 * USDT).await;
    shop.anvil.mine(2).await;
    // While blocks are being replaced a look may find nothing that it can read.
    for turns in 1.. {
        daemon.said_times("this turn failed", turns).await;
        if text(&state(&shop).await["state"]) == "paused" {
            break;
        }
    }
    // Only a block that the nodes have can be followed.
    let resume = ["chain", "resume", "ethereum", "--adopt", &lost];
    let refused = shop.refused(&[&resume[..], &SAID[..]].concat()).await;
    assert!(refused.contains("--adopt: the nodes have 0x"), "{refused}");
    let adopted = adopt(&shop, &newest(&shop).await).await;
    assert_eq!(adopted["orphaned"], 1, "{adopted}");
    daemon.told("credits.granted", "LATER").await;
    shop.settle(&mut daemon).await;
    assert_eq!(text(&state(&shop).await["state"]), "good");
    let order = shop.show("PAID").await;
    let id = format!("ethereum:{tx}:0");
    assert_eq!(deposits(&order), [(id.as_str(), "reversed", "100.00")]);
    assert_eq!(text(&order["cases"][0]["kind"]), "reversed_after_credit");
    daemon.stop().await;
    let events = shop.audit(&[("OLD", "10000.00"), ("LATER", "10000.00")]).await;
    let reversed = told_of(&events, "PAID");
    assert!(reversed.contains(&"credits.reversed"), "{reversed:?}");
    let recovered = events.iter().find(|event| event.kind.word() == "chain.recovered");
    let told = &recovered.expect("told").data;
    assert!(told.contains("maria: three explorers show it") && told.contains("lost_finalized"));
}

async fn a_reorg_while_the_daemon_was_down_is_followed(engine: Engine) {
    let setup = Setup { confirmations: 1, poll_interval: "100ms", ..Setup::new(engine) };
    let shop = Shop::with(setup).await;
    let mut daemon = shop.watching().await;
    let (gone, moved) = (shop.order("GONE", "100").await, shop.order("MOVED", "100").await);
    let tx = shop.pay(moved, 100 * USDT).await;
    shop.pay(gone, 100 * USDT).await;
    shop.anvil.mine(2).await;
    daemon.told("credits.granted", "GONE").await;
    daemon.told("credits.granted", "MOVED").await;
    daemon.stop().await;
    let again = shop.anvil.again(tx).await;
    shop.anvil.reorg(2, vec![(again, 1)]).await;
    shop.anvil.mine(1).await;
    let mut daemon = shop.daemon();
    daemon.told("credits.reversed", "GONE").await;
    daemon.told("credits.granted", "MOVED").await;
    shop.settle(&mut daemon).await;
    assert_eq!(text(&shop.show("GONE").await["status"]), "awaiting_payment");
    daemon.stop().await;
    shop.audit(&[("MOVED", "10000.00")]).await;
}

async fn a_final_block_replaced_while_the_daemon_was_down_pauses_the_chain(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let mut daemon = shop.watching().await;
    let (paid, later) = (shop.order("PAID", "100").await, shop.order("LATER", "100").await);
    shop.pay(paid, 100 * USDT).await;
    shop.anvil.mine(4).await;
    daemon.told("credits.granted", "PAID").await;
    shop.finality_is_known(&mut daemon).await;
    daemon.stop().await;
    shop.anvil.reorg(5, vec![]).await;
    shop.pay(later, 100 * USDT).await;
    shop.anvil.mine(6).await;
    let mut daemon = shop.daemon();
    daemon.said_times("this turn failed", 2).await;
    let paused = state(&shop).await;
    assert!(text(&paused["paused"]).starts_with("the final block at height "), "{paused}");
    assert_eq!(text(&shop.show("PAID").await["status"]), "paid");
    assert_eq!(text(&shop.show("LATER").await["status"]), "awaiting_payment");
    adopt(&shop, &newest(&shop).await).await;
    daemon.told("credits.granted", "LATER").await;
    shop.settle(&mut daemon).await;
    assert_eq!(text(&shop.show("PAID").await["status"]), "awaiting_payment");
    daemon.stop().await;
    shop.audit(&[("LATER", "10000.00")]).await;
}

async fn the_hourly_ceiling_waits_for_a_person(engine: Engine) {
    let chain = "hourly_credit_ceiling = \"150\"";
    let setup = Setup { chain, confirmations: 1, poll_interval: "100ms", ..Setup::new(engine) };
    let shop = Shop::with(setup).await;
    let mut daemon = shop.watching().await;
    let (one, two) = (shop.order("ONE", "100").await, shop.order("TWO", "100").await);
    shop.pay(one, 100 * USDT).await;
    shop.pay(two, 100 * USDT).await;
    shop.anvil.mine(1).await;
    daemon.told("credits.granted", "ONE").await;
    daemon.said_times("chain.paused", 1).await;
    shop.anvil.mine(2).await;
    daemon.recorded(shop.anvil.height().await).await;
    let shown = state(&shop).await;
    assert!(
        text(&shown["paused"]).starts_with(
            "hourly credit ceiling: 100.00 USDT were credited within the last hour, 100.00 more \
             would exceed 150.00"
        ),
        "{shown}"
    );
    assert_eq!(text(&shop.show("TWO").await["status"]), "confirming");
    shop.bursar(&["chain", "resume", "ethereum", "--by", "maria", "--why", "a good day"]).await;
    shop.anvil.mine(1).await;
    daemon.told("credits.granted", "TWO").await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    let events = shop.audit(&[("ONE", "10000.00"), ("TWO", "10000.00")]).await;
    let paused = events.iter().filter(|event| event.kind.word() == "chain.paused");
    assert_eq!(paused.count(), 1);
}

async fn nothing_expires_while_the_chain_stands_still(engine: Engine) {
    let setup = Setup { orders: "expires_after = \"1m\"", ..quick(engine) };
    let shop = Shop::with(setup).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("LATE", "100").await;
    shop.bursar(&["chain", "pause", "ethereum", "--by", "maria", "--why", "odd blocks"]).await;
    shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(3).await;
    shop.anvil.advance_time(120).await;
    shop.anvil.mine(5).await;
    daemon.recorded(shop.anvil.height().await).await;
    let order = shop.show("LATE").await;
    assert_eq!(text(&order["status"]), "confirming");
    assert!(text(&order["standstill"]).contains("maria: odd blocks"), "{order}");
    shop.bursar(&["chain", "resume", "ethereum", "--by", "maria", "--why", "fine"]).await;
    shop.anvil.mine(1).await;
    daemon.told("credits.granted", "LATE").await;
    assert!(shop.show("LATE").await["standstill"].is_null());
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    let events = shop.audit(&[("LATE", "10000.00")]).await;
    assert!(!told_of(&events, "LATE").contains(&"order.expired"));
}

async fn a_look_alike_is_a_case_without_a_value(engine: Engine) {
    let chain = "other_tokens = \"watch\"\nother_tokens_per_order = 3";
    let shop = Shop::with(Setup { chain, ..quick(engine) }).await;
    let fake = shop.anvil.deploy_token(1_000_000_000 * USDT, 6).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("FOOLED", "100").await;
    let tx = shop.anvil.transfer(fake, shop.anvil.owner(), address, 100 * USDT).await;
    for n in 1..6 {
        shop.anvil.transfer(fake, shop.anvil.owner(), address, n).await;
    }
    shop.anvil.mine(1).await;
    daemon.told("case.opened", "FOOLED").await;
    shop.settle(&mut daemon).await;
    let order = shop.show("FOOLED").await;
    assert_eq!(text(&order["status"]), "awaiting_payment");
    assert_eq!(list(&order["deposits"]).len(), 3);
    let told = shop.bursar(&["explain", &tx.to_string()]).await;
    let why = text(&told["story"][0]["because"][0]["because"]).to_owned();
    assert!(why.contains("not USDT") && why.contains(&fake.address.to_string()), "{why}");
    // And the real thing is credited as if nothing had been.
    shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(1).await;
    daemon.told("credits.granted", "FOOLED").await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    let events = shop.events().await;
    assert_eq!(events.iter().filter(|event| event.kind.word() == "chain.flooded").count(), 1);
    assert_eq!(told_of(&events, "FOOLED").iter().filter(|k| **k == "case.opened").count(), 3);
    let verified = shop.bursar(&["ledger", "verify"]).await;
    assert_eq!(list(&verified["findings"]).len(), 0);
}
