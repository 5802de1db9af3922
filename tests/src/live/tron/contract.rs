//! What the issuer of USDT did on TRON before the first block of the books, by the real binary.

use alloy::primitives::{Address as RawAddress, U256};
use lab::tron::{LogSpec, Tx};
use payments::address::Address;

use super::shop::{Shop, payment};
use crate::live::shop::{Engine, list, on_both_engines, text};

on_both_engines!(
    what_was_done_before_the_first_block_is_known,
    a_token_deprecated_before_the_first_block_pauses_the_chain,
);

/// The first address of the shop's account: a fact of BIP-32.
const FIRST: &str = "TWer2Ygk5TEheHp3TPuYeqxmB6SsGZmaL6";
const ODD: &str = "money cannot be moved freely on this chain";

impl Shop {
    async fn tron(&self) -> serde_json::Value {
        self.bursar(&["chain", "show", "tron"]).await["chains"][0].clone()
    }

    async fn checked(&self) -> (Option<i32>, String) {
        let (code, checked, _) = self.ended(&["check"]).await;
        (code, checked)
    }
}

async fn what_was_done_before_the_first_block_is_known(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let ours = RawAddress::from(Address::parse(FIRST).expect("an address").0);
    let fee = LogSpec::Params { basis_points: U256::from(10), max_fee: U256::from(5_000_000) };
    let frozen = LogSpec::AddedBlackList { account: ours };
    shop.chain.mine(vec![Tx::empty().and(LogSpec::Pause).and(fee).and(frozen)]);
    shop.solidify();
    shop.chain.mine_empty(2);
    assert_eq!(shop.order("FROZEN", "tron", "100").await, ours);
    let (_, checked) = shop.checked().await;
    let says = format!(
        "the token is paused, not deprecated, a fee of 0.10 % of each transfer, at most 5.00 USDT, \
         {FIRST} blacklisted, of 1 addresses"
    );
    assert!(checked.contains(&says), "{checked}");
    // The other chain's token has no such methods, and that is said.
    let unknown =
        "unknown, since it has no such method: a pause, a deprecation, a fee, a blacklist";
    assert!(checked.contains(unknown), "{checked}");
    let mut daemon = shop.daemon();
    daemon.said_times(ODD, 1).await;
    daemon.told("address.blacklisted", "FROZEN").await;
    let shown = shop.tron().await;
    assert_eq!(text(&shown["token"]["paused"]["told_by"]), "contract", "{shown}");
    assert_eq!(shown["token"]["fee"]["points"], 10, "{shown}");
    assert_eq!(list(&shown["token"]["blacklisted"]).len(), 1, "{shown}");
    assert!(shown["paused"].is_null(), "a pause and a fee stop nothing: {shown}");
    daemon.stop().await;
    // Nothing of it is told again by another start.
    let mut daemon = shop.daemon();
    daemon.said_times(ODD, 1).await;
    daemon.stop().await;
    let told = shop.bursar(&["explain", "FROZEN"]).await.to_string();
    assert_eq!(told.matches("\"told_by\":\"contract\"").count(), 1, "{told}");
    shop.verify().await;
}

async fn a_token_deprecated_before_the_first_block_pauses_the_chain(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let successor = RawAddress::repeat_byte(0x77);
    shop.chain.mine(vec![Tx::empty().and(LogSpec::Deprecate { successor })]);
    shop.solidify();
    shop.chain.mine_empty(2);
    let mut daemon = shop.watching().await;
    let to = shop.order("WAITS", "tron", "100").await;
    shop.chain.mine(vec![payment(to, 100)]);
    shop.solidify();
    daemon.recorded_on("tron", shop.chain.tip().height).await;
    let shown = shop.tron().await;
    let why = "the token is deprecated, as its contract says after block ";
    assert!(text(&shown["paused"]).starts_with(why), "{shown}");
    assert_eq!(text(&shop.show("WAITS").await["status"]), "confirming");
    let (code, checked) = shop.checked().await;
    assert!(checked.contains("deprecated in favour of T"), "{checked}");
    assert_eq!(code, Some(2), "the config names a token that was replaced");
    daemon.stop().await;
    let resume = ["chain", "resume", "tron", "--by", "maria", "--why", "we read it out"];
    shop.bursar(&resume).await;
    // The next start asks again, and does not undo what a person decided.
    daemon = shop.daemon();
    daemon.said_times(ODD, 1).await;
    shop.chain.mine_empty(1);
    daemon.told("credits.granted", "WAITS").await;
    shop.verify().await;
    daemon.stop().await;
}
