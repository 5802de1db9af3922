//! How a scan joins the recorded chain: each case a picture of the two rows of blocks.
//!
//! In: pictures. A block is its height and the letter of its branch; `|` stands after the base;
//! `!` marks a block that names another parent. Out: what `connect` says, in words.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failure of the test, and says where"
)]

#[path = "chain_pictures.rs"]
mod pictures;

use super::*;
use crate::address::Address;
use pictures::{block, read, word, words};
use ruint::aliases::U256;

/// What comes of a picture, with a bound of three blocks.
fn outcome(picture: &str) -> String {
    let (cursor, scan) = read(picture);
    match connect(&cursor, &scan, 3) {
        Err(error) => error.to_string(),
        Ok(joined) => {
            let (orphaned, added) = (words(&joined.orphaned), words(&joined.added));
            let finalized = joined.finalized.map_or("-".to_owned(), word);
            let safe = joined.safe.map_or(String::new(), |safe| format!(", safe {safe}"));
            let kept = words(&joined.kept);
            format!("orphaned {orphaned}, added {added}, kept {kept}, final {finalized}{safe}")
        }
    }
}

fn check(table: &[(&str, &str, &str)]) {
    for (name, picture, wanted) in table {
        assert_eq!(outcome(picture), *wanted, "{name}{picture}");
    }
}

#[test]
fn a_scan_extends_the_chain() {
    check(&[
        (
            "one block",
            "
            kept   9a 10a 11a
            scan          11a|12a
            known  9a
            final  9a
            ",
            "orphaned -, added 12a, kept 9a 10a 11a 12a, final 9a",
        ),
        (
            "what is final is kept no longer, but for the newest",
            "
            kept   9a 10a 11a
            scan          11a|12a 13a
            known  9a
            final         11a
            ",
            "orphaned -, added 12a 13a, kept 11a 12a 13a, final 11a",
        ),
        (
            "the finalized block is above the stretch: all of it is final",
            "
            kept   9a 10a
            scan      10a|11a 12a
            known  9a
            final                      99a
            ",
            "orphaned -, added 11a 12a, kept 12a, final 12a",
        ),
        (
            "it shows lower blocks only: what is recorded above them is not known to be final",
            "
            kept   9a 10a 11a 12a
            scan   9a|10a
            known  9a
            final                      20a
            ",
            "orphaned -, added -, kept 10a 11a 12a, final 10a",
        ),
        (
            "it shows lower blocks only, but its finalized block is a recorded one",
            "
            kept   9a 10a 11a 12a
            scan   9a|10a
            known  9a
            final         11a
            ",
            "orphaned -, added -, kept 11a 12a, final 11a",
        ),
        (
            "it shows lower blocks only, and its finalized block is on another branch",
            "
            kept   9a 10a 11a 12a
            scan   9a|10a
            known  9a
            final         11b
            ",
            "orphaned -, added -, kept 10a 11a 12a, final 10a",
        ),
        (
            "its finalized block is another one at the height that is known: what is final stays",
            "
            kept   9a 10a
            scan      10a|11a
            known  9a
            final  9b
            ",
            "orphaned -, added 11a, kept 9a 10a 11a, final 9a",
        ),
        (
            "it shows no block above its base",
            "
            kept   9a 10a 11a 12a
            scan      10a|
            known  9a
            final                      20a
            ",
            "orphaned -, added -, kept 10a 11a 12a, final 10a",
        ),
        (
            "nothing is new but the finalized block",
            "
            kept   9a 10a 11a
            scan          11a|
            known  9a
            final     10a
            ",
            "orphaned -, added -, kept 10a 11a, final 10a",
        ),
        (
            "the same blocks again",
            "
            kept   9a 10a 11a
            scan   9a|10a 11a
            known  9a
            final  9a
            ",
            "orphaned -, added -, kept 9a 10a 11a, final 9a",
        ),
        (
            "the same blocks and one more",
            "
            kept   9a 10a 11a
            scan   9a|10a 11a 12a
            known  9a
            final  9a
            ",
            "orphaned -, added 12a, kept 9a 10a 11a 12a, final 9a",
        ),
        (
            "the tip went backward on the same branch: no block says anything else",
            "
            kept   9a 10a 11a
            scan   9a|10a
            known  9a
            final  9a
            ",
            "orphaned -, added -, kept 9a 10a 11a, final 9a",
        ),
        (
            "the finalized height of a node that is behind does not go back",
            "
            kept      10a 11a
            scan          11a|12a
            known     10a
            final  9a
            ",
            "orphaned -, added 12a, kept 10a 11a 12a, final 10a",
        ),
    ]);
}

#[test]
fn a_scan_begins_a_chain() {
    check(&[
        (
            "from genesis",
            "
            scan |0a 1a 2a
            final    1a
            ",
            "orphaned -, added 0a 1a 2a, kept 1a 2a, final 1a",
        ),
        (
            "in the middle, above the finalized block",
            "
            scan  10a|11a 12a
            final  9a
            ",
            "orphaned -, added 11a 12a, kept 11a 12a, final -",
        ),
        (
            "not from genesis, and on nothing",
            "
            scan |5a 6a
            ",
            "the scan contradicts itself at height 5",
        ),
        (
            "from genesis again, where genesis is kept",
            "
            kept  0a 1a 2a
            scan |0a 1b
            known 0a
            final 0a
            ",
            "orphaned 1a 2a, added 1b, kept 0a 1b, final 0a",
        ),
        (
            "another genesis",
            "
            kept  0a 1a
            scan |0b 1b 2b
            known 0a
            ",
            "the reorg reaches height 0, below the finalized height 0",
        ),
        (
            "nothing was recorded and nothing is shown",
            "
            scan 10a|
            final 9a
            ",
            "orphaned -, added -, kept -, final -",
        ),
    ]);
}

#[test]
fn a_scan_forks_the_chain() {
    check(&[
        (
            "at the tip",
            "
            kept   9a 10a 11a
            scan      10a|11b
            known  9a
            final  9a
            ",
            "orphaned 11a, added 11b, kept 9a 10a 11b, final 9a",
        ),
        (
            "as deep as the bound",
            "
            kept   9a 10a 11a 12a
            scan   9a|10b 11b 12b 13b
            known  9a
            final  9a
            ",
            "orphaned 10a 11a 12a, added 10b 11b 12b 13b, kept 9a 10b 11b 12b 13b, final 9a",
        ),
        (
            "deeper than the bound",
            "
            kept   9a 10a 11a 12a 13a
            scan   9a|10b
            known  9a
            final  9a
            ",
            "the reorg is 4 blocks deep, the bound is 3",
        ),
        (
            "to a shorter branch",
            "
            kept   9a 10a 11a 12a
            scan      10a|11b
            known  9a
            final  9a
            ",
            "orphaned 11a 12a, added 11b, kept 9a 10a 11b, final 9a",
        ),
        (
            "above blocks that agree",
            "
            kept   9a 10a 11a 12a
            scan   9a|10a 11b
            known  9a
            final  9a
            ",
            "orphaned 11a 12a, added 11b, kept 9a 10a 11b, final 9a",
        ),
        (
            "and its new blocks are final at once",
            "
            kept   9a 10a 11a
            scan      10a|11b 12b
            known  9a
            final         11b
            ",
            "orphaned 11a, added 11b 12b, kept 11b 12b, final 11b",
        ),
        (
            "at the finalized block",
            "
            kept   9a 10a 11a
            scan   8a| 9b 10b
            known  9a
            final  9a
            ",
            "the reorg reaches height 9, below the finalized height 9",
        ),
        (
            "and nothing was final yet: the first kept block can go too",
            "
            kept     10a 11a
            scan   9a|10b 11b
            ",
            "orphaned 10a 11a, added 10b 11b, kept 10b 11b, final -",
        ),
    ]);
}

#[test]
fn a_scan_stands_elsewhere() {
    check(&[
        (
            "a gap",
            "
            kept   9a 10a 11a
            scan               12a|13a
            known  9a
            ",
            "the scan does not stand on a recorded block, try from height 11",
        ),
        (
            "on a block of another branch",
            "
            kept   9a 10a 11a
            scan          11b|12b
            known  9a
            ",
            "the scan does not stand on a recorded block, try from height 10",
        ),
        (
            "on another finalized block",
            "
            kept   9a 10a 11a
            scan   9b|10b 11b
            known  9a
            ",
            "the reorg reaches height 9, below the finalized height 9",
        ),
        (
            "on another block than the first kept, and nothing is final",
            "
            kept   9a 10a 11a
            scan   9b|10b 11b
            ",
            "the scan does not stand on a recorded block, try from height 8",
        ),
        (
            "far below, and it reaches the recorded chain: a stretch that was read before others",
            "
            kept           9a 10a 11a
            scan   7a| 8a  9a 10a 11a 12a
            known          9a
            ",
            "orphaned -, added 12a, kept 9a 10a 11a 12a, final 9a",
        ),
        (
            "far below, and it reaches another block there",
            "
            kept           9a 10a 11a
            scan   7a| 8a  9b 10b
            known          9a
            ",
            "the reorg reaches height 9, below the finalized height 9",
        ),
        (
            "far below, and it reaches another block there, where nothing is final yet",
            "
            kept           9a 10a 11a
            scan   7a| 8a  9b 10b
            ",
            "the reorg reaches height 9, below the finalized height 9",
        ),
        (
            "far below, and it does not reach the recorded chain: nothing is known of it",
            "
            kept               9a 10a 11a
            scan   5a| 6a 7a
            known              9a
            ",
            "the scan does not stand on a recorded block, try from height 9",
        ),
    ]);
}

#[test]
fn a_scan_contradicts_itself() {
    check(&[
        (
            "a block names another parent",
            "
            kept   9a 10a
            scan      10a|11a 12a!
            known  9a
            ",
            "the scan contradicts itself at height 12",
        ),
        (
            "a height is left out",
            "
            kept   9a 10a
            scan      10a|12a
            known  9a
            ",
            "the scan contradicts itself at height 12",
        ),
        (
            "the finalized block is on a branch it does not show",
            "
            kept   9a 10a 11a
            scan          11a|12a
            known  9a
            final         11b
            ",
            "the finalized block at height 11 is not part of the scanned chain",
        ),
        (
            "the finalized block is another one than the last it shows",
            "
            kept   9a 10a
            scan      10a|11a 12a
            known  9a
            final             12b
            ",
            "the finalized block at height 12 is not part of the scanned chain",
        ),
        (
            "the finalized block is a recorded one that this branch leaves",
            "
            kept   9a 10a 11a
            scan      10a|11b 12b
            known  9a
            final         11a
            ",
            "the finalized block at height 11 is not part of the scanned chain",
        ),
    ]);
}

#[test]
fn a_transfer_sits_in_a_block_of_its_scan() {
    let (cursor, mut scan) = read("kept 9a 10a\n scan 10a|11a 12a\n known 9a");
    let account = Address([1; 20]);
    scan.transfers.push(Transfer {
        tx: TxHash([1; 32]),
        n: 0,
        log_index: 0,
        block: block("12a"),
        time: Time(0),
        token: account,
        from: account,
        to: account,
        raw: U256::ONE,
    });
    assert!(connect(&cursor, &scan, 3).is_ok());
    for (elsewhere, height) in [("12b", 12), ("10a", 10), ("13a", 13)] {
        scan.transfers[0].block = block(elsewhere);
        assert_eq!(connect(&cursor, &scan, 3), Err(ConnectError::Unlinked { height }));
    }
}

#[test]
fn the_safe_height_is_one_of_this_branch() {
    check(&[
        (
            "it rises",
            "
            kept   9a 10a 11a
            scan          11a|12a
            known  9a
            was-safe 10
            safe     11
            ",
            "orphaned -, added 12a, kept 9a 10a 11a 12a, final 9a, safe 11",
        ),
        (
            "a node that is behind does not lower it",
            "
            kept   9a 10a 11a
            scan          11a|12a
            known  9a
            was-safe 10
            safe      9
            ",
            "orphaned -, added 12a, kept 9a 10a 11a 12a, final 9a, safe 10",
        ),
        (
            "a reorg through it takes it along",
            "
            kept   9a 10a 11a
            scan   9a|10b 11b
            known  9a
            was-safe 11
            safe      9
            ",
            "orphaned 10a 11a, added 10b 11b, kept 9a 10b 11b, final 9a, safe 9",
        ),
        (
            "it covers what was read, not what is still to be read",
            "
            kept   9a 10a 11a
            scan          11a|12a
            known  9a
            safe     99
            ",
            "orphaned -, added 12a, kept 9a 10a 11a 12a, final 9a, safe 12",
        ),
        (
            "of what is recorded above the stretch that was read it says nothing",
            "
            kept   9a 10a 11a 12a
            scan   9a|10a
            known  9a
            safe             12
            ",
            "orphaned -, added -, kept 9a 10a 11a 12a, final 9a, safe 10",
        ),
    ]);
}

#[test]
fn the_time_of_the_newest_final_block() {
    let at = |picture: &str| {
        let (cursor, scan) = read(picture);
        final_time(&cursor, &scan).map(|time| time.0 / 1000)
    };
    // A kept block is final now.
    let picture = "
        kept   9a 10a 11a
        scan          11a|12a
        known  9a
        final         11a";
    assert_eq!(at(picture), Some(110));
    // One of the new blocks is.
    let picture = "
        kept   9a 10a
        scan      10a|11a 12a
        known  9a
        final             12a";
    assert_eq!(at(picture), Some(120));
    // The finalized block is above the stretch.
    let picture = "
        kept   9a 10a
        scan      10a|11a
        final                   50a";
    assert_eq!(at(picture), Some(110));
    // Blocks that this scan orphans say nothing, though their clocks were ahead.
    let picture = "
        kept   9a 10z 11z
        scan   9a|10b 11b
        known  9a
        final         11b";
    assert_eq!(at(picture), Some(111));
    // The scan shows lower blocks again: what was recorded above them still stands.
    let picture = "
        kept   9a 10a 11a 12a
        scan   9a|10a
        known  9a
        final         11a";
    assert_eq!(at(picture), Some(110));
    // It calls more final than it shows: that says nothing of what was recorded above.
    let picture = "
        kept   9a 10a 11a 12a
        scan   9a|10a
        known  9a
        final             20a";
    assert_eq!(at(picture), Some(100));
    // Nothing is final.
    assert_eq!(at("scan |0a 1a"), None);
    assert_eq!(at("scan 5a|6a\n final 4a"), None);
}

#[test]
fn kept_headers_are_found_by_height() {
    let (cursor, _) = read("kept 9a 10a 11a");
    assert_eq!(cursor.at(8), None);
    assert_eq!(cursor.at(10).map(|header| word(header.id)), Some("10a".to_owned()));
    assert_eq!(cursor.at(12), None);
    assert_eq!(Cursor::new(cursor.chain.clone()).at(0), None);
}

#[test]
fn a_block_is_recorded_or_below_all_that_is_kept() {
    let (cursor, _) = read("kept 9a 10a 11a");
    let holds = |text: &str| cursor.holds(block(text));
    assert_eq!((holds("10a"), holds("8b")), (Ok(()), Ok(())));
    let from = |try_height| Err(ConnectError::CannotConnect { try_height });
    assert_eq!((holds("10b"), holds("12a")), (from(9), from(11)));
    // Where nothing is recorded, genesis is not either.
    assert_eq!(Cursor::new(cursor.chain.clone()).holds(block("0a")), from(0));
}
