//! The bench node says what the scripted node would, and its blocks verify.

use alloy::primitives::hex;

use super::*;
use crate::tron::raw;
use crate::tron::tests::{full, height, sha256, solid, unhex};
use serde_json::{Value, json};

const BOB: Address = Address::repeat_byte(0xbb);

fn spec() -> BenchSpec {
    BenchSpec {
        first: 1_000,
        blocks: 40,
        txs_per_block: 30,
        transfers_per_block: 8,
        fillings: 3,
        ..BenchSpec::day(5, vec![BOB], vec![7, 9])
    }
}

async fn ask(node: &BenchNode, path: &str, params: Value) -> Value {
    let client = reqwest::Client::new();
    let sent = client.post(format!("{}{path}", node.url())).body(params.to_string()).send();
    serde_json::from_str(&sent.await.unwrap().text().await.unwrap()).unwrap()
}

/// The values of the transfers to BOB among infos.
fn to_bob(infos: &Value) -> Vec<u64> {
    let logs = infos.as_array().unwrap().iter().filter_map(|info| info["log"].as_array());
    let ours = logs.flatten().filter(|log| log["topics"][2] == hex::encode(BOB.into_word()));
    ours.map(|log| u64::from_str_radix(log["data"].as_str().unwrap(), 16).unwrap()).collect()
}

#[tokio::test]
async fn blocks_verify_and_infos_fit_them() {
    let chain = BenchChain::build(spec());
    assert_eq!((chain.tip().height, chain.paid()), (1_039, 8));
    let node = BenchNode::start(&chain).await.unwrap();
    let (mut parent, mut paid) = (Value::Null, Vec::new());
    for number in 1_000..1_040 {
        let block = ask(&node, "/wallet/getblockbynum", json!({ "num": number })).await;
        let infos =
            ask(&node, "/wallet/gettransactioninfobyblocknum", json!({ "num": number })).await;
        assert_eq!(block["blockID"], hex::encode(chain.block(number).unwrap().hash));
        let raw = &block["block_header"]["raw_data"];
        assert!(parent.is_null() || raw["parentHash"] == parent);
        parent = block["blockID"].clone();
        let (txs, infos_) = (block["transactions"].as_array().unwrap(), infos.as_array().unwrap());
        assert_eq!(txs.len(), infos_.len());
        let mut leaves = Vec::new();
        for (tx, info) in txs.iter().zip(infos_) {
            assert_eq!(tx["txID"], info["id"]);
            assert_eq!(hex::encode(sha256(&unhex(&tx["raw_data_hex"]))), tx["txID"]);
            assert_eq!(
                (&info["blockNumber"], &info["blockTimeStamp"]),
                (&json!(number), &raw["timestamp"])
            );
            let result = if tx["ret"][0]["contractRet"] == "SUCCESS" { 1 } else { 2 };
            leaves.push(raw::leaf(
                &unhex(&tx["raw_data_hex"]),
                &unhex(&tx["signature"][0]),
                result,
            ));
        }
        assert_eq!(hex::encode(raw::merkle_root(leaves)), raw["txTrieRoot"]);
        paid.extend(to_bob(&infos));
    }
    assert_eq!(paid, [7, 9, 7, 9, 7, 9, 7, 9]);
    assert_eq!(node.requests().count("/wallet/getblockbynum"), 40);
}

#[tokio::test]
async fn heights_ranges_and_payments_are_found() {
    let chain = BenchChain::build(spec());
    let node = BenchNode::start(&chain).await.unwrap();
    assert_eq!(height(&ask(&node, "/wallet/getnowblock", json!({})).await), 1_039);
    assert_eq!(height(&ask(&node, "/walletsolidity/getnowblock", json!({})).await), 1_021);
    node.show(1_030);
    assert_eq!(height(&ask(&node, "/wallet/getnowblock", json!({})).await), 1_030);
    let above = ask(&node, "/wallet/getblockbynum", json!({ "num": 1_031 })).await;
    assert_eq!(above, json!({}));
    let none = ask(&node, "/wallet/gettransactioninfobyblocknum", json!({ "num": 1_031 })).await;
    assert_eq!(none, json!([]));
    let range = json!({ "startNum": 1_028, "endNum": 1_034 });
    let range = ask(&node, "/wallet/getblockbylimitnext", range).await;
    let heights: Vec<_> = range["block"].as_array().unwrap().iter().map(height).collect();
    assert_eq!(heights, [1_028, 1_029, 1_030]);
    let infos =
        ask(&node, "/walletsolidity/gettransactioninfobyblocknum", json!({ "num": 1_004 })).await;
    let payment = infos.as_array().unwrap().last().unwrap();
    let by_id = json!({ "value": payment["id"] });
    assert_eq!(ask(&node, "/walletsolidity/gettransactioninfobyid", by_id).await, *payment);
    let header = ask(&node, "/wallet/getblock", json!({ "id_or_num": "1004" })).await;
    assert_eq!((height(&header), header.get("transactions")), (1_004, None));
}

#[tokio::test]
async fn it_is_the_chain_the_scripted_node_is_on() {
    let chain = BenchChain::build(spec());
    let node = BenchNode::start(&chain).await.unwrap();
    let scripted = crate::tron::Node::start(crate::tron::Chain::new(spec().chain)).await.unwrap();
    let zero = json!({ "num": 0 });
    let genesis = full(&scripted, "getblockbynum", zero.clone()).await;
    assert_eq!(ask(&node, "/wallet/getblockbynum", zero).await, genesis);
    let token = json!({
        "contract_address": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
        "function_selector": "decimals()",
        "visible": true,
    });
    let decimals = ask(&node, "/walletsolidity/triggerconstantcontract", token.clone()).await;
    assert_eq!(decimals, solid(&scripted, "triggerconstantcontract", token).await);
}

#[test]
fn a_day_is_as_heavy_as_mainnets() {
    let spec = BenchSpec { blocks: 2, fillings: 1, ..BenchSpec::day(0, Vec::new(), Vec::new()) };
    let chain = BenchChain::build(spec);
    let bytes = chain.bytes_per_block();
    assert!((500_000..1_500_000).contains(&bytes), "{bytes}");
    assert_eq!(chain.paid(), 0);
}
