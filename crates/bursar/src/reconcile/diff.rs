//! Runs, and what changed from one to another.
//!
//! In: the numbers of two runs. Out: what is new, what is over, what got worse.
//! Never: "over" for what the later run did not look at. Why: yesterday's list is known; finance
//! reads what is new in today's.

use std::collections::BTreeMap;

use payments::reconcile::FindingId;
use serde_json::{Value, json};
use store::{Run, Sighting};

use super::print::short;
use crate::clock::rfc3339;
use crate::error::{Error, INCOMPLETE, input};
use crate::open::Opened;
use crate::output::{Output, table};
use crate::view::micro;

/// `bursar reconcile runs`
pub(super) async fn runs(opened: &Opened, limit: u32, output: Output) -> Result<(), Error> {
    let runs = opened.books.store.runs(limit).await?;
    let values: Vec<Value> = runs.iter().map(value).collect();
    output.print(&json!(values), || {
        if runs.is_empty() {
            return "No runs.".to_owned();
        }
        let row = |run: &Run| {
            vec![
                run.seq.to_string(),
                rfc3339(run.began),
                run.as_of.map_or_else(|| "-".to_owned(), rfc3339),
                run.code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
                scope(run),
            ]
        };
        let rows: Vec<_> = runs.iter().map(row).collect();
        table(&["RUN", "BEGAN", "AS OF", "EXIT", "LOOKED AT"], &rows)
    })
}

/// `bursar reconcile diff RUN1 RUN2`
pub(super) async fn diff(
    opened: &Opened,
    (one, other): (u64, u64),
    output: Output,
) -> Result<(), Error> {
    let (one, before) = found(opened, "RUN1", one).await?;
    let (other, after) = found(opened, "RUN2", other).await?;
    if one.seq >= other.seq {
        return Err(input("RUN2", "must be later than RUN1"));
    }
    let new: Vec<&Sighting> =
        after.values().filter(|found| !before.contains_key(&found.id)).collect();
    let over: Vec<&Sighting> =
        before.values().filter(|found| !after.contains_key(&found.id)).collect();
    let pairs = after.values().filter_map(|now| Some((before.get(&now.id)?, now)));
    let differs = |(then, now): &(&Sighting, &Sighting)| {
        (then.severity, then.amount, &then.what) != (now.severity, now.amount, &now.what)
    };
    let (changed, same): (Vec<_>, Vec<_>) = pairs.partition(differs);
    // What a run did not look at is not over.
    let partial = Scope::of(&other).is_partial() || other.code == Some(INCOMPLETE);
    let list = |found: &[&Sighting]| found.iter().map(|found| sighting(found)).collect::<Value>();
    let value = json!({
        "from": value(&one),
        "to": value(&other),
        "new": list(&new),
        "over": list(if partial { &[] } else { &over }),
        "not_looked_at": list(if partial { &over } else { &[] }),
        "changed": changed
            .iter()
            .map(|(then, now)| json!({ "before": sighting(then), "after": sighting(now) }))
            .collect::<Vec<_>>(),
        "same": same.len(),
    });
    output.print(&value, || {
        let mut out = format!("{}\n{}\n", line(&one), line(&other));
        let gone = if partial { "Not found again, by a run that looked at a part" } else { "Over" };
        for (title, found) in [("New", &new), (gone, &over)] {
            section(title, found.len(), found.iter().map(|found| row(found)).collect(), &mut out);
        }
        let rows = changed.iter().map(|(then, now)| {
            let mut row = row(now);
            row.push(format!("was {} {}", then.severity.word(), micro(then.amount)));
            row
        });
        section("Changed", changed.len(), rows.collect(), &mut out);
        out.push_str(&format!("\nThe same in both: {}\n", same.len()));
        out
    })
}

async fn found(
    opened: &Opened,
    field: &str,
    number: u64,
) -> Result<(Run, BTreeMap<FindingId, Sighting>), Error> {
    let store = &opened.books.store;
    let run = store.run_of(number).await?;
    let run = run.ok_or_else(|| input(field, format!("there is no run {number}")))?;
    if run.ended.is_none() {
        return Err(input(field, format!("run {number} has not ended")));
    }
    let found = store.found_by(number).await?;
    Ok((run, found.into_iter().map(|found| (found.id, found)).collect()))
}

fn section(title: &str, count: usize, rows: Vec<Vec<String>>, out: &mut String) {
    out.push_str(&format!("\n{title}: {count}\n"));
    if !rows.is_empty() {
        out.push_str(&table(&["ID", "CODE", "SEVERITY", "AMOUNT", "KEY", ""], &rows));
    }
}

fn row(found: &Sighting) -> Vec<String> {
    vec![
        short(&found.id),
        format!("{} {}", found.code.word(), found.code.name()),
        found.severity.word().to_owned(),
        micro(found.amount),
        found.key.clone(),
    ]
}

fn line(run: &Run) -> String {
    let as_of = run.as_of.map_or_else(|| "nothing".to_owned(), rfc3339);
    let code = run.code.map_or_else(|| "?".to_owned(), |code| code.to_string());
    format!("Run {} as of {as_of}, exit {code}, {}", run.seq, scope(run))
}

/// What a run was asked to look at.
struct Scope {
    light: bool,
    /// Options and their values.
    parts: Vec<(&'static str, String)>,
}

impl Scope {
    fn of(run: &Run) -> Self {
        let options: Value = serde_json::from_str(&run.options).unwrap_or_default();
        let text = |name: &'static str| Some((name, options.get(name)?.as_str()?.to_owned()));
        let light = options.get("light").and_then(Value::as_bool).unwrap_or(false);
        Self {
            light,
            parts: ["chain", "from", "to", "second"].into_iter().filter_map(text).collect(),
        }
    }

    /// Whether it did not look at everything.
    fn is_partial(&self) -> bool {
        self.light || self.parts.iter().any(|(name, _)| *name != "second")
    }
}

fn scope(run: &Run) -> String {
    let scope = Scope::of(run);
    if scope.light {
        return "what was new".to_owned();
    }
    let words: Vec<String> =
        scope.parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if words.is_empty() { "everything".to_owned() } else { words.join(", ") }
}

fn value(run: &Run) -> Value {
    let summary = run.summary.as_deref().and_then(|text| serde_json::from_str(text).ok());
    json!({
        "run": run.seq,
        "began": rfc3339(run.began),
        "ended": run.ended.map(rfc3339),
        "as_of": run.as_of.map(rfc3339),
        "exit": run.code,
        "looked_at": scope(run),
        "summary": summary.unwrap_or(Value::Null),
    })
}

fn sighting(found: &Sighting) -> Value {
    json!({
        "id": found.id.to_string(),
        "code": found.code.word(),
        "name": found.code.name(),
        "severity": found.severity.word(),
        "amount": micro(found.amount),
        "key": found.key,
        "what": found.what,
    })
}
