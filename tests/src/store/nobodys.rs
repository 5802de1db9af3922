//! What no order owns, altered behind the engine's back: the rules run again over its facts name it
//! as they name what is an order's.
//!
//! In: money that nobody asked for, refunded, given to an order, and of another token; one
//! statement of an attacker with no trigger in the way. Out: the finding, and none once it is
//! undone. Never: a sum that gives it away.

use payments::Update;
use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{CaseKind, Resolution};
use payments::changes::RefundFact;
use payments::deposit::State;
use payments::lookup::{Mined, Transaction};
use store::Store;

use super::altered::{decided, each_is_found, open_case};
use super::shop::{address, header, id, opened, order, record, scan, transfer, tx};
use super::{Place, on_both};

on_both!(
    what_arrived_for_nobody_is_found,
    what_was_decided_about_it_is_found,
    what_was_given_of_it_is_found,
    what_has_no_value_is_found,
);

/// The state of the deposit that this transaction made for nobody.
async fn state(store: &Store, number: u8) -> State {
    let deposits = store.deposits_of_tx(&tx(number)).await.unwrap();
    deposits.into_iter().find(|deposit| deposit.order.is_none()).unwrap().state
}

async fn what_arrived_for_nobody_is_found(place: Place) {
    opened(&place.store).await;
    assert_eq!(state(&place.store, 3).await, State::Suspended(CaseKind::Unassigned));
    let counted = place.store.verify_against(&[]).await.unwrap().replayed;
    assert_eq!((counted.orders, counted.unassigned), (2, 1));
    each_is_found(
        &place,
        &[
            (
                "UPDATE deposits SET amount = amount + 1 WHERE order_id IS NULL",
                "UPDATE deposits SET amount = amount - 1 WHERE order_id IS NULL",
                ": was told of, and is not what was told",
            ),
            (
                "UPDATE deposits SET receiver = replace(receiver, '0a', '0b') \
                 WHERE order_id IS NULL",
                "UPDATE deposits SET receiver = replace(receiver, '0b', '0a') \
                 WHERE order_id IS NULL",
                ": was told of, and is not what was told",
            ),
            (
                "UPDATE deposits SET kind = 'late' WHERE order_id IS NULL",
                "UPDATE deposits SET kind = 'unassigned' WHERE order_id IS NULL",
                ": its facts lead to another state",
            ),
            (
                "UPDATE deposits SET late = 1 WHERE order_id IS NULL",
                "UPDATE deposits SET late = 0 WHERE order_id IS NULL",
                ": its facts lead to another state",
            ),
            // Given to an order that nobody decided about.
            (
                "UPDATE deposits SET order_id = 'B' WHERE order_id IS NULL",
                "UPDATE deposits SET order_id = NULL WHERE order_id = 'B' AND amount = 5000000",
                ": its facts lead to another state",
            ),
            (
                "UPDATE deposits SET assigned_by = 'late:none' WHERE order_id IS NULL",
                "UPDATE deposits SET assigned_by = NULL WHERE order_id IS NULL",
                ": was told of, and is not what was told",
            ),
            // Made up, with nothing else said of it.
            (
                "INSERT INTO deposits SELECT seq + 100, replace(id, ':0x0303', ':0x0909'), \
                 order_id, chain, height, block_hash, time, log_index, sender, receiver, raw, \
                 amount, 'pending', NULL, late, assigned_by FROM deposits WHERE order_id IS NULL",
                "DELETE FROM deposits WHERE order_id IS NULL AND state = 'pending'",
                "deposit ethereum:0x0909",
            ),
            (
                "UPDATE cases SET order_id = 'B' WHERE kind = 'unassigned'",
                "UPDATE cases SET order_id = NULL WHERE kind = 'unassigned'",
                ": its facts open it, and it is not there",
            ),
            (
                "UPDATE cases SET amount = amount + 1 WHERE kind = 'unassigned'",
                "UPDATE cases SET amount = amount - 1 WHERE kind = 'unassigned'",
                "case unassigned:ethereum:0x0303",
            ),
            (
                "UPDATE cases SET opened_at = opened_at - 1 WHERE kind = 'unassigned'",
                "UPDATE cases SET opened_at = opened_at + 1 WHERE kind = 'unassigned'",
                "case unassigned:ethereum:0x0303",
            ),
            // Settled by nobody.
            (
                "UPDATE cases SET resolution = 'dismiss', decided_by = 'eve', why = '', \
                 decided_at = 1 WHERE kind = 'unassigned'",
                "UPDATE cases SET resolution = NULL, decided_by = NULL, why = NULL, \
                 decided_at = NULL WHERE kind = 'unassigned'",
                "case unassigned:ethereum:0x0303",
            ),
            // Taken by dust, and every balance with it.
            (
                "UPDATE entries SET credit = 'dust' WHERE credit = 'suspense:unassigned';\
                 UPDATE balances SET account = 'dust' WHERE account = 'suspense:unassigned'",
                "UPDATE entries SET credit = 'suspense:unassigned' WHERE credit = 'dust';\
                 UPDATE balances SET account = 'suspense:unassigned' WHERE account = 'dust'",
                "journal deposit:ethereum:0x0303",
            ),
            (
                "UPDATE journals SET effective = effective + 1 WHERE order_id IS NULL",
                "UPDATE journals SET effective = effective - 1 WHERE order_id IS NULL",
                "journal deposit:ethereum:0x0303",
            ),
            // What was told of it.
            (
                "UPDATE events SET data = replace(data, '\"5.00\"', '\"6.00\"') \
                 WHERE kind = 'deposit.detected' AND order_id IS NULL",
                "UPDATE events SET data = replace(data, '\"6.00\"', '\"5.00\"') \
                 WHERE kind = 'deposit.detected' AND order_id IS NULL",
                ": was told of, and is not what was told",
            ),
            (
                "UPDATE events SET kind = 'order.paid' \
                 WHERE kind = 'deposit.confirmed' AND order_id IS NULL",
                "UPDATE events SET kind = 'deposit.confirmed' \
                 WHERE kind = 'order.paid' AND order_id IS NULL",
                ": its facts lead to another state",
            ),
        ],
    )
    .await;
}

/// Two people agree to send it back; it is sent, and seen.
async fn what_was_decided_about_it_is_found(place: Place) {
    let store = &place.store;
    opened(store).await;
    record(store, &scan(3..=4, 0, &[], Some(4))).await.unwrap();
    let case = open_case(store, None, CaseKind::Unassigned).await;
    let to = Address([0xbb; 20]);
    let refund = Resolution::Refund { to, fee: Usdt::parse("0.80").unwrap() };
    for by in ["ann", "bob"] {
        record(store, &decided(&case, refund.clone(), by)).await.unwrap();
    }
    let head = header(4, 0);
    let pays = transfer(&head, 9, to, "4.20");
    let (block, time, tx) = (head.id, head.time, pays.tx);
    let mined = Mined { succeeded: true, block, time, transfers: vec![pays], others: Vec::new() };
    for fact in [RefundFact::Sent(tx), RefundFact::Seen(tx, Transaction::Mined(mined))] {
        let update = Update::Refund { case: case.id.clone(), by: "ann".to_owned(), fact };
        record(store, &update).await.unwrap();
    }
    assert_eq!(state(store, 3).await, State::Refunded);
    each_is_found(
        &place,
        &[
            (
                "UPDATE deposits SET state = 'refunding' WHERE state = 'refunded'",
                "UPDATE deposits SET state = 'refunded' WHERE state = 'refunding'",
                ": its facts lead to another state",
            ),
            // The thief's address in the decision alone, then in everything but the proposal.
            (
                "UPDATE cases SET refund_to = replace(refund_to, 'bb', 'dd')",
                "UPDATE cases SET refund_to = replace(refund_to, 'dd', 'bb')",
                "case unassigned:",
            ),
            (
                "UPDATE events SET data = replace(lower(data), 'bb', 'dd') \
                 WHERE kind = 'case.resolved';\
                 UPDATE cases SET refund_to = replace(refund_to, 'bb', 'dd')",
                "UPDATE events SET data = replace(data, 'dd', 'bb') \
                 WHERE kind = 'case.resolved';\
                 UPDATE cases SET refund_to = replace(refund_to, 'dd', 'bb')",
                "waits for a second person",
            ),
            // One person alone would have agreed with himself.
            (
                "UPDATE events SET data = replace(data, '\"bob\"', '\"ann\"') \
                 WHERE kind = 'case.resolved'",
                "UPDATE events SET data = replace(data, '\"ann\"', '\"bob\"') \
                 WHERE kind = 'case.resolved'",
                "was decided by ann alone",
            ),
            (
                "UPDATE case_steps SET step_by = 'eve' WHERE word = 'proposed'",
                "UPDATE case_steps SET step_by = 'ann' WHERE word = 'proposed'",
                "case unassigned:",
            ),
            // More of it kept, less of it sent: the sum is the same.
            (
                "UPDATE entries SET amount = amount - 7 WHERE credit = 'refunds_payable';\
                 UPDATE entries SET amount = amount + 7 WHERE credit = 'fees'",
                "UPDATE entries SET amount = amount + 7 WHERE credit = 'refunds_payable';\
                 UPDATE entries SET amount = amount - 7 WHERE credit = 'fees'",
                "journal resolve:unassigned:",
            ),
            (
                "UPDATE entries SET amount = amount + 7 WHERE debit = 'refunds_payable'",
                "UPDATE entries SET amount = amount - 7 WHERE debit = 'refunds_payable'",
                "journal refund:unassigned:",
            ),
        ],
    )
    .await;
}

/// Ann gives it to order C.
async fn what_was_given_of_it_is_found(place: Place) {
    let store = &place.store;
    opened(store).await;
    record(store, &Update::Create(order("C"))).await.unwrap();
    let case = open_case(store, None, CaseKind::Unassigned).await;
    record(store, &decided(&case, Resolution::Reassign(id("C")), "ann")).await.unwrap();
    assert_eq!(state(store, 3).await, State::Reassigned);
    each_is_found(
        &place,
        &[
            (
                "UPDATE deposits SET state = 'dismissed' WHERE state = 'reassigned'",
                "UPDATE deposits SET state = 'reassigned' WHERE state = 'dismissed'",
                ": its facts lead to another state",
            ),
            (
                "UPDATE cases SET reassigned_to = 'B'",
                "UPDATE cases SET reassigned_to = 'C'",
                "case unassigned:",
            ),
            (
                "UPDATE cases SET decided_by = 'bob'",
                "UPDATE cases SET decided_by = 'ann'",
                "case unassigned:",
            ),
            (
                "UPDATE deposits SET amount = amount + 1 WHERE order_id = 'C'",
                "UPDATE deposits SET amount = amount - 1 WHERE order_id = 'C'",
                "gave 5.00 of it to order C, which differs",
            ),
            // Both sides say another order: it has no such deposit.
            (
                "UPDATE cases SET reassigned_to = 'B';\
                 UPDATE events SET data = replace(data, '\"C\"', '\"B\"') \
                 WHERE kind = 'case.resolved'",
                "UPDATE cases SET reassigned_to = 'C';\
                 UPDATE events SET data = replace(data, '\"B\"', '\"C\"') \
                 WHERE kind = 'case.resolved'",
                "gave 5.00 of it to order B, which differs",
            ),
        ],
    )
    .await;
}

/// 7 of a token that is not the configured one.
async fn what_has_no_value_is_found(place: Place) {
    let store = &place.store;
    opened(store).await;
    let mut update = scan(3..=4, 0, &[(3, 4, address("pool"), "7")], Some(4));
    if let Update::Scan(scan) = &mut update {
        scan.transfers[0].token = Address([0xfa; 20]);
    }
    record(store, &update).await.unwrap();
    assert_eq!(state(store, 4).await, State::Suspended(CaseKind::WrongAsset));
    each_is_found(
        &place,
        &[
            (
                "UPDATE deposits SET raw = '8000000' WHERE kind = 'wrong_asset'",
                "UPDATE deposits SET raw = '7000000' WHERE kind = 'wrong_asset'",
                ": was told of, and is not what was told",
            ),
            (
                "UPDATE deposits SET receiver = replace(receiver, '0a', '0b') \
                 WHERE kind = 'wrong_asset'",
                "UPDATE deposits SET receiver = replace(receiver, '0b', '0a') \
                 WHERE kind = 'wrong_asset'",
                ": was told of, and is not what was told",
            ),
            (
                "UPDATE deposits SET state = 'pending', kind = NULL WHERE kind = 'wrong_asset'",
                "UPDATE deposits SET state = 'suspended', kind = 'wrong_asset' \
                 WHERE state = 'pending'",
                ": its facts lead to another state",
            ),
            (
                "UPDATE cases SET kind = 'unassigned' WHERE kind = 'wrong_asset'",
                "UPDATE cases SET kind = 'wrong_asset' WHERE id LIKE 'wrong_asset:%'",
                "case wrong_asset:ethereum:0x0404",
            ),
            (
                "UPDATE cases SET amount = 5 WHERE kind = 'wrong_asset'",
                "UPDATE cases SET amount = 0 WHERE kind = 'wrong_asset'",
                "case wrong_asset:ethereum:0x0404",
            ),
        ],
    )
    .await;
}
