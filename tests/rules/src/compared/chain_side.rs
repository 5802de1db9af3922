//! What the chain and the token say otherwise than the books.
//!
//! In: one alteration of a side. Out: the lines it adds and takes away.

use payments::amount::Usdt;
use payments::case::Case;
use payments::chain::{Transfer, TxHash};
use payments::deposit::State;
use payments::ledger::{Account, Journal};
use payments::lookup::Transaction;
use payments::outflow::{Outflow, OutflowState};
use payments::reconcile::{Disagreement, Gap, TokenEvent};
use payments::time::Time;
use ruint::aliases::U256;

use super::{Sides, beyond, mined};
use crate::world::{address, chain, says};

/// What was swept is recorded and not booked.
fn unbooked(sides: &mut Sides, state: OutflowState) -> Outflow {
    let swept = |journal: &Journal| journal.key.starts_with("sweep:");
    sides.books.unassigned_journals.retain(|journal| !swept(journal));
    let outflow = &mut sides.books.outflows[0];
    (outflow.state, outflow.explained) = (state, None);
    outflow.clone()
}

#[test]
fn what_the_chain_does_not_have_is_said_with_what_became_of_it() {
    type Alter = fn(&mut Sides);
    let examples: [(Alter, &str); 8] = [
        (
            |s| s.lose("t1", None),
            "- ethereum:t1:0 100.00 at 1: credited
            - ethereum:t1:1 60.00 at 1: waiting
            B501 critical 60.00 [ethereum - - - -] ethereum:@B: the token says that @B holds \
            60.00, its transfers make 0.00
            B501 critical 70.00 [ethereum - - - -] ethereum:@A: the token says that @A holds \
            70.00, its transfers make 0.00
            C102 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: no log of the \
            chain says so
            C102 critical 60.00 [ethereum B ethereum:t1:1 - 20] ethereum:t1:1: no log of the \
            chain says so
            ethereum:t1:0 100.00 at 1: discrepant:C102
            ethereum:t1:1 60.00 at 1: discrepant:C102",
        ),
        (
            |s| s.lose("t2", Some(Transaction::NotFound)),
            "- ethereum:t2:0 100.00 at 2: credited
            B501 critical 100.00 [ethereum - - - -] ethereum:@C: the token says that @C holds \
            200.00, its transfers make 100.00
            C102 critical 100.00 [ethereum C ethereum:t2:0 - 30] ethereum:t2:0: the chain does \
            not know its transaction
            ethereum:t2:0 100.00 at 2: discrepant:C102",
        ),
        (
            |s| s.lose("t2", Some(Transaction::Pending)),
            "- ethereum:t2:0 100.00 at 2: credited
            B501 critical 100.00 [ethereum - - - -] ethereum:@C: the token says that @C holds \
            200.00, its transfers make 100.00
            C102 critical 100.00 [ethereum C ethereum:t2:0 - 30] ethereum:t2:0: its \
            transaction is in no block
            ethereum:t2:0 100.00 at 2: discrepant:C102",
        ),
        (
            |s| s.lose("t2", Some(mined(false, 2, Vec::new()))),
            "- ethereum:t2:0 100.00 at 2: credited
            B501 critical 100.00 [ethereum - - - -] ethereum:@C: the token says that @C holds \
            200.00, its transfers make 100.00
            C105 critical 100.00 [ethereum C ethereum:t2:0 - 30] ethereum:t2:0: its \
            transaction failed
            ethereum:t2:0 100.00 at 2: discrepant:C105",
        ),
        (
            |s| s.lose("t2", Some(mined(true, 2, Vec::new()))),
            "- ethereum:t2:0 100.00 at 2: credited
            B501 critical 100.00 [ethereum - - - -] ethereum:@C: the token says that @C holds \
            200.00, its transfers make 100.00
            C102 critical 100.00 [ethereum C ethereum:t2:0 - 30] ethereum:t2:0: its \
            transaction has no such transfer
            ethereum:t2:0 100.00 at 2: discrepant:C102",
        ),
        (
            |s| {
                let moved = s.transfer("t2", 0).clone();
                s.lose("t2", Some(mined(true, 2, vec![moved])));
            },
            "- ethereum:t2:0 100.00 at 2: credited
            B501 critical 100.00 [ethereum - - - -] ethereum:@C: the token says that @C holds \
            200.00, its transfers make 100.00
            C109 high 100.00 [ethereum C ethereum:t2:0 - 30] ethereum:t2:0: its block was read \
            without it, its transaction has it
            ethereum:t2:0 100.00 at 2: discrepant:C109",
        ),
        (
            |s| {
                let moved = s.transfer("t2", 0).clone();
                s.lose("t2", Some(mined(true, 5, vec![moved])));
            },
            "B501 critical 100.00 [ethereum - - - -] ethereum:@C: the token says that @C holds \
            200.00, its transfers make 100.00
            C106 info 100.00 [ethereum C ethereum:t2:0 - 30] ethereum:t2:0: its transaction \
            sits in block 5 now",
        ),
        (
            |s| {
                let mut moved = s.transfer("t2", 0).clone();
                moved.raw = U256::ONE;
                s.lose("t2", Some(mined(true, 5, vec![moved])));
            },
            "- ethereum:t2:0 100.00 at 2: credited
            B501 critical 100.00 [ethereum - - - -] ethereum:@C: the token says that @C holds \
            200.00, its transfers make 100.00
            C102 critical 100.00 [ethereum C ethereum:t2:0 - 30] ethereum:t2:0: its \
            transaction has no such transfer
            ethereum:t2:0 100.00 at 2: discrepant:C102",
        ),
    ];
    for (number, (alter, wanted)) in examples.into_iter().enumerate() {
        println!("{number}:");
        says(&beyond(alter), wanted);
    }
}

#[test]
fn what_the_chain_has_otherwise_is_said_with_both() {
    type Alter = fn(&mut Sides);
    let examples: [(Alter, &str); 7] = [
        (
            |s| s.transfer("t1", 0).raw = U256::from(99_000_000u64),
            "- ethereum:t1:0 100.00 at 1: credited
            B501 critical 1.00 [ethereum - - - -] ethereum:@A: the token says that @A holds \
            70.00, its transfers make 69.00
            C103 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: the value is \
            100000000 in the books and 99000000 on the chain
            ethereum:t1:0 100.00 at 1: discrepant:C103",
        ),
        (
            |s| s.transfer("t1", 0).to = address("thief"),
            "- ethereum:t1:0 100.00 at 1: credited
            B501 critical 70.00 [ethereum - - - -] ethereum:@A: the token says that @A holds \
            70.00, its transfers make 0.00
            C103 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: the receiver \
            is @A in the books and @thief on the chain
            ethereum:t1:0 100.00 at 1: discrepant:C103",
        ),
        (
            |s| s.transfer("t1", 0).from = address("thief"),
            "- ethereum:t1:0 100.00 at 1: credited
            C103 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: the sender is \
            0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE in the books and @thief on the chain
            ethereum:t1:0 100.00 at 1: discrepant:C103",
        ),
        (
            |s| s.order("A").deposits[0].amount = Usdt::ZERO,
            "- ethereum:t1:0 100.00 at 1: credited
            C103 critical 0.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: the amount is \
            0.00 in the books and 100.00 on the chain
            L302 critical 0.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is credited \
            and the ledger has it
            ethereum:t1:0 0.00 at 1: discrepant:C103",
        ),
        (
            |s| s.transfer("t1", 0).block.height = 2,
            "C106 info 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is recorded in \
            block 1 0x0000000000000001010000000000000000000000000000000000000000000000, and \
            sits in block 2 0x0000000000000001010000000000000000000000000000000000000000000000",
        ),
        (
            |s| s.transfer("t1", 0).token = address("other"),
            "- ethereum:t1:0 100.00 at 1: credited
            B501 critical 70.00 [ethereum - - - -] ethereum:@A: the token says that @A holds \
            70.00, its transfers make 0.00
            C104 high 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: on chain it is of \
            the token @other
            ethereum:t1:0 100.00 at 1: discrepant:C104",
        ),
        (
            |s| s.order("A").deposits[0].state = State::Orphaned,
            "- ethereum:t1:0 100.00 at 1: credited
            C101 critical 100.00 [ethereum - ethereum:t1:0 - 20] ethereum:t1:0: 100.00 reached \
            @A in block 1, and no deposit says so
            L302 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: it is orphaned \
            and the ledger has it
            ethereum:t1:0 100.00 at 1: discrepant:C101",
        ),
    ];
    for (number, (alter, wanted)) in examples.into_iter().enumerate() {
        println!("{number}:");
        says(&beyond(alter), wanted);
    }
}

#[test]
fn what_the_books_do_not_have_is_said_with_who_and_where() {
    type Alter = fn(&mut Sides);
    let examples: [(Alter, &str); 12] = [
        (
            |s| {
                let raw = U256::from(7_000_000u64);
                let more = Transfer { tx: TxHash([8; 32]), raw, ..s.transfer("t1", 0).clone() };
                s.seen("ethereum").transfers.push(more);
            },
            "B501 critical 7.00 [ethereum - - - -] ethereum:@A: the token says that @A holds \
            70.00, its transfers make 77.00
            C101 critical 7.00 [ethereum - ethereum:new:0 - 20] ethereum:new:0: 7.00 reached \
            @A in block 1, and no deposit says so",
        ),
        (
            |s| {
                let raw = U256::from(7_000_000u64);
                let more = Transfer { tx: TxHash([8; 32]), raw, ..s.transfer("t5", 0).clone() };
                s.seen("ethereum").transfers.push(more);
            },
            "B501 critical 7.00 [ethereum - - - -] ethereum:@A: the token says that @A holds \
            70.00, its transfers make 63.00
            B502 critical 7.00 [ethereum - - - 50] ethereum:new:0: 7.00 left @A for @treasury \
            in block 4, and nothing says why",
        ),
        (
            |s| {
                let from = address("other");
                let seen = s.seen("bsc");
                let dust = U256::from(999_999_999_999u64);
                let to = address("thief");
                let more = Transfer {
                    tx: TxHash([8; 32]),
                    raw: dust,
                    from,
                    to,
                    ..seen.transfers[0].clone()
                };
                seen.transfers.push(more);
                *seen.balances.get_mut(&from).unwrap() -= dust;
            },
            "B503 low 0.00 [bsc - - - 20] bsc:new:0: 999999999999 base units, less than a \
            millionth, left @other for @thief in block 1, and nothing says why",
        ),
        (
            |s| {
                let more = Transfer {
                    tx: TxHash([8; 32]),
                    raw: U256::ZERO,
                    ..s.transfer("t1", 0).clone()
                };
                let itself = Transfer { from: more.to, raw: U256::ONE, ..more.clone() };
                s.seen("ethereum").transfers.extend([more, itself]);
            },
            "",
        ),
        (|s| s.books.outflows.clear(), ""),
        (
            |s| s.books.unassigned_journals.retain(|journal| !journal.key.starts_with("sweep:")),
            "B502 critical 30.00 [ethereum - - - 50] ethereum:t5:0: 30.00 left @A for @treasury \
            in block 4, and nothing says why",
        ),
        // Recorded and not booked, it says what it waits for.
        (
            |s| drop(unbooked(s, OutflowState::Waiting)),
            "B502 critical 30.00 [ethereum - - - 50] ethereum:t5:0: 30.00 left @A for @treasury \
            in block 4, and it is recorded and waits: the books did not hold that much there",
        ),
        (
            |s| drop(unbooked(s, OutflowState::Pending)),
            "B502 critical 30.00 [ethereum - - - 50] ethereum:t5:0: 30.00 left @A for @treasury \
            in block 4, and it is recorded and not booked yet",
        ),
        // Where an open case asks about it, that is all there is to say.
        (
            |s| {
                let outflow = unbooked(s, OutflowState::Waiting);
                let case = s.order("C").cases[0].clone();
                let (id, kind, order) = (outflow.case(), outflow.case_kind(), outflow.order);
                let (deposits, amount) = (Vec::new(), Usdt::ZERO);
                let asked = Case { id, kind, order, deposits, amount, ..case };
                s.order("A").cases.push(asked);
            },
            "B502 critical 0.00 [ethereum A - unexplained_outflow:ethereum:t5:0 30] \
            unexplained_outflow:ethereum:t5:0: what left by unexplained_outflow:ethereum:t5:0 \
            waits for a person to say why",
        ),
        (
            |s| {
                let (tx, log_index, time) = (TxHash([8; 32]), 3, Time(20_000));
                let (what, taken) = ("blacklisted".to_owned(), U256::ZERO);
                let address = Some(address("A"));
                let block = s.transfer("t2", 0).block;
                s.seen("ethereum").token_events.push(TokenEvent {
                    tx,
                    n: 0,
                    log_index,
                    block,
                    time,
                    what,
                    address,
                    taken,
                });
            },
            "B504 high 0.00 [ethereum - - - 20] ethereum:new:3: the token's owner: blacklisted \
            @A",
        ),
        (
            |s| {
                let (subject, why) = ("blocks:2-3".to_owned(), "it is down".to_owned());
                s.seen("ethereum").gaps.push(Gap { subject, why });
                s.observed.missing.insert(chain("tron"), "nothing is final".to_owned());
            },
            "C108 critical 0.00 [ethereum - - - -] ethereum:blocks:2-3: blocks:2-3: it is down
            C108 critical 0.00 [tron - - - -] tron:chain: chain: nothing is final",
        ),
        (
            |s| {
                let (subject, what) = ("block:2".to_owned(), "two hashes".to_owned());
                s.seen("ethereum").disagreements.push(Disagreement { subject, what });
            },
            "C109 high 0.00 [ethereum - - - -] ethereum:block:2: two hashes",
        ),
    ];
    for (number, (alter, wanted)) in examples.into_iter().enumerate() {
        println!("{number}:");
        says(&beyond(alter), wanted);
    }
}

#[test]
fn what_the_token_says_of_an_address_is_compared_to_the_unit() {
    type Alter = fn(&mut Sides);
    let examples: [(Alter, &str); 5] = [
        (
            |s| {
                s.seen("ethereum").balances.insert(address("A"), U256::from(69_999_999u64));
            },
            "B501 critical 0.000001 [ethereum - - - -] ethereum:@A: the token says that @A \
            holds 69.999999, its transfers make 70.00",
        ),
        (
            |s| {
                s.seen("ethereum").balances.insert(address("A"), U256::from(1_170_000_000u64));
            },
            "B501 critical 1100.00 [ethereum - - - -] ethereum:@A: the token says that @A holds \
            1170.00, its transfers make 70.00",
        ),
        (
            |s| {
                let seen = s.seen("ethereum");
                seen.from = 2;
                seen.transfers.retain(|transfer| transfer.block.height >= 2);
            },
            "- ethereum:t1:0 100.00 at 1: credited
            - ethereum:t1:1 60.00 at 1: waiting
            ethereum:t1:0 100.00 at 1: outside
            ethereum:t1:1 60.00 at 1: outside",
        ),
        (
            |s| {
                let seen = s.seen("ethereum");
                seen.from = 5;
                seen.transfers.retain(|transfer| transfer.block.height >= 5);
            },
            "- ethereum:t1:0 100.00 at 1: credited
            - ethereum:t1:1 60.00 at 1: waiting
            - ethereum:t2:0 100.00 at 2: credited
            - ethereum:t3:0 100.00 at 2: case:duplicate
            - ethereum:t4:0 5.00 at 3: case:unassigned
            ethereum:t1:0 100.00 at 1: outside
            ethereum:t1:1 60.00 at 1: outside
            ethereum:t2:0 100.00 at 2: outside
            ethereum:t3:0 100.00 at 2: outside
            ethereum:t4:0 5.00 at 3: outside",
        ),
        (
            |s| {
                let entry = &mut s.journal("A", "deposit:").entries[0];
                entry.debit = Account::Custody(chain("ethereum"), address("B"));
            },
            "- ethereum:t1:0 100.00 at 1: credited
            B501 critical 100.00 [ethereum - - - -] ethereum:@B: the custody account of @B has \
            160.00, its deposits 60.00
            L303 critical 100.00 [ethereum A ethereum:t1:0 - 20] ethereum:t1:0: the ledger has \
            0.00, the deposit is 100.00
            ethereum:t1:0 100.00 at 1: discrepant:L303",
        ),
    ];
    for (number, (alter, wanted)) in examples.into_iter().enumerate() {
        println!("{number}:");
        says(&beyond(alter), wanted);
    }
}
