//! The paths of a full node and of its solidity interface.
//!
//! In: a path's last word, its parameters, and which side is asked. Out: what java-tron answers.
//! Never: a write; the chain changes by its script alone. Why: unknown things are `{}` or `[]`
//! under HTTP 200 on this chain, and a reader that takes those for an empty block loses payments.

use std::sync::Arc;

use alloy::primitives::{Address, B256, hex};
use serde_json::{Value, json};

use super::address::Spelling;
use super::block::{Block, Mined};
use super::fault::{Fault, Spoil};
use super::params::{Params, Refusal};
use super::raw::Contract;
use super::view::{Side, View};
use super::{account, call, render};

/// The most blocks `getblockbylimitnext` and `getblockbylatestnum` give. Source: java-tron
/// `Wallet.java`.
const MOST_BLOCKS: u64 = 100;
/// What the lab's nodes say they are.
pub(crate) const VERSION: &str = "4.8.0";

/// Answers a path's last word; `None` where there is no such path.
pub(crate) fn answer(
    view: &View<'_>,
    side: Side,
    name: &str,
    params: &Params,
) -> Option<Result<Value, Refusal>> {
    let spelling = params.spelling();
    let asked = Asked { view, side, spelling, params };
    Some(match name {
        "getnowblock" => Ok(asked.block(Some(view.newest(side)), true)),
        "getblock" => asked.block_by_either(),
        "getblockbynum" => asked.number("num").map(|at| asked.block(asked.at(at), true)),
        "getblockbyid" => asked.block_by_id(),
        "getblockbylimitnext" => asked.blocks_between(),
        "getblockbylatestnum" => asked.latest_blocks(),
        "gettransactionbyid" => asked.found(|block, tx| asked.transaction(block, tx)),
        "gettransactioninfobyid" => asked.found(|block, tx| asked.info(block, tx)),
        "gettransactioninfobyblocknum" => asked.infos(),
        "gettransactioncountbyblocknum" => asked
            .number("num")
            .map(|at| json!({ "count": asked.at(at).map_or(0, |block| block.txs.len()) })),
        "triggerconstantcontract" => call::constant(view, side, params),
        "getaccount" => Ok(account::account(view, side, params)),
        "listwitnesses" => Ok(account::witnesses(view, side, spelling)),
        "getcontract" if side == Side::Full => Ok(call::contract(view, params)),
        "getnodeinfo" if side == Side::Full => Ok(node_info(view)),
        "getchainparameters" if side == Side::Full => Ok(chain_parameters()),
        _ => return None,
    })
}

/// One request.
struct Asked<'a> {
    view: &'a View<'a>,
    side: Side,
    spelling: Spelling,
    params: &'a Params,
}

impl<'a> Asked<'a> {
    fn number(&self, name: &str) -> Result<i64, Refusal> {
        self.params.number(name)
    }

    fn at(&self, height: i64) -> Option<&'a Arc<Block>> {
        self.view.at(self.side, u64::try_from(height).ok()?)
    }

    /// The block of an id, if it is on the chain: the id begins with its height.
    fn by_id(&self, id: B256) -> Option<&'a Arc<Block>> {
        let (height, _) = id.0.split_first_chunk::<8>()?;
        let block = self.view.at(self.side, u64::from_be_bytes(*height));
        block.filter(|block| block.id == id)
    }

    fn block_by_id(&self) -> Result<Value, Refusal> {
        let id = self.params.hash("value")?;
        Ok(self.block(id.and_then(|id| self.by_id(id)), true))
    }

    /// By height, by id, or the newest; with `detail: false`, and by default, the header alone.
    fn block_by_either(&self) -> Result<Value, Refusal> {
        let whole = self.params.flag("detail").unwrap_or(false);
        if !self.params.has("id_or_num") {
            return Ok(self.block(Some(self.view.newest(self.side)), whole));
        }
        if let Ok(height) = self.number("id_or_num") {
            return Ok(self.block(self.at(height), whole));
        }
        let id = self.params.hash("id_or_num").ok().flatten();
        let id = id.ok_or_else(|| Refusal("id must be legal block hash.".to_owned()))?;
        Ok(self.block(self.by_id(id), whole))
    }

    /// From `startNum` to before `endNum`.
    fn blocks_between(&self) -> Result<Value, Refusal> {
        let start = u64::try_from(self.number("startNum")?).ok();
        let end = u64::try_from(self.number("endNum")?).ok();
        let span = start.zip(end).filter(|(start, end)| {
            end.checked_sub(*start).is_some_and(|count| (1..=MOST_BLOCKS).contains(&count))
        });
        let Some((start, end)) = span else { return Ok(json!({})) };
        Ok(self.blocks(start, end))
    }

    fn latest_blocks(&self) -> Result<Value, Refusal> {
        let count = u64::try_from(self.number("num")?).unwrap_or(0);
        if !(1..MOST_BLOCKS).contains(&count) {
            return Ok(json!({}));
        }
        let end = self.view.top(self.side).saturating_add(1);
        Ok(self.blocks(end.saturating_sub(count), end))
    }

    fn blocks(&self, start: u64, end: u64) -> Value {
        let blocks = (start..end).map_while(|height| self.view.at(self.side, height));
        json!({ "block": blocks.map(|block| self.block(Some(block), true)).collect::<Value>() })
    }

    fn block(&self, block: Option<&Arc<Block>>, whole: bool) -> Value {
        let Some(block) = block else { return json!({}) };
        let height = block.header.number;
        if let (0, Some(other)) = (height, other_genesis(self.view)) {
            return render::block(&other, whole, self.spelling);
        }
        let mut shown = render::block(block, whole, self.spelling);
        let spoil = |how| self.view.spoilt(height, how);
        if spoil(Spoil::BlockId) {
            set(&mut shown, &["blockID"], json!(hex::encode(other(block.id))));
        }
        if spoil(Spoil::Parent) {
            let mut header = block.header.clone();
            header.parent = other(header.parent);
            set(&mut shown, &["blockID"], json!(hex::encode(header.id())));
            let raw = render::header(&header, self.spelling);
            set(&mut shown, &["block_header", "raw_data"], raw);
        }
        if let (true, Some(tx)) = (spoil(Spoil::TxId), block.txs.first()) {
            let first = shown.pointer_mut("/transactions/0/txID");
            first.into_iter().for_each(|id| *id = json!(hex::encode(other(tx.id))));
        }
        shown
    }

    /// What is said of the transaction whose id is `value`; `{}` where there is none.
    fn found(&self, say: impl Fn(&Block, &Mined) -> Value) -> Result<Value, Refusal> {
        let id = self.params.hash("value")?;
        let found = id.and_then(|id| self.view.transaction(self.side, id));
        let found = found.and_then(|(block, place)| Some((block, block.txs.get(place)?)));
        Ok(found.map_or(json!({}), |(block, tx)| say(block, tx)))
    }

    fn transaction(&self, _block: &Block, tx: &Mined) -> Value {
        render::transaction(tx, self.spelling)
    }

    fn info(&self, block: &Block, tx: &Mined) -> Value {
        let keep = !self.view.is(|fault| *fault == Fault::OmitLogs { tx: tx.id });
        render::info(block, tx, keep, self.spelling)
    }

    fn infos(&self) -> Result<Value, Refusal> {
        let height = self.number("num")?;
        if height <= 0 {
            return Ok(json!({}));
        }
        let Some(block) = self.at(height) else { return Ok(json!([])) };
        let spoil = |how| self.view.spoilt(block.header.number, how);
        if spoil(Spoil::NoInfos) {
            return Ok(json!([]));
        }
        let mut infos: Vec<_> = block.txs.iter().map(|tx| self.info(block, tx)).collect();
        if spoil(Spoil::ShortInfos) {
            infos.pop();
        }
        if spoil(Spoil::TurnedInfos) {
            infos.reverse();
        }
        let strange =
            infos.iter_mut().zip(&block.txs).enumerate().filter(|(place, _)| {
                spoil(Spoil::ForeignInfos) || (*place == 0 && spoil(Spoil::TxId))
            });
        strange.for_each(|(_, (info, tx))| set(info, &["id"], json!(hex::encode(other(tx.id)))));
        Ok(Value::Array(infos))
    }
}

/// The genesis block of another chain, where the node is on one.
fn other_genesis(view: &View<'_>) -> Option<Block> {
    let wrong = view.is(|fault| *fault == Fault::WrongChain);
    wrong.then(|| Block::genesis(Some(B256::repeat_byte(0x77))))
}

/// The id of the genesis block the node shows.
pub(crate) fn genesis_id(view: &View<'_>) -> B256 {
    let own = || view.at(Side::Full, 0).map_or(B256::ZERO, |block| block.id);
    other_genesis(view).map_or_else(own, |block| block.id)
}

/// A hash that is none.
fn other(hash: B256) -> B256 {
    let mut bytes = hash;
    bytes.0.iter_mut().skip(31).for_each(|last| *last = !*last);
    bytes
}

fn set(object: &mut Value, path: &[&str], to: Value) {
    let mut at = Some(object);
    for name in path {
        at = at.and_then(|object| object.get_mut(*name));
    }
    if let Some(place) = at {
        *place = to;
    }
}

/// Whom a transaction was made by, where it was made by an account.
pub(crate) fn owner(tx: &Mined) -> Option<Address> {
    let (Contract::Transfer { owner, .. } | Contract::Trigger { owner, .. }) = &tx.raw.contract;
    owner.get(1..).filter(|rest| rest.len() == 20).map(Address::from_slice)
}

fn node_info(view: &View<'_>) -> Value {
    let named = |side| {
        let block = view.newest(side);
        format!("Num:{},ID:{}", block.header.number, hex::encode(block.id))
    };
    json!({
        "beginSyncNum": view.top(Side::Full),
        "block": named(Side::Full),
        "solidityBlock": named(Side::Solid),
        "currentConnectCount": 26,
        "activeConnectCount": 26,
        "passiveConnectCount": 0,
        "totalFlow": 0,
        "peerInfoList": [],
        "configNodeInfo": { "codeVersion": VERSION, "p2pVersion": "11111", "listenPort": 18888 },
        "machineInfo": {},
        "cheatWitnessInfoMap": {},
    })
}

fn chain_parameters() -> Value {
    let parameter = |key: &str, value: u64| json!({ "key": key, "value": value });
    json!({ "chainParameter": [
        parameter("getMaintenanceTimeInterval", 21_600_000),
        parameter("getTransactionFee", 1_000),
        parameter("getEnergyFee", 100),
        parameter("getMaxFeeLimit", 15_000_000_000),
        { "key": "getAllowTvmShangHai" },
    ] })
}
