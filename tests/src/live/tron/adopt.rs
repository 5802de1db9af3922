//! Another branch of TRON is followed because a person says so, where accounts are watched.

use lab::tron::BlockRef;
use serde_json::Value;

use super::shop::{Shop, payment};
use crate::live::shop::{Engine, deposits, on_both_engines, text};

on_both_engines!(
    another_branch_is_followed_where_accounts_are_watched,
    another_branch_is_followed_after_a_restart,
);

const BY_ACCOUNTS: &str = "read = \"accounts\"";
const SAID: [&str; 4] = ["--by", "maria", "--why", "three explorers show it"];

impl Shop {
    async fn state(&self) -> Value {
        self.bursar(&["chain", "show", "tron"]).await["chains"][0].clone()
    }

    /// Replaces every block from `from` on, final ones too: on the other branch `AGAIN` is paid
    /// some blocks later by the same transaction, and `LATER` for the first time.
    async fn other_branch(&self, from: BlockRef, ours: [lab::tron::Tx; 2]) -> BlockRef {
        let depth = self.chain.tip().height - from.height + 1;
        let [again, later] = ours;
        let blocks = vec![vec![], vec![], vec![], vec![again], vec![later]];
        self.chain.reorg(depth, blocks);
        self.chain.mine_empty(depth);
        self.solidify();
        self.chain.solid()
    }

    /// What holds after the branch of `named` was adopted.
    async fn adopted(&self, named: BlockRef) {
        let named = format!("{}:{}", named.height, named.hash);
        let resume = ["chain", "resume", "tron", "--adopt", &named];
        let adopted = self.bursar(&[&resume[..], &SAID[..]].concat()).await;
        assert_eq!(adopted["orphaned"], 2, "{adopted}");
    }

    async fn is_as_the_branch(&self) {
        let gone = self.show("GONE").await;
        assert_eq!(deposits(&gone)[0].1, "reversed", "{gone}");
        assert_eq!(text(&gone["cases"][0]["kind"]), "reversed_after_credit", "{gone}");
        for id in ["AGAIN", "LATER"] {
            let order = self.show(id).await;
            assert_eq!(text(&order["status"]), "paid", "{order}");
            assert_eq!(deposits(&order).len(), 1, "{order}");
        }
        let credits = self.bursar(&["ledger", "balance", "customer:"]).await;
        let sums = credits["balances"].as_array().expect("a list").iter();
        let sums: Vec<&str> = sums.map(|row| text(&row["balance"])).collect();
        assert_eq!(sums.iter().filter(|sum| **sum == "10000.00").count(), 2, "{credits}");
        self.verify().await;
    }
}

async fn another_branch_is_followed_where_accounts_are_watched(engine: Engine) {
    let shop = Shop::open(engine, BY_ACCOUNTS).await;
    let mut daemon = shop.watching().await;
    let gone = shop.order("GONE", "tron", "100").await;
    let again = shop.order("AGAIN", "tron", "100").await;
    let later = shop.order("LATER", "tron", "100").await;
    let twice = || payment(again, 100).tagged(5);
    let from = shop.chain.mine(vec![payment(gone, 100), twice()]);
    shop.solidify();
    daemon.told("credits.granted", "GONE").await;
    daemon.told("credits.granted", "AGAIN").await;
    let named = shop.other_branch(from, [twice(), payment(later, 100)]).await;
    for turns in 1.. {
        daemon.said_times("this turn failed", turns).await;
        if text(&shop.state().await["state"]) == "paused" {
            break;
        }
    }
    shop.adopted(named).await;
    daemon.told("credits.granted", "LATER").await;
    daemon.told_times("credits.granted", "AGAIN", 2).await;
    assert_eq!(text(&shop.state().await["state"]), "good");
    shop.is_as_the_branch().await;
    daemon.stop().await;
}

/// The daemon was down meanwhile, so its first look finds it.
async fn another_branch_is_followed_after_a_restart(engine: Engine) {
    let shop = Shop::open(engine, BY_ACCOUNTS).await;
    let mut daemon = shop.watching().await;
    let gone = shop.order("GONE", "tron", "100").await;
    let again = shop.order("AGAIN", "tron", "100").await;
    let later = shop.order("LATER", "tron", "100").await;
    let twice = || payment(again, 100).tagged(5);
    let from = shop.chain.mine(vec![payment(gone, 100), twice()]);
    shop.solidify();
    daemon.told("credits.granted", "GONE").await;
    daemon.told("credits.granted", "AGAIN").await;
    daemon.stop().await;
    let named = shop.other_branch(from, [twice(), payment(later, 100)]).await;
    let mut daemon = shop.daemon();
    daemon.said_times("this turn failed", 2).await;
    let paused = shop.state().await;
    assert_eq!(text(&paused["state"]), "paused", "{paused}");
    assert_eq!(text(&shop.show("LATER").await["status"]), "awaiting_payment");
    shop.adopted(named).await;
    daemon.told("credits.granted", "LATER").await;
    daemon.told("credits.granted", "AGAIN").await;
    shop.is_as_the_branch().await;
    daemon.stop().await;
}
