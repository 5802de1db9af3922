//! Blocks, transactions, receipts and logs in the JSON that geth writes.
//!
//! In: blocks. Out: the same fields as geth, quantities without leading zeros. Never: alloy's own
//! serialisation; a client that reads with alloy must not be fed by alloy, or a mistake of its
//! types would be invisible.

use alloy::consensus::{Header, Transaction, TxEnvelope};
use alloy::primitives::{B256, Log, hex};
use serde_json::{Map, Value, json};

use super::block::{Block, Mined};

/// A number as Ethereum's JSON-RPC writes it.
pub(crate) fn quantity(number: impl std::fmt::LowerHex) -> Value {
    Value::String(format!("{number:#x}"))
}

/// A block with its transactions' hashes, or with the transactions themselves.
pub(crate) fn block(block: &Block, full: bool) -> Value {
    let mut fields = header_fields(&block.header, block.hash);
    let transactions = block.txs.iter().enumerate().map(|(place, tx)| match full {
        true => transaction(block, place, tx),
        false => hash(tx.hash),
    });
    body_fields(&mut fields, transactions.collect(), block.size);
    Value::Object(fields)
}

/// What a block has beside its header.
pub(crate) fn body_fields(fields: &mut Map<String, Value>, transactions: Value, size: usize) {
    fields.insert("transactions".to_owned(), transactions);
    fields.insert("size".to_owned(), quantity(size));
    fields.insert("uncles".to_owned(), json!([]));
    fields.insert("withdrawals".to_owned(), json!([]));
}

/// A header, as `newHeads` brings it.
pub(crate) fn header(block: &Block) -> Value {
    Value::Object(header_fields(&block.header, block.hash))
}

/// The fields of a header.
pub(crate) fn header_fields(header: &Header, own_hash: B256) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("hash", hash(own_hash));
    put("parentHash", hash(header.parent_hash));
    put("sha3Uncles", hash(header.ommers_hash));
    put("miner", bytes(header.beneficiary));
    put("stateRoot", hash(header.state_root));
    put("transactionsRoot", hash(header.transactions_root));
    put("receiptsRoot", hash(header.receipts_root));
    put("logsBloom", bytes(header.logs_bloom));
    put("difficulty", quantity(header.difficulty));
    put("number", quantity(header.number));
    put("gasLimit", quantity(header.gas_limit));
    put("gasUsed", quantity(header.gas_used));
    put("timestamp", quantity(header.timestamp));
    put("extraData", bytes(&header.extra_data));
    put("mixHash", hash(header.mix_hash));
    put("nonce", bytes(header.nonce));
    let since_london = [
        ("baseFeePerGas", header.base_fee_per_gas.map(quantity)),
        ("withdrawalsRoot", header.withdrawals_root.map(hash)),
        ("blobGasUsed", header.blob_gas_used.map(quantity)),
        ("excessBlobGas", header.excess_blob_gas.map(quantity)),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.map(hash)),
        ("requestsHash", header.requests_hash.map(hash)),
    ];
    for (name, value) in since_london {
        if let Some(value) = value {
            put(name, value);
        }
    }
    fields
}

/// One transaction of a block.
pub(crate) fn transaction(block: &Block, place: usize, tx: &Mined) -> Value {
    let envelope = &tx.envelope;
    let signature = envelope.signature();
    let parity = u64::from(signature.v());
    let mut fields = json!({
        "blockHash": hash(block.hash),
        "blockNumber": quantity(block.header.number),
        "from": bytes(tx.sender()),
        "gas": quantity(envelope.gas_limit()),
        "gasPrice": quantity(effective_gas_price(block, envelope)),
        "hash": hash(tx.hash),
        "input": bytes(envelope.input()),
        "nonce": quantity(envelope.nonce()),
        "to": envelope.to().map(bytes),
        "transactionIndex": quantity(place),
        "value": quantity(envelope.value()),
        "type": quantity(u8::from(envelope.tx_type())),
        "r": quantity(signature.r()),
        "s": quantity(signature.s()),
        "chainId": envelope.chain_id().map(quantity),
    });
    let own = match envelope {
        TxEnvelope::Legacy(legacy) => {
            // EIP-155: the recovery bit with the chain id folded in.
            let folded = legacy.tx().chain_id.unwrap_or(0).saturating_mul(2).saturating_add(35);
            json!({ "v": quantity(folded.saturating_add(parity)) })
        }
        _ => json!({
            "v": quantity(parity),
            "yParity": quantity(parity),
            "accessList": [],
            "maxFeePerGas": quantity(envelope.max_fee_per_gas()),
            "maxPriorityFeePerGas": envelope.max_priority_fee_per_gas().map(quantity),
        }),
    };
    if let (Some(fields), Value::Object(own)) = (fields.as_object_mut(), own) {
        fields.extend(own);
    }
    fields
}

/// One receipt, with the logs that `keep` lets through.
pub(crate) fn receipt(
    block: &Block,
    place: usize,
    tx: &Mined,
    log_times: bool,
    keep: bool,
) -> Value {
    let logs = (tx.first_log..).zip(&tx.logs).filter(|_| keep);
    let logs = logs.map(|(index, entry)| log(block, place, tx, index, entry, log_times));
    json!({
        "blockHash": hash(block.hash),
        "blockNumber": quantity(block.header.number),
        "contractAddress": null,
        "cumulativeGasUsed": quantity(tx.cumulative_gas_used),
        "effectiveGasPrice": quantity(effective_gas_price(block, &tx.envelope)),
        "from": bytes(tx.sender()),
        "gasUsed": quantity(tx.gas_used),
        "logs": logs.collect::<Value>(),
        "logsBloom": bytes(tx.bloom),
        "status": quantity(u8::from(tx.succeeded)),
        "to": tx.envelope.to().map(bytes),
        "transactionHash": hash(tx.hash),
        "transactionIndex": quantity(place),
        "type": quantity(u8::from(tx.envelope.tx_type())),
    })
}

/// One log.
pub(crate) fn log(
    block: &Block,
    place: usize,
    tx: &Mined,
    index: u64,
    log: &Log,
    log_times: bool,
) -> Value {
    let mut fields = json!({
        "address": bytes(log.address),
        "topics": log.topics().iter().map(|topic| hash(*topic)).collect::<Value>(),
        "data": bytes(&log.data.data),
        "blockNumber": quantity(block.header.number),
        "transactionHash": hash(tx.hash),
        "transactionIndex": quantity(place),
        "blockHash": hash(block.hash),
        "logIndex": quantity(index),
        "removed": false,
    });
    if let (true, Some(fields)) = (log_times, fields.as_object_mut()) {
        fields.insert("blockTimestamp".to_owned(), quantity(block.header.timestamp));
    }
    fields
}

fn effective_gas_price(block: &Block, envelope: &TxEnvelope) -> u128 {
    envelope.effective_gas_price(block.header.base_fee_per_gas)
}

fn hash(hash: B256) -> Value {
    bytes(hash)
}

/// Bytes as they are: every digit, lower case.
pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode_prefixed(bytes))
}
