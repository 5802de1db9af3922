//! Which orders expire, and that those are found which would not.

use payments::Update;
use payments::event::EventKind;

use super::shop::{address, opened, order, record, scan};
use super::verify::names;
use super::{Place, on_both, run};

on_both!(what_became_of_an_order_decides_whether_it_expires);

/// The orders that were told to have expired.
async fn expired(place: &Place) -> Vec<String> {
    let events = place.store.events(0, u32::MAX).await.unwrap();
    let expired = events.iter().filter(|event| event.kind == EventKind::OrderExpired);
    let mut orders = Vec::from_iter(expired.map(|event| event.order.clone().unwrap().to_string()));
    orders.sort();
    orders
}

/// Past the store: a reorg that takes a payment back is long in the making.
async fn becomes(place: &Place, order: &str, fact: &str) {
    let change = format!("UPDATE orders SET version = version + 1, {fact} WHERE id = '{order}'");
    run(&place.url, &change).await.unwrap();
}

async fn what_became_of_an_order_decides_whether_it_expires(place: Place) {
    opened(&place.store).await;
    for name in ["C", "D", "E"] {
        record(&place.store, &Update::Create(order(name))).await.unwrap();
    }
    let without = payments::order::Order { expires_at: None, ..order("F") };
    record(&place.store, &Update::Create(without)).await.unwrap();
    becomes(&place, "C", "paid = 24000").await;
    becomes(&place, "C", "paid = NULL").await;
    becomes(&place, "D", "cancelled = 24000").await;
    let pays = [(3, 4, address("E"), "1")];
    record(&place.store, &scan(3..=50, 0, &pays, Some(50))).await.unwrap();
    assert_eq!(expired(&place).await, Vec::<String>::new(), "ten minutes are not over");
    record(&place.store, &scan(51..=60, 0, &[], Some(60))).await.unwrap();
    // A was paid.
    assert_eq!(expired(&place).await, ["B", "C", "E"]);
    record(&place.store, &scan(61..=62, 0, &[], Some(62))).await.unwrap();
    assert_eq!(expired(&place).await, ["B", "C", "E"]);
    assert!(!names(&place).await.contains(&"expiry_differs"));
}

/// On SQLite an index says which orders may expire, and the engine keeps that.
#[tokio::test]
async fn an_order_that_would_not_expire_is_found() {
    let place = super::postgresql().await;
    opened(&place.store).await;
    assert_eq!(place.store.verify().await.unwrap(), []);
    for (change, back, order) in [
        ("DELETE FROM expiries", "INSERT INTO expiries VALUES ('ethereum', 600000, 2)", "B"),
        (
            "INSERT INTO expiries VALUES ('ethereum', 600000, 1)",
            "DELETE FROM expiries WHERE number = 1",
            "order number 1",
        ),
    ] {
        for (written, found) in [(change, vec![("expiry_differs", order)]), (back, vec![])] {
            let written = format!(
                "ALTER TABLE expiries DISABLE TRIGGER expiries_kept; {written}; \
                ALTER TABLE expiries ENABLE TRIGGER expiries_kept"
            );
            run(&place.url, &written).await.unwrap();
            let findings = place.store.verify().await.unwrap();
            let named = findings.iter().map(|finding| (finding.name, finding.detail.as_str()));
            assert_eq!(Vec::from_iter(named), found, "{written}");
        }
    }
}

/// PostgreSQL writes every index of a row again where one of them knows a column that changed.
#[tokio::test]
async fn what_becomes_of_an_order_is_in_no_index() {
    let place = super::postgresql().await;
    let index = "DO $$ BEGIN IF (SELECT count(*) FROM pg_indexes WHERE tablename = 'orders') < 3 \
        OR EXISTS (SELECT 1 FROM pg_indexes WHERE tablename = 'orders' \
            AND indexdef ~ '(version|paid|expired|cancelled)') \
        THEN RAISE EXCEPTION 'an index knows it'; END IF; END $$";
    run(&place.url, index).await.unwrap();
}
