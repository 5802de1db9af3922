//! The methods a node has.
//!
//! In: a method, its parameters and a view of the chain. Out: what geth would answer. Never: a
//! write; the chain changes by its script alone.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

use super::abi::{self, Question};
use super::block::Block;
use super::chain::TokenSpec;
use super::fault::Fault;
use super::filter::{Filter, Named, Tag, fixed};
use super::view::View;
use super::{logs, render};
use crate::jsonrpc::{Answer, RpcError};

/// What a token contract's code begins with; a watcher asks only whether there is any.
pub(crate) const TOKEN_CODE: &str = "0x6060604052600436106101b75763ffffffff60e060020a";
/// What the lab's nodes say they are.
pub(crate) const VERSION: &str = "Geth/v1.16.7-stable-lab/linux-amd64/go1.25.3";

/// Answers one call.
pub(crate) fn answer(view: &View<'_>, method: &str, params: &Value) -> Answer {
    match method {
        "eth_chainId" => Ok(render::quantity(chain_id(view))),
        "net_version" => Ok(Value::String(chain_id(view).to_string())),
        "web3_clientVersion" => Ok(Value::from(VERSION)),
        "eth_syncing" => Ok(syncing(view)),
        "eth_gasPrice" => Ok(render::quantity(2_000_000_000_u64)),
        "eth_blockNumber" => Ok(render::quantity(view.tip())),
        "eth_getBlockByNumber" => block_by_number(view, params),
        "eth_getBlockByHash" => {
            let hash = required(params, 0)?;
            block(view, view.by_hash(hash).map(AsRef::as_ref), full(params))
        }
        "eth_getLogs" => logs::logs(view, &Filter::read(params.get(0).unwrap_or(&Value::Null))?),
        "eth_getBlockReceipts" => receipts(view, params),
        "eth_getTransactionReceipt" => {
            let found = placed(view, required(params, 0)?);
            Ok(found.map_or(Value::Null, |(block, place)| receipt(view, block, place)))
        }
        "eth_getTransactionByHash" => {
            let found = placed(view, required(params, 0)?);
            let found = found.and_then(|(block, place)| {
                Some(render::transaction(block, place, block.txs.get(place)?))
            });
            Ok(found.unwrap_or(Value::Null))
        }
        "eth_call" => call(view, params),
        "eth_getCode" => {
            state_at(view, params.get(1), 1)?;
            let known = view.state.tokens.contains_key(&required::<Address>(params, 0)?);
            let known = known && !view.is(|fault| *fault == Fault::Syncing);
            Ok(Value::from(if known { TOKEN_CODE } else { "0x" }))
        }
        "eth_getBalance" | "eth_getTransactionCount" => {
            required::<Address>(params, 0)?;
            state_at(view, params.get(1), 1)?;
            Ok(render::quantity(0_u8))
        }
        _ => Err(RpcError::no_such_method(method)),
    }
}

/// `false`, or how far a node is that reads the chain for the first time.
fn syncing(view: &View<'_>) -> Value {
    if !view.is(|fault| *fault == Fault::Syncing) {
        return Value::Bool(false);
    }
    let highest = view.state.tip().header.number;
    json!({
        "startingBlock": "0x0",
        "currentBlock": "0x0",
        "highestBlock": render::quantity(highest),
    })
}

fn chain_id(view: &View<'_>) -> u64 {
    let wrong = view.fault(|fault| match fault {
        Fault::WrongChainId(id) => Some(*id),
        _ => None,
    });
    wrong.unwrap_or(view.state.spec.chain_id)
}

fn block_by_number(view: &View<'_>, params: &Value) -> Answer {
    let invalid = |why: String| RpcError::invalid_argument(0, &why);
    let missing = || RpcError::new(-32602, "missing value for required argument 0");
    let tag = Tag::read(params.get(0).ok_or_else(missing)?).map_err(invalid)?;
    if tag == Tag::Pending {
        return Ok(Value::Null);
    }
    let found = view.named(Named::Tag(tag))?;
    block(view, found.map(AsRef::as_ref), full(params))
}

fn block(view: &View<'_>, found: Option<&Block>, full: bool) -> Answer {
    let Some(block) = found else { return Ok(Value::Null) };
    let mut shown = render::block(block, full);
    let tampered = |fault: &Fault| match fault {
        Fault::BadHeader { heights } => heights.contains(&block.header.number),
        _ => false,
    };
    if let (true, Some(gas_used)) = (view.is(tampered), shown.get_mut("gasUsed")) {
        *gas_used = render::quantity(block.header.gas_used.saturating_add(1));
    }
    Ok(shown)
}

fn full(params: &Value) -> bool {
    params.get(1).and_then(Value::as_bool).unwrap_or(false)
}

fn receipts(view: &View<'_>, params: &Value) -> Answer {
    if view.is(|fault| *fault == Fault::NoReceipts) {
        return Err(RpcError::no_such_method("eth_getBlockReceipts"));
    }
    let named = Named::read(params.get(0)).map_err(|why| RpcError::invalid_argument(0, &why))?;
    let block = match named {
        Named::Hash(hash) => view.whole_by_hash(hash),
        Named::Tag(_) => view.named(named)?,
    };
    Ok(block.map_or(Value::Null, |block| {
        (0..block.txs.len()).map(|place| receipt(view, block, place)).collect()
    }))
}

fn receipt(view: &View<'_>, block: &Block, place: usize) -> Value {
    let Some(tx) = block.txs.get(place) else { return Value::Null };
    let keep = !view.is(|fault| *fault == Fault::OmitReceiptLogs { tx: tx.hash });
    render::receipt(block, place, tx, view.log_times, keep)
}

/// Where a transaction is, as far as the node knows.
fn placed<'a>(view: &View<'a>, hash: B256) -> Option<(&'a Block, usize)> {
    let (block, place) = view.state.transaction(hash)?;
    (block.header.number <= view.tip()).then_some((block.as_ref(), place))
}

/// The block whose state is asked for; geth misses its header.
fn state_at<'a>(
    view: &View<'a>,
    value: Option<&Value>,
    place: usize,
) -> Result<&'a Arc<Block>, RpcError> {
    let named = Named::read(value).map_err(|why| RpcError::invalid_argument(place, &why))?;
    view.named(named)?.ok_or_else(|| RpcError::new(-32000, "header not found"))
}

fn call(view: &View<'_>, params: &Value) -> Answer {
    let at = state_at(view, params.get(1), 1)?;
    let (to, question) = Question::read(params)?;
    let Some(token) = to.and_then(|to| view.state.tokens.get(&to)) else {
        return Ok(abi::nothing());
    };
    match question {
        Question::Decimals => Ok(abi::number(decimals(view, token))),
        Question::Symbol => Ok(abi::text(&token.symbol)),
        Question::BalanceOf(account) => {
            Ok(abi::number(view.state.balance(token.address, account, at)))
        }
        Question::Other => Err(abi::reverted()),
    }
}

fn decimals(view: &View<'_>, token: &TokenSpec) -> U256 {
    let wrong = view.fault(|fault| match fault {
        Fault::WrongDecimals(decimals) => Some(*decimals),
        _ => None,
    });
    U256::from(wrong.unwrap_or(token.decimals))
}

pub(crate) fn required<T: std::str::FromStr>(params: &Value, place: usize) -> Result<T, RpcError> {
    let missing = format!("missing value for required argument {place}");
    let value = params.get(place).ok_or_else(|| RpcError::new(-32602, missing))?;
    fixed(value).map_err(|why| RpcError::invalid_argument(place, &why))
}
