//! The scripted node read by clients that are not its own: alloy's strict types, and raw HTTP.

mod blocks;
mod faults;
mod reorgs;
mod sockets;
mod words;

use alloy::primitives::Address;
use serde_json::{Value, json};

use super::{Chain, ChainSpec, Fault, Node, Tx};

pub(super) const ANN: Address = Address::repeat_byte(0xaa);
pub(super) const BOB: Address = Address::repeat_byte(0xbb);
pub(super) const TRANSFER: &str =
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

pub(super) fn chain() -> Chain {
    Chain::new(ChainSpec::ethereum())
}

pub(super) fn paid(value: u64) -> Tx {
    Tx::transfer(ANN, BOB, value)
}

/// A chain of `n` blocks with one transfer each, of 1, 2, 3 … base units, and a node.
pub(super) async fn node(n: u64) -> Node {
    let chain = chain();
    for value in 1..=n {
        chain.mine(vec![paid(value)]);
    }
    Node::start(chain).await.unwrap()
}

/// An HTTP answer: status, `Retry-After`, body.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: String,
}

pub(super) async fn post(node: &Node, body: &Value) -> Result<Heard, reqwest::Error> {
    let sent = reqwest::Client::new().post(node.http_url()).body(body.to_string()).send().await?;
    let status = sent.status().as_u16();
    let retry_after = sent.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
    Ok(Heard { status, retry_after, body: sent.text().await? })
}

pub(super) fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// The whole answer to one call.
pub(super) async fn said(node: &Node, method: &str, params: Value) -> Value {
    let heard = post(node, &request(method, params)).await.unwrap();
    serde_json::from_str(&heard.body).unwrap()
}

pub(super) async fn result(node: &Node, method: &str, params: Value) -> Value {
    let mut said = said(node, method, params).await;
    assert!(said.get("error").is_none(), "{method}: {said}");
    said["result"].take()
}

/// Code and message of a refusal.
pub(super) async fn refusal(node: &Node, method: &str, params: Value) -> (i64, String) {
    let said = said(node, method, params).await;
    let error = &said["error"];
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

/// The values of the transfers in a range, as `eth_getLogs` tells them.
pub(super) async fn values(node: &Node, from: u64, to: u64) -> Vec<u64> {
    let filter = json!([{"fromBlock": hex(from), "toBlock": hex(to), "topics": [TRANSFER]}]);
    values_in(&result(node, "eth_getLogs", filter).await)
}

pub(super) fn values_in(logs: &Value) -> Vec<u64> {
    let value = |log: &Value| u64::from_str_radix(&log["data"].as_str().unwrap()[2..], 16).unwrap();
    logs.as_array().unwrap().iter().map(value).collect()
}

pub(super) fn hex(number: u64) -> String {
    format!("{number:#x}")
}

pub(super) async fn spoiled(n: u64, fault: Fault) -> Node {
    let node = node(n).await;
    node.fault(fault);
    node
}
