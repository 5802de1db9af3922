//! Subscriptions over WebSocket, read by alloy.

use alloy::primitives::U256;
use alloy::providers::{Provider, ProviderBuilder, RootProvider, WsConnect};
use alloy::rpc::types::{Filter, Log};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::evm::{BeyondTip, Methods};

async fn connect(node: &Node) -> RootProvider {
    ProviderBuilder::default().connect_ws(WsConnect::new(node.ws_url())).await.unwrap()
}

fn told(log: &Log) -> (u64, bool) {
    (U256::from_be_slice(&log.data().data).to::<u64>(), log.removed)
}

#[tokio::test]
async fn heads_come_as_they_are_mined() {
    let node = node(1).await;
    let provider = connect(&node).await;
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    let second = node.chain().mine(vec![paid(2)]);
    let head = heads.next().await.unwrap();
    assert_eq!((head.hash, head.inner.hash_slow()), (second.hash, second.hash));
    let tip = node.chain().reorg(1, vec![vec![], vec![]]);
    let replaced = heads.next().await.unwrap();
    assert_eq!(replaced.number, 2);
    assert_eq!(heads.next().await.unwrap().hash, tip.hash);
    assert_eq!(provider.get_block_number().await.unwrap(), 3);
}

#[tokio::test]
async fn logs_come_and_are_taken_back_by_a_reorg() {
    let node = node(1).await;
    let provider = connect(&node).await;
    let filter = Filter::new().address(node.chain().spec().token.address);
    let mut logs = provider.subscribe_logs(&filter).await.unwrap().into_stream();
    node.chain().mine(vec![paid(2), paid(3)]);
    node.chain().mine(vec![Tx::transfer_of(BOB, ANN, BOB, 99)]);
    node.chain().reorg(2, vec![vec![paid(4)], vec![paid(2)]]);
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(told(&logs.next().await.unwrap()));
    }
    let expected = [(2, false), (3, false), (2, true), (3, true), (4, false), (2, false)];
    assert_eq!(heard, expected);
}

/// A WebSocket without a library around it, to see each frame as it comes.
struct Raw(tokio::net::TcpStream);

impl Raw {
    async fn connect(node: &Node) -> Self {
        let address = node.ws_url().replace("ws://", "");
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let hello = format!(
            "GET /any/path HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(hello.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"));
        Self(stream)
    }

    /// Says something shorter than 126 bytes, masked with zeros.
    async fn say(&mut self, body: &Value) {
        let body = body.to_string();
        assert!(body.len() < 126);
        let head = [0x81, 0x80 | u8::try_from(body.len()).unwrap(), 0, 0, 0, 0];
        self.0.write_all(&[&head[..], body.as_bytes()].concat()).await.unwrap();
    }

    /// The next frame; `None` once the connection has ended.
    async fn hear(&mut self) -> Option<Value> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await.ok()?;
        assert_eq!(head[0], 0x81, "a whole text frame");
        let length = match head[1] {
            126 => usize::from(self.0.read_u16().await.unwrap()),
            length => usize::from(length),
        };
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        Some(serde_json::from_slice(&body).unwrap())
    }
}

#[tokio::test]
async fn an_unsubscribed_stream_is_silent_and_unknown_ones_are_refused() {
    let node = node(1).await;
    let mut raw = Raw::connect(&node).await;
    raw.say(&request("eth_subscribe", json!(["newHeads"]))).await;
    let name = raw.hear().await.unwrap()["result"].take();
    node.chain().mine_empty(1);
    let pushed = raw.hear().await.unwrap();
    assert_eq!(
        (&pushed["method"], &pushed["params"]["subscription"]),
        (&json!("eth_subscription"), &name)
    );
    raw.say(&request("eth_unsubscribe", json!([name]))).await;
    assert_eq!(raw.hear().await.unwrap()["result"], true);
    node.chain().mine_empty(1);
    raw.say(&request("eth_unsubscribe", json!([name]))).await;
    let again = raw.hear().await.unwrap();
    assert_eq!(again["error"]["message"], "subscription not found");
    raw.say(&request("eth_subscribe", json!(["gossip"]))).await;
    assert_eq!(raw.hear().await.unwrap()["error"]["code"], -32601);
    let said = refusal(&node, "eth_subscribe", json!(["newHeads"])).await;
    assert_eq!(said, (-32601, "notifications not supported".to_owned()));
}

#[tokio::test]
async fn a_silent_socket_answers_calls_and_pushes_nothing_until_healed() {
    let node = spoiled(1, Fault::SilentWebSockets).await;
    let provider = connect(&node).await;
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    node.chain().mine_empty(1);
    // The answer comes after whatever the change would have pushed.
    assert_eq!(provider.get_block_number().await.unwrap(), 2);
    node.heal();
    let third = node.chain().mine_empty(1);
    assert_eq!(heads.next().await.unwrap().hash, third.hash);
}

#[tokio::test]
async fn a_lagging_node_pushes_what_it_has_reached() {
    let node = spoiled(3, Fault::Lag { blocks: 2, beyond: BeyondTip::Refuse }).await;
    let provider = connect(&node).await;
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    node.chain().mine_empty(1);
    assert_eq!(heads.next().await.unwrap().number, 2);
    node.heal();
    node.chain().mine_empty(1);
    for height in 3..=5 {
        assert_eq!(heads.next().await.unwrap().number, height);
    }
}

#[tokio::test]
async fn cut_sockets_end_and_a_client_may_come_back() {
    let node = node(1).await;
    let mut raw = Raw::connect(&node).await;
    raw.say(&request("eth_subscribe", json!(["newHeads"]))).await;
    assert!(raw.hear().await.is_some());
    node.fault(Fault::CutWebSockets);
    assert_eq!(raw.hear().await, None);
    let again = connect(&node).await;
    assert_eq!(again.get_block_number().await.unwrap(), 1);
}

#[tokio::test]
async fn a_dropped_call_takes_its_socket_along() {
    let node = node(1).await;
    let drop = Fault::Drop { methods: Methods::only(&["eth_chainId"]), times: None };
    node.fault(drop);
    let mut raw = Raw::connect(&node).await;
    raw.say(&request("eth_syncing", json!([]))).await;
    assert_eq!(raw.hear().await.unwrap()["result"], false);
    raw.say(&request("eth_chainId", json!([]))).await;
    assert_eq!(raw.hear().await, None);
}

#[tokio::test]
async fn faults_strike_calls_over_sockets_too() {
    let methods = Methods::only(&["eth_getLogs"]);
    let node = spoiled(1, Fault::Hang { methods, times: None }).await;
    let provider = connect(&node).await;
    let filter = Filter::new().from_block(1).to_block(1);
    let logs = provider.get_logs(&filter);
    let others = async {
        while node.requests().count("eth_getLogs") == 0 {
            assert_eq!(provider.get_block_number().await.unwrap(), 1);
        }
        node.heal();
    };
    let (logs, ()) = tokio::join!(logs, others);
    assert_eq!(told(&logs.unwrap()[0]), (1, false));
}
