//! The daemon's own look: what is new since the last one, on a schedule.
//!
//! In: the schedule, the books. Out: a run that is remembered; where it fails anew, an event.
//! Never: the watcher held up, a second run beside one that a person began, a repair.
//! Why: a discrepancy is found within the hour and not at the next audit.

use std::collections::BTreeMap;
use std::time::Duration;

use payments::Update;
use payments::address::Address;
use payments::deposit::DepositId;
use payments::name::ChainName;
use payments::outflow::{OutflowId, OutflowState};
use payments::reconcile::{Code, Finding, FindingId, Report, Severity};
use store::{Discrepancy, Mark, OutflowFilter, Sighting};
use tokio::sync::watch;

use super::run::{Asked, is_acknowledged, judge, look, marked, remember};
use crate::error::Error;
use crate::open::Opened;

/// What is remembered as the options of such a look.
const LIGHT: &str = "{\"light\":true}";
/// What is as bad as this, or worse, is told.
const FAIL_ON: Severity = Severity::High;

/// Looks every so often, until told to stop. A look that cannot be taken is said and tried again.
pub(crate) async fn on_schedule(
    opened: &Opened,
    every: Duration,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    if every.is_zero() {
        let _ = stop.wait_for(|stop| *stop).await;
        return Ok(());
    }
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        let looked = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            looked = once(opened) => looked,
        };
        match looked {
            Ok(()) => {}
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => tracing::warn!(error = error.line(), "chain and books are not compared"),
        }
    }
}

/// One look at what is new since the last.
async fn once(opened: &Opened) -> Result<(), Error> {
    let store = &opened.books.store;
    let Some(lock) = store.lock_runs().await? else {
        tracing::info!("another run compares chain and books");
        return Ok(());
    };
    let above = heights(opened).await?;
    let number = store.begin_run(LIGHT, opened.books.clock.now()).await?;
    let asked = Asked { above, light: true, ..Asked::default() };
    let report = look(opened, &asked).await?;
    let known = marked(opened).await?;
    let (mut code, mut why) = judge(&report, &known, FAIL_ON);
    if report.cuts.is_empty() && report.findings.is_empty() {
        // Before the first order there is nothing to compare.
        code = 0;
    }
    if code != 0 && is_news(opened, &report, &known, code).await? {
        // Before the run is remembered: killed in between, it tells again, and not never.
        let update = Update::ReconcileFailed { run: number, why: why.clone() };
        opened.books.record(&update).await?;
    }
    if code == 0
        && let Some(open) = still_open(opened, &known).await?
    {
        (code, why) = (1, open);
    }
    remember(opened, number, &report, code, false).await?;
    drop(lock);
    if code == 0 {
        tracing::info!(run = number, deposits = report.lines.len(), "chain and books agree");
        return Ok(());
    }
    tracing::error!(run = number, code, why, "chain and books do not agree: `bursar reconcile`");
    Ok(())
}

/// What earlier looks found in blocks that this one did not read again, and nobody has settled.
async fn still_open(
    opened: &Opened,
    known: &BTreeMap<FindingId, Discrepancy>,
) -> Result<Option<String>, Error> {
    let mut open = 0u64;
    for known in known.values() {
        let is_found_again = !known.code.is_of_blocks() || known.of_case;
        if known.mark == Mark::Open
            && known.severity >= FAIL_ON
            && !is_found_again
            && !is_settled(opened, known).await?
        {
            open = open.saturating_add(1);
        }
    }
    let how = "`bursar reconcile list` names what is; a run of all ends what is over";
    let word = FAIL_ON.word();
    Ok(match open {
        0 => None,
        1 => Some(format!("1 discrepancy at or above {word}, found before, is open: {how}")),
        many => {
            Some(format!("{many} discrepancies at or above {word}, found before, are open: {how}"))
        }
    })
}

/// Whether the books have by now what they did not have, or this look would have found it again.
async fn is_settled(opened: &Opened, known: &Discrepancy) -> Result<bool, Error> {
    let store = &opened.books.store;
    match known.code {
        Code::ChainOnly => {
            let Some(id) = DepositId::parse(&known.key) else { return Ok(false) };
            let deposits = store.deposits_of_tx(&id.tx).await?;
            Ok(deposits.iter().any(|own| own.id == id && own.state.is_on_chain()))
        }
        Code::UnexplainedOutflow => {
            let Some(id) = OutflowId::parse(&known.key) else { return Ok(false) };
            let filter = OutflowFilter { id: Some(id), ..OutflowFilter::default() };
            let found = store.outflows(&filter, 0, 1).await?;
            Ok(found.iter().any(|(_, own)| own.state == OutflowState::Booked))
        }
        Code::BalanceDiffers => {
            // It is asked again at each look where the books have anything of the address.
            let Some((chain, address)) = known.key.split_once(':') else { return Ok(false) };
            let (Ok(chain), Ok(address)) = (ChainName::new(chain), Address::parse(address)) else {
                return Ok(false);
            };
            let mut reading = store.read().await?;
            let holders = reading.holders(&chain).await?;
            reading.end().await?;
            Ok(holders.contains(&address))
        }
        _ => Ok(false),
    }
}

/// Whether a look ended worse than the one before it, or found what that one had not, or not as
/// bad.
async fn is_news(
    opened: &Opened,
    report: &Report,
    known: &BTreeMap<FindingId, Discrepancy>,
    code: u8,
) -> Result<bool, Error> {
    let store = &opened.books.store;
    let Some(last) = store.last_run_of(LIGHT).await? else { return Ok(true) };
    if last.code.is_none_or(|before| code > before) {
        return Ok(true);
    }
    let counts = |finding: &&Finding| {
        finding.severity >= FAIL_ON && !is_acknowledged(finding, known.get(&finding.id))
    };
    let before = store.found_by(last.seq).await?;
    let before: Vec<Finding> = before.into_iter().map(as_found).collect();
    let before: BTreeMap<_, _> =
        before.iter().filter(counts).map(|found| (subject(found), found)).collect();
    let is_known = |found: &Finding| {
        let as_bad = |before: &&Finding| {
            found.severity <= before.severity
                && found.amount.unsigned_abs() <= before.amount.unsigned_abs()
        };
        before.get(&subject(found)).is_some_and(as_bad)
    };
    Ok(report.findings.iter().filter(counts).any(|found| !is_known(found)))
}

/// A finding as bad as a run found it.
fn as_found(seen: Sighting) -> Finding {
    let Sighting { code, key, severity, amount, what, .. } = seen;
    Finding { severity, amount, ..Finding::new(code, key, what) }
}

/// What a finding is about. Which blocks of a chain are not read is another thing at every look:
/// that some are not is one.
fn subject(finding: &Finding) -> (Code, String) {
    let whole = || finding.key.clone();
    let chain = || finding.key.split(':').next().map_or_else(whole, str::to_owned);
    (finding.code, if finding.code.is_incomplete() { chain() } else { whole() })
}

/// How far the last look of this kind that missed nothing of a chain had read it; what it found
/// there stays open, and is not read again; of a branch that a person chose since, all is new. A
/// run that a person asked for may have looked at a part, or with other eyes.
async fn heights(opened: &Opened) -> Result<BTreeMap<ChainName, u64>, Error> {
    let mut heights = BTreeMap::new();
    for name in opened.config.chains.keys() {
        let store = &opened.books.store;
        let Some(last) = store.last_without_gap(LIGHT, name.as_str()).await? else { continue };
        let adopted = store.lowest_adoption(name, last.began).await?;
        let summary = last.summary;
        let summary: serde_json::Value =
            summary.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let height = summary.get("heights").and_then(|heights| heights.get(name.as_str()));
        if let Some(height) = height.and_then(serde_json::Value::as_u64) {
            heights.insert(name.clone(), adopted.map_or(height, |base| height.min(base)));
        }
    }
    Ok(heights)
}
