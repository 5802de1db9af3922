//! What the ledger says otherwise than the deposits, and what waits for too long.
//!
//! In: one alteration of a side. Out: the lines it adds and takes away.

use payments::amount::Usdt;
use payments::case::CaseId;
use payments::deposit::State;
use payments::ledger::{Account, Journal};
use payments::order::Price;
use payments::outflow::OutflowState;
use payments::reconcile::{Comparison, Group, Observed, Report, Seen, Unacknowledged, compare};
use payments::time::Time;

use super::{Sides, beyond};
use crate::world::{World, address, chain, pay, raw, says};

#[test]
fn what_the_ledger_has_otherwise_is_said_by_its_journal() {
    type Alter = fn(&mut Sides);
    let examples: [(Alter, &str); 20] = [
        (
            |s| s.order("A").deposits[0].state = State::Pending,
            "- ethereum:t1:0 100.00 at 1: credited
            L302 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is pending \
            and the ledger has it
            ethereum:t1:0 100.00 at 1: discrepant:L302",
        ),
        (
            |s| s.order("A").journals.retain(|journal| !journal.key.starts_with("deposit:")),
            "- ethereum:t1:0 100.00 at 1: credited
            L301 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is credited \
            and the ledger does not have it
            ethereum:t1:0 100.00 at 1: discrepant:L301",
        ),
        (
            |s| {
                let twice = s.journal("A", "deposit:").clone();
                let key = format!("{}#2", twice.key);
                s.order("A").journals.push(Journal { key, ..twice });
            },
            "- ethereum:t1:0 100.00 at 1: credited
            L304 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: the ledger has \
            it 2 times
            ethereum:t1:0 100.00 at 1: discrepant:L304",
        ),
        (
            |s| s.journal("A", "deposit:").entries[0].amount += 1,
            "- ethereum:t1:0 100.00 at 1: credited
            L303 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: the ledger has \
            100.000001, the deposit is 100.00
            ethereum:t1:0 100.00 at 1: discrepant:L303",
        ),
        (
            |s| s.journal("A", "paid:").entries[0].amount -= 1_000_000,
            "L305 critical 10000.00 [ethereum A - - 20] paid:A: paid:A grants 10000 credits, \
            the price makes 9900 of 99.00",
        ),
        (
            |s| s.journal("A", "paid:").entries[1].amount += 1,
            "L305 critical 10000.000001 [ethereum A - - 20] paid:A: paid:A grants 10000.000001 \
            credits, the price makes 10000 of 100.00",
        ),
        (
            |s| s.journal("A", "paid:").remainder = 1,
            "L305 critical 10000.00 [ethereum A - - 20] paid:A: paid:A grants the 10000 credits \
            that the price makes of 100.00, and keeps a remainder of 1, the price leaves 0",
        ),
        (
            |s| {
                let to = Account::Customer(payments::name::CustomerId::new("eve").unwrap());
                s.journal("A", "paid:").entries[1].credit = to;
            },
            "L305 critical 10000.00 [ethereum A - - 20] paid:A: paid:A grants to another \
            customer than the order's",
        ),
        (
            |s| {
                let twice = s.journal("A", "paid:").clone();
                let key = format!("{}#2", twice.key);
                s.order("A").journals.push(Journal { key, ..twice });
            },
            "L304 critical 10000.00 [ethereum A - - 20] paid:A: paid:A was granted 2 times",
        ),
        (
            |s| s.order("A").journals.retain(|journal| !journal.key.starts_with("paid:")),
            "L301 critical 100.00 [ethereum A - - 20] paid:A: order A is paid and the ledger \
            has no paid:A",
        ),
        (
            |s| s.order("other").journals.retain(|journal| !journal.key.starts_with("paid:")),
            "L301 critical 20.00 [bsc other - - 20] paid:other:bsc:t1:0: order other is paid \
            and the ledger has no paid:other:bsc:t1:0",
        ),
        (
            |s| s.order("A").paid = None,
            "L306 critical 10000.00 [ethereum A - - 20] paid:A: journal paid:A: the order is \
            not paid by what it names",
        ),
        (
            |s| s.order("A").order.price = Price::Rate { num: 1, den: 1 },
            "L305 critical 10000.00 [ethereum A - - 20] paid:A: paid:A grants 10000 credits, \
            the price makes 100 of 100.00",
        ),
        (
            |s| s.journal("A", "paid:").key = "paid:B".to_owned(),
            "L301 critical 100.00 [ethereum A - - 20] paid:A: order A is paid and the ledger \
            has no paid:A
            L306 critical 10000.00 [ethereum A - - 20] paid:B: journal paid:B: it is kept with \
            another order",
        ),
        (
            |s| s.journal("A", "paid:").key = "gift:A".to_owned(),
            "L301 critical 100.00 [ethereum A - - 20] paid:A: order A is paid and the ledger \
            has no paid:A
            L306 critical 10000.00 [ethereum A - - 20] gift:A: journal gift:A: nothing in the \
            books causes such a thing",
        ),
        (
            |s| s.journal("A", "paid:").key = "resolve:late:nothing".to_owned(),
            "L306 critical 10000.00 [ethereum A - - 20] resolve:late:nothing: journal \
            resolve:late:nothing: nobody decided what it names",
        ),
        (
            |s| {
                let undone = s.journal("A", "paid:").reversed(Time(9));
                s.order("A").journals.push(undone);
            },
            "L301 critical 100.00 [ethereum A - - 20] paid:A: order A is paid and the ledger \
            has no paid:A",
        ),
        (
            |s| {
                let mut undone = s.journal("A", "paid:").reversed(Time(9));
                undone.entries.pop();
                s.order("A").journals.push(undone);
            },
            "L301 critical 100.00 [ethereum A - - 20] paid:A: order A is paid and the ledger \
            has no paid:A
            L306 critical 10000.00 [- A - - 0] reverse:paid:A: journal reverse:paid:A: it is \
            not the reverse of what it names",
        ),
        (
            |s| {
                let undone = s.journal("A", "paid:").reversed(Time(9));
                let key = "reverse:nothing".to_owned();
                s.order("A").journals.push(Journal { key, ..undone });
            },
            "L306 critical 10000.00 [ethereum A - - 0] reverse:nothing: journal \
            reverse:nothing: what it reverses is not in the books",
        ),
        (
            |s| {
                let moved = s.journal("A", "paid:").clone();
                s.books.unassigned_journals.push(moved);
            },
            "L306 critical 10000.00 [ethereum A - - 20] paid:A: journal paid:A: nothing in the \
            books causes such a thing",
        ),
    ];
    for (number, (alter, wanted)) in examples.into_iter().enumerate() {
        println!("{number}:");
        says(&beyond(alter), wanted);
    }
}

#[test]
fn what_waits_too_long_or_is_held_otherwise_is_said() {
    type Alter = fn(&mut Sides);
    let examples: [(Alter, &str); 11] = [
        (|s| s.seen("ethereum").time = Time(40_000 + 30 * 60_000), ""),
        (
            |s| {
                s.order("A").deposits[0].state = State::Pending;
                s.seen("ethereum").time = Time(20_000 + 30 * 60_000);
            },
            "- ethereum:t1:0 100.00 at 1: credited
            D210 high 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is final for \
            more than 30 minutes, not credited, and no case says why
            L302 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is pending \
            and the ledger has it
            ethereum:t1:0 100.00 at 1: discrepant:L302",
        ),
        (
            |s| {
                s.order("A").deposits[0].state = State::Pending;
                s.seen("ethereum").time = Time(20_000 + 30 * 60_000 - 1);
            },
            "- ethereum:t1:0 100.00 at 1: credited
            L302 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is pending \
            and the ledger has it
            ethereum:t1:0 100.00 at 1: discrepant:L302",
        ),
        (
            |s| {
                s.order("B").expired = Some(Time(1));
                s.seen("ethereum").time = Time(20_000 + 30 * 60_000);
            },
            "- D209 low 60.00 [ethereum B - - 20] B: 60.00 of 100.00 arrived so far
            - ethereum:t1:1 60.00 at 1: waiting
            D210 high 60.00 [ethereum B ethereum:t1:1 - 20] ethereum:t1:1: it is final for \
            more than 30 minutes, not credited, and no case says why
            ethereum:t1:1 60.00 at 1: discrepant:D210",
        ),
        (
            |s| s.order("C").cases.clear(),
            "- D204 medium 100.00 [ethereum C - duplicate:ethereum:t3:0 30] \
            duplicate:ethereum:t3:0: 100.00 of order C is held as duplicate: ethereum:t3:0
            L307 high 100.00 [ethereum C - - -] suspense:duplicate:ethereum:order C: open \
            cases of order C hold 0.00 as duplicate, the ledger has 100.00",
        ),
        (
            |s| s.order("C").cases[0].amount = Usdt::from_micro(99_000_000).unwrap(),
            "- D204 medium 100.00 [ethereum C - duplicate:ethereum:t3:0 30] \
            duplicate:ethereum:t3:0: 100.00 of order C is held as duplicate: ethereum:t3:0
            D204 medium 99.00 [ethereum C - duplicate:ethereum:t3:0 30] \
            duplicate:ethereum:t3:0: 99.00 of order C is held as duplicate: ethereum:t3:0
            L307 high 1.00 [ethereum C - - -] suspense:duplicate:ethereum:order C: open cases \
            of order C hold 99.00 as duplicate, the ledger has 100.00",
        ),
        (
            |s| s.books.unassigned_cases.clear(),
            "- D201 medium 5.00 [ethereum - - unassigned:ethereum:t4:0 40] \
            unassigned:ethereum:t4:0: 5.00 is held as unassigned: ethereum:t4:0
            L307 high 5.00 [ethereum - - - -] suspense:unassigned:ethereum:deposit \
            ethereum:t4:0: open cases of deposit ethereum:t4:0 hold 0.00 as unassigned, the \
            ledger has 5.00",
        ),
        (
            |s| s.order("C").cases[0].id = CaseId("duplicate:x".to_owned()),
            "- D204 medium 100.00 [ethereum C - duplicate:ethereum:t3:0 30] \
            duplicate:ethereum:t3:0: 100.00 of order C is held as duplicate: ethereum:t3:0
            D204 medium 100.00 [ethereum C - duplicate:x 30] duplicate:x: 100.00 of order C is \
            held as duplicate: ethereum:t3:0",
        ),
        (
            |s| {
                let (first, last, at, within) = (3, 9, Time(1_000), 5_000);
                s.books.frame.unacknowledged = Some(Unacknowledged { first, last, at, within });
            },
            "G405 medium 0.00 [- - - - 1] event:3: 7 events from number 3 on are not \
            acknowledged",
        ),
        (
            |s| {
                let (first, last, at, within) = (3, 9, Time(1_000), 49_000);
                s.books.frame.unacknowledged = Some(Unacknowledged { first, last, at, within });
            },
            "",
        ),
        (
            |s| s.books.outflows[0].state = OutflowState::Pending,
            "L302 critical 30.00 [ethereum A - - 50] sweep:ethereum:t5:0: what left is pending and \
            the ledger has it",
        ),
    ];
    for (number, (alter, wanted)) in examples.into_iter().enumerate() {
        println!("{number}:");
        says(&beyond(alter), wanted);
    }
}

/// What left an address of nobody and was taken back may be read in two parts.
#[test]
fn a_reversal_may_be_read_long_after_what_it_reverses() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    world.mine("ethereum", &[pay("t2", "treasury", "5").from("pool")]);
    world.finalize("ethereum", 2);
    world.lose("ethereum", 1);
    let books = super::books(&world);
    let mut observed = Observed::default();
    let line = &world.lines["ethereum"];
    let cut = line.blocks.last().unwrap().0;
    let mut seen = Seen::new(0, cut.id, cut.time);
    seen.transfers = line.blocks.iter().flat_map(|(_, all)| all).cloned().collect();
    seen.ours.insert(address("pool"));
    seen.balances.insert(address("pool"), raw("5"));
    observed.chains.insert(chain("ethereum"), seen);
    let whole = compare(&books, &observed);
    let codes = |report: &Report| -> Vec<&str> {
        report.findings.iter().map(|finding| finding.code.word()).collect()
    };
    assert_eq!(codes(&whole), ["D201"], "nobody knows whose it is, and that is all");
    let mut comparison = Comparison::new(&books.frame, &observed);
    for deposit in &books.unassigned {
        let (cases, journals) = (&books.unassigned_cases, &books.unassigned_journals);
        let of = |journal: &&Journal| journal.deposit.as_ref() == Some(&deposit.id);
        let journals: Vec<Journal> = journals.iter().filter(of).cloned().collect();
        let deposits = std::slice::from_ref(deposit);
        comparison.group(Group { order: None, deposits, cases, journals: &journals });
    }
    let strays = books.unassigned_journals.iter().filter(|journal| journal.deposit.is_none());
    for journal in strays.clone() {
        comparison.strays(std::slice::from_ref(journal));
    }
    assert_eq!(strays.count(), 2, "the sweep and its reversal");
    assert_eq!(comparison.finish().findings, whole.findings);
}
