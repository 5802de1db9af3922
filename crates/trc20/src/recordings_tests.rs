//! Real answers of mainnet, Nile and `TronGrid`, each decoded or refused by name.
//!
//! Those outside the repository are found where `BURSAR_RECORDINGS` names their folder.

use std::path::{Path, PathBuf};

use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Cursor, Header, Scan, TxHash, connect};
use payments::name::ChainName;
use payments::time::Time;
use serde_json::Value;

use crate::decode::{self, Asked, DecodeError};
use crate::fixture;
use crate::index;
use crate::refusal::{self, Class};
use crate::verify;

/// Says what was replayed where the harness keeps back what a test prints: CI's log has it.
fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "{line}").unwrap();
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("BURSAR_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        say("replayed 0 recorded answers of TRON nodes: BURSAR_RECORDINGS is not set");
    }
    folder
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn all(folder: &Path) -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = entries.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let named = json.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path));
    let mut found: Vec<_> = named.map(|(name, path)| (name, read(&path))).collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// What the crate makes of an answer, in a word.
fn made_of(name: &str, answer: &Value) -> String {
    let text = answer.to_string();
    let body = text.as_bytes();
    if let Some(refusal) = refusal::of(200, body) {
        return format!("refused: {:?}", refusal.class);
    }
    let told = |error: DecodeError| format!("refused: {error}");
    if name.contains("infobyblocknum") {
        return match answer.as_array() {
            // Their block is not there: at least each is read.
            Some(infos) => {
                let each = |info: &Value| decode::info(info.to_string().as_bytes()).is_ok();
                format!("{} infos", infos.iter().filter(|info| each(info)).count())
            }
            None => "not infos".to_owned(),
        };
    }
    if name.contains("triggerconstantcontract") {
        return verify::called(body, "it").map_or_else(
            |refusal| refusal.why,
            |found| format!("{} bytes", found.unwrap_or_default().len()),
        );
    }
    if let Some(list) = answer.get("block").and_then(Value::as_array) {
        let found = decode::blocks(body);
        return found
            .map_or_else(told, |found| format!("{} of {} blocks", found.len(), list.len()));
    }
    if answer.get("block_header").is_some() {
        if answer.get("transactions").is_none() {
            let head = decode::head(body).map(|head| format!("header {}", head.unwrap().id.height));
            return head.unwrap_or_else(told);
        }
        let whole =
            decode::block(body).map(|block| format!("block {}", block.unwrap().header.id.height));
        return whole.unwrap_or_else(told);
    }
    if answer.get("receipt").is_some() {
        return decode::info(body)
            .map_or_else(told, |found| format!("info at {}", found.unwrap().1));
    }
    if answer.get("data").is_some() {
        return index::hinted(body, Address([0; 20]), Address([0; 20]))
            .map_or_else(told, |_| format!("{} rows", answer["data"].as_array().unwrap().len()));
    }
    "something else".to_owned()
}

#[test]
fn recorded_answers_of_full_nodes_decode_or_are_refused() {
    let Some(folder) = folder() else { return };
    let tron = folder.join("tron");
    let mut replayed = 0;
    let mut seen = String::new();
    for part in ["getblock-2021", "nile", "docs-examples", "amlcheck", "misc", "trongrid"] {
        for (name, answer) in all(&tron.join(part)) {
            // The EVM interface of a TRON node is not spoken here.
            if name.starts_with("eth_") || name.starts_with("net_") || name == "MANIFEST" {
                continue;
            }
            let body = answer.get("response").unwrap_or(&answer);
            seen.push_str(&format!("{part}/{name}: {}\n", made_of(&name, body)));
            replayed += 1;
        }
    }
    println!("{seen}");
    say(&format!("replayed {replayed} recorded answers of TRON nodes"));
    for expected in [
        "getblock-2021/wallet_getblockbynum: block 30864544",
        "getblock-2021/wallet_getblockbyid: block 30864544",
        "getblock-2021/wallet_getnowblock: block 47964392",
        "getblock-2021/wallet_getblockbylimitnext: 1 of 1 blocks",
        "getblock-2021/wallet_gettransactioninfobyblocknum: 2 infos",
        "getblock-2021/wallet_gettransactioninfobyid: info at 30864600",
        "getblock-2021/walletsolidity_getblockbynum: refused: Unsupported",
        "nile/getnowblock: block 69984909",
        "nile/gettransactioninfobyid_deposit: info at 69984724",
        "nile/triggerconstantcontract_decimals_mainnet: 32 bytes",
        "docs-examples/nile_getblock_66987565_header: header 66987565",
        "docs-examples/nile_gettransactioninfobyblocknum_66987565: 2 infos",
        "docs-examples/privatechain_txinfo_REVERT: info at 2076",
        "amlcheck/walletsolidity_getnowblock_header_only: header 86726601",
        "amlcheck/trc20_transfers_empty: 0 rows",
        "amlcheck/trc20_two_in_one_tx_sender_view: 2 rows",
        "trongrid/accounts_transactions_EMPTY_with_fingerprint_2020: 0 rows",
        "trongrid/accounts_trc20_page20_TM1zz_2020: 20 rows",
    ] {
        assert!(seen.contains(expected), "{expected}\n{seen}");
    }
}

#[test]
fn recorded_transactions_of_mainnet_and_nile_are_read_by_their_logs() {
    let Some(folder) = folder() else { return };
    let tron = folder.join("tron");
    // Each with its contractResult all zero: USDT on TRON does not say that it succeeded.
    for (path, token, raw) in [
        (
            "getblock-2021/wallet_gettransactioninfobyid",
            "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
            532_079_999u64,
        ),
        ("nile/gettransactioninfobyid_deposit", "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf", 5_000_000),
        ("nile/gettransactioninfobyid_withdrawal", "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf", 1_000_000),
    ] {
        let info = read(&tron.join(path).with_extension("json"))["response"].take();
        let header = Header {
            id: decode::block_id(info["blockNumber"].as_u64().unwrap(), [7; 32]),
            parent: BlockHash([6; 32]),
            time: Time(info["blockTimeStamp"].as_i64().unwrap()),
        };
        let tx = TxHash::parse(info["id"].as_str().unwrap()).unwrap();
        let outcome = decode::Outcome { tx, succeeded: true };
        let block = decode::Block { header, transactions: vec![outcome] };
        let token = Address::parse(token).unwrap();
        let infos = Value::Array(vec![info]).to_string();
        let rows =
            decode::infos(infos.as_bytes(), Asked { token, others: false }, &block, 0).unwrap();
        assert_eq!(rows.len(), 1, "{path}");
        assert_eq!(rows[0].raw, ruint::aliases::U256::from(raw), "{path}");
    }
}

#[test]
fn recorded_pages_give_each_transaction_once() {
    let Some(folder) = folder() else { return };
    let usdt = Address::parse("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t").unwrap();
    let mut replayed = 0;
    for (path, account, count) in [
        // Its publisher changed the address, so that the checksum does not fit any more.
        ("trongrid/accounts_trc20_page20_TM1zz_2020", "TM1zzNDZD2DPASbKcgdVoTYhfmYgtfwx9R", 0),
        // One of these is listed twice, once as unconfirmed.
        ("trongrid/accounts_trc20_page20_TM1zz_2020", "TXJTFuXzfoPbWKCnw47AYxMzgVPUyhJGRd", 1),
        ("amlcheck/trc20_two_in_one_tx_sender_view", "TBTrPYEiB1GafBdWygFBa1gBB7DNZGRhqp", 1),
        ("amlcheck/trc20_two_in_one_tx_sender_view", "TZ53RkfpZKtGJpbrb16YjycT3i8t7HNp11", 0),
        ("amlcheck/trc20_transfers_empty", "TZ53RkfpZKtGJpbrb16YjycT3i8t7HNp11", 0),
        (
            "trongrid/accounts_transactions_EMPTY_with_fingerprint_2020",
            "TZ53RkfpZKtGJpbrb16YjycT3i8t7HNp11",
            0,
        ),
    ] {
        let page = read(&folder.join("tron").join(path).with_extension("json")).to_string();
        let account = Address::parse(account).unwrap();
        let found = index::hinted(page.as_bytes(), usdt, account).unwrap();
        assert_eq!(found.len(), count, "{path}");
        replayed += 1;
    }
    say(&format!("replayed {replayed} recorded pages of TronGrid"));
}

#[test]
fn recorded_error_bodies_have_a_class() {
    let Some(folder) = folder() else { return };
    let bodies = read(&folder.join("errors/tron_error_bodies.json"));
    let mut replayed = 0;
    for case in bodies.as_array().unwrap() {
        let (name, body) = (case["case"].as_str().unwrap(), &case["body"]);
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let status =
            case["http_status"].as_u64().map_or(429, |status| u16::try_from(status).unwrap());
        let class = refusal::of(status, text.as_bytes()).map(|refusal| refusal.class);
        replayed += 1;
        if name.starts_with("TronGrid limit") {
            assert_eq!(class, Some(Class::Caller), "{name}");
        } else if name.starts_with("TronGrid") {
            assert!(matches!(class, Some(Class::Rate { after: Some(_) })), "{name}: {class:?}");
        } else if name.contains("servlet limiter") {
            assert_eq!(class, Some(Class::Rate { after: None }), "{name}");
        } else if name.contains("jsonrpc") {
            assert!(class.is_some(), "{name}");
        } else {
            // `{}` and `[]` are answers: that something is not there.
            assert_eq!(class, None, "{name}");
        }
    }
    for name in ["rate_limited_429_no_key", "rate_limited_429_with_key"] {
        let answer = read(&folder.join("tron/amlcheck").join(name).with_extension("json"));
        let class = refusal::of(429, answer["body"].as_str().unwrap().as_bytes()).unwrap().class;
        assert!(matches!(class, Class::Rate { after: Some(_) }), "{name}");
        replayed += 1;
    }
    say(&format!("replayed {replayed} recorded error bodies of TRON nodes"));
}

#[test]
fn a_hundred_consecutive_headers_of_mainnet_hash_to_their_ids() {
    let Some(folder) = folder() else { return };
    let run = read(&folder.join("tron/untron/tron_78000000_78000099.json"));
    let list = |name: &str| run[name].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().trim_start_matches("0x").to_owned();
    let (ids, raws) = (list("blockIds"), list("blockHeaderRawBytes"));
    let mut parent = text(&run["startingBlockId"]);
    for (id, raw) in ids.iter().zip(&raws) {
        let json = header_json(&text(id), &text(raw));
        let header = decode::head(json.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(header.id.hash.bare(), text(id));
        assert_eq!(header.parent.bare(), parent);
        parent = text(id);
    }
    say(&format!("replayed {} headers of TRON's mainnet", ids.len()));
}

/// A header as a node writes it, from its bytes.
fn header_json(id: &str, raw: &str) -> Value {
    let mut bytes = Vec::new();
    assert!(crate::hex::decode(raw, &mut bytes));
    let mut at = bytes.into_iter();
    let mut fields = serde_json::Map::new();
    fn varint(at: &mut impl Iterator<Item = u8>) -> u64 {
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            let byte = at.next().unwrap();
            value |= u64::from(byte & 0x7f) << shift;
            shift = 7u32.saturating_add(shift);
            if byte < 0x80 {
                return value;
            }
        }
    }
    while let Some(tag) = at.next() {
        let name = match tag >> 3 {
            1 => "timestamp",
            2 => "txTrieRoot",
            3 => "parentHash",
            7 => "number",
            9 => "witness_address",
            10 => "version",
            other => panic!("field {other}"),
        };
        let number = varint(&mut at);
        let value = if tag & 7 == 0 {
            Value::from(number)
        } else {
            let bytes: Vec<u8> = at.by_ref().take(usize::try_from(number).unwrap()).collect();
            Value::from(payments::address::lower_hex(&bytes))
        };
        fields.insert(name.to_owned(), value);
    }
    serde_json::json!({"blockID": id, "block_header": {"raw_data": fields}})
}

#[test]
fn every_error_of_a_real_node_has_a_class() {
    let errors = fixture::json("errors");
    let class = |name: &str| {
        let error = &errors[name];
        let (status, body) = match error.as_array().map(Vec::as_slice) {
            Some([status, _, body]) => (
                u16::try_from(status.as_u64().unwrap()).unwrap(),
                body.as_str().unwrap().to_owned(),
            ),
            _ => (200, error.to_string()),
        };
        refusal::of(status, body.as_bytes()).map(|refusal| refusal.class)
    };
    for name in ["info_unknown", "tx_unknown", "block_future", "infoblock_future"] {
        assert_eq!(class(name), None, "{name}");
    }
    for name in ["block_bad", "info_badhex", "badjson"] {
        assert_eq!(class(name), Some(Class::Caller), "{name}");
    }
    assert_eq!(class("nosuch"), Some(Class::Unsupported));
}

/// A network cut in two: on the small half a payment with SUCCESS and blocks on top. Healed, the
/// node has the other half's blocks and the payment is gone.
#[test]
fn a_recorded_fork_switch_takes_a_payment_back() {
    let reorg = fixture::json("reorg");
    let (before, after) = (&reorg["B_blocks"], &reorg["B_after"]["blocks"]);
    fork_switch(86, before, after, &reorg["B_before"]["info"], &reorg["B_after"]["info"], 6);
    assert_eq!(reorg["B_before"]["solid"], 86);
    let live = fixture::json("reorg_live");
    fork_switch(
        28,
        &live["B_before"],
        &live["B_after"],
        &live["info_before"],
        &live["info_after"],
        9,
    );
    assert!(live["B_solid_during"].as_u64().unwrap() < 28);
}

fn fork_switch(fork: u64, before: &Value, after: &Value, paid: &Value, gone: &Value, lost: usize) {
    let headers = |ids: &Value| {
        let ids = ids.as_object().unwrap();
        let parsed = ids.iter().map(|(height, id)| {
            let hash = BlockHash::parse(id.as_str().unwrap()).unwrap();
            BlockId { height: height.parse().unwrap(), hash }
        });
        let ids: Vec<BlockId> = parsed.collect();
        let header = |pair: &[BlockId]| Header {
            id: pair[1],
            parent: pair[0].hash,
            time: Time(i64::try_from(pair[1].height.saturating_mul(3_000)).unwrap()),
        };
        // An id begins with its height.
        assert!(ids.iter().all(|id| id.hash.0.starts_with(&id.height.to_be_bytes())));
        (ids[0], ids.windows(2).map(header).collect::<Vec<_>>())
    };
    let ((base, ours), (same, theirs)) = (headers(before), headers(after));
    assert_eq!((base, base.height), (same, fork));
    let (tx, height) = decode::info(paid.to_string().as_bytes()).unwrap().unwrap();
    assert!(tx.0 != [0; 32] && height > fork);
    assert_eq!(decode::info(gone.to_string().as_bytes()), Ok(None));
    let below = Header { id: base, parent: BlockHash([0; 32]), time: Time(0) };
    let mut cursor = Cursor::new(ChainName::new("tron").unwrap());
    cursor.kept = std::iter::once(below).chain(ours).collect();
    cursor.finalized = Some(base);
    let scan = Scan {
        chain: cursor.chain.clone(),
        base: Some(base),
        tip: theirs.last().unwrap().id.height,
        blocks: theirs.clone(),
        transfers: Vec::new(),
        notices: Vec::new(),
        finalized: Some(base),
        safe: None,
    };
    let connection = connect(&cursor, &scan, 19).unwrap();
    assert_eq!((connection.orphaned.len(), connection.added), (lost, theirs));
    assert!(connection.orphaned.iter().any(|header| header.id.height == height));
}
