//! `bursar reconcile verify`: whoever lays hands on the books is found, by the right code.

use payments::merkle::TreeHead;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};
use store::Engine;

use super::Place;

/// What the owner of the database can do, and the codes that must be among those that are found.
struct Deed {
    name: &'static str,
    /// Tables and triggers that stand in the way, on SQLite and on PostgreSQL.
    triggers: &'static [(&'static str, &'static str)],
    statements: &'static [&'static str],
    codes: &'static [&'static str],
}

/// A statement with the orders that no person decided about, where deposits are to be changed.
macro_rules! undecided {
    ($before:literal, $column:literal, $after:literal) => {
        concat!(
            $before,
            $column,
            " NOT IN (SELECT order_id FROM cases WHERE resolution <> 'itself' \
             AND kind <> 'unexplained_outflow' AND order_id IS NOT NULL UNION \
             SELECT order_id FROM journals WHERE key LIKE 'resolve:%' AND order_id IS NOT NULL)",
            $after
        )
    };
}

const DEEDS: &[Deed] = &[
    Deed {
        name: "a journal is taken out",
        triggers: &[("journals", "journals_stay")],
        statements: &["DELETE FROM journals WHERE seq = 3"],
        codes: &["I902", "I903"],
    },
    Deed {
        name: "a journal is taken out with its entries",
        triggers: &[("journals", "journals_stay"), ("entries", "entries_stay")],
        statements: &[
            "DELETE FROM entries WHERE journal = 3",
            "DELETE FROM journals WHERE seq = 3",
        ],
        codes: &["I902", "I903"],
    },
    Deed {
        name: "an entry is altered",
        triggers: &[("entries", "entries_keep")],
        statements: &["UPDATE entries SET amount = amount + 1 WHERE journal = 2 AND line = 0"],
        codes: &["I902", "I903"],
    },
    Deed {
        name: "a journal is dated back, which no sum shows",
        triggers: &[("journals", "journals_keep")],
        statements: &["UPDATE journals SET effective = effective - 1 WHERE seq = \
            (SELECT min(seq) FROM journals WHERE order_id IS NOT NULL)"],
        codes: &["I902", "I903"],
    },
    Deed {
        name: "the tail of journals, events and log is cut off",
        triggers: &[
            ("journals", "journals_stay"),
            ("entries", "entries_stay"),
            ("events", "events_stay"),
            ("tree_heads", "tree_heads_stay"),
        ],
        statements: &[
            "DELETE FROM entries WHERE journal > 10",
            "DELETE FROM journals WHERE seq > 10",
            "DELETE FROM events WHERE seq > 30",
            "DELETE FROM tree_heads WHERE size > 10",
        ],
        codes: &["I902", "I903", "I905"],
    },
    Deed {
        name: "an event that the rules make again is taken out",
        triggers: &[("events", "events_stay")],
        statements: &["DELETE FROM events WHERE seq = (SELECT min(seq) FROM events \
            WHERE kind = 'order.paid')"],
        codes: &["I905"],
    },
    Deed {
        name: "an event that says what an order was made with is taken out",
        triggers: &[("events", "events_stay")],
        statements: &["DELETE FROM events WHERE seq = (SELECT min(seq) FROM events \
            WHERE kind = 'order.created')"],
        codes: &["I902", "I905"],
    },
    Deed {
        name: "an event that is a fact is taken out",
        triggers: &[("events", "events_stay")],
        statements: &["DELETE FROM events WHERE seq = (SELECT min(seq) FROM events \
            WHERE kind = 'deposit.detected' AND order_id IS NULL)"],
        codes: &["I902", "I905"],
    },
    Deed {
        name: "a head of the log is another",
        triggers: &[("tree_heads", "tree_heads_keep")],
        statements: &["UPDATE tree_heads SET root = '\
            0000000000000000000000000000000000000000000000000000000000000000'"],
        codes: &["I903"],
    },
    Deed {
        name: "a balance is raised",
        triggers: &[("balances", "balances_update"), ("balances", "balances_sealed")],
        statements: &["UPDATE balances SET credits = credits + 1 WHERE account = 'sales'"],
        codes: &["I901", "I902"],
    },
    Deed {
        name: "both sides of a balance are raised, so that totals agree",
        triggers: &[("balances", "balances_update"), ("balances", "balances_sealed")],
        statements: &[
            "UPDATE balances SET debits = debits + 1, credits = credits + 1 WHERE account = 'sales'",
        ],
        codes: &["I902"],
    },
    Deed {
        name: "a case is closed, and nothing was decided",
        triggers: &[],
        statements: &[undecided!(
            "UPDATE cases SET resolution = 'itself', decided_by = 'bursar', why = 'so', \
             decided_at = 1 WHERE seq = (SELECT min(seq) FROM cases WHERE resolution IS NULL \
             AND kind <> 'unexplained_outflow' AND ",
            "order_id",
            ")"
        )],
        codes: &["I902"],
    },
    Deed {
        name: "a deposit is called credited",
        triggers: &[],
        statements: &[undecided!(
            "UPDATE deposits SET state = 'credited', kind = NULL WHERE seq = (SELECT min(seq) \
             FROM deposits WHERE state <> 'credited' AND assigned_by IS NULL AND ",
            "order_id",
            ")"
        )],
        codes: &["I902"],
    },
    Deed {
        name: "an order is called paid",
        triggers: &[],
        statements: &[undecided!(
            "UPDATE orders SET paid = created_at + 1, version = version + 1 WHERE number = \
             (SELECT min(number) FROM orders WHERE paid IS NULL AND ",
            "id",
            ")"
        )],
        codes: &["I902"],
    },
    Deed {
        name: "a trigger is gone",
        triggers: &[("entries", "entries_stay")],
        statements: &[],
        codes: &["I906"],
    },
    Deed {
        name: "an index that keeps keys apart is gone",
        triggers: &[],
        statements: &["DROP INDEX deposits_of_order"],
        codes: &["I906"],
    },
];

async fn run(place: &Place, statement: &str) {
    let mut connection = sqlx::AnyConnection::connect(&place.url).await.expect("a connection");
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
    let done = done.unwrap_or_else(|why| panic!("{statement}: {why}"));
    let changes_rows = ["UPDATE", "DELETE"].iter().any(|word| statement.starts_with(word));
    assert!(!changes_rows || done.rows_affected() > 0, "{statement}: nothing was changed");
    connection.close().await.expect("closed");
}

/// Takes a trigger away, where this engine has one of that name.
async fn disarm(place: &Place, table: &str, trigger: &str) {
    match (place.store.engine(), trigger) {
        (Engine::Sqlite, _) => run(place, &format!("DROP TRIGGER IF EXISTS {trigger}")).await,
        (Engine::Postgres, "balances_update") => {}
        (Engine::Postgres, _) => {
            run(place, &format!("ALTER TABLE {table} DISABLE TRIGGER {trigger}")).await;
        }
    }
}

/// The codes that the real command finds, after it ended as it must.
fn codes(place: &Place, more: &[&str]) -> Vec<String> {
    let said = place.bursar(&[&["--json", "reconcile", "verify"], more].concat());
    let told: Value = serde_json::from_str(&said.out).expect("JSON");
    let findings = told["findings"].as_array().expect("findings");
    let expected = if findings.is_empty() { 0 } else { 4 };
    assert_eq!(said.code, expected, "{}{}", said.out, said.err);
    let code = |finding: &Value| finding["code"].as_str().expect("a code").to_owned();
    let mut codes: Vec<String> = findings.iter().map(code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

async fn deeds_are_found(engine: Engine) {
    for deed in DEEDS {
        let place = Place::played(engine, 4).await;
        assert_eq!(codes(&place, &[]), Vec::<String>::new(), "before: {}", deed.name);
        for (table, trigger) in deed.triggers {
            disarm(&place, table, trigger).await;
        }
        for statement in deed.statements {
            run(&place, statement).await;
        }
        let mut found = codes(&place, &[]);
        // The missing trigger is a trace of its own.
        if !deed.triggers.is_empty() {
            assert!(found.contains(&"I906".to_owned()), "{}: {found:?}", deed.name);
            if !deed.codes.contains(&"I906") {
                found.retain(|code| code != "I906");
            }
        }
        assert_eq!(found, deed.codes, "{}", deed.name);
    }
}

#[tokio::test]
async fn hands_on_the_books_are_found_on_sqlite() {
    deeds_are_found(Engine::Sqlite).await;
}

#[tokio::test]
async fn hands_on_the_books_are_found_on_postgresql() {
    deeds_are_found(Engine::Postgres).await;
}

/// Whoever puts a tamer trigger in the place of one leaves its name as it was.
#[tokio::test]
async fn a_trigger_that_refuses_nothing_is_found() {
    let place = Place::played(Engine::Sqlite, 3).await;
    run(&place, "DROP TRIGGER entries_keep").await;
    let tame = "CREATE TRIGGER entries_keep BEFORE UPDATE ON entries BEGIN SELECT 1; END";
    run(&place, tame).await;
    assert_eq!(codes(&place, &[]), ["I906"]);
    let place = Place::played(Engine::Postgres, 3).await;
    let tame = "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN RETURN NEW; END $$";
    run(&place, tame).await;
    assert_eq!(codes(&place, &[]), ["I906"]);
}

/// What adds up the balances is of the schema too.
#[tokio::test]
async fn a_sum_that_takes_away_is_found() {
    let place = Place::played(Engine::Postgres, 3).await;
    run(
        &place,
        "CREATE FUNCTION public.int8pl(BIGINT, BIGINT) RETURNS BIGINT LANGUAGE sql \
        AS 'SELECT $1 - $2'",
    )
    .await;
    for (adds, found) in [("int8mi", true), ("public.int8pl", true), ("int8pl", false)] {
        let other = format!(
            "CREATE OR REPLACE AGGREGATE total(BIGINT) \
            (SFUNC = {adds}, STYPE = BIGINT, INITCOND = '0')"
        );
        run(&place, &other).await;
        assert_eq!(codes(&place, &[]).contains(&"I906".to_owned()), found, "{adds}");
    }
}

/// A server that forgets what it committed is not opened for anything, but it is told of by its
/// code. Of SQLite every connection of ours asks for the setting itself; there it is a table that
/// takes anything.
#[tokio::test]
async fn lowered_settings_are_found() {
    let place = Place::played(Engine::Postgres, 3).await;
    let (base, _) = place.url.split_once('?').unwrap_or((&place.url, ""));
    let (_, name) = base.rsplit_once('/').expect("a name");
    run(&place, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    assert_eq!(codes(&place, &[]), ["I906"]);
    let place = Place::played(Engine::Sqlite, 3).await;
    run(&place, "CREATE TABLE loose (a)").await;
    assert_eq!(codes(&place, &[]), ["I906"]);
}

/// An older state that is put back whole agrees with itself. The head that came with an event does
/// not agree with it.
#[tokio::test]
async fn a_backup_that_was_put_back_is_found_by_a_kept_head() {
    let place = Place::new(Engine::Sqlite).await;
    place.go_on(5, 0, 100).await;
    let copy = place.folder.path().join("copy.db");
    run(&place, &format!("VACUUM INTO '{}'", copy.display())).await;
    let before = place.store.journals(0, u32::MAX).await.expect("journals").len();
    place.go_on(5, 100, 100).await;
    let events = place.store.events(0, u32::MAX).await.expect("events");
    let kept: Vec<String> =
        events.iter().filter_map(|event| event.head.map(|head| head.to_string())).collect();
    let last = kept.last().expect("a head");
    assert!(place.store.journals(0, u32::MAX).await.expect("journals").len() > before);
    assert_eq!(codes(&place, &["--head", last, "--head", &kept[0]]), Vec::<String>::new());
    place.store.close().await;
    let books = place.folder.path().join("books.db");
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", books.display()));
    }
    std::fs::copy(&copy, &books).expect("put back");
    assert_eq!(codes(&place, &[]), Vec::<String>::new());
    assert_eq!(codes(&place, &["--head", &kept[0]]), Vec::<String>::new());
    assert_eq!(codes(&place, &["--head", last]), ["I903"]);
    let said = place.bursar(&["reconcile", "verify", "--head", "12:abc"]);
    assert_eq!(said.code, 2);
    assert!(said.err.starts_with("bursar: --head: `12:abc` is no head"), "{}", said.err);
}

#[tokio::test]
async fn clean_books_say_what_they_do_not_prove() {
    let place = Place::played(Engine::Sqlite, 7).await;
    let said = place.good(&["reconcile", "verify"]);
    assert!(said.starts_with("The books agree with themselves.\n"), "{said}");
    assert!(said.contains("\nlog       ") && said.contains("Not proved by this:"), "{said}");
    assert!(said.contains("\norders run again      "), "{said}");
    assert!(said.contains("\nunassigned run again  "), "{said}");
}

/// Whoever cuts off the end of everything and makes the rest fit leaves what the billing service
/// has acknowledged.
#[tokio::test]
async fn a_log_that_was_cut_off_is_found_by_what_was_acknowledged() {
    let place = Place::new(Engine::Sqlite).await;
    place.go_on(5, 0, 100).await;
    let copy = place.folder.path().join("copy.db");
    run(&place, &format!("VACUUM INTO '{}'", copy.display())).await;
    place.go_on(5, 100, 100).await;
    let events = place.store.events(0, u32::MAX).await.expect("events");
    let last = events.iter().rev().find_map(|event| Some((event.seq, event.head?)));
    let (through, head) = last.expect("a head");
    let through = through.to_string();
    let ack = ["events", "ack", "--through", &through, "--head", &head.to_string()];
    place.good(&ack);
    assert_eq!(codes(&place, &[]), Vec::<String>::new());
    place.store.close().await;
    let books = place.folder.path().join("books.db");
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", books.display()));
    }
    std::fs::copy(&copy, &books).expect("put back");
    // Put back whole, only the witness itself knows; it does when it next acknowledges.
    assert_eq!(codes(&place, &[]), Vec::<String>::new());
    let said = place.bursar(&ack);
    assert_eq!(said.code, 4, "{}", said.out);
    assert!(said.err.contains("they are not the newest"), "{}", said.err);
    // With the acknowledgement left in place, as by one who deletes rows, the books know it.
    let TreeHead { size, root } = head;
    let left =
        format!("UPDATE acknowledged SET through = {through}, size = {size}, root = '{root}'");
    run(&place, &left).await;
    assert_eq!(codes(&place, &[]), ["I903"]);
}
