//! Single questions about the chain, for people and for reconciliation.
//!
//! In: a transaction, an account, a height, a range. Out: what the chain says about it. Never: a
//! change of how far scanning has come. Why: `explain`, `rescan` and `reconcile` ask the same
//! endpoints under the same rules as the scan.

use std::sync::Arc;

use payments::address::Address;
use payments::chain::{BlockId, Header, Scan, Transfer, TxHash};
use payments::lookup::{Held, Mined, Told, Transaction};
use payments::watch::WatchSet;
use ruint::aliases::U256;
use serde::Deserialize;
use serde_json::json;

use crate::decode;
use crate::error::Error;
use crate::node::{Node, Side};
use crate::pool::{Exhausted, Pool};
use crate::read::{self, Stretch};
use crate::refusal::{Class, Refusal};
use crate::source::Source;
use crate::verify;

/// Whether the chain already knows an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Token base units it holds.
    pub balance: U256,
    /// SUN it holds: millionths of a TRX.
    pub native: u64,
    /// Whether the account was ever activated. Tokens can be sent to one that was not.
    pub activated: bool,
    /// Whether the index knows a Transfer to it; none where no endpoint has an index.
    pub received: Option<bool>,
}

impl Used {
    /// Whether there is any trace of it.
    #[must_use]
    pub fn any(&self) -> bool {
        self.activated || self.received == Some(true) || !self.balance.is_zero() || self.native > 0
    }
}

#[derive(Default, Deserialize)]
struct Account {
    #[serde(default)]
    balance: u64,
}

impl Source {
    /// The verified header at `height` of the node's chain; none above its tip.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn header(&self, height: u64) -> Result<Option<Header>, Error> {
        let asked = self.pool.ask(None, |node| async move { node.header(height).await });
        asked.await.map(|(header, _)| header).map_err(|exhausted| exhausted.error())
    }

    /// Whether any endpoint has `block`; one that is behind it says nothing of it.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn holds(&self, block: BlockId) -> Result<Held, Error> {
        let mut exhausted = Exhausted::default();
        let mut held = None;
        for node in self.pool.usable().await {
            match node.header(block.height).await {
                Ok(Some(found)) if found.id == block => return Ok(Held::Yes),
                Ok(Some(found)) => held = Some(Held::Other(found.id.hash)),
                Ok(None) => held = held.or(Some(Held::Unknown)),
                Err(refusal) => {
                    self.pool.strike(&node, &refusal);
                    exhausted.failed(&node, refusal);
                }
            }
        }
        held.ok_or_else(|| exhausted.error())
    }

    /// Reads the blocks from `from` on again, to `to` or as far as one window reaches: the caller
    /// goes on behind the last block of the answer.
    ///
    /// # Errors
    /// [`Error`], as a poll.
    pub async fn rescan(&self, from: u64, to: u64, watch: &WatchSet) -> Result<Scan, Error> {
        let from = from.max(1);
        let span = self.config.window.max(1).saturating_sub(1);
        let to = to.min(from.saturating_add(span)).max(from);
        let stretch = read::window(&self.pool, from, to).await?;
        let below = stretch.headers.first().and_then(|first| {
            let height = first.id.height.checked_sub(1)?;
            Some(BlockId { height, hash: first.parent })
        });
        let tips = self.pool.nodes.iter().filter_map(|node| node.state().tip);
        Ok(Scan {
            chain: self.config.chain.clone(),
            base: below,
            transfers: stretch.matching(self.pool.facts.token, watch),
            notices: stretch.notices(watch),
            blocks: stretch.headers,
            finalized: None,
            safe: None,
            tip: tips.max().unwrap_or(to),
        })
    }

    /// The Transfers of the block at `height` with an address of `watch` at either end, and the
    /// notices that concern us, as two endpoints tell them. On TRON no header binds a log, so
    /// agreement is all there is.
    ///
    /// # Errors
    /// [`Error::OtherTransfers`] and [`Error::Disagree`] where they do not agree,
    /// [`Error::GaveUp`] where there is only one server, [`Error`] where fewer than two answer.
    pub async fn corroborate(&self, height: u64, watch: &WatchSet) -> Result<Told, Error> {
        if self.has_one_server() {
            let why = "nothing on TRON proves a log, and there is no second server to ask";
            return Err(Error::GaveUp { why: why.to_owned() });
        }
        let mut exhausted = Exhausted::default();
        let mut first: Option<(Arc<Node>, Stretch)> = None;
        for node in self.pool.usable().await {
            if first.as_ref().is_some_and(|(one, _)| one.is_same_server(&node)) {
                continue;
            }
            let (block, rows) = match read::alone(&self.pool, &node, height).await {
                Ok(read) => read,
                Err(refusal) => {
                    self.pool.strike(&node, &refusal);
                    exhausted.failed(&node, refusal);
                    continue;
                }
            };
            let Some((one, known)) = &first else {
                first = Some((node, Stretch { headers: vec![block.header], rows }));
                continue;
            };
            if let Some(header) = known.headers.first().filter(|known| **known != block.header) {
                return Err(read::disagree(one, header.id, &node, block.header.id));
            }
            if known.rows != rows {
                let (one, other) = (one.name.clone(), node.name.clone());
                return Err(Error::OtherTransfers { height, one, other });
            }
            let transfers = known.matching(self.pool.facts.token, watch);
            return Ok(Told { transfers, notices: known.notices(watch) });
        }
        Err(exhausted.unread(height))
    }

    /// Whether there is nobody to compare an answer with.
    fn has_one_server(&self) -> bool {
        let mut pairs = self.pool.nodes.iter().zip(self.pool.nodes.iter().skip(1));
        pairs.all(|(one, next)| one.is_same_server(next))
    }

    /// A transaction as two servers tell it; as the one does where there is no other. One that only
    /// some of them have in a block is not in one yet.
    ///
    /// # Errors
    /// [`Error::OtherTransfers`] and [`Error::Disagree`] where they do not agree, [`Error`] where
    /// one that might know it did not answer.
    pub async fn corroborate_transaction(&self, tx: TxHash) -> Result<Transaction, Error> {
        let mut exhausted = Exhausted::default();
        let mut best = None;
        let mut first: Option<(Arc<Node>, Mined)> = None;
        for node in self.pool.usable().await {
            if first.as_ref().is_some_and(|(one, _)| one.is_same_server(&node)) {
                continue;
            }
            let mined = match transaction(&self.pool, &node, Side::Full, tx).await {
                Ok(Transaction::Mined(mined)) => mined,
                Ok(waits) => {
                    best = best.filter(|best| *best == Transaction::Pending).or(Some(waits));
                    continue;
                }
                Err(refusal) => {
                    self.pool.strike(&node, &refusal);
                    exhausted.failed(&node, refusal);
                    continue;
                }
            };
            let Some((one, known)) = &first else {
                first = Some((node, mined));
                continue;
            };
            let (one, height) = (one.as_ref(), known.block.height);
            if *known == mined {
                return Ok(Transaction::Mined(mined));
            }
            if known.block.height == mined.block.height && known.block != mined.block {
                return Err(read::disagree(one, known.block, &node, mined.block));
            }
            let (one, other) = (one.name.clone(), node.name.clone());
            return Err(Error::OtherTransfers { height, one, other });
        }
        match first {
            Some((_, mined)) if self.has_one_server() => Ok(Transaction::Mined(mined)),
            Some((_, mined)) if best.is_none() && exhausted.is_empty() => {
                let why = format!("a second server has to show {tx} too, and none answers now");
                Err(Error::Unread { height: mined.block.height, why })
            }
            Some((_, mined)) if best.is_none() => Err(exhausted.unread(mined.block.height)),
            _ => best.filter(|_| exhausted.is_empty()).ok_or_else(|| exhausted.error()),
        }
    }

    /// What is known of a transaction: the first endpoint that has it in a block decides, and
    /// without one, one that has it waiting. Nothing is decided by it:
    /// [`Self::corroborate_transaction`] is for that.
    ///
    /// # Errors
    /// [`Error`] where no endpoint has it and some did not answer.
    pub async fn transaction(&self, tx: TxHash) -> Result<Transaction, Error> {
        let mut exhausted = Exhausted::default();
        let mut best = None;
        for node in self.pool.usable().await {
            match transaction(&self.pool, &node, Side::Full, tx).await {
                Ok(Transaction::NotFound) => {
                    best.get_or_insert(Transaction::NotFound);
                }
                Ok(Transaction::Pending) => best = Some(Transaction::Pending),
                Ok(mined) => return Ok(mined),
                Err(refusal) => {
                    self.pool.strike(&node, &refusal);
                    exhausted.failed(&node, refusal);
                }
            }
        }
        best.filter(|_| exhausted.is_empty()).ok_or_else(|| exhausted.error())
    }

    /// Whether the chain already knows `account`: what it holds, whether it was activated, and
    /// whether the index has a Transfer to it. This tells the node which account is meant.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn used(&self, account: Address) -> Result<Used, Error> {
        let facts = &self.pool.facts;
        let asked = self.pool.ask(None, |node| async move {
            let balance = verify::balance(&node, facts, Side::Full, account).await?;
            let address = format!("41{}", payments::address::lower_hex(&account.0));
            let body = node.post(Side::Full, "getaccount", &json!({"address": address})).await?;
            let activated = decode::is_there(&body)?;
            let native = decode::read::<Account>(&body)?.balance;
            let received = crate::index::received(&node, facts, account).await?;
            Ok(Used { balance, native, activated, received })
        });
        asked.await.map(|(used, _)| used).map_err(|exhausted| exhausted.error())
    }
}

/// What one endpoint knows of a transaction; on the solidity side only what cannot change.
pub(crate) async fn transaction(
    pool: &Pool,
    node: &Node,
    side: Side,
    tx: TxHash,
) -> Result<Transaction, Refusal> {
    let Some(height) = node.height_of(side, tx).await? else {
        return if side == Side::Full && waits(node, tx).await? {
            Ok(Transaction::Pending)
        } else {
            Ok(Transaction::NotFound)
        };
    };
    let (block, rows) = read::alone(pool, node, height).await?;
    let outcome = block.transactions.iter().find(|outcome| outcome.tx == tx);
    let Some(outcome) = outcome else {
        return Err(Refusal::behind("the transaction's block is not in its chain now"));
    };
    let transfers = rows.iter().filter(|row| row.tx == tx);
    let transfers = transfers.filter_map(|row| row.transfer(&block.header, pool.facts.token));
    let (transfers, others) = transfers.partition(|t: &Transfer| t.token == pool.facts.token);
    Ok(Transaction::Mined(Mined {
        succeeded: outcome.succeeded,
        block: block.header.id,
        time: block.header.time,
        transfers,
        others,
    }))
}

/// Whether a transaction waits for a block; an endpoint that does not say knows of none.
async fn waits(node: &Node, tx: TxHash) -> Result<bool, Refusal> {
    let question = json!({"value": tx.bare()});
    match node.post(Side::Full, "gettransactionfrompending", &question).await {
        Ok(body) => Ok(decode::is_there(&body)?),
        Err(Refusal { class: Class::Unsupported, .. }) => Ok(false),
        Err(refusal) => Err(refusal),
    }
}
