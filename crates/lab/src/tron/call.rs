//! What a token contract is asked, and what it is.
//!
//! In: `triggerconstantcontract` and `getcontract`. Out: answers as java-tron packs them. Never:
//! execution. Why: balances and decimals are read this way, and both the refusal of an account
//! without code and a revert come under HTTP 200 and look like success to the hasty.

use alloy::primitives::{Address, B256, Bytes, U256, hex, keccak256};
use serde_json::{Value, json};

use super::address::with_prefix;
use super::chain::TokenSpec;
use super::fault::Fault;
use super::params::{Params, Refusal};
use super::raw::{self, Contract, Raw};
use super::render;
use super::view::{Side, View};

/// What a token contract's code begins with; a watcher asks only whether there is any.
const TOKEN_CODE: &str = "60806040526004361061019e5763ffffffff60e060020a60003504166306fdde03";

/// `triggerconstantcontract`, by `function_selector` and `parameter` or by `data`.
pub(crate) fn constant(view: &View<'_>, side: Side, params: &Params) -> Result<Value, Refusal> {
    let Some(contract) = params.address("contract_address") else {
        return Ok(refused(params, "No contract or not a valid smart contract"));
    };
    let Some(token) = view.state.tokens.get(&contract) else {
        return Ok(refused(params, "Smart contract is not exist."));
    };
    let data = calldata(params)?;
    let transaction = transaction(view, side, params, contract, &data);
    let answer = answer(view, side, token, &data);
    let (returned, used, ended) = match &answer {
        Some(bytes) => (bytes.clone(), 935, json!({})),
        None => (Bytes::new(), 237, json!({ "ret": "FAILED" })),
    };
    let mut result = json!({ "result": true });
    if let (None, Some(fields)) = (&answer, result.as_object_mut()) {
        let message = params.spelling().text(b"REVERT opcode executed");
        fields.insert("message".to_owned(), json!(message));
    }
    let mut transaction = transaction;
    if let Some(fields) = transaction.as_object_mut() {
        fields.insert("ret".to_owned(), json!([ended]));
    }
    Ok(json!({
        "result": result,
        "energy_used": used,
        "constant_result": [hex::encode(returned)],
        "transaction": transaction,
    }))
}

fn refused(params: &Params, message: &str) -> Value {
    let message = params.spelling().text(message.as_bytes());
    json!({ "result": { "code": "CONTRACT_VALIDATE_ERROR", "message": message } })
}

fn calldata(params: &Params) -> Result<Bytes, Refusal> {
    let bytes =
        |text: &str| hex::decode(text).map_err(|_| Refusal("INVALID hex String".to_owned()));
    if let Some(data) = params.text("data").filter(|data| !data.is_empty()) {
        return bytes(data).map(Bytes::from);
    }
    let selector = keccak256(params.text("function_selector").unwrap_or_default());
    let selector = selector.get(..4).unwrap_or_default();
    let arguments = bytes(params.text("parameter").unwrap_or_default())?;
    Ok(Bytes::from([selector, &arguments].concat()))
}

/// What the token answers; `None` where it reverts.
fn answer(view: &View<'_>, side: Side, token: &TokenSpec, data: &[u8]) -> Option<Bytes> {
    let (selector, arguments) = data.split_at_checked(4)?;
    let is = |signature: &str| keccak256(signature).get(..4) == Some(selector);
    if is("decimals()") {
        let wrong = view.fault(|fault| match fault {
            Fault::WrongDecimals(decimals) => Some(*decimals),
            _ => None,
        });
        return Some(word(U256::from(wrong.unwrap_or(token.decimals))));
    }
    if is("symbol()") {
        return Some(text(&token.symbol));
    }
    if is("name()") {
        return Some(text(&token.name));
    }
    if !is("balanceOf(address)") {
        // A look-alike has no owner's methods.
        let owned = token.address == view.state.spec.token.address;
        let owner = owned.then(|| view.state.owner(view.top(side)))?;
        return owner.answer(selector, arguments).map(word);
    }
    let account = Address::from_slice(arguments.get(12..32)?);
    Some(word(view.state.balance(token.address, account, view.top(side))))
}

fn word(number: U256) -> Bytes {
    Bytes::copy_from_slice(B256::from(number).as_slice())
}

/// A string: where it begins, its length, its bytes padded.
fn text(text: &str) -> Bytes {
    let mut bytes = [word(U256::from(32)), word(U256::from(text.len()))].concat();
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    Bytes::from(bytes)
}

/// The transaction that was not sent, which the answer shows all the same.
fn transaction(
    view: &View<'_>,
    side: Side,
    params: &Params,
    contract: Address,
    data: &Bytes,
) -> Value {
    let newest = view.newest(side);
    let bytes = |address| Bytes::copy_from_slice(&with_prefix(address));
    let [.., high, low] = newest.header.number.to_be_bytes();
    let mut block = [0_u8; 8];
    block.iter_mut().zip(newest.id.iter().skip(8)).for_each(|(to, from)| *to = *from);
    let raw = Raw {
        refers: Some(([high, low], block)),
        expiration: newest.header.timestamp.saturating_add(60_000),
        timestamp: newest.header.timestamp,
        fee_limit: 0,
        memo: Bytes::new(),
        contract: Contract::Trigger {
            owner: bytes(params.address("owner_address").unwrap_or_default()),
            contract: bytes(contract),
            data: data.clone(),
        },
    };
    let encoded = raw.encode();
    let mut shown = json!({
        "txID": hex::encode(raw::id(&encoded)),
        "raw_data": render::raw_data(&raw, params.spelling()),
        "raw_data_hex": hex::encode(encoded),
    });
    if let (Some(visible), Some(fields)) = (params.flag("visible"), shown.as_object_mut()) {
        fields.insert("visible".to_owned(), json!(visible));
    }
    shown
}

/// `getcontract`: what wallet libraries build their calls from.
pub(crate) fn contract(view: &View<'_>, params: &Params) -> Value {
    let found = params.address("value").and_then(|address| view.state.tokens.get(&address));
    let Some(token) = found else { return json!({}) };
    let address = params.spelling().address(token.address);
    json!({
        "bytecode": TOKEN_CODE,
        "consume_user_resource_percent": 100,
        "name": "TetherToken",
        "origin_address": address,
        "abi": { "entrys": [
            view_entry("name", &[], "string"),
            view_entry("symbol", &[], "string"),
            view_entry("decimals", &[], "uint8"),
            view_entry("balanceOf", &[("who", "address")], "uint256"),
            transfer_entry(),
        ] },
        "contract_address": address,
        "origin_energy_limit": 10_000_000,
        "code_hash": hex::encode(keccak256(TOKEN_CODE)),
    })
}

fn view_entry(name: &str, inputs: &[(&str, &str)], output: &str) -> Value {
    let inputs = inputs.iter().map(|(name, kind)| json!({ "name": name, "type": kind }));
    let mut entry = json!({
        "outputs": [{ "type": output }],
        "constant": true,
        "name": name,
        "stateMutability": "View",
        "type": "Function",
    });
    let inputs: Vec<_> = inputs.collect();
    if let (false, Some(fields)) = (inputs.is_empty(), entry.as_object_mut()) {
        fields.insert("inputs".to_owned(), json!(inputs));
    }
    entry
}

fn transfer_entry() -> Value {
    let input = |name: &str, kind: &str, indexed: bool| {
        let mut input = json!({ "name": name, "type": kind });
        if let (true, Some(fields)) = (indexed, input.as_object_mut()) {
            fields.insert("indexed".to_owned(), json!(true));
        }
        input
    };
    json!({
        "inputs": [
            input("from", "address", true),
            input("to", "address", true),
            input("value", "uint256", false),
        ],
        "name": "Transfer",
        "type": "Event",
    })
}
