//! `bursar rescan`: blocks that were read before, read again.
//!
//! In: heights, a transaction or an address. Out: deposits that were missed, recorded once.
//! Never: moves the cursor, records anything twice, reads above what was scanned.
//! Why: the answer to "the customer says they paid and we see nothing" is to look again.

use payments::address::Address;
use payments::chain::TxHash;
use payments::event::{Event, EventKind};
use payments::lookup::{Told, Transaction};
use payments::name::ChainName;
use payments::{Changes, Update};
use serde_json::{Value, json};
use store::{Found, WatchState, point};
use tokio::sync::watch;

use crate::books::Books;
use crate::cli::Rescan;
use crate::clock::SKEW;
use crate::error::{Error, input};
use crate::node::Node;
use crate::open::Opened;
use crate::output::Output;

/// Reads again and records what was missed.
///
/// # Errors
/// Exit 2 where the heights are not scanned yet, or the transaction or address is not known; exit
/// 1 where it was told to stop before the last of them.
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
    let node = opened.node(name, chain).await?;
    let (from, to) = heights(opened, name, &node, options).await?;
    if from > to {
        return Err(input("--from", format!("{from} is above --to {to}")));
    }
    if to > last {
        let why = format!("{to} is above {last}, the last scanned height: the daemon gets there");
        return Err(input("--to", why));
    }
    let mut found = 0usize;
    let mut at = from;
    // One transaction is asked about because somebody misses it: its block is proved, where it can
    // be.
    let prove = options.prove || options.tx.is_some();
    let reader = Reader { books: &opened.books, name, node: &node };
    let mut watched = WatchState::default();
    while at <= to && !*stopped.borrow() {
        let (end, new) = if prove {
            reader.proved(&mut watched, at, options.prove).await?
        } else {
            reader.portion(&mut watched, at, to).await?
        };
        found = found.saturating_add(detected(&new));
        point!("rescan.recorded");
        tracing::info!(from, to, done = end, found, "read again");
        at = end.saturating_add(1);
    }
    let again = Again { options, name, from, next: at, to, found };
    output.print(&again.json(), || again.text())?;
    match again.how_to_go_on() {
        None => Ok(()),
        Some(command) => {
            let why = format!("stopped before height {at} of {from} to {to}: go on with");
            Err(Error::Failed(format!("{why} `{command}`")))
        }
    }
}

/// What was read again, and what was not.
struct Again<'a> {
    options: &'a Rescan,
    name: &'a ChainName,
    from: u64,
    /// The first height that was not read; above `to` where all were.
    next: u64,
    to: u64,
    found: usize,
}

impl Again<'_> {
    /// The last height that was read; none where the first was not.
    fn done(&self) -> Option<u64> {
        self.next.checked_sub(1).filter(|done| *done >= self.from)
    }

    /// The command that reads the rest.
    fn how_to_go_on(&self) -> Option<String> {
        let Self { options, name, next, to, .. } = self;
        let prove = if options.prove { " --prove" } else { "" };
        let rest = match &options.tx {
            Some(tx) => format!("--tx {}", tx.trim()),
            None => format!("--from {next} --to {to}"),
        };
        (next <= to).then(|| format!("bursar rescan --chain {name} {rest}{prove}"))
    }

    fn json(&self) -> Value {
        let go_on = self.how_to_go_on();
        json!({
            "chain": self.name.as_str(),
            "from": self.from,
            "to": self.done(),
            "found": self.found,
            "complete": go_on.is_none(),
            "go_on": go_on,
        })
    }

    fn text(&self) -> String {
        let (from, name) = (self.from, self.name);
        let Some(done) = self.done() else {
            return format!("Read no height of {name} again.");
        };
        let deposits = match self.found {
            0 => "nothing that was not recorded".to_owned(),
            1 => "1 deposit that was missed".to_owned(),
            found => format!("{found} deposits that were missed"),
        };
        format!("Read heights {from} to {done} of {name} again: {deposits}.")
    }
}

/// Reads blocks again and records what they hold.
pub(crate) struct Reader<'a> {
    pub(crate) books: &'a Books,
    pub(crate) name: &'a ChainName,
    pub(crate) node: &'a Node,
}

impl Reader<'_> {
    /// Reads one portion from `from` on and records it: its last height, and what was new.
    pub(crate) async fn portion(
        &self,
        watched: &mut WatchState,
        from: u64,
        to: u64,
    ) -> Result<(u64, Changes), Error> {
        let watched = self.books.store.watch(watched).await?;
        let scan = self.node.rescan(from, to, &watched).await;
        let scan = scan.map_err(|source| Error::chain(self.name, source))?;
        point!("rescan.read");
        let end = scan.blocks.last().map_or(to, |header| header.id.height);
        let told = Told { transfers: scan.transfers, notices: scan.notices };
        Ok((end, self.record(told).await?))
    }

    /// The same of one block, in the strongest way there is.
    async fn proved(
        &self,
        watched: &mut WatchState,
        height: u64,
        insist: bool,
    ) -> Result<(u64, Changes), Error> {
        let watched = self.books.store.watch(watched).await?;
        let told = self.node.prove(height, &watched, insist).await;
        let told = told.map_err(|source| Error::chain(self.name, source))?;
        Ok((height, self.record(told).await?))
    }

    /// The rules refuse a transfer of a block that is not the recorded one: a fork is the daemon's
    /// to find.
    async fn record(&self, told: Told) -> Result<Changes, Error> {
        let (chain, Told { transfers, notices }) = (self.name.clone(), told);
        self.books.record(&Update::Rescan { chain, transfers, notices }).await
    }
}

/// How many deposits were new.
pub(crate) fn detected(changes: &Changes) -> usize {
    let detected = |event: &&Event| event.kind == EventKind::DepositDetected;
    changes.events.iter().filter(detected).count()
}

/// The heights that the options mean.
async fn heights(
    opened: &Opened,
    name: &ChainName,
    node: &Node,
    options: &Rescan,
) -> Result<(u64, u64), Error> {
    if let (Some(from), Some(to)) = (options.from, options.to) {
        return Ok((from, to));
    }
    let wrong = |source| Error::chain(name, source);
    if let Some(text) = &options.tx {
        let hash = TxHash::parse(text)
            .ok_or_else(|| input("--tx", format!("`{text}` is not 64 hex digits")))?;
        return match node.transaction(hash).await.map_err(wrong)? {
            Transaction::Mined(mined) => Ok((mined.block.height, mined.block.height)),
            Transaction::Pending => Err(input("--tx", "is in no block yet")),
            Transaction::NotFound => Err(input("--tx", format!("no endpoint of {name} knows it"))),
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
        return Err(input("--address", format!("`{text}` is not one of ours")));
    };
    let Some(order) = owner else {
        let why = "belongs to no order; say from which height with --from and --to";
        return Err(input("--address", why));
    };
    let dossier = opened.books.store.order(&order).await?;
    let created = dossier.map(|dossier| dossier.order.created_at);
    let created = created.ok_or_else(|| input("--address", "its order cannot be read"))?;
    // It is paid at once, and the machine's clock may be ahead of the chain's.
    let since = created.after(SKEW.saturating_neg());
    Ok((height_at(name, node, since, last).await?, last))
}

/// The first height whose block is not older than `time`, by halving.
pub(crate) async fn height_at(
    name: &ChainName,
    node: &Node,
    time: payments::time::Time,
    last: u64,
) -> Result<u64, Error> {
    let (mut low, mut high) = (0u64, last);
    while low < high {
        let middle = low.midpoint(high);
        let header = node.header(middle).await.map_err(|source| Error::chain(name, source))?;
        if header.is_some_and(|header| header.time < time) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}
