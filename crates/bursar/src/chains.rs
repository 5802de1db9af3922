//! `bursar chain …`: how far each chain is known, and the hand brake.
//!
//! In: the books. Out: heights and marks; a pause or its end, with who and why, as an event.
//! Never: a node asked; a mark without a reason. Why: when something is wrong with a chain,
//! crediting must stop at once, and whoever lets it go on must be known.

use payments::Update;
use payments::amount::Usdt;
use payments::case::is_unseen;
use payments::chain::Cursor;
use payments::name::ChainName;
use payments::notice::Standing;
use payments::time::Time;
use serde_json::{Value, json};
use store::point;

use crate::adopt;
use crate::cli::{ChainCommand, ChainMark, ChainResume};
use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::notices;
use crate::open::Opened;
use crate::output::{Output, table};
use crate::recorded::Silence;

/// A reason may not be longer, in bytes.
const LONGEST: usize = 500;

/// Does what was asked of a chain.
///
/// # Errors
/// Exit 2 where the chain is not configured, or is already as it is wanted.
pub async fn run(opened: &Opened, command: &ChainCommand, output: Output) -> Result<(), Error> {
    match command {
        ChainCommand::Show { name } => show(opened, name.as_deref(), output).await,
        ChainCommand::Pause(mark) => pause(opened, mark, output).await,
        ChainCommand::Resume(mark) => resume(opened, mark, output).await,
    }
}

async fn show(opened: &Opened, name: Option<&str>, output: Output) -> Result<(), Error> {
    let only = name.map(|name| opened.config.chain(name)).transpose()?;
    let only = only.map(|(name, _)| name);
    let mut cursors = Vec::new();
    for name in opened.config.chains.keys().filter(|name| only.is_none_or(|only| only == *name)) {
        let standing = notices::standing(opened, name).await?;
        cursors.push((opened.books.store.cursor(name).await?, standing));
    }
    let now = opened.books.clock.now();
    let view = &opened.view;
    let shown = cursors.iter().map(|(cursor, standing)| {
        let rules = opened.config.chains.get(&cursor.chain).map(|chain| &chain.rules);
        let ceiling = rules.and_then(|rules| rules.bounds.hourly_credits);
        let silence = view.silence(cursor);
        let mut shown = as_json(cursor, silence, ceiling, now);
        if let Value::Object(fields) = &mut shown {
            fields.insert("token".to_owned(), notices::standing_json(view, standing));
        }
        shown
    });
    let value = json!({ "chains": shown.collect::<Vec<_>>() });
    output.print(&value, || {
        let header = ["chain", "recorded", "block time", "finalized", "state", "why"];
        let row = |(cursor, standing): &(Cursor, Standing)| {
            let token = notices::words(&opened.config, standing);
            row(cursor, view.silence(cursor), &token)
        };
        table(&header, &cursors.iter().map(row).collect::<Vec<_>>())
    })
}

async fn pause(opened: &Opened, mark: &ChainMark, output: Output) -> Result<(), Error> {
    let (name, by, why) = read(opened, mark)?;
    if let Some(why) = opened.books.store.cursor(&name).await?.paused {
        return Err(input("chain", format!("{name} is paused already: {why}")));
    }
    let why = format!("{by}: {why}");
    opened.books.record(&Update::Pause { chain: name.clone(), why }).await?;
    point!("pause.recorded");
    show(opened, Some(name.as_str()), output).await
}

async fn resume(opened: &Opened, asked: &ChainResume, output: Output) -> Result<(), Error> {
    let (name, by, why) = read(opened, &asked.mark)?;
    if opened.books.store.cursor(&name).await?.paused.is_none() {
        return Err(input("chain", format!("{name} is not paused")));
    }
    if let Some(named) = &asked.adopt {
        let adopted = (named.as_str(), asked.from);
        let (text, value) = adopt::adopt(opened, &name, adopted, (by, why)).await?;
        return output.print(&value, || text);
    }
    opened.books.record(&Update::Resume { chain: name.clone(), by, why }).await?;
    point!("resume.recorded");
    show(opened, Some(name.as_str()), output).await
}

/// The chain, who, and why.
fn read(opened: &Opened, mark: &ChainMark) -> Result<(ChainName, String, String), Error> {
    let (name, _) = opened.config.chain(&mark.name)?;
    let by = words("--by", &mark.by)?;
    Ok((name.clone(), by, words("--why", &mark.why)?))
}

/// A text that people will read in a log, on one line.
pub(crate) fn words(field: &str, text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(input(field, format!("must be 1 to {LONGEST} bytes on one line")));
    }
    // Two names that look the same are one person's. A name may be spelled with joiners, and with
    // the form of a letter (Unicode 16.0, 23.2 and 23.4); they make no other name.
    let spells =
        |letter: char| matches!(letter, '\u{200c}' | '\u{200d}' | '\u{e0100}'..='\u{e01ef}');
    let hides = |letter: &char| field == "--by" && is_unseen(*letter) && !spells(*letter);
    if let Some(letter) = text.chars().find(hides) {
        let why = format!("holds U+{:04X}, which nobody sees; type the name", u32::from(letter));
        return Err(input(field, why));
    }
    Ok(text.to_owned())
}

/// Why nothing is credited, or nothing read.
fn state(cursor: &Cursor, silence: Option<Silence>) -> (&'static str, &str) {
    match (&cursor.paused, &cursor.stalled) {
        (Some(why), _) => ("paused", why),
        (None, Some(why)) => ("stalled", why),
        (None, None) if cursor.kept.is_empty() => ("new", "nothing is recorded yet"),
        (None, None) if silence.is_some() => ("silent", ""),
        (None, None) => ("good", ""),
    }
}

fn as_json(cursor: &Cursor, silence: Option<Silence>, ceiling: Option<Usdt>, now: Time) -> Value {
    let last = cursor.last();
    let credited = i64::try_from(cursor.recent.credited.sum(now)).ok().and_then(Usdt::from_micro);
    json!({
        "chain": cursor.chain.as_str(),
        "height": last.map(|header| header.id.height),
        "hash": last.map(|header| header.id.hash.to_string()),
        "block_time": last.map(|header| rfc3339(header.time)),
        "finalized": cursor.finalized.map(|id| id.height),
        "safe": cursor.safe,
        "state": state(cursor, silence).0,
        "silent": silence.map(Silence::json),
        "credited_within_the_hour": credited.unwrap_or(Usdt::MAX).to_string(),
        "hourly_credit_ceiling": ceiling.map(|ceiling| ceiling.to_string()),
        "other_tokens_unrecorded": cursor.recent.unrecorded.sum(now),
        "paused": cursor.paused,
        "stalled": cursor.stalled,
    })
}

fn row(cursor: &Cursor, silence: Option<Silence>, token: &str) -> Vec<String> {
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let last = cursor.last();
    let (state, why) = state(cursor, silence);
    let silent = silence.map(Silence::words).unwrap_or_default();
    vec![
        cursor.chain.to_string(),
        number(last.map(|header| header.id.height)),
        last.map_or_else(|| "-".to_owned(), |header| rfc3339(header.time)),
        number(cursor.finalized.map(|id| id.height)),
        state.to_owned(),
        [why, &silent, token]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
    ]
}
