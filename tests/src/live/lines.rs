//! Lines that are cut while the daemon reads: the subscription's, the requests', both.
//!
//! In: a node that goes on behind relays that end connections. Out: everything credited once.
//! Never: a cut that the daemon did not notice. Why: providers drop connections every day.

use super::audit::assert_told_once;
use super::daemon::Daemon;
use super::dice::Dice;
use super::proxy::Proxy;
use super::shop::{Engine, Setup, Shop, USDT, on_both_engines};

on_both_engines!(
    a_subscription_that_is_cut_loses_nothing,
    requests_that_are_cut_are_asked_over_the_socket,
    cuts_at_any_moment_of_catching_up_lose_nothing,
);

/// How a lost subscription is told.
const ENDED: &str = "a subscription ended and is opened again";
/// How a failed endpoint is told.
const RESTS: &str = "an endpoint failed and rests";

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
    daemon.stop().await;
    assert_told_once(&shop.audit(&orders.map(|id| (id, "10000.00"))).await);
}

/// The socket carries requests too; and what came while both lines were cut is found after.
async fn requests_that_are_cut_are_asked_over_the_socket(engine: Engine) {
    let shop = Shop::open(engine).await;
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
    let before = daemon.heard.iter().filter(|line| line.message() == "this turn failed").count();
    daemon.said_times("this turn failed", before + 1).await;
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
