//! What was changed behind the engine's back is seen.

use payments::Update;
use sqlx::{AnyConnection, Connection, Row};
use store::{Engine, Error};

use super::shop::{address, id, opened, order, record, scan};
use super::{Place, on_both, postgresql, run};

on_both!(
    tampering_is_found,
    a_missing_trigger_is_found,
    what_would_change_a_write_is_found,
    a_word_that_no_database_takes_is_kept_without_it,
    a_row_that_does_not_parse_is_named,
    an_unsealed_commit_is_refused,
    a_deposit_to_no_order_is_found,
);

/// A server that has never looked at these tables takes a list of keys for all of their rows, and
/// would read a table from end to end for every list.
#[tokio::test]
async fn new_books_are_not_read_again_for_every_page() {
    let place = postgresql().await;
    let names: Vec<String> = (0..250u8).map(|number| format!("order-{number}")).collect();
    for name in &names {
        record(&place.store, &Update::Create(order(name))).await.unwrap();
    }
    let pays: Vec<_> =
        (0..250u8).zip(&names).map(|(number, name)| (1, number, address(name), "100")).collect();
    record(&place.store, &scan(0..=1, 0, &pays, Some(1))).await.unwrap();
    assert_eq!(place.store.verify().await.unwrap(), []);
    place.store.close().await;
    let mut connection = AnyConnection::connect(&place.url).await.unwrap();
    // What a connection did is counted when it has ended.
    let others = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while sqlx::query(others).fetch_one(&mut connection).await.unwrap().get::<i64, _>(0) > 0 {}
    let read = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'entries'";
    let read = sqlx::query(read).fetch_one(&mut connection).await.unwrap();
    let (whole, found) = (read.get::<i64, _>(0), read.get::<i64, _>(1));
    assert!(whole < 10 && found > 10, "{whole} times from end to end, {found} by an index");
    connection.close().await.unwrap();
}

/// Takes away what stands in the way of one statement, as only the owner of the database can.
async fn force(place: &Place, triggers: &[(&str, &str)], statement: &str) {
    for (table, trigger) in triggers {
        let drop = match place.store.engine() {
            Engine::Sqlite => format!("DROP TRIGGER {trigger}"),
            Engine::Postgres => format!("ALTER TABLE {table} DISABLE TRIGGER {trigger}"),
        };
        run(&place.url, &drop).await.unwrap();
    }
    assert_eq!(run(&place.url, statement).await.unwrap(), 1, "{statement}");
}

/// What is found, by name.
pub(super) async fn names(place: &Place) -> Vec<&'static str> {
    let findings = place.store.verify().await.unwrap();
    let mut names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    names.retain(|name| *name != "trigger_missing");
    names.dedup();
    names
}

async fn tampering_is_found(place: Place) {
    opened(&place.store).await;
    assert_eq!(names(&place).await, Vec::<&str>::new());
    let guard = match place.store.engine() {
        Engine::Sqlite => "balances_update",
        Engine::Postgres => "balances_sealed",
    };
    let raise = "UPDATE balances SET credits = credits + 1 WHERE account = 'sales'";
    force(&place, &[("balances", guard)], raise).await;
    assert_eq!(names(&place).await, ["asset_unbalanced", "balance_differs"]);
    let lower = "UPDATE balances SET credits = credits - 1 WHERE account = 'sales'";
    assert_eq!(run(&place.url, lower).await.unwrap(), 1);
    assert_eq!(names(&place).await, Vec::<&str>::new());
    // Taken from one account for another: every asset is balanced as before.
    for (from, to, found) in [("B", "A", vec!["balance_differs"]), ("A", "B", vec![])] {
        for (order, by) in [(from, "- 1"), (to, "+ 1")] {
            let custody = format!("custody:ethereum:{}", address(order).evm().to_lowercase());
            let shift =
                format!("UPDATE balances SET debits = debits {by} WHERE account = '{custody}'");
            assert_eq!(run(&place.url, &shift).await.unwrap(), 1);
        }
        assert_eq!(names(&place).await, found);
    }
    let more = "UPDATE entries SET amount = amount + 1 WHERE journal = 1 AND line = 0";
    force(&place, &[("entries", "entries_keep")], more).await;
    assert_eq!(names(&place).await, ["balance_differs", "log_broken", "replay_differs"]);
    let gone = "DELETE FROM events WHERE seq = 2";
    force(&place, &[("events", "events_stay")], gone).await;
    let found = ["balance_differs", "event_gap", "log_broken", "replay_differs"];
    assert_eq!(names(&place).await, found);
    let gone = "DELETE FROM journals WHERE seq = 1";
    force(&place, &[("journals", "journals_stay")], gone).await;
    let found = names(&place).await;
    assert!(found.contains(&"journal_gap") && found.contains(&"entry_without_journal"));
    let gone = "DELETE FROM entries WHERE journal = 2 AND line = 0";
    force(&place, &[("entries", "entries_stay")], gone).await;
    assert!(names(&place).await.contains(&"journal_incomplete"));
}

async fn a_missing_trigger_is_found(place: Place) {
    let drop = match place.store.engine() {
        Engine::Sqlite => "DROP TRIGGER entries_stay",
        Engine::Postgres => "ALTER TABLE entries DISABLE TRIGGER entries_stay",
    };
    run(&place.url, drop).await.unwrap();
    let findings = place.store.verify().await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        (findings[0].name, findings[0].detail.as_str()),
        ("trigger_missing", "entries_stay")
    );
}

/// A trigger too many; on PostgreSQL also a rule, and rows that are kept from whoever asks.
async fn what_would_change_a_write_is_found(place: Place) {
    let changes: &[(&str, &str)] = match place.store.engine() {
        Engine::Sqlite => &[(
            "CREATE TRIGGER extra AFTER INSERT ON orders BEGIN SELECT 1; END",
            "trigger extra is not ours",
        )],
        Engine::Postgres => &[
            (
                "CREATE RULE extra AS ON INSERT TO orders DO INSTEAD NOTHING",
                "rule orders.extra is not ours",
            ),
            ("ALTER TABLE cases ENABLE ROW LEVEL SECURITY", "policy cases is not ours"),
        ],
    };
    for (at, (change, found)) in changes.iter().enumerate() {
        run(&place.url, change).await.unwrap();
        let findings = place.store.verify().await.unwrap();
        assert_eq!(findings.len(), at + 1, "{findings:?}");
        let said = |finding: &store::Finding| finding.detail == *found;
        assert!(findings.iter().any(said), "{findings:?}");
    }
}

/// PostgreSQL has no place for a NUL in a text, and a node may answer one.
async fn a_word_that_no_database_takes_is_kept_without_it(place: Place) {
    opened(&place.store).await;
    let why = "it answers x\0y".to_owned();
    let update = Update::Stall { chain: super::shop::chain(), why };
    record(&place.store, &update).await.unwrap();
    let stalled = place.store.cursor(&super::shop::chain()).await.unwrap().stalled;
    assert_eq!(stalled.as_deref(), Some("it answers x\u{fffd}y"));
    assert_eq!(place.store.verify().await.unwrap(), []);
}

async fn a_row_that_does_not_parse_is_named(place: Place) {
    opened(&place.store).await;
    let odd = "UPDATE orders SET price = 'free', version = version + 1 WHERE id = 'A'";
    force(&place, &[("orders", "orders_keep")], odd).await;
    match place.store.order(&id("A")).await {
        Err(Error::Broken { table: "orders", column: "price", row, why }) => {
            assert_eq!(row, "A");
            assert!(why.contains("free"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(place.store.order(&id("B")).await.unwrap().is_some());
}

async fn an_unsealed_commit_is_refused(place: Place) {
    opened(&place.store).await;
    let own = match place.store.engine() {
        // Another program may not have asked for the settings that ours does.
        Engine::Sqlite => "PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = OFF;",
        Engine::Postgres => "",
    };
    let announced = "UPDATE counters SET journals = journals + 1;
        INSERT INTO journals SELECT journals, 'sneaky', NULL, NULL, 1, 1, 0, 1 FROM counters;
        INSERT INTO entries SELECT journals, 0, 'CREDIT', 'issued', 'customer:acme', 5 FROM counters;";
    for writes in [
        // Written and not sealed; sealed and not written; more entries than said; none at all.
        announced.to_string(),
        "UPDATE counters SET events = events + 1; UPDATE counters SET sealed_events = events;"
            .into(),
        format!(
            "{announced} INSERT INTO entries SELECT journals, 1, 'CREDIT', 'issued', \
            'customer:acme', 5 FROM counters; UPDATE counters SET sealed_journals = journals;"
        ),
        "UPDATE counters SET journals = journals + 1; INSERT INTO journals SELECT journals, 'x', \
            NULL, NULL, 1, 1, 0, 1 FROM counters; UPDATE counters SET sealed_journals = journals;"
            .into(),
        // A row of an earlier commit replaced by one of the same number or key.
        "INSERT INTO entries VALUES (1, 7, 'CREDIT', 'issued', 'customer:acme', 5);".into(),
        "INSERT INTO events SELECT 1, kind, at, NULL, NULL, NULL, NULL, '{}' FROM events \
            WHERE seq = 1 ON CONFLICT (seq) DO UPDATE SET data = '{}';"
            .into(),
    ] {
        let text = format!("{own} BEGIN; {writes} COMMIT;");
        assert!(run(&place.url, &text).await.is_err(), "{writes}");
        assert_eq!(place.store.verify().await.unwrap(), [], "{writes}");
    }
    if place.store.engine() == Engine::Sqlite {
        for table in ["journals", "events", "entries"] {
            let text = format!("{own} REPLACE INTO {table} SELECT * FROM {table} LIMIT 1");
            assert!(run(&place.url, &text).await.is_err(), "{text}");
        }
    }
    // Whole, it is within the form; that no commit of ours wrote it, the log tells, and that
    // nothing leads to it.
    let text =
        format!("{own} BEGIN; {announced} UPDATE counters SET sealed_journals = journals; COMMIT;");
    run(&place.url, &text).await.unwrap();
    assert_eq!(names(&place).await, ["log_broken", "journal_astray"]);
    let next = record(&place.store, &Update::Create(order("C"))).await;
    assert!(matches!(next, Err(Error::Broken { column: "log_peaks", .. })), "{next:?}");
}

/// Its money would be in no order, in no balance and before nobody.
async fn a_deposit_to_no_order_is_found(place: Place) {
    opened(&place.store).await;
    let unguarded = match place.store.engine() {
        Engine::Sqlite => "PRAGMA foreign_keys = OFF",
        Engine::Postgres => "ALTER TABLE deposits DISABLE TRIGGER deposits_owned",
    };
    let deposit = "INSERT INTO deposits SELECT seq + 1000, id || 'x', 'nobody', chain, height, \
        block_hash, time, log_index, sender, receiver, raw, amount, state, kind, late, assigned_by \
        FROM deposits WHERE seq = 1";
    run(&place.url, &format!("{unguarded}; {deposit}")).await.unwrap();
    assert!(names(&place).await.contains(&"deposit_without_order"));
}
