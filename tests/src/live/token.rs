//! What the token's issuer does, and what leaves our addresses: the real binary on a live node.

use alloy::primitives::{Address, U256};
use alloy::providers::ext::AnvilApi;
use serde_json::Value;

use super::audit::told_of;
use super::daemon::Daemon;
use super::shop::{Engine, Setup, Shop, USDT, list, on_both_engines, run, text};
use crate::anvil::TestUsdt;

on_both_engines!(
    a_token_that_is_paused_and_taxed_is_shown,
    what_is_destroyed_is_lost_when_that_is_final,
    a_deprecated_token_stops_crediting_until_a_person_resumes_it,
    what_leaves_is_swept_or_a_case,
    a_refund_that_is_recorded_late_needs_nobody_any_more,
    a_sweep_that_a_reorg_takes_back_is_booked_where_it_is_mined_again,
);

const TREASURY: Address = Address::repeat_byte(0x88);
const STRANGER: Address = Address::repeat_byte(0x99);

/// Finality two blocks below the tip, one confirmation for small amounts, and a treasury.
fn quick(engine: Engine) -> Setup {
    Setup {
        slots: 1,
        confirmations: 1,
        poll_interval: "100ms",
        chain: "treasury = [\"0x8888888888888888888888888888888888888888\"]",
        ..Setup::new(engine)
    }
}

impl Shop {
    /// Orders of these names, each paid with 100 USDT and credited; their addresses can send.
    async fn paid(&self, daemon: &mut Daemon, names: &[&str]) -> Vec<Address> {
        let mut addresses = Vec::new();
        for name in names {
            let address = self.order(name, "100").await;
            let provider = &self.anvil.provider;
            provider.anvil_impersonate_account(address).await.expect("anvil_impersonateAccount");
            let ether = U256::from(10).pow(U256::from(18));
            provider.anvil_set_balance(address, ether).await.expect("anvil_setBalance");
            self.pay(address, 100 * USDT).await;
            addresses.push(address);
        }
        self.anvil.mine(3).await;
        for name in names {
            daemon.told("credits.granted", name).await;
        }
        self.finality_is_known(daemon).await;
        addresses
    }

    async fn send(&self, from: Address, to: Address, micro: u128) -> alloy::primitives::B256 {
        self.anvil.transfer(self.token, from, to, self.units(micro)).await
    }

    async fn chain_shown(&self) -> serde_json::Value {
        self.bursar(&["chain", "show", "ethereum"]).await["chains"][0].clone()
    }
}

async fn a_token_that_is_paused_and_taxed_is_shown(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let mut daemon = shop.watching().await;
    shop.anvil.set_fee(shop.token, 10, 5).await;
    shop.anvil.pause(shop.token).await;
    shop.finality_is_known(&mut daemon).await;
    let shown = shop.chain_shown().await;
    assert_eq!((&shown["state"], &shown["paused"]), (&"good".into(), &serde_json::Value::Null));
    assert_eq!(text(&shown["token"]["paused"]["what"]), "paused", "{shown}");
    assert_eq!(shown["token"]["fee"]["points"], 10, "{shown}");
    assert_eq!(text(&shown["token"]["fee"]["raw"]), "5000000");
    let (_, checked, _) = run(shop.folder.path(), &["check"]).await;
    assert!(checked.contains("0.10 % of each transfer, at most 5.00 USDT"), "{checked}");
    assert!(checked.contains("the token is paused since block"), "{checked}");
    shop.anvil.unpause(shop.token).await;
    // Of 100 that are sent 99.90 arrive.
    let address = shop.order("TAXED", "99.90").await;
    shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(2).await;
    daemon.told("credits.granted", "TAXED").await;
    shop.anvil.set_fee(shop.token, 0, 0).await;
    shop.settle(&mut daemon).await;
    let shown = shop.chain_shown().await;
    assert_eq!((&shown["token"]["paused"], &shown["token"]["fee"]), (&().into(), &().into()));
    daemon.stop().await;
    let events = shop.audit(&[("TAXED", "9990.00")]).await;
    let told: Vec<&str> = events.iter().map(|event| event.kind.word()).collect();
    for kind in ["token.paused", "token.unpaused", "token.fee_set"] {
        assert!(told.contains(&kind), "{kind}: {told:?}");
    }
}

async fn what_is_destroyed_is_lost_when_that_is_final(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let mut daemon = shop.watching().await;
    let addresses = shop.paid(&mut daemon, &["FROZEN"]).await;
    shop.anvil.blacklist(shop.token, addresses[0]).await;
    daemon.told("address.blacklisted", "FROZEN").await;
    let shown = shop.show("FROZEN").await;
    assert_eq!(text(&shown["notices"][0]["what"]), "blacklisted", "{shown}");
    shop.anvil.destroy_funds(shop.token, addresses[0]).await;
    daemon.told("address.emptied", "FROZEN").await;
    shop.settle(&mut daemon).await;
    let shown = shop.show("FROZEN").await;
    let outflow = &shown["outflows"][0];
    assert_eq!((&outflow["state"], &outflow["explained"]), (&"booked".into(), &"destroyed".into()));
    assert_eq!(text(&shown["cases"][0]["kind"]), "destroyed_funds", "{shown}");
    assert_eq!(shop.balances().await["lost"], "-100.00");
    let told = shop.bursar(&["explain", "FROZEN"]).await;
    assert!(told.to_string().contains("blacklisted"), "{told}");
    // What is paid there all the same is the customer's payment.
    let case = text(&shown["cases"][0]["id"]).to_owned();
    let decide = ["case", "resolve", &case, "dismiss", "--by", "maria", "--why", "asked Tether"];
    shop.bursar(&decide).await;
    daemon.stop().await;
    shop.audit(&[("FROZEN", "10000.00")]).await;
}

async fn a_deprecated_token_stops_crediting_until_a_person_resumes_it(engine: Engine) {
    let setup = Setup { confirmations: 3, ..quick(engine) };
    let shop = Shop::with(setup).await;
    let next = shop.anvil.deploy_token(0, 6).await;
    let link = TestUsdt::setPredecessorCall { token: shop.token.address };
    shop.anvil.command(next, &link).await;
    let mut daemon = shop.watching().await;
    let address = shop.order("WAITS", "100").await;
    shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(1).await;
    daemon.told("order.confirming", "WAITS").await;
    // In the very next block, in which the payment is not final yet.
    let end = TestUsdt::deprecateCall { successor: next.address };
    shop.anvil.command(shop.token, &end).await;
    shop.settle(&mut daemon).await;
    let shown = shop.chain_shown().await;
    assert!(text(&shown["paused"]).contains("the token was deprecated in block"), "{shown}");
    assert_eq!(text(&shown["token"]["deprecated"]["what"]), "deprecated");
    assert_eq!(text(&shop.show("WAITS").await["status"]), "confirming");
    let (code, checked, _) = run(shop.folder.path(), &["check"]).await;
    assert!(checked.contains("the token is deprecated since block"), "{checked}");
    assert_eq!(code, Some(2), "the config names a token that was replaced");
    let resume =
        ["chain", "resume", "ethereum", "--by", "maria", "--why", "the old one is read out"];
    shop.bursar(&resume).await;
    shop.anvil.mine(1).await;
    daemon.told("credits.granted", "WAITS").await;
    daemon.stop().await;
    let verified = shop.bursar(&["ledger", "verify"]).await;
    assert_eq!(list(&verified["findings"]).len(), 0, "{verified}");
}

async fn what_leaves_is_swept_or_a_case(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let mut daemon = shop.watching().await;
    let addresses = shop.paid(&mut daemon, &["SWEPT", "ROBBED"]).await;
    shop.send(addresses[0], TREASURY, 100 * USDT).await;
    shop.send(addresses[1], STRANGER, 30 * USDT).await;
    shop.anvil.mine(1).await;
    daemon.told("outflow.detected", "ROBBED").await;
    shop.settle(&mut daemon).await;
    let (swept, robbed) = (shop.show("SWEPT").await, shop.show("ROBBED").await);
    assert_eq!(text(&swept["outflows"][0]["explained"]), "treasury", "{swept}");
    assert_eq!(text(&robbed["outflows"][0]["state"]), "booked", "{robbed}");
    assert_eq!(text(&robbed["cases"][0]["kind"]), "unexplained_outflow", "{robbed}");
    let story = shop.bursar(&["case", "show", text(&robbed["cases"][0]["id"])]).await;
    let tells = |told: &Value| told["left"] == robbed["outflows"][0];
    assert!(list(&story["story"]).iter().any(tells), "{story}");
    assert_eq!(list(&swept["cases"]).len(), 0);
    // Nobody has explained it until a person has.
    let unexplained = ["outflow", "list", "--unexplained"];
    let left = shop.bursar(&unexplained).await;
    assert_eq!(list(&left["outflows"]), [robbed["outflows"][0].clone()], "{left}");
    let case = text(&robbed["cases"][0]["id"]);
    let decide = ["case", "resolve", case, "dismiss", "--by", "maria", "--why", "our own test"];
    shop.bursar(&decide).await;
    assert_eq!(list(&shop.bursar(&unexplained).await["outflows"]).len(), 0);
    let left = shop.bursar(&["outflow", "list"]).await;
    assert_eq!(text(&left["outflows"][1]["said"]["by"]), "maria", "{left}");
    assert_eq!(shop.balances().await["treasury:ethereum"], "-130.00");
    daemon.stop().await;
    shop.audit(&[("SWEPT", "10000.00"), ("ROBBED", "10000.00")]).await;
}

async fn a_refund_that_is_recorded_late_needs_nobody_any_more(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let mut daemon = shop.watching().await;
    let from = shop.paid(&mut daemon, &["TWICE"]).await[0];
    shop.pay(from, 100 * USDT).await;
    shop.settle(&mut daemon).await;
    let duplicate = text(&shop.show("TWICE").await["cases"][0]["id"]).to_owned();
    let home = STRANGER.to_string();
    let decide = ["case", "resolve", &duplicate, "refund", "--to", &home, "--fee", "0.80"];
    for by in ["ann", "bob"] {
        let who = ["--by", by, "--why", "paid twice"];
        shop.bursar(&[&decide[..], &who[..]].concat()).await;
    }
    // From the address that it came to, and nobody writes it down.
    let sent = shop.send(from, STRANGER, 99_200_000).await;
    shop.settle(&mut daemon).await;
    let order = shop.show("TWICE").await;
    assert_eq!(text(&order["cases"][1]["kind"]), "unexplained_outflow", "{order}");
    assert!(order["cases"][1]["decision"].is_null(), "{order}");
    let sent = sent.to_string();
    shop.bursar(&["refund", "sent", &duplicate, "--tx", &sent, "--by", "ann"]).await;
    let order = shop.show("TWICE").await;
    assert_eq!(text(&order["outflows"][0]["explained"]), "refund", "{order}");
    assert_eq!(list(&shop.bursar(&["case", "list"]).await["cases"]).len(), 0);
    shop.settle(&mut daemon).await;
    daemon.told("refund.verified", "TWICE").await;
    daemon.stop().await;
    let events = shop.audit(&[("TWICE", "10000.00")]).await;
    let ended = events.iter().find(|event| {
        event.kind.word() == "case.resolved" && event.data.contains("recorded afterwards")
    });
    assert!(ended.is_some(), "why it ended is told");
}

// before   .. n [sweep]  n+1 []
// after    .. n'[]       n+1'[]   n+2' []   n+3' [sweep]
async fn a_sweep_that_a_reorg_takes_back_is_booked_where_it_is_mined_again(engine: Engine) {
    let setup = Setup { slots: 4, ..quick(engine) };
    let shop = Shop::with(setup).await;
    let mut daemon = shop.watching().await;
    let addresses = shop.paid(&mut daemon, &["SWEPT"]).await;
    let sweep = shop.send(addresses[0], TREASURY, 100 * USDT).await;
    shop.anvil.mine(2).await;
    daemon.told("outflow.detected", "SWEPT").await;
    shop.anvil.reorg(2, vec![]).await;
    shop.anvil.mine(1).await;
    daemon.told("outflow.orphaned", "SWEPT").await;
    // Sent again it is the same transaction.
    assert_eq!(shop.send(addresses[0], TREASURY, 100 * USDT).await, sweep);
    shop.anvil.mine(1).await;
    daemon.told_times("outflow.detected", "SWEPT", 2).await;
    shop.settle(&mut daemon).await;
    let shown = shop.show("SWEPT").await;
    let outflow = &shown["outflows"][0];
    assert_eq!((&outflow["state"], &outflow["explained"]), (&"booked".into(), &"treasury".into()));
    assert_eq!(list(&shown["outflows"]).len(), 1, "{shown}");
    daemon.stop().await;
    let events = shop.audit(&[("SWEPT", "10000.00")]).await;
    let told = told_of(&events, "SWEPT");
    assert_eq!(told.iter().filter(|kind| **kind == "outflow.booked").count(), 1, "{told:?}");
}
