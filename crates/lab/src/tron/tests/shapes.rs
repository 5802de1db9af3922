//! What the node serves has the keys a real java-tron shows for the same kind of transaction, and
//! no others.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Bytes, U256};

use super::*;
use crate::tron::LogSpec;

const BLOCKS: &str = include_str!("../../../../../fixtures/java-tron/getblockbynum.json");
const HEADERS: &str = include_str!("../../../../../fixtures/java-tron/getblock_header.json");
const NOW: &str = include_str!("../../../../../fixtures/java-tron/nowblock.json");
const SOLID_NOW: &str = include_str!("../../../../../fixtures/java-tron/solidity_getnowblock.json");
const TRANSACTIONS: &str =
    include_str!("../../../../../fixtures/java-tron/gettransactionbyid.json");
const INFOS: &str = include_str!("../../../../../fixtures/java-tron/gettransactioninfobyid.json");

const BATCHER: Address = Address::repeat_byte(0xba);

/// The shape of JSON: kinds of leaves, keys of objects, the kinds of things in a list.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Leaf(&'static str),
    Object(BTreeMap<String, Shape>),
    List(BTreeSet<Shape>),
}

fn shape(value: &Value) -> Shape {
    match value {
        Value::Null => Shape::Leaf("null"),
        Value::Bool(_) => Shape::Leaf("flag"),
        Value::Number(_) => Shape::Leaf("number"),
        Value::String(_) => Shape::Leaf("text"),
        Value::Array(items) => Shape::List(items.iter().map(shape).collect()),
        Value::Object(fields) => {
            Shape::Object(fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect())
        }
    }
}

/// The recorded kinds of transaction, but those that make contracts, under their names there.
fn kinds() -> Vec<(&'static str, Tx)> {
    let call = |data: &'static [u8]| Tx::empty().by(ANN).with_input(Bytes::from_static(data));
    let params = |basis_points: u64, max_fee: u64| {
        let (basis_points, max_fee) = (U256::from(basis_points), U256::from(max_fee));
        call(&[0xc0, 0x32, 0x4c, 0x77])
            .and(LogSpec::Params { basis_points, max_fee })
            .without_bandwidth()
    };
    let approval = LogSpec::Approval { owner: ANN, spender: BATCHER, value: U256::MAX };
    let inner = |tx: Tx, rejected| tx.and_inner_call(BATCHER, rejected);
    vec![
        ("fundA", Tx::trx(ANN, BOB, 100_000_000_000)),
        ("trxToM", Tx::trx(ANN, BOB, 5).without_bandwidth()),
        ("toAlice", paid(5_000_000_000).without_bandwidth()),
        ("pay1", paid(10_000_000)),
        ("pay2", paid(12_345_678)),
        ("self", Tx::transfer(ANN, ANN, 7).without_bandwidth()),
        ("zeroPoison", Tx::transfer(ANN, BOB, 0).by(FAKE)),
        ("fakePay", Tx::transfer_of(FAKE, ANN, BOB, 10_000_000).without_bandwidth()),
        ("revertNoFunds", paid(1).reverted()),
        ("outOfEnergy", paid(1_000_000).without_bandwidth().out_of_energy()),
        ("approve", Tx::empty().and(approval).without_bandwidth()),
        (
            "batch",
            Tx::batch(BATCHER, ANN, ANN, &[(BOB, 1), (FAKE, 2), (BOB, 3)]).without_bandwidth(),
        ),
        ("goodThenBad", inner(inner(paid(4), false), true).on(BATCHER).without_bandwidth()),
        ("revertAll", inner(paid(5), true).on(BATCHER).without_bandwidth().reverted()),
        ("setFee", params(10, 50_000_000)),
        ("unsetFee", params(0, 0)),
        (
            "payWithFee",
            Tx::transfer_with_fee(ANN, BOB, 100_000_000, FAKE, 100_000).without_bandwidth(),
        ),
        ("blockedPay", paid(2).reverted()),
    ]
}

#[tokio::test]
async fn transactions_and_infos_have_the_keys_of_real_ones() {
    let chain = chain();
    chain.mine(kinds().into_iter().map(|(_, tx)| tx).collect());
    let node = Node::start(chain.clone()).await.unwrap();
    let read = |text| serde_json::from_str::<Value>(text).unwrap();
    let (transactions, infos) = (read(TRANSACTIONS), read(INFOS));
    let listed = full(&node, "gettransactioninfobyblocknum", json!({ "num": 1 })).await;
    let block = full(&node, "getblockbynum", json!({ "num": 1 })).await;
    for (place, ((name, _), id)) in kinds().iter().zip(chain.transactions(1)).enumerate() {
        let tx = full(&node, "gettransactionbyid", of(id)).await;
        assert_eq!(shape(&tx), shape(&transactions[name]), "{name}: {tx:#}");
        assert_eq!(tx, block["transactions"][place]);
        let info = full(&node, "gettransactioninfobyid", of(id)).await;
        assert_eq!(shape(&info), shape(&infos[name]), "{name}: {info:#}");
        assert_eq!(info, listed[place]);
        assert_eq!(info["receipt"].get("result"), infos[name]["receipt"].get("result"), "{name}");
        assert_eq!(tx["ret"], transactions[name]["ret"], "{name}");
    }
}

#[tokio::test]
async fn blocks_have_the_keys_of_real_ones() {
    let node = node(30).await;
    node.chain().mine_empty(1);
    let read = |text| serde_json::from_str::<Value>(text).unwrap();
    let whole = full(&node, "getblockbynum", json!({ "num": 3 })).await;
    assert_eq!(shape(&whole), shape(&read(BLOCKS)["71"]));
    let part = full(&node, "getblock", json!({ "id_or_num": "3", "detail": false })).await;
    assert_eq!(shape(&part), shape(&read(HEADERS)["65"]));
    // An empty block: no `transactions` at all.
    let now = full(&node, "getnowblock", json!({})).await;
    assert_eq!(shape(&now), shape(&read(NOW)));
    let solid_now = solid(&node, "getnowblock", json!({})).await;
    let (ours, theirs) = (&solid_now["block_header"], &read(SOLID_NOW)["block_header"]);
    assert_eq!(shape(ours), shape(theirs));
    let zero = full(&node, "getblockbynum", json!({ "num": 0 })).await;
    let header = zero["block_header"]["raw_data"].as_object().unwrap();
    let keys: Vec<_> = header.keys().map(String::as_str).collect();
    assert_eq!(keys, ["parentHash", "txTrieRoot", "witness_address"]);
    assert_eq!(zero["block_header"].get("witness_signature"), None);
}

#[tokio::test]
async fn staked_calls_show_no_fee_and_logs_outlive_a_timeout() {
    let chain = chain();
    chain.mine(vec![paid(1).staked(), paid(2).out_of_time(), paid(3).with_memo("order 7")]);
    let node = Node::start(chain.clone()).await.unwrap();
    let infos = full(&node, "gettransactioninfobyblocknum", json!({ "num": 1 })).await;
    let keys: Vec<_> = infos[0]["receipt"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["energy_usage", "energy_usage_total", "net_usage", "result"]);
    assert_eq!((infos[0].get("fee"), infos[0].get("packingFee")), (None, None));
    let zeros = "0".repeat(64);
    assert_eq!(infos[0]["contractResult"], json!([zeros]));
    assert_eq!(
        (&infos[1]["receipt"]["result"], &infos[1]["result"]),
        (&json!("OUT_OF_TIME"), &json!("FAILED"))
    );
    assert_eq!(values(&json!([infos[1]])), [2]);
    assert_eq!(chain.balance(BOB, 1), U256::from(4));
    let memo = full(&node, "gettransactionbyid", of(chain.transactions(1)[2])).await;
    assert_eq!(memo["raw_data"]["data"], hex::encode("order 7"));
}
