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
    let (name, chain) = opened.config.chain(&options.chain)?;
    let cursor = opened.books.store.cursor(name).await?;
    let last = cursor.last().map(|header| header.id.height);
    let last = last.ok_or_else(|| input("--chain", format!("{name} was never scanned")))?;
    let source = opened.source(name, chain).await?;
    let (from, to) = heights(opened, name, &source, options).await?;
    if from > to {
        return Err(input("--from", format!("{from} is above --to {to}")));
    }
    if to > last {
        let why = format!("{to} is above {last}, the last scanned height: the daemon gets there");
        return Err(input("--to", why));
    }
    let mut found = 0usize;
    let mut at = from;
    // One transaction is asked about because somebody misses it: its block is proved.
    let prove = options.prove || options.tx.is_some();
    let reader = Reader { opened, name, source: &source, prove };
    while at <= to && !*stopped.borrow() {
        let (end, new) = reader.portion(at, to).await?;
        found = found.saturating_add(new);
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

/// Reads portions again and records what they hold.
struct Reader<'a> {
    opened: &'a Opened,
    name: &'a ChainName,
    source: &'a erc20::Source,
    prove: bool,
}

impl Reader<'_> {
    /// Reads one portion from `from` on and records it: its last height, and how many deposits
    /// were new.
    async fn portion(&self, from: u64, to: u64) -> Result<(u64, usize), Error> {
        let books = &self.opened.books;
        let wrong = |source| Error::chain(self.name, source);
        let mut state = WatchState::default();
        let watched = books.store.watch(&mut state).await?;
        let (end, transfers) = if self.prove {
            let transfers = self.source.prove(from, &watched).await.map_err(wrong)?;
            (from, transfers)
        } else {
            let scan = self.source.rescan(from, to, &watched).await.map_err(wrong)?;
            let end = scan.blocks.last().map_or(to, |header| header.id.height);
            (end, scan.transfers)
        };
        // The rules refuse a transfer of a block that is not the recorded one: a fork is the
        // daemon's to find.
        let update = Update::Rescan { chain: self.name.clone(), transfers };
        let changes = books.record(&update).await?;
        let detected = |kind: &EventKind| *kind == EventKind::DepositDetected;
        Ok((end, changes.events.iter().filter(|event| detected(&event.kind)).count()))
    }
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
