//! The books by themselves: schema, commits, questions, addresses, and what `verify` sees.
//!
//! In: small histories through the real rules. Out: the same answers on SQLite and PostgreSQL.
//! Never: an engine skipped. What the model's histories do to both is in `conformance`.

mod adopt;
mod ahead;
mod altered;
mod astray;
mod away;
mod bulk;
mod commits;
mod cut;
mod decisions;
mod expiring;
mod holes;
mod left;
mod log;
mod nobodys;
mod questions;
mod runs;
mod schema;
mod sealed;
mod shadowed;
mod shop;
mod supply;
mod verify;

use store::{OpenMode, Store};

use crate::postgres;

/// Empty books of one engine, gone with this value.
struct Place {
    store: Store,
    url: String,
    _folder: Option<tempfile::TempDir>,
    _database: Option<postgres::Database>,
}

async fn sqlite() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("books.db").display());
    let store = Store::open(&url, OpenMode::Migrate).await.unwrap();
    Place { store, url, _folder: Some(folder), _database: None }
}

async fn postgresql() -> Place {
    let database = postgres::database().await;
    let store = Store::open(&database.url, OpenMode::Migrate).await.unwrap();
    let url = database.url.clone();
    Place { store, url, _folder: None, _database: Some(database) }
}

/// Makes each named `async fn(Place)` a test on both engines.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::store::sqlite().await).await })+
        }
        mod on_postgresql {
            $(
                #[tokio::test]
                async fn $name() { super::$name(crate::store::postgresql().await).await }
            )+
        }
    };
}
use on_both;

/// The one value of a query, asked past the store.
async fn one<T>(url: &str, query: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
{
    use sqlx::Connection;
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
    let found = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    found
}

/// Runs a statement past the store.
async fn run(url: &str, statement: &str) -> Result<u64, sqlx::Error> {
    use sqlx::Connection;
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(url).await?;
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
    connection.close().await?;
    Ok(done?.rows_affected())
}
