//! Ends that nobody chose: `kill -9` anywhere, SIGTERM in the middle, another daemon beside it.
//!
//! In: a script of orders, payments and a reorg. Out: books as if nothing had happened.
//! Never: a state that only a clean end leaves. Why: power fails between any two instructions.

use std::collections::BTreeSet;
use std::time::Instant;

use super::audit::{assert_each_told_once, assert_told_once};
use super::daemon::{Daemon, Line, heights};
use super::dice::Dice;
use super::shop::{Engine, Setup, Shop, USDT, deposits, on_both_engines, text};

on_both_engines!(
    killed_at_any_moment_it_credits_once,
    told_to_stop_inside_a_commit_it_finishes_it,
    two_daemons_on_one_database_credit_once,
);

/// How often the daemon is killed.
const KILLS: usize = 36;

/// In turn it is killed while it starts, by how many lines it said, and while it records a block,
/// by the time since that block was mined.
async fn killed_at_any_moment_it_credits_once(engine: Engine) {
    let poll_interval = "300ms";
    let shop = Shop::with(Setup { confirmations: 1, poll_interval, ..Setup::new(engine) }).await;
    let mut dice = Dice::seeded();
    let mut script = Script::default();
    let lines = lines_of_a_start(&shop).await;
    let mut recorded = 0;
    for round in 0..KILLS {
        if round % 2 == 0 {
            script.play(&shop, &mut dice, round).await;
            let mut daemon = Daemon::verbose(shop.folder.path(), &["run"]);
            daemon.hear(1 + dice.below(lines)).await;
            daemon.kill().await;
        } else {
            let mut daemon = shop.watching().await;
            script.play(&shop, &mut dice, round).await;
            let height = shop.anvil.height().await;
            daemon.hear_for(dice.moment()).await;
            recorded += usize::from(daemon.heights().contains(&height));
            daemon.kill().await;
        }
    }
    println!("{engine:?}: of {} blocks {recorded} were recorded before the kill", KILLS / 2);
    let mut daemon = shop.daemon();
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    let due: Vec<_> = script.orders.iter().map(|id| (id.as_str(), "10000.00")).collect();
    let events = shop.audit(&due).await;
    assert_each_told_once(&events, &script.moved);
}

/// SIGTERM at each place of a commit that a payment comes to, noticed before the commit goes on:
/// what was being written is written whole. The payment is there before the daemon is: its first
/// commit has it, where one that runs may first write what has become final.
async fn told_to_stop_inside_a_commit_it_finishes_it(engine: Engine) {
    let shop = Shop::with(Setup { confirmations: 1, ..Setup::new(engine) }).await;
    let armed = shop.folder.path().join("armed");
    // It watches from the block on that it has seen first.
    shop.watching().await.stop().await;
    let mut due = Vec::new();
    for place in PLACES {
        let address = shop.order(place, "100").await;
        shop.pay(address, 100 * USDT).await;
        shop.anvil.mine(1).await;
        std::fs::write(&armed, format!("commit.{place} SIGTERM")).expect("armed");
        let mut daemon = Daemon::armed(shop.folder.path(), &["run"], &armed);
        daemon.said_times("told to stop: finishing what is being written", 1).await;
        std::fs::remove_file(&armed).expect("it goes on");
        let (code, _) = daemon.ended().await;
        assert_eq!(code, Some(0), "{place}");
        assert_eq!(deposits(&shop.show(place).await).len(), 1, "{place}");
        due.push((place, "10000.00"));
    }
    let mut daemon = shop.daemon();
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    assert_told_once(&shop.audit(&due).await);
}

/// The places of `store::Store::commit`, from its beginning to where it is durable.
const PLACES: [&str; 13] = [
    "begun", "numbered", "cursor", "touched", "recorded", "moved", "notices", "cases", "outflows",
    "journals", "events", "sealed", "written",
];

/// How many lines a daemon says from its start until the tip is recorded.
async fn lines_of_a_start(shop: &Shop) -> usize {
    let mut daemon = Daemon::verbose(shop.folder.path(), &["run"]);
    shop.anvil.mine(1).await;
    daemon.recorded(shop.anvil.height().await).await;
    let lines = daemon.heard.len();
    daemon.stop().await;
    lines
}

/// Orders that are made, paid in two parts some blocks apart, and once moved by a reorg.
#[derive(Default)]
struct Script {
    orders: Vec<String>,
    /// Orders that a reorg took something of.
    moved: BTreeSet<String>,
}

impl Script {
    async fn play(&mut self, shop: &Shop, dice: &mut Dice, round: usize) {
        match round % 3 {
            0 => {
                let id = format!("KILL-{round}");
                self.make(shop, dice, &id).await;
                self.orders.push(id);
                self.pay_newest(shop, 60).await;
                shop.anvil.mine(1).await;
            }
            1 => {
                let tx = self.pay_newest(shop, 40).await;
                shop.anvil.mine(1).await;
                if round % 4 == 3 {
                    let again = shop.anvil.again(tx).await;
                    shop.anvil.reorg(1, vec![(again, 0)]).await;
                    self.moved.extend(self.orders.last().cloned());
                }
            }
            _ => shop.anvil.mine(1).await,
        }
    }

    /// Makes an order with a process that is killed, and again until it answers.
    async fn make(&self, shop: &Shop, dice: &mut Dice, id: &str) {
        let arguments = [
            "order",
            "create",
            "--id",
            id,
            "--customer",
            id,
            "--chain",
            "ethereum",
            "--amount",
            "100",
        ];
        let mut killed = Daemon::verbose(shop.folder.path(), &arguments);
        killed.hear(1 + dice.below(300)).await;
        killed.kill().await;
        let made = shop.bursar(&arguments).await;
        assert_eq!(text(&made["status"]), "awaiting_payment");
    }

    async fn pay_newest(&self, shop: &Shop, usdt: u128) -> alloy::primitives::B256 {
        let order = shop.show(self.orders.last().expect("made before")).await;
        shop.pay(text(&order["address"]).parse().expect("an address"), usdt * USDT).await
    }
}

/// 7,200 blocks are a day. SIGTERM in the middle of them ends it at once, and loses nothing. Both
/// engines read one node: it takes longer to mine that day than to catch up with it.
#[tokio::test]
async fn a_day_that_was_missed_is_caught_up_by_ranges() {
    let setup = Setup { states: Some(64), ..Setup::new(Engine::Sqlite) };
    let sqlite = Shop::with(setup).await;
    let shops = [sqlite.beside(Engine::Postgres).await, sqlite];
    let anvil = &shops[0].anvil;
    let mut before = Vec::new();
    for shop in &shops {
        let daemon = shop.watching().await;
        for id in DAYS {
            shop.order(id, "100").await;
        }
        before.push(heights(&daemon.stop().await));
    }
    for id in DAYS {
        let order = shops[0].show(id).await;
        shops[0].pay(text(&order["address"]).parse().expect("an address"), 100 * USDT).await;
        anvil.mine(2_400).await;
    }
    for (shop, before) in shops.iter().zip(before) {
        catch_up(shop, before).await;
    }
}

/// The orders of that day.
const DAYS: [&str; 3] = ["DAY-1", "DAY-2", "DAY-3"];

async fn catch_up(shop: &Shop, before: Vec<u64>) {
    let engine = shop.setup.engine;
    let started = Instant::now();
    let mut daemon = shop.daemon();
    daemon.said_times("recorded", 1).await;
    let told = Instant::now();
    let first = heights(&daemon.stop().await);
    println!("{engine:?}: ended {:?} after SIGTERM", told.elapsed());
    let mut daemon = shop.daemon();
    shop.settle(&mut daemon).await;
    println!("{engine:?}: caught up after {:?}", started.elapsed());
    let second = heights(&daemon.stop().await);
    let all = [before, first, second];
    assert!(all.iter().all(|part| part.is_sorted()), "{all:?}");
    assert!(all[0].last() < all[1].first() && all[1].last() < all[2].first(), "{all:?}");
    assert!(all[1].len() + all[2].len() < 400, "not by ranges: {all:?}");
    for id in DAYS {
        assert_eq!(deposits(&shop.show(id).await).len(), 1);
    }
    assert_told_once(&shop.audit(&DAYS.map(|id| (id, "10000.00"))).await);
}

async fn two_daemons_on_one_database_credit_once(engine: Engine) {
    let shop = Shop::with(Setup { confirmations: 2, ..Setup::new(engine) }).await;
    let (mut one, mut other) = (shop.daemon(), shop.daemon());
    for daemon in [&mut one, &mut other] {
        daemon.said_times("watching", 1).await;
    }
    let mut due = Vec::new();
    for round in 0..12 {
        let id = format!("BOTH-{round}");
        let address = shop.order(&id, "100").await;
        shop.pay(address, 60 * USDT).await;
        shop.anvil.mine(1).await;
        let tx = shop.pay(address, 40 * USDT).await;
        shop.anvil.mine(1).await;
        if round % 4 == 3 {
            let again = shop.anvil.again(tx).await;
            shop.anvil.reorg(1, vec![(again, 0)]).await;
        }
        due.push(id);
    }
    shop.anvil.mine(2 * shop.setup.slots + 1).await;
    let height = shop.anvil.height().await;
    // Who records a block is who comes first.
    tokio::select! {
        () = one.recorded(height) => {}
        () = other.recorded(height) => {}
    }
    let heard = [one.stop().await, other.stop().await];
    for line in heard.iter().flatten() {
        assert!(["DEBUG", "INFO"].contains(&line.level()) || is_overtaken(line), "{line}");
    }
    let shares = heard.map(|heard| heights(&heard).len());
    println!("{engine:?}: turns recorded by each: {shares:?}");
    let due: Vec<_> = due.iter().map(|id| (id.as_str(), "10000.00")).collect();
    assert_told_once(&shop.audit(&due).await);
}

/// Whether a turn failed because a reorg, or the other daemon, came between its look at the chain
/// and its record: it is tried again.
fn is_overtaken(line: &Line) -> bool {
    let error = line.field("error");
    line.message() == "this turn failed"
        && (error.contains("unknown block") || error.contains("does not stand on a recorded block"))
}
