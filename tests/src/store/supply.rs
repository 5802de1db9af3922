//! Addresses: none is given twice, all are watched.

use std::collections::BTreeSet;

use payments::Update;
use payments::address::Address;
use store::{OpenMode, Store, WatchState};

use super::shop::{address, id, order, record};
use super::{Place, on_both};

on_both!(
    an_index_is_given_once,
    an_imported_address_is_given_once,
    what_somebody_was_shown_is_watched_and_given_to_nobody,
    the_watch_set_grows,
    an_imported_address_finds_its_order,
);

async fn an_index_is_given_once(place: Place) {
    let store = &place.store;
    assert_eq!(store.reserve_index("key-a", 0).await.unwrap(), 0);
    assert_eq!(store.reserve_index("key-a", 0).await.unwrap(), 1);
    assert_eq!(store.reserve_index("key-b", 0).await.unwrap(), 0);
    // A restored backup: the config says how far the key had been used.
    assert_eq!(store.reserve_index("key-a", 500).await.unwrap(), 500);
    assert_eq!(store.reserve_index("key-a", 0).await.unwrap(), 501);
    let other = Store::open(&place.url, OpenMode::Use).await.unwrap();
    let tasks = (0..40).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move { store.reserve_index("key-c", 0).await.unwrap() })
    });
    let mut given = BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        given.insert(task.await.unwrap());
    }
    assert_eq!(given, (0..40).collect());
    // BIP-32 derives no public key at 2^31 and above.
    assert_eq!(store.reserve_index("key-a", (1 << 31) - 1).await.unwrap(), (1 << 31) - 1);
    assert!(store.reserve_index("key-a", 0).await.is_err());
    assert!(super::run(&place.url, "UPDATE derivations SET next = 1").await.is_err());
}

async fn what_somebody_was_shown_is_watched_and_given_to_nobody(place: Place) {
    let store = &place.store;
    let shown: Vec<Address> = (0..3).map(|n| Address([n; 20])).collect();
    store.import(&shown[..1]).await.unwrap();
    assert_eq!(store.unknown(&shown).await.unwrap(), shown[1..]);
    assert_eq!(store.recall(&shown).await.unwrap(), 3);
    assert_eq!(store.recall(&shown).await.unwrap(), 0);
    assert_eq!(store.unknown(&shown).await.unwrap(), []);
    let mut state = WatchState::default();
    let watched = store.watch(&mut state).await.unwrap();
    assert!(shown.iter().all(|address| watched.contains(address)));
    // Also what was in the pool is nobody's to have, and does not come back to it.
    assert_eq!(store.import(&shown).await.unwrap(), 0);
    assert_eq!(store.take_imported().await.unwrap(), None);
    assert_eq!(store.next_index("key-a").await.unwrap(), 0);
    store.reserve_index("key-a", 7).await.unwrap();
    assert_eq!(store.next_index("key-a").await.unwrap(), 8);
}

async fn an_imported_address_is_given_once(place: Place) {
    let store = &place.store;
    let pool: Vec<Address> = (0..30).map(|n| Address([n; 20])).collect();
    assert_eq!(store.import(&pool).await.unwrap(), 30);
    assert_eq!(store.import(&pool[..5]).await.unwrap(), 0);
    let tasks: Vec<_> = (0..31)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.take_imported().await.unwrap() })
        })
        .collect();
    let mut given = Vec::new();
    for task in tasks {
        given.extend(task.await.unwrap());
    }
    given.sort_unstable();
    assert_eq!(given, pool);
    assert_eq!(store.take_imported().await.unwrap(), None);
}

async fn the_watch_set_grows(place: Place) {
    let store = &place.store;
    let mut state = WatchState::default();
    assert!(store.watch(&mut state).await.unwrap().is_empty());
    record(store, &Update::Create(order("A"))).await.unwrap();
    let before = store.watch(&mut state).await.unwrap();
    assert!(before.contains(&address("A")));
    // More than one text of one row holds.
    let pool: Vec<Address> = (0..25_000u32)
        .map(|n| {
            let mut bytes = [0x55; 20];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            Address(bytes)
        })
        .collect();
    store.import(&pool).await.unwrap();
    record(store, &Update::Create(order("B"))).await.unwrap();
    let after = store.watch(&mut state).await.unwrap();
    assert_eq!((before.len(), after.len()), (1, 25_002));
    assert!(pool.iter().all(|address| after.contains(address)));
    assert!(after.contains(&address("B")) && !after.contains(&address("C")));
    let whole = store.watch(&mut WatchState::default()).await.unwrap();
    assert_eq!(whole.len(), after.len());
    let broken = "INSERT INTO addresses (seq, address, taken) \
        VALUES (999999, '0xZZ00000000000000000000000000000000000000', 0)";
    super::run(&place.url, broken).await.unwrap();
    let error = store.watch(&mut state).await.unwrap_err().to_string();
    assert!(error.contains("addresses.address") && error.contains("0xZZ"), "{error}");
}

async fn an_imported_address_finds_its_order(place: Place) {
    let store = &place.store;
    store.import(&[address("A")]).await.unwrap();
    assert_eq!(store.take_imported().await.unwrap(), Some(address("A")));
    record(store, &Update::Create(order("A"))).await.unwrap();
    assert_eq!(store.order(&id("A")).await.unwrap().unwrap().order.address, address("A"));
    for statement in [
        "UPDATE addresses SET order_id = NULL",
        "UPDATE addresses SET taken = 0",
        "DELETE FROM addresses",
    ] {
        assert!(super::run(&place.url, statement).await.is_err(), "{statement}");
    }
}
