//! What a healthy node says: refusals in geth's words, batches, counts, stopping and starting.

use super::*;

#[tokio::test]
async fn ranges_are_refused_in_geths_words() {
    let node = node(3).await;
    let logs = async |filter: Value| refusal(&node, "eth_getLogs", json!([filter])).await;
    let beyond = (-32602, "block range extends beyond current head block".to_owned());
    assert_eq!(logs(json!({"fromBlock": "0x1", "toBlock": "0x4"})).await, beyond);
    let backward = (-32602, "invalid block range params".to_owned());
    assert_eq!(logs(json!({"fromBlock": "0x2", "toBlock": "0x1"})).await, backward);
    let unknown = (-32000, "unknown block".to_owned());
    let hash = alloy::primitives::B256::repeat_byte(1);
    assert_eq!(logs(json!({"blockHash": hash})).await, unknown);
    let said = logs(json!({"blockHash": hash, "fromBlock": "0x1"})).await;
    assert!(said.1.starts_with("invalid argument 0: cannot specify both"), "{}", said.1);
    let said = logs(json!({"fromBlock": "0x01"})).await;
    assert_eq!(
        said,
        (-32602, "invalid argument 0: hex number with leading zero digits".to_owned())
    );
}

#[tokio::test]
async fn what_is_not_there_is_null_or_missing() {
    let node = node(1).await;
    let hash = alloy::primitives::B256::repeat_byte(1);
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x2", false])),
        ("eth_getBlockByHash", json!([hash, false])),
        ("eth_getBlockReceipts", json!(["0x2"])),
        ("eth_getTransactionReceipt", json!([hash])),
        ("eth_getTransactionByHash", json!([hash])),
    ] {
        assert_eq!(result(&node, method, params).await, Value::Null, "{method}");
    }
    let missing = (-32000, "header not found".to_owned());
    let call = json!([{"to": ANN}, "0x2"]);
    assert_eq!(refusal(&node, "eth_call", call).await, missing);
    let unknown = refusal(&node, "eth_mining", json!([])).await;
    let said = "the method eth_mining does not exist/is not available";
    assert_eq!(unknown, (-32601, said.to_owned()));
    let argument = refusal(&node, "eth_getBlockByHash", json!([])).await;
    assert_eq!(argument, (-32602, "missing value for required argument 0".to_owned()));
}

#[tokio::test]
async fn the_small_questions_are_answered() {
    let node = node(2).await;
    for (method, params, expected) in [
        ("eth_chainId", json!([]), json!("0x1")),
        ("net_version", json!([]), json!("1")),
        ("eth_syncing", json!([]), json!(false)),
        ("eth_blockNumber", json!([]), json!("0x2")),
        ("eth_gasPrice", json!([]), json!("0x77359400")),
        ("eth_getBalance", json!([ANN, "latest"]), json!("0x0")),
        ("eth_getTransactionCount", json!([ANN, "latest"]), json!("0x0")),
    ] {
        assert_eq!(result(&node, method, params).await, expected, "{method}");
    }
    let version = result(&node, "web3_clientVersion", json!([])).await;
    assert!(version.as_str().is_some_and(|text| text.starts_with("Geth/")));
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_counted_by_call() {
    let node = node(2).await;
    let calls = json!([
        {"jsonrpc": "2.0", "id": "a", "method": "eth_blockNumber"},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_nonsense"},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_blockNumber", "params": []},
    ]);
    let heard = post(&node, &calls).await.unwrap();
    let answers: Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(answers[0]["id"], "a");
    assert_eq!(answers[0]["result"], "0x2");
    assert_eq!(answers[1]["error"]["code"], -32601);
    assert_eq!(answers[2]["id"], 3);
    let requests = node.requests();
    assert_eq!((requests.posts, requests.total()), (1, 3));
    assert_eq!(requests.count("eth_blockNumber"), 2);
    assert_eq!(requests.recent[1].method, "eth_nonsense");
    node.forget_requests();
    assert_eq!(node.requests().total(), 0);
}

#[tokio::test]
async fn a_stopped_node_refuses_connections_and_comes_back_on_its_port() {
    let node = node(1).await;
    let url = node.http_url();
    node.stop().await;
    assert!(post(&node, &request("eth_chainId", json!([]))).await.unwrap_err().is_connect());
    node.restart().await.unwrap();
    assert_eq!(node.http_url(), url);
    assert_eq!(result(&node, "eth_chainId", json!([])).await, "0x1");
    node.restart().await.unwrap();
    assert_eq!(result(&node, "eth_chainId", json!([])).await, "0x1");
}

#[tokio::test]
async fn two_nodes_serve_one_chain_and_only_the_ill_one_lies() {
    let ill = node(3).await;
    let well = Node::start(ill.chain()).await.unwrap();
    ill.fault(Fault::EmptyLogs { heights: 2..=2 });
    assert_eq!(values(&ill, 1, 3).await, [1, 3]);
    assert_eq!(values(&well, 1, 3).await, [1, 2, 3]);
}
