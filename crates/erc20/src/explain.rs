//! Single questions about the chain, for people and for reconciliation.
//!
//! In: a transaction, an account, a height, a range. Out: what the chain says about it. Never: a
//! change of how far scanning has come. Why: `explain`, `rescan` and `reconcile` ask the same
//! endpoints under the same rules as the scan.

use std::collections::BTreeMap;

use alloy::primitives::{Address as RawAddress, B256, Bytes, U64, U256};
use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Header, Scan, Transfer, TxHash};
use payments::lookup::{Held, Mined, Transaction};
use payments::watch::WatchSet;
use serde::Deserialize;
use serde_json::json;

use crate::decode::Block;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::{Exhausted, Facts};
use crate::read;
use crate::refusal::{Class, Refusal};
use crate::settle;
use crate::source::Source;
use crate::span::SPAN_LIMIT;
use crate::token::{TRANSFER, TRANSFER_TEXT};
use crate::verify;

/// The first four bytes of `keccak256("balanceOf(address)")`.
pub(crate) const BALANCE_OF: &str = "0x70a08231";
/// How far below the tip [`Source::used`] searches for Transfers.
const SEARCHED: u64 = 2_048;

/// Whether the chain already knows an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Token base units it holds.
    pub balance: U256,
    /// The chain's own coin it holds.
    pub native: U256,
    /// How many transactions it has sent.
    pub nonce: u64,
    /// Whether a Transfer reached it between `searched_from` and the tip.
    pub received: bool,
    /// The lowest height that was searched for Transfers.
    pub searched_from: u64,
}

impl Used {
    /// Whether there is any trace of it.
    #[must_use]
    pub fn any(&self) -> bool {
        self.received || self.nonce > 0 || !self.balance.is_zero() || !self.native.is_zero()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    #[serde(default)]
    status: Option<U64>,
    block_hash: B256,
    block_number: U64,
    transaction_hash: B256,
    logs: Vec<ReceiptLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptLog {
    address: RawAddress,
    topics: Vec<B256>,
    data: Bytes,
    log_index: U64,
}

impl Source {
    /// The verified header at `height` of the node's chain; none above its tip.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn header(&self, height: u64) -> Result<Option<Header>, Error> {
        let facts = &self.pool.facts;
        let asked = self.pool.ask(None, |endpoint| async move {
            let block = endpoint.block_at(height, facts).await?;
            Ok(block.map(|block| block.header))
        });
        asked.await.map(|(header, _)| header).map_err(|exhausted| exhausted.error())
    }

    /// Whether any endpoint has `block`; one that is behind it says nothing of it.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn holds(&self, block: BlockId) -> Result<Held, Error> {
        let mut exhausted = Exhausted::default();
        let mut held = None;
        for endpoint in self.pool.usable().await {
            match endpoint.block_at(block.height, &self.pool.facts).await {
                Ok(Some(found)) if found.header.id == block => return Ok(Held::Yes),
                Ok(Some(found)) => held = Some(Held::Other(found.header.id.hash)),
                Ok(None) => held = held.or(Some(Held::Unknown)),
                Err(refusal) => {
                    self.pool.strike(&endpoint, &refusal);
                    exhausted.failed(&endpoint, refusal);
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
        let window = self.config.window.clamp(1, SPAN_LIMIT);
        let to = to.min(from.saturating_add(window.saturating_sub(1)));
        let stretch = read::window(&self.pool, from, to).await?;
        let stretch = settle::believed(&self.pool, stretch, watch).await?;
        let below = stretch.blocks.first().and_then(|first| {
            let height = first.header.id.height.checked_sub(1)?;
            Some(BlockId { height, hash: first.header.parent })
        });
        let tips = self.pool.endpoints.iter().filter_map(|endpoint| endpoint.state().tip);
        Ok(Scan {
            chain: self.config.chain.clone(),
            base: below,
            transfers: stretch.transfers(&self.pool.facts.token),
            notices: stretch.notices(),
            blocks: stretch.blocks.iter().map(|block| block.header).collect(),
            finalized: None,
            safe: None,
            tip: tips.max().unwrap_or(to),
        })
    }

    /// A transaction: its block, its outcome, and every Transfer of the token in it, on the word of
    /// the first endpoint that has it in a block. Nothing is decided by it:
    /// [`Self::prove_transaction`] is for that.
    ///
    /// # Errors
    /// [`Error`] where an endpoint that might know it did not answer, and none of the others did
    /// know it.
    pub async fn transaction(&self, tx: TxHash) -> Result<Transaction, Error> {
        let facts = &self.pool.facts;
        let mut exhausted = Exhausted::default();
        let mut best = None;
        for endpoint in self.pool.usable().await {
            match transaction(&endpoint, facts, tx).await {
                Ok(Transaction::NotFound) => {
                    best.get_or_insert(Transaction::NotFound);
                }
                Ok(Transaction::Pending) => best = Some(Transaction::Pending),
                Ok(mined) => return Ok(mined),
                Err(refusal) => {
                    self.pool.strike(&endpoint, &refusal);
                    exhausted.failed(&endpoint, refusal);
                }
            }
        }
        best.filter(|_| exhausted.is_empty()).ok_or_else(|| exhausted.error())
    }

    /// How many base units of the token `account` held after the block at `height`. The node
    /// learns that somebody asked about this account.
    ///
    /// # Errors
    /// [`Error::GaveUp`] where every endpoint has forgotten the state of that block.
    pub async fn balance(&self, account: Address, height: u64) -> Result<U256, Error> {
        let facts = &self.pool.facts;
        let asked = self.pool.ask(Some(height), |endpoint| async move {
            balance(&endpoint, facts, account, &json!(format!("{height:#x}"))).await
        });
        asked.await.map(|(balance, _)| balance).map_err(|exhausted| exhausted.error())
    }

    /// Whether the chain already knows `account`: what it holds, what it sent, and Transfers to it
    /// within the last blocks. Unlike a scan this tells the node which account is meant.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn used(&self, account: Address) -> Result<Used, Error> {
        let facts = &self.pool.facts;
        let asked = self.pool.ask(None, |endpoint| async move {
            let text = account.evm();
            let latest = json!("latest");
            let balance = balance(&endpoint, facts, account, &latest).await?;
            let native = endpoint.call::<U256>("eth_getBalance", json!([text, latest])).await?;
            let nonce =
                endpoint.call::<U64>("eth_getTransactionCount", json!([text, latest])).await?;
            let (received, searched_from) = received(&endpoint, facts, account).await?;
            Ok(Used { balance, native, nonce: nonce.to(), received, searched_from })
        });
        asked.await.map(|(used, _)| used).map_err(|exhausted| exhausted.error())
    }
}

/// The receipt of a transaction, and the verified block it is in; none where it is in no block.
pub(crate) async fn mined(
    endpoint: &Endpoint,
    facts: &Facts,
    tx: TxHash,
) -> Result<Option<(Receipt, Block)>, Refusal> {
    let receipt: Option<Receipt> =
        endpoint.call("eth_getTransactionReceipt", json!([tx.to_string()])).await?;
    let Some(receipt) = receipt else { return Ok(None) };
    if receipt.transaction_hash.0 != tx.0 {
        return Err(Refusal::lie("asked for one transaction, got another"));
    }
    let block = endpoint.block_at(receipt.block_number.to(), facts).await?;
    match block.filter(|block| block.header.id.hash == BlockHash(receipt.block_hash.0)) {
        Some(block) => Ok(Some((receipt, block))),
        None => Err(Refusal::behind("the transaction's block is not in its chain now")),
    }
}

/// What an endpoint knows of a transaction that is in no block.
pub(crate) async fn unmined(endpoint: &Endpoint, tx: TxHash) -> Result<Transaction, Refusal> {
    let known: Option<serde::de::IgnoredAny> =
        endpoint.call("eth_getTransactionByHash", json!([tx.to_string()])).await?;
    Ok(if known.is_some() { Transaction::Pending } else { Transaction::NotFound })
}

async fn transaction(
    endpoint: &Endpoint,
    facts: &Facts,
    tx: TxHash,
) -> Result<Transaction, Refusal> {
    let Some((receipt, block)) = mined(endpoint, facts, tx).await? else {
        return unmined(endpoint, tx).await;
    };
    let header = block.header;
    let token = facts.token.address();
    let (mut transfers, mut others) = (Vec::new(), Vec::new());
    let mut places: BTreeMap<Address, u32> = BTreeMap::new();
    for log in &receipt.logs {
        let &[TRANSFER, from, to] = log.topics.as_slice() else { continue };
        let Some(raw) = U256::try_from_be_slice(&log.data).filter(|_| log.data.len() == 32) else {
            continue;
        };
        let contract = Address(log.address.into_array());
        let n = places.entry(contract).or_default();
        let list = if contract == token { &mut transfers } else { &mut others };
        list.push(Transfer {
            tx,
            n: *n,
            log_index: log.log_index.to(),
            block: header.id,
            time: header.time,
            token: contract,
            from: Address(RawAddress::from_word(from).into_array()),
            to: Address(RawAddress::from_word(to).into_array()),
            raw,
        });
        *n = n.saturating_add(1);
    }
    // Before Byzantium receipts had no status; a failed transaction had no logs then either.
    let succeeded = receipt.status.is_none_or(|status| status == U64::from(1));
    if !succeeded {
        transfers.clear();
        others.clear();
    }
    let (block, time) = (header.id, header.time);
    Ok(Transaction::Mined(Mined { succeeded, block, time, transfers, others }))
}

async fn balance(
    endpoint: &Endpoint,
    facts: &Facts,
    account: Address,
    at: &serde_json::Value,
) -> Result<U256, Refusal> {
    let data = format!("{BALANCE_OF}{}", topic(account).trim_start_matches("0x"));
    let answer = verify::call(endpoint, facts, &data, at).await?;
    verify::word(&answer).ok_or_else(|| Refusal::lie("balanceOf answers something else"))
}

/// Whether a Transfer reached the account within the last blocks, as far as the endpoint lets
/// itself be asked.
async fn received(
    endpoint: &Endpoint,
    facts: &Facts,
    account: Address,
) -> Result<(bool, u64), Refusal> {
    let tip: u64 = endpoint.call::<U64>("eth_blockNumber", json!([])).await?.to();
    let mut span = SEARCHED;
    loop {
        let from = tip.saturating_sub(span.saturating_sub(1));
        let filter = json!([{
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{tip:#x}"),
            "address": facts.token.text(),
            "topics": [TRANSFER_TEXT, null, topic(account)],
        }]);
        match endpoint.call::<Vec<serde::de::IgnoredAny>>("eth_getLogs", filter).await {
            Ok(logs) => return Ok((!logs.is_empty(), from)),
            Err(Refusal { class: Class::Shrink { hints }, .. }) if span > 1 => {
                let hint = hints.into_iter().find(|hint| (1..span).contains(hint));
                span = hint.unwrap_or(span >> 1).max(1);
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

/// An account as a topic.
pub(crate) fn topic(account: Address) -> String {
    RawAddress::from(account.0).into_word().to_string()
}
