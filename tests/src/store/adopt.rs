//! Finality falls by the recorded choice of a person and in no other way, on either engine.

use payments::Update;
use payments::adopt::Adoption;
use payments::event::EventKind;
use payments::order::Status;

use super::shop::{address, chain, header, id, opened, planned, record, scan};
use super::{Place, on_both, run};

on_both!(
    an_adoption_is_recorded_and_followed,
    the_database_knows_no_other_way,
    what_an_hour_brought_is_kept,
    blocks_with_deposits_are_named,
);

fn adoption() -> Update {
    let (by, why) = ("maria".to_owned(), "two explorers".to_owned());
    let (base, named) = (header(1, 0), header(3, 7).id);
    Update::Adopt(Adoption { chain: chain(), base, named, by, why, refunds: Vec::new() })
}

async fn paused(place: &Place) {
    opened(&place.store).await;
    let pause = Update::Pause { chain: chain(), why: "below what was final".to_owned() };
    record(&place.store, &pause).await.unwrap();
}

async fn an_adoption_is_recorded_and_followed(place: Place) {
    let store = &place.store;
    paused(&place).await;
    let late = planned(store, &adoption()).await;
    record(store, &adoption()).await.unwrap();
    // Planned by two at once, it is recorded once.
    assert!(matches!(store.commit(&late).await, Err(store::Error::Conflict(_))));
    let cursor = store.cursor(&chain()).await.unwrap();
    assert_eq!((cursor.finalized.unwrap(), cursor.paused.clone()), (header(1, 0).id, None));
    assert_eq!(cursor.kept, [header(1, 0)]);
    // A was paid at height 1, which both branches share; the rest is gone.
    let state = async |name: &str| store.order(&id(name)).await.unwrap().unwrap();
    assert_eq!(state("A").await.status(), Status::Paid);
    assert_eq!(state("B").await.status(), Status::AwaitingPayment);
    let pays = [(2, 2, address("B"), "40"), (3, 4, address("B"), "60")];
    record(store, &scan(2..=3, 7, &pays, Some(3))).await.unwrap();
    assert_eq!(state("B").await.status(), Status::Paid);
    assert_eq!(store.cursor(&chain()).await.unwrap().finalized, Some(header(3, 7).id));
    let events = store.events(0, 1000).await.unwrap();
    let told = events.iter().find(|event| event.kind == EventKind::ChainRecovered).unwrap();
    assert!(told.data.contains("maria: two explorers"), "{}", told.data);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn the_database_knows_no_other_way(place: Place) {
    paused(&place).await;
    let (base, named) = (header(1, 0).id.hash, header(3, 7).id.hash);
    let fall = |height: u64, hash| {
        format!(
            "UPDATE chains SET generation = generation + 1, finalized_height = {height}, \
             finalized_hash = '{hash}' WHERE name = 'ethereum'"
        )
    };
    let choice = |generation: &str, lost: u64| {
        format!(
            "INSERT INTO adoptions SELECT name, {generation}, 1, '{base}', 3, '{named}', {lost}, \
             finalized_hash, 'maria', 'because', 1 FROM chains"
        )
    };
    let refused = async |write: &str| {
        let written = run(&place.url, write).await;
        assert!(written.is_err(), "{write} was written");
    };
    refused(&fall(1, base)).await;
    // Of another generation, or about another finality.
    refused(&choice("generation + 1", 2)).await;
    refused(&choice("generation - 1", 2)).await;
    refused(&choice("generation", 5)).await;
    run(&place.url, &choice("generation", 2)).await.unwrap();
    // What was chosen is not changed, not taken back, and lets finality fall to its base alone.
    refused("UPDATE adoptions SET base_height = 0").await;
    refused("DELETE FROM adoptions").await;
    refused(&fall(0, base)).await;
    refused(&fall(1, named)).await;
    refused(
        "UPDATE chains SET generation = generation + 1, finalized_height = NULL, \
             finalized_hash = NULL",
    )
    .await;
    run(&place.url, &fall(1, base)).await.unwrap();
    run(&place.url, &fall(2, header(2, 0).id.hash)).await.unwrap();
    // And once.
    refused(&fall(1, base)).await;
    run(&place.url, "UPDATE chains SET generation = generation + 1, paused = NULL").await.unwrap();
    refused(&choice("generation", 2)).await;
}

async fn what_an_hour_brought_is_kept(place: Place) {
    let store = &place.store;
    opened(store).await;
    let now = payments::time::Time(1_000_000);
    let credited = async || store.cursor(&chain()).await.unwrap().recent.credited.sum(now);
    assert_eq!(credited().await, 100_000_000);
    let pause = Update::Pause { chain: chain(), why: "x".to_owned() };
    record(store, &pause).await.unwrap();
    assert_eq!(credited().await, 100_000_000);
    let (by, why) = ("maria".to_owned(), "looked".to_owned());
    record(store, &Update::Resume { chain: chain(), by, why }).await.unwrap();
    assert_eq!(credited().await, 0);
}

async fn blocks_with_deposits_are_named(place: Place) {
    let store = &place.store;
    opened(store).await;
    let named = async |height, at_most| store.paid_blocks(&chain(), height, at_most).await.unwrap();
    let (one, two) = (header(1, 0).id, header(2, 0).id);
    assert_eq!(named(9, 9).await, [two, one]);
    assert_eq!(named(9, 1).await, [two]);
    assert_eq!(named(1, 9).await, [one]);
    assert_eq!(named(0, 9).await, []);
}
