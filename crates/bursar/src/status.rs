//! `bursar status`: how everything is, on one screen.
//!
//! In: the books, a short look at each endpoint. Out: heights, lag, what waits, the last proof.
//! Never: a change; a wait for an endpoint beyond its deadline. Why: the first thing typed when
//! somebody calls.

use futures_util::future::join_all;
use payments::chain::Cursor;
use payments::name::ChainName;
use payments::time::Time;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::config::Chain;
use crate::error::Error;
use crate::node::Node;
use crate::open::Opened;
use crate::output::{Output, table};
use crate::recorded::Silence;

/// More open cases than this are not counted, and said to be more.
const MOST_CASES: u32 = 10_000;

/// What one endpoint says.
struct Seen {
    chain: ChainName,
    endpoint: String,
    /// Its tip and its final height, or why it says nothing.
    heights: Result<(u64, u64), String>,
}

/// A chain as it is recorded, and whether that is long ago.
type Told<'a> = (&'a Cursor, Option<Silence>);

/// Shows it.
///
/// # Errors
/// When the database fails; an endpoint that does is shown.
pub async fn run(opened: &Opened, output: Output) -> Result<(), Error> {
    let store = &opened.books.store;
    let now = opened.books.clock.now();
    let mut cursors = Vec::new();
    for name in opened.config.chains.keys() {
        cursors.push(store.cursor(name).await?);
    }
    let seen = join_all(opened.config.chains.iter().map(|(name, chain)| look(name, chain))).await;
    let seen: Vec<Seen> = seen.into_iter().flatten().collect();
    let cases = store.cases(true, 0, MOST_CASES.saturating_add(1)).await?.len();
    let most = usize::try_from(MOST_CASES).unwrap_or(usize::MAX);
    let (cases, is_more) = (cases.min(most), cases > most);
    let silences = cursors.iter().map(|cursor| opened.view.silence(cursor));
    let cursors: Vec<Told> = cursors.iter().zip(silences).collect();
    let discrepancies = store.discrepancies(true).await?.len();
    let last = store.last_run().await?;
    let value = json!({
        "chains": cursors.iter().map(|told| chain_json(told, &seen)).collect::<Vec<_>>(),
        "open_cases": cases,
        "more_open_cases": is_more,
        "open_discrepancies": discrepancies,
        "last_reconcile": last.as_ref().map(|run| json!({
            "run": run.seq,
            "ended": run.ended.map(rfc3339),
            "as_of": run.as_of.map(rfc3339),
            "age_seconds": run.ended.map(|ended| age(now, ended)),
            "exit": run.code,
        })),
    });
    output.print(&value, || {
        let mut out = chains_text(&cursors, &seen);
        out.push('\n');
        out.push_str(&endpoints_text(&cursors, &seen));
        let more = if is_more { "more than " } else { "" };
        out.push_str(&format!("\nopen cases          {more}{cases}\n"));
        out.push_str(&format!("open discrepancies  {discrepancies}\n"));
        out.push_str(&match last.as_ref().and_then(|run| Some((run, run.ended?))) {
            None => "last reconcile      never\n".to_owned(),
            Some((run, ended)) => format!(
                "last reconcile      run {}, {} ago, exit {}, as of {}\n",
                run.seq,
                humantime::format_duration(std::time::Duration::from_secs(age(now, ended))),
                run.code.map_or_else(|| "?".to_owned(), |code| code.to_string()),
                run.as_of.map_or_else(|| "nothing".to_owned(), rfc3339),
            ),
        });
        out
    })
}

/// Whole seconds since `then`.
fn age(now: Time, then: Time) -> u64 {
    let millis = now.0.saturating_sub(then.0).max(0);
    u64::try_from(millis).unwrap_or(0).checked_div(1_000).unwrap_or(0)
}

async fn look(name: &ChainName, chain: &Chain) -> Vec<Seen> {
    let each = chain.node.each().into_iter().map(|(endpoint, node)| async move {
        let asked = async {
            let node = Node::connect(node).await?;
            node.newest_final().await
        };
        let heights = match asked.await {
            Ok(Some((header, tip))) => Ok((tip, header.id.height)),
            Ok(None) => Err("nothing is final yet".to_owned()),
            Err(error) => Err(Error::chain(name, error).line()),
        };
        Seen { chain: name.clone(), endpoint, heights }
    });
    join_all(each).await
}

/// The highest tip that an endpoint of a chain has.
fn tip(chain: &ChainName, seen: &[Seen]) -> Option<u64> {
    let of_chain = seen.iter().filter(|one| one.chain == *chain);
    of_chain.filter_map(|one| one.heights.as_ref().ok().map(|(tip, _)| *tip)).max()
}

/// Blocks that are there and not recorded.
fn lag(cursor: &Cursor, seen: &[Seen]) -> Option<u64> {
    Some(tip(&cursor.chain, seen)?.saturating_sub(cursor.last()?.id.height))
}

fn standing((cursor, silence): &Told) -> String {
    let marked = match (&cursor.paused, &cursor.stalled) {
        (Some(why), _) => format!("paused: {why}"),
        (None, Some(why)) => format!("stalled: {why}"),
        (None, None) if cursor.kept.is_empty() => "not begun".to_owned(),
        (None, None) if silence.is_some() => "silent".to_owned(),
        (None, None) => "watched".to_owned(),
    };
    match silence {
        // What the reasons are told behind is told behind a colon once.
        Some(silence) if marked == "silent" => format!("{marked}: {}", silence.words()),
        Some(silence) => format!("{marked}; {}", silence.words()),
        None => marked,
    }
}

fn chain_json(told: &Told, seen: &[Seen]) -> Value {
    let (cursor, silence) = told;
    let endpoints = seen.iter().filter(|one| one.chain == cursor.chain).map(|one| {
        let (heights, why) = match &one.heights {
            Ok(heights) => (Some(*heights), None),
            Err(why) => (None, Some(why.clone())),
        };
        let (tip, finalized) = heights.unzip();
        json!({ "name": one.endpoint, "tip": tip, "finalized": finalized, "why": why })
    });
    json!({
        "chain": cursor.chain.as_str(),
        "standing": standing(told),
        "silent": silence.map(Silence::json),
        "recorded": cursor.last().map(|header| header.id.height),
        "finalized": cursor.finalized.map(|block| block.height),
        "lag": lag(cursor, seen),
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

fn number(height: Option<u64>) -> String {
    height.map_or_else(|| "-".to_owned(), |height| height.to_string())
}

fn chains_text(cursors: &[Told], seen: &[Seen]) -> String {
    let rows = cursors.iter().map(|told| {
        let (cursor, _) = told;
        vec![
            cursor.chain.to_string(),
            number(cursor.last().map(|header| header.id.height)),
            number(cursor.finalized.map(|block| block.height)),
            number(lag(cursor, seen)),
            standing(told),
        ]
    });
    let rows: Vec<_> = rows.collect();
    table(&["CHAIN", "RECORDED", "FINAL", "BLOCKS BEHIND", "STANDING"], &rows)
}

fn endpoints_text(cursors: &[Told], seen: &[Seen]) -> String {
    let mut rows = Vec::new();
    for (cursor, _) in cursors {
        for one in seen.iter().filter(|one| one.chain == cursor.chain) {
            let (tip, finalized) = one.heights.as_ref().ok().copied().unzip();
            let why = one.heights.as_ref().err().cloned().unwrap_or_else(|| "answers".to_owned());
            let name = one.endpoint.clone();
            rows.push(vec![cursor.chain.to_string(), name, number(tip), number(finalized), why]);
        }
    }
    table(&["CHAIN", "ENDPOINT", "TIP", "FINAL", ""], &rows)
}
