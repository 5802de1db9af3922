//! Writes past the store, as somebody with the database's password would try them.
//!
//! In: books with something of everything. Out: a refusal by the database itself, nothing changed.
//! Never: a refusal by our own code. Why: the last line of defence must hold alone.

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe, Row};

use super::{filled, postgresql, sqlite};

/// What must be refused, and a word of why.
const WRITES: &[&str] = &[
    // Nothing of the ledger or the events is changed or taken out.
    "UPDATE entries SET amount = amount + 1",
    "UPDATE entries SET credit = 'sales' WHERE journal = 1",
    "DELETE FROM entries",
    "UPDATE journals SET key = key || 'x'",
    "UPDATE journals SET effective = 0",
    "DELETE FROM journals",
    "UPDATE events SET data = '{}'",
    "DELETE FROM events",
    "DELETE FROM deposits",
    "DELETE FROM orders",
    "DELETE FROM addresses",
    "DELETE FROM cases",
    "DELETE FROM outflows",
    // What left stays what it was, and what is booked stays booked while its block is there.
    "UPDATE outflows SET raw = '1'",
    "UPDATE outflows SET receiver = sender",
    "UPDATE outflows SET sender = '0x0000000000000000000000000000000000000001'",
    "UPDATE outflows SET order_id = NULL WHERE order_id IS NOT NULL",
    "UPDATE outflows SET amount = amount + 1 WHERE state = 'booked'",
    "UPDATE outflows SET state = 'pending', explained = NULL WHERE state = 'booked'",
    "UPDATE outflows SET explained = 'refund' WHERE state = 'booked'",
    "UPDATE outflows SET round = round + 2",
    "UPDATE outflows SET round = round - 1",
    // What an issuer said stays said, while its block is there.
    "DELETE FROM notices",
    "UPDATE notices SET what = 'unpaused' WHERE what = 'paused'",
    "UPDATE notices SET points = 0 WHERE what = 'fee'",
    "UPDATE notices SET raw = '0' WHERE what = 'fee'",
    "UPDATE notices SET block_hash = tx",
    "UPDATE notices SET height = height + 1",
    "UPDATE notices SET tx = block_hash",
    "UPDATE notices SET round = round + 1",
    "UPDATE notices SET round = 5, orphaned = 1",
    // Nothing is added outside a commit: no number was announced for it.
    "INSERT INTO journals SELECT seq + 100000, key || 'x', order_id, deposit, effective, recorded, \
     remainder, lines FROM journals WHERE seq = 1",
    "INSERT INTO journals SELECT seq + 100000, key, order_id, deposit, effective, recorded, \
     remainder, lines FROM journals WHERE seq = 1",
    "INSERT INTO entries SELECT journal, line + 50, asset, debit, credit, amount FROM entries \
     WHERE journal = 1",
    "INSERT INTO events SELECT seq + 100000, kind, at, chain, order_id, deposit, case_id, data \
     FROM events WHERE seq = 1",
    // Nor is a number given out that is taken, or a deposit to nobody's order.
    "INSERT INTO journals SELECT seq, key || 'x', order_id, deposit, effective, recorded, \
     remainder, lines FROM journals WHERE seq = 1",
    "INSERT INTO events SELECT seq, kind, at, chain, order_id, deposit, case_id, data \
     FROM events WHERE seq = 1",
    "INSERT INTO deposits SELECT seq + 100000, id || 'x', 'nobody', chain, height, block_hash, \
     time, log_index, sender, receiver, raw, amount, state, kind, late, assigned_by FROM deposits \
     WHERE seq = 1",
    // Balances are written by the seal alone.
    "UPDATE balances SET credits = credits + 1000000",
    "DELETE FROM balances",
    // Terms are frozen, transferred value does not change, addresses keep their owner.
    "UPDATE orders SET due = 1, version = version + 1",
    "UPDATE orders SET customer = 'mallory', version = version + 1",
    "UPDATE orders SET paid = 1",
    "UPDATE deposits SET amount = amount + 1",
    "UPDATE deposits SET raw = '1'",
    "UPDATE addresses SET order_id = NULL WHERE order_id IS NOT NULL",
    "UPDATE addresses SET address = '0x0000000000000000000000000000000000000001' WHERE seq = 1",
    // A decision stays what it was; what was done about a case is added to and never changed.
    "UPDATE cases SET resolution = NULL, decided_at = NULL, refund = NULL, refund_to = NULL, \
     fee = NULL WHERE resolution IS NOT NULL",
    "UPDATE cases SET resolution = 'dismiss' WHERE resolution = 'credit'",
    "UPDATE cases SET decided_by = 'mallory' WHERE resolution IS NOT NULL",
    "UPDATE cases SET amount = amount + 1 WHERE resolution IS NOT NULL",
    "UPDATE cases SET fee = 0 WHERE fee > 0",
    "UPDATE cases SET refund_to = '0x0000000000000000000000000000000000000bad' \
     WHERE refund IS NOT NULL",
    "UPDATE cases SET refund = 'sent' WHERE refund = 'verified'",
    "UPDATE case_steps SET step_by = 'mallory'",
    "DELETE FROM case_steps",
    "INSERT INTO case_steps SELECT case_seq, place + 100, word, step_by, why, step_at, \
     resolution, refund_to, fee, reassigned_to, tx, paid_by FROM case_steps WHERE word = 'verified'",
    "INSERT INTO case_steps SELECT case_seq, place + 100, 'sent', step_by, why, step_at, \
     NULL, NULL, NULL, NULL, NULL, NULL FROM case_steps",
    "UPDATE deposits SET assigned_by = 'late:x'",
    // Numbers and cursors never go back.
    "UPDATE counters SET journals = 0, sealed_journals = 0",
    "UPDATE counters SET events = events - 1, sealed_events = sealed_events - 1",
    "UPDATE chains SET generation = generation - 1",
    "UPDATE chains SET generation = generation + 2",
    "UPDATE chains SET finalized_height = 0, generation = generation + 1",
    "DELETE FROM chains",
    // What is announced must be written whole and sealed.
    "UPDATE counters SET journals = journals + 1",
    "UPDATE counters SET journals = journals + 1, sealed_journals = sealed_journals + 1",
];

/// Writes of one engine only.
const SQLITE: &[&str] = &[
    // Without recursive triggers a REPLACE would delete unseen; the checks are then found lowered.
    "INSERT OR REPLACE INTO entries SELECT journal, line, asset, debit, credit, amount + 1 \
     FROM entries WHERE journal = 1",
    "INSERT OR REPLACE INTO events SELECT seq, kind, at, chain, order_id, deposit, case_id, '{}' \
     FROM events WHERE seq = 1",
    "UPDATE OR REPLACE journals SET seq = 1 WHERE seq = 2",
];
const POSTGRES: &[&str] = &[
    "TRUNCATE entries",
    "TRUNCATE journals CASCADE",
    "TRUNCATE events",
    // What may expire follows from the orders.
    "TRUNCATE expiries",
    "DELETE FROM expiries",
    "UPDATE expiries SET expires_at = expires_at + 1",
    "INSERT INTO expiries SELECT chain, expires_at, number + 100000 FROM orders \
     WHERE expires_at IS NOT NULL",
];

/// Journals that a commit by somebody else's program might announce, write and seal: an entry for
/// each, and why it is refused.
const ENTRIES: &[(&str, &str)] = &[
    ("'CREDIT', 'issued', 'issued', 5", "both sides the same account"),
    ("'CREDIT', 'issued', 'customer:acme', 0", "nothing moved"),
    ("'CREDIT', 'issued', 'customer:acme', -5", "less than nothing"),
    ("'CREDIT', 'issued', 'sales', 5", "an account of another asset"),
    ("'CREDIT', 'customer:a', 'customer:b', 5", "credits between customers"),
    ("'CREDIT', 'customer:a', 'issued', 5", "a customer debited by no reversal"),
    ("'USDT.ethereum', 'sales', 'customer:acme', 5", "USDT for a customer"),
    ("'USDT.ethereum', 'treasury:bsc', 'sales', 5", "another chain's treasury"),
    (
        "'USDT.ethereum', 'treasury:ethereum', \
         'custody:ethereum:0x00000000000000000000000000000000000000aa', 5",
        "custody of nothing swept",
    ),
    ("'CREDIT', 'issued', 'lost', 5", "credits lost"),
    ("'USDT.ethereum', 'order:NONE', 'sales', 5", "an order overdrawn"),
    ("'USDT.ethereum', 'suspense:late', 'sales', 500000000000000", "suspense overdrawn"),
    ("'EUR', 'sales', 'fees', 5", "an asset that is none"),
];

async fn open(url: &str) -> AnyPool {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new().max_connections(1).connect(url).await.expect("a connection")
}

async fn state(pool: &AnyPool) -> Vec<String> {
    let mut state = Vec::new();
    for table in [
        "counters",
        "journals",
        "entries",
        "balances",
        "events",
        "deposits",
        "outflows",
        "notices",
        "orders",
        "cases",
        "case_steps",
    ] {
        let column = match table {
            "counters" => "journals + events",
            "entries" => "amount + journal",
            "balances" => "debits + credits",
            "orders" => "coalesce(due, 0) + version",
            "deposits" | "outflows" => "amount + seq",
            "cases" => "amount + coalesce(fee, 0) + coalesce(decided_at, 0)",
            "case_steps" => "case_seq + place",
            "notices" => "seq + points + height + round + orphaned",
            _ => "seq",
        };
        let query =
            format!("SELECT CAST(count(*) AS TEXT), CAST(sum({column}) AS TEXT) FROM {table}");
        let row = sqlx::query(AssertSqlSafe(query)).fetch_one(pool).await.expect("a sum");
        state.push(format!(
            "{table} {:?} {:?}",
            row.get::<String, _>(0),
            row.get::<Option<String>, _>(1)
        ));
    }
    state
}

/// Every write is refused, and leaves everything as it was.
async fn attack(url: &str, own: &[&str], settings: &[&str]) {
    let pool = open(url).await;
    for setting in settings {
        sqlx::query(AssertSqlSafe(*setting)).execute(&pool).await.expect("a setting");
    }
    for some in ["cases WHERE refund = 'verified'", "case_steps WHERE word = 'proposed'"] {
        let query = format!("SELECT CAST(count(*) AS TEXT) FROM {some}");
        let row = sqlx::query(AssertSqlSafe(query)).fetch_one(&pool).await.expect("a count");
        assert_ne!(row.get::<String, _>(0), "0", "there are no {some} to attack");
    }
    let before = state(&pool).await;
    for write in WRITES.iter().chain(own) {
        let written = sqlx::query(AssertSqlSafe(*write)).execute(&pool).await;
        assert!(written.is_err(), "{write} was written: {written:?}");
        assert_eq!(state(&pool).await, before, "{write}");
    }
    for (entry, why) in ENTRIES {
        assert!(announce(&pool, "hostile", entry).await.is_err(), "{why} was written");
        assert_eq!(state(&pool).await, before, "{why}");
    }
    // A key that is there already, and the same journal under a new one, which is well formed.
    let taken = sqlx::query("SELECT key FROM journals WHERE seq = 1");
    let taken: String = taken.fetch_one(&pool).await.expect("a key").get(0);
    let good = "'CREDIT', 'issued', 'customer:acme', 5";
    assert!(announce(&pool, &taken, good).await.is_err(), "a key was used twice");
    assert_eq!(state(&pool).await, before);
    announce(&pool, "hostile", good).await.expect("a whole journal is no offence to the form");
    assert_ne!(state(&pool).await, before);
}

/// Announces, writes and seals one journal of one entry.
async fn announce(pool: &AnyPool, key: &str, entry: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    for statement in [
        "UPDATE counters SET journals = journals + 1".to_owned(),
        format!(
            "INSERT INTO journals SELECT journals, '{key}', NULL, NULL, 1, 1, 0, 1 FROM counters"
        ),
        format!("INSERT INTO entries SELECT journals, 0, {entry} FROM counters"),
        "UPDATE counters SET sealed_journals = journals, sealed_events = events".to_owned(),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

#[tokio::test]
async fn sqlite_refuses_by_itself() {
    let place = sqlite().await;
    filled(&place.store).await;
    place.store.close().await;
    let settings = ["PRAGMA foreign_keys = ON", "PRAGMA recursive_triggers = ON"];
    attack(&place.url, SQLITE, &settings).await;
}

#[tokio::test]
async fn postgresql_refuses_by_itself() {
    let place = postgresql().await;
    filled(&place.store).await;
    place.store.close().await;
    attack(&place.url, POSTGRES, &[]).await;
}
