//! The encoders against what a real java-tron hashed.

use alloy::primitives::Bytes;

use super::*;
use crate::tron::block::Header;
use crate::tron::raw::{self, Contract, Raw};

const BLOCKS: &str = include_str!("../../../../../fixtures/java-tron/getblockbynum.json");
const TRANSACTIONS: &str =
    include_str!("../../../../../fixtures/java-tron/gettransactionbyid.json");

fn recorded(text: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn bytes(value: &Value) -> Bytes {
    if value.is_null() { Bytes::new() } else { unhex(value).into() }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn header(shown: &Value) -> Header {
    let raw = &shown["block_header"]["raw_data"];
    Header {
        number: number(&raw["number"]),
        timestamp: number(&raw["timestamp"]),
        parent: raw["parentHash"].as_str().unwrap().parse().unwrap(),
        tx_trie_root: raw["txTrieRoot"].as_str().unwrap().parse().unwrap(),
        witness: bytes(&raw["witness_address"]),
        version: number(&raw["version"]),
    }
}

fn leaf(tx: &Value) -> B256 {
    let result = match tx["ret"][0]["contractRet"].as_str().unwrap() {
        "SUCCESS" => 1,
        "REVERT" => 2,
        "OUT_OF_ENERGY" => 10,
        other => panic!("{other}"),
    };
    raw::leaf(&unhex(&tx["raw_data_hex"]), &unhex(&tx["signature"][0]), result)
}

#[test]
fn block_ids_and_merkle_roots_are_those_of_a_real_node() {
    let blocks = recorded(BLOCKS);
    for (height, block) in &blocks {
        let header = header(block);
        assert_eq!(hex::encode(header.id()), block["blockID"], "{height}");
        let txs = block["transactions"].as_array().unwrap();
        let root = raw::merkle_root(txs.iter().map(leaf).collect());
        assert_eq!(root, header.tx_trie_root, "{height}");
    }
    assert_eq!(blocks.len(), 14);
}

#[test]
fn transactions_encode_to_the_bytes_a_real_node_shows() {
    let mut checked = 0;
    for (name, tx) in recorded(TRANSACTIONS) {
        let raw = &tx["raw_data"];
        let inner = &raw["contract"][0];
        let value = &inner["parameter"]["value"];
        let contract = match inner["type"].as_str().unwrap() {
            "TransferContract" => Contract::Transfer {
                owner: bytes(&value["owner_address"]),
                to: bytes(&value["to_address"]),
                amount: number(&value["amount"]),
            },
            "TriggerSmartContract" => Contract::Trigger {
                owner: bytes(&value["owner_address"]),
                contract: bytes(&value["contract_address"]),
                data: bytes(&value["data"]),
            },
            _ => continue,
        };
        let refers = (bytes(&raw["ref_block_bytes"]), bytes(&raw["ref_block_hash"]));
        let raw = Raw {
            refers: Some((refers.0[..].try_into().unwrap(), refers.1[..].try_into().unwrap())),
            expiration: number(&raw["expiration"]),
            timestamp: number(&raw["timestamp"]),
            fee_limit: number(&raw["fee_limit"]),
            memo: bytes(&raw["data"]),
            contract,
        };
        let encoded = raw.encode();
        assert_eq!(hex::encode(&encoded), tx["raw_data_hex"], "{name}");
        assert_eq!(hex::encode(raw::id(&encoded)), tx["txID"], "{name}");
        checked += 1;
    }
    assert_eq!(checked, 21);
}
