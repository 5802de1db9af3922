//! Account polling: headers alone, and of the blocks only those that the index hints at.
//!
//! In: the cursor, and the accounts that wait for money. Out: a scan up to the solidified block
//! with the Transfers the index knows of, each read from its block. Never: anything above the
//! solidified block; a Transfer on the index's word. Why: every block is a megabyte and its header
//! half a kilobyte. What the index lost is not in here: `rescan` behind it finds that.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Cursor, Header, Scan, Transfer, TxHash};
use payments::lookup::Transaction;
use payments::time::Time;
use payments::watch::WatchSet;

use crate::error::Error;
use crate::explain;
use crate::near::Ground;
use crate::node::{Node, Side};
use crate::pool::Pool;
use crate::read::{self, Stretch};
use crate::refusal::Refusal;
use crate::source::{Chain, Progress, Source};

/// The most headers of one poll.
const HEADERS_LIMIT: u64 = 1_000;
/// The most transactions whose Transfers are remembered.
const SETTLED_LIMIT: usize = 10_000;

/// An account that waits for money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Since when: nothing older is asked about.
    pub since: Time,
}

/// What one look at the accounts found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// New headers up to the solidified block, and the Transfers in these blocks: for
    /// `Update::Scan`.
    pub scan: Scan,
    /// Transfers in blocks recorded before, which the index shows late or again: for
    /// `Update::Rescan`, once `scan` is recorded.
    pub earlier: Vec<Transfer>,
}

impl Source {
    /// What is new for `accounts` since `cursor`: one request for each header, one for each
    /// account, three for each transaction not seen before. The index learns which accounts are
    /// ours, unlike the nodes that [`Source::poll`] asks.
    ///
    /// # Errors
    /// Any [`Error`]; none of them loses anything. [`Error::GaveUp`] where no endpoint has an
    /// index.
    pub async fn poll_accounts(
        &self,
        cursor: &Cursor,
        accounts: &[Account],
    ) -> Result<Found, Error> {
        let mut progress = self.progress.lock().await;
        let view = self.view(&mut progress, cursor).await?;
        let ground = self.ground(cursor, &view).await?;
        let standing = match (&ground, view.finalized()) {
            (Some(ground), Some(claim)) => {
                let to = claim.id.height.min(view.tip.id.height);
                standing(&self.pool, ground, (to, claim.id)).await?
            }
            (ground, _) => (ground.clone(), Stretch::default()),
        };
        let (ground, stretch) = standing;
        let whose = &view.leader;
        let chain = Chain { ground: ground.as_ref(), stretch: &stretch, whose };
        let finalized = self.finalized(&mut progress, cursor, &chain, &view).await?;
        let mut hinted = BTreeSet::new();
        for account in accounts {
            hinted.extend(self.all_hints(account).await?);
        }
        let watch = WatchSet::new(accounts.iter().map(|account| account.address.0).collect());
        let found = self.settled(&mut progress, &hinted, &watch).await?;
        if let Some(stray) = found.iter().find(|row| !chain.may_hold(cursor, row.block)) {
            // Whoever showed its block showed another one than the chain's.
            progress.settled.clear();
            let why = format!("a transfer of {} sits in another block", stray.tx.bare());
            return Err(Error::Unread { height: stray.block.height, why });
        }
        drop(progress);
        let base = ground.as_ref().and_then(Ground::last);
        let first = base.map_or(0, |base| base.height.saturating_add(1));
        let top = stretch.headers.last().map(|header| header.id.height);
        let (mut transfers, mut earlier) = (Vec::new(), Vec::new());
        for transfer in found {
            let height = transfer.block.height;
            if height < first {
                earlier.push(transfer);
            } else if top.is_some_and(|top| height <= top) {
                transfers.push(transfer);
            }
            // What lies above comes again with its header.
        }
        let scan = Scan {
            chain: self.config.chain.clone(),
            base,
            blocks: stretch.headers,
            transfers,
            notices: Vec::new(),
            finalized,
            safe: None,
            tip: view.tip.id.height.max(top.unwrap_or_default()),
        };
        Ok(Found { scan, earlier })
    }

    /// The Transfers of `transactions` with an address of `watch` at either end, read from their
    /// blocks as a scan reads them. Ids that the solidity node does not know give nothing,
    /// whatever the index says.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers for one of them.
    pub async fn confirmed(
        &self,
        transactions: &BTreeSet<TxHash>,
        watch: &WatchSet,
    ) -> Result<Vec<Transfer>, Error> {
        let mut progress = self.progress.lock().await;
        self.settled(&mut progress, transactions, watch).await
    }

    async fn settled(
        &self,
        progress: &mut Progress,
        transactions: &BTreeSet<TxHash>,
        watch: &WatchSet,
    ) -> Result<Vec<Transfer>, Error> {
        let mut found = BTreeMap::new();
        for tx in transactions {
            let transfers = match progress.settled.get(tx) {
                Some(known) => known.clone(),
                None => {
                    let Some(transfers) = self.transfers_of(*tx).await? else { continue };
                    if progress.settled.len() >= SETTLED_LIMIT {
                        progress.settled.clear();
                    }
                    progress.settled.insert(*tx, transfers.clone());
                    transfers
                }
            };
            let ours = |row: &Transfer| watch.contains(&row.to) || watch.contains(&row.from);
            for transfer in transfers.into_iter().filter(ours) {
                found.insert((transfer.block.height, transfer.log_index), transfer);
            }
        }
        Ok(found.into_values().collect())
    }

    /// All Transfers of a solidified transaction; none where it is not one yet.
    async fn transfers_of(&self, tx: TxHash) -> Result<Option<Vec<Transfer>>, Error> {
        let pool = &self.pool;
        let asked = pool.ask(None, |node| async move {
            explain::transaction(pool, &node, Side::Solidity, tx).await
        });
        match asked.await.map_err(|exhausted| exhausted.error())? {
            (Transaction::Mined(mined), _) => Ok(Some(mined.transfers)),
            _ => Ok(None),
        }
    }

    async fn all_hints(&self, account: &Account) -> Result<BTreeSet<TxHash>, Error> {
        let hints = self.hints(account.address, account.since).await?;
        if hints.more_from.is_some() {
            tracing::warn!(
                chain = self.pool.facts.chain,
                account = account.address.tron(),
                "an account has more rows than one poll reads; the rest is left to the block scan"
            );
        }
        Ok(hints.transactions)
    }
}

/// The headers from recorded ground up to the solidified height, and the ground they stand on:
/// blocks recorded above the solidified one may have been replaced, its own never by the rules of
/// the chain. Where it was, nothing can be read until a person says which branch is real.
async fn standing(
    pool: &Pool,
    ground: &Ground,
    (solidified, claimed): (u64, BlockId),
) -> Result<(Option<Ground>, Stretch), Error> {
    let Some(lowest) = ground.kept.first().copied() else {
        let headers = headers(pool, ground.next, solidified).await?;
        return Ok((Some(ground.clone()), Stretch { headers, rows: Vec::new() }));
    };
    if solidified < ground.next {
        // A branch that was recorded may have been longer than what is solidified of its rival.
        if ground.at(claimed.height).is_none_or(|kept| kept.id == claimed) {
            return Ok((Some(ground.clone()), Stretch::default()));
        }
        if claimed.height == lowest.id.height {
            return Err(replaced(ground, lowest.id, claimed.hash));
        }
    } else {
        let headers = headers(pool, ground.next, solidified).await?;
        let parent = headers.first().map(|first| first.parent);
        if parent.is_none_or(|parent| ground.last().is_none_or(|last| last.hash == parent)) {
            return Ok((Some(ground.clone()), Stretch { headers, rows: Vec::new() }));
        }
    }
    let next = lowest.id.height.saturating_add(1);
    let headers = self::headers(pool, next, solidified).await?;
    match headers.first() {
        Some(first) if first.parent != lowest.id.hash => {
            Err(replaced(ground, lowest.id, first.parent))
        }
        _ => Ok((Some(Ground::fresh(Some(lowest), next)), Stretch { headers, rows: Vec::new() })),
    }
}

/// The error of a chain that leaves the recorded one below its lowest block.
fn replaced(ground: &Ground, lowest: BlockId, found: BlockHash) -> Error {
    let (height, recorded) = (lowest.height, lowest.hash);
    if ground.recorded && ground.below.is_none() {
        return Error::BelowFinalized { height, recorded, found: Some(found) };
    }
    let why = "the chain changed while scanning began".to_owned();
    Error::Unread { height, why }
}

async fn headers(pool: &Pool, from: u64, to: u64) -> Result<Vec<Header>, Error> {
    let to = to.min(from.saturating_add(HEADERS_LIMIT.saturating_sub(1)));
    let asked = pool.ask(Some(to), |node| async move { linked(pool, &node, from, to).await });
    let (headers, node) = asked.await.map_err(|exhausted| exhausted.unread(from))?;
    if let Some(last) = headers.last() {
        read::second_opinion(pool, &node, last.id).await?;
    }
    Ok(headers)
}

async fn linked(pool: &Pool, node: &Node, from: u64, to: u64) -> Result<Vec<Header>, Refusal> {
    let asked: Vec<_> = (from..=to).map(|height| node.header(height)).collect();
    let found: Vec<Option<Header>> =
        stream::iter(asked).buffered(pool.in_flight).try_collect().await?;
    // Whatever is left out, at the low end too, leaves the rest without ground.
    let whole: Option<Vec<Header>> = found.into_iter().collect();
    let Some(headers) = whole else {
        return Err(Refusal::behind(format!("it does not have every height from {from} to {to}")));
    };
    for (below, above) in headers.iter().zip(headers.iter().skip(1)) {
        if above.parent != below.id.hash {
            let height = above.id.height;
            return Err(Refusal::lie(format!("its block at height {height} has another parent")));
        }
    }
    Ok(headers)
}
