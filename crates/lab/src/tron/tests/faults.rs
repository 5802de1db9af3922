//! Each fault of a node does what it says, and nothing once it is healed.

use std::future::Future;
use std::task::Poll;

use super::*;
use crate::tron::{Asker, Limit, Paths, Spoil};

const NOW: &str = "/wallet/getnowblock";

fn suspended(words: Limit) -> Fault {
    Fault::Suspended {
        paths: Paths::all(),
        status: 429,
        words,
        seconds: 30,
        answered: 0,
        refused: None,
        asker: Asker::Anyone,
    }
}

fn spoilt(how: Spoil) -> Fault {
    Fault::Spoilt { heights: 2..=2, how }
}

#[tokio::test]
async fn a_busy_node_says_so_under_200() {
    let node = spoiled(1, Fault::busy(Paths::under(&["/walletsolidity/"]), Some(1))).await;
    assert_eq!(tip(&node).await, 1);
    let said = solid(&node, "getnowblock", json!({})).await;
    let error = "class java.lang.IllegalAccessException : lack of computing resources";
    assert_eq!(said, json!({ "Error": error }));
    assert_eq!(top(&node).await, 0);
}

#[tokio::test]
async fn suspensions_are_worded_as_recorded() {
    let node = node(1).await;
    let says = async |words| {
        node.heal();
        node.fault(suspended(words));
        let said = post(&node.url(), NOW, "{}").await.unwrap();
        assert_eq!(said.status, 429);
        said.body
    };
    let key = "The key exceeds the frequency limit(15), and the query server is suspended for 30";
    assert_eq!(says(Limit::Key).await, format!("{{\"Error\":\"{key} s\"}}"));
    assert_eq!(says(Limit::KeyWithoutSpace).await, format!("{{\"Error\":\"{key}s\"}}"));
    let documented: Value = serde_json::from_str(&says(Limit::Documented).await).unwrap();
    assert_eq!(
        documented,
        json!({ "Success": false, "Error": format!("{key}s"), "StatusCode": 429 })
    );
    let no_key = says(Limit::NoKey).await;
    assert!(no_key.contains("suspended for 30 s. To obtain higher request quotas"), "{no_key}");
    assert!(says(Limit::Bare).await.starts_with("request rate exceeded"));
}

#[tokio::test]
async fn a_suspension_ends_after_its_refusals_and_spares_other_keys() {
    let node = node(1).await;
    node.fault(Fault::Suspended {
        paths: Paths::under(&["/wallet/"]),
        status: 403,
        words: Limit::Key,
        seconds: 5,
        answered: 1,
        refused: Some(2),
        asker: Asker::Key("k1".to_owned()),
    });
    let ask = async |key: &str| {
        let client = reqwest::Client::new().post(format!("{}{NOW}", node.url())).body("{}");
        send(client.header("TRON-PRO-API-KEY", key)).await.unwrap().status
    };
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(ask("k1").await);
        assert_eq!(ask("k2").await, 200);
    }
    assert_eq!(statuses, [200, 403, 403, 200, 403]);
    let keys = node.requests().by_key;
    assert_eq!((keys["k1"], keys["k2"]), (5, 5));
}

#[tokio::test]
async fn cut_dropped_and_strange_answers_pass() {
    let once = || (Paths::all(), Some(1));
    let node = node(1).await;
    let (paths, times) = once();
    node.fault(Fault::Truncate { paths, times });
    let cut = post(&node.url(), NOW, "{}").await.unwrap();
    assert!(serde_json::from_str::<Value>(&cut.body).unwrap_err().is_eof());
    let (paths, times) = once();
    node.fault(Fault::Drop { paths, times });
    assert!(post(&node.url(), NOW, "{}").await.is_err_and(|error| error.is_request()));
    let (paths, times) = once();
    let body = "<html>bad gateway</html>".to_owned();
    node.fault(Fault::Say { paths, status: 502, body: body.clone(), times });
    let said = post(&node.url(), NOW, "{}").await.unwrap();
    assert_eq!((said.status, said.kind.as_str(), said.body), (502, "text/html", body));
    node.fault(Fault::Delay { ms: 40 });
    let before = tokio::time::Instant::now();
    assert_eq!(tip(&node).await, 1);
    assert!(before.elapsed().as_millis() >= 40);
}

#[tokio::test]
async fn a_hanging_request_is_answered_once_healed() {
    let node = spoiled(1, Fault::Hang { paths: Paths::under(&["/wallet/"]), times: None }).await;
    let mut hanging = Box::pin(tip(&node));
    let pending =
        std::future::poll_fn(|context| Poll::Ready(hanging.as_mut().poll(context).is_pending()));
    assert!(pending.await);
    while node.requests().count(NOW) == 0 {
        tokio::select! {
            _ = &mut hanging => panic!("answered while it should hang"),
            final_ = top(&node) => assert_eq!(final_, 0),
        }
    }
    node.heal();
    assert_eq!(hanging.await, 1);
}

#[tokio::test]
async fn a_node_behind_has_a_lower_tip_and_less_is_final() {
    let node = node(40).await;
    assert_eq!((tip(&node).await, top(&node).await), (40, 22));
    node.fault(Fault::Lag { blocks: 19 });
    assert_eq!((tip(&node).await, top(&node).await), (21, 3));
    assert_eq!(full(&node, "getblockbynum", json!({ "num": 22 })).await, json!({}));
    let id = of(node.chain().transactions(22)[0]);
    assert_eq!(full(&node, "gettransactioninfobyid", id).await, json!({}));
    node.heal();
    node.fault(Fault::SolidityLag { blocks: 10 });
    assert_eq!((tip(&node).await, top(&node).await), (40, 12));
}

#[tokio::test]
async fn spoilt_infos_do_not_fit_their_block() {
    let node = node(1).await;
    node.chain().mine(vec![paid(2), paid(3), paid(4)]);
    let ids = node.chain().transactions(2).into_iter().map(hex::encode).collect::<Vec<_>>();
    let shown = async |how| {
        node.heal();
        node.fault(spoilt(how));
        let infos = full(&node, "gettransactioninfobyblocknum", json!({ "num": 2 })).await;
        let id = |info: &Value| info["id"].as_str().unwrap().to_owned();
        infos.as_array().unwrap().iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(shown(Spoil::NoInfos).await, Vec::<String>::new());
    assert_eq!(shown(Spoil::ShortInfos).await, ids[..2]);
    assert_eq!(shown(Spoil::TurnedInfos).await, [&ids[2][..], &ids[1], &ids[0]]);
    let foreign = shown(Spoil::ForeignInfos).await;
    assert!(foreign.len() == 3 && foreign.iter().all(|id| !ids.contains(id)));
    // Other blocks are not touched.
    let other = full(&node, "gettransactioninfobyblocknum", json!({ "num": 1 })).await;
    assert_eq!(values(&other), [1]);
    node.heal();
    node.fault(Fault::OmitLogs { tx: node.chain().transactions(2)[1] });
    let infos = full(&node, "gettransactioninfobyblocknum", json!({ "num": 2 })).await;
    assert_eq!(values(&infos), [2, 4]);
}

#[tokio::test]
async fn forged_blocks_fail_the_check_they_are_made_for_and_no_other() {
    let node = node(3).await;
    let shown = async |how: Option<Spoil>| {
        node.heal();
        if let Some(how) = how {
            node.fault(spoilt(how));
        }
        let block = full(&node, "getblockbynum", json!({ "num": 2 })).await;
        let raw = &block["block_header"]["raw_data"];
        let header = crate::tron::block::Header {
            number: 2,
            timestamp: raw["timestamp"].as_u64().unwrap(),
            parent: raw["parentHash"].as_str().unwrap().parse().unwrap(),
            tx_trie_root: raw["txTrieRoot"].as_str().unwrap().parse().unwrap(),
            witness: unhex(&raw["witness_address"]).into(),
            version: raw["version"].as_u64().unwrap(),
        };
        let id = hex::encode(header.id()) == block["blockID"];
        let parent = header.parent == node.chain().block(1).unwrap().hash;
        let tx = &block["transactions"][0];
        let tx = hex::encode(sha256(&unhex(&tx["raw_data_hex"]))) == tx["txID"];
        (id, parent, tx)
    };
    assert_eq!(shown(None).await, (true, true, true));
    assert_eq!(shown(Some(Spoil::BlockId)).await, (false, true, true));
    assert_eq!(shown(Some(Spoil::Parent)).await, (true, false, true));
    assert_eq!(shown(Some(Spoil::TxId)).await, (true, true, false));
    // The info goes along, so that only the hash can tell.
    let block = full(&node, "getblockbynum", json!({ "num": 2 })).await;
    let infos = full(&node, "gettransactioninfobyblocknum", json!({ "num": 2 })).await;
    assert_eq!(infos[0]["id"], block["transactions"][0]["txID"]);
}

#[tokio::test]
async fn wrong_decimals_are_told_without_a_blush() {
    let node = spoiled(1, Fault::WrongDecimals(18)).await;
    let token = hex::encode(node.chain().spec().token.address);
    let ask =
        json!({ "contract_address": format!("41{token}"), "function_selector": "decimals()" });
    let said = full(&node, "triggerconstantcontract", ask).await;
    assert_eq!(said["constant_result"], json!([format!("{:064x}", 18)]));
}
