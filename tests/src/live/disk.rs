//! A disk that is full for a while: the real binary on a live node.

use super::shop::{Engine, Setup, Shop, USDT, text};

/// SQLite takes back by itself what it cannot write at the end of a transaction; what was read is
/// read again once there is room, by the daemon that was refused.
#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let setup =
        Setup { slots: 1, confirmations: 1, poll_interval: "100ms", ..Setup::new(Engine::Sqlite) };
    let shop = Shop::with(setup).await;
    let paid = shop.order("FULL", "100").await;
    let mut daemon = shop.watching().await;
    let log = shop.folder.path().join("bursar.db-wal");
    let length = std::fs::metadata(&log).expect("the log of the books").len();
    daemon.limit_files(Some(length)).await;
    let failed = daemon.said("this turn failed");
    shop.pay(paid, 100 * USDT).await;
    shop.anvil.mine(5).await;
    daemon.said_times("this turn failed", failed + 3).await;
    assert_eq!(text(&shop.show("FULL").await["status"]), "awaiting_payment");
    // Nothing is wrong with the chain, and nobody has to do anything about it.
    let why: Vec<&str> = daemon
        .heard
        .iter()
        .filter(|line| line.message() == "this turn failed")
        .map(|line| line.field("error"))
        .collect();
    let away = |why: &&str| why.starts_with("database: the database is unavailable: ");
    assert!(why.iter().all(away), "{why:?}");
    assert_eq!(daemon.said("chain.stalled"), 0);
    daemon.limit_files(None).await;
    shop.settle(&mut daemon).await;
    assert_eq!(text(&shop.show("FULL").await["status"]), "paid");
    assert_eq!(
        daemon.stop().await.iter().filter(|line| line.tells("order.paid", "FULL")).count(),
        1
    );
    shop.audit(&[("FULL", "10000.00")]).await;
}
