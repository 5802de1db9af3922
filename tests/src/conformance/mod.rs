//! Three engines, one history: SQLite and PostgreSQL beside the books in memory.
//!
//! In: histories of the model. Out: the same snapshot before, the same answer to, and the same
//! books after every update, on every engine; and hostile writes that the databases refuse.
//! Never: only the end compared. Why: the rules are proved in memory and run on a database.

mod hostile;
mod issuer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use model::memory::Memory;
use payments::address::Address;
use payments::case::{Case, RefundState, Resolution, StepKind};
use payments::chain::TxHash;
use payments::changes::{Changes, Rules, Snapshot};
use payments::event::{Event, EventKind};
use payments::name::ChainName;
use payments::notice::{Noted, Notice, What};
use payments::order::Dossier;
use payments::outflow::Way;
use payments::time::Time;
use payments::{Update, plan};
use ruint::aliases::U256;
use store::{OpenMode, Store, WatchState};

use crate::postgres;

/// Histories an engine is compared over, and steps of each.
const HISTORIES: u64 = 6;
/// Commits that prove something; a model that writes nothing would prove nothing.
const ENOUGH: u32 = 200;
const STEPS: u64 = 200;
/// The seed of [`loses_branches`].
const LOSING: u64 = 296;

/// A database with an empty schema, kept until it is dropped.
struct Place {
    store: Store,
    url: String,
    _folder: Option<tempfile::TempDir>,
    _database: Option<postgres::Database>,
}

async fn sqlite() -> Place {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("{}.db", COUNT.fetch_add(1, Ordering::Relaxed));
    let url = format!("sqlite:{}", folder.path().join(name).display());
    let store = Store::open(&url, OpenMode::Migrate).await.expect("a database");
    Place { store, url, _folder: Some(folder), _database: None }
}

async fn postgresql() -> Place {
    let database = postgres::database().await;
    let store = Store::open(&database.url, OpenMode::Migrate).await.expect("a database");
    let url = database.url.clone();
    Place { store, url, _folder: None, _database: Some(database) }
}

/// A cursor of which nothing is recorded says no more than none.
fn plain(mut snapshot: Snapshot) -> Snapshot {
    snapshot.cursor = snapshot.cursor.filter(|cursor| cursor.generation > 0);
    snapshot
}

/// Plays one history on a database and in memory, side by side; how often it was written.
async fn play(store: &Store, seed: u64) -> u32 {
    let (rules, pool, mut diary) = model::diary(seed, STEPS, false);
    if seed % 2 == 1 {
        issuer::speaks(&pool, &mut diary);
        diary = issuer::is_asked(diary);
    }
    let (memory, written) =
        side_by_side(store, &format!("seed {seed}"), (&rules, &pool, &diary)).await;
    let noted = memory.notices();
    let again = noted.iter().filter(|noted| noted.round > 1).count();
    let lost = memory.outflows().iter().any(|outflow| outflow.id.way == Way::Destroyed);
    let asked = noted.iter().filter(|noted| noted.notice.is_asked()).count();
    let spoke = noted.len() > 5 && lost && asked > 5;
    assert!(
        seed.is_multiple_of(2) || spoke,
        "the issuer said {} things, {again} again",
        noted.len()
    );
    written
}

/// Plays it on both, and compares before each update and at the end.
async fn side_by_side(
    store: &Store,
    name: &str,
    (rules, pool, diary): (&Rules, &[Address], &[(Update, Time)]),
) -> (Memory, u32) {
    let mut memory = Memory::new();
    memory.import(pool);
    assert_eq!(store.import(pool).await.expect("imported"), pool.len() as u64);
    let mut written = 0;
    for (step, (update, now)) in diary.iter().enumerate() {
        let place = format!("{name} step {step}: {update:?}");
        let known = plain(memory.snapshot(update));
        let found = plain(store.snapshot(update).await.expect("a snapshot"));
        assert_eq!(found.cursor, known.cursor, "{place}");
        assert_eq!(found.owners, known.owners, "{place}");
        let names = |snapshot: &Snapshot| snapshot.dossiers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&known), "{place}");
        for (one, other) in found.dossiers.values().zip(known.dossiers.values()) {
            assert_eq!(one, other, "{place}");
        }
        assert_eq!(found, known, "{place}");
        let Ok(changes) = plan(rules, &known, update, *now) else { continue };
        memory.commit(&changes).expect("written in memory");
        store.commit(&changes).await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
        if changes.is_empty() {
            continue;
        }
        written += 1;
        // The same changes once more are those of somebody who read an older state.
        if is_refused_again(&changes) {
            assert!(memory.commit(&changes).is_err(), "memory wrote twice, {place}");
            assert!(store.commit(&changes).await.is_err(), "the database wrote twice, {place}");
        }
    }
    compare(store, &memory).await;
    (memory, written)
}

/// A history that loses branches that were final, in which what left waits.
async fn loses_branches(store: &Store) {
    let (rules, pool, diary) = model::diary(LOSING, 1_200, true);
    let (memory, _) = side_by_side(store, "losing", (&rules, &pool, &diary)).await;
    let adopted = diary.iter().filter(|(update, _)| matches!(update, Update::Adopt(_))).count();
    let waited = memory.events().iter().any(|event| event.kind == EventKind::OutflowWaiting);
    assert!(adopted > 0 && waited, "{adopted} {waited}");
}

/// Whether these changes name a version, a generation or a key, as all but a bare event do.
fn is_refused_again(changes: &Changes) -> bool {
    changes.cursor.is_some() || changes.created.is_some() || !changes.touched.is_empty()
}

/// Everything that can be asked of both is answered alike.
async fn compare(store: &Store, memory: &Memory) {
    for id in memory.orders() {
        let found = store.order(id).await.expect("read");
        assert_eq!(found.as_ref(), memory.dossier(id).map(AsRef::as_ref));
    }
    let told = store.events(0, u32::MAX).await.expect("read");
    let known: Vec<&Event> = memory.events().iter().map(AsRef::as_ref).collect();
    assert_eq!(told.len(), known.len());
    for ((seq, told), event) in (1u64..).zip(&told).zip(known) {
        let data: BTreeMap<&str, &str> =
            event.data.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let found: BTreeMap<&str, &str> = serde_json::from_str(&told.data).expect("JSON");
        assert_eq!((told.seq, told.kind, told.at, found), (seq, event.kind, event.at, data));
        assert_eq!(
            (&told.order, &told.deposit, &told.case),
            (&event.order, &event.deposit, &event.case)
        );
    }
    let journals = store.journals(0, u32::MAX).await.expect("read");
    assert_eq!(journals.len(), memory.journals().len());
    for ((seq, journal), known) in journals.iter().zip(memory.journals()) {
        assert_eq!(journal, known.as_ref(), "journal {seq}");
    }
    let chains: BTreeSet<ChainName> =
        memory.notices().iter().map(|noted| noted.chain.clone()).collect();
    for chain in chains {
        let known = memory.notices().iter().filter(|noted| noted.chain == chain);
        let known: Vec<Noted> = known.map(|noted| (**noted).clone()).collect();
        assert_eq!(store.notices(&chain).await.expect("read"), known);
    }
    for ((asset, account), sides) in store.balances("", "", u32::MAX).await.expect("read").0 {
        assert_eq!(sides.net(), memory.net(&asset, &account), "{account}");
    }
    assert_eq!(store.verify().await.expect("read"), []);
    let mut state = WatchState::default();
    let watched = store.watch(&mut state).await.expect("read");
    for id in memory.orders() {
        let dossier: &Dossier = memory.dossier(id).expect("an order");
        assert!(watched.contains(&dossier.order.address), "order {id} is not watched");
    }
}

#[tokio::test]
async fn sqlite_is_as_the_books_in_memory() {
    let mut written = 0;
    for seed in 0..HISTORIES {
        written += play(&sqlite().await.store, seed).await;
    }
    assert!(written > ENOUGH, "only {written} commits were compared");
}

#[tokio::test]
async fn postgresql_is_as_the_books_in_memory() {
    let mut written = 0;
    for seed in 0..HISTORIES {
        written += play(&postgresql().await.store, seed).await;
    }
    assert!(written > ENOUGH, "only {written} commits were compared");
}

#[tokio::test]
async fn sqlite_loses_branches_as_the_books_in_memory_do() {
    loses_branches(&sqlite().await.store).await;
}

#[tokio::test]
async fn postgresql_loses_branches_as_the_books_in_memory_do() {
    loses_branches(&postgresql().await.store).await;
}

/// Books with something of everything in them, for hostile writes.
async fn filled(store: &Store) {
    let (rules, pool, diary) =
        (0..).map(|seed| model::diary(seed, 400, false)).find(is_full).expect("one");
    store.import(&pool).await.expect("imported");
    let mut last = Time(0);
    for (update, now) in &diary {
        record(store, &rules, update, *now).await;
        last = *now;
    }
    // And two things that an issuer said.
    for chain in rules.keys() {
        let cursor = store.cursor(chain).await.expect("a cursor");
        let Some(header) = cursor.last() else { continue };
        let notice = |n, what| Notice {
            tx: TxHash([0xad; 32]),
            n,
            log_index: 0,
            block: header.id,
            time: header.time,
            what,
        };
        let notices =
            vec![notice(0, What::Paused), notice(1, What::Fee { points: 1, most: U256::ONE })];
        let transfers = Vec::new();
        let update = Update::Rescan { chain: chain.clone(), transfers, notices };
        record(store, &rules, &update, last).await;
    }
}

/// Whether every kind of decision is in a history, and a refund that was seen on its chain.
fn is_full((rules, pool, diary): &(Rules, Vec<Address>, Vec<(Update, Time)>)) -> bool {
    let mut memory = Memory::new();
    memory.import(pool);
    for (update, now) in diary {
        if let Ok(changes) = plan(rules, &memory.snapshot(update), update, *now) {
            memory.commit(&changes).expect("written in memory");
        }
    }
    let any = |fits: &dyn Fn(&Case) -> bool| memory.cases().iter().any(|case| fits(case));
    let refund = |case: &Case| case.refund().filter(|refund| !refund.fee.is_zero());
    let verified = |case: &Case| case.refund().is_some_and(|r| r.state == RefundState::Verified);
    let credited =
        |case: &Case| case.decision.as_ref().is_some_and(|of| of.resolution == Resolution::Credit);
    let proposed =
        |case: &Case| case.steps.iter().any(|step| matches!(step.kind, StepKind::Proposed(_)));
    let dear = |case: &Case| refund(case).is_some();
    any(&verified) && any(&credited) && any(&proposed) && any(&dear)
}

async fn record(store: &Store, rules: &Rules, update: &Update, now: Time) {
    let snapshot = store.snapshot(update).await.expect("a snapshot");
    if let Ok(changes) = plan(rules, &snapshot, update, now) {
        store.commit(&changes).await.expect("written");
    }
}
