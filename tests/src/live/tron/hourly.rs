//! The daemon's own looks, one after the other: what each reads, and what is told of it.
//!
//! In: a discrepancy that stays, an endpoint that is away for a while, blocks that nobody can read
//! any more. Out: what is found, how often it is told.
//! Why: a discrepancy stays open for days, and a look an hour is to cost what an hour brings.

use lab::evm::Fault;
use lab::tron::{self, Tx};
use store::{OpenMode, Store};

use super::morning::{address_of, looked};
use super::reconcile::FORGETFUL;
use super::{Engine, Shop, list, on_both_engines, payment, text};
use crate::live::daemon::Daemon;

on_both_engines!(
    what_was_compared_is_not_read_again_though_something_was_found,
    what_a_look_found_stays_open_though_later_ones_do_not_read_it,
    a_chain_that_was_away_is_read_on_from_where_it_was,
);

pub(super) const AGREE: &str = "chain and books agree";
pub(super) const DIFFER: &str = "chain and books do not agree: `bursar reconcile`";

impl Shop {
    /// Both chains have a payment, the daemon looks all the time and has found nothing; and the
    /// Ethereum node has no block any more up to that with the payment.
    async fn looking(&self) -> Daemon {
        let daemon = self.two_paid().await;
        let paid = self.ethereum.tip().height - 6;
        daemon.stop().await;
        self.rewrite(|config| format!("{config}\n[reconcile]\nevery = \"100ms\"\n"));
        let mut daemon = self.daemon();
        looked(&mut daemon, AGREE).await;
        self.ethereum_node.fault(Fault::Gap { heights: 1..=paid });
        daemon
    }

    /// Why each `reconcile.failed` was told.
    async fn told_of_looks(&self) -> Vec<String> {
        let store = Store::open(&self.url, OpenMode::Use).await.expect("the books");
        let events = store.events(0, 10_000).await.expect("events");
        store.close().await;
        let told = events.iter().filter(|event| event.kind.word() == "reconcile.failed");
        told.map(|event| event.data.clone()).collect()
    }

    async fn known(&self) -> Vec<String> {
        let known = self.bursar(&["reconcile", "list"]).await;
        list(&known).iter().map(|finding| text(&finding["code"]).to_owned()).collect()
    }
}

async fn what_was_compared_is_not_read_again_though_something_was_found(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let mut daemon = shop.looking().await;
    let ours = address_of(&shop.show("T-1").await);
    let thief = alloy::primitives::Address::repeat_byte(0x66);
    shop.hide(Tx::transfer(ours, thief, 30_000_000));
    shop.all_final(&mut daemon).await;
    looked(&mut daemon, DIFFER).await;
    // It stays as it is for some looks.
    daemon.said_times(DIFFER, daemon.said(DIFFER) + 3).await;
    let told = shop.told_of_looks().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("1 open discrepancy"), "{told:?}");
    // More of the same is news.
    shop.hide(Tx::transfer(ours, thief, 40_000_000));
    shop.all_final(&mut daemon).await;
    daemon.said_times(DIFFER, daemon.said(DIFFER) + 3).await;
    daemon.stop().await;
    assert_eq!(shop.known().await, ["B501"]);
    let told = shop.told_of_looks().await;
    assert_eq!(told.len(), 2, "{told:?}");
}

async fn what_a_look_found_stays_open_though_later_ones_do_not_read_it(engine: Engine) {
    let shop = Shop::open(engine, FORGETFUL).await;
    let mut daemon = shop.looking().await;
    let lost = shop.order("T-2", "tron", "50").await;
    let block = shop.chain.mine(vec![payment(lost, 50).tagged(2)]);
    shop.node.fault(tron::Fault::LostRows { tx: shop.chain.transactions(block.height)[0] });
    shop.all_final(&mut daemon).await;
    looked(&mut daemon, DIFFER).await;
    let agreed = daemon.said(AGREE);
    // Above it, so that no look reads its block any more.
    shop.all_final(&mut daemon).await;
    daemon.said_times(DIFFER, daemon.said(DIFFER) + 3).await;
    assert_eq!(daemon.said(AGREE), agreed, "a look that did not read the block says it is right");
    daemon.stop().await;
    assert_eq!(shop.known().await, ["C101"]);
    let status = shop.bursar(&["status"]).await;
    assert_eq!(status["last_reconcile"]["exit"], 1, "{status:#}");
    let told = shop.told_of_looks().await;
    assert_eq!(told.len(), 1, "{told:?}");
    // What the books have by now is over, though no run looked at all.
    let tx = shop.chain.transactions(block.height)[0].to_string();
    shop.bursar(&["rescan", "--chain", "tron", "--tx", &tx]).await;
    let mut daemon = shop.daemon();
    looked(&mut daemon, AGREE).await;
    daemon.stop().await;
    let told = shop.told_of_looks().await;
    assert_eq!(told.len(), 1, "{told:?}");
}

async fn a_chain_that_was_away_is_read_on_from_where_it_was(engine: Engine) {
    let shop = Shop::open(engine, "").await;
    let mut daemon = shop.looking().await;
    shop.ethereum_node.stop().await;
    daemon.said_times(DIFFER, 3).await;
    shop.ethereum_node.restart().await.expect("up");
    let agreed = daemon.said(AGREE);
    daemon.said_times(AGREE, agreed + 1).await;
    daemon.stop().await;
    let known = shop.known().await;
    assert!(known.iter().all(|code| code == "C108"), "{known:?}");
    let told = shop.told_of_looks().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("evidence is incomplete"), "{told:?}");
}
