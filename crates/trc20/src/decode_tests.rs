//! What a real java-tron said, and what nobody should be able to say.

use payments::chain::TxHash;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{self, LOOK_ALIKE, TOKEN, address, block, pair, rows};

const HEIGHTS: std::ops::RangeInclusive<u64> = 65..=78;

fn asked() -> Asked {
    Asked { token: address(TOKEN), others: false }
}

/// The same Transfers as the node's `eth_getLogs` names them.
fn logs_of(token: &str, height: u64) -> Vec<(TxHash, u64, Address, Address, U256)> {
    // Asked for without a filter.
    let logs = fixture::json("errors");
    let logs = logs["rpc_getLogs_toobig"]["result"].as_array().unwrap().iter().filter(|log| {
        log["address"] == format!("0x{token}")
            && log["topics"][0] == format!("0x{TRANSFER}")
            && log["blockNumber"] == format!("{height:#x}")
    });
    let text = |value: &Value| value.as_str().unwrap().trim_start_matches("0x").to_owned();
    logs.map(|log| {
        let account = |at: usize| address(&text(&log["topics"][at])[24..]);
        (
            TxHash::parse(&text(&log["transactionHash"])).unwrap(),
            u64::from_str_radix(&text(&log["logIndex"]), 16).unwrap(),
            account(1),
            account(2),
            U256::from_str_radix(&text(&log["data"]), 16).unwrap(),
        )
    })
    .collect()
}

#[test]
fn every_recorded_block_decodes_to_its_own_logs() {
    let (mut ours, mut theirs) = (0, 0);
    let mut below: Option<Header> = None;
    for height in HEIGHTS {
        let (written, infos) = pair(height);
        let block = block(&written);
        assert_eq!(block.header.id.height, height);
        assert!(below.is_none_or(|below| below.id.hash == block.header.parent), "{height}");
        below = Some(block.header);
        for (token, count) in [(TOKEN, &mut ours), (LOOK_ALIKE, &mut theirs)] {
            let mut rows = rows(token, &block, &infos).unwrap();
            rows.retain(|row| row.notice.is_none());
            let found = rows.iter().map(|r| (r.tx, r.log_index, r.from, r.to, r.raw));
            assert_eq!(found.collect::<Vec<_>>(), logs_of(token, height), "{height}");
            *count += rows.len();
        }
    }
    assert_eq!((ours, theirs), (12, 1));
}

#[test]
fn places_are_counted_inside_the_transaction() {
    let (written, infos) = pair(73);
    let found = rows(TOKEN, &block(&written), &infos).unwrap();
    let places: Vec<_> = found.iter().map(|row| (row.log_index, row.n)).collect();
    // Three transfers in one transaction, then one in another; the reverted one has none.
    assert_eq!(places, [(0, 0), (1, 1), (2, 2), (3, 0)]);
}

#[test]
fn the_same_block_however_it_is_asked_for() {
    let headers = fixture::json("getblock_header");
    let details = fixture::json("getblock_detail");
    let limit = decode_all(&fixture::json("getblockbylimitnext"));
    for (at, height) in (65..=67u64).enumerate() {
        let block = block(&pair(height).0);
        let name = height.to_string();
        let head = headers[&name].to_string();
        assert_eq!(super::head(head.as_bytes()), Ok(Some(block.header)));
        assert_eq!(fixture::block(&details[&name]), block);
        assert_eq!(limit[at], block);
        // A header alone is no block: its root speaks of transactions.
        assert!(matches!(super::block(head.as_bytes()), Err(DecodeError::Lie(_))));
    }
    for (name, height) in [("nowblock", 89), ("solidity_getnowblock", 69)] {
        let text = fixture::json(name).to_string();
        assert_eq!(super::head(text.as_bytes()).unwrap().unwrap().id.height, height);
    }
    assert!(fixture::block(&fixture::json("nowblock")).transactions.is_empty());
}

fn decode_all(json: &Value) -> Vec<Block> {
    blocks(json.to_string().as_bytes()).unwrap()
}

#[test]
fn every_transaction_is_where_its_info_says() {
    let (infos, transactions) =
        (fixture::json("gettransactioninfobyid"), fixture::json("gettransactionbyid"));
    for (name, written) in infos.as_object().unwrap() {
        let (tx, height) = info(written.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(tx.bare(), transactions[name]["txID"], "{name}");
        let block = block(&pair(height).0);
        let outcome = block.transactions.iter().find(|outcome| outcome.tx == tx).unwrap();
        let failed = ["revertNoFunds", "outOfEnergy", "revertAll", "blockedPay"];
        assert_eq!(outcome.succeeded, !failed.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn what_is_not_there_is_not_empty() {
    let (written, infos) = pair(72);
    let block = block(&written);
    assert_eq!(super::block(b"{}"), Ok(None));
    assert_eq!(super::head(b" {} "), Ok(None));
    assert_eq!(info(b"{}"), Ok(None));
    for body in ["[]", "{}", " {}\n"] {
        let found = super::infos(body.as_bytes(), asked(), &block, 0);
        assert!(matches!(found, Err(DecodeError::Absent(_))), "{body}");
    }
    // A body that ends early is garbled at every place it may end at.
    let (written, infos) = (written.to_string(), infos.to_string());
    for end in (0..infos.len()).step_by(97) {
        let found = super::infos(&infos.as_bytes()[..end], asked(), &block, 0);
        assert!(matches!(found, Err(DecodeError::Garbled(_))), "{end}");
    }
    for end in (0..written.len()).step_by(997) {
        assert!(matches!(super::block(&written.as_bytes()[..end]), Err(DecodeError::Garbled(_))));
    }
}

#[test]
fn a_forged_header_is_refused() {
    let (written, _) = pair(72);
    let root = "/block_header/raw_data";
    for (field, value) in [
        ("number", json!(73)),
        ("timestamp", json!(1)),
        ("version", json!(33)),
        ("parentHash", json!("11".repeat(32))),
        ("txTrieRoot", json!("11".repeat(32))),
        ("witness_address", json!("41".repeat(21))),
        ("witness_id", json!(1)),
        ("accountStateRoot", json!("11".repeat(32))),
    ] {
        let mut forged = written.clone();
        forged.pointer_mut(root).unwrap()[field] = value;
        let found = super::block(forged.to_string().as_bytes());
        assert!(matches!(found, Err(DecodeError::Lie(why)) if why.contains("tampered")), "{field}");
    }
    let mut forged = written.clone();
    forged["blockID"] = json!("11".repeat(32));
    assert!(super::head(forged.to_string().as_bytes()).is_err());
    // Without its transactions it is another block than its root says.
    let mut emptied = written.clone();
    emptied.as_object_mut().unwrap().remove("transactions");
    assert!(super::block(emptied.to_string().as_bytes()).is_err());
    for (field, value) in [("txID", json!("11".repeat(32))), ("raw_data_hex", json!("0a"))] {
        let mut forged = written.clone();
        forged["transactions"][4][field] = value;
        let found = super::block(forged.to_string().as_bytes());
        assert!(matches!(found, Err(DecodeError::Lie(why)) if why.contains("hash to its id")));
    }
}

#[test]
fn infos_of_other_transactions_are_refused() {
    let (written, infos) = pair(72);
    let block = block(&written);
    let spoilt = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut infos = infos.clone();
        change(infos.as_array_mut().unwrap());
        rows(TOKEN, &block, &infos).unwrap_err()
    };
    let lie = |error| matches!(error, DecodeError::Lie(_));
    assert!(lie(spoilt(&|infos| drop(infos.pop()))));
    assert!(lie(spoilt(&|infos| infos.push(infos[0].clone()))));
    assert!(lie(spoilt(&|infos| infos.reverse())));
    assert!(lie(spoilt(&|infos| infos.swap(0, 1))));
    assert!(lie(spoilt(&|infos| infos[2]["id"] = json!("11".repeat(32)))));
    assert!(lie(spoilt(&|infos| infos[2]["blockNumber"] = json!(71))));
    // The same height of another fork: it changed between two questions.
    let other = spoilt(&|infos| {
        for info in infos {
            info["blockTimeStamp"] = json!(1_795_197_999_000u64);
        }
    });
    assert!(matches!(other, DecodeError::Absent(_)));
}

#[test]
fn a_failed_transaction_transfers_nothing_whatever_its_logs() {
    let (mut written, mut infos) = pair(72);
    // It ran out of time: its logs stay, and nothing of it happened.
    written["transactions"][1]["ret"][0]["contractRet"] = json!("OUT_OF_TIME");
    infos[1]["receipt"]["result"] = json!("OUT_OF_TIME");
    infos[1]["result"] = json!("FAILED");
    let found = rows(TOKEN, &block(&written), &infos).unwrap();
    let whole = rows(TOKEN, &block(&pair(72).0), &pair(72).1).unwrap();
    let kept: Vec<_> = whole.iter().filter(|row| row.log_index != 1).copied().collect();
    assert_eq!(found, kept, "the block-wide count goes on over it");
    // Where block, receipt and result contradict each other nobody knows what happened.
    for (ret, receipt, result) in [
        ("OUT_OF_TIME", json!("SUCCESS"), json!(null)),
        ("SUCCESS", json!("OUT_OF_TIME"), json!("FAILED")),
        ("SUCCESS", json!("SUCCESS"), json!("FAILED")),
        ("SUCCESS", json!(null), json!(null)),
    ] {
        written["transactions"][1]["ret"][0]["contractRet"] = json!(ret);
        infos[1]["receipt"]["result"] = receipt;
        infos[1]["result"] = result;
        let found = rows(TOKEN, &block(&written), &infos);
        assert!(matches!(found, Err(DecodeError::Lie(_))), "{ret} {infos}");
    }
}

#[test]
fn only_the_log_is_evidence() {
    let (mut written, mut infos) = pair(72);
    // Calldata that names more, to somebody else, with the 41 inside the word: not even read.
    let calldata =
        format!("a9059cbb{:0>64}{}", "41".to_owned() + &"ee".repeat(20), "ff".repeat(32));
    let call = "/transactions/0/raw_data/contract/0/parameter/value/data";
    *written.pointer_mut(call).unwrap() = json!(calldata);
    infos[0]["contractResult"] = json!(["0".repeat(64)]);
    let transfer = json!({"hash": "", "callValueInfo": [{"callValue": 5}], "rejected": true});
    infos[0]["internal_transactions"] = json!([transfer]);
    let expected = rows(TOKEN, &block(&pair(72).0), &pair(72).1).unwrap();
    assert_eq!(rows(TOKEN, &block(&written), &infos).unwrap(), expected);
    // A look-alike's log, and an Approval, move nothing of ours.
    assert_eq!(expected.len(), 4);
}

#[test]
fn a_log_that_cannot_be_is_refused() {
    let with = |field: &str, value: Value| {
        let (written, mut infos) = pair(72);
        let log = &mut infos[0]["log"][0];
        *log.pointer_mut(field).unwrap() = value;
        rows(TOKEN, &block(&written), &infos)
    };
    let word = pair(72).1[0]["log"][0]["topics"][2].as_str().unwrap().to_owned();
    let dirty = format!("{}41{}", &word[..22], &word[24..]);
    let missing = json!([TRANSFER, word]);
    for (field, value) in [
        ("/topics/2", json!(dirty)),
        ("/topics/2", json!(word[2..])),
        ("/topics", missing),
        ("/topics", json!([TRANSFER, word, word, word])),
        ("/data", json!("")),
        ("/data", json!("ff".repeat(33))),
        ("/data", json!("zz".repeat(32))),
    ] {
        let found = with(field, value.clone());
        assert!(matches!(found, Err(DecodeError::Lie(_))), "{field} {value}");
    }
    // A log without topics or data is one of nobody's, and still counts.
    let (written, mut infos) = pair(72);
    infos[0]["log"].as_array_mut().unwrap().insert(0, json!({"address": TOKEN}));
    let found = rows(TOKEN, &block(&written), &infos).unwrap();
    assert_eq!((found[0].log_index, found[0].n), (1, 0));
}
