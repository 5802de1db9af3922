//! What left by the books, and what the chain and the ledger say of it.
//!
//! In: a sweep, or what the token's owner destroyed, with one side altered.
//! Out: the lines it adds. Never: a balance that gives it away: it is altered along with it.
//! Why: a node that makes up a sweep makes up the balance too.

use payments::amount::Usdt;
use payments::chain::{BlockHash, TxHash};
use payments::ledger::{Account, Journal};
use payments::lookup::Transaction;
use payments::notice::What;
use payments::outflow::{Outflow, OutflowState};
use payments::reconcile::{Gap, TokenEvent};
use payments::time::Time;
use ruint::aliases::U256;

use super::{Sides, beyond, mined};
use crate::world::{World, address, chain, pay, says};

impl Sides {
    /// What the token says that A holds, in whole USDT.
    fn a_holds(&mut self, whole: u64) {
        let raw = U256::from(whole * 1_000_000);
        self.seen("ethereum").balances.insert(address("A"), raw);
    }

    /// The journal of what was swept.
    fn swept(&mut self) -> &mut Journal {
        let mut journals = self.books.unassigned_journals.iter_mut();
        journals.find(|journal| journal.key.starts_with("sweep:")).unwrap()
    }
}

type Alter = fn(&mut Sides);

fn each<const N: usize>(examples: [(Alter, &str); N]) {
    for (number, (alter, wanted)) in examples.into_iter().enumerate() {
        println!("{number}:");
        says(&beyond(alter), wanted);
    }
}

#[test]
fn what_left_by_the_books_alone_is_said_with_what_became_of_it() {
    each([
        (
            |s| {
                s.lose("t5", None);
                s.a_holds(100);
            },
            "C102 critical 30.00 [ethereum A - - 50] ethereum:t5:0: 30.00 left @A for @treasury by \
            the books: no log of the chain says so",
        ),
        (
            |s| {
                s.lose("t5", Some(Transaction::NotFound));
                s.a_holds(100);
            },
            "C102 critical 30.00 [ethereum A - - 50] ethereum:t5:0: 30.00 left @A for @treasury by \
            the books: the chain does not know its transaction",
        ),
        (
            |s| {
                s.lose("t5", Some(mined(false, 4, Vec::new())));
                s.a_holds(100);
            },
            "C105 critical 30.00 [ethereum A - - 50] ethereum:t5:0: 30.00 left @A for @treasury by \
            the books: its transaction failed",
        ),
        (
            |s| {
                let mut moved = s.transfer("t5", 0).clone();
                moved.from = address("B");
                s.lose("t5", Some(mined(true, 4, vec![moved])));
                s.a_holds(100);
            },
            "C102 critical 30.00 [ethereum A - - 50] ethereum:t5:0: 30.00 left @A for @treasury by \
            the books: its transaction has no such transfer",
        ),
        (
            |s| {
                let moved = s.transfer("t5", 0).clone();
                s.lose("t5", Some(mined(true, 4, vec![moved])));
                s.a_holds(100);
            },
            "C109 high 30.00 [ethereum A - - 50] ethereum:t5:0: 30.00 left @A for @treasury by the \
            books: its block was read without it, its transaction has it",
        ),
    ]);
}

#[test]
fn what_left_otherwise_is_said_with_both() {
    each([
        (
            |s| {
                s.transfer("t5", 0).raw = U256::from(20_000_000u64);
                s.a_holds(80);
            },
            "C103 critical 30.00 [ethereum A - - 50] ethereum:t5:0: of what left @A, the value is \
            30000000 in the books and 20000000 on the chain",
        ),
        (
            |s| s.transfer("t5", 0).to = address("thief"),
            "C103 critical 30.00 [ethereum A - - 50] ethereum:t5:0: of what left @A, the receiver \
            is @treasury in the books and @thief on the chain",
        ),
        (
            |s| {
                s.transfer("t5", 0).from = address("thief");
                s.a_holds(100);
            },
            "C103 critical 30.00 [ethereum A - - 50] ethereum:t5:0: of what left @A, the sender is \
            @A in the books and @thief on the chain",
        ),
        (
            |s| {
                s.books.outflows[0].amount = Usdt::ZERO;
                s.swept().entries.clear();
            },
            "C103 critical 0.00 [ethereum A - - 50] ethereum:t5:0: of what left @A, the amount is \
            0.00 in the books and 30.00 on the chain",
        ),
        (
            |s| s.transfer("t5", 0).block.height = 3,
            "C106 info 30.00 [ethereum A - - 50] ethereum:t5:0: what left @A is recorded in block \
            4 0x0000000000000004010000000000000000000000000000000000000000000000, and sits in \
            block 3 0x0000000000000004010000000000000000000000000000000000000000000000",
        ),
    ]);
}

/// As a deposit is, from the first block that was read to the last, in every state but one.
#[test]
fn what_left_is_looked_for_where_a_deposit_is() {
    let lost = |from: u64, cut: u64, state: OutflowState| {
        let told = beyond(|s| {
            s.lose("t5", None);
            s.a_holds(100);
            let seen = s.seen("ethereum");
            (seen.from, seen.cut.height) = (from, cut);
            s.books.outflows[0].state = state;
        });
        told.contains("C102 critical 30.00")
    };
    let booked = OutflowState::Booked;
    assert_eq!((lost(4, 4, booked), lost(5, 5, booked), lost(0, 3, booked)), (true, false, false));
    assert!(lost(0, 4, OutflowState::Pending) && lost(0, 4, OutflowState::Waiting));
    assert!(!lost(0, 4, OutflowState::Orphaned));
}

#[test]
fn what_the_ledger_has_of_what_left_is_compared() {
    each([
        (
            |s| s.swept().entries[0].amount -= 1,
            "L303 critical 30.00 [ethereum A - - 50] sweep:ethereum:t5:0: the ledger has \
            29.999999, what left is 30.00",
        ),
        (
            |s| {
                let credit = Account::Custody(chain("ethereum"), address("B"));
                s.swept().entries[0].credit = credit;
            },
            "L303 critical 30.00 [ethereum A - - 50] sweep:ethereum:t5:0: the ledger has 0.00, \
            what left is 30.00",
        ),
        (
            |s| {
                let mut again = s.swept().clone();
                again.key += "#2";
                s.books.unassigned_journals.push(again);
            },
            "L304 critical 30.00 [ethereum A - - 50] sweep:ethereum:t5:0: the ledger has 2 times \
            what left once",
        ),
        (
            |s| s.books.outflows[0].state = OutflowState::Waiting,
            "L302 critical 30.00 [ethereum A - - 50] sweep:ethereum:t5:0: what left is waiting and \
            the ledger has it",
        ),
        // Taken back and booked again.
        (
            |s| {
                let first = s.swept().clone();
                let undone = first.reversed(Time(9));
                let key = format!("{}#2", first.key);
                s.books.unassigned_journals.extend([undone, Journal { key, ..first }]);
                s.books.outflows[0].round = 2;
            },
            "",
        ),
        // Kept with the order.
        (
            |s| {
                let mut kept = s.swept().clone();
                s.books.unassigned_journals.retain(|journal| journal.key != kept.key);
                kept.entries[0].amount += 1;
                s.order("A").journals.push(kept);
            },
            "L303 critical 30.00 [ethereum A - - 50] sweep:ethereum:t5:0: the ledger has \
            30.000001, what left is 30.00",
        ),
    ]);
}

/// A on BNB Chain, whose token has 18 decimals: two deposits that were rounded down, and all of it
/// left at once.
fn rounded() -> Sides {
    let mut world = World::new();
    world.order("other", |order| order.chain = chain("bsc"));
    let units = |whole: u64, odd: u64| {
        U256::from(whole) * U256::from(10u64).pow(U256::from(18)) + U256::from(odd)
    };
    let came = |name, odd| pay(name, "other", "0").units(units(50, odd));
    world.mine("bsc", &[came("t1", 900_000_000_001), came("t2", 900_000_000_002)]);
    let all = units(100, 1_800_000_000_003);
    world.mine("bsc", &[pay("t3", "treasury", "0").units(all).from("other")]);
    world.all_final("bsc");
    Sides { books: super::books(&world), observed: super::observed(&world) }
}

#[test]
fn what_rounding_takes_from_what_left_is_allowed_and_no_more() {
    let found = |sides: &Sides| {
        let codes = sides.report().findings.into_iter().map(|finding| finding.code.word());
        codes.collect::<Vec<_>>()
    };
    let mut sides = rounded();
    let (amount, wanted) = (sides.books.outflows[0].amount.micro(), 100_000_000);
    assert_eq!((amount, found(&sides)), (wanted, Vec::new()), "the two came rounded down");
    // Postings there, each by less than a millionth: two deposits and this one.
    for (less, codes) in [(1, vec![]), (2, vec!["C103"])] {
        let micro = wanted - less;
        sides.books.outflows[0].amount = Usdt::from_micro(micro).unwrap();
        sides.swept().entries[0].amount = micro;
        assert_eq!(found(&sides), codes, "{less} less");
    }
    // More than left is not rounding.
    sides.books.outflows[0].amount = Usdt::from_micro(wanted + 3).unwrap();
    sides.swept().entries[0].amount = wanted + 3;
    assert_eq!(found(&sides), ["C103"]);
}

/// All that A held was destroyed by the token's owner, and the chain shows it.
fn emptied() -> Sides {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    let raw = U256::from(100_000_000u64);
    world.announce("ethereum", &[("t2", What::Destroyed { from: address("A"), raw })]);
    world.all_final("ethereum");
    let mut sides = Sides { books: super::books(&world), observed: super::observed(&world) };
    sides.a_holds(0);
    let outflow = sides.books.outflows[0].clone();
    sides.seen("ethereum").token_events.push(destruction(&outflow));
    sides
}

/// What the token said of what left.
fn destruction(outflow: &Outflow) -> TokenEvent {
    TokenEvent {
        tx: outflow.id.tx,
        n: 0,
        log_index: 100,
        block: outflow.block,
        time: outflow.time,
        what: "destroyed".to_owned(),
        address: Some(outflow.from),
        taken: outflow.raw,
    }
}

#[test]
fn what_was_destroyed_is_compared_with_what_the_token_said() {
    let told = |alter: fn(&mut Sides)| {
        let mut sides = emptied();
        alter(&mut sides);
        let lines = sides.report().findings.iter().map(super::line).collect::<Vec<_>>();
        lines.into_iter().filter(|line| !line.starts_with("B504")).collect::<Vec<_>>().join("\n")
    };
    says(&told(|_| ()), "");
    let head = "ethereum:t2:0:destroyed: ";
    let none = told(|s| {
        s.seen("ethereum").token_events.clear();
        s.a_holds(100);
    });
    says(
        &none,
        &format!(
            "C102 critical 100.00 [ethereum A - - 30] {head}100.00 was destroyed at @A by the \
             books: no notice of the token says so"
        ),
    );
    let less = told(|s| {
        s.seen("ethereum").token_events[0].taken = U256::from(99_000_000u64);
        s.a_holds(1);
    });
    says(
        &less,
        &format!(
            "C103 critical 100.00 [ethereum A - - 30] {head}of what left @A, the value is \
             100000000 in the books and 99000000 on the chain"
        ),
    );
    let elsewhere = told(|s| s.seen("ethereum").token_events[0].block.hash = BlockHash([7; 32]));
    assert!(elsewhere.starts_with("C106 info 100.00"), "{elsewhere}");
    let other = told(|s| {
        s.seen("ethereum").token_events[0].tx = TxHash([8; 32]);
    });
    assert!(other.starts_with("C102 critical 100.00"), "{other}");
}

/// A node left the notice out when it was read: the balance is right, and the books are not.
#[test]
fn what_was_destroyed_and_is_not_in_the_books_is_missing_there() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[]);
    world.all_final("ethereum");
    let mut sides = Sides { books: super::books(&world), observed: super::observed(&world) };
    sides.a_holds(0);
    let outflow = emptied().books.outflows[0].clone();
    sides.seen("ethereum").token_events.push(destruction(&outflow));
    let found = sides.report().findings;
    let lines: Vec<String> = found.iter().map(super::line).collect();
    assert!(
        lines.iter().any(|line| line.starts_with("B504 high 100.00 [ethereum")
            && line.ends_with(
                "@A: 100.00 in block 2, and the books do not know; a rescan of it records it"
            )),
        "{lines:#?}"
    );
    assert_eq!(lines.len(), 1, "it is missing for one reason: {lines:#?}");
}

/// Some contracts log a transfer to nobody beside the notice: it is the same money.
#[test]
fn what_was_destroyed_by_a_transfer_left_once() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    let raw = U256::from(100_000_000u64);
    let said = [("t2", What::Destroyed { from: address("A"), raw })];
    world.announce_with("ethereum", &said, &[pay("t2", "pool", "100").from("A").burnt()]);
    world.all_final("ethereum");
    let mut sides = Sides { books: super::books(&world), observed: super::observed(&world) };
    let outflow = sides.books.outflows[0].clone();
    let event = destruction(&outflow);
    sides.seen("ethereum").token_events.push(event);
    let found = sides.report().findings;
    let codes: Vec<&str> = found.iter().map(|finding| finding.code.word()).collect();
    assert_eq!(codes, ["B504", "B504"], "its case, and the notice");
    // Other money of the same transaction is another matter.
    sides.seen("ethereum").token_events[0].taken += U256::ONE;
    assert_eq!(sides.report().findings[0].code.word(), "B501");
}

/// What could not be read is missing, and no discrepancy of each thing that lies in it.
#[test]
fn what_could_not_be_read_is_known_by_the_books_alone() {
    let unread = |s: &mut Sides| {
        s.lose("t5", None);
        let seen = s.seen("ethereum");
        seen.unread.push((4, 4));
        seen.gaps.push(Gap { subject: "blocks:4-4".to_owned(), why: "it is down".to_owned() });
    };
    says(
        &beyond(unread),
        "C108 critical 0.00 [ethereum - - - -] ethereum:blocks:4-4: blocks:4-4: it is down",
    );
}
