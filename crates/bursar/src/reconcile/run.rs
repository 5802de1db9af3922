//! One run: gather, compare, remember, print, and end with the right code.
//!
//! In: what was asked. Out: a report; what it found, remembered.
//! Never: two runs at once; a run remembered that was not ended.
//! Why: the order of these steps is what makes a killed run harmless.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};

use futures_util::future::try_join_all;
use payments::chain::{BlockHash, Cursor, TxHash};
use payments::name::ChainName;
use payments::reconcile::{Finding, FindingId, Observed, Report, Seen, Severity};
use payments::time::Time;
use serde_json::json;
use store::{Discrepancy, Ended, Mark, WatchState};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use super::gather::{Bounds, Gather, Keep};
use super::options::{Format, Run};
use super::repair::{Repaired, repair};
use super::{matching, print};
use crate::clock::SKEW;
use crate::config::{self, Chain};
use crate::error::{Error, INCOMPLETE, input};
use crate::node::Node;
use crate::open::Opened;
use crate::output::Output;
use crate::rescan::height_at;

/// What is to be looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Only this chain.
    pub(super) chain: Option<ChainName>,
    /// From this height or time on.
    pub(super) from: Option<String>,
    /// Up to this height or time.
    pub(super) to: Option<String>,
    /// Another endpoint.
    pub(super) second: Option<String>,
    /// Whether it is the daemon's own look, which may be taken while it catches up.
    pub(super) light: bool,
    /// From one above these heights on, where nothing else is said.
    pub(super) above: BTreeMap<ChainName, u64>,
    /// The run that evidence is kept for.
    pub(super) run: Option<u64>,
}

/// `bursar reconcile`
pub(super) async fn run(
    opened: &Opened,
    options: &Run,
    output: Output,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let mut repaired = Repaired::default();
    let done = tokio::select! {
        biased;
        () = told(stopped) => {
            Err(Error::Exit { code: INCOMPLETE, why: "stopped before its end".to_owned() })
        }
        done = whole(opened, options, output, &mut repaired) => done,
    };
    // What was ingested stays, so it is told whatever came after it.
    repaired.told.iter().for_each(|line| say(&format!("{line}\n")));
    done.map_err(internal)
}

/// What is neither an answer nor a mistake of whoever typed it.
pub(super) fn internal(error: Error) -> Error {
    match error {
        Error::Exit { .. } => error,
        error if error.exit_code() == 2 => error,
        error => Error::Exit { code: 70, why: error.line() },
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The whole of it; what was repaired is left in `repaired` where the report does not tell it.
async fn whole(
    opened: &Opened,
    options: &Run,
    output: Output,
    repaired: &mut Repaired,
) -> Result<(), Error> {
    possible(options.from.as_deref(), options.to.as_deref())?;
    let store = &opened.books.store;
    let Some(lock) = store.lock_runs().await? else {
        let why = "another run holds the lock; wait for its end".to_owned();
        return Err(Error::Exit { code: 5, why });
    };
    let (asked, described) = asked(opened, options).await?;
    let folder = options.out.as_deref().map(print::Folder::begin).transpose()?;
    let number = match (options.resume, options.dry_run) {
        (Some(run), _) => Some(run),
        (None, true) => None,
        (None, false) => Some(store.begin_run(&described, opened.books.clock.now()).await?),
    };
    if let Some(number) = number {
        say(&format!("run {number}; should it be killed, --resume {number} goes on with it\n"));
    }
    let asked = Asked { run: number, ..asked };
    let mut report = look(opened, &asked).await?;
    let (known, code, why) =
        repair_and_judge(opened, &asked, options, (&mut report, repaired)).await?;
    let told = std::mem::take(&mut repaired.told);
    let format = if output.json { Format::Json } else { options.format };
    let page = print::Page { view: &opened.view, report: &report, known: &known, repaired: told };
    let printed = page.print(format);
    let written = folder.map_or(Ok(()), |folder| page.write(folder));
    drop(lock);
    printed?;
    match (code, written) {
        (0, written) => written,
        (_, Ok(())) => Err(Error::Exit { code, why }),
        (_, Err(error)) => {
            Err(Error::Exit { code, why: format!("{why}; --out: {}", error.line()) })
        }
    }
}

/// Repairs where that is asked, and remembers what was found; the code it ends with, and why.
async fn repair_and_judge(
    opened: &Opened,
    asked: &Asked,
    options: &Run,
    (report, repaired): (&mut Report, &mut Repaired),
) -> Result<(BTreeMap<FindingId, Discrepancy>, u8, String), Error> {
    if options.repair {
        repair(opened, report, options.dry_run, repaired).await?;
        if repaired.changed {
            // What was gathered is still true; the books are read again.
            *report = look(opened, asked).await?;
        }
    }
    let known = marked(opened).await?;
    let fail_on = Severity::parse(&options.fail_on).unwrap_or(Severity::Low);
    let (code, why) = judge(report, &known, fail_on);
    let part = asked.chain.is_some() || asked.from.is_some() || asked.to.is_some();
    if let Some(number) = asked.run {
        remember(opened, number, report, code, !part && !report.is_incomplete()).await?;
    }
    Ok((known, code, why))
}

/// Remembers how a run ended and what it found; `whole` where what it did not find is gone.
pub(super) async fn remember(
    opened: &Opened,
    number: u64,
    report: &Report,
    code: u8,
    whole: bool,
) -> Result<(), Error> {
    let summary = print::summary(report, code).to_string();
    let ended = Ended {
        at: opened.books.clock.now(),
        as_of: report.as_of,
        ledger_seq: report.ledger_seq,
        code,
        summary: &summary,
        whole,
    };
    Ok(opened.books.store.end_run(number, &report.findings, &ended).await?)
}

/// What the options mean, and the same as text to be remembered; of a run that is resumed, what it
/// was asked.
async fn asked(opened: &Opened, options: &Run) -> Result<(Asked, String), Error> {
    let mut asked = Asked {
        from: options.from.clone(),
        to: options.to.clone(),
        second: options.second_endpoint.clone(),
        ..Asked::default()
    };
    let mut chain = options.chain.clone();
    let server = options.second_endpoint.as_deref().map(server).transpose()?;
    if let Some(number) = options.resume {
        let known = opened.books.store.run_of(number).await?;
        let known = known.ok_or_else(|| input("--resume", format!("there is no run {number}")))?;
        if known.ended.is_some() {
            return Err(input("--resume", format!("run {number} has ended; begin another")));
        }
        let everything = described(&Asked::default(), None, None);
        let later = opened.books.store.last_run_of(&everything).await?;
        let mut kept = false;
        for chain in opened.config.chains.keys() {
            kept |= !opened.books.store.evidence(number, chain.as_str()).await?.is_empty();
        }
        if let Some(later) = later.filter(|later| later.seq > number && !kept) {
            let later = later.seq;
            let why = format!("run {later} has looked at everything since; begin another");
            return Err(input("--resume", why));
        }
        let value: serde_json::Value = serde_json::from_str(&known.options).unwrap_or_default();
        let text = |field: &str| value.get(field).and_then(|v| v.as_str()).map(str::to_owned);
        chain = text("chain");
        (asked.from, asked.to) = (text("from"), text("to"));
        if text("second") != server {
            let known = text("second").unwrap_or_else(|| "no second endpoint".to_owned());
            let why = format!("run {number} asks {known}; a URL may hold a key and is not kept");
            return Err(input("--second-endpoint", why));
        }
    }
    if server.is_some() && chain.is_none() {
        return Err(input(
            "--second-endpoint",
            "is an endpoint of one chain; name it with --chain",
        ));
    }
    if let Some(chain) = &chain {
        asked.chain = Some(opened.config.chain(chain)?.0.clone());
    }
    let described = described(&asked, chain.as_deref(), server.as_deref());
    Ok((asked, described))
}

/// What a run was asked, as text to be remembered.
fn described(asked: &Asked, chain: Option<&str>, server: Option<&str>) -> String {
    let Asked { from, to, .. } = asked;
    json!({ "chain": chain, "from": from, "to": to, "second": server }).to_string()
}

/// Where an endpoint is, without what may be a key.
fn server(url: &str) -> Result<String, Error> {
    let location = erc20::Location::parse(url);
    Ok(location.map_err(|why| input("--second-endpoint", why))?.to_string())
}

/// When each discrepancy that is known was first seen, and what people said of it.
pub(super) async fn marked(opened: &Opened) -> Result<BTreeMap<FindingId, Discrepancy>, Error> {
    let known = opened.books.store.discrepancies(false).await?;
    Ok(known.into_iter().map(|known| (known.id, known)).collect())
}

/// Gathers and compares.
pub(super) async fn look(opened: &Opened, asked: &Asked) -> Result<Report, Error> {
    let mut known = BTreeMap::new();
    for (id, discrepancy) in marked(opened).await? {
        // One that was over begins anew.
        if matches!(discrepancy.mark, Mark::Open | Mark::Acknowledged) {
            known.insert(id, discrepancy.first.1);
        }
    }
    let mut observed = Observed::default();
    let mut gathered = Vec::new();
    for (name, chain) in &opened.config.chains {
        if asked.chain.as_ref().is_none_or(|only| only == name) {
            gathered.push(one_chain(opened, asked, name, chain));
        }
    }
    let mut nodes = BTreeMap::new();
    for (name, seen) in try_join_all(gathered).await?.into_iter().flatten() {
        match seen {
            Ok((seen, gather)) => {
                observed.chains.insert(name.clone(), seen);
                nodes.insert(name, gather);
            }
            Err(why) => {
                observed.missing.insert(name, why);
            }
        }
    }
    let mut report = matching::compare(opened, &observed, &known).await?;
    if !report.suspects.is_empty() {
        let mut suspects: BTreeMap<&ChainName, Vec<TxHash>> = BTreeMap::new();
        for (chain, tx) in &report.suspects {
            suspects.entry(chain).or_default().push(*tx);
        }
        for (chain, suspects) in suspects {
            if let (Some(seen), Some(gather)) = (observed.chains.get_mut(chain), nodes.get(chain)) {
                gather.outcomes(seen, &suspects).await;
            }
        }
        report = matching::compare(opened, &observed, &known).await?;
    }
    progress("");
    Ok(report)
}

type Gathered<'a> = Option<(ChainName, Result<(Seen, Gather<'a>), String>)>;

/// The chain's side of one chain; none where its books have not begun: they do before the first
/// address is shown.
async fn one_chain<'a>(
    opened: &'a Opened,
    asked: &Asked,
    name: &'a ChainName,
    chain: &Chain,
) -> Result<Gathered<'a>, Error> {
    let store = &opened.books.store;
    let mut reading = store.read().await?;
    let (mut cursors, _) = reading.begin(std::slice::from_ref(name)).await?;
    let lowest = reading.lowest_deposit(name).await?;
    let first = reading.first_order().await?;
    let holders = reading.holders(name).await?;
    reading.end().await?;
    let cursor = cursors.remove(name).unwrap_or_else(|| Cursor::new(name.clone()));
    if cursor.kept.is_empty() && lowest.is_none() {
        return Ok(None);
    }
    // Who asked can change what was typed. On the daemon's schedule an endpoint that is another one
    // for a moment is evidence that is missing: the watchers go on. So it is for everybody where it
    // only lacks something for now.
    let lacks = |error: &Error| matches!(error, Error::Chain { source, .. } if source.may_pass());
    let typed = |error: &Error| error.exit_code() == 2 && !asked.light && !lacks(error);
    let nodes = match connect(opened, name, chain, asked).await {
        Ok(nodes) => nodes,
        Err(error) if typed(&error) => return Err(error),
        Err(error) => return Ok(Some((name.clone(), Err(error.line())))),
    };
    let Some((_, node)) = nodes.first() else { return Ok(None) };
    let bounds = match bounds(asked, name, node, &cursor, (first, lowest)).await {
        Ok(bounds) => bounds,
        Err(error) if typed(&error) => return Err(error),
        Err(error) => return Ok(Some((name.clone(), Err(error.line())))),
    };
    let mut state = WatchState::default();
    let watched = store.watch(&mut state).await?;
    let keep = Keep { store: store.clone(), run: asked.run };
    let gather = Gather {
        name,
        nodes,
        watched,
        keep,
        cursor,
        token: chain.rules.token,
        pinned_balances: matches!(chain.node, config::Node::Evm(_)),
        spelling: chain.node.spelling(),
        progress: &progress,
    };
    let seen = gather.all(&bounds, &holders).await?;
    Ok(Some((name.clone(), seen.map(|seen| (seen, gather)))))
}

/// The first height that is read, and the last that may be.
async fn bounds(
    asked: &Asked,
    name: &ChainName,
    node: &Node,
    cursor: &Cursor,
    (first, lowest): (Option<Time>, Option<u64>),
) -> Result<Bounds, Error> {
    let top = cursor.finalized.map_or(0, |block| block.height);
    let to = match &asked.to {
        None => None,
        Some(text) => Some(height(name, node, "--to", text, top).await?),
    };
    let from = match (&asked.from, asked.above.get(name)) {
        (Some(text), _) => height(name, node, "--from", text, top).await?,
        (None, Some(above)) => above.saturating_add(1).min(top),
        (None, None) => {
            // An address is nobody's to pay before its order is made.
            let kept = cursor.kept.first().map_or(top, |header| header.id.height);
            let begun = match first {
                Some(first) => {
                    height_at(name, node, first.after(SKEW.saturating_neg()), top).await?
                }
                None => kept,
            };
            begun.min(lowest.unwrap_or(begun)).min(kept)
        }
    };
    if let Some(to) = to {
        ordered(from, to)?;
    }
    Ok(Bounds { from, to, newest: to.is_none() && !asked.light })
}

async fn height(
    name: &ChainName,
    node: &Node,
    field: &str,
    text: &str,
    top: u64,
) -> Result<u64, Error> {
    match bound(field, text)? {
        Bound::Height(height) => Ok(height),
        Bound::Moment(time) => height_at(name, node, time, top).await,
    }
}

/// What a bound was said to be.
enum Bound {
    Height(u64),
    Moment(Time),
}

fn bound(field: &str, text: &str) -> Result<Bound, Error> {
    if let Ok(height) = text.parse() {
        return Ok(Bound::Height(height));
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| input(field, format!("`{text}` is neither a height nor an RFC 3339 time")))?;
    let millis = moment.unix_timestamp_nanos().checked_div(1_000_000).unwrap_or_default();
    Ok(Bound::Moment(Time(i64::try_from(millis).unwrap_or(i64::MAX))))
}

/// Refuses bounds that cannot be, before anything is written.
fn possible(from: Option<&str>, to: Option<&str>) -> Result<(), Error> {
    let said = |field, text: Option<&str>| text.map(|text| bound(field, text)).transpose();
    match (said("--from", from)?, said("--to", to)?) {
        (Some(Bound::Height(from)), Some(Bound::Height(to))) => ordered(from, to),
        _ => Ok(()),
    }
}

fn ordered(from: u64, to: u64) -> Result<(), Error> {
    if from > to {
        return Err(input("--from", format!("height {from} is above --to, height {to}")));
    }
    Ok(())
}

/// The endpoints, each as a chain of its own: two of them where there are two servers.
async fn connect(
    opened: &Opened,
    name: &ChainName,
    chain: &Chain,
    asked: &Asked,
) -> Result<Vec<(String, Node)>, Error> {
    let mut alone = chain.node.alone();
    if let Some(url) = &asked.second {
        let second =
            chain.node.with_endpoint(url).map_err(|why| input("--second-endpoint", why))?;
        alone.truncate(1);
        alone.push(("second".to_owned(), second));
    }
    let pinned = opened.books.store.pins(name).await?;
    let genesis = pinned.and_then(|pinned| BlockHash::parse(&pinned.genesis));
    let mut nodes = Vec::new();
    for (endpoint, mut node) in alone {
        node.expect_genesis(genesis);
        let node = Node::connect(node).await.map_err(|source| Error::chain(name, source))?;
        nodes.push((endpoint, node));
    }
    Ok(nodes)
}

/// The code a report ends with, and why.
pub(super) fn judge(
    report: &Report,
    known: &BTreeMap<FindingId, Discrepancy>,
    fail_on: Severity,
) -> (u8, String) {
    if report.is_broken() {
        return (4, "the books themselves are broken".to_owned());
    }
    if report.is_incomplete() || report.cuts.is_empty() {
        return (3, "evidence is incomplete: nothing is called clean".to_owned());
    }
    let counts = |finding: &&Finding| {
        finding.severity >= fail_on && !is_acknowledged(finding, known.get(&finding.id))
    };
    match report.findings.iter().filter(counts).count() {
        0 => (0, String::new()),
        1 => (1, format!("1 open discrepancy at or above {}", fail_on.word())),
        many => (1, format!("{many} open discrepancies at or above {}", fail_on.word())),
    }
}

/// Whether somebody knows of a finding, as bad as it is now and of as much.
pub(super) fn is_acknowledged(finding: &Finding, known: Option<&Discrepancy>) -> bool {
    known.is_some_and(|known| {
        let as_bad = known.at_severity.is_some_and(|then| then >= finding.severity);
        let as_much = known.at_amount.is_some_and(|then| then.abs() >= finding.amount.abs());
        known.mark == Mark::Acknowledged && as_bad && as_much
    })
}

/// Says on a terminal how far it is; an empty text clears the line.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        say(&format!("\r\u{1b}[K{text}"));
    }
}

/// Says something beside the report. A reader that went away is not an error.
fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
