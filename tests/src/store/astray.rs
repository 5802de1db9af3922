//! A transaction that pays another order when a reorg mines it again, long after the first was
//! taken back: the first order is read with the scan, whatever lies between.

use payments::address::Address;
use payments::case::CaseKind;
use payments::changes::{Finality, FinalityRule, Rules};
use payments::deposit::State;
use payments::order::Status;
use payments::time::Time;
use payments::{Update, plan};
use store::Store;

use super::shop::{address, chain, id, order, rules, scan};
use super::{Place, on_both};

on_both!(
    one_that_was_pending_waits_for_a_person,
    one_that_was_credited_waits_for_a_person,
    one_that_was_nobodys_stays_so,
);

/// Final with the block it is in.
fn hasty() -> Rules {
    let mut rules = rules();
    for of_chain in rules.values_mut() {
        of_chain.finality =
            vec![FinalityRule { up_to: None, finality: Finality::Confirmations(1) }];
    }
    rules
}

async fn record(store: &Store, rules: &Rules, update: &Update) {
    let snapshot = store.snapshot(update).await.unwrap();
    let changes = plan(rules, &snapshot, update, Time(1_000_000)).unwrap();
    store.commit(&changes).await.unwrap();
}

/// Transaction 1 pays `to` on a branch that ends, and B on the one that stays, above what is final
/// by then.
async fn moved(store: &Store, rules: &Rules, to: Address) {
    store.import(&[address("pool")]).await.unwrap();
    for name in ["A", "B"] {
        record(store, rules, &Update::Create(order(name))).await;
    }
    record(store, rules, &scan(0..=2, 0, &[(2, 1, to, "100")], Some(1))).await;
    record(store, rules, &scan(2..=6, 1, &[], Some(6))).await;
    record(store, rules, &scan(7..=8, 1, &[(7, 1, address("B"), "100")], Some(8))).await;
}

async fn held_for_a(store: &Store) {
    let first = store.order(&id("A")).await.unwrap().unwrap();
    assert_eq!(first.status(), Status::AwaitingPayment);
    let [deposit] = first.deposits.as_slice() else { panic!("{first:?}") };
    assert_eq!(deposit.state, State::Suspended(CaseKind::Unassigned));
    assert_eq!((deposit.to, deposit.block.height), (address("B"), 7));
    let second = store.order(&id("B")).await.unwrap().unwrap();
    assert_eq!((second.status(), second.deposits.len()), (Status::AwaitingPayment, 0));
    assert_eq!(store.cursor(&chain()).await.unwrap().last().unwrap().id.height, 8);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn one_that_was_pending_waits_for_a_person(place: Place) {
    moved(&place.store, &rules(), address("A")).await;
    held_for_a(&place.store).await;
}

async fn one_that_was_credited_waits_for_a_person(place: Place) {
    moved(&place.store, &hasty(), address("A")).await;
    held_for_a(&place.store).await;
}

async fn one_that_was_nobodys_stays_so(place: Place) {
    moved(&place.store, &hasty(), address("pool")).await;
    let second = place.store.order(&id("B")).await.unwrap().unwrap();
    assert_eq!(second.deposits, []);
    let cases = place.store.cases(true, 0, 10).await.unwrap();
    assert_eq!(cases.len(), 1, "{cases:?}");
    assert_eq!(place.store.verify().await.unwrap(), []);
}
