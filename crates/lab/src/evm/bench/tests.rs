//! The bench node read by alloy's strict types, against what a slow reading of the spec gives.

use alloy::consensus::proofs::calculate_receipt_root;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{U256, keccak256};
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::{Filter, Log};
use serde_json::{Value, json};

use super::*;

const PAID: [Address; 2] = [Address::repeat_byte(0x0a), Address::repeat_byte(0x0b)];

/// 1,100 blocks, which lie in three parts, of three transfers each.
fn chain() -> BenchChain {
    BenchChain::build(BenchSpec {
        blocks: 1_100,
        logs_per_block: 3,
        ..BenchSpec::million(10, PAID.to_vec(), vec![5, 6, 7])
    })
}

async fn node(chain: &BenchChain) -> (BenchNode, RootProvider) {
    let node = BenchNode::start(chain).await.unwrap();
    let provider = ProviderBuilder::default().connect_http(node.http_url().parse().unwrap());
    (node, provider)
}

fn value(log: &Log) -> U256 {
    U256::from_be_slice(&log.data().data)
}

async fn said(node: &BenchNode, body: Value) -> Value {
    let sent = reqwest::Client::new().post(node.http_url()).body(body.to_string()).send();
    serde_json::from_str(&sent.await.unwrap().text().await.unwrap()).unwrap()
}

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

#[tokio::test]
async fn every_range_has_all_its_logs_in_order() {
    let chain = chain();
    let (_node, provider) = node(&chain).await;
    for (from, to) in [(0, 0), (0, 1), (1, 1), (511, 512), (512, 512), (400, 1_030), (0, 1_100)] {
        let logs = provider.get_logs(&Filter::new().from_block(from).to_block(to)).await.unwrap();
        let expected: Vec<_> = (from..=to).flat_map(|h| chain.data.spec.numbers(h)).collect();
        assert_eq!(logs.len(), expected.len(), "{from}..={to}");
        for (log, number) in logs.iter().zip(expected) {
            let transfer = chain.data.spec.transfer(number);
            assert_eq!(log.topics(), transfer.topics());
            assert_eq!(value(log), U256::from(transfer.value));
            assert_eq!(log.transaction_hash, Some(chain.data.spec.tx_hash(number)));
            let block = chain.block(log.block_number.unwrap());
            assert_eq!(log.block_hash, block.map(|block| block.hash));
            assert_eq!(log.log_index, log.transaction_index);
        }
    }
}

#[tokio::test]
async fn headers_hash_link_and_cover_their_logs_and_receipts_verify() {
    let chain = chain();
    let (_node, provider) = node(&chain).await;
    let mut parent = chain.block(510).unwrap().hash;
    for height in 511..=514 {
        let block = provider.get_block_by_number(height.into()).await.unwrap().unwrap();
        assert_eq!(block.header.hash_slow(), block.header.hash);
        assert_eq!(block.header.parent_hash, parent);
        parent = block.header.hash;
        let by_hash = provider.get_block_by_hash(parent).await.unwrap().unwrap();
        assert_eq!(by_hash, block);
        let logs = provider.get_logs(&Filter::new().at_block_hash(parent)).await.unwrap();
        assert_eq!(logs.len(), 3);
        for log in &logs {
            assert!(block.header.logs_bloom.contains_raw_log(log.address(), log.topics()));
        }
        let receipts = provider.get_block_receipts(BlockId::hash(parent)).await.unwrap().unwrap();
        let told: Vec<_> = receipts.iter().flat_map(|receipt| receipt.logs().to_vec()).collect();
        assert_eq!(told, logs);
        let hashes: Vec<_> = receipts.iter().map(|receipt| receipt.transaction_hash).collect();
        assert_eq!(block.transactions.hashes().collect::<Vec<_>>(), hashes);
        let plain: Vec<_> =
            receipts.into_iter().map(|r| r.into_primitives_receipt().inner).collect();
        assert_eq!(calculate_receipt_root(&plain), block.header.receipts_root);
    }
}

#[tokio::test]
async fn the_paid_are_paid_in_turn_and_found_by_their_topic() {
    let chain = chain();
    let (node, provider) = node(&chain).await;
    assert_eq!(chain.paid(), 330);
    let event = keccak256("Transfer(address,address,uint256)");
    let all = Filter::new().from_block(0).to_block(1_100).event_signature(event);
    let to_both = PAID.map(|account| account.into_word()).to_vec();
    let both = provider.get_logs(&all.clone().topic2(to_both)).await.unwrap();
    assert_eq!(both.len(), 330);
    let turns: Vec<_> = both.iter().take(7).map(|log| value(log).to::<u64>()).collect();
    assert_eq!(turns, [5, 6, 7, 5, 6, 7, 5]);
    let one = provider.get_logs(&all.clone().topic2(PAID[1].into_word())).await.unwrap();
    assert_eq!(one.len(), 165);
    let sum: U256 = one.iter().map(value).sum();
    let input = format!("0x70a08231{}", &PAID[1].into_word().to_string()[2..]);
    let call = json!([{"to": chain.data.spec.chain.token.address, "data": input}, "latest"]);
    let balance = said(&node, request(1, "eth_call", call)).await;
    assert_eq!(balance["result"], json!(alloy::primitives::B256::from(sum)));
    let elsewhere = all.address(Address::ZERO);
    assert_eq!(provider.get_logs(&elsewhere).await.unwrap(), []);
}

#[tokio::test]
async fn batches_tags_and_refusals_are_those_of_a_node() {
    let chain = chain();
    let (node, provider) = node(&chain).await;
    let heads = said(
        &node,
        json!([
            request(7, "eth_getBlockByNumber", json!(["0x3", false])),
            request(8, "eth_getBlockByNumber", json!(["0x44d", false])),
            request(9, "eth_getLogs", json!([{"fromBlock": "0x1", "toBlock": "0x200"}])),
        ]),
    )
    .await;
    assert_eq!(heads[0]["result"]["number"], "0x3");
    assert_eq!((&heads[1]["id"], &heads[1]["result"]), (&json!(8), &Value::Null));
    assert_eq!(heads[2]["result"].as_array().unwrap().len(), 1_536);
    assert_eq!(node.requests().count("eth_getBlockByNumber"), 2);
    let finalized = provider.get_block_by_number(BlockNumberOrTag::Finalized).await.unwrap();
    assert_eq!(finalized.unwrap().header.number, 1_100 - 64);
    node.show(100);
    assert_eq!(provider.get_block_number().await.unwrap(), 100);
    let beyond = Filter::new().from_block(100).to_block(101);
    let refused = provider.get_logs(&beyond).await.unwrap_err();
    let message = &refused.as_error_resp().unwrap().message;
    assert_eq!(message, "block range extends beyond current head block");
    let unseen = provider.get_block_by_hash(chain.tip().hash).await.unwrap();
    assert_eq!(unseen, None);
}

#[test]
fn the_same_spec_builds_the_same_chain() {
    let tip = |seed| {
        let mut spec = BenchSpec { blocks: 3, ..chain().data.spec.clone() };
        spec.chain.seed = seed;
        BenchChain::build(spec).tip()
    };
    assert_eq!(tip(1), tip(1));
    assert_ne!(tip(1), tip(2));
}
