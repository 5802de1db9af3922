//! What the seal adds up stays within its bounds, also in books that an older program made.

use payments::Update;
use sqlx::{AnyConnection, Connection};
use store::{Engine, Error, OpenMode, Store};

use super::shop::{address, opened, order, record, scan};
use super::verify::names;
use super::{Place, on_both, run};

on_both!(no_balance_goes_below_zero, older_books_are_sealed_on);

/// What a row of `balances` may not be, whoever writes it: an account of each kind that has a
/// bound, and what would be too much of it.
const BELOW: [(&str, &str); 5] = [
    ("order:A", "debits = credits + 1"),
    ("custody:ethereum:0x00", "credits = debits + 1"),
    ("suspense:unassigned", "debits = credits + 1"),
    ("refunds_payable", "debits = credits + 1"),
    ("dust", "debits = credits + 1"),
];

/// Writes as if it were the seal.
async fn sealing(place: &Place, statement: &str) -> Result<u64, sqlx::Error> {
    let statement = match place.store.engine() {
        Engine::Sqlite => {
            format!(
                "BEGIN; UPDATE counters SET sealing = 1; {statement}; \
                UPDATE counters SET sealing = 0; COMMIT"
            )
        }
        Engine::Postgres => format!(
            "ALTER TABLE balances DISABLE TRIGGER balances_sealed; {statement}; \
            ALTER TABLE balances ENABLE TRIGGER balances_sealed"
        ),
    };
    run(&place.url, &statement).await
}

async fn no_balance_goes_below_zero(place: Place) {
    opened(&place.store).await;
    for (account, below) in BELOW {
        let (debits, credits) = if below.starts_with("debits") { (2, 1) } else { (1, 2) };
        let insert = |debits: u8, credits: u8| {
            format!("INSERT INTO balances VALUES ('{account}', 'USDT.none', {debits}, {credits})")
        };
        let refused = sealing(&place, &insert(debits, credits)).await;
        assert!(refused.is_err(), "{account} begins below zero");
        sealing(&place, &insert(2, 2)).await.unwrap();
        let lower = format!(
            "UPDATE balances SET {below} WHERE account = '{account}' AND asset = 'USDT.none'"
        );
        assert!(sealing(&place, &lower).await.is_err(), "{account} falls below zero");
        let raise = lower.replace(below, "debits = 3, credits = 3");
        sealing(&place, &raise).await.unwrap();
        // Not by the seal, not at all.
        assert!(run(&place.url, &raise).await.is_err(), "{account} is written past the seal");
        assert!(run(&place.url, &insert(9, 9).replace("none", "more")).await.is_err(), "{account}");
    }
}

/// What `text` has from `from` to the first `to`.
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    let end = rest.find(to).unwrap() + to.len();
    &text[text.len() - rest.len() - from.len()..][..from.len() + end]
}

/// Makes the books what they were before the seal was changed.
async fn age(place: &Place) {
    let older = match place.store.engine() {
        Engine::Sqlite => before_seven(),
        Engine::Postgres => before_eight(),
    };
    run(&place.url, &older).await.unwrap();
    run(&place.url, "DELETE FROM migrations WHERE version >= 7").await.unwrap();
}

fn before_seven() -> String {
    let text = include_str!("../../../migrations/sqlite/0001_books.sql");
    let triggers = ["balances_stay", "balances_insert", "balances_update", "counters_seal"];
    let triggers =
        triggers.map(|name| part(text, &format!("CREATE TRIGGER {name} "), "END;").to_owned());
    format!(
        "BEGIN; DROP TRIGGER counters_seal; \
        CREATE TABLE sums AS SELECT * FROM balances; DROP TABLE balances; {} \
        INSERT INTO balances SELECT * FROM sums; DROP TABLE sums; {} COMMIT;",
        part(text, "CREATE TABLE balances (", "WITHOUT ROWID;"),
        triggers.join("\n")
    )
}

fn before_eight() -> String {
    let text = include_str!("../../../migrations/postgres/0001_books.sql");
    let functions = ["journals_announced", "events_announced", "counters_seal"];
    let functions = functions.map(|name| {
        let text = part(text, &format!("CREATE FUNCTION {name}()"), "END $$;");
        text.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    });
    let triggers = ["journals_announced", "events_announced"];
    let triggers =
        triggers.map(|name| part(text, &format!("CREATE TRIGGER {name} "), ";").to_owned());
    format!(
        "BEGIN; DROP TRIGGER orders_expire ON orders; DROP TRIGGER orders_expire_or_not ON orders; \
        DROP TRIGGER deposits_owned ON deposits; DROP TABLE expiries; \
        DROP FUNCTION orders_expire(), expiries_kept(), deposits_owned(); \
        DROP TRIGGER journals_announced ON journals; DROP TRIGGER events_announced ON events; \
        {} {} DROP AGGREGATE total(BIGINT); {} ALTER TABLE orders RESET (fillfactor); \
        ALTER TABLE deposits ADD FOREIGN KEY (order_id) REFERENCES orders (id); COMMIT;",
        functions.join("\n"),
        triggers.join("\n"),
        part(text, "CREATE INDEX orders_to_expire ", ";"),
    )
}

/// What a commit under way wrote is brought up with what was there before, and so is what a program
/// of the schema before the newest left out.
#[tokio::test]
async fn what_is_committed_while_the_books_are_brought_up_is_in_them() {
    let place = super::postgresql().await;
    opened(&place.store).await;
    age(&place).await;
    let mut commit = AnyConnection::connect(&place.url).await.unwrap();
    let paid = "BEGIN; UPDATE counters SET one = one; \
        UPDATE orders SET version = version + 1, paid = 24000 WHERE id = 'B'";
    sqlx::raw_sql(paid).execute(&mut commit).await.unwrap();
    let url = place.url.clone();
    let migrating = tokio::spawn(async move { Store::open(&url, OpenMode::Migrate).await });
    let waits = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut watching = AnyConnection::connect(&place.url).await.unwrap();
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watching).await.unwrap() == 0 {}
    watching.close().await.unwrap();
    sqlx::raw_sql("COMMIT").execute(&mut commit).await.unwrap();
    commit.close().await.unwrap();
    let store = migrating.await.unwrap().unwrap();
    assert!(!names(&place).await.contains(&"expiry_differs"));
    let left_out = "ALTER TABLE expiries DISABLE TRIGGER expiries_kept; \
        INSERT INTO expiries VALUES ('ethereum', 600000, 2); \
        DELETE FROM migrations WHERE version > 8";
    run(&place.url, left_out).await.unwrap();
    assert!(names(&place).await.contains(&"expiry_differs"));
    Store::open(&place.url, OpenMode::Migrate).await.unwrap().close().await;
    assert!(!names(&place).await.contains(&"expiry_differs"));
    store.close().await;
}

async fn older_books_are_sealed_on(place: Place) {
    opened(&place.store).await;
    let before = place.store.balances("", "", 99).await.unwrap();
    age(&place).await;
    // An operator's own.
    run(&place.url, "CREATE VIEW sold AS SELECT credits FROM balances").await.unwrap();
    match Store::open(&place.url, OpenMode::Use).await {
        Err(Error::NeedsMigration { found, .. }) => assert_eq!(found, 6),
        other => panic!("{other:?}"),
    }
    let store = Store::open(&place.url, OpenMode::Migrate).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
    assert_eq!(store.balances("", "", 99).await.unwrap().0, before.0);
    // B was paid 40 of 100 before, so what it is paid now is less than what it gives.
    record(&store, &Update::Create(order("C"))).await.unwrap();
    let pays = [(3, 4, address("B"), "60"), (3, 5, address("C"), "100")];
    record(&store, &scan(3..=3, 0, &pays, Some(3))).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
    let after = store.balances("sales", "", 1).await.unwrap();
    assert_eq!(after.0.values().map(|sides| sides.net().abs()).sum::<i128>(), 300_000_000);
    store.close().await;
}

/// On PostgreSQL the table itself refuses it.
#[tokio::test]
async fn what_is_overdrawn_behind_a_trigger_is_found() {
    let place = super::sqlite().await;
    opened(&place.store).await;
    let text = include_str!("../../../migrations/sqlite/0007_seal.sql");
    let guard = part(text, "CREATE TRIGGER balances_update ", "\nEND;");
    let overdraw = format!(
        "DROP TRIGGER balances_update; \
        UPDATE balances SET debits = debits + 1 WHERE account = 'order:A'; \
        UPDATE balances SET credits = credits + 1 WHERE account = 'sales'; {guard}"
    );
    run(&place.url, &overdraw).await.unwrap();
    let findings = place.store.verify().await.unwrap();
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert!(names.contains(&"balance_below_zero"), "{findings:?}");
    assert!(!names.contains(&"schema_differs"), "{findings:?}");
}
