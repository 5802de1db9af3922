//! What the token's issuer did before the first block of the books: the real binary on a live node.

use alloy::primitives::Address;

use super::shop::{Engine, FRESH_ADDRESSES, Setup, Shop, USDT, list, on_both_engines, run, text};

on_both_engines!(
    what_was_done_before_the_first_block_is_known_and_told_once,
    a_token_deprecated_before_the_first_block_pauses_the_chain_once,
);

/// Finality two blocks below the tip, one confirmation for small amounts.
fn quick(engine: Engine) -> Setup {
    Setup { slots: 1, confirmations: 1, poll_interval: "100ms", ..Setup::new(engine) }
}

const ODD: &str = "money cannot be moved freely on this chain";

impl Shop {
    async fn checked(&self) -> (Option<i32>, String) {
        let (code, checked, _) = run(self.folder.path(), &["check"]).await;
        (code, checked)
    }

    async fn ethereum(&self) -> serde_json::Value {
        self.bursar(&["chain", "show", "ethereum"]).await["chains"][0].clone()
    }
}

async fn what_was_done_before_the_first_block_is_known_and_told_once(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let ours: Address = FRESH_ADDRESSES[0].parse().expect("an address");
    shop.anvil.blacklist(shop.token, ours).await;
    shop.anvil.blacklist(shop.token, Address::repeat_byte(0x99)).await;
    shop.anvil.set_fee(shop.token, 10, 5).await;
    shop.anvil.pause(shop.token).await;
    // All of it below the block in which the books begin.
    shop.anvil.mine(5).await;
    let (code, checked) = shop.checked().await;
    assert_eq!(code, Some(0), "{checked}");
    let says = "the token is paused, not deprecated, a fee of 0.10 % of each transfer, at most \
        5.00 USDT, none of 0 addresses blacklisted";
    assert!(checked.contains(says), "{checked}");
    assert_eq!(shop.order("FROZEN", "200").await, ours);
    let mut daemon = shop.daemon();
    daemon.said_times(ODD, 1).await;
    daemon.told("address.blacklisted", "FROZEN").await;
    shop.settle(&mut daemon).await;
    let shown = shop.ethereum().await;
    assert_eq!((&shown["state"], &shown["paused"]), (&"good".into(), &().into()), "{shown}");
    for what in ["paused", "fee"] {
        let told = &shown["token"][what];
        assert_eq!((text(&told["told_by"]), &told["tx"]), ("contract", &().into()), "{shown}");
    }
    assert_eq!(list(&shown["token"]["blacklisted"]).len(), 1, "{shown}");
    let order = shop.show("FROZEN").await;
    assert_eq!(text(&order["notices"][0]["what"]), "blacklisted", "{order}");
    let (_, checked) = shop.checked().await;
    assert!(checked.contains("the token is paused (as its contract says after"), "{checked}");
    assert!(checked.contains("0x9858EfFD232B4033E47d90003D41EC34EcaEda94 blacklisted, of 1"));
    // Nothing of it is told again by another start, and what a log says from here on ends it.
    daemon.stop().await;
    let mut daemon = shop.daemon();
    daemon.said_times(ODD, 1).await;
    shop.anvil.unpause(shop.token).await;
    shop.settle(&mut daemon).await;
    let shown = shop.ethereum().await;
    assert!(shown["token"]["paused"].is_null(), "{shown}");
    shop.pay(ours, 100 * USDT).await;
    shop.settle(&mut daemon).await;
    assert_eq!(text(&shop.show("FROZEN").await["deposits"][0]["amount"]), "99.90");
    // The contract was asked at the start, and at none of the looks since.
    assert_eq!(daemon.said(ODD), 1);
    daemon.stop().await;
    let events = shop.audit(&[]).await;
    for kind in ["token.paused", "token.fee_set", "address.blacklisted", "token.unpaused"] {
        let told = events.iter().filter(|event| event.kind.word() == kind);
        assert_eq!(told.count(), 1, "{kind}");
    }
}

async fn a_token_deprecated_before_the_first_block_pauses_the_chain_once(engine: Engine) {
    let shop = Shop::with(quick(engine)).await;
    let next = shop.anvil.deploy_token(0, 6).await;
    shop.anvil.deprecate(shop.token, next).await;
    shop.anvil.mine(5).await;
    let mut daemon = shop.watching().await;
    let shown = shop.ethereum().await;
    let why = "the token is deprecated, as its contract says after block ";
    assert!(text(&shown["paused"]).starts_with(why), "{shown}");
    let (code, checked) = shop.checked().await;
    let named = format!("deprecated in favour of {}", next.address);
    assert!(checked.contains(&named), "{checked}");
    assert_eq!(code, Some(2), "the config names a token that was replaced");
    let resume = ["chain", "resume", "ethereum", "--by", "maria", "--why", "we read it out"];
    shop.bursar(&resume).await;
    // What a person decided is not undone by the next start.
    daemon.stop().await;
    daemon = shop.daemon();
    daemon.said_times(ODD, 1).await;
    shop.settle(&mut daemon).await;
    assert!(shop.ethereum().await["paused"].is_null());
    daemon.stop().await;
    let events = shop.audit(&[]).await;
    let told = events.iter().filter(|event| event.kind.word() == "token.deprecated");
    assert_eq!(told.count(), 1);
}
