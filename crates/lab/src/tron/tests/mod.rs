//! The scripted TRON node read over HTTP, and held against recordings of a real java-tron.

mod chains;
mod faults;
mod grid;
mod paths;
mod recorded;
mod shapes;

use alloy::primitives::{Address, B256, hex};
use serde_json::{Value, json};

use super::{Chain, ChainSpec, Fault, Node, TokenSpec, Tx};

pub(super) const ANN: Address = Address::repeat_byte(0xaa);
pub(super) const BOB: Address = Address::repeat_byte(0xbb);
pub(super) const FAKE: Address = Address::repeat_byte(0xfa);

pub(super) fn chain() -> Chain {
    let chain = Chain::new(ChainSpec::tron());
    let (name, symbol) = ("Tether USD".to_owned(), "USDT".to_owned());
    chain.deploy(TokenSpec { address: FAKE, name, symbol, decimals: 6 });
    chain
}

pub(super) fn paid(value: u64) -> Tx {
    Tx::transfer(ANN, BOB, value)
}

/// A chain of `n` blocks with one transfer each, of 1, 2, 3 … base units, and a plain node.
pub(super) async fn node(n: u64) -> Node {
    Node::start(paying(n)).await.unwrap()
}

/// The same behind TronGrid.
pub(super) async fn grid(n: u64) -> Node {
    Node::start_grid(paying(n)).await.unwrap()
}

fn paying(n: u64) -> Chain {
    let chain = chain();
    for value in 1..=n {
        chain.mine(vec![paid(value)]);
    }
    chain
}

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) body: String,
}

pub(super) async fn send(request: reqwest::RequestBuilder) -> Result<Heard, reqwest::Error> {
    let sent = request.send().await?;
    let status = sent.status().as_u16();
    let kind = sent.headers()["content-type"].to_str().unwrap().to_owned();
    Ok(Heard { status, kind, body: sent.text().await? })
}

pub(super) async fn post(base: &str, path: &str, body: &str) -> Result<Heard, reqwest::Error> {
    send(reqwest::Client::new().post(format!("{base}{path}")).body(body.to_owned())).await
}

pub(super) async fn heard(url: &str) -> Heard {
    send(reqwest::Client::new().get(url)).await.unwrap()
}

/// What a full node answers.
pub(super) async fn full(node: &Node, name: &str, params: Value) -> Value {
    let said = post(&node.url(), &format!("/wallet/{name}"), &params.to_string()).await.unwrap();
    assert_eq!(said.status, 200, "{name}: {}", said.body);
    serde_json::from_str(&said.body).unwrap()
}

/// What its solidity interface answers.
pub(super) async fn solid(node: &Node, name: &str, params: Value) -> Value {
    let path = format!("/walletsolidity/{name}");
    let said = post(&node.solidity_url(), &path, &params.to_string()).await.unwrap();
    assert_eq!(said.status, 200, "{name}: {}", said.body);
    serde_json::from_str(&said.body).unwrap()
}

/// What TronGrid answers below `/v1/`.
pub(super) async fn v1(node: &Node, path: &str) -> Value {
    let said = heard(&format!("{}/v1/{path}", node.url())).await;
    assert_eq!(said.status, 200, "{path}: {}", said.body);
    serde_json::from_str(&said.body).unwrap()
}

/// The height of the newest block.
pub(super) async fn tip(node: &Node) -> u64 {
    height(&full(node, "getnowblock", json!({})).await)
}

/// The height of the newest final block.
pub(super) async fn top(node: &Node) -> u64 {
    height(&solid(node, "getnowblock", json!({})).await)
}

/// A block's height, where zero is left out.
pub(super) fn height(block: &Value) -> u64 {
    let number = &block["block_header"]["raw_data"]["number"];
    if number.is_null() { 0 } else { number.as_u64().unwrap() }
}

pub(super) fn of(id: B256) -> Value {
    json!({ "value": hex::encode(id) })
}

/// The values of the transfers a list of infos or rows shows.
pub(super) fn values(infos: &Value) -> Vec<u64> {
    let logs = infos.as_array().unwrap().iter().flat_map(|info| info["log"].as_array().cloned());
    let value = |log: Value| u64::from_str_radix(log["data"].as_str().unwrap(), 16).unwrap();
    logs.flatten().map(value).collect()
}

pub(super) async fn spoiled(n: u64, fault: Fault) -> Node {
    let node = node(n).await;
    node.fault(fault);
    node
}

pub(super) fn sha256(bytes: &[u8]) -> B256 {
    super::address::sha256(bytes).into()
}

pub(super) fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}
