//! The first and the last block that were read: what lies on them, below and above.
//!
//! In: a first height, a last one, and what is recorded there. Out: the lines it adds and takes
//! away.

use payments::chain::{BlockHash, BlockId, Transfer};
use payments::deposit::State;
use payments::ledger::Account;
use payments::reconcile::CutOff;
use payments::time::Time;
use ruint::aliases::U256;

use super::{Sides, beyond};
use crate::world::{LOOKALIKE, address, chain, says};

impl Sides {
    /// The chain was read from this height on, and the node was not asked about what is below.
    fn read_from(&mut self, height: u64) {
        let seen = self.seen("ethereum");
        seen.from = height;
        seen.transfers.retain(|transfer| transfer.block.height >= height);
    }
}

#[test]
fn what_left_in_the_first_block_that_was_read_is_counted_once() {
    let outside = beyond(|s| s.read_from(4));
    assert!(outside.contains("t1:0 100.00 at 1: outside"), "{outside}");
    assert!(!outside.contains("B501"), "{outside}");
}

/// Below the first block the books alone say what an address held.
#[test]
fn what_the_books_say_of_an_address_is_what_came_to_it() {
    // The block of B's part was taken back: nothing of it is there.
    let orphaned = beyond(|s| {
        s.read_from(2);
        s.order("B").deposits[0].state = State::Orphaned;
        s.seen("ethereum").balances.insert(address("B"), U256::ZERO);
    });
    assert!(!orphaned.contains("B501"), "{orphaned}");
    // It was of another token, of which this token's balance has nothing.
    let foreign = beyond(|s| {
        s.read_from(2);
        s.order("B").deposits[0].id.other_token = Some(LOOKALIKE);
        s.seen("ethereum").balances.insert(address("B"), U256::ZERO);
    });
    assert!(!foreign.contains("B501"), "{foreign}");
}

/// Journals of A and of C were written to the custody of others, and of one of these the token says
/// something else as well.
#[test]
fn an_address_of_which_two_things_are_wrong_has_one_line() {
    let told = beyond(|s| {
        for (order, other) in [("A", "B"), ("C", "pool")] {
            let entry = &mut s.journal(order, "deposit:").entries[0];
            entry.debit = Account::Custody(chain("ethereum"), address(other));
        }
        s.seen("ethereum").balances.insert(address("B"), U256::ZERO);
    });
    let told: Vec<&str> = told.lines().filter(|line| line.starts_with("B501")).collect();
    says(
        &told.join("\n"),
        "B501 critical 100.00 [ethereum - - - -] ethereum:@pool: the custody account of @pool has \
        105.00, its deposits 5.00
        B501 critical 60.00 [ethereum - - - -] ethereum:@B: the token says that @B holds 0.00, its \
        transfers make 60.00",
    );
}

/// A deposit waits at the last block that was read, or above it, for half an hour.
#[test]
fn what_waits_above_the_last_block_is_not_stuck() {
    let waits = |cut: u64| {
        beyond(|s| {
            s.order("A").deposits[0].state = State::Pending;
            let seen = s.seen("ethereum");
            seen.cut = BlockId { height: cut, hash: BlockHash([1; 32]) };
            seen.time = Time(20_000 + 30 * 60_000);
        })
        .contains("D210 high 100.00 [ethereum A ethereum:t1:0 - 20]")
    };
    assert_eq!((waits(0), waits(1), waits(2)), (false, true, true));
}

/// A's payment was taken back, says the deposit, and its transfer is on the chain again.
#[test]
fn what_is_mined_again_is_lost_where_it_still_pays_one_of_ours() {
    let became = |alter: fn(&mut Transfer)| {
        let lines = beyond(|s| {
            s.order("A").deposits[0].state = State::Orphaned;
            alter(s.transfer("t1", 0));
        });
        let line = lines.lines().find(|line| line.starts_with("ethereum:t1:0 100.00 at 1: "));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(became(|_| ()), "discrepant:C101");
    // To a stranger, to itself, or of nothing it pays nobody here: what is left is the ledger,
    // which has it.
    assert_eq!(became(|transfer| transfer.to = address("thief")), "discrepant:L302");
    assert_eq!(became(|transfer| transfer.from = transfer.to), "discrepant:L302");
    assert_eq!(became(|transfer| transfer.raw = U256::ZERO), "discrepant:L302");
}

#[test]
fn a_report_says_how_much_it_read() {
    let report = Sides::new().report();
    let cut = |cut: &CutOff| {
        let (chain, from, to) = (&cut.chain, cut.from, cut.block.height);
        let (transfers, balances) = (cut.transfers, cut.balances);
        format!("{chain} {from}-{to}: {transfers} transfers, {balances} balances")
    };
    says(
        &report.cuts.iter().map(cut).collect::<Vec<_>>().join("\n"),
        "bsc 0-1: 1 transfers, 5 balances
        ethereum 0-4: 6 transfers, 5 balances",
    );
}
