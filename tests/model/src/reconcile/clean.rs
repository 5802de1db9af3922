//! Histories in which nothing is wrong.

use std::collections::BTreeSet;

use payments::amount::Usdt;
use payments::case::{Case, CaseId, Resolution};
use payments::chain::Transfer;
use payments::deposit::State;
use payments::name::ChainName;
use payments::reconcile::{Books, Code, Disposition, Finding, Observed, Seen, compare};

use super::sides;
use crate::nature::TOKEN;

/// Histories that are looked at, half of them in the middle of things.
const HISTORIES: u64 = 1_000;
const STEPS: u64 = 150;

/// What a history that keeps the rules may leave for a person, or for later.
const UNDECIDED: [Code; 10] = [
    Code::Unassigned,
    Code::Underpaid,
    Code::Overpaid,
    Code::Duplicate,
    Code::Late,
    Code::WrongNetwork,
    Code::WrongAsset,
    Code::Partial,
    Code::NotCredited,
    Code::ReversedAfterCredit,
];

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let mut found = BTreeSet::new();
    let mut deposits = 0usize;
    let mut looked = 0;
    for seed in 0.. {
        if looked == HISTORIES {
            break;
        }
        let calm = seed % 2 == 0;
        let Some((books, observed)) = sides(seed, STEPS, calm, seed % 4 < 2) else { continue };
        looked += 1;
        let report = compare(&books, &observed);
        let mut left = 0usize;
        for finding in &report.findings {
            if finding.code == Code::UnexplainedOutflow {
                left += usize::from(finding.case.is_none());
                continue;
            }
            assert!(UNDECIDED.contains(&finding.code), "seed {seed}: {finding:?}");
            found.insert(finding.code);
        }
        assert_eq!(left, outflows(&books, &observed), "seed {seed}");
        // As many lines as the books have undecided cases, and no case twice.
        let orders = books.orders.iter().flat_map(|dossier| &dossier.cases);
        let cases = orders.chain(&books.unassigned_cases);
        let open: BTreeSet<_> =
            cases.filter(|case| case.decision.is_none()).map(|case| case.id.clone()).collect();
        let told: BTreeSet<_> = report.findings.iter().filter_map(|f| f.case.clone()).collect();
        assert_eq!(told, open, "seed {seed}");
        // Only what was paused, or waits for what comes before it, is late without a case.
        let stuck = report.findings.iter().filter(|f| f.code == Code::NotCredited).count();
        assert!(!calm || stuck == 0, "seed {seed}: {stuck} deposits are stuck in a calm history");
        // Every deposit has one disposition.
        let known = books.orders.iter().flat_map(|dossier| &dossier.deposits);
        let known = known.chain(&books.unassigned).filter(|deposit| deposit.assigned.is_none());
        let known: Vec<_> = known.collect();
        assert_eq!(report.lines.len(), known.len(), "seed {seed}");
        deposits += known.len();
        for line in &report.lines {
            let mut states = known
                .iter()
                .filter(|deposit| deposit.id == line.deposit && deposit.order == line.order);
            let state = states.next().expect("a line is of a deposit").state;
            let fits = match line.disposition {
                Disposition::Credited => state == State::Credited,
                Disposition::Waiting => state == State::Confirmed,
                Disposition::Case(kind) => state == State::Suspended(kind),
                Disposition::Dust => state == State::Dust,
                Disposition::Orphaned => state == State::Orphaned,
                Disposition::Reversed => state == State::Reversed,
                Disposition::Timing => state == State::Pending,
                Disposition::Discrepant(code) => code == Code::NotCredited,
                Disposition::Refunded => matches!(state, State::Refunding | State::Refunded),
                Disposition::Decided => {
                    matches!(state, State::Granted | State::Reassigned | State::Dismissed)
                }
                Disposition::Outside => false,
            };
            assert!(fits, "seed {seed}: {line:?} is {state:?}");
        }
        assert_eq!(report, compare(&books, &observed), "seed {seed}");
    }
    assert!(deposits > 10_000, "{deposits} deposits prove little");
    assert!(found.len() >= 9, "of what may be found only {found:?} was");
}

/// How often money left an address of ours and is not booked yet: a chain is paused, or what came
/// before it was not shown; and no open case asks about it.
fn outflows(books: &Books, observed: &Observed) -> usize {
    let keys = books.unassigned_journals.iter().map(|journal| journal.key.as_str());
    let keys: BTreeSet<&str> = keys.collect();
    // What is recorded and not booked, and asked about, is found with its case.
    let cases = books.orders.iter().flat_map(|dossier| &dossier.cases);
    let cases = cases.chain(&books.unassigned_cases).filter(|case| case.decision.is_none());
    let cases: BTreeSet<&CaseId> = cases.map(|case| &case.id).collect();
    let asked = books.outflows.iter().filter(|outflow| cases.contains(&outflow.case()));
    let asked: BTreeSet<String> = asked.map(|outflow| outflow.id.to_string()).collect();
    let of_chain = |(name, seen): (&ChainName, &Seen)| {
        let left = |t: &&Transfer| seen.ours.contains(&t.from) && t.from != t.to;
        let decimals = books.frame.rules[name].decimals;
        let micro = |t: &Transfer| Usdt::from_raw(t.raw, decimals).map_or(0, Usdt::micro);
        let moved = |t: &&Transfer| micro(t) > 0 && t.token == TOKEN;
        let open = |t: &&Transfer| {
            let base = format!("sweep:{name}:{}:{}", t.tx, t.n);
            let rounds = (2..9).map(|round| format!("{base}#{round}"));
            let booked = rounds.chain([base.clone()]).any(|key| keys.contains(key.as_str()));
            !booked && !asked.contains(&format!("{name}:{}:{}", t.tx, t.n))
        };
        seen.transfers.iter().filter(left).filter(moved).filter(open).count()
    };
    observed.chains.iter().map(of_chain).sum()
}

/// Read from a later height on, as the daemon does every hour: what came and what left below it is
/// known by the books.
#[test]
fn nothing_is_found_in_the_upper_part_of_what_is_right() {
    let (mut came, mut left) = (0usize, 0usize);
    for seed in (0..300).step_by(2) {
        let Some((books, mut observed)) = sides(seed, STEPS, true, false) else { continue };
        for seen in observed.chains.values_mut() {
            seen.from = seen.cut.height.div_ceil(2);
            let below = |t: &&Transfer| t.block.height < seen.from && t.token == TOKEN;
            let below: Vec<_> = seen.transfers.iter().filter(below).collect();
            came += below.iter().filter(|t| seen.ours.contains(&t.to)).count();
            left += below.iter().filter(|t| seen.ours.contains(&t.from) && t.to != t.from).count();
            seen.transfers.retain(|transfer| transfer.block.height >= seen.from);
        }
        let report = compare(&books, &observed);
        for finding in &report.findings {
            let left = finding.code == Code::UnexplainedOutflow;
            assert!(left || UNDECIDED.contains(&finding.code), "seed {seed}: {finding:?}");
        }
    }
    assert!(came > 1_000 && left > 100, "{came} came and {left} left below: that proves little");
}

/// Where people decided, what is held may move from one order to another: the sum is known.
#[test]
fn what_open_cases_hold_is_compared_where_people_decided() {
    let mut planted = 0;
    for seed in (0..400).filter(|seed| seed % 4 < 2) {
        let Some((mut books, observed)) = sides(seed, STEPS, seed % 2 == 0, true) else { continue };
        let before = compare(&books, &observed).codes();
        assert_eq!(before.get(&Code::SuspenseDiffers), None, "seed {seed}");
        let decided = |case: &Case| {
            let taken = case.decision.as_ref().map(|taken| &taken.resolution);
            taken.is_some_and(|taken| *taken != Resolution::Itself)
        };
        let open = |case: &Case| case.decision.is_none() && !case.amount.is_zero();
        let mut orders = books.orders.iter_mut().map(|dossier| &mut dossier.cases);
        let both = |cases: &&mut Vec<Case>| cases.iter().any(decided) && cases.iter().any(open);
        let Some(cases) = orders.find(both) else { continue };
        let case = cases.iter_mut().find(|case| open(case)).expect("an open one");
        case.amount = Usdt::from_micro(case.amount.micro() + 1).expect("in range");
        let key = format!("suspense:{}:{}:decided", case.kind.word(), case.chain);
        let report = compare(&books, &observed);
        let found = |f: &&Finding| f.code == Code::SuspenseDiffers && f.key == key;
        let found: Vec<_> = report.findings.iter().filter(found).collect();
        assert_eq!(found.len(), 1, "seed {seed}: {key}");
        assert_eq!(found[0].amount, 1, "seed {seed}");
        planted += 1;
    }
    assert!(planted >= 20, "{planted} cases prove little");
}
