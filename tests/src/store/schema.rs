//! Which books are opened, and which are not.

use store::{Engine, Error, OpenMode, Store};

use super::{Place, on_both, one, run};

on_both!(
    books_are_opened_again,
    newer_books_are_refused,
    older_books_wait,
    a_changed_migration_is_refused,
    two_may_migrate_at_once,
    settings_that_are_not_safe_are_refused,
);

async fn books_are_opened_again(place: Place) {
    for mode in [OpenMode::Use, OpenMode::Migrate] {
        let again = Store::open(&place.url, mode).await.unwrap();
        assert_eq!(again.verify().await.unwrap(), []);
        again.close().await;
    }
}

async fn newer_books_are_refused(place: Place) {
    run(&place.url, "INSERT INTO migrations VALUES (999, '0999_later', 'x')").await.unwrap();
    for mode in [OpenMode::Use, OpenMode::Migrate] {
        match Store::open(&place.url, mode).await {
            Err(Error::NewerSchema { found, known }) => {
                assert_eq!((found, known), (999, store::newest_schema()));
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn older_books_wait(place: Place) {
    run(&place.url, "DELETE FROM migrations").await.unwrap();
    match Store::open(&place.url, OpenMode::Use).await {
        Err(Error::NeedsMigration { found, known }) => {
            assert_eq!((found, known), (0, store::newest_schema()));
        }
        other => panic!("{other:?}"),
    }
    // What is there is not made again, and nothing of the attempt stays.
    assert!(Store::open(&place.url, OpenMode::Migrate).await.is_err());
    assert!(matches!(
        Store::open(&place.url, OpenMode::Use).await,
        Err(Error::NeedsMigration { found: 0, .. })
    ));
}

async fn a_changed_migration_is_refused(place: Place) {
    run(&place.url, "UPDATE migrations SET checksum = 'x' WHERE version = 1").await.unwrap();
    for mode in [OpenMode::Use, OpenMode::Migrate] {
        assert!(matches!(Store::open(&place.url, mode).await, Err(Error::Checksum(_))));
    }
}

async fn two_may_migrate_at_once(place: Place) {
    // Beside the books there is room for others of the same engine.
    let (url, _database) = match place.store.engine() {
        Engine::Sqlite => (place.url.replace("books.db", "other.db"), None),
        Engine::Postgres => {
            let database = crate::postgres::database().await;
            (database.url.clone(), Some(database))
        }
    };
    let open = || Store::open(&url, OpenMode::Migrate);
    let (one, two, three) = tokio::join!(open(), open(), open());
    for store in [one.unwrap(), two.unwrap(), three.unwrap()] {
        assert_eq!(store.verify().await.unwrap(), []);
        store.close().await;
    }
}

#[tokio::test]
async fn a_missing_file_is_made_by_a_migration_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let url = format!("sqlite:{}", path.display());
    assert!(Store::open(&url, OpenMode::Use).await.is_err());
    assert!(!path.exists());
    Store::open(&url, OpenMode::Migrate).await.unwrap().close().await;
    Store::open(&url, OpenMode::Use).await.unwrap().close().await;
}

/// Pages of 8 KiB make a long way quicker; a file that was made with others keeps them.
#[tokio::test]
async fn new_sqlite_books_have_large_pages() {
    let folder = tempfile::tempdir().unwrap();
    for (name, made_with, expected) in [("new", None, 8_192), ("old", Some(4_096), 4_096)] {
        let url = format!("sqlite:{}?mode=rwc", folder.path().join(name).display());
        sqlx::any::install_default_drivers();
        if let Some(bytes) = made_with {
            let words = format!("PRAGMA page_size = {bytes}; PRAGMA journal_mode = WAL");
            run(&url, &words).await.unwrap();
        }
        let store = Store::open(&url, OpenMode::Migrate).await.unwrap();
        assert_eq!(store.verify().await.unwrap(), []);
        store.close().await;
        let found: i64 = one(&url, "SELECT page_size FROM pragma_page_size").await;
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn no_word_of_a_password() {
    let url = "postgres://bursar:hunter2@127.0.0.1:1/books";
    let error = Store::open(url, OpenMode::Use).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    let error = Store::open("mysql://u:hunter2@h/d", OpenMode::Use).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_forgets_is_refused() {
    let place = super::postgresql().await;
    let forget = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', \
        current_database()); END $$";
    run(&place.url, forget).await.unwrap();
    match Store::open(&place.url, OpenMode::Use).await {
        Err(Error::Setting { name, .. }) => assert_eq!(name, "synchronous_commit"),
        other => panic!("{other:?}"),
    }
}

async fn settings_that_are_not_safe_are_refused(place: Place) {
    let (unsafe_now, setting) = match place.store.engine() {
        Engine::Sqlite => ("CREATE TABLE loose (a)".to_owned(), "tables that are not STRICT"),
        Engine::Postgres => {
            let (base, _) = place.url.split_once('?').unwrap_or((&place.url, ""));
            let (_, name) = base.rsplit_once('/').unwrap();
            (format!("ALTER DATABASE {name} SET synchronous_commit = off"), "synchronous_commit")
        }
    };
    run(&place.url, &unsafe_now).await.unwrap();
    for mode in [OpenMode::Use, OpenMode::Migrate] {
        match Store::open(&place.url, mode).await {
            Err(Error::Setting { name, .. }) => assert_eq!(name, setting),
            other => panic!("{other:?}"),
        }
    }
}
