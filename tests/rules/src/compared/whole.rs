//! What a report says of itself, and what leaves no line: taken back, mined again.
//!
//! In: one alteration of a side. Out: counts, sums, what `--repair` does and why not the rest.

use payments::deposit::State;
use payments::ledger::{Account, Journal};
use payments::name::CustomerId;
use payments::reconcile::Code;
use payments::time::Time;

use super::{Sides, beyond};
use crate::world::says;

#[test]
fn a_report_counts_what_it_says() {
    let report = Sides::new().report();
    let codes = report.codes().into_iter().map(|(code, count)| format!("{} {count}", code.word()));
    assert_eq!(codes.collect::<Vec<_>>(), ["D201 1", "D204 1", "D209 1"]);
    let became = report.dispositions().into_iter();
    let became = became.map(|(became, (count, sum))| format!("{} {count} {sum}", became.word()));
    says(
        &became.collect::<Vec<_>>().join("\n"),
        "credited 3 220000000
        waiting 1 60000000
        case:unassigned 1 5000000
        case:duplicate 1 100000000",
    );
}

#[test]
fn only_what_the_chain_alone_has_is_repaired() {
    let mut sides = Sides::new();
    sides.order("A").deposits.clear();
    let repaired = |sides: &Sides| {
        let report = sides.report();
        let repaired = report.findings.iter().filter(|finding| report.is_repairable(finding));
        repaired.map(|finding| finding.code.word()).collect::<Vec<_>>()
    };
    assert_eq!(repaired(&sides), ["C101"]);
}

#[test]
fn what_looks_repairable_and_is_not_says_why() {
    let alone = Code::ALL.iter().filter_map(|code| Some((code.word(), code.left_alone()?)));
    let alone: Vec<String> = alone.map(|(code, why)| format!("{code}: {why}")).collect();
    says(
        &alone.join("\n"),
        "C106: the time of another block may make it late, or in time: that is a decision about \
        money, and the amount is right in either
        L301: a state and its journal are written in one transaction, so somebody else wrote \
        here; a journal written over that would hide it",
    );
}

/// B has a part of its due since second 20.
#[test]
fn what_waits_for_days_gets_worse() {
    let at = |milliseconds: i64| {
        let mut sides = Sides::new();
        sides.seen("ethereum").time = Time(20_000 + milliseconds);
        let report = sides.report();
        let waits = report.findings.iter().find(|finding| finding.code == Code::Partial);
        waits.unwrap().severity.word()
    };
    let worse = [(24, "low", "medium"), (72, "medium", "high"), (120, "high", "critical")];
    for (hours, before, after) in worse {
        let age = hours * 3_600_000;
        assert_eq!((at(age - 1), at(age)), (before, after), "{hours} hours");
    }
}

#[test]
fn nobody_has_less_than_nothing() {
    let eve = || Account::Customer(CustomerId::new("eve").unwrap());
    // Given and taken back: nothing is left, and that is not too little.
    let even = |s: &mut Sides| {
        let granted = s.journal("A", "paid:");
        granted.entries[1].credit = eve();
        let undone = granted.reversed(Time(9));
        s.order("A").journals.push(undone);
    };
    says(
        &beyond(even),
        "L301 critical 100.00 [ethereum A - - 20] paid:A: order A is paid and the ledger has no \
        paid:A",
    );
    let taken = |s: &mut Sides| {
        let entry = &mut s.journal("A", "paid:").entries[1];
        (entry.credit, entry.debit) = (entry.debit.clone(), eve());
    };
    assert!(beyond(taken).contains("customer:eve: customer eve has -10000.00 credits"));
}

#[test]
fn what_was_taken_back_and_booked_again_is_booked_once() {
    let again = |s: &mut Sides| {
        let first = s.journal("A", "deposit:").clone();
        let undone = first.reversed(Time(9));
        let key = format!("{}#2", first.key);
        s.order("A").journals.extend([undone, Journal { key, ..first }]);
    };
    says(&beyond(again), "");
}

#[test]
fn a_deposit_that_is_not_credited_pays_for_nothing() {
    let told = beyond(|s| {
        s.order("other").deposits[0].state = State::Suspended(payments::case::CaseKind::Late)
    });
    assert!(
        told.contains("journal paid:other:bsc:t1:0: the order is not paid by what it names"),
        "{told}"
    );
}
