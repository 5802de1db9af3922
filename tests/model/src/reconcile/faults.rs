//! Every code is planted a hundred times, and found every time, with nothing beside it.

use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;
use payments::reconcile::{Code, FindingId, Report, compare};

use super::seeding::{PLANTS, Planted, Sides};
use super::sides;

/// How often each way is planted, and each code at least.
const TIMES: u32 = 100;
const STEPS: u64 = 150;
/// More histories than this are not tried.
const HISTORIES: u64 = 4_000;

/// Codes about the books alone: `reconcile verify` finds those.
fn is_of_the_books_alone(code: Code) -> bool {
    code.word().starts_with('I')
}

#[test]
fn everything_that_is_planted_is_found_and_nothing_else() {
    let mut ways: BTreeMap<&str, u32> = PLANTS.iter().map(|(name, _)| (*name, 0)).collect();
    let mut codes: BTreeMap<Code, u32> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let enough = |code: &&Code| {
            is_of_the_books_alone(**code) || codes.get(code).is_some_and(|times| *times >= TIMES)
        };
        if ways.values().all(|times| *times >= TIMES) && Code::ALL.iter().all(|c| enough(&c)) {
            break;
        }
        let Some((books, observed)) = sides(seed, STEPS, seed % 2 == 0, false) else { continue };
        let before = ids(&compare(&books, &observed));
        for (number, (name, plant)) in PLANTS.iter().enumerate() {
            let code_is_rare = |code: &Code| codes.get(code).is_none_or(|times| *times < TIMES);
            // Of one way to many codes each is wanted often.
            if ways[name] >= TIMES
                && !(*name == "an open case"
                    && Code::ALL
                        .iter()
                        .any(|code| !is_of_the_books_alone(*code) && code_is_rare(code)))
            {
                continue;
            }
            let random = Random::new(seed * 1_000 + number as u64);
            let mut sides = Sides { books: books.clone(), observed: observed.clone(), random };
            let Some(planted) = plant(&mut sides) else { continue };
            let report = compare(&sides.books, &sides.observed);
            check(&format!("seed {seed}, {name}"), &planted, &report, &before);
            *ways.get_mut(name).expect("a way") += 1;
            *codes.entry(planted.code).or_default() += 1;
        }
    }
    for (name, times) in ways {
        assert!(times >= TIMES, "{name} was planted {times} times");
    }
    for code in Code::ALL.iter().filter(|code| !is_of_the_books_alone(**code)) {
        let times = codes.get(code).copied().unwrap_or(0);
        assert!(times >= TIMES, "{} was planted {times} times", code.word());
    }
}

fn ids(report: &Report) -> BTreeSet<FindingId> {
    report.findings.iter().map(|finding| finding.id).collect()
}

fn check(place: &str, planted: &Planted, report: &Report, before: &BTreeSet<FindingId>) {
    let new: Vec<_> = report.findings.iter().filter(|f| !before.contains(&f.id)).collect();
    let wanted = |finding: &&&payments::reconcile::Finding| {
        finding.code == planted.code && planted.key.as_ref().is_none_or(|key| finding.key == *key)
    };
    let found = new.iter().filter(wanted).count();
    let told =
        || new.iter().map(|f| format!("{:?} {}: {}", f.code, f.key, f.what)).collect::<Vec<_>>();
    assert_eq!(found, 1, "{place}: {:?} {:?} in {:#?}", planted.code, planted.key, told());
    for finding in new.iter().filter(|finding| !wanted(finding)) {
        assert!(planted.beside.contains(&finding.code), "{place}: beside it {finding:?}");
    }
}
