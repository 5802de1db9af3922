//! The daemon's own look: what is new since the last one, on a schedule.
//!
//! In: the schedule, the books. Out: a run that is remembered; where it fails, an event.
//! Never: the watcher held up, a second run beside one that a person began, a repair.
//! Why: a discrepancy is found within the hour and not at the next audit.

use std::collections::BTreeMap;
use std::time::Duration;

use payments::Update;
use payments::name::ChainName;
use payments::reconcile::Severity;
use tokio::sync::watch;

use super::run::{Asked, judge, look, marked, remember};
use crate::error::Error;
use crate::open::Opened;

/// What is remembered as the options of such a look.
const LIGHT: &str = "{\"light\":true}";

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
    let (mut code, why) = judge(&report, &marked(opened).await?, Severity::High);
    if report.cuts.is_empty() && report.findings.is_empty() {
        // Before the first order there is nothing to compare.
        code = 0;
    }
    remember(opened, number, &report, code, false).await?;
    drop(lock);
    if code == 0 {
        tracing::info!(run = number, deposits = report.lines.len(), "chain and books agree");
        return Ok(());
    }
    let update = Update::ReconcileFailed { run: number, why: why.clone() };
    opened.books.record(&update).await?;
    tracing::error!(run = number, code, why, "chain and books do not agree: `bursar reconcile`");
    Ok(())
}

/// How far the last look of this kind had read each chain, where it ended well. A run that a person
/// asked for may have looked at a part, or with other eyes.
async fn heights(opened: &Opened) -> Result<BTreeMap<ChainName, u64>, Error> {
    let last = opened.books.store.last_run_of(LIGHT).await?;
    let clean = last.filter(|run| run.code == Some(0)).and_then(|run| run.summary);
    let summary: serde_json::Value =
        clean.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let mut heights = BTreeMap::new();
    for name in opened.config.chains.keys() {
        let height = summary.get("heights").and_then(|heights| heights.get(name.as_str()));
        if let Some(height) = height.and_then(serde_json::Value::as_u64) {
            heights.insert(name.clone(), height);
        }
    }
    Ok(heights)
}
