//! What a proof report says and nothing was compared with.
//!
//! In: a report, and what the books told beside it where there were some. Out: its fields, by name.
//! Never: a field left out because it is likely to be right. Why: what is only said is as good as
//! who says it.

use payments::case::is_unseen;

use super::books::Told;
use super::report::{Chain, Count, Report};
use crate::verify::NOT_PROVED;

/// Characters that are shown of one field.
const LONGEST: usize = 500;

/// A field, and its value in a few words.
pub(super) type Said = (&'static str, String);

/// The fields that only the report vouches for.
pub(super) fn said(report: &Report, told: Option<&Told>) -> Vec<Said> {
    let as_of = &report.as_of;
    let mut said = vec![
        ("version", report.version.clone()),
        ("config_sha256", report.config_sha256.clone()),
        ("as_of.chains", listed(as_of.chains.iter().map(chain))),
        ("codes", listed(report.codes.iter().map(count))),
    ];
    if !report.not_proved.iter().eq(NOT_PROVED) {
        said.push(("not_proved", "another list than below".to_owned()));
    }
    match told {
        None => said.extend(without_books(report)),
        Some(Told { events: (least, most), .. }) => {
            if least != most {
                let said_events = format!("{}; {least} to {most} are possible", as_of.events);
                said.push(("as_of.events", said_events));
            }
            if report.reconciled.is_none() {
                said.push(("reconciled", "never".to_owned()));
            }
        }
    }
    said.sort_unstable();
    for (_, value) in &mut said {
        *value = plain(value);
    }
    said
}

/// A text of the report as a terminal may be shown it: whoever wrote the report chose its letters,
/// and some of them move what stands above.
pub(super) fn plain(text: &str) -> String {
    let cleaned = text.chars().map(|letter| if is_unseen(letter) { '\u{fffd}' } else { letter });
    let mut shown: String = cleaned.clone().take(LONGEST).collect();
    if cleaned.count() > LONGEST {
        shown.push('…');
    }
    shown
}

/// Sums that agree with each other, and paths that lead to a root, may be those of any books.
fn without_books(report: &Report) -> Vec<Said> {
    let as_of = &report.as_of;
    let recorded_at = as_of.recorded_at.clone();
    let lines = |number: usize| format!("{number} lines");
    vec![
        ("as_of.journals", as_of.journals.to_string()),
        ("as_of.log_root", as_of.log_root.clone()),
        ("as_of.events", as_of.events.to_string()),
        ("as_of.first_journal", as_of.first_journal.to_string()),
        ("as_of.recorded_at", recorded_at.unwrap_or_else(|| "never".to_owned())),
        ("accounts", lines(report.accounts.len())),
        ("settled_orders", lines(report.settled_orders.len())),
        ("custody", lines(report.custody.len())),
        ("liabilities", lines(report.liabilities.len())),
        (
            "reconciled",
            report.reconciled.as_ref().map_or_else(
                || "never".to_owned(),
                |run| format!("run {}, exit {}", run.run, run.exit),
            ),
        ),
    ]
}

fn chain(chain: &Chain) -> String {
    let number = |height: Option<u64>| height.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let (height, finalized) = (number(chain.height), number(chain.finalized_height));
    format!("{} {height} (final {finalized})", chain.chain)
}

fn count(count: &Count) -> String {
    format!("{} {} times", count.code, count.found)
}

fn listed(each: impl Iterator<Item = String>) -> String {
    let each: Vec<String> = each.collect();
    if each.is_empty() { "none".to_owned() } else { each.join(", ") }
}
