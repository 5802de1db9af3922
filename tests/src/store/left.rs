//! What left addresses of ours, altered behind the engine's back: its ledger lines, why nobody need
//! ask, and what was told of the cases that ask.
//!
//! In: what left an order's address and one of nobody's, decided about or not; one statement of an
//! attacker with no trigger in the way. Out: the finding, and none once it is undone.
//! Never: a sum that gives it away.

use payments::Update;
use payments::address::Address;
use payments::case::{CaseKind, Resolution};
use store::Store;

use super::altered::{decided, each_is_found, open_case};
use super::shop::{address, id, opened, record, scan};
use super::{Place, on_both};

on_both!(
    what_booked_it_is_found,
    what_asks_about_an_order_s_is_found,
    what_asks_about_nobody_s_is_found,
);

/// 30 of A's and 4 of nobody's left for a thief, final.
async fn stolen(store: &Store) {
    opened(store).await;
    let thief = Address([0x99; 20]);
    let mut update = scan(3..=4, 0, &[(3, 4, thief, "30"), (3, 5, thief, "4")], Some(4));
    if let Update::Scan(scan) = &mut update {
        (scan.transfers[0].from, scan.transfers[1].from) = (address("A"), address("pool"));
    }
    record(store, &update).await.unwrap();
}

async fn what_booked_it_is_found(place: Place) {
    stolen(&place.store).await;
    each_is_found(
        &place,
        &[
            // Said to be lost, where a fee is: every sum agrees.
            (
                "UPDATE entries SET debit = 'lost' WHERE debit = 'treasury:ethereum' \
                 AND amount = 30000000",
                "UPDATE entries SET debit = 'treasury:ethereum' WHERE debit = 'lost'",
                "journal sweep:ethereum:0x0404",
            ),
            (
                "UPDATE outflows SET explained = 'fee' WHERE order_id IS NULL",
                "UPDATE outflows SET explained = NULL WHERE order_id IS NULL",
                "journal sweep:ethereum:0x0505",
            ),
            (
                "UPDATE outflows SET sender = replace(sender, '0a', '0b') WHERE order_id = 'A'",
                "UPDATE outflows SET sender = replace(sender, '0b', '0a') WHERE order_id = 'A'",
                "journal sweep:ethereum:0x0404",
            ),
            (
                "UPDATE outflows SET amount = amount - 1 WHERE order_id IS NULL",
                "UPDATE outflows SET amount = amount + 1 WHERE order_id IS NULL",
                "journal sweep:ethereum:0x0505",
            ),
            (
                "UPDATE outflows SET time = time + 1 WHERE order_id IS NULL",
                "UPDATE outflows SET time = time - 1 WHERE order_id IS NULL",
                "journal sweep:ethereum:0x0505",
            ),
            (
                "UPDATE outflows SET state = 'waiting' WHERE order_id = 'A'",
                "UPDATE outflows SET state = 'booked' WHERE order_id = 'A'",
                "journal sweep:ethereum:0x0404",
            ),
            (
                "UPDATE outflows SET state = 'orphaned' WHERE order_id = 'A'",
                "UPDATE outflows SET state = 'booked' WHERE order_id = 'A'",
                "journal sweep:ethereum:0x0404",
            ),
            (
                "UPDATE outflows SET round = 2 WHERE order_id = 'A'",
                "UPDATE outflows SET round = 1 WHERE order_id = 'A'",
                "journal sweep:ethereum:0x0404",
            ),
            // Said to have gone where the config says: then nobody would have asked.
            (
                "UPDATE outflows SET explained = 'treasury' WHERE order_id IS NULL",
                "UPDATE outflows SET explained = NULL WHERE order_id IS NULL",
                "outflow ethereum:0x0505",
            ),
            // Said to be a refund: then its case would have ended.
            (
                "UPDATE outflows SET explained = 'refund' WHERE order_id = 'A'",
                "UPDATE outflows SET explained = NULL WHERE order_id = 'A'",
                "outflow ethereum:0x0404",
            ),
        ],
    )
    .await;
}

/// Ends a case that nobody decided about, and begins it again.
const ENDED: &str = "resolution = 'dismiss', decided_by = 'eve', why = 'so', decided_at = 1";
const BEGUN: &str = "resolution = NULL, decided_by = NULL, why = NULL, decided_at = NULL";

async fn what_asks_is_found(place: Place, order: &str, whose: &str, tx: &str) {
    stolen(&place.store).await;
    let owner = (order == "A").then(|| id("A"));
    let about = format!("kind = 'unexplained_outflow' AND {whose}");
    let case = format!("case unexplained_outflow:ethereum:0x{tx}");
    let closed = format!("UPDATE cases SET {ENDED} WHERE {about}");
    let opened = format!("UPDATE cases SET {BEGUN} WHERE {about}");
    let told = format!("WHERE kind = 'case.opened' AND deposit IS NULL AND {whose}");
    let untold = format!("UPDATE events SET kind = 'case.proposed' {told}");
    let told = told.replace("case.opened", "case.proposed");
    let told = format!("UPDATE events SET kind = 'case.opened' {told}");
    let early = format!("UPDATE cases SET opened_at = opened_at - 1 WHERE {about}");
    let late = format!("UPDATE cases SET opened_at = opened_at + 1 WHERE {about}");
    let held = format!("UPDATE cases SET amount = 7 WHERE {about}");
    let nothing = format!("UPDATE cases SET amount = 0 WHERE {about}");
    each_is_found(
        &place,
        &[
            (&closed, &opened, &case),
            (&untold, &told, &case),
            (&early, &late, &case),
            (&held, &nothing, &case),
        ],
    )
    .await;
    let asked = open_case(&place.store, owner, CaseKind::UnexplainedOutflow).await;
    record(&place.store, &decided(&asked, Resolution::Dismiss, "ann")).await.unwrap();
    let other = format!("UPDATE cases SET decided_by = 'eve' WHERE {about}");
    let ann = format!("UPDATE cases SET decided_by = 'ann' WHERE {about}");
    let opened = format!("UPDATE cases SET {BEGUN} WHERE {about}");
    let at = asked.opened_at.0;
    let closed = format!(
        "UPDATE cases SET resolution = 'dismiss', decided_by = 'ann', why = 'so', \
         decided_at = {at} WHERE {about}"
    );
    each_is_found(&place, &[(&other, &ann, &case), (&opened, &closed, &case)]).await;
}

async fn what_asks_about_an_order_s_is_found(place: Place) {
    what_asks_is_found(place, "A", "order_id = 'A'", "0404").await;
}

async fn what_asks_about_nobody_s_is_found(place: Place) {
    what_asks_is_found(place, "", "order_id IS NULL", "0505").await;
}
