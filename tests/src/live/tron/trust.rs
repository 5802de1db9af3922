//! What a reconciliation must not believe, and what it must not call clean.
//!
//! In: endpoints that differ, books that end too early, other tokens, people who know of less.
//! Out: exit codes, and books that did not change. Why: finance decides by the exit code alone, and
//! `--repair` credits what it believes.

use lab::tron::{self, Fault, Tx};

use super::morning::{address_of, looked};
use super::reconcile::{FORGETFUL, codes, ether_payment};
use super::{Engine, Shop, list, payment, text};
use crate::live::daemon::Daemon;

const BY_MARIA: [&str; 4] = ["--by", "maria", "--why", "it is looked into"];

/// A payment of 50 to order T-1 that the index has lost, in that block.
async fn forgotten() -> (Shop, Daemon, tron::BlockRef) {
    let shop = Shop::open(Engine::Sqlite, FORGETFUL).await;
    let daemon = shop.watching().await;
    let lost = shop.order("T-1", "tron", "50").await;
    let block = shop.chain.mine(vec![payment(lost, 50)]);
    shop.node.fault(Fault::LostRows { tx: shop.chain.transactions(block.height)[0] });
    (shop, daemon, block)
}

/// The first endpoint alone shows a payment: it may have made it up.
#[tokio::test]
async fn what_only_one_endpoint_shows_is_not_ingested() {
    let (shop, mut daemon, block) = forgotten().await;
    let tx = shop.chain.transactions(block.height)[0];
    shop.all_final(&mut daemon).await;
    daemon.stop().await;
    let other = tron::Node::start_grid(shop.chain.clone()).await.expect("a port");
    let url = other.url();
    let both = ["--chain", "tron", "--second-endpoint", &url, "--repair"];
    other.fault(Fault::OmitLogs { tx });
    let (code, report) = shop.reconcile(&both).await;
    assert_eq!((code, codes(&report)), (1, vec!["C101", "C109"]), "{report:#}");
    let said = text(&report["repair"][0]);
    assert!(said.starts_with("left alone: C101 "), "{said}");
    assert!(
        said.ends_with("what was read of tron is incomplete, or the endpoints differ"),
        "{said}"
    );
    assert_eq!(shop.show("T-1").await["status"], "awaiting_payment");
    other.heal();
    let (code, report) = shop.reconcile(&both).await;
    assert_eq!((code, codes(&report)), (0, vec![]), "{report:#}");
    assert_eq!(shop.show("T-1").await["status"], "paid");
}

#[tokio::test]
async fn an_acknowledgement_ends_where_more_is_at_stake() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.two_paid().await;
    let ours = address_of(&shop.show("T-1").await);
    let steal = |usdt: u64| Tx::transfer(ours, ours_not(), usdt * 1_000_000);
    shop.hide(steal(30));
    shop.all_final(&mut daemon).await;
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (1, vec!["B501"]), "{report:#}");
    let id = text(&report["discrepancies"][0]["id"])[..12].to_owned();
    shop.bursar(&[&["reconcile", "ack", &id], &BY_MARIA[..]].concat()).await;
    assert_eq!(shop.reconcile(&[]).await.0, 0, "it is known");
    shop.hide(steal(10));
    shop.all_final(&mut daemon).await;
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (1, vec!["B501"]), "{report:#}");
    assert_eq!(report["discrepancies"][0]["amount"], "40.00");
    shop.bursar(&[&["reconcile", "ack", &id], &BY_MARIA[..]].concat()).await;
    assert_eq!(shop.reconcile(&[]).await.0, 0, "and now all of it");
    daemon.stop().await;
}

fn ours_not() -> alloy::primitives::Address {
    alloy::primitives::Address::repeat_byte(0x66)
}

/// The daemon is down for two hours of the chain's time; what came since is in no report.
#[tokio::test]
async fn books_that_end_long_before_the_chain_are_not_called_clean() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    shop.two_paid().await.stop().await;
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    // A block a second.
    shop.ethereum.mine_empty(3_500);
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    shop.ethereum.mine_empty(200);
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (3, vec!["C108"]), "{report:#}");
    let what = text(&report["discrepancies"][0]["what"]);
    assert!(what.starts_with("books: they end at height "), "{what}");
    let end = list(&report["cut_offs"])[0]["height"].to_string();
    assert_eq!(shop.reconcile(&["--to", &end, "--chain", "ethereum"]).await.0, 0);
    let mut daemon = shop.daemon();
    daemon.recorded_on("ethereum", shop.ethereum.tip().height).await;
    daemon.stop().await;
    assert_eq!(shop.reconcile(&[]).await.0, 0);
}

/// The only endpoint answers and stands still, and the books with it: they agree, and nobody knows
/// what was paid since.
#[tokio::test]
async fn a_chain_that_stands_still_is_not_called_clean() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    shop.two_paid().await.stop().await;
    assert_eq!(shop.reconcile(&[]).await.0, 0);
    let pace = "poll_interval = \"50ms\"";
    shop.rewrite(|config| config.replacen(pace, &format!("silent_after = \"1s\"\n{pace}"), 1));
    let mut daemon = shop.daemon();
    daemon.said_times("chain.stalled", 1).await;
    daemon.stop().await;
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (3, vec!["C108"]), "{report:#}");
    let what = text(&report["discrepancies"][0]["what"]);
    assert!(what.starts_with("stalled: nothing has become final for more than"), "{what}");
}

/// Anybody can send a token of his own to an address of ours, as much and as often as he likes.
#[tokio::test]
async fn other_tokens_are_no_money() {
    let shop = Shop::open(Engine::Sqlite, "").await;
    let mut daemon = shop.two_paid().await;
    let ours = address_of(&shop.show("T-1").await);
    let fake = alloy::primitives::Address::repeat_byte(0xfa);
    let send = |tag: u64| {
        let all = alloy::primitives::U256::MAX;
        Tx::transfer_of(fake, ours_not(), ours, all).tagged(tag)
    };
    // More of them than are recorded of an order.
    shop.chain.mine((0..25).map(send).collect());
    shop.all_final(&mut daemon).await;
    daemon.told_times("case.opened", "T-1", 20).await;
    daemon.stop().await;
    // Those that are recorded wait for a person.
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (1, vec!["D207"; 20]), "{report:#}");
    // And one between the cut-off and the block at which TRON tells the balance.
    shop.chain.mine(vec![send(99)]);
    shop.solidify();
    let (code, report) = shop.reconcile(&[]).await;
    assert_eq!((code, codes(&report)), (1, vec!["D207"; 20]), "{report:#}");
}

/// A person looked at the newest blocks alone; the daemon's own look begins where its last ended.
#[tokio::test]
async fn a_look_at_a_part_is_not_the_daemons_own() {
    let (shop, mut daemon, block) = forgotten().await;
    shop.chain.mine_empty(5);
    let paid = shop.order("E-1", "ethereum", "40").await;
    shop.ethereum.mine(vec![ether_payment(paid, 40)]);
    shop.all_final(&mut daemon).await;
    daemon.told("credits.granted", "E-1").await;
    daemon.stop().await;
    let above = (block.height + 1).to_string();
    assert_eq!(shop.reconcile(&["--chain", "tron", "--from", &above]).await.0, 0);
    shop.rewrite(|config| format!("{config}\n[reconcile]\nevery = \"100ms\"\n"));
    let mut daemon = shop.daemon();
    looked(&mut daemon, "chain and books do not agree: `bursar reconcile`").await;
    daemon.stop().await;
}
