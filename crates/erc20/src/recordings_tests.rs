//! Real blocks through the whole reading: header hash, receipts root, logs.
//!
//! The recordings are not part of the repository; `BURSAR_RECORDINGS` names their folder.

use std::path::{Path, PathBuf};

use payments::address::Address;
use payments::watch::WatchSet;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::decode::{self, Block, Row};
use crate::token::{TRANSFER_TEXT, Token};
use crate::{header, proof};

const ETHEREUM: &str = "0xdac17f958d2ee523a2206206994597c13d831ec7";
const POLYGON: &str = "0xc2132d05d31c914a87c6611c10748aeb04b58e8f";

/// Says what was replayed where the harness keeps back what a test prints: CI's log has it.
fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "{line}").unwrap();
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("BURSAR_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        say("replayed 0 recorded blocks of EVM chains: BURSAR_RECORDINGS is not set");
    }
    folder
}

/// The result in a recorded answer, or the answer itself where only the result was kept.
fn result(path: &Path) -> Value {
    let mut answer: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    answer.get_mut("result").map(Value::take).unwrap_or(answer)
}

/// The same as `eth_getLogs` would have answered.
fn logs_of(receipts: &Value, token: &str) -> Value {
    let logs = receipts.as_array().unwrap().iter().flat_map(|receipt| {
        receipt["logs"].as_array().unwrap().iter().filter(|log| {
            log["address"].as_str().unwrap().eq_ignore_ascii_case(token)
                && log["topics"][0] == TRANSFER_TEXT
        })
    });
    logs.cloned().collect()
}

fn block(path: &Path, token: &Token) -> Block {
    let raw = RawValue::from_string(result(path).to_string()).unwrap();
    header::read(&raw, token, true).unwrap().unwrap()
}

fn rows(logs: &Value, token: &Token, block: &Block) -> Vec<Row> {
    let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "result": logs}).to_string();
    let mut rows = Vec::new();
    decode::logs(body.as_bytes(), token, std::slice::from_ref(block), |log| {
        rows.push(log.row()?);
        Ok(())
    })
    .unwrap();
    rows
}

#[test]
fn recorded_blocks_verify_and_decode() {
    let Some(folder) = folder() else { return };
    // Each with the number of USDT Transfers, and how many of them move nothing.
    let cases = [
        ("ethereum/block-18000000-squid", "eth_getBlockReceipts", ETHEREUM, 45, 39),
        ("ethereum/block-4369999-squid", "eth_getBlockReceipts", ETHEREUM, 0, 0),
        (
            "ethereum/block-16899757-chainstorage",
            "eth_getTransactionReceipt.batch",
            ETHEREUM,
            18,
            6,
        ),
        ("ethereum/block-15573637-trin", "eth_getTransactionReceipt.batch_result", ETHEREUM, 15, 0),
        ("ethereum/block-19433902-trin", "eth_getTransactionReceipt.batch_result", ETHEREUM, 22, 0),
        ("ethereum/block-21925176-helios", "eth_getBlockReceipts", ETHEREUM, 48, 0),
        ("evm-other/polygon-50000000-squid", "eth_getBlockReceipts", POLYGON, 17, 13),
    ];
    for (name, receipts, contract, count, zero) in cases {
        let token = Token::new(Address::parse(contract).unwrap());
        let at = folder.join(name);
        let block = block(&at.join("eth_getBlockByNumber.json"), &token);
        let receipts = result(&at.join(format!("{receipts}.json")));
        let proved = proof::checked(&receipts.to_string(), &block).unwrap();
        let proved = proof::rows(&proved, &token, 0);
        let logs = logs_of(&receipts, contract);
        let read = rows(&logs, &token, &block);
        assert_eq!(read, proved, "{name}");
        let still = read.iter().filter(|row| row.raw == [0; 32]).count();
        assert_eq!((read.len(), still), (count, zero), "{name}");

        // A receipt without one of its logs does not have the root any more.
        let mut fewer = receipts.clone();
        let list = fewer.as_array_mut().unwrap();
        let some = list.iter_mut().find_map(|receipt| receipt["logs"].as_array_mut()?.pop());
        assert_eq!(proof::checked(&fewer.to_string(), &block).is_err(), some.is_some());

        // Our own addresses are found at either end, and nobody else's.
        if let Some(first) = read.first() {
            let watch = WatchSet::new(vec![first.to.0]);
            let found = decode::matching(logs.to_string().as_bytes(), &token, &[block], &watch);
            let expected = read.iter().filter(|row| row.to == first.to || row.from == first.to);
            assert_eq!(found.unwrap().len(), expected.count(), "{name}");
        }
    }
    say(&format!("replayed {} recorded blocks of EVM chains", cases.len()));
}

#[test]
fn a_tampered_recorded_header_is_refused() {
    let Some(folder) = folder() else { return };
    let token = Token::new(Address::parse(ETHEREUM).unwrap());
    let path = folder.join("ethereum/block-21925176-helios/eth_getBlockByNumber.json");
    for (field, value) in [
        ("gasUsed", "0x1"),
        ("timestamp", "0x1"),
        ("parentHash", &format!("0x{}", "11".repeat(32))),
        ("receiptsRoot", &format!("0x{}", "11".repeat(32))),
        ("hash", &format!("0x{}", "11".repeat(32))),
    ] {
        let mut changed = result(&path);
        changed[field] = value.into();
        let raw = RawValue::from_string(changed.to_string()).unwrap();
        let refusal = header::read(&raw, &token, true).unwrap_err();
        assert!(refusal.why.contains("tampered"), "{field}: {}", refusal.why);
        assert!(header::read(&raw, &token, false).unwrap().is_some(), "{field}");
    }
}
