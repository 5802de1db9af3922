//! Blocks, transactions and their infos as java-tron 4.8.0 prints them.
//!
//! In: a block of the chain. Out: JSON with the keys a real node shows for its kind and without
//! those it leaves out: zeros, empty texts, empty lists. Never: a spelling of its own. Why: proto3
//! leaves defaults out, and a reader that counts on a key breaks on the first zero.

use alloy::primitives::{Log, hex};
use serde_json::{Map, Value, json};

use super::address::{Spelling, sha256};
use super::block::{Block, Header, Mined, Outcome};
use super::raw::{Contract, Raw};
use super::tx::{Cost, Ending, InnerCall};

/// Energy of a call that leaves nothing, and of each log; near what USDT costs. One unit of it,
/// and one byte, in sun.
const ENERGY: u64 = 915;
const ENERGY_PER_LOG: u64 = 13_735;
const SUN_PER_ENERGY: u64 = 100;
const SUN_PER_BYTE: u64 = 1_000;
/// What a transaction is long beside its raw data, in bytes.
const OVERHEAD: u64 = 134;

/// A block with its transactions, or only its header.
pub(crate) fn block(block: &Block, whole: bool, spelling: Spelling) -> Value {
    let mut fields = Map::new();
    fields.insert("blockID".to_owned(), json!(hex::encode(block.id)));
    let mut outer = Map::new();
    outer.insert("raw_data".to_owned(), header(&block.header, spelling));
    if let Some(signature) = &block.signature {
        outer.insert("witness_signature".to_owned(), json!(hex::encode(signature)));
    }
    fields.insert("block_header".to_owned(), Value::Object(outer));
    if whole && !block.txs.is_empty() {
        let txs = block.txs.iter().map(|tx| transaction(tx, spelling));
        fields.insert("transactions".to_owned(), txs.collect());
    }
    Value::Object(fields)
}

pub(crate) fn header(header: &Header, spelling: Spelling) -> Value {
    let mut fields = Fields::default();
    fields.number("number", header.number);
    fields.text("txTrieRoot", hex::encode(header.tx_trie_root));
    fields.text("witness_address", spelling.bytes41(&header.witness));
    fields.text("parentHash", hex::encode(header.parent));
    fields.number("version", header.version);
    fields.number("timestamp", header.timestamp);
    fields.done()
}

/// A transaction as `getblock…` and `gettransactionbyid` show it.
pub(crate) fn transaction(tx: &Mined, spelling: Spelling) -> Value {
    let mut fields = Map::new();
    if let Some(outcome) = &tx.outcome {
        let (result, _) = outcome.ending.result();
        fields.insert("ret".to_owned(), json!([{ "contractRet": result }]));
        fields.insert("signature".to_owned(), json!([hex::encode(outcome.signature)]));
    }
    fields.insert("txID".to_owned(), json!(hex::encode(tx.id)));
    fields.insert("raw_data".to_owned(), raw_data(&tx.raw, spelling));
    fields.insert("raw_data_hex".to_owned(), json!(hex::encode(&tx.raw_bytes)));
    if spelling == Spelling::Visible {
        fields.insert("visible".to_owned(), json!(true));
    }
    Value::Object(fields)
}

pub(crate) fn raw_data(raw: &Raw, spelling: Spelling) -> Value {
    let mut value = Fields::default();
    match &raw.contract {
        Contract::Transfer { owner, to, amount } => {
            let signed = i64::from_be_bytes(amount.to_be_bytes());
            value.text("owner_address", spelling.bytes41(owner));
            value.text("to_address", spelling.bytes41(to));
            if signed != 0 {
                value.0.insert("amount".to_owned(), json!(signed));
            }
        }
        Contract::Trigger { owner, contract, data } => {
            value.text("owner_address", spelling.bytes41(owner));
            value.text("contract_address", spelling.bytes41(contract));
            value.text("data", hex::encode(data));
        }
    }
    let parameter = json!({ "value": value.done(), "type_url": raw.contract.type_url() });
    let mut fields = Fields::default();
    let contract = json!([{ "parameter": parameter, "type": raw.contract.name() }]);
    fields.0.insert("contract".to_owned(), contract);
    if let Some((height, block)) = raw.refers {
        fields.text("ref_block_bytes", hex::encode(height));
        fields.text("ref_block_hash", hex::encode(block));
    }
    fields.text("data", spelling.text(&raw.memo));
    fields.number("expiration", raw.expiration);
    fields.number("fee_limit", raw.fee_limit);
    fields.number("timestamp", raw.timestamp);
    fields.done()
}

/// What came of a transaction, as `gettransactioninfobyid` shows it. `logs` may be withheld.
pub(crate) fn info(block: &Block, tx: &Mined, logs: bool, spelling: Spelling) -> Value {
    let Some(outcome) = &tx.outcome else { return json!({}) };
    let mut fields = Fields::default();
    let Cash { receipt, fee, packing } = cash(tx, outcome);
    fields.text("id", hex::encode(tx.id));
    fields.number("fee", fee);
    fields.number("blockNumber", block.header.number);
    fields.number("blockTimeStamp", block.header.timestamp);
    fields.0.insert("contractResult".to_owned(), json!([hex::encode(&outcome.returned)]));
    if let Contract::Trigger { contract, .. } = &tx.raw.contract {
        fields.text("contract_address", spelling.bytes41(contract));
    }
    fields.0.insert("receipt".to_owned(), receipt);
    if outcome.ending != Ending::Success {
        fields.text("result", "FAILED".to_owned());
        fields.text("resMessage", spelling.text(outcome.ending.message().as_bytes()));
    }
    if logs && !outcome.logs.is_empty() {
        let logs = outcome.logs.iter().map(|shown| log(shown, spelling)).collect();
        fields.0.insert("log".to_owned(), logs);
    }
    if !outcome.calls.is_empty() {
        let calls =
            (0_u8..).zip(&outcome.calls).map(|(n, call)| inner(tx, outcome, n, call, spelling));
        fields.0.insert("internal_transactions".to_owned(), calls.collect());
    }
    fields.number("packingFee", packing);
    fields.done()
}

/// Who paid for what.
struct Cash {
    receipt: Value,
    fee: u64,
    packing: u64,
}

fn cash(tx: &Mined, outcome: &Outcome) -> Cash {
    let length = u64::try_from(tx.raw_bytes.len()).unwrap_or(u64::MAX);
    let bytes = length.saturating_add(OVERHEAD);
    let mut receipt = Fields::default();
    let net = if outcome.cost == Cost::AllBurnt { bytes.saturating_mul(SUN_PER_BYTE) } else { 0 };
    if net > 0 {
        receipt.number("net_fee", net);
    } else {
        receipt.number("net_usage", bytes);
    }
    if matches!(tx.raw.contract, Contract::Transfer { .. }) {
        return Cash { receipt: receipt.done(), fee: net, packing: 0 };
    }
    let logs = u64::try_from(outcome.logs.len()).unwrap_or(u64::MAX);
    let energy = ENERGY.saturating_add(logs.saturating_mul(ENERGY_PER_LOG));
    receipt.number("energy_usage_total", energy);
    let burnt = if outcome.cost == Cost::Staked {
        receipt.number("energy_usage", energy);
        0
    } else {
        energy.saturating_mul(SUN_PER_ENERGY)
    };
    receipt.number("energy_fee", burnt);
    receipt.text("result", outcome.ending.result().0.to_owned());
    let fee = burnt.saturating_add(net);
    Cash { receipt: receipt.done(), fee, packing: fee }
}

fn log(log: &Log, spelling: Spelling) -> Value {
    let mut fields = Fields::default();
    fields.text("address", spelling.bare(log.address));
    let topics: Vec<_> = log.topics().iter().map(hex::encode).collect();
    if !topics.is_empty() {
        fields.0.insert("topics".to_owned(), json!(topics));
    }
    fields.text("data", hex::encode(&log.data.data));
    fields.done()
}

fn inner(tx: &Mined, outcome: &Outcome, n: u8, call: &InnerCall, spelling: Spelling) -> Value {
    let mut fields = Fields::default();
    fields.text("hash", hex::encode(sha256(&[tx.id.as_slice(), &[n]].concat())));
    fields.text("caller_address", spelling.address(call.caller));
    fields.text("transferTo_address", spelling.address(outcome.called));
    fields.0.insert("callValueInfo".to_owned(), json!([{}]));
    fields.text("note", spelling.text(b"call"));
    if call.rejected || outcome.ending != Ending::Success {
        fields.0.insert("rejected".to_owned(), json!(true));
    }
    fields.done()
}

/// An object that leaves zeros and empty texts out.
#[derive(Default)]
pub(crate) struct Fields(pub(crate) Map<String, Value>);

impl Fields {
    pub(crate) fn number(&mut self, name: &str, number: u64) {
        if number > 0 {
            self.0.insert(name.to_owned(), json!(number));
        }
    }

    pub(crate) fn text(&mut self, name: &str, text: String) {
        if !text.is_empty() {
            self.0.insert(name.to_owned(), Value::String(text));
        }
    }

    pub(crate) fn done(self) -> Value {
        Value::Object(self.0)
    }
}
