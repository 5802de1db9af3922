//! What left is found late, below what is in the books already: what the books say was there.
//!
//! In: outflows in blocks that were kept back. Out: the same verdicts as the rules' examples have
//! (`rules/src/holes.rs`), on either engine. Never: a branch that the books cannot go back to.

use payments::Update;
use payments::address::Address;
use payments::adopt::Adoption;
use payments::case::{CaseKind, Resolution};
use payments::chain::{Scan, Transfer};
use payments::ledger::{Account, Asset};
use payments::outflow::OutflowState;
use store::{OutflowFilter, Store};

use super::altered::{decided, open_case};
use super::shop::{address, chain, header, id, order, record, scan, transfer, tx};
use super::{Place, on_both};

on_both!(
    the_books_go_back_to_where_a_later_one_left_nothing,
    a_lost_branch_gives_back_what_left_below_it,
    what_was_reassigned_to_the_owner_of_its_address_came_once,
    what_a_reorg_brought_of_another_order_s_is_later_money_too,
);

const THIEF: Address = Address([0x99; 20]);

/// What left the address of `from`, in a block.
fn leaves(height: u64, number: u8, from: &str, amount: &str) -> Transfer {
    Transfer { from: address(from), ..transfer(&header(height, 0), number, THIEF, amount) }
}

fn found(transfers: Vec<Transfer>) -> Update {
    Update::Rescan { chain: chain(), transfers, notices: Vec::new() }
}

async fn state(store: &Store, number: u8) -> OutflowState {
    let filter = OutflowFilter { tx: Some(tx(number)), ..OutflowFilter::default() };
    store.outflows(&filter, 0, 10).await.unwrap()[0].1.state
}

async fn custody(store: &Store, name: &str) -> i128 {
    let account = Account::Custody(chain(), address(name));
    let balances = store.balances(&account.to_string(), "", 1).await.unwrap();
    let sides = balances.0.get(&(Asset::Usdt(chain()), account)).copied();
    -sides.unwrap_or_default().net()
}

/// 100 came in block 1 and left in block 4; 50 that left in block 3 were kept back, and came never
/// as far as is known. What is above block 4 is `more`.
async fn half_hidden(store: &Store, more: &[(u64, u8, Address, &str)]) {
    record(store, &Update::Create(order("A"))).await.unwrap();
    let pays = [&[(1, 1, address("A"), "100")][..], more].concat();
    let mut update = scan(0..=5, 0, &pays, Some(5));
    if let Update::Scan(Scan { transfers, .. }) = &mut update {
        transfers.push(leaves(4, 4, "A", "100"));
    }
    record(store, &update).await.unwrap();
    assert_eq!(state(store, 4).await, OutflowState::Booked);
    record(store, &found(vec![leaves(3, 3, "A", "50")])).await.unwrap();
    assert_eq!(state(store, 3).await, OutflowState::Waiting);
}

/// The branch above `height` is lost.
async fn lose(store: &Store, height: u64) {
    let pause = Update::Pause { chain: chain(), why: "below what was final".to_owned() };
    record(store, &pause).await.unwrap();
    let (by, why) = ("maria".to_owned(), "two explorers".to_owned());
    let (base, named) = (header(height, 0), header(height + 1, 7).id);
    let adoption = Adoption { chain: chain(), base, named, by, why, refunds: Vec::new() };
    record(store, &Update::Adopt(adoption)).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn the_books_go_back_to_where_a_later_one_left_nothing(place: Place) {
    let store = &place.store;
    half_hidden(store, &[(5, 5, address("A"), "70")]).await;
    assert_eq!(custody(store, "A").await, 70_000_000);
    lose(store, 4).await;
    assert_eq!(custody(store, "A").await, 0);
    let came = transfer(&header(2, 0), 2, address("A"), "50");
    record(store, &found(vec![came])).await.unwrap();
    assert_eq!((state(store, 3).await, custody(store, "A").await), (OutflowState::Booked, 0));
}

async fn a_lost_branch_gives_back_what_left_below_it(place: Place) {
    let store = &place.store;
    half_hidden(store, &[]).await;
    lose(store, 3).await;
    assert_eq!(state(store, 4).await, OutflowState::Orphaned);
    let left = (OutflowState::Booked, 50_000_000);
    assert_eq!((state(store, 3).await, custody(store, "A").await), left);
}

/// The order that has the address by now gets what had come there before.
async fn what_was_reassigned_to_the_owner_of_its_address_came_once(place: Place) {
    let store = &place.store;
    store.import(&[address("A")]).await.unwrap();
    let pays = [(1, 1, address("A"), "7"), (3, 3, address("A"), "5")];
    record(store, &scan(0..=3, 0, &pays, Some(3))).await.unwrap();
    record(store, &Update::Create(order("A"))).await.unwrap();
    let case = open_case(store, None, CaseKind::Unassigned).await;
    record(store, &decided(&case, Resolution::Reassign(id("A")), "ann")).await.unwrap();
    let case = open_case(store, None, CaseKind::Unassigned).await;
    record(store, &decided(&case, Resolution::Reassign(id("A")), "ann")).await.unwrap();
    record(store, &found(vec![leaves(2, 2, "A", "7")])).await.unwrap();
    let left = (OutflowState::Booked, 5_000_000);
    assert_eq!((state(store, 2).await, custody(store, "A").await), left);
}

/// A transaction that had paid A is mined again to B's address, and stays A's.
async fn what_a_reorg_brought_of_another_order_s_is_later_money_too(place: Place) {
    let store = &place.store;
    for name in ["A", "B"] {
        record(store, &Update::Create(order(name))).await.unwrap();
    }
    let pays = [(1, 1, address("B"), "10"), (2, 2, address("A"), "50")];
    record(store, &scan(0..=2, 0, &pays, Some(1))).await.unwrap();
    record(store, &scan(2..=4, 7, &[(4, 2, address("B"), "50")], Some(4))).await.unwrap();
    let found_again = store.order(&id("A")).await.unwrap().unwrap().deposits[0].clone();
    assert_eq!((found_again.to, found_again.block.height), (address("B"), 4));
    let left = Transfer { from: address("B"), ..transfer(&header(3, 7), 3, THIEF, "40") };
    record(store, &found(vec![left])).await.unwrap();
    let left = (OutflowState::Waiting, 60_000_000);
    assert_eq!((state(store, 3).await, custody(store, "B").await), left);
}
