//! All logs of a block, proved by the root in its header.
//!
//! In: a verified block. Out: every Transfer and notice of the token in it, or that the node cannot
//! prove it. Never: fewer logs than the block has; leaving one out changes the root.
//! Why: nothing commits to an `eth_getLogs` answer, so silence is only believed when it is proved.
//! Not bound by the root: which transaction hash a receipt names. It is taken as told, here and in
//! `eth_getLogs`; the accounts, the value and the place in the block are not.

use std::collections::{BTreeMap, BTreeSet};

use alloy::consensus::proofs::ordered_trie_root_with_encoder;
use alloy::consensus::{Eip658Value, Receipt as Content, ReceiptWithBloom};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address as RawAddress, B256, Bloom, Bytes, Log, U8, U64};
use alloy::rlp::{Encodable, Header as RlpHeader};
use endpoint::BODY_LIMIT;
use payments::address::Address;
use payments::chain::TxHash;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::decode::{Block, Row};
use crate::endpoint::Endpoint;
use crate::header::first_line;
use crate::notice;
use crate::refusal::Refusal;
use crate::token::{TRANSFER, Token};

/// The type of the receipts of deposits on OP-stack chains, which carry two more fields.
const DEPOSIT: u8 = 0x7e;

/// The most receipts of one block that are asked for singly. A transaction costs at least 21,000
/// gas (`G_transaction` of the Yellow Paper): a block of so many has a limit of 420 million.
const MOST_SINGLY: usize = 20_000;

/// A receipt, as far as the root binds it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    #[serde(default, rename = "type")]
    kind: Option<U8>,
    #[serde(default)]
    status: Option<U64>,
    /// In place of a status before Byzantium.
    #[serde(default)]
    root: Option<B256>,
    cumulative_gas_used: U64,
    logs: Vec<ReceiptLog>,
    transaction_hash: B256,
    #[serde(default)]
    deposit_nonce: Option<U64>,
    #[serde(default)]
    deposit_receipt_version: Option<U64>,
}

#[derive(Deserialize)]
struct ReceiptLog {
    address: RawAddress,
    topics: Vec<B256>,
    data: Bytes,
}

/// Every Transfer of the token in `block`, which is the `at`-th of its stretch.
pub(crate) async fn transfers(
    endpoint: &Endpoint,
    token: &Token,
    block: &Block,
    at: usize,
) -> Result<Vec<Row>, Refusal> {
    Ok(rows(&receipts(endpoint, block).await?, token, at))
}

/// Whether a transaction of `block` succeeded, and every Transfer of the token in it; none where
/// the block has no such transaction.
pub(crate) async fn outcome(
    endpoint: &Endpoint,
    token: &Token,
    block: &Block,
    tx: TxHash,
) -> Result<Option<(bool, Vec<Row>)>, Refusal> {
    let receipts = receipts(endpoint, block).await?;
    let Some(receipt) = receipts.iter().find(|receipt| receipt.transaction_hash.0 == tx.0) else {
        return Ok(None);
    };
    // Before Byzantium receipts had no status; a failed transaction had no logs then either.
    let succeeded = receipt.status.is_none_or(|status| status == U64::from(1));
    let mut rows = rows(&receipts, token, 0);
    rows.retain(|row| succeeded && row.tx == tx.0);
    Ok(Some((succeeded, rows)))
}

/// All receipts of `block`, which have the root in its header.
async fn receipts(endpoint: &Endpoint, block: &Block) -> Result<Vec<Receipt>, Refusal> {
    let hash = block.header.id.hash.to_string();
    match endpoint.json("eth_getBlockReceipts", json!([hash])).await {
        Ok(list) => checked(list.get(), block),
        Err(refusal) if refusal.is_of_the_question() => {
            let list = one_by_one(endpoint, &hash).await?;
            checked(&list, block)
        }
        Err(refusal) => Err(refusal),
    }
}

/// The receipts of a block from a node that only gives them singly.
async fn one_by_one(endpoint: &Endpoint, hash: &str) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Transactions {
        transactions: Vec<B256>,
    }
    let block: Option<Transactions> =
        endpoint.call("eth_getBlockByHash", json!([hash, false])).await?;
    let block = block.ok_or_else(|| Refusal::behind("it does not have the block"))?;
    // Nothing binds this list, so it is not followed wherever it leads.
    let listed = block.transactions.len();
    if listed > MOST_SINGLY {
        let why = format!("it lists {listed} transactions in a block, more than {MOST_SINGLY}");
        return Err(Refusal::lie(why));
    }
    let params: Vec<Value> = block.transactions.iter().map(|hash| json!([hash])).collect();
    let mut list = String::from("[");
    let receipts = endpoint.calls("eth_getTransactionReceipt", &params, |json| {
        if list.len().saturating_add(json.get().len()) > BODY_LIMIT {
            let why = format!("the receipts of a block are larger than {BODY_LIMIT} bytes");
            return Err(Refusal::lie(why));
        }
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(json.get());
        Ok(())
    });
    receipts.await?;
    list.push(']');
    Ok(list)
}

/// The receipts in `json`, a list whose root must be the block's.
pub(crate) fn checked(json: &str, block: &Block) -> Result<Vec<Receipt>, Refusal> {
    if json.trim() == "null" {
        return Err(Refusal::behind("it does not have the block's receipts"));
    }
    let receipts: Vec<Receipt> = sonic_rs::from_str(json)
        .map_err(|error| Refusal::lie(format!("the receipts: {}", first_line(&error))))?;
    let height = block.header.id.height;
    if root(&receipts) != B256::from(block.receipts_root) {
        return Err(Refusal::lie(format!(
            "the receipts of height {height} do not have the root in its header"
        )));
    }
    let mut named = BTreeSet::new();
    if !receipts.iter().all(|receipt| named.insert(receipt.transaction_hash)) {
        return Err(Refusal::lie(format!("two receipts of height {height} are one transaction's")));
    }
    Ok(receipts)
}

fn root(receipts: &[Receipt]) -> B256 {
    let coded: Vec<(AnyReceiptEnvelope, Option<(u64, u64)>)> = receipts.iter().map(coded).collect();
    ordered_trie_root_with_encoder(&coded, |(receipt, deposit), out| match deposit {
        None => receipt.encode_2718(out),
        Some((nonce, version)) => {
            let mut fields = Vec::new();
            receipt.inner.receipt.status.encode(&mut fields);
            receipt.inner.receipt.cumulative_gas_used.encode(&mut fields);
            receipt.inner.logs_bloom.encode(&mut fields);
            receipt.inner.receipt.logs.encode(&mut fields);
            nonce.encode(&mut fields);
            version.encode(&mut fields);
            out.push(DEPOSIT);
            RlpHeader { list: true, payload_length: fields.len() }.encode(out);
            out.extend_from_slice(&fields);
        }
    })
}

/// A receipt as the trie holds it. The bloom is computed: newer nodes do not always tell it.
fn coded(receipt: &Receipt) -> (AnyReceiptEnvelope, Option<(u64, u64)>) {
    let logs: Vec<Log> = receipt
        .logs
        .iter()
        .map(|log| Log::new_unchecked(log.address, log.topics.clone(), log.data.clone()))
        .collect();
    let mut logs_bloom = Bloom::default();
    logs_bloom.accrue_logs(&logs);
    let status = match (receipt.root, receipt.status) {
        (Some(root), None) => Eip658Value::PostState(root),
        (_, status) => Eip658Value::Eip658(status.is_some_and(|status| status == U64::from(1))),
    };
    let cumulative_gas_used = receipt.cumulative_gas_used.to();
    let content = Content { status, cumulative_gas_used, logs };
    let kind = receipt.kind.map_or(0, |kind| kind.to());
    let deposit = match (receipt.deposit_nonce, receipt.deposit_receipt_version) {
        // Without a version the nonce is not part of the trie (before Canyon).
        (Some(nonce), Some(version)) if kind == DEPOSIT => Some((nonce.to(), version.to())),
        _ => None,
    };
    let inner = ReceiptWithBloom { receipt: content, logs_bloom };
    (AnyReceiptEnvelope { inner, r#type: kind }, deposit)
}

/// The Transfers and notices of the token in all receipts of a block.
pub(crate) fn rows(receipts: &[Receipt], token: &Token, at: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut log_index = 0u64;
    for receipt in receipts {
        let mut places: BTreeMap<(Option<Address>, bool), u32> = BTreeMap::new();
        for log in &receipt.logs {
            if let Some(mut row) = row(log, token) {
                let n = places.entry((row.other, row.notice.is_some())).or_default();
                row.at = u32::try_from(at).unwrap_or(u32::MAX);
                row.n = *n;
                row.log_index = log_index;
                row.tx = receipt.transaction_hash.0;
                rows.push(row);
                *n = n.saturating_add(1);
            }
            log_index = log_index.saturating_add(1);
        }
    }
    rows
}

/// The Transfer in a log, if it is one of the token, or of another contract where those are asked
/// for: two accounts and one value; or what the token's issuer says in it.
fn row(log: &ReceiptLog, token: &Token) -> Option<Row> {
    let topics: Vec<[u8; 32]> = log.topics.iter().map(|topic| topic.0).collect();
    if log.address.0 == token.address().0
        && let Some(what) = notice::of_bytes(&topics, &log.data)
    {
        return Some(Row {
            at: 0,
            other: None,
            notice: Some(what),
            n: 0,
            log_index: 0,
            from: Address::NOBODY,
            to: Address::NOBODY,
            tx: [0; 32],
            raw: [0; 32],
        });
    }
    let &[TRANSFER, from, to] = log.topics.as_slice() else { return None };
    let raw = <[u8; 32]>::try_from(log.data.as_ref()).ok()?;
    let account = |topic: B256| Address(RawAddress::from_word(topic).into_array());
    let other = Some(Address(log.address.into_array())).filter(|c| *c != token.address());
    let is_account = |topic: B256| RawAddress::from_word(topic).into_word() == topic;
    let asked = match other {
        None => true,
        Some(_) => token.has_others() && is_account(from) && is_account(to),
    };
    asked.then(|| Row {
        at: 0,
        other,
        notice: None,
        n: 0,
        log_index: 0,
        from: account(from),
        to: account(to),
        tx: [0; 32],
        raw,
    })
}
