//! What a body of logs may not be.

use payments::chain::BlockId;
use payments::notice::{TOPICS, What};
use payments::time::Time;
use serde_json::{Value, json};

use super::*;

const TOKEN: [u8; 20] = [0xda; 20];

fn token() -> Token {
    Token::new(Address(TOKEN))
}

fn block(height: u64) -> Block {
    let id = BlockId { height, hash: BlockHash([u8::try_from(height).unwrap(); 32]) };
    let parent = BlockHash([u8::try_from(height).unwrap() ^ 0xff; 32]);
    let header = Header { id, parent, time: Time(0) };
    Block { header, receipts_root: [0; 32], bloom: BloomSays::Nothing }
}

fn account(n: u8) -> String {
    format!("0x{}{}", "0".repeat(24), format!("{n:02x}").repeat(20))
}

/// A log of block `height`, transaction `tx` at place `tx`, log `index`, from 1 to 2.
fn log(height: u64, tx: u8, index: u64) -> Value {
    json!({
        "address": format!("0x{}", "da".repeat(20)),
        "topics": [TRANSFER_TEXT, account(1), account(2)],
        "data": format!("0x{:064x}", 5),
        "blockNumber": format!("{height:#x}"),
        "blockHash": block(height).header.id.hash.to_string(),
        "blockTimestamp": "0x1",
        "transactionHash": format!("0x{}", format!("{tx:02x}").repeat(32)),
        "transactionIndex": format!("{tx:#x}"),
        "logIndex": format!("{index:#x}"),
        "removed": false,
    })
}

fn read(body: &str) -> Result<(Vec<u32>, Vec<Row>), DecodeError> {
    let mut rows = Vec::new();
    let blocks = [block(7), block(8), block(9)];
    let counts = logs(body.as_bytes(), &token(), &blocks, |log| {
        rows.push(log.row()?);
        Ok(())
    })?;
    Ok((counts, rows))
}

fn answer(logs: &[Value]) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "result": logs}).to_string()
}

#[test]
fn places_are_counted_inside_each_transaction() {
    let all = [log(7, 1, 0), log(7, 1, 3), log(7, 4, 4), log(9, 1, 0), log(9, 2, 1), log(9, 2, 2)];
    let (counts, rows) = read(&answer(&all)).unwrap();
    assert_eq!(counts, [3, 0, 3]);
    assert_eq!(rows.iter().map(|row| row.n).collect::<Vec<_>>(), [0, 1, 0, 0, 0, 1]);
    assert_eq!(rows.iter().map(|row| row.at).collect::<Vec<_>>(), [0, 0, 0, 2, 2, 2]);
    let transfer = rows[1].transfer(&block(7).header, Address(TOKEN)).unwrap();
    assert_eq!((transfer.from, transfer.to), (Address([1; 20]), Address([2; 20])));
    assert_eq!((transfer.log_index, transfer.raw.to_string().as_str()), (3, "5"));
    assert_eq!(read(&Value::from(all.to_vec()).to_string()).unwrap(), (counts, rows));
}

#[test]
fn either_end_matches() {
    let blocks = [block(7)];
    let body = answer(&[log(7, 1, 0)]);
    for (address, found) in [(1, 1), (2, 1), (3, 0)] {
        let watch = WatchSet::new(vec![[address; 20]]);
        let transfers = matching(body.as_bytes(), &token(), &blocks, &watch).unwrap();
        assert_eq!(transfers.len(), found);
    }
}

#[test]
fn what_cannot_be_true_is_a_lie() {
    let with = |member: &str, value: Value| {
        let mut changed = log(8, 2, 5);
        changed[member] = value;
        answer(&[log(8, 1, 4), changed])
    };
    let hash = |n: u8| Value::from(format!("0x{}", format!("{n:02x}").repeat(32)));
    for (body, why) in [
        (with("address", json!(format!("0x{}", "db".repeat(20)))), "another contract"),
        (with("topics", json!([hash(1), account(1), account(2)])), "another event"),
        (with("topics", json!([TRANSFER_TEXT, hash(1), account(2)])), "two accounts"),
        (with("removed", json!(true)), "was removed"),
        (with("blockNumber", json!("0xa")), "outside the blocks"),
        (with("blockNumber", json!("0x6")), "outside the blocks"),
        (with("blockNumber", json!("0x7")), "another block at that height"),
        (with("blockHash", hash(9)), "another block at that height"),
        (with("logIndex", json!("0x4")), "comes twice"),
        (with("logIndex", json!("0x3")), "out of order"),
        (with("logIndex", json!("five")), "a number that is none"),
        (with("transactionIndex", json!("0x1")), "transaction out of order"),
        (with("transactionHash", hash(1)), "two places"),
        (with("transactionHash", json!("0x01")), "has no hash"),
        (with("data", json!("0x")), "one value"),
        (with("data", json!(format!("0x{}", "z".repeat(64)))), "value is not hex"),
        (answer(&[log(8, 1, 1), log(7, 1, 2)]), "after a later block"),
        (
            answer(&[log(8, 1, 1), log(8, 2, 2), {
                let mut again = log(8, 3, 3);
                again["transactionHash"] = hash(1);
                again
            }]),
            "transaction out of order",
        ),
    ] {
        let error = read(&body).unwrap_err();
        let DecodeError::Lie(said) = &error else { panic!("{error:?} for {why}") };
        assert!(said.contains(why), "{said} for {why}");
    }
}

#[test]
fn a_bloom_without_it_refutes_a_log() {
    let mut refuted = block(7);
    refuted.bloom = BloomSays::None;
    let body = answer(&[log(7, 1, 0)]);
    let error = logs(body.as_bytes(), &token(), &[refuted], |_| Ok(())).unwrap_err();
    assert!(matches!(error, DecodeError::Lie(why) if why.contains("bloom")));
}

/// The issuer may have spoken in a block that has no Transfer: one that comes behind its word is as
/// false as one that comes first.
#[test]
fn a_bloom_with_the_issuer_s_word_alone_refutes_a_transfer_behind_it() {
    let others = [Block { bloom: BloomSays::Others(Bloom::repeat_byte(0xff)), ..block(7) }];
    let paused = |topic: &&[u8; 32]| What::read(topic, &[]) == Some(What::Paused);
    let paused = TOPICS.iter().find(paused).unwrap();
    let mut word = log(7, 1, 0);
    word["topics"] = json!([BlockHash(*paused).to_string()]);
    word["data"] = json!("0x");
    let none = |_: &Log<'_>| Ok(());
    let alone = answer(std::slice::from_ref(&word));
    assert_eq!(logs(alone.as_bytes(), &token(), &others, none), Ok(vec![0]));
    for transfer in [log(7, 1, 1), log(7, 2, 1)] {
        let body = answer(&[word.clone(), transfer]);
        let error = logs(body.as_bytes(), &token(), &others, none).unwrap_err();
        assert!(matches!(&error, DecodeError::Lie(why) if why.contains("bloom")), "{error:?}");
    }
}

#[test]
fn garbled_bodies_and_refusals_are_told_apart() {
    let whole = answer(&[log(7, 1, 0), log(7, 2, 1)]);
    for end in [0, 1, 20, 60, whole.len() / 2, whole.len() - 1] {
        let cut = &whole[..end];
        assert!(matches!(read(cut), Err(DecodeError::Garbled(_))), "{cut}");
    }
    let mut four = log(7, 1, 0);
    four["topics"] = json!([TRANSFER_TEXT, account(1), account(2), account(3)]);
    let mut two = log(7, 1, 0);
    two["topics"] = json!([TRANSFER_TEXT, account(1)]);
    for body in [answer(&[four]), answer(&[two])] {
        let read = read(&body);
        assert!(matches!(read, Err(DecodeError::Lie(_))), "{body}: {read:?}");
    }
    for body in [
        json!({"jsonrpc": "2.0", "id": 1}).to_string(),
        json!({"result": null}).to_string(),
        json!({"result": "0x"}).to_string(),
        "<html>busy</html>".to_owned(),
        format!("{whole}{whole}"),
        format!("{whole} x"),
    ] {
        let read = read(&body);
        assert!(matches!(read, Err(DecodeError::Garbled(_))), "{body}: {read:?}");
    }
    let refused = json!({"id": 1, "error": {"code": -32005, "message": "limit exceeded"}});
    let Err(DecodeError::Refused(error)) = read(&refused.to_string()) else { panic!() };
    assert!(error.contains("limit exceeded"));
    let empty = json!({"error": null, "result": []}).to_string();
    assert_eq!(read(&empty).unwrap().0, [0, 0, 0]);
}

#[test]
fn other_contracts_are_counted_apart_where_they_are_asked_for() {
    let by = |contract: &str, log: Value| {
        let mut log = log;
        log["address"] = json!(format!("0x{}", contract.repeat(20)));
        log
    };
    let mut nft = by("fa", log(7, 1, 2));
    nft["topics"] = json!([TRANSFER_TEXT, account(1), account(2), account(3)]);
    nft["data"] = json!("0x");
    let mut dirty = by("fa", log(7, 1, 3));
    dirty["topics"] = json!([TRANSFER_TEXT, account(1), format!("0x{}", "11".repeat(32))]);
    let all = [
        log(7, 1, 0),
        by("fa", log(7, 1, 1)),
        nft,
        dirty,
        by("fA", log(7, 1, 4)),
        by("fb", log(7, 1, 5)),
        log(7, 1, 6),
        by("fa", log(7, 2, 7)),
    ];
    let asked = token().with_others(true);
    let mut rows = Vec::new();
    let blocks = [block(7)];
    let counts = logs(answer(&all).as_bytes(), &asked, &blocks, |log| {
        rows.push((log.other.map(|contract| contract.0[0]), log.n, log.log_index));
        Ok(())
    });
    assert_eq!(counts.unwrap(), [2]);
    let (fa, fb) = (Some(0xfa), Some(0xfb));
    assert_eq!(rows, [(None, 0, 0), (fa, 0, 1), (fa, 1, 4), (fb, 0, 5), (None, 1, 6), (fa, 0, 7)]);
    // Whatever their contract, logs come in order, and the token's are as the bloom has them.
    let swapped = answer(&[by("fa", log(7, 1, 1)), log(7, 1, 0)]);
    let none = |_: &Log<'_>| Ok(());
    assert!(logs(swapped.as_bytes(), &asked, &blocks, none).is_err());
    let others = [Block { bloom: BloomSays::Others(Bloom::default()), ..block(7) }];
    let of_token = answer(&[log(7, 1, 0)]);
    assert!(logs(of_token.as_bytes(), &asked, &others, none).is_err());
    let of_other = answer(&[by("fa", log(7, 1, 0))]);
    assert_eq!(logs(of_other.as_bytes(), &asked, &others, none), Ok(vec![0]));
}
