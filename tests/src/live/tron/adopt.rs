//! Another branch of TRON is followed because a person says so, where accounts are watched.

use lab::tron::{BlockRef, Fault, LogSpec, Paths, Tx};
use serde_json::Value;

use super::hourly::{AGREE, DIFFER};
use super::list;
use super::reconcile::FORGETFUL;
use super::shop::{Shop, payment};
use crate::live::daemon::Daemon;
use crate::live::shop::{Engine, deposits, on_both_engines, text};

on_both_engines!(
    another_branch_is_followed_where_accounts_are_watched,
    what_a_look_from_before_an_adoption_says_is_not_recorded,
    another_branch_is_followed_after_a_restart,
    what_the_contract_said_on_the_lost_branch_is_asked_again,
    the_branch_that_was_adopted_is_compared_from_where_it_begins,
);

const BY_ACCOUNTS: &str = "read = \"accounts\"";
const FAILED: &str = "this turn failed";
const ODD: &str = "money cannot be moved freely on this chain";
const SAID: [&str; 4] = ["--by", "maria", "--why", "three explorers show it"];

/// What is paid from where two branches part: on the other one `AGAIN` some blocks later by the
/// same transaction, and `LATER` for the first time.
struct Branches {
    from: BlockRef,
    other: [Tx; 2],
}

impl Shop {
    async fn state(&self) -> Value {
        self.bursar(&["chain", "show", "tron"]).await["chains"][0].clone()
    }

    /// Two payments of one block are credited and final.
    async fn credited(&self) -> (Daemon, Branches) {
        let mut daemon = self.watching().await;
        let branches = self.final_payments().await;
        daemon.told("credits.granted", "GONE").await;
        daemon.told("credits.granted", "AGAIN").await;
        (daemon, branches)
    }

    /// Two payments of one block are final.
    async fn final_payments(&self) -> Branches {
        let gone = self.order("GONE", "tron", "100").await;
        let again = self.order("AGAIN", "tron", "100").await;
        let later = self.order("LATER", "tron", "100").await;
        let twice = || payment(again, 100).tagged(5);
        let from = self.chain.mine(vec![payment(gone, 100), twice()]);
        self.solidify();
        Branches { from, other: [twice(), payment(later, 100)] }
    }

    /// Replaces every block from where they part, final ones too.
    fn other_branch(&self, Branches { from, other: [again, later] }: Branches) -> BlockRef {
        let depth = self.chain.tip().height - from.height + 1;
        let blocks = vec![vec![], vec![], vec![], vec![again], vec![later]];
        self.chain.reorg(depth, blocks);
        self.chain.mine_empty(depth);
        self.solidify();
        self.chain.solid()
    }

    /// The daemon has found the other branch; how often it said so.
    async fn paused(&self, daemon: &mut Daemon) -> usize {
        for turns in 1.. {
            daemon.said_times(FAILED, turns).await;
            if text(&self.state().await["state"]) == "paused" {
                return turns;
            }
        }
        unreachable!("turns go on");
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
    let (mut daemon, branches) = shop.credited().await;
    let named = shop.other_branch(branches);
    shop.paused(&mut daemon).await;
    shop.adopted(named).await;
    daemon.told("credits.granted", "LATER").await;
    daemon.told_times("credits.granted", "AGAIN", 2).await;
    assert_eq!(text(&shop.state().await["state"]), "good");
    shop.is_as_the_branch().await;
    daemon.stop().await;
}

/// A node answers late: the turn that asked it still judges by what the adoption has taken back.
async fn what_a_look_from_before_an_adoption_says_is_not_recorded(engine: Engine) {
    let shop = Shop::open(engine, BY_ACCOUNTS).await;
    let (mut daemon, branches) = shop.credited().await;
    let named = shop.other_branch(branches);
    let turns = shop.paused(&mut daemon).await.saturating_add(1);
    daemon.said_times(FAILED, turns).await;
    let asked = || shop.node.requests().total();
    let before = asked();
    let late = shop.node.fault(Fault::Hang { paths: Paths::all(), times: Some(1) });
    while asked() == before {
        tokio::task::yield_now().await;
    }
    shop.adopted(named).await;
    shop.node.heal_one(late);
    daemon.said_times(FAILED, turns.saturating_add(1)).await;
    daemon.told("credits.granted", "LATER").await;
    daemon.told_times("credits.granted", "AGAIN", 2).await;
    shop.is_as_the_branch().await;
    daemon.stop().await;
}

/// The daemon was down meanwhile, so its first look finds it.
async fn another_branch_is_followed_after_a_restart(engine: Engine) {
    let shop = Shop::open(engine, BY_ACCOUNTS).await;
    let (daemon, branches) = shop.credited().await;
    daemon.stop().await;
    let named = shop.other_branch(branches);
    let mut daemon = shop.daemon();
    daemon.said_times(FAILED, 2).await;
    let paused = shop.state().await;
    assert_eq!(text(&paused["state"]), "paused", "{paused}");
    assert_eq!(text(&shop.show("LATER").await["status"]), "awaiting_payment");
    shop.adopted(named).await;
    daemon.told("credits.granted", "LATER").await;
    daemon.told("credits.granted", "AGAIN").await;
    shop.is_as_the_branch().await;
    daemon.stop().await;
}

/// The token was paused before the books begin, so nothing but its contract says it; what it said
/// is a fact of a block that is lost.
async fn what_the_contract_said_on_the_lost_branch_is_asked_again(engine: Engine) {
    let shop = Shop::open(engine, BY_ACCOUNTS).await;
    shop.chain.mine(vec![Tx::empty().and(LogSpec::Pause)]);
    shop.solidify();
    shop.chain.mine_empty(2);
    let branches = shop.final_payments().await;
    let mut daemon = shop.watching().await;
    daemon.told("credits.granted", "GONE").await;
    daemon.told("credits.granted", "AGAIN").await;
    let paused = async || shop.state().await["token"]["paused"].clone();
    assert_eq!(text(&paused().await["told_by"]), "contract");
    daemon.said_times(ODD, 1).await;
    let named = shop.other_branch(branches);
    shop.paused(&mut daemon).await;
    shop.adopted(named).await;
    daemon.said_times(ODD, 2).await;
    daemon.told("credits.granted", "LATER").await;
    assert_eq!(text(&paused().await["told_by"]), "contract");
    shop.is_as_the_branch().await;
    daemon.stop().await;
}

/// The daemon's last look had come above it on the lost branch; and the index has lost a payment of
/// the other one.
async fn the_branch_that_was_adopted_is_compared_from_where_it_begins(engine: Engine) {
    let shop = Shop::open(engine, FORGETFUL).await;
    let (daemon, branches) = shop.credited().await;
    daemon.stop().await;
    let looks = |from: &str, to: &str| shop.rewrite(|config| config.replace(from, to));
    let (never, often) = ("every = \"never\"", "every = \"100ms\"");
    shop.rewrite(|config| format!("{config}\n[reconcile]\n{often}\n"));
    shop.chain.mine_empty(10);
    shop.solidify();
    let mut daemon = shop.daemon();
    daemon.recorded_on("tron", shop.chain.solid().height).await;
    daemon.said_times(AGREE, daemon.said(AGREE) + 2).await;
    daemon.stop().await;
    looks(often, never);
    let height = branches.from.height + 4;
    assert!(height < shop.chain.solid().height, "it has looked beyond");
    let named = shop.other_branch(branches);
    let tx = shop.chain.transactions(height)[0];
    shop.node.fault(Fault::LostRows { tx });
    let mut daemon = shop.daemon();
    shop.paused(&mut daemon).await;
    shop.adopted(named).await;
    daemon.told("credits.granted", "AGAIN").await;
    daemon.stop().await;
    looks(never, often);
    let mut daemon = shop.daemon();
    daemon.said_times(DIFFER, 2).await;
    daemon.stop().await;
    let known = shop.bursar(&["reconcile", "list"]).await;
    let lost = |known: &&Value| text(&known["key"]).contains(&tx.to_string()[2..]);
    let lost = list(&known).iter().find(lost).unwrap_or_else(|| panic!("{known:#}"));
    assert_eq!(text(&lost["code"]), "C101");
}
