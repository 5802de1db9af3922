//! Each fault does what it says, and nothing once it is healed.

use std::future::Future;
use std::task::Poll;

use super::*;
use crate::evm::{BeyondTip, ForgeLog, Methods, RangeDialect, ResultDialect};

#[tokio::test]
async fn withheld_logs_are_missing_by_range_and_by_hash() {
    let node = spoiled(4, Fault::EmptyLogs { heights: 2..=3 }).await;
    assert_eq!(values(&node, 1, 4).await, [1, 4]);
    let hash = node.chain().block(2).unwrap().hash;
    assert_eq!(result(&node, "eth_getLogs", json!([{"blockHash": hash}])).await, json!([]));
    node.heal();
    assert_eq!(values(&node, 1, 4).await, [1, 2, 3, 4]);
    let tx = node.chain().transactions(3)[0];
    let omit = node.fault(Fault::OmitLog { tx });
    assert_eq!(values(&node, 1, 4).await, [1, 2, 4]);
    node.heal_one(omit);
    node.fault(Fault::OmitReceiptLogs { tx });
    let receipts = result(&node, "eth_getBlockReceipts", json!(["0x3"])).await;
    assert_eq!(receipts[0]["logs"], json!([]));
    assert_eq!(values(&node, 3, 3).await, [3]);
}

#[tokio::test]
async fn a_lagging_node_knows_nothing_above_its_tip() {
    let node = spoiled(5, Fault::Lag { blocks: 2, beyond: BeyondTip::Refuse }).await;
    let chain = node.chain();
    chain.finalize(4);
    assert_eq!(result(&node, "eth_blockNumber", json!([])).await, "0x3");
    let newer = chain.block(4).unwrap().hash;
    assert_eq!(result(&node, "eth_getBlockByHash", json!([newer, false])).await, Value::Null);
    assert_eq!(result(&node, "eth_getBlockByNumber", json!(["0x4", false])).await, Value::Null);
    let tx = chain.transactions(4)[0];
    assert_eq!(result(&node, "eth_getTransactionReceipt", json!([tx])).await, Value::Null);
    let finalized = result(&node, "eth_getBlockByNumber", json!(["finalized", false])).await;
    assert_eq!(finalized["number"], "0x3");
    let unknown = refusal(&node, "eth_getLogs", json!([{"blockHash": newer}])).await;
    assert_eq!(unknown.1, "unknown block");
    let range = json!([{"fromBlock": "0x3", "toBlock": "0x4"}]);
    let beyond = refusal(&node, "eth_getLogs", range).await;
    assert_eq!(beyond.1, "block range extends beyond current head block");

    node.heal();
    node.fault(Fault::Lag { blocks: 2, beyond: BeyondTip::Clamp });
    assert_eq!(values(&node, 3, 5).await, [3]);
    assert_eq!(values(&node, 4, 5).await, [0_u64; 0]);
}

#[tokio::test]
async fn an_error_is_word_for_word_and_stops_after_its_times() {
    let body = r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32055,"message":"busy"}}"#.to_owned();
    let (methods, times) = (Methods::only(&["eth_getLogs"]), Some(1));
    let node = spoiled(1, Fault::Error { methods, http_status: 503, body, times }).await;
    assert_eq!(result(&node, "eth_blockNumber", json!([])).await, "0x1");
    let heard = post(&node, &request("eth_getLogs", json!([{}]))).await.unwrap();
    let said = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32055,"message":"busy"}}"#;
    assert_eq!((heard.status, heard.body.as_str()), (503, said));
    assert_eq!(values(&node, 1, 1).await, [1]);

    let (methods, body) = (Methods::all(), "<html>gateway</html>".to_owned());
    node.fault(Fault::Error { methods, http_status: 200, body, times: None });
    let both = json!([request("eth_chainId", json!([])), request("eth_syncing", json!([]))]);
    assert_eq!(post(&node, &both).await.unwrap().body, "<html>gateway</html>");
}

#[tokio::test]
async fn limits_refuse_in_the_providers_words_and_hints_hold() {
    let limit = Fault::RangeLimit { dialect: RangeDialect::QuickNode, blocks: 3 };
    let node = spoiled(10, limit).await;
    let range = |from: u64, to: u64| json!([{"fromBlock": hex(from), "toBlock": hex(to)}]);
    assert_eq!(values(&node, 1, 3).await, [1, 2, 3]);
    let heard = post(&node, &request("eth_getLogs", range(1, 4))).await.unwrap();
    assert_eq!(heard.status, 413);
    assert!(heard.body.contains("eth_getLogs is limited to a 3 range"), "{}", heard.body);

    node.heal();
    node.fault(Fault::ResultLimit { dialect: ResultDialect::Infura, logs: 4 });
    let said = said(&node, "eth_getLogs", range(2, 9)).await;
    assert_eq!(said["error"]["data"], json!({"from": "0x2", "limit": 4, "to": "0x5"}));
    assert_eq!(values(&node, 2, 5).await, [2, 3, 4, 5]);
    node.heal();
    node.fault(Fault::ResultLimit { dialect: ResultDialect::Reth, logs: 0 });
    let (_, message) = refusal(&node, "eth_getLogs", range(2, 9)).await;
    assert!(message.ends_with("retry with the range 2-2"), "{message}");
}

#[tokio::test]
async fn a_rate_limit_refuses_the_one_too_many() {
    let limit = Fault::RateLimit { status: 429, retry_after: Some(7), answered: 2 };
    let node = spoiled(1, limit).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let heard = post(&node, &request("eth_blockNumber", json!([]))).await.unwrap();
        assert_eq!(heard.retry_after.as_deref(), (heard.status == 429).then_some("7"));
        statuses.push(heard.status);
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429]);
    node.heal();
    node.fault(Fault::RateLimit { status: 200, retry_after: None, answered: 0 });
    let said = refusal(&node, "eth_blockNumber", json!([])).await;
    assert_eq!(said, (-32029, "Too Many Requests".to_owned()));
}

#[tokio::test]
async fn a_cut_answer_is_whole_to_http_and_broken_as_json() {
    let node = spoiled(3, Fault::Truncate { methods: Methods::all(), times: Some(1) }).await;
    let heard = post(&node, &request("eth_getLogs", json!([{"fromBlock": "0x1"}]))).await.unwrap();
    assert_eq!(heard.status, 200);
    assert!(heard.body.starts_with('{'));
    assert!(serde_json::from_str::<Value>(&heard.body).unwrap_err().is_eof());
    assert_eq!(values(&node, 1, 3).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_dropped_connection_has_no_answer_at_all() {
    let node = spoiled(1, Fault::Drop { methods: Methods::all(), times: Some(1) }).await;
    let heard = post(&node, &request("eth_blockNumber", json!([]))).await;
    assert!(heard.is_err_and(|error| error.is_request()));
    assert_eq!(result(&node, "eth_blockNumber", json!([])).await, "0x1");
}

#[tokio::test]
async fn a_hanging_call_is_answered_once_healed_and_others_are_not_held_up() {
    let methods = Methods::only(&["eth_getLogs"]);
    let node = spoiled(1, Fault::Hang { methods, times: None }).await;
    let mut hanging = Box::pin(values(&node, 1, 1));
    let pending =
        std::future::poll_fn(|context| Poll::Ready(hanging.as_mut().poll(context).is_pending()));
    assert!(pending.await);
    // Answered over another connection while the first one waits.
    while node.requests().count("eth_getLogs") == 0 {
        tokio::select! {
            _ = &mut hanging => panic!("answered while it should hang"),
            tip = result(&node, "eth_blockNumber", json!([])) => assert_eq!(tip, "0x1"),
        }
    }
    node.heal();
    assert_eq!(hanging.await, [1]);
}

#[tokio::test]
async fn a_stopped_node_lets_go_of_a_hanging_call() {
    let node = spoiled(1, Fault::Hang { methods: Methods::all(), times: None }).await;
    let asked = request("eth_blockNumber", json!([]));
    let stop = async {
        while node.requests().total() == 0 {
            tokio::task::yield_now().await;
        }
        node.stop().await;
    };
    let (heard, ()) = tokio::join!(post(&node, &asked), stop);
    assert!(heard.is_err());
}

#[tokio::test]
async fn delays_add_up() {
    let node = spoiled(1, Fault::Delay { ms: 30 }).await;
    node.fault(Fault::Delay { ms: 20 });
    let before = tokio::time::Instant::now();
    assert_eq!(result(&node, "eth_blockNumber", json!([])).await, "0x1");
    assert!(before.elapsed().as_millis() >= 50);
}

#[tokio::test]
async fn wrong_facts_are_told_without_a_blush() {
    let node = spoiled(9, Fault::WrongChainId(56)).await;
    assert_eq!(result(&node, "eth_chainId", json!([])).await, "0x38");
    assert_eq!(result(&node, "net_version", json!([])).await, "56");
    node.fault(Fault::WrongDecimals(18));
    let call = json!([{"to": node.chain().spec().token.address, "input": "0x313ce567"}, "latest"]);
    let decimals = result(&node, "eth_call", call).await;
    assert!(decimals.as_str().is_some_and(|text| text.ends_with("12")), "{decimals}");
    node.chain().finalize(8);
    node.fault(Fault::FinalizedBackward { by: 3 });
    let block = result(&node, "eth_getBlockByNumber", json!(["finalized", false])).await;
    assert_eq!(block["number"], "0x5");
    node.fault(Fault::NoReceipts);
    assert_eq!(refusal(&node, "eth_getBlockReceipts", json!(["latest"])).await.0, -32601);
}

#[tokio::test]
async fn a_tampered_header_does_not_hash_to_its_hash() {
    let node = spoiled(2, Fault::BadHeader { heights: 2..=2 }).await;
    for (height, honest) in [("0x1", true), ("0x2", false)] {
        let shown = result(&node, "eth_getBlockByNumber", json!([height, false])).await;
        let header: alloy::rpc::types::Header = serde_json::from_value(shown).unwrap();
        assert_eq!(header.inner.hash_slow() == header.hash, honest);
    }
}

#[tokio::test]
async fn each_forgery_is_one_log_that_does_not_belong() {
    let node = node(3).await;
    let honest =
        result(&node, "eth_getLogs", json!([{"fromBlock": "0x1", "toBlock": "0x2"}])).await;
    let last = &honest[1];
    let forged = async |how| {
        node.heal();
        node.fault(Fault::Forge(how));
        let logs = json!([{"fromBlock": "0x1", "toBlock": "0x2"}]);
        result(&node, "eth_getLogs", logs).await
    };
    let differs = |log: &Value| {
        let fields = last.as_object().unwrap().iter();
        fields.filter(|(name, value)| log[name.as_str()] != **value).map(|f| f.0.clone()).collect()
    };
    for (how, count, expected) in [
        (ForgeLog::OtherAddress, 3, vec!["address"]),
        (ForgeLog::OtherTopic, 3, vec!["topics"]),
        (ForgeLog::OutOfRange, 3, vec!["blockHash", "blockNumber"]),
        (ForgeLog::Duplicate, 3, vec![]),
        (ForgeLog::Removed, 2, vec!["removed"]),
        (ForgeLog::WrongBlockHash, 2, vec!["blockHash"]),
    ] {
        let logs = forged(how).await;
        let logs = logs.as_array().unwrap();
        let different: Vec<String> = differs(logs.last().unwrap());
        assert_eq!(
            (logs.len(), different),
            (count, expected.iter().map(|s| s.to_string()).collect())
        );
    }
    let logs = forged(ForgeLog::OutOfRange).await;
    assert_eq!(logs[2]["blockNumber"], "0x3");
    assert_eq!(logs[2]["blockHash"], json!(node.chain().block(3).unwrap().hash));
    assert_eq!(values(&node, 0, 0).await, [0_u64; 0]);
}

#[tokio::test]
async fn a_batch_too_large_has_one_answer_for_all() {
    let node = spoiled(1, Fault::BatchLimit { calls: 2 }).await;
    let call = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId"});
    let heard = post(&node, &json!([call(4), call(5)])).await.unwrap();
    assert!(heard.body.contains(r#""id":5"#), "{}", heard.body);
    let heard = post(&node, &json!([call(4), call(5), call(6)])).await.unwrap();
    let said: Value = serde_json::from_str(&heard.body).unwrap();
    let refusal = json!({"code": -32600, "message": "batch too large"});
    assert_eq!(said, json!([{"jsonrpc": "2.0", "id": 4, "error": refusal}]));
    assert_eq!(node.requests().count("eth_chainId"), 2);
}
