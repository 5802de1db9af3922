//! What the issuer of USDT does on TRON, and what leaves our addresses there.

use alloy::primitives::{Address as RawAddress, U256};
use lab::tron::{LogSpec, Tx};

use super::shop::{Shop, payment};
use crate::live::shop::{Engine, list, on_both_engines, text};

on_both_engines!(
    what_the_issuer_does_is_told_and_shown,
    what_leaves_is_swept_or_a_case_and_a_fork_takes_it_back,
);

/// Twenty times 0x88, as TRON spells it.
const TREASURY: &str = "treasury = [\"TNR8TefgTphcrwQQodMxFDa6BPggc2CZeE\"]";

/// What an order's address sends, in whole USDT.
fn sent(from: RawAddress, to: u8, usdt: u64) -> Tx {
    Tx::transfer(from, RawAddress::repeat_byte(to), usdt * 1_000_000)
}

impl Shop {
    /// An order paid with 100 USDT and credited.
    async fn paid(&self, daemon: &mut crate::live::daemon::Daemon, id: &str) -> RawAddress {
        let to = self.order(id, "tron", "100").await;
        self.chain.mine(vec![payment(to, 100)]);
        self.solidify();
        daemon.told("credits.granted", id).await;
        to
    }

    async fn custody(&self, of: RawAddress) -> String {
        let answer = self.bursar(&["ledger", "balance"]).await;
        let account = format!("custody:tron:{}", payments::address::Address(of.0.0).tron());
        let hex = format!("custody:tron:{of:#x}");
        let rows = list(&answer["balances"]).iter();
        let mut held = rows.filter(|row| {
            let of = text(&row["account"]);
            of == account || of.eq_ignore_ascii_case(&hex)
        });
        held.next().map_or("0.00".to_owned(), |row| text(&row["balance"]).to_owned())
    }
}

async fn what_the_issuer_does_is_told_and_shown(engine: Engine) {
    let shop = Shop::open(engine, TREASURY).await;
    let mut daemon = shop.watching().await;
    let frozen = shop.paid(&mut daemon, "FROZEN").await;
    let waits = shop.order("WAITS", "tron", "100").await;
    let fee = LogSpec::Params { basis_points: U256::from(10), max_fee: U256::from(5_000_000) };
    shop.chain.mine(vec![
        Tx::empty().tagged(1).and(LogSpec::AddedBlackList { account: frozen }),
        Tx::empty().tagged(2).and(fee).and(LogSpec::Pause),
    ]);
    daemon.told("address.blacklisted", "FROZEN").await;
    let shown = shop.bursar(&["chain", "show", "tron"]).await["chains"][0].clone();
    assert_eq!(text(&shown["state"]), "good", "{shown}");
    assert_eq!(text(&shown["token"]["paused"]["what"]), "paused");
    assert_eq!(shown["token"]["fee"]["points"], 10);
    let value = U256::from(100_000_000);
    let gone = LogSpec::DestroyedBlackFunds { account: frozen, value };
    shop.chain.mine(vec![Tx::empty().tagged(3).and(gone)]);
    shop.solidify();
    daemon.told("outflow.booked", "FROZEN").await;
    assert_eq!(shop.custody(frozen).await, "0.00");
    let shown = shop.show("FROZEN").await;
    assert_eq!(text(&shown["cases"][0]["kind"]), "destroyed_funds", "{shown}");
    // The last word of a contract: crediting waits for a person.
    let successor = RawAddress::repeat_byte(0x77);
    let deprecated = Tx::empty().tagged(4).and(LogSpec::Deprecate { successor });
    shop.chain.mine(vec![deprecated, payment(waits, 100)]);
    shop.solidify();
    daemon.recorded_on("tron", shop.chain.tip().height).await;
    assert_eq!(text(&shop.show("WAITS").await["status"]), "confirming");
    let resume = ["chain", "resume", "tron", "--by", "maria", "--why", "the old one is read out"];
    shop.bursar(&resume).await;
    shop.chain.mine_empty(1);
    daemon.told("credits.granted", "WAITS").await;
    shop.verify().await;
    daemon.stop().await;
}

async fn what_leaves_is_swept_or_a_case_and_a_fork_takes_it_back(engine: Engine) {
    let shop = Shop::open(engine, TREASURY).await;
    let mut daemon = shop.watching().await;
    let swept = shop.paid(&mut daemon, "SWEPT").await;
    let robbed = shop.paid(&mut daemon, "ROBBED").await;
    // A fork switch takes a sweep away, and mines it again.
    shop.chain.mine(vec![sent(swept, 0x88, 100).tagged(9)]);
    shop.chain.mine_empty(2);
    daemon.told("outflow.detected", "SWEPT").await;
    shop.chain.reorg(3, vec![vec![]; 4]);
    daemon.told("outflow.orphaned", "SWEPT").await;
    shop.chain.mine(vec![sent(swept, 0x88, 100).tagged(9), sent(robbed, 0x99, 30)]);
    daemon.told_times("outflow.detected", "SWEPT", 2).await;
    assert_eq!(shop.custody(swept).await, "-100.00", "not final yet");
    shop.solidify();
    daemon.told("outflow.booked", "SWEPT").await;
    daemon.told("outflow.booked", "ROBBED").await;
    assert_eq!(
        (shop.custody(swept).await, shop.custody(robbed).await),
        ("0.00".into(), "-70.00".into())
    );
    let (swept, robbed) = (shop.show("SWEPT").await, shop.show("ROBBED").await);
    assert_eq!(text(&swept["outflows"][0]["explained"]), "treasury", "{swept}");
    assert_eq!(text(&robbed["cases"][0]["kind"]), "unexplained_outflow", "{robbed}");
    shop.verify().await;
    daemon.stop().await;
}
