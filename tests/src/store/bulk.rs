//! Orders that the benchmarks put there in bulk.
//!
//! In: `benches/rig.rs`. Out: books in which nothing is wrong, on both engines. Never: a time.
//! Why: a benchmark ends by verifying its books, and nobody runs them all before a commit.

#[path = "../../benches/rig.rs"]
mod rig;

use payments::Update;
use payments::name::OrderId;
use payments::plan::plan;
use payments::time::Time;

use super::{Place, on_both};

on_both!(orders_put_there_in_bulk_are_as_the_books_make_them);

async fn orders_put_there_in_bulk_are_as_the_books_make_them(place: Place) {
    rig::orders(&place.url, 0, 3).await;
    // Made the books' own way, it is no other order.
    let made = Update::Create(rig::order("ethereum", 3));
    let snapshot = place.store.snapshot(&made).await.unwrap();
    let changes = plan(&rig::rules(Vec::new()), &snapshot, &made, Time(1)).unwrap();
    place.store.commit(&changes).await.unwrap();
    assert_eq!(place.store.verify().await.unwrap(), []);
    for n in 0..4 {
        let expected = rig::order("ethereum", n);
        let id = OrderId::new(&rig::order_id(n)).unwrap();
        assert_eq!(place.store.order(&id).await.unwrap().unwrap().order, expected);
    }
}
