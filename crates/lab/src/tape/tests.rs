//! A node is recorded, goes away, and is played.

use serde_json::json;

use super::*;
use crate::evm::{Chain, ChainSpec, Fault, Methods, Node, Tx};

async fn post(url: &str, body: Value) -> (u16, String) {
    let sent = reqwest::Client::new().post(url).body(body.to_string()).send().await.unwrap();
    (sent.status().as_u16(), sent.text().await.unwrap())
}

async fn ask(url: &str, id: u64, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    serde_json::from_str(&post(url, body).await.1).unwrap()
}

fn batch(first: u64, calls: &[(&str, Value)]) -> Value {
    let call = |(id, (method, params)): (u64, &(&str, Value))| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    (first..).zip(calls).map(call).collect()
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn tape(&self) -> std::path::PathBuf {
        self.0.path().join("tape.jsonl")
    }
}

async fn node() -> (Node, Scratch) {
    let chain = Chain::new(ChainSpec::ethereum());
    let [ann, bob] = [0xaa, 0xbb].map(alloy::primitives::Address::repeat_byte);
    chain.mine(vec![Tx::transfer(ann, bob, 5)]);
    (Node::start(chain).await.unwrap(), Scratch(tempfile::tempdir().unwrap()))
}

#[tokio::test]
async fn what_was_recorded_is_played_frame_by_frame() {
    let (node, scratch) = node().await;
    let recorder = Recorder::start(&node.http_url(), scratch.tape()).await.unwrap();
    recorder.note("one payment, then a block");
    let url = recorder.http_url();
    let asked = [
        ("eth_blockNumber", json!([])),
        ("eth_getLogs", json!([{"fromBlock": "0x0", "toBlock": "latest"}])),
        ("eth_nonsense", json!([1, {"a": null}])),
        ("eth_getBlockByNumber", json!(["0x2", false])),
    ];
    let first = post(&url, batch(7, &asked)).await;
    assert_eq!(first, post(&node.http_url(), batch(7, &asked)).await);
    node.chain().mine_empty(1);
    assert_eq!(recorder.next_frame(), 1);
    let mut second = Vec::new();
    for (method, params) in &asked {
        second.push(ask(&url, 50, method, params.clone()).await);
    }
    let tape = recorder.finish().await.unwrap();
    drop(node);

    assert_eq!(Tape::read(&scratch.tape()).unwrap(), tape);
    assert_eq!((tape.header.chain_id, tape.header.note.as_str()), (1, "one payment, then a block"));
    assert!(tape.header.recorded_from.starts_with("Geth/"));
    // Two of four answers changed, and only they are on the tape twice.
    let frames: Vec<_> = tape.entries.iter().map(|entry| entry.frame).collect();
    assert_eq!(frames, [0, 0, 0, 0, 1, 1]);

    let player = Player::start(tape).await.unwrap();
    let url = player.http_url();
    assert_eq!(post(&url, batch(7, &asked)).await, first);
    assert_eq!(player.play(), 1);
    for ((method, params), expected) in asked.iter().zip(&second) {
        let mut expected = expected.clone();
        expected["id"] = json!(51);
        assert_eq!(ask(&url, 51, method, params.clone()).await, expected);
    }
    assert_eq!(player.play(), 1);
    player.frame(0);
    assert_eq!(ask(&url, 1, "eth_blockNumber", json!([])).await["result"], "0x1");
    assert_eq!(player.misses(), Vec::<String>::new());
    assert_eq!(player.requests().count("eth_blockNumber"), 3);
}

#[tokio::test]
async fn what_is_not_on_the_tape_is_refused_and_remembered() {
    let tape = r#"{"tape":1,"chain_id":1,"recorded_from":"by hand"}
{"frame":2,"request":{"method":"eth_chainId","params":[]},"status":200,"response":{"result":"0x1"}}
"#;
    let player = Player::start(tape.parse().unwrap()).await.unwrap();
    let url = player.http_url();
    let early = ask(&url, 1, "eth_chainId", json!([])).await;
    assert_eq!(early["error"]["message"], "not on the tape in frame 0: eth_chainId []");
    player.frame(2);
    assert_eq!(ask(&url, 1, "eth_chainId", json!([])).await, json!({"id": 1, "result": "0x1"}));
    ask(&url, 1, "eth_chainId", json!([true])).await;
    let misses = ["frame 0: eth_chainId []", "frame 2: eth_chainId [true]"];
    assert_eq!(player.misses(), misses);
}

#[tokio::test]
async fn another_tape_goes_on_in_the_same_frame() {
    let tape = |result: &str| -> Tape {
        let header = r#"{"tape":1,"chain_id":1,"recorded_from":"by hand","note":""}"#;
        let entry = json!({"frame": 1, "request": {"method": "x", "params": []}, "status": 200,
            "response": {"jsonrpc": "2.0", "result": result}});
        format!("{header}\n{entry}\n").parse().unwrap()
    };
    let player = Player::start(tape("one")).await.unwrap();
    player.play();
    assert_eq!(ask(&player.http_url(), 1, "x", json!([])).await["result"], "one");
    player.switch(tape("other"));
    assert_eq!(ask(&player.http_url(), 1, "x", json!([])).await["result"], "other");
}

#[tokio::test]
async fn refusals_keep_their_status_and_bodies_that_are_no_json_their_text() {
    let (node, scratch) = node().await;
    let recorder = Recorder::start(&node.http_url(), scratch.tape()).await.unwrap();
    let methods = || Methods::only(&["eth_getLogs"]);
    let body = "<html>503</html>".to_owned();
    node.fault(Fault::Error { methods: methods(), http_status: 503, body, times: Some(1) });
    let asked = [("eth_chainId", json!([])), ("eth_getLogs", json!([{}]))];
    let said = post(&recorder.http_url(), batch(1, &asked)).await;
    assert_eq!(said, (503, "<html>503</html>".to_owned()));
    let player = Player::start(recorder.finish().await.unwrap()).await.unwrap();
    assert_eq!(post(&player.http_url(), batch(9, &asked)).await, said);
}

#[tokio::test]
async fn what_is_no_node_is_not_recorded() {
    let (node, scratch) = node().await;
    let body = "welcome".to_owned();
    node.fault(Fault::Error { methods: Methods::all(), http_status: 200, body, times: None });
    let refused = Recorder::start(&node.http_url(), scratch.tape()).await;
    assert!(matches!(refused, Err(Error::NotANode { said }) if said == "null"));
    node.stop().await;
    let refused = Recorder::start(&node.http_url(), scratch.tape()).await;
    assert!(matches!(refused, Err(Error::Upstream(_))));
}

#[test]
fn a_spoilt_line_is_named() {
    let header = r#"{"tape":1,"chain_id":1,"recorded_from":"x"}"#;
    let spoilt = format!("{header}\n\n{{}}\n").parse::<Tape>();
    assert!(matches!(spoilt, Err(Error::TapeLine { line: 3, .. })));
    assert!(matches!("\n".parse::<Tape>(), Err(Error::TapeEmpty)));
}

#[tokio::test]
async fn a_tron_nodes_two_ports_are_one_tape() {
    use crate::tron;
    let chain = tron::Chain::new(tron::ChainSpec::tron());
    let [ann, bob] = [0xaa, 0xbb].map(alloy::primitives::Address::repeat_byte);
    chain.mine(vec![tron::Tx::transfer(ann, bob, 5)]);
    let node = tron::Node::start(chain.clone()).await.unwrap();
    let scratch = Scratch(tempfile::tempdir().unwrap());
    let (url, solidity) = (node.url(), node.solidity_url());
    let recorder = Recorder::start_tron(&url, Some(&solidity), scratch.tape()).await.unwrap();
    let client = reqwest::Client::new();
    let ask = async |base: &str, path: &str, body: Option<Value>| {
        let url = format!("{base}{path}");
        let request = match body {
            Some(body) => client.post(url).header("TRON-PRO-API-KEY", "k1").body(body.to_string()),
            None => client.get(url),
        };
        let sent = request.send().await.unwrap();
        let kind = sent.headers()["content-type"].to_str().unwrap().to_owned();
        (sent.status().as_u16(), kind, sent.text().await.unwrap().trim_end().to_owned())
    };
    let asked = [
        ("/wallet/getblockbynum", Some(json!({ "num": 1 }))),
        ("/wallet/getblockbynum?num=1", None),
        ("/walletsolidity/getnowblock", Some(json!({}))),
        ("/wallet/getnowblock", Some(json!({}))),
        ("/wallet/nosuch", Some(json!({}))),
        ("/wallet/gettransactioninfobyblocknum", Some(json!({ "num": 7 }))),
        ("/jsonrpc", Some(json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" }))),
    ];
    let mut frames = Vec::new();
    for frame in 0..2 {
        let mut said = Vec::new();
        for (path, body) in &asked {
            said.push(ask(&recorder.http_url(), path, body.clone()).await);
        }
        frames.push(said);
        if frame == 0 {
            chain.mine_empty(25);
            recorder.next_frame();
        }
    }
    // A key is the full node's; the other port may be anybody's.
    assert_eq!(node.requests().by_key["k1"], 10);
    let tape = recorder.finish().await.unwrap();
    node.stop().await;
    assert_eq!(
        (tape.header.chain_id, tape.header.recorded_from.as_str()),
        (0x2b66_53dc, "java-tron 4.8.0")
    );
    assert_eq!(Tape::read(&scratch.tape()).unwrap(), tape);
    assert!(!tape.to_string().contains("k1"));
    // The two newest blocks have changed, and nothing else.
    assert_eq!(tape.entries.iter().filter(|entry| entry.frame == 1).count(), 2);

    let player = Player::start(tape).await.unwrap();
    for said in &frames {
        for ((path, body), said) in asked.iter().zip(said) {
            let (status, kind, text) = ask(&player.http_url(), path, body.clone()).await;
            let parsed = |text: &str| serde_json::from_str(text).unwrap_or(Value::from(text));
            assert_eq!(
                (status, &kind, parsed(&text)),
                (said.0, &said.1, parsed(&said.2)),
                "{path}"
            );
        }
        player.play();
    }
    assert_eq!(player.misses(), Vec::<String>::new());
    let (status, ..) =
        ask(&player.http_url(), "/wallet/getblockbynum", Some(json!({ "num": 2 }))).await;
    assert_eq!(status, 404);
    assert_eq!(player.misses(), [r#"frame 1: POST /wallet/getblockbynum {"num":2}"#]);
    assert_eq!(player.requests().count("/wallet/getblockbynum"), 5);
}
