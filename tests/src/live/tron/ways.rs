//! What a look at TRON reads, what it costs, and what support asks about it.
//!
//! In: an index that forgets, plans that are too small. Out: nothing lost, and a warning before.
//! Why: a free key is enough for many shops, if it is known how far it goes.

use alloy::primitives::{B256, keccak256};
use lab::tron::Fault;
use serde_json::Value;

use super::{Engine, Shop, deposits, list, on_both_engines, payment, text};

const BY_ACCOUNTS: &str = "read = \"accounts\"";

on_both_engines!(an_index_finds_payments_and_the_blocks_what_it_lost);

async fn an_index_finds_payments_and_the_blocks_what_it_lost(engine: Engine) {
    let shop = Shop::open(engine, BY_ACCOUNTS).await;
    let mut daemon = shop.watching().await;
    let found = shop.order("T-1", "tron", "100").await;
    let lost = shop.order("T-2", "tron", "50").await;
    let block = shop.chain.mine(vec![payment(found, 100), payment(lost, 50).tagged(1)]);
    let [_, tx] = shop.chain.transactions(block.height)[..] else { panic!("two transactions") };
    shop.node.fault(Fault::LostRows { tx });
    shop.solidify();
    daemon.told("credits.granted", "T-1").await;
    daemon.told("credits.granted", "T-2").await;
    for id in ["T-1", "T-2"] {
        let order = shop.show(id).await;
        assert_eq!(order["status"], "paid", "{order}");
        assert_eq!(deposits(&order).len(), 1);
    }
    let caught = daemon.heard.iter().filter(|line| line.message() == "the index had lost deposits");
    assert_eq!(caught.count(), 1, "what was caught is said, once");
    shop.verify().await;
    daemon.stop().await;
}

/// The first look by accounts may reach over a day; nobody read its blocks whole.
#[tokio::test]
async fn what_the_index_lost_while_nobody_watched_is_found() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    shop.watching().await.stop().await;
    let to = shop.order("T-1", "tron", "100").await;
    let block = shop.chain.mine(vec![payment(to, 100)]);
    shop.node.fault(Fault::LostRows { tx: shop.chain.transactions(block.height)[0] });
    shop.solidify();
    shop.configure(BY_ACCOUNTS);
    let mut daemon = shop.daemon();
    daemon.told("credits.granted", "T-1").await;
    daemon.stop().await;
    shop.verify().await;
}

/// The blocks behind were not yet read where the payment is when the index was given up.
#[tokio::test]
async fn what_the_index_lost_is_found_after_a_return_to_blocks() {
    let shop = Shop::open(Engine::Sqlite, BY_ACCOUNTS).await;
    let mut daemon = shop.watching().await;
    let to = shop.order("T-1", "tron", "100").await;
    shop.chain.mine_empty(35);
    let block = shop.chain.mine(vec![payment(to, 100)]);
    shop.node.fault(Fault::LostRows { tx: shop.chain.transactions(block.height)[0] });
    shop.solidify();
    daemon.recorded_on("tron", shop.chain.solid().height).await;
    daemon.stop().await;
    shop.configure("");
    let mut daemon = shop.daemon();
    daemon.told("credits.granted", "T-1").await;
    daemon.stop().await;
    shop.verify().await;
}

#[tokio::test]
async fn with_more_orders_than_accounts_the_blocks_are_read() {
    let few = "read = \"accounts\"\naccounts = { at_most = 1, blocks_behind = false }";
    let shop = Shop::open(Engine::Sqlite, few).await;
    let mut daemon = shop.watching().await;
    let first = shop.order("T-1", "tron", "100").await;
    let second = shop.order("T-2", "tron", "100").await;
    let block = shop.chain.mine(vec![payment(first, 100), payment(second, 100).tagged(1)]);
    // Only blocks show a transfer before it is solidified.
    daemon.told("deposit.detected", "T-2").await;
    assert!(shop.chain.solid().height < block.height);
    shop.solidify();
    daemon.told("credits.granted", "T-1").await;
    daemon.told("credits.granted", "T-2").await;
    daemon.stop().await;
}

#[tokio::test]
async fn check_says_what_the_plan_allows() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    // 20 polls a second are far above any plan.
    let (code, stdout, _) = shop.ended(&["check"]).await;
    assert_eq!(code, Some(2));
    let budget = finding(&stdout, "tron grid budget");
    assert_eq!(budget["good"], false);
    assert!(text(&budget["text"]).contains("its plan allows 1000000"), "{budget}");
    let said = text(&finding(&stdout, "tron grid")["text"]).to_owned();
    assert!(said.contains("has an index, by key") && !said.contains("0123-4567"), "{said}");
    let folder = shop.config_with("poll_interval = \"50ms\"\n", "poll_interval = \"5s\"\n", "tron");
    let (code, stdout, stderr) = super::super::shop::run(folder.path(), &["check"]).await;
    let budget = finding(&stdout, "tron grid budget");
    assert_eq!((code, &budget["good"]), (Some(0), &Value::Bool(true)), "{stderr}{stdout}");
    // 17,280 polls of two questions, 28,800 infos, a window each poll; and to compare it with the
    // books every hour 28,800 infos more, in windows of 20.
    assert!(text(&budget["text"]).starts_with("110880 requests a day"), "{budget}");
}

fn finding(stdout: &str, what: &str) -> Value {
    let value: Value = serde_json::from_str(stdout).expect("JSON");
    let found = list(&value["checks"]).iter().find(|check| check["what"] == what);
    found.unwrap_or_else(|| panic!("no {what}: {stdout}")).clone()
}

#[tokio::test]
async fn support_is_told_of_what_is_ours_and_what_is_not() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.watching().await;
    let to = shop.order("T-1", "tron", "100").await;
    let order = shop.show("T-1").await;
    let address = text(&order["address"]).to_owned();
    assert!(address.starts_with('T'), "{order}");
    assert_eq!(order["payment_uri"], address.as_str(), "TRON's wallets agree on no URI");
    let stranger = alloy::primitives::Address::repeat_byte(0xbb);
    let block = shop.chain.mine(vec![
        payment(to, 100),
        payment(stranger, 7).tagged(1),
        payment(to, 9).tagged(2).reverted(),
    ]);
    let txs = shop.chain.transactions(block.height);
    daemon.recorded_on("tron", block.height).await;
    let explain = async |term: &str| shop.bursar(&["explain", term]).await.to_string();
    let bare = |tx: &B256| format!("{tx:x}").trim_start_matches("0x").to_owned();
    let ours = explain(&bare(&txs[0])).await;
    assert!(ours.contains("\"transaction\"") && ours.contains("T-1"), "{ours}");
    assert!(ours.contains("confirmations; not final yet"), "{ours}");
    let foreign = explain(&bare(&txs[1])).await;
    assert!(foreign.contains("foreign_transaction") && foreign.contains("7.00"), "{foreign}");
    let failed = explain(&bare(&txs[2])).await;
    assert!(failed.contains("\"failed\""), "{failed}");
    let nowhere = explain(&bare(&keccak256(b"nothing"))).await;
    assert!(nowhere.contains("\"none\""), "{nowhere}");
    let by_address = explain(&address).await;
    assert!(by_address.contains("T-1"), "{by_address}");
    let again = ["rescan", "--chain=tron", "--tx", &bare(&txs[0])];
    assert_eq!(shop.bursar(&again).await["found"], 0);
    daemon.stop().await;
}
