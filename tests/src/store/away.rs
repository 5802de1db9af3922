//! A PostgreSQL server that is away: whoever asks is told within seconds, and may ask again.

use std::time::Duration;

use store::{Error, OpenMode, Store};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::shop::{chain, opened};
use crate::live::proxy::Proxy;

/// A person at a terminal waits no longer; a busy machine is part of it.
const SOON: Duration = Duration::from_secs(20);

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
