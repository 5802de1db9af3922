//! Orders that people decided about, altered behind the engine's back: the rules run again over
//! their facts, through every decision, name what nobody's rules lead to.
//!
//! In: books with each kind of decision, one statement of an attacker with no trigger in the way.
//! Out: the finding, and none once it is undone. Never: a sum that gives it away.

use payments::Update;
use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{Case, CaseKind, Resolution};
use payments::changes::RefundFact;
use payments::deposit::State;
use payments::lookup::{Mined, Transaction};
use payments::name::OrderId;
use store::{Engine, Store};

use super::shop::{address, header, id, opened, order, record, scan, transfer};
use super::{Place, on_both, one, run};

on_both!(
    what_an_order_was_made_with_is_found,
    what_was_decided_before_is_found,
    what_a_decision_says_is_found,
    what_a_decision_gave_is_found,
    what_became_of_a_refund_is_found,
);

/// Takes away every trigger of these tables.
async fn open_up(place: &Place, tables: &[&str]) {
    for table in tables {
        match place.store.engine() {
            Engine::Sqlite => {
                for name in triggers(&place.url, table).await {
                    run(&place.url, &format!("DROP TRIGGER {name}")).await.unwrap();
                }
            }
            Engine::Postgres => {
                run(&place.url, &format!("ALTER TABLE {table} DISABLE TRIGGER USER"))
                    .await
                    .unwrap();
            }
        }
    }
}

async fn triggers(url: &str, table: &str) -> Vec<String> {
    use sqlx::Connection;
    let query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = $1";
    let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
    let query = sqlx::query_scalar(query).bind(table.to_owned());
    let names = query.fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    names
}

/// What running the rules again finds; what their outcome must be beside is said with its table.
async fn replayed(store: &Store) -> Vec<String> {
    let findings = store.verify().await.unwrap();
    let said = findings.into_iter().filter_map(|finding| match finding.name {
        "replay_differs" | "outflow_differs" => Some(finding.detail),
        "outflow_asked" | "outflow_unasked" => Some(format!("outflow {}", finding.detail)),
        _ => None,
    });
    said.collect()
}

/// A statement and the one that undoes it, and what is found in between.
type Change<'a> = (&'a str, &'a str, &'a str);

/// Each change is found by name, and nothing is once it is undone.
pub(super) async fn each_is_found(place: &Place, changes: &[Change<'_>]) {
    let money = ["orders", "deposits", "outflows", "journals", "entries", "balances"];
    open_up(place, &money).await;
    open_up(place, &["cases", "case_steps", "events"]).await;
    assert_eq!(replayed(&place.store).await, Vec::<String>::new());
    for (alter, undo, found) in changes {
        for statement in alter.split(';') {
            assert_eq!(run(&place.url, statement).await.unwrap(), 1, "{statement}");
        }
        let said = replayed(&place.store).await;
        assert!(said.iter().any(|said| said.contains(found)), "{alter}: {said:?}");
        for statement in undo.split(';') {
            assert_eq!(run(&place.url, statement).await.unwrap(), 1, "{statement}");
        }
        assert_eq!(replayed(&place.store).await, Vec::<String>::new(), "{undo}");
    }
}

pub(super) fn decided(case: &Case, resolution: Resolution, by: &str) -> Update {
    let (by, why) = (by.to_owned(), "so".to_owned());
    Update::Resolve { case: case.id.clone(), resolution, by, why }
}

pub(super) async fn open_case(store: &Store, order: Option<OrderId>, kind: CaseKind) -> Case {
    let cases = store.cases(true, 0, 10).await.unwrap().into_iter().map(|(_, case)| case);
    let fits = |case: &Case| case.order == order && case.kind == kind;
    cases.into_iter().find(fits).unwrap()
}

/// Whose order it is, what is due and where it is paid are told when it is made.
async fn what_an_order_was_made_with_is_found(place: Place) {
    opened(&place.store).await;
    record(&place.store, &Update::Create(order("C"))).await.unwrap();
    let row = place.store.order(&id("C")).await.unwrap().unwrap().order;
    open_up(&place, &["addresses"]).await;
    let (ours, theirs) = (row.address.evm().to_lowercase(), format!("0x{}", "ab".repeat(20)));
    let moved = |from: &str, to: &str| {
        ["orders", "addresses"]
            .map(|table| format!("UPDATE {table} SET address = '{to}' WHERE address = '{from}'"))
            .join(";")
    };
    let due = row.due.unwrap().micro();
    let customer = format!("UPDATE orders SET customer = '{}' WHERE id = 'C'", row.customer);
    let due = format!("UPDATE orders SET due = {due} WHERE id = 'C'");
    let price: String = one(&place.url, "SELECT price FROM orders WHERE id = 'C'").await;
    let price = format!("UPDATE orders SET price = '{price}' WHERE id = 'C'");
    each_is_found(
        &place,
        &[
            (
                "UPDATE orders SET customer = 'mallory' WHERE id = 'C'",
                &customer,
                "order C: customer is not what was told",
            ),
            ("UPDATE orders SET due = 1 WHERE id = 'C'", &due, "order C: amount is not"),
            ("UPDATE orders SET due = NULL WHERE id = 'C'", &due, "order C: amount is not"),
            (
                "UPDATE orders SET price = 'fixed 1' WHERE id = 'C'",
                &price,
                "order C: credits is not",
            ),
            (&moved(&ours, &theirs), &moved(&theirs, &ours), "order C: address is not"),
        ],
    )
    .await;
}

/// Order A is paid twice, and what came second is credited.
async fn credited(store: &Store) {
    opened(store).await;
    record(store, &scan(3..=4, 0, &[(3, 4, address("A"), "100")], Some(4))).await.unwrap();
    let case = open_case(store, Some(id("A")), CaseKind::Duplicate).await;
    record(store, &decided(&case, Resolution::Credit, "ann")).await.unwrap();
}

async fn what_was_decided_before_is_found(place: Place) {
    credited(&place.store).await;
    let deposits = place.store.order(&id("A")).await.unwrap().unwrap().deposits;
    assert_eq!([deposits[0].state, deposits[1].state], [State::Credited, State::Granted]);
    let query = "SELECT x.deposit FROM case_deposits AS x JOIN cases AS c ON c.seq = x.case_seq \
        WHERE c.order_id = 'A'";
    let about: i64 = one(&place.url, query).await;
    let another = format!("UPDATE case_deposits SET deposit = 1 WHERE deposit = {about}");
    let itself = format!("UPDATE case_deposits SET deposit = {about} WHERE deposit = 1");
    let none = format!("DELETE FROM case_deposits WHERE deposit = {about}");
    let again = format!(
        "INSERT INTO case_deposits (case_seq, place, deposit) \
         SELECT seq, 0, {about} FROM cases WHERE order_id = 'A'"
    );
    each_is_found(
        &place,
        &[
            // The rules credited the first deposit before anybody decided about the second.
            (
                "UPDATE deposits SET state = 'confirmed' WHERE seq = 1",
                "UPDATE deposits SET state = 'credited' WHERE seq = 1",
                ": its facts lead to another state",
            ),
            (
                "UPDATE deposits SET late = 1 WHERE seq = 1",
                "UPDATE deposits SET late = 0 WHERE seq = 1",
                ": its facts lead to another state",
            ),
            (
                "UPDATE orders SET paid = paid + 1 WHERE id = 'A'",
                "UPDATE orders SET paid = paid - 1 WHERE id = 'A'",
                "order A: paid, expired or cancelled at another time",
            ),
            (
                "UPDATE orders SET expired = 600000 WHERE id = 'A'",
                "UPDATE orders SET expired = NULL WHERE id = 'A'",
                "order A: paid, expired or cancelled at another time",
            ),
            // Classified otherwise than the rules do.
            (
                "UPDATE cases SET kind = 'late' WHERE order_id = 'A'",
                "UPDATE cases SET kind = 'duplicate' WHERE order_id = 'A'",
                "case duplicate:",
            ),
            (
                "UPDATE cases SET opened_at = opened_at - 1 WHERE order_id = 'A'",
                "UPDATE cases SET opened_at = opened_at + 1 WHERE order_id = 'A'",
                "case duplicate:",
            ),
            // Which deposits a case is about: no trigger keeps it, as the rules change it.
            (&another, &itself, "case duplicate:"),
            (&none, &again, "case duplicate:"),
            // A grant of the rules' own, with its balances raised as well: every sum agrees.
            (
                "UPDATE entries SET amount = amount + 5 WHERE asset = 'CREDIT' AND journal = 2;\
                 UPDATE balances SET debits = debits + 5 WHERE account = 'issued';\
                 UPDATE balances SET credits = credits + 5 WHERE account = 'customer:acme'",
                "UPDATE entries SET amount = amount - 5 WHERE asset = 'CREDIT' AND journal = 2;\
                 UPDATE balances SET debits = debits - 5 WHERE account = 'issued';\
                 UPDATE balances SET credits = credits - 5 WHERE account = 'customer:acme'",
                "journal paid:A: its facts lead to another one",
            ),
            (
                "UPDATE journals SET remainder = 1 WHERE key = 'paid:A'",
                "UPDATE journals SET remainder = 0 WHERE key = 'paid:A'",
                "journal paid:A: its facts lead to another one",
            ),
        ],
    )
    .await;
}

async fn what_a_decision_says_is_found(place: Place) {
    credited(&place.store).await;
    each_is_found(
        &place,
        &[
            (
                "UPDATE deposits SET state = 'dismissed' WHERE state = 'granted'",
                "UPDATE deposits SET state = 'granted' WHERE state = 'dismissed'",
                ": its facts lead to another state",
            ),
            (
                "UPDATE cases SET resolution = 'dismiss' WHERE order_id = 'A'",
                "UPDATE cases SET resolution = 'credit' WHERE order_id = 'A'",
                "case duplicate:",
            ),
            (
                "UPDATE cases SET decided_by = 'bob' WHERE order_id = 'A'",
                "UPDATE cases SET decided_by = 'ann' WHERE order_id = 'A'",
                "case duplicate:",
            ),
            (
                "UPDATE cases SET amount = amount + 1 WHERE order_id = 'A'",
                "UPDATE cases SET amount = amount - 1 WHERE order_id = 'A'",
                "case duplicate:",
            ),
            // What the event says was decided, nobody could: a person's word is held against rules.
            (
                "UPDATE events SET data = replace(data, '\"credit\"', '\"dismiss\"') \
                 WHERE kind = 'case.resolved'",
                "UPDATE events SET data = replace(data, '\"dismiss\"', '\"credit\"') \
                 WHERE kind = 'case.resolved'",
                "deposit ethereum:0x0404",
            ),
            (
                "UPDATE entries SET amount = amount + 7 WHERE asset = 'CREDIT' AND journal = \
                 (SELECT seq FROM journals WHERE key LIKE 'resolve:%')",
                "UPDATE entries SET amount = amount - 7 WHERE asset = 'CREDIT' AND journal = \
                 (SELECT seq FROM journals WHERE key LIKE 'resolve:%')",
                "journal resolve:duplicate:",
            ),
        ],
    )
    .await;
}

/// What came second for A is given to B, which it pays, and what was nobody's to C.
async fn what_a_decision_gave_is_found(place: Place) {
    let store = &place.store;
    opened(store).await;
    record(store, &Update::Create(order("C"))).await.unwrap();
    record(store, &scan(3..=4, 0, &[(3, 4, address("A"), "100")], Some(4))).await.unwrap();
    let second = open_case(store, Some(id("A")), CaseKind::Duplicate).await;
    record(store, &decided(&second, Resolution::Reassign(id("B")), "ann")).await.unwrap();
    let nobodys = open_case(store, None, CaseKind::Unassigned).await;
    record(store, &decided(&nobodys, Resolution::Reassign(id("C")), "ann")).await.unwrap();
    let state = async |name| store.order(&id(name)).await.unwrap().unwrap();
    assert_eq!(state("B").await.deposits[1].state, State::Credited);
    assert_eq!(state("C").await.deposits[0].amount, Usdt::parse("5").unwrap());
    each_is_found(
        &place,
        &[
            (
                "UPDATE deposits SET amount = amount + 1 WHERE order_id = 'B' \
                 AND assigned_by IS NOT NULL",
                "UPDATE deposits SET amount = amount - 1 WHERE order_id = 'B' \
                 AND assigned_by IS NOT NULL",
                "gave 100.00 of it to order B, which differs",
            ),
            (
                "UPDATE deposits SET assigned_by = 'duplicate:none' WHERE order_id = 'B' \
                 AND assigned_by IS NOT NULL",
                "UPDATE deposits SET assigned_by = (SELECT id FROM cases WHERE order_id = 'A') \
                 WHERE order_id = 'B' AND assigned_by IS NOT NULL",
                "order B: no decision about case duplicate:none gave it a deposit",
            ),
            (
                "UPDATE events SET data = replace(data, '\"B\"', '\"C\"') WHERE order_id = 'A' \
                 AND kind = 'case.resolved'",
                "UPDATE events SET data = replace(data, '\"C\"', '\"B\"') WHERE order_id = 'A' \
                 AND kind = 'case.resolved'",
                "order B: no decision about case duplicate:",
            ),
            (
                "UPDATE deposits SET state = 'credited' WHERE order_id = 'C'",
                "UPDATE deposits SET state = 'confirmed' WHERE order_id = 'C'",
                ": its facts lead to another state",
            ),
            (
                "UPDATE deposits SET amount = amount + 1 WHERE order_id = 'C'",
                "UPDATE deposits SET amount = amount - 1 WHERE order_id = 'C'",
                "journal resolve:unassigned:",
            ),
        ],
    )
    .await;
}

/// Two people agree to send it elsewhere; it is sent, and seen.
async fn what_became_of_a_refund_is_found(place: Place) {
    let store = &place.store;
    opened(store).await;
    record(store, &scan(3..=4, 0, &[(3, 4, address("A"), "100")], Some(4))).await.unwrap();
    let case = open_case(store, Some(id("A")), CaseKind::Duplicate).await;
    let to = Address([0xbb; 20]);
    let refund = Resolution::Refund { to, fee: Usdt::parse("0.80").unwrap() };
    for by in ["ann", "bob"] {
        record(store, &decided(&case, refund.clone(), by)).await.unwrap();
    }
    let head = header(4, 0);
    let pays = transfer(&head, 9, to, "99.20");
    let (block, time, tx) = (head.id, head.time, pays.tx);
    let mined = Mined { succeeded: true, block, time, transfers: vec![pays], others: Vec::new() };
    for fact in [RefundFact::Sent(tx), RefundFact::Seen(tx, Transaction::Mined(mined))] {
        let update = Update::Refund { case: case.id.clone(), by: "ann".to_owned(), fact };
        record(store, &update).await.unwrap();
    }
    let paid = store.order(&id("A")).await.unwrap().unwrap();
    assert_eq!(paid.deposits[1].state, State::Refunded);
    each_is_found(
        &place,
        &[
            // The thief's address in the decision alone, then in everything but the proposal.
            (
                "UPDATE cases SET refund_to = replace(refund_to, 'bb', 'dd') WHERE order_id = 'A'",
                "UPDATE cases SET refund_to = replace(refund_to, 'dd', 'bb') WHERE order_id = 'A'",
                "case duplicate:",
            ),
            (
                "UPDATE events SET data = replace(lower(data), 'bb', 'dd') \
                 WHERE kind = 'case.resolved' AND order_id = 'A';\
                 UPDATE cases SET refund_to = replace(refund_to, 'bb', 'dd') WHERE order_id = 'A'",
                "UPDATE events SET data = replace(data, 'dd', 'bb') \
                 WHERE kind = 'case.resolved' AND order_id = 'A';\
                 UPDATE cases SET refund_to = replace(refund_to, 'dd', 'bb') WHERE order_id = 'A'",
                "waits for a second person",
            ),
            // One person alone would have agreed with himself.
            (
                "UPDATE events SET data = replace(data, '\"bob\"', '\"ann\"') \
                 WHERE kind = 'case.resolved' AND order_id = 'A'",
                "UPDATE events SET data = replace(data, '\"ann\"', '\"bob\"') \
                 WHERE kind = 'case.resolved' AND order_id = 'A'",
                "was decided by ann alone",
            ),
            (
                "UPDATE case_steps SET step_by = 'eve' WHERE word = 'proposed'",
                "UPDATE case_steps SET step_by = 'ann' WHERE word = 'proposed'",
                "case duplicate:",
            ),
            (
                "UPDATE deposits SET state = 'refunding' WHERE state = 'refunded'",
                "UPDATE deposits SET state = 'refunded' WHERE state = 'refunding'",
                ": its facts lead to another state",
            ),
            (
                "UPDATE entries SET amount = amount + 7 WHERE debit = 'refunds_payable'",
                "UPDATE entries SET amount = amount - 7 WHERE debit = 'refunds_payable'",
                "journal refund:duplicate:",
            ),
        ],
    )
    .await;
    // Two names that look alike were two persons' once, and what they decided stands.
    for statement in [
        "UPDATE events SET data = replace(data, '\"bob\"', '\"an\u{200b}n\"') \
         WHERE kind = 'case.resolved' AND order_id = 'A'",
        "UPDATE cases SET decided_by = 'an\u{200b}n' WHERE order_id = 'A'",
    ] {
        assert_eq!(run(&place.url, statement).await.unwrap(), 1, "{statement}");
    }
    assert_eq!(replayed(store).await, Vec::<String>::new());
}
