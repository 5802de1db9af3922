//! Decisions on a disk: kept whole, taken once, however many ask at the same time.

use std::sync::Arc;

use bursar::Error;
use bursar::books::Books;
use bursar::clock::Clock;
use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{Case, CaseKind, RefundState, Resolution};
use payments::chain::Transfer;
use payments::changes::RefundFact;
use payments::deposit::State;
use payments::lookup::{Mined, Transaction};
use payments::outflow::{Explanation, OutflowState};
use payments::time::Time;
use payments::{Update, plan};
use store::{CaseFilter, OutflowFilter, Store};

use super::shop::{
    address, chain, header, id, opened, order, planned, record, rules, scan, transfer,
};
use super::{Place, on_both};

on_both!(
    a_thousand_at_once_decide_once,
    a_thousand_at_once_make_one_order,
    a_thousand_at_once_decide_what_nobody_owns_once,
    a_refund_is_followed_to_its_end,
    a_refund_from_a_deposit_address_needs_nobody,
    a_refund_recorded_late_ends_its_case,
    one_from_an_address_of_nobody_s_too,
    a_proposal_is_kept_and_taken_back,
    a_proposal_about_what_nobody_owns_is_remembered_once,
    a_reassigned_deposit_is_found_by_its_transaction,
);

/// Order A paid twice; the case of the second payment.
async fn paid_twice(store: &Store) -> Case {
    opened(store).await;
    record(store, &scan(3..=4, 0, &[(3, 4, address("A"), "100")], Some(4))).await.unwrap();
    let cases = store.cases(true, 0, 10).await.unwrap().into_iter().map(|(_, case)| case);
    cases.into_iter().find(|case| case.order == Some(id("A"))).unwrap()
}

fn resolve(case: &Case, resolution: Resolution, by: &str) -> Update {
    let (by, why) = (by.to_owned(), "so".to_owned());
    Update::Resolve { case: case.id.clone(), resolution, by, why }
}

fn refund() -> Resolution {
    Resolution::Refund { to: Address([0xbb; 20]), fee: Usdt::parse("0.80").unwrap() }
}

/// A thousand tasks record the same; how many of them changed something.
async fn a_thousand(store: &Store, update: &Update) -> usize {
    let clock = Clock::at(Time(1_000_000));
    let books = Books { store: store.clone(), rules: Arc::new(rules()), clock };
    let tasks = (0..1000).map(|_| {
        let (books, update) = (books.clone(), update.clone());
        tokio::spawn(async move {
            loop {
                match books.record(&update).await {
                    Ok(changes) => return changes,
                    // Who waited too long for a connection asks again, as a shop does.
                    Err(Error::Store(store::Error::Unavailable(_))) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    let mut changed = 0;
    for task in tasks.collect::<Vec<_>>() {
        changed += usize::from(!task.await.unwrap().is_empty());
    }
    changed
}

async fn a_thousand_at_once_decide_once(place: Place) {
    let store = &place.store;
    let case = paid_twice(store).await;
    let (journals, events) =
        (store.journals(0, 1000).await.unwrap().len(), store.last_event().await.unwrap());
    assert_eq!(a_thousand(store, &resolve(&case, Resolution::Credit, "ann")).await, 1);
    assert_eq!(store.journals(0, 1000).await.unwrap().len(), journals + 1);
    assert_eq!(store.last_event().await.unwrap(), events + 2);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_thousand_at_once_make_one_order(place: Place) {
    let store = &place.store;
    assert_eq!(a_thousand(store, &Update::Create(order("A"))).await, 1);
    assert_eq!(store.last_event().await.unwrap(), 1);
}

async fn a_thousand_at_once_decide_what_nobody_owns_once(place: Place) {
    let store = &place.store;
    opened(store).await;
    let cases = store.cases(true, 0, 10).await.unwrap();
    let (_, case) = cases.into_iter().find(|(_, case)| case.order.is_none()).unwrap();
    let journals = store.journals(0, 1000).await.unwrap().len();
    assert_eq!(a_thousand(store, &resolve(&case, Resolution::Dismiss, "ann")).await, 1);
    assert_eq!(store.journals(0, 1000).await.unwrap().len(), journals + 1);
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_refund_is_followed_to_its_end(place: Place) {
    let store = &place.store;
    let case = paid_twice(store).await;
    for by in ["ann", "bob"] {
        record(store, &resolve(&case, refund(), by)).await.unwrap();
    }
    let of = |state| CaseFilter { refund: Some(state), ..CaseFilter::default() };
    let requested = store.cases_of(&of(RefundState::Requested), 0, 10).await.unwrap();
    assert_eq!(requested.len(), 1);
    let head = header(4, 0);
    let pays = transfer(&head, 9, Address([0xbb; 20]), "99.20");
    let (block, time, tx) = (head.id, head.time, pays.tx);
    let fact = |fact| Update::Refund { case: case.id.clone(), by: "ann".to_owned(), fact };
    record(store, &fact(RefundFact::Sent(tx))).await.unwrap();
    let (_, sent) = store.cases_of(&of(RefundState::Sent), 0, 10).await.unwrap().remove(0);
    assert_eq!(sent.refund().unwrap().tx, Some(tx));
    let transfers: Vec<Transfer> = vec![pays];
    let mined = Mined { succeeded: true, block, time, transfers, others: Vec::new() };
    let seen = fact(RefundFact::Seen(tx, Transaction::Mined(mined)));
    // Planned by two at once, written by one.
    let (one, other) = (planned(store, &seen).await, planned(store, &seen).await);
    store.commit(&one).await.unwrap();
    store.commit(&other).await.unwrap_err();
    let dossier = store.order(&id("A")).await.unwrap().unwrap();
    assert_eq!(dossier.deposits[1].state, State::Refunded);
    assert_eq!(dossier.cases[0].refund().unwrap().state, RefundState::Verified);
    assert_eq!(dossier.cases[0].steps.len(), 3);
    assert_eq!(store.verify().await.unwrap(), []);
}

/// It is sent from where the money arrived, before and after it is recorded as sent.
async fn a_refund_from_a_deposit_address_needs_nobody(place: Place) {
    let store = &place.store;
    let case = paid_twice(store).await;
    for by in ["ann", "bob"] {
        record(store, &resolve(&case, refund(), by)).await.unwrap();
    }
    let paying = |height| {
        let pays = transfer(&header(height, 0), 9, Address([0xbb; 20]), "99.20");
        let change = Transfer { n: 1, to: Address([0xcd; 20]), ..pays.clone() };
        [pays, change].map(|transfer| Transfer { from: address("A"), ..transfer })
    };
    let Update::Scan(mut mined) = scan(5..=5, 0, &[], None) else { unreachable!() };
    mined.transfers = paying(5).to_vec();
    let tx = mined.transfers[0].tx;
    record(store, &Update::Scan(mined)).await.unwrap();
    let fact =
        Update::Refund { case: case.id.clone(), by: "ann".to_owned(), fact: RefundFact::Sent(tx) };
    record(store, &fact).await.unwrap();
    record(store, &scan(6..=6, 0, &[], Some(6))).await.unwrap();
    let left = store.outflows(&OutflowFilter::default(), 0, 10).await.unwrap();
    let left: Vec<_> = left.iter().map(|(_, o)| (o.id.n, o.state, o.explained)).collect();
    let refunded = (0, OutflowState::Booked, Some(Explanation::Refund));
    assert_eq!(left[0], refunded, "{left:?}");
    // What else left by that transaction is not explained by it.
    assert_eq!((left[1].2, left.len()), (None, 2));
    let open = store.cases(true, 0, 10).await.unwrap();
    let asked = open.iter().filter(|(_, case)| case.kind == CaseKind::UnexplainedOutflow);
    assert_eq!(asked.count(), 1);
    assert_eq!(store.verify().await.unwrap(), []);
}

/// The same, recorded as sent when it is booked and somebody is asked about it already.
async fn a_refund_recorded_late_ends_its_case(place: Place) {
    sent_late(&place.store, "A").await;
}

async fn one_from_an_address_of_nobody_s_too(place: Place) {
    place.store.import(&[address("pool")]).await.unwrap();
    sent_late(&place.store, "pool").await;
}

/// A refund is paid from that address, and recorded as sent when that was judged.
async fn sent_late(store: &Store, from: &str) {
    let case = paid_twice(store).await;
    for by in ["ann", "bob"] {
        record(store, &resolve(&case, refund(), by)).await.unwrap();
    }
    let Update::Scan(mut mined) = scan(5..=5, 0, &[], None) else { unreachable!() };
    let pays = transfer(&header(5, 0), 9, Address([0xbb; 20]), "99.20");
    let tx = pays.tx;
    let came = transfer(&header(5, 0), 8, address(from), "99.20");
    mined.transfers = vec![came, Transfer { from: address(from), ..pays }];
    record(store, &Update::Scan(mined)).await.unwrap();
    record(store, &scan(6..=6, 0, &[], Some(6))).await.unwrap();
    let explained = async || {
        let left = store.outflows(&OutflowFilter::default(), 0, 10).await.unwrap();
        let [(_, left)] = left.as_slice() else { panic!("{left:?}") };
        assert_eq!(left.state, OutflowState::Booked);
        left.explained
    };
    assert_eq!(explained().await, None);
    let asked = async || {
        let open = store.cases(true, 0, 10).await.unwrap().into_iter();
        let mut asked = open.filter(|(_, case)| case.kind == CaseKind::UnexplainedOutflow);
        asked.next().map(|(_, case)| case.id)
    };
    let about = asked().await.expect("somebody is asked");
    let by = "ann".to_owned();
    let fact = Update::Refund { case: case.id.clone(), by, fact: RefundFact::Sent(tx) };
    record(store, &fact).await.unwrap();
    assert_eq!(explained().await, Some(Explanation::Refund));
    assert_eq!(asked().await, None);
    let ended = store.case(&about).await.unwrap().unwrap().1.decision.unwrap();
    assert!(ended.why.contains("recorded afterwards"), "{ended:?}");
    assert_eq!(store.verify().await.unwrap(), []);
}

async fn a_proposal_is_kept_and_taken_back(place: Place) {
    let store = &place.store;
    let case = paid_twice(store).await;
    record(store, &resolve(&case, refund(), "ann")).await.unwrap();
    let known = store.case(&case.id).await.unwrap().unwrap().1;
    let (proposed, step) = known.proposal().unwrap();
    assert_eq!((proposed, step.by.as_str()), (&refund(), "ann"));
    let (by, why) = ("bob".to_owned(), String::new());
    let withdraw = Update::Withdraw { case: case.id.clone(), by, why };
    record(store, &withdraw).await.unwrap();
    let known = store.case(&case.id).await.unwrap().unwrap().1;
    assert_eq!((known.proposal(), known.steps.len()), (None, 2));
}

async fn a_proposal_about_what_nobody_owns_is_remembered_once(place: Place) {
    let store = &place.store;
    opened(store).await;
    let left = transfer(&header(3, 0), 9, Address([0xcd; 20]), "5");
    let left = Transfer { from: address("pool"), ..left };
    let Update::Scan(mut mined) = scan(3..=3, 0, &[], Some(3)) else { unreachable!() };
    mined.transfers = vec![left.clone()];
    record(store, &Update::Scan(mined)).await.unwrap();
    let asked = store.cases(true, 0, 10).await.unwrap().into_iter();
    let mut asked = asked.filter(|(_, case)| case.kind == CaseKind::UnexplainedOutflow);
    let (_, case) = asked.next().unwrap();
    let mut strict = rules();
    strict.get_mut(&chain()).unwrap().bounds.two_person_above = Some(Usdt::ZERO);
    let update = resolve(&case, Resolution::Dismiss, "ann");
    let snapshot = store.snapshot(&update).await.unwrap();
    store.commit(&plan(&strict, &snapshot, &update, Time(1_000_000)).unwrap()).await.unwrap();
    let known = store.case(&case.id).await.unwrap().unwrap().1;
    assert_eq!((known.order.as_ref(), known.steps.len()), (None, 1));
    let transfers = vec![left];
    let again = Update::Rescan { chain: chain(), transfers, notices: Vec::new() };
    assert_eq!(store.snapshot(&again).await.unwrap().outflow_cases, [known]);
}

async fn a_reassigned_deposit_is_found_by_its_transaction(place: Place) {
    let store = &place.store;
    let case = paid_twice(store).await;
    record(store, &resolve(&case, Resolution::Reassign(id("B")), "ann")).await.unwrap();
    let found = store.deposits_of_tx(&case.deposits[0].tx).await.unwrap();
    let found: Vec<_> = found.iter().map(|d| (d.order.clone().unwrap(), d.state)).collect();
    assert_eq!(found, [(id("A"), State::Reassigned), (id("B"), State::Credited)]);
    assert_eq!(store.verify().await.unwrap(), []);
}
