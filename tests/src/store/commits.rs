//! A commit is written whole or not at all, and only over what was read.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use payments::Update;
use payments::amount::Usdt;
use payments::chain::{Scan, Transfer};
use payments::deposit::State;
use payments::ledger::{Account, Asset, Entry};
use payments::name::CustomerId;
use payments::order::Status;
use store::Error;

use super::shop::{address, chain, header, id, opened, order, planned, record, scan, transfer};
use super::{Place, on_both};

on_both!(
    a_history_is_read_back,
    a_stale_cursor_writes_nothing,
    a_stale_order_writes_nothing,
    two_writers_at_once_both_finish,
    a_key_is_posted_once,
    an_order_without_its_version_is_refused,
    a_refused_commit_leaves_no_gap,
    a_value_may_change_with_its_block,
    an_address_belongs_to_one_order,
    every_reason_is_kept_even_an_empty_one,
    thousands_of_rows_are_what_was_planned,
    a_key_is_posted_once_among_a_thousand,
    a_row_that_cannot_be_made_ends_its_commit_alone,
    a_commit_that_is_let_go_leaves_nothing_behind,
);

async fn a_history_is_read_back(place: Place) {
    let store = &place.store;
    opened(store).await;
    let paid = store.order(&id("A")).await.unwrap().unwrap();
    assert_eq!(paid.order, order("A"));
    assert_eq!((paid.status(), paid.version), (Status::Paid, 1));
    assert_eq!(paid.deposits[0].state, State::Credited);
    let keys: Vec<&str> = paid.journals.iter().map(|journal| journal.key.as_str()).collect();
    assert_eq!(keys, [format!("deposit:{}", paid.deposits[0].id).as_str(), "paid:A"]);
    assert_eq!(paid.journals[1].entries.len(), 2);
    let part = store.order(&id("B")).await.unwrap().unwrap();
    assert_eq!((part.status(), part.journals.len()), (Status::PartiallyPaid, 1));
    assert_eq!(store.order(&id("C")).await.unwrap(), None);
    let cursor = store.cursor(&chain()).await.unwrap();
    assert_eq!((cursor.generation, cursor.last().unwrap().id.height), (1, 2));
    assert_eq!(cursor.kept.len(), 1);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_stale_cursor_writes_nothing(place: Place) {
    let store = &place.store;
    opened(store).await;
    let first = planned(store, &scan(3..=3, 0, &[(3, 4, address("B"), "60")], Some(3))).await;
    let second = planned(store, &scan(3..=4, 0, &[(3, 4, address("B"), "60")], Some(4))).await;
    store.commit(&first).await.unwrap();
    let before = store.events(0, 1000).await.unwrap();
    assert!(matches!(store.commit(&second).await, Err(Error::Conflict(_))));
    assert_eq!(store.events(0, 1000).await.unwrap(), before);
    assert_eq!(store.cursor(&chain()).await.unwrap().last().unwrap().id.height, 3);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_stale_order_writes_nothing(place: Place) {
    let store = &place.store;
    opened(store).await;
    // The shop takes B back while a scan that pays it is being planned.
    let pays = planned(store, &scan(3..=3, 0, &[(3, 4, address("B"), "60")], Some(3))).await;
    record(store, &Update::Cancel(id("B"))).await.unwrap();
    assert!(matches!(store.commit(&pays).await, Err(Error::Conflict(_))));
    assert_eq!(store.cursor(&chain()).await.unwrap().generation, 1);
    assert_eq!(store.order(&id("B")).await.unwrap().unwrap().deposits.len(), 1);
    // Read again, it is written.
    record(store, &scan(3..=3, 0, &[(3, 4, address("B"), "60")], Some(3))).await.unwrap();
    assert_eq!(store.order(&id("B")).await.unwrap().unwrap().deposits.len(), 2);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn two_writers_at_once_both_finish(place: Place) {
    let store = &place.store;
    let other = store::Store::open(&place.url, store::OpenMode::Use).await.unwrap();
    let tasks = (0..20u8).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move {
            record(&store, &Update::Create(order(&format!("order{n}")))).await.unwrap().events
        })
    });
    let mut told = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        told.extend(task.await.unwrap());
    }
    told.sort_unstable();
    assert_eq!(told, (1..=20).collect::<Vec<u64>>());
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_key_is_posted_once(place: Place) {
    let store = &place.store;
    opened(store).await;
    let mut changes = planned(store, &Update::Cancel(id("B"))).await;
    let mut journal = store.journal("paid:A").await.unwrap().unwrap().1;
    journal.order = Some(id("B"));
    changes.journals.push(journal);
    let before = store.journals(0, 1000).await.unwrap();
    match store.commit(&changes).await {
        Err(Error::AlreadyPosted { key }) => assert_eq!(key, "paid:A"),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.journals(0, 1000).await.unwrap(), before);
    assert_eq!(store.order(&id("B")).await.unwrap().unwrap().cancelled, None);
}

async fn an_order_without_its_version_is_refused(place: Place) {
    let store = &place.store;
    opened(store).await;
    let mut changes = planned(store, &Update::Cancel(id("B"))).await;
    changes.touched.clear();
    assert!(matches!(store.commit(&changes).await, Err(Error::Unversioned(order)) if order == "B"));
}

async fn a_refused_commit_leaves_no_gap(place: Place) {
    let store = &place.store;
    opened(store).await;
    let last = store.last_event().await.unwrap();
    let mut changes = planned(store, &Update::Cancel(id("B"))).await;
    // A journal that debits a customer and is no reversal: only the database looks.
    let mut journal = store.journal("paid:A").await.unwrap().unwrap().1;
    (journal.key, journal.order) = ("take:acme".to_owned(), None);
    journal.entries = vec![Entry {
        asset: Asset::Credit,
        debit: Account::Customer(CustomerId::new("acme").unwrap()),
        credit: Account::Issued,
        amount: 1,
    }];
    changes.journals.push(journal.clone());
    assert!(matches!(store.commit(&changes).await, Err(Error::Database(_))));
    // An order's account that would go below zero.
    journal.entries = vec![Entry {
        asset: Asset::Usdt(chain()),
        debit: Account::Order(id("A")),
        credit: Account::Sales,
        amount: 1,
    }];
    changes.journals.pop();
    changes.journals.push(journal);
    assert!(matches!(store.commit(&changes).await, Err(Error::Database(_))));
    assert_eq!(store.last_event().await.unwrap(), last);
    changes.journals.pop();
    let written = store.commit(&changes).await.unwrap();
    assert_eq!(written.events.start, last + 1);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_value_may_change_with_its_block(place: Place) {
    let store = &place.store;
    record(store, &Update::Create(order("A"))).await.unwrap();
    record(store, &scan(0..=2, 0, &[(2, 1, address("A"), "30")], Some(1))).await.unwrap();
    // The same transaction, mined again in the other block 2, moves more.
    record(store, &scan(2..=3, 7, &[(2, 1, address("A"), "31")], Some(1))).await.unwrap();
    let dossier = store.order(&id("A")).await.unwrap().unwrap();
    assert_eq!(dossier.deposits.len(), 1);
    assert_eq!(dossier.deposits[0].amount, Usdt::parse("31").unwrap());
    let same_block = "UPDATE deposits SET raw = '1'";
    assert!(super::run(&place.url, same_block).await.is_err());
}

async fn an_address_belongs_to_one_order(place: Place) {
    let store = &place.store;
    let mut rival = order("B");
    rival.address = address("A");
    let changes = planned(store, &Update::Create(rival)).await;
    record(store, &Update::Create(order("A"))).await.unwrap();
    assert!(matches!(store.commit(&changes).await, Err(Error::Conflict(_))));
    assert_eq!(store.order(&id("B")).await.unwrap(), None);
    // The same order twice: the second one reads again and finds it.
    let mut again = planned(store, &Update::Create(order("C"))).await;
    again.created.as_mut().unwrap().id = id("A");
    assert!(matches!(store.commit(&again).await, Err(Error::Conflict(_))));
}

async fn every_reason_is_kept_even_an_empty_one(place: Place) {
    let store = &place.store;
    for why in ["", "two\u{1f}fields", "a 'quote'"] {
        let (chain, why) = (chain(), why.to_owned());
        record(store, &Update::Pause { chain: chain.clone(), why: why.clone() }).await.unwrap();
        let found = store.cursor(&chain).await.unwrap().paused;
        assert_eq!(found, Some(why.replace('\u{1f}', "\u{fffd}")));
        let resume = Update::Resume { chain: chain.clone(), by: "ann".into(), why: "ok".into() };
        record(store, &resume).await.unwrap();
        assert_eq!(store.cursor(&chain).await.unwrap().paused, None);
    }
}

/// So many transfers of 100 to one address in one block.
fn paid_often(name: &str, times: u32) -> Update {
    let mut update = scan(0..=1, 0, &[], Some(1));
    if let Update::Scan(Scan { transfers, .. }) = &mut update {
        let one = transfer(&header(1, 0), 1, address(name), "100");
        transfers.extend((0..times).map(|n| Transfer { n, log_index: n.into(), ..one.clone() }));
    }
    update
}

/// By whatever way many rows go at once, and whatever is in them.
async fn thousands_of_rows_are_what_was_planned(place: Place) {
    let store = &place.store;
    record(store, &Update::Create(order("A"))).await.unwrap();
    let last = store.last_event().await.unwrap();
    let mut changes = planned(store, &paid_often("A", 3_000)).await;
    let odd = "a \\ b \\N c\td\ne\rf \\. \"g\" 'h' \u{e9}\u{1f600}";
    for event in &mut changes.events {
        event.data.push(("odd", odd.to_owned()));
    }
    store.commit(&changes).await.unwrap();
    let told = store.events(last, 100_000).await.unwrap();
    assert!(told.len() > 8_192, "{} are written at once", told.len());
    assert_eq!(told.len(), changes.events.len());
    for (told, event) in told.iter().zip(&changes.events) {
        assert_eq!(
            (told.kind, &told.order, &told.deposit),
            (event.kind, &event.order, &event.deposit)
        );
        let data: BTreeMap<String, String> = serde_json::from_str(&told.data).unwrap();
        let planned = event.data.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        assert_eq!(data, planned.collect());
    }
    let dossier = store.order(&id("A")).await.unwrap().unwrap();
    assert_eq!(dossier.deposits, changes.recorded);
    assert_eq!(dossier.journals, changes.journals);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_key_is_posted_once_among_a_thousand(place: Place) {
    let store = &place.store;
    record(store, &Update::Create(order("A"))).await.unwrap();
    let mut changes = planned(store, &paid_often("A", 400)).await;
    let twice = changes.journals[100].clone();
    changes.journals.push(twice.clone());
    match store.commit(&changes).await {
        Err(Error::AlreadyPosted { key }) => assert_eq!(key, twice.key),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.order(&id("A")).await.unwrap().unwrap().deposits, []);
    // The connection that was refused writes on.
    changes.journals.pop();
    store.commit(&changes).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
}

/// The rows before it are on their way to the engine when it is found.
async fn a_row_that_cannot_be_made_ends_its_commit_alone(place: Place) {
    let store = &place.store;
    record(store, &Update::Create(order("A"))).await.unwrap();
    let mut changes = planned(store, &paid_often("A", 3_000)).await;
    let last = changes.journals.len() - 1;
    assert!(last > 2_048, "{last} rows go before it");
    let remainder = std::mem::replace(&mut changes.journals[last].remainder, u64::MAX);
    for _ in 0..3 {
        let error = store.commit(&changes).await.unwrap_err();
        assert!(error.to_string().contains("remainder"), "{error}");
    }
    assert_eq!(store.order(&id("A")).await.unwrap().unwrap().deposits, []);
    // The connections that were given up half-way write on.
    changes.journals[last].remainder = remainder;
    store.commit(&changes).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
}

/// Wherever its caller stops to wait, it is written whole or not at all, and the connection it was
/// sent through takes the next one.
async fn a_commit_that_is_let_go_leaves_nothing_behind(place: Place) {
    let store = &place.store;
    record(store, &Update::Create(order("A"))).await.unwrap();
    let changes = planned(store, &paid_often("A", 400)).await;
    let written = async || store.order(&id("A")).await.unwrap().unwrap().deposits.len();
    for polls in 1u32.. {
        let mut commit = Box::pin(store.commit(&changes));
        let mut left = polls;
        let done = poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            commit.as_mut().poll(context).map(Some)
        });
        let done = tokio::time::timeout(Duration::from_secs(30), done).await;
        let done = done.unwrap_or_else(|_| panic!("after {polls} polls nothing goes on"));
        drop(commit);
        match done {
            None if written().await == 0 => {}
            // One that was let go of at its very end is written all the same.
            None | Some(Ok(_) | Err(Error::Conflict(_))) => break,
            Some(Err(error)) => panic!("after {polls} polls: {error}"),
        }
    }
    assert_eq!(written().await, changes.recorded.len());
    assert_eq!(store.verify().await.unwrap(), []);
}

/// What waits in SQLite's log is in its file a moment later, though nobody commits any more.
#[tokio::test]
async fn a_large_commit_is_written_back_without_the_writer() {
    let place = super::sqlite().await;
    let store = &place.store;
    record(store, &Update::Create(order("A"))).await.unwrap();
    let file = place.url.strip_prefix("sqlite:").unwrap();
    let length = || std::fs::metadata(file).unwrap().len();
    let before = length();
    record(store, &paid_often("A", 400)).await.unwrap();
    let written = async {
        while length() < before + 400_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), written).await.expect("the file is written");
    assert_eq!(store.verify().await.unwrap(), []);
}
