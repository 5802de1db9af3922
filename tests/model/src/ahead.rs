//! What is decided while the books still write the stretch before is what is decided after it.
//!
//! In: histories, played one update after the other. Out: nothing, or the seed and the update that
//! a plan made ahead decided otherwise.
//! Why: a deposit that both plans record, or neither, is the one mistake that cannot be had back.

use payments::ahead::Ahead;
use payments::changes::{Changes, Rules};
use payments::time::Time;
use payments::{Update, plan};

use crate::memory::Memory;

/// How often a plan was made ahead, and of those, how often with a deposit to be recorded.
#[derive(Debug, Default)]
struct Count {
    foreseen: usize,
    recording: usize,
    not: usize,
}

/// The books before the last commit, and what it was.
struct Last {
    before: Memory,
    changes: Changes,
}

fn play(seed: u64, steps: u64, count: &mut Count) {
    let (rules, pool, diary) = crate::diary(seed, steps, false);
    let mut books = Memory::new();
    books.import(&pool);
    let mut last: Option<Last> = None;
    for (at, (update, now)) in diary.iter().enumerate() {
        if let Some(last) = &last {
            compare(&rules, &books, last, (update, *now), count)
                .unwrap_or_else(|why| panic!("seed {seed}, update {at}: {why}"));
        }
        last = None;
        let Ok(changes) = plan(&rules, &books.snapshot(update), update, *now) else { continue };
        let before = books.clone();
        if books.commit(&changes).is_ok() {
            last = Some(Last { before, changes });
        }
    }
}

fn compare(
    rules: &Rules,
    books: &Memory,
    last: &Last,
    (update, now): (&Update, Time),
    count: &mut Count,
) -> Result<(), String> {
    let Update::Scan(scan) = update else { return Ok(()) };
    let Some(ahead) = Ahead::of(&last.changes) else { return Ok(()) };
    if ahead.cursor().chain != scan.chain {
        return Ok(());
    }
    let Some(foreseen) = ahead.foresee(scan, last.before.snapshot(update)) else {
        count.not += 1;
        return Ok(());
    };
    let (early, late) =
        (plan(rules, &foreseen, update, now), plan(rules, &books.snapshot(update), update, now));
    count.foreseen += 1;
    count.recording += usize::from(early.as_ref().is_ok_and(|made| !made.recorded.is_empty()));
    if early == late { Ok(()) } else { Err(format!("{early:#?}\nis not\n{late:#?}")) }
}

#[test]
fn what_is_planned_ahead_is_what_would_be_planned_after() {
    let mut count = Count::default();
    for seed in 0..200 {
        play(seed, 300, &mut count);
    }
    assert!(count.foreseen > 500 && count.recording > 100 && count.not > 100, "{count:?}");
}
