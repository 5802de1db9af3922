//! `bursar run`: the daemon.
//!
//! In: the config and the books. Out: a watcher for each chain, until told to stop.
//! Never: work lost at a stop: what is being written is written whole, the rest is read again.
//! Why: one task a chain; a chain whose nodes are down does not hold up another.

use std::sync::Arc;

use payments::event::Event;
use payments::name::ChainName;
use payments::time::Time;
use payments::{Changes, Update};
use store::{WatchState, point};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::address;
use crate::begin;
use crate::config::Chain;
use crate::error::Error;
use crate::node::Node;
use crate::open::Opened;
use crate::recall;
use crate::reconcile;
use crate::retry::Retry;
use crate::watch::Watcher;

/// Runs until `stop` is told, or something happens that waiting cannot mend.
///
/// # Errors
/// What cannot be mended: a config that contradicts a node or the books, a row that does not parse.
pub async fn run(opened: &Opened, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
    let watched = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        watched = load(opened) => Some(watched?),
    };
    let Some(watched) = watched else {
        opened.books.store.close().await;
        return Ok(());
    };
    watch_all(opened, watched, stop).await
}

/// The addresses that are watched, once they are known to be the config's.
async fn load(opened: &Opened) -> Result<WatchState, Error> {
    // Before the first look: what was paid to them is in blocks that the books do not have either.
    for (name, chain) in &opened.config.chains {
        match recall::all(&opened.books.store, name, chain).await {
            Err(error @ Error::Store(_)) => return Err(error),
            // No order can be made then; those there are go on being watched.
            Err(error) => {
                let error = error.line();
                tracing::error!(chain = %name, error, "not known which addresses were handed out");
            }
            Ok(_) => {}
        }
    }
    let mut state = WatchState::default();
    let set = opened.books.store.watch(&mut state).await?;
    point!("run.loaded");
    tracing::info!(addresses = set.len(), "the watched addresses are loaded");
    for (name, chain) in &opened.config.chains {
        let compared = address::verify_sample(&opened.books.store, name, chain).await?;
        tracing::info!(chain = %name, compared, "issued addresses derive again as they were");
    }
    Ok(state)
}

async fn watch_all(
    opened: &Opened,
    state: WatchState,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let watched = Arc::new(Mutex::new(state));
    let (halt, halted) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for (name, chain) in &opened.config.chains {
        let (name, chain) = (name.clone(), chain.clone());
        let (opened, watched) = (opened.clone(), Arc::clone(&watched));
        let halted = halted.clone();
        tasks.spawn(async move { one_chain(opened, name, chain, watched, halted).await });
    }
    // Beside the watchers, which have threads of their own.
    let every = opened.config.reconcile.every;
    let schedule = reconcile::on_schedule(opened, every, halted.clone());
    let mut schedule = std::pin::pin!(schedule);
    let mut scheduled = true;
    let mut first_error = None;
    loop {
        tokio::select! {
            biased;
            ended = tasks.join_next() => {
                let Some(ended) = ended else { break };
                let ended = ended.unwrap_or_else(|why| Err(Error::Failed(why.to_string())));
                if let Err(error) = ended {
                    first_error.get_or_insert(error);
                }
                // One chain that cannot go on ends the process: the supervisor and the operator
                // are told, instead of half a daemon staying up.
                let _ = halt.send(true);
            }
            ended = &mut schedule, if scheduled => {
                scheduled = false;
                if let Err(error) = ended {
                    first_error.get_or_insert(error);
                    let _ = halt.send(true);
                }
            }
            _ = stop.wait_for(|stop| *stop), if !*halt.borrow() => {
                tracing::info!("told to stop: finishing what is being written");
                let _ = halt.send(true);
            }
        }
    }
    // A look under way has a connection, and closing waits for every one.
    if scheduled && let Err(error) = schedule.await {
        first_error.get_or_insert(error);
    }
    opened.books.store.close().await;
    first_error.map_or(Ok(()), Err)
}

/// Watches one chain; nodes that do not answer yet are asked again.
async fn one_chain(
    opened: Opened,
    name: ChainName,
    chain: Chain,
    watched: Arc<Mutex<WatchState>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let mut retry = Retry::default();
    let begun = opened.books.clock.now();
    let node = loop {
        let connected = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            connected = opened.node(&name, &chain) => connected,
        };
        match connected {
            Ok(node) => break node,
            Err(error) if error.exit_code() == 2 || error.is_fatal() => return Err(error),
            Err(error) => {
                unread(&opened, &name, &chain, begun, &error).await;
                let wait = retry.next_wait();
                tracing::warn!(chain = %name, error = error.line(), wait_ms = millis(wait), "no node yet");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = stop.wait_for(|stop| *stop) => return Ok(()),
                }
            }
        }
    };
    point!("run.connected");
    tracing::info!(chain = %name, "watching");
    let begins = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
        begins = begins(&opened, &name, &chain, &node) => begins,
    };
    // Nodes and books that fail are told of by the watcher.
    if let Err(why) = begins
        && why.exit_code() == 2
    {
        tracing::warn!(chain = %name, why = why.line(), "nothing is read yet");
    }
    let watcher = Watcher::new(name, &chain, node, opened.books.clone(), watched);
    watcher.run(chain.poll_interval, stop, report).await
}

/// Whether the first block to be read is one that the chain has, where none was read yet.
async fn begins(
    opened: &Opened,
    name: &ChainName,
    chain: &Chain,
    node: &Node,
) -> Result<(), Error> {
    if chain.node.start_height().is_none() || begin::has_begun(&opened.books.store, name).await? {
        return Ok(());
    }
    begin::within_the_chain(name, chain, node).await
}

/// Marks a chain of which no node has answered since `begun`, once that is too long. A database
/// that does not answer either is told where it is asked for more.
async fn unread(opened: &Opened, name: &ChainName, chain: &Chain, begun: Time, error: &Error) {
    if opened.books.clock.now().since(begun) < chain.stalled_after {
        return;
    }
    let marked = async {
        let generation = opened.books.store.cursor(name).await?.generation;
        let update = Update::Stall { chain: name.clone(), why: error.line() };
        opened.books.mark(generation, &update).await.map(|_| ())
    };
    if let Err(error) = marked.await {
        tracing::warn!(chain = %name, error = error.line(), "not marked as stalled");
    }
}

fn millis(wait: std::time::Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// Says in the log what a turn did.
pub(crate) fn report(chain: &ChainName, turn: Result<&Changes, &Error>) {
    match turn {
        Ok(changes) => {
            for event in &changes.events {
                report_event(chain, event);
            }
            let height = changes.cursor.as_ref().and_then(|mv| mv.kept.last());
            if let Some(header) = height {
                tracing::debug!(chain = %chain, height = header.id.height, "recorded");
            }
        }
        Err(error) => tracing::warn!(chain = %chain, error = error.line(), "this turn failed"),
    }
}

fn report_event(chain: &ChainName, event: &Event) {
    let order = event.order.as_ref().map(tracing::field::display);
    let deposit = event.deposit.as_ref().map(tracing::field::display);
    let case = event.case.as_ref().map(tracing::field::display);
    let facts: Vec<String> =
        event.data.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let facts = facts.join(" ");
    tracing::info!(chain = %chain, order, deposit, case, facts, "{}", event.kind.word());
}
