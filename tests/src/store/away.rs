//! A PostgreSQL server that is away: whoever asks is told within seconds, and may ask again.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use store::{Error, OpenMode, Store};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::shop::{address, chain, id, opened, planned, record, scan};
use crate::live::proxy::Proxy;

/// A person at a terminal waits no longer; a busy machine is part of it.
const SOON: Duration = Duration::from_secs(20);
/// What is said after a minute.
const SILENT: &str = "error communicating with database: no answer within 60 s: the server is \
    away, or busy with something long";
/// A daemon waits longer: a commit may be a large one, or behind one.
const PATIENCE: Duration = Duration::from_secs(90);

async fn unavailable<T>(asked: impl Future<Output = Result<T, Error>>) -> String {
    match timeout(SOON, asked).await.expect("an answer while somebody waits for it") {
        Err(Error::Unavailable(why)) => why.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it is away"),
    }
}

#[tokio::test]
async fn one_that_takes_a_connection_and_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://shop@{}/books", silent.local_addr().unwrap());
    for mode in [OpenMode::Use, OpenMode::Migrate] {
        let why = unavailable(Store::open(&url, mode)).await;
        assert_eq!(why, "error communicating with database: no answer within 5 s");
    }
    drop(silent);
    let why = unavailable(Store::open(&url, OpenMode::Use)).await;
    assert!(why.contains("refused"), "{why}");
}

/// It took the question, and dies before it answers: TCP says nothing of that. What it had begun is
/// taken back, though its connection stands: nobody else waits for that.
#[tokio::test]
async fn one_that_falls_silent_in_the_middle_of_a_commit() {
    let direct = super::postgresql().await;
    let (line, url) = Proxy::to_postgres(&direct.url).await;
    let store = Store::open(&url, OpenMode::Use).await.unwrap();
    opened(&store).await;
    let paid = scan(3..=3, 0, &[(3, 4, address("B"), "60")], Some(3));
    let changes = planned(&store, &paid).await;
    let mut other = PgConnection::connect(&direct.url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    held.execute("SELECT one FROM counters FOR UPDATE").await.unwrap();
    let committing = tokio::spawn(async move { store.commit(&changes).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let asked = async {
        while held.fetch_one(waiting).await.unwrap().get::<i64, _>(0) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, asked).await.expect("it waits for the lock");
    line.hush();
    held.commit().await.unwrap();
    match timeout(PATIENCE, committing).await.expect("an end").unwrap() {
        Err(Error::Unavailable(why)) => {
            assert_eq!(why.to_string(), SILENT);
        }
        other => panic!("{other:?}"),
    }
    let again = timeout(SOON, record(&direct.store, &paid)).await.expect("the lock is free");
    again.unwrap();
    let order = direct.store.order(&id("B")).await.unwrap().unwrap();
    assert!(order.paid.is_some() && order.deposits.len() == 2, "{order:?}");
}

#[tokio::test]
async fn one_that_goes_and_comes_back() {
    let direct = super::postgresql().await;
    let (line, url) = Proxy::to_postgres(&direct.url).await;
    let store = Store::open(&url, OpenMode::Use).await.unwrap();
    opened(&store).await;
    line.cut();
    unavailable(store.cursor(&chain())).await;
    unavailable(store.watch(&mut store::WatchState::default())).await;
    line.mend();
    let again = async {
        loop {
            match store.cursor(&chain()).await {
                Ok(cursor) => return cursor,
                Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error:?}"),
            }
        }
    };
    let cursor = timeout(SOON, again).await.expect("it is there again");
    assert_eq!(cursor.last().unwrap().id.height, 2);
    line.cut();
    unavailable(store.cursor(&chain())).await;
    // Nobody listens there any more: a pool tries that again for as long as it may wait.
    drop(line);
    for _ in 0..2 {
        unavailable(store.cursor(&chain())).await;
    }
}
