//! A table of the same name that is looked at first changes nothing of what the books refuse.
//!
//! In: one session that may write, and its temporary tables. Out: what it would be told without.
//! Why PostgreSQL alone: a trigger of SQLite knows the tables of its own file and no other.

use super::shop::opened;
use super::verify::names;
use super::{postgresql, run};

const PAST: [&str; 3] = [
    "CREATE TEMP TABLE orders AS SELECT 'nobody'::TEXT AS id; \
     INSERT INTO deposits SELECT seq + 1000, id || 'x', 'nobody', chain, height, block_hash, time, \
     log_index, sender, receiver, raw, amount, state, kind, late, assigned_by FROM deposits \
     WHERE seq = 1",
    "CREATE TEMP TABLE counters AS SELECT events + 1000 AS events FROM counters; \
     INSERT INTO events SELECT seq + 1000, kind, at, chain, order_id, deposit, case_id, data \
     FROM events WHERE seq = 1",
    "CREATE TEMP TABLE adoptions AS SELECT name AS chain, generation, 0 AS base_height, \
     'x'::TEXT AS base_hash FROM chains; UPDATE chains SET generation = generation + 1, \
     finalized_height = 0, finalized_hash = 'x'",
];

#[tokio::test]
async fn what_is_refused_is_refused_beside_a_table_of_the_same_name() {
    let place = postgresql().await;
    opened(&place.store).await;
    for past in PAST {
        assert!(run(&place.url, past).await.is_err(), "{past}");
        assert_eq!(place.store.verify().await.unwrap(), [], "{past}");
    }
}

#[tokio::test]
async fn what_follows_from_an_order_follows_beside_a_table_of_the_same_name() {
    let place = postgresql().await;
    opened(&place.store).await;
    let paid = "CREATE TEMP TABLE expiries (LIKE expiries INCLUDING ALL); \
        UPDATE orders SET version = version + 1, paid = 24000 WHERE id = 'B'";
    run(&place.url, paid).await.unwrap();
    assert!(!names(&place).await.contains(&"expiry_differs"));
}
