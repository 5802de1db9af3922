//! `bursar rescan`: blocks that were read before, read again.
//!
//! In: heights, a transaction or an address. Out: deposits that were missed, recorded once.
//! Never: moves the cursor, records anything twice, reads above what was scanned.
//! Why: the answer to "the customer says they paid and we see nothing" is to look again.

use payments::Update;
use payments::address::Address;
use payments::chain::TxHash;
use payments::event::EventKind;
use payments::name::ChainName;
use serde_json::json;
use store::{Found, WatchState};
use tokio::sync::watch;

use crate::cli::Rescan;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::Output;

/// How many blocks are read before what they hold is recorded.
const PORTION: u64 = 256;

/// Reads again and records what was missed.
///
/// # Errors
/// Exit 2 where the heights are not scanned yet, or the transaction or address is not known.
pub async fn run(
    opened: &Opened,
    options: &Rescan,
    output: Output,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (name, chain) = opened.config.chain(&options.chain).map_err(|why| input("--chain", why))?;
    let source = opened.source(name, chain).await?;
    let (from, to) = heights(opened, name, &source, options).await?;
    let cursor = opened.books.store.cursor(name).await?;
    let last = cursor.last().map(|header| header.id.height);
    let last = last.ok_or_else(|| input("--chain", format!("{name} was never scanned")))?;
    if from > to {
        return Err(input("--from", format!("{from} is above --to {to}")));
    }
    if to > last {
        let why = format!("{to} is above {last}, the last scanned height: the daemon gets there");
        return Err(input("--to", why));
    }
    let mut found = 0usize;
    let mut at = from;
    while at <= to && !*stopped.borrow() {
        let end = at.saturating_add(PORTION).saturating_sub(1).min(to);
        found = found.saturating_add(portion(opened, name, &source, at, end).await?);
        tracing::info!(from, to, done = end, found, "read again");
        at = end.saturating_add(1);
    }
    let done = at.saturating_sub(1);
    let value = json!({ "chain": name.as_str(), "from": from, "to": done, "found": found });
    output.print(&value, || {
        let deposits = match found {
            0 => "nothing that was not recorded".to_owned(),
            1 => "1 deposit that was missed".to_owned(),
            found => format!("{found} deposits that were missed"),
        };
        format!("Read heights {from} to {done} of {name} again: {deposits}.")
    })
}

/// Reads one portion and records it; how many deposits were new.
async fn portion(
    opened: &Opened,
    name: &ChainName,
    source: &erc20::Source,
    from: u64,
    to: u64,
) -> Result<usize, Error> {
    let mut state = WatchState::default();
    let watched = opened.books.store.watch(&mut state).await?;
    let scan =
        source.rescan(from, to, &watched).await.map_err(|source| Error::chain(name, source))?;
    // Blocks that are still kept must be the recorded ones: a fork is the daemon's to find.
    let cursor = opened.books.store.cursor(name).await?;
    let forked = scan
        .blocks
        .iter()
        .find(|header| cursor.at(header.id.height).is_some_and(|kept| kept.id != header.id));
    if let Some(header) = forked {
        return Err(Error::Failed(format!(
            "the node has another block at height {} than the recorded one; try again when the daemon has followed",
            header.id.height
        )));
    }
    let update = Update::Rescan { chain: name.clone(), transfers: scan.transfers };
    let changes = opened.books.record(&update).await?;
    let detected = |kind: &EventKind| *kind == EventKind::DepositDetected;
    Ok(changes.events.iter().filter(|event| detected(&event.kind)).count())
}

/// The heights that the options mean.
async fn heights(
    opened: &Opened,
    name: &ChainName,
    source: &erc20::Source,
    options: &Rescan,
) -> Result<(u64, u64), Error> {
    if let (Some(from), Some(to)) = (options.from, options.to) {
        return Ok((from, to));
    }
    let wrong = |source| Error::chain(name, source);
    if let Some(text) = &options.tx {
        let hash = TxHash::parse(text)
            .ok_or_else(|| input("--tx", format!("`{text}` is not 0x and 64 hex digits")))?;
        return match source.transaction(hash).await.map_err(wrong)? {
            erc20::Transaction::Mined(mined) => Ok((mined.block.height, mined.block.height)),
            erc20::Transaction::Pending => Err(input("--tx", "is in no block yet")),
            erc20::Transaction::NotFound => {
                Err(input("--tx", format!("no endpoint of {name} knows it")))
            }
        };
    }
    let text = options.address.as_deref().unwrap_or_default();
    let address = Address::parse(text).map_err(|why| input("--address", why))?;
    let cursor = opened.books.store.cursor(name).await?;
    let last = cursor.last().map_or(0, |header| header.id.height);
    let found = opened.books.store.find(text).await?;
    let owner = found.into_iter().find_map(|found| match found {
        Found::Address(known, owner) if known == address => Some(owner),
        _ => None,
    });
    let Some(owner) = owner else {
        return Err(input("--address", format!("{address} is not one of ours")));
    };
    let Some(order) = owner else {
        let why = "belongs to no order; say from which height with --from and --to";
        return Err(input("--address", why));
    };
    let dossier = opened.books.store.order(&order).await?;
    let created = dossier.map(|dossier| dossier.order.created_at);
    let created = created.ok_or_else(|| input("--address", "its order cannot be read"))?;
    Ok((height_at(name, source, created, last).await?, last))
}

/// The first height whose block is not older than `time`, by halving.
async fn height_at(
    name: &ChainName,
    source: &erc20::Source,
    time: payments::time::Time,
    last: u64,
) -> Result<u64, Error> {
    let (mut low, mut high) = (0u64, last);
    while low < high {
        let middle = low.midpoint(high);
        let header = source.header(middle).await.map_err(|source| Error::chain(name, source))?;
        if header.is_some_and(|header| header.time < time) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}
