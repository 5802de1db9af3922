//! A day's decisions by the real binary: what was paid twice, late, on the wrong network.

use serde_json::Value;

use super::shop::{Engine, Setup, Shop, USDT, list, on_both_engines, text};
use crate::anvil::{Anvil, Options};

on_both_engines!(
    a_duplicate_is_refunded_and_seen_on_the_chain,
    a_late_payment_is_credited_and_another_reassigned,
    a_payment_on_the_wrong_network_is_credited,
);

const WHO: [&str; 4] = ["--by", "ann", "--why", "the customer asked"];

impl Shop {
    /// The one open case of an order.
    async fn case_of(&self, order: &str) -> String {
        let listed = self.bursar(&["case", "list", "--order", order]).await;
        let [case] = list(&listed["cases"]) else { panic!("not one case: {listed}") };
        text(&case["id"]).to_owned()
    }

    async fn resolve(&self, case: &str, what: &[&str]) -> Value {
        self.bursar(&[&["case", "resolve", case], what, &WHO].concat()).await
    }
}

async fn a_duplicate_is_refunded_and_seen_on_the_chain(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut daemon = shop.watching().await;
    let back = shop.anvil.account(5);
    let terms = ["--amount", "100", "--refund-to", &back.to_string()];
    let to = shop.order_with("A-1", &terms).await;
    for _ in 0..2 {
        shop.pay(to, 100 * USDT).await;
        shop.anvil.mine(1).await;
    }
    shop.anvil.mine(2).await;
    daemon.told("case.opened", "A-1").await;
    let case = shop.case_of("A-1").await;
    let early = shop.refused(&[&["case", "resolve", &case, "credit"], &WHO[..]].concat()).await;
    assert!(early.contains("can be decided once block"), "{early}");
    shop.settle(&mut daemon).await;
    let decided = shop.resolve(&case, &["refund", "--fee", "0.80"]).await;
    assert_eq!(text(&decided["refund"]["amount"]), "99.20");
    // Too little first: a person hears of it, and sends what is right.
    let short = shop.anvil.transfer(shop.token, shop.anvil.owner(), back, 99 * USDT).await;
    shop.anvil.mine(1).await;
    shop.bursar(&["refund", "sent", &case, "--tx", &short.to_string(), "--by", "ann"]).await;
    shop.settle(&mut daemon).await;
    daemon.told("refund.failed", "A-1").await;
    let owner = shop.anvil.owner();
    let paid = shop.anvil.transfer(shop.token, owner, back, 99_200_000).await;
    shop.anvil.mine(1).await;
    shop.bursar(&["refund", "sent", &case, "--tx", &paid.to_string(), "--by", "ann"]).await;
    shop.settle(&mut daemon).await;
    daemon.told("refund.verified", "A-1").await;
    let shown = shop.bursar(&["refund", "list"]).await;
    assert_eq!(text(&shown["refunds"][0]["refund"]["state"]), "verified");
    let order = shop.show("A-1").await;
    assert_eq!(text(&order["deposits"][1]["state"]), "refunded");
    let balances = shop.bursar(&["ledger", "balance", "treasury:"]).await.to_string();
    assert!(balances.contains("99.20"), "{balances}");
    shop.bursar(&["ledger", "verify"]).await;
    daemon.stop().await;
}

async fn a_late_payment_is_credited_and_another_reassigned(engine: Engine) {
    let orders = "expires_after = \"30d\"\nlate_window = \"1s\"";
    let shop = Shop::with(Setup { orders, ..Setup::new(engine) }).await;
    let mut daemon = shop.watching().await;
    let short = ["--amount", "100", "--expires-after", "1h"];
    let late = shop.order_with("LATE", &short).await;
    let other = shop.order_with("GONE", &short).await;
    shop.order("OTHER", "100").await;
    shop.anvil.advance_time(7_200).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    shop.pay(late, 100 * USDT).await;
    shop.pay(other, 130 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    let case = shop.case_of("LATE").await;
    shop.resolve(&case, &["credit"]).await;
    let paid = shop.show("LATE").await;
    assert_eq!((text(&paid["status"]), &paid["deposits"][0]["late"]), ("paid", &true.into()));
    let case = shop.case_of("GONE").await;
    shop.resolve(&case, &["reassign", "--order", "OTHER"]).await;
    assert_eq!(text(&shop.show("GONE").await["deposits"][0]["state"]), "reassigned");
    let found = shop.show("OTHER").await;
    assert_eq!(text(&found["status"]), "paid");
    assert_eq!(text(&found["cases"][0]["kind"]), "overpaid");
    shop.settle(&mut daemon).await;
    shop.bursar(&["ledger", "verify"]).await;
    daemon.stop().await;
}

async fn a_payment_on_the_wrong_network_is_credited(engine: Engine) {
    let shop = Shop::open(engine).await;
    let options = Options { chain_id: 31_338, slots_in_an_epoch: 8, ..Options::default() };
    let beside = Anvil::start(options).await;
    let token = beside.deploy_token(1_000_000 * USDT, 6).await;
    let config = shop.config(&[shop.anvil.http_url(), shop.anvil.ws_url()]);
    let (contract, url) = (token.address, beside.http_url());
    shop.write_config(&format!(
        "{config}\n[chains.beside]\nkind = \"evm\"\nchain_id = 31338\ntoken = \"{contract}\"\n\
         decimals = 6\nconfirmations = [{{ at = \"finalized\" }}]\npoll_interval = \"1s\"\n\
         recovery_fee = \"5\"\n[[chains.beside.endpoints]]\nname = \"beside\"\nurl = \"{url}\"\n"
    ));
    let mut daemon = shop.watching().await;
    let to = shop.order("A-1", "100").await;
    beside.transfer(token, beside.owner(), to, 100 * USDT).await;
    beside.mine(40).await;
    daemon.told("case.opened", "A-1").await;
    let case = shop.case_of("A-1").await;
    shop.resolve(&case, &["credit"]).await;
    let paid = shop.show("A-1").await;
    assert_eq!((text(&paid["status"]), text(&paid["cases"][0]["kind"])), ("paid", "wrong_network"));
    let balance = shop.bursar(&["ledger", "balance", "customer:"]).await.to_string();
    assert!(balance.contains("10000"), "{balance}");
    daemon.stop().await;
}
