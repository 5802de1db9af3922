//! How long it takes from a block to the credit, over a subscription, at one confirmation.
//!
//! In: a top-up paid again and again. Out: printed times; run with `--nocapture` to see them.
//! Never: a time that is asserted: the machine is shared.

use std::time::Instant;

use super::shop::{Engine, Setup, Shop, USDT, on_both_engines};

on_both_engines!(from_block_to_credit);

const PAYMENTS: usize = 20;

async fn from_block_to_credit(engine: Engine) {
    let shop = Shop::with(Setup { confirmations: 1, ..Setup::new(engine) }).await;
    let mut daemon = shop.watching().await;
    let address = shop.order_with("TOP-UP", &["--top-up"]).await;
    let mut times = Vec::with_capacity(PAYMENTS);
    for paid in 1..=PAYMENTS {
        shop.pay(address, USDT).await;
        let mined = Instant::now();
        shop.anvil.mine(1).await;
        daemon.told_times("credits.granted", "TOP-UP", paid).await;
        times.push(mined.elapsed());
    }
    times.sort();
    let (best, middle, worst) = (times[0], times[PAYMENTS / 2], times[PAYMENTS - 1]);
    println!("{engine:?}: block to credit: {best:?} best, {middle:?} median, {worst:?} worst");
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    shop.audit(&[("TOP-UP", "2000.00")]).await;
}
