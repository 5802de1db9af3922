//! What paths answer to what is asked wrongly, or of the wrong port, or in other spellings.

use super::*;
use crate::tron::base58;

const ERRORS: &str = include_str!("../../../../../fixtures/java-tron/errors.json");

#[tokio::test]
async fn refusals_are_word_for_word_those_of_a_real_node() {
    let node = node(3).await;
    let errors: Value = serde_json::from_str(ERRORS).unwrap();
    let none = hex::encode(B256::ZERO);
    for (name, path, params) in [
        ("info_unknown", "gettransactioninfobyid", json!({ "value": none })),
        ("tx_unknown", "gettransactionbyid", json!({ "value": none })),
        ("block_future", "getblockbynum", json!({ "num": 9 })),
        ("infoblock_future", "gettransactioninfobyblocknum", json!({ "num": 9 })),
        ("block_bad", "getblock", json!({ "id_or_num": "nonsense" })),
        ("info_badhex", "gettransactioninfobyid", json!({ "value": "zz" })),
    ] {
        assert_eq!(full(&node, path, params).await, errors[name], "{name}");
    }
    let bad = post(&node.url(), "/wallet/getblockbynum", "nonsense").await.unwrap();
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(bad.status, 200);
    // Compared as JSON: the real node escapes one letter in capitals.
    assert_eq!(parsed(&bad.body), parsed(errors["badjson"][2].as_str().unwrap()));
    assert!(bad.body.ends_with('\n'));
    let lost = post(&node.url(), "/wallet/nosuch", "{}").await.unwrap();
    assert_eq!(
        (lost.status, lost.kind, lost.body),
        (
            405,
            errors["nosuch"][1].as_str().unwrap().to_owned(),
            errors["nosuch"][2].as_str().unwrap().to_owned(),
        )
    );
    assert_eq!(full(&node, "gettransactioninfobyblocknum", json!({})).await, json!({}));
}

#[tokio::test]
async fn a_plain_nodes_ports_do_not_know_each_others_paths() {
    let node = node(1).await;
    let (whole, final_) = (node.url(), node.solidity_url());
    let status = async |base: &str, path: &str| post(base, path, "{}").await.unwrap().status;
    assert_eq!(status(&whole, "/wallet/getnowblock").await, 200);
    assert_eq!(status(&whole, "/walletsolidity/getnowblock").await, 405);
    assert_eq!(status(&final_, "/walletsolidity/getnowblock").await, 200);
    assert_eq!(status(&final_, "/wallet/getnowblock").await, 405);
    assert_eq!(heard(&format!("{whole}/v1/accounts/x/transactions/trc20")).await.status, 404);
    let grid = grid(1).await;
    assert_eq!(grid.url(), grid.solidity_url());
    assert_eq!(status(&grid.url(), "/wallet/getnowblock").await, 200);
    assert_eq!(status(&grid.url(), "/walletsolidity/getnowblock").await, 200);
}

#[tokio::test]
async fn the_solidity_interface_shows_what_is_final_alone() {
    let node = node(30).await;
    assert_eq!((tip(&node).await, top(&node).await), (30, 12));
    for (number, seen) in [(12, true), (13, false)] {
        let block = solid(&node, "getblockbynum", json!({ "num": number })).await;
        assert_eq!(block != json!({}), seen);
        let infos = solid(&node, "gettransactioninfobyblocknum", json!({ "num": number })).await;
        assert_eq!(infos != json!([]), seen);
        let id = of(node.chain().transactions(number)[0]);
        assert_eq!(solid(&node, "gettransactioninfobyid", id.clone()).await != json!({}), seen);
        assert_ne!(full(&node, "gettransactioninfobyid", id).await, json!({}));
    }
}

#[tokio::test]
async fn blocks_are_found_by_number_by_id_and_in_ranges() {
    let node = node(120).await;
    let third = full(&node, "getblockbynum", json!({ "num": 3 })).await;
    let id = third["blockID"].clone();
    assert_eq!(full(&node, "getblockbyid", json!({ "value": id })).await, third);
    assert_eq!(full(&node, "getblock", json!({ "id_or_num": id, "detail": true })).await, third);
    let by_query = format!("{}/wallet/getblockbynum?num=3", node.url());
    let said: Value = serde_json::from_str(&heard(&by_query).await.body).unwrap();
    assert_eq!(said, third);
    let range = |start: u64, end: u64| json!({ "startNum": start, "endNum": end });
    let some = full(&node, "getblockbylimitnext", range(3, 5)).await;
    assert_eq!((&some["block"][0], some["block"].as_array().unwrap().len()), (&third, 2));
    let all = full(&node, "getblockbylimitnext", range(1, 101)).await;
    assert_eq!(all["block"].as_array().unwrap().len(), 100);
    assert_eq!(full(&node, "getblockbylimitnext", range(1, 102)).await, json!({}));
    assert_eq!(full(&node, "getblockbylimitnext", range(5, 5)).await, json!({}));
    let newest = full(&node, "getblockbylatestnum", json!({ "num": 2 })).await;
    assert_eq!(
        newest["block"].as_array().unwrap().iter().map(height).collect::<Vec<_>>(),
        [119, 120]
    );
}

#[tokio::test]
async fn visible_spells_addresses_in_base58_and_texts_as_text() {
    let chain = chain();
    chain.mine(vec![paid(1).with_memo("für A1"), paid(1).reverted()]);
    let node = Node::start(chain.clone()).await.unwrap();
    let visible = |id: B256| json!({ "value": hex::encode(id), "visible": true });
    let ids = chain.transactions(1);
    let tx = full(&node, "gettransactionbyid", visible(ids[0])).await;
    let value = &tx["raw_data"]["contract"][0]["parameter"]["value"];
    assert_eq!(value["owner_address"], base58(ANN));
    assert_eq!(tx["raw_data"]["data"], "für A1");
    let info = full(&node, "gettransactioninfobyid", visible(ids[0])).await;
    assert_eq!(info["log"][0]["address"], "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t");
    let info = full(&node, "gettransactioninfobyid", visible(ids[1])).await;
    assert_eq!(info["resMessage"], "REVERT opcode executed");
    let block = full(&node, "getblockbynum", json!({ "num": 1, "visible": true })).await;
    let witness = block["block_header"]["raw_data"]["witness_address"].as_str().unwrap();
    assert!(witness.starts_with('T'), "{witness}");
}

#[tokio::test]
async fn an_account_that_was_only_paid_in_tokens_is_unknown() {
    let chain = chain();
    let carl = Address::repeat_byte(0xcc);
    chain.mine(vec![paid(1), Tx::trx(ANN, carl, 70)]);
    let node = Node::start(chain.clone()).await.unwrap();
    let ask = |who: Address| json!({ "address": base58(who), "visible": true });
    assert_eq!(full(&node, "getaccount", ask(BOB)).await, json!({}));
    let paid = full(&node, "getaccount", ask(carl)).await;
    assert_eq!((&paid["balance"], &paid["address"]), (&json!(70), &json!(base58(carl))));
    let payer = full(&node, "getaccount", ask(ANN)).await;
    assert_eq!(payer["balance"], 999_999_930);
    assert_eq!(full(&node, "listwitnesses", json!({})).await["witnesses"][0]["latestBlockNum"], 1);
    let info = full(&node, "getnodeinfo", json!({})).await;
    let (tip, solid) = (chain.tip(), chain.solid());
    assert_eq!(info["block"], format!("Num:1,ID:{}", hex::encode(tip.hash)));
    assert_eq!(info["solidityBlock"], format!("Num:0,ID:{}", hex::encode(solid.hash)));
}

#[tokio::test]
async fn the_chain_says_which_one_it_is() {
    let node = node(2).await;
    let ask = async |method: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
        let said = post(&node.url(), "/jsonrpc", &body.to_string()).await.unwrap();
        serde_json::from_str::<Value>(&said.body).unwrap()["result"].clone()
    };
    assert_eq!(ask("eth_chainId").await, "0x2b6653dc");
    assert_eq!(ask("eth_blockNumber").await, "0x2");
    node.fault(Fault::WrongChain);
    assert_ne!(ask("eth_chainId").await, "0x2b6653dc");
    let zero = full(&node, "getblockbynum", json!({ "num": 0 })).await;
    assert_ne!(zero["blockID"], "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc");
}

#[tokio::test]
async fn requests_are_counted_by_path_and_by_key() {
    let node = grid(1).await;
    let account = base58(BOB);
    let url = format!("{}/v1/accounts/{account}/transactions/trc20?limit=5", node.url());
    heard(&url).await;
    let client = reqwest::Client::new();
    send(client.get(&url).header("TRON-PRO-API-KEY", "k1")).await.unwrap();
    full(&node, "getblockbynum", json!({ "num": 1 })).await;
    let requests = node.requests();
    assert_eq!(requests.count("/v1/accounts/{address}/transactions/trc20"), 2);
    assert_eq!((requests.count_under("/wallet/"), requests.total()), (1, 3));
    let keys: Vec<_> = requests.by_key.clone().into_iter().collect();
    assert_eq!(keys, [(String::new(), 2), ("k1".to_owned(), 1)]);
    assert_eq!(requests.recent[0].params, json!({ "address": account, "limit": "5" }));
    assert_eq!(requests.recent[2].params, json!({ "num": 1 }));
    node.forget_requests();
    assert_eq!(node.requests().total(), 0);
}

#[tokio::test]
async fn a_stopped_node_comes_back_on_its_ports() {
    let node = node(1).await;
    let (whole, final_) = (node.url(), node.solidity_url());
    node.stop().await;
    assert!(post(&whole, "/wallet/getnowblock", "{}").await.is_err());
    node.restart().await.unwrap();
    assert_eq!((node.url(), node.solidity_url()), (whole, final_));
    assert_eq!(tip(&node).await, 1);
    assert_eq!(top(&node).await, 0);
}
