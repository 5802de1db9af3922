//! `bursar record`: an endpoint's exact answers, as a fixture that tests replay.
//!
//! In: an HTTP endpoint of the config. Out: a tape of every answer the watcher asked for.
//! Never: the endpoint's URL on the tape. Why: a bug seen on a live node becomes a test.

use lab::tape::Recorder;
use serde_json::json;
use store::{OpenMode, Store, WatchState};
use tokio::sync::{Mutex, watch};

use std::sync::Arc;

use crate::cli::Record;
use crate::clock::Clock;
use crate::config::{Config, Node};
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::Output;
use crate::secret::Secret;
use crate::watch::Watcher;

/// Records until so many blocks were seen, or it is told to stop.
///
/// # Errors
/// Exit 2 where the chain has no HTTP endpoint; exit 1 where it does not answer.
pub async fn run(
    config: &Config,
    options: &Record,
    output: Output,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (name, chain) = config.chain(&options.chain)?;
    let place = chain.recordable.as_ref().ok_or_else(|| {
        input(&format!("chains.{name}.endpoints"), "none is http or https, which a tape needs")
    })?;
    let failed = |why: lab::Error| Error::Failed(format!("recording: {why}"));
    let url = place.url.expose();
    let solidity = place.solidity.as_ref().map(Secret::expose);
    let recorder = match &chain.node {
        Node::Evm(_) => Recorder::start(url, &options.out).await,
        Node::Tron(_) => Recorder::start_tron(url, solidity, &options.out).await,
    };
    let recorder = recorder.map_err(failed)?;
    recorder.note(&options.note);
    let folder =
        tempfile::tempdir().map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
    let database = format!("sqlite:{}", folder.path().join("record.db").display());
    Store::open(&database, OpenMode::Migrate).await?.close().await;
    let mut through = config.clone();
    through.database = Secret::new(database);
    if let Some(chain) = through.chains.get_mut(name) {
        lead(&mut chain.node, &recorder.http_url())?;
    }
    let opened = Opened::with(through, Clock::System).await?;
    let seen = follow(&opened, &recorder, options, stopped).await;
    opened.books.store.close().await;
    // What was recorded so far is kept, whatever ended it.
    let tape = recorder.finish().await.map_err(failed)?;
    let seen = seen?;
    let written = options.out.display().to_string();
    let frames = tape.last_frame();
    output.print(&json!({ "written": written, "blocks": seen, "frames": frames }), || {
        format!("Wrote {written}: {seen} blocks in {frames} frames.")
    })
}

/// Leads every request to the recorder.
fn lead(node: &mut Node, url: &str) -> Result<(), Error> {
    let wrong = |why: erc20::LocationError| Error::Failed(why.to_string());
    match node {
        Node::Evm(config) => {
            config.endpoints = vec![erc20::EndpointConfig::new("recorded", url).map_err(wrong)?];
        }
        Node::Tron(tron) => {
            let first = tron.source.endpoints.first().map(|first| first.full.key.clone());
            let key = first.flatten();
            let recorded = trc20::EndpointConfig::one_host("recorded", url, key).map_err(wrong)?;
            tron.source.endpoints = vec![recorded];
        }
    }
    Ok(())
}

async fn follow(
    opened: &Opened,
    recorder: &Recorder,
    options: &Record,
    mut stopped: watch::Receiver<bool>,
) -> Result<u64, Error> {
    let (name, chain) = opened.config.chain(&options.chain)?;
    let node = opened.node(name, chain).await?;
    let watched = Arc::new(Mutex::new(WatchState::default()));
    let books = opened.books.clone();
    let mut watcher = Watcher::new(name.clone(), chain, node, books, watched);
    let mut seen = 0u64;
    let mut first = None;
    while seen < options.blocks {
        let turn = tokio::select! {
            turn = watcher.step() => turn?,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        if let Some(last) = turn.changes.cursor.as_ref().and_then(|mv| mv.kept.last()) {
            let height = last.id.height;
            let first = *first.get_or_insert(height);
            seen = height.saturating_sub(first).saturating_add(1);
            tracing::info!(height, seen, wanted = options.blocks, "recorded");
        }
        recorder.next_frame();
        if !turn.more {
            tokio::select! {
                () = tokio::time::sleep(chain.poll_interval) => {}
                _ = stopped.wait_for(|stop| *stop) => break,
            }
        }
    }
    Ok(seen)
}
