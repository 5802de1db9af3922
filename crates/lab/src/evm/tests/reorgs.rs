//! Reorgs, orphans, finality, and a tip that goes backward.

use super::*;
use crate::evm::Orphans;

// height   1   2   3   4
// before   a - b - c
// after    a - d - e - f        b's payment is in e, behind another one
#[tokio::test]
async fn a_payment_mined_again_keeps_its_hash_and_moves() {
    let chain = chain();
    chain.mine(vec![paid(1)]);
    let b = chain.mine(vec![paid(2)]);
    chain.mine(vec![]);
    let hash = chain.transactions(2)[0];
    let node = Node::start(chain.clone()).await.unwrap();
    let before = result(&node, "eth_getTransactionReceipt", json!([hash])).await;

    let f = chain.reorg(2, vec![vec![], vec![paid(7), paid(2)], vec![]]);

    assert_eq!(f.height, 4);
    assert_eq!(chain.transactions(3)[1], hash);
    let after = result(&node, "eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(before["logs"][0]["logIndex"], "0x0");
    assert_eq!(after["logs"][0]["logIndex"], "0x1");
    assert_eq!(after["blockNumber"], "0x3");
    assert_ne!(after["blockHash"], before["blockHash"]);
    assert_eq!(values(&node, 0, 4).await, [1, 7, 2]);
    assert_ne!(chain.block(2).unwrap().hash, b.hash);
}

#[tokio::test]
async fn an_equal_block_in_the_same_place_is_another_block() {
    let chain = chain();
    let before = chain.mine(vec![paid(1)]);
    let after = chain.reorg(1, vec![vec![paid(1)]]);
    assert_eq!(before.height, after.height);
    assert_ne!(before.hash, after.hash);
}

#[tokio::test]
async fn an_orphan_keeps_its_header_and_loses_its_logs() {
    let chain = chain();
    let orphan = chain.mine(vec![paid(1)]);
    let hash = chain.transactions(1)[0];
    chain.reorg(1, vec![vec![], vec![]]);
    let node = Node::start(chain.clone()).await.unwrap();
    let by_hash = json!([orphan.hash, false]);
    let logs = json!([{"blockHash": orphan.hash}]);

    let block = result(&node, "eth_getBlockByHash", by_hash.clone()).await;
    assert_eq!(block["hash"], json!(orphan.hash));
    let unknown = (-32000, "unknown block".to_owned());
    assert_eq!(refusal(&node, "eth_getLogs", logs.clone()).await, unknown);
    assert_eq!(result(&node, "eth_getBlockReceipts", json!([orphan.hash])).await, Value::Null);
    assert_eq!(result(&node, "eth_getTransactionReceipt", json!([hash])).await, Value::Null);
    assert_eq!(result(&node, "eth_getTransactionByHash", json!([hash])).await, Value::Null);

    chain.orphans(Orphans::Everything);
    assert_eq!(values_in(&result(&node, "eth_getLogs", logs.clone()).await), [1]);
    chain.orphans(Orphans::Nothing);
    assert_eq!(result(&node, "eth_getBlockByHash", by_hash).await, Value::Null);
    assert_eq!(refusal(&node, "eth_getLogs", logs).await, unknown);
}

#[tokio::test]
async fn a_balance_follows_the_branch_of_its_block() {
    let chain = chain();
    chain.mine(vec![paid(10)]);
    let orphan = chain.mine(vec![paid(5)]);
    chain.reorg(1, vec![vec![paid(1)]]);
    let node = Node::start(chain).await.unwrap();
    let input = format!("0x70a08231{}", &BOB.into_word().to_string()[2..]);
    let call = |at: Value| json!([{"to": node.chain().spec().token.address, "data": input}, at]);
    let latest = result(&node, "eth_call", call(json!("latest"))).await;
    assert_eq!(u64::from_str_radix(&latest.as_str().unwrap()[2..], 16), Ok(11));
    let orphaned = result(&node, "eth_call", call(json!({"blockHash": orphan.hash}))).await;
    assert_eq!(u64::from_str_radix(&orphaned.as_str().unwrap()[2..], 16), Ok(15));
}

#[tokio::test]
async fn a_rewound_tip_comes_back_or_is_built_over() {
    let node = node(5).await;
    let chain = node.chain();
    let tip = chain.tip();
    chain.rewind(1);
    assert_eq!(chain.rewind(1).height, 3);
    assert_eq!(result(&node, "eth_blockNumber", json!([])).await, "0x3");
    assert_eq!(chain.resume(), tip);
    assert_eq!(values(&node, 1, 5).await, [1, 2, 3, 4, 5]);
    chain.rewind(2);
    chain.mine(vec![paid(9)]);
    assert_eq!(chain.resume().height, 4);
    assert_eq!(values(&node, 1, 4).await, [1, 2, 3, 9]);
}

#[tokio::test]
async fn genesis_survives_any_reorg() {
    let chain = chain();
    let genesis = chain.tip();
    chain.mine_empty(2);
    assert_eq!(chain.reorg(100, vec![]), genesis);
    assert_eq!(chain.reorg(1, vec![vec![]]).height, 1);
}

async fn height(node: &Node, tag: &str) -> Value {
    result(node, "eth_getBlockByNumber", json!([tag, false])).await["number"].take()
}

#[tokio::test]
async fn finality_is_unknown_then_set_or_lags() {
    let node = node(10).await;
    let chain = node.chain();
    for tag in ["safe", "finalized"] {
        let block = (-32000, format!("{tag} block not found"));
        assert_eq!(refusal(&node, "eth_getBlockByNumber", json!([tag, false])).await, block);
        let header = (-32000, format!("{tag} header not found"));
        let filter = json!([{"fromBlock": "0x0", "toBlock": tag}]);
        assert_eq!(refusal(&node, "eth_getLogs", filter).await, header);
    }
    chain.finalize(4);
    assert_eq!(
        (height(&node, "finalized").await, height(&node, "safe").await),
        (json!("0x4"), json!("0x4"))
    );
    chain.safe(6);
    assert_eq!(
        (height(&node, "finalized").await, height(&node, "safe").await),
        (json!("0x4"), json!("0x6"))
    );
    chain.finality_lag(4);
    assert_eq!(
        (height(&node, "finalized").await, height(&node, "safe").await),
        (json!("0x6"), json!("0x8"))
    );
    chain.mine_empty(1);
    assert_eq!(height(&node, "finalized").await, "0x7");
    assert_eq!(height(&node, "latest").await, "0xb");
    assert_eq!(height(&node, "earliest").await, "0x0");
    let pending = result(&node, "eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!(pending, Value::Null);
    chain.finality_lag(100);
    let said = refusal(&node, "eth_getBlockByNumber", json!(["finalized", false])).await;
    assert_eq!(said.1, "finalized block not found");
}
