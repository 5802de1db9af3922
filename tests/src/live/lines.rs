//! Lines that are cut while the daemon works: the subscription's, the requests', the database's.
//!
//! In: servers that go on behind relays that end connections. Out: everything credited once.
//! Never: a cut that the daemon did not notice. Why: providers drop connections every day.

use std::collections::BTreeSet;

use super::audit::{assert_each_told_once, assert_told_once};
use super::daemon::Daemon;
use super::dice::Dice;
use super::proxy::Proxy;
use super::shop::{Engine, Setup, Shop, USDT, on_both_engines};

on_both_engines!(
    a_subscription_that_is_cut_loses_nothing,
    requests_that_are_cut_are_asked_over_the_socket,
    cuts_at_any_moment_of_catching_up_lose_nothing,
    a_daemon_that_starts_before_its_node_waits_for_it,
);

/// How a lost subscription is told.
const ENDED: &str = "a subscription ended and is opened again";
/// How a failed endpoint is told.
const RESTS: &str = "an endpoint failed and rests";
/// How a turn that was not recorded is told.
const FAILED: &str = "this turn failed";

/// While nobody rings, the poll interval ends the wait.
async fn a_subscription_that_is_cut_loses_nothing(engine: Engine) {
    let shop = Shop::with(Setup { poll_interval: "300ms", ..Setup::new(engine) }).await;
    let socket = Proxy::to(&shop.anvil.ws_url()).await;
    shop.write_config(&shop.config(&[shop.anvil.http_url(), socket.ws_url()]));
    let mut daemon = shop.watching().await;
    let orders = ["CUT-1", "CUT-2", "CUT-3"];
    for (round, id) in (1..).zip(orders) {
        let address = shop.order(id, "100").await;
        shop.pay(address, 100 * USDT).await;
        shop.anvil.mine(1).await;
        socket.cut();
        daemon.said_times(ENDED, round).await;
        shop.anvil.mine(2).await;
        daemon.told("credits.granted", id).await;
        socket.mend();
    }
    shop.settle(&mut daemon).await;
    // Connections are lost every day: nobody is to be woken for one.
    for line in daemon.stop().await {
        assert_ne!(line.level(), "ERROR", "{line}");
    }
    assert_told_once(&shop.audit(&orders.map(|id| (id, "10000.00"))).await);
}

/// The socket carries requests too; and what came while both lines were cut is found after.
async fn requests_that_are_cut_are_asked_over_the_socket(engine: Engine) {
    // What was mined during a look may have been seen by it, and then nobody rings again.
    let shop = Shop::with(Setup { poll_interval: "300ms", ..Setup::new(engine) }).await;
    let requests = Proxy::to(&shop.anvil.http_url()).await;
    let socket = Proxy::to(&shop.anvil.ws_url()).await;
    shop.write_config(&shop.config(&[requests.http_url(), socket.ws_url()]));
    let mut daemon = shop.watching().await;
    let address = shop.order("OVER", "100").await;
    let other = shop.order("LATER", "100").await;
    requests.cut();
    shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(3).await;
    daemon.told("credits.granted", "OVER").await;
    daemon.said_times(RESTS, 1).await;
    socket.cut();
    daemon.said_times(ENDED, 1).await;
    shop.pay(other, 100 * USDT).await;
    shop.anvil.mine(3).await;
    let before = daemon.heard.iter().filter(|line| line.message() == FAILED).count();
    daemon.said_times(FAILED, before + 1).await;
    requests.mend();
    socket.mend();
    daemon.told("credits.granted", "LATER").await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    let due = [("OVER", "10000.00"), ("LATER", "10000.00")];
    assert_told_once(&shop.audit(&due).await);
}

/// Every connection is ended again and again while hundreds of blocks are read.
async fn cuts_at_any_moment_of_catching_up_lose_nothing(engine: Engine) {
    let shop = Shop::with(Setup { poll_interval: "300ms", ..Setup::new(engine) }).await;
    let requests = Proxy::to(&shop.anvil.http_url()).await;
    let socket = Proxy::to(&shop.anvil.ws_url()).await;
    let orders = ["SNAP-1", "SNAP-2", "SNAP-3", "SNAP-4"];
    for id in orders {
        let address = shop.order(id, "100").await;
        shop.pay(address, 60 * USDT).await;
        shop.anvil.mine(150).await;
        shop.pay(address, 40 * USDT).await;
    }
    shop.write_config(&shop.config(&[requests.http_url(), socket.ws_url()]));
    let mut dice = Dice::seeded();
    let mut daemon = Daemon::verbose(shop.folder.path(), &["run"]);
    for _ in 0..12 {
        daemon.hear(dice.below(120)).await;
        let line = if dice.below(3) == 0 { &socket } else { &requests };
        line.snap();
    }
    daemon.said_times(RESTS, 1).await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    assert_told_once(&shop.audit(&orders.map(|id| (id, "10000.00"))).await);
}

async fn a_daemon_that_starts_before_its_node_waits_for_it(engine: Engine) {
    let shop = Shop::open(engine).await;
    let address = shop.order("EARLY", "100").await;
    let (requests, socket) =
        (Proxy::to(&shop.anvil.http_url()).await, Proxy::to(&shop.anvil.ws_url()).await);
    for line in [&requests, &socket] {
        line.cut();
    }
    shop.write_config(&shop.config(&[requests.http_url(), socket.ws_url()]));
    let mut daemon = shop.daemon();
    daemon.said_times("no node yet", 1).await;
    daemon.stop().await;
    let mut daemon = shop.daemon();
    daemon.said_times("no node yet", 2).await;
    shop.pay(address, 100 * USDT).await;
    shop.anvil.mine(3).await;
    for line in [&requests, &socket] {
        line.mend();
    }
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    assert_told_once(&shop.audit(&[("EARLY", "10000.00")]).await);
}

/// Also between a commit and its answer: then it is done, and the daemon cannot know.
#[tokio::test]
async fn a_database_that_is_cut_off_at_any_moment_loses_and_doubles_nothing() {
    let setup = Setup { confirmations: 1, poll_interval: "100ms", ..Setup::new(Engine::Postgres) };
    let shop = Shop::with(setup).await;
    let (line, url) = Proxy::to_postgres(&shop.url).await;
    let direct = shop.config(&[shop.anvil.http_url(), shop.anvil.ws_url()]);
    shop.write_config(&direct.replace(&shop.url, &url));
    let mut daemon = shop.watching().await;
    shop.write_config(&direct);
    let mut dice = Dice::seeded();
    let mut orders = Vec::new();
    for round in 0..16 {
        let id = format!("BOOKS-{round}");
        let address = shop.order(&id, "100").await;
        shop.pay(address, 60 * USDT).await;
        shop.anvil.mine(1).await;
        daemon.hear_for(dice.moment()).await;
        line.snap();
        shop.pay(address, 40 * USDT).await;
        shop.anvil.mine(1).await;
        daemon.hear_for(dice.moment()).await;
        line.snap();
        orders.push(id);
    }
    shop.settle(&mut daemon).await;
    let failed = daemon.heard.iter().filter(|line| line.message() == FAILED).count();
    println!("{failed} turns failed");
    daemon.stop().await;
    let due: Vec<_> = orders.iter().map(|id| (id.as_str(), "10000.00")).collect();
    assert_each_told_once(&shop.audit(&due).await, &BTreeSet::new());
}
