//! The loopback TRON node, read by two libraries that know nothing of it.
//!
//! In: a scripted chain behind a plain node and behind TronGrid. Out: what tronweb and tronpy, as
//! their authors ship them, say of it. Never: a skipped client; one that is missing fails.
//! Why: a node that only our own client can read proves nothing about our client.

mod chain;
mod clients;
mod keys;

use std::collections::BTreeMap;

use lab::tron::{Node, base58};
use serde_json::{Value, json};

use self::chain::{ANN, BOB, scripted};
use self::clients::{tronpy, tronweb};

/// What both are asked, of one chain.
struct Asked {
    plain: Node,
    grid: Node,
    request: Value,
}

async fn asked() -> Asked {
    let chain = scripted();
    let plain = Node::start(chain.clone()).await.expect("two ports");
    let grid = Node::start_grid(chain.clone()).await.expect("a port");
    let heights: Vec<u64> = (0..=chain.tip().height).collect();
    let ids: Vec<String> = heights
        .iter()
        .skip(1)
        .flat_map(|height| chain.transactions(*height))
        .map(alloy::hex::encode)
        .collect();
    let request = json!({
        "blocks": heights,
        "ids": ids,
        "token": base58(chain.spec().token.address),
        "accounts": [base58(ANN), base58(BOB)],
        "twenty": chain::twenty(),
    });
    Asked { plain, grid, request }
}

impl Asked {
    /// The request with the places to ask.
    fn at(&self, full: &str, solidity: &str) -> Value {
        let mut request = self.request.clone();
        request["full"] = json!(full);
        request["solidity"] = json!(solidity);
        request["events"] = json!(self.grid.url());
        request
    }
}

/// What a client said against what the script says.
fn agrees(asked: &Asked, said: &Value) {
    let chain = asked.plain.chain();
    for height in 0..=chain.tip().height {
        let block = chain.block(height).expect("on the chain");
        let shown = &said["blocks"][height.to_string()];
        assert_eq!(shown["id"], alloy::hex::encode(block.hash), "{height}");
        assert_eq!(shown["time"], chain.time(height).expect("on the chain"));
        let ids: Vec<_> = chain.transactions(height).iter().map(alloy::hex::encode).collect();
        assert_eq!(shown["ids"], json!(ids), "{height}");
        if let Some(parent) = height.checked_sub(1) {
            let parent = chain.block(parent).expect("on the chain");
            assert_eq!(shown["parent"], alloy::hex::encode(parent.hash));
        }
    }
    for (id, expected) in chain::expected(&chain) {
        let shown = &said["infos"][&id];
        assert_eq!(*shown, expected.info, "{id}");
        let transaction = &said["transactions"][&id];
        assert_eq!(transaction["id"], id);
        assert_eq!(transaction["owner"], expected.owner);
        assert_eq!(transaction["result"], expected.result);
        assert_eq!(said["final"][&id], expected.is_final);
    }
    assert_eq!(said["tip"], chain.tip().height);
    assert_eq!(said["solid"], chain.solid().height);
    let token = chain.spec().token;
    let named = json!({ "name": token.name, "symbol": token.symbol, "decimals": token.decimals });
    assert_eq!(said["token"], named);
    for account in [ANN, BOB] {
        let balance = chain.balance(account, chain.tip().height).to_string();
        assert_eq!(said["balances"][base58(account)], balance);
    }
    addresses_agree(said);
}

/// A client's spelling of addresses against the shipped codec's, and the node's own.
fn addresses_agree(said: &Value) {
    let shown: BTreeMap<String, String> =
        serde_json::from_value(said["addresses"].clone()).expect("text by text");
    assert_eq!(shown.len(), chain::twenty().len());
    for (twenty, spelt) in shown {
        let ours = payments::address::Address::parse(&format!("0x{twenty}")).expect("20 bytes");
        assert_eq!(ours.tron(), spelt);
        let read = payments::address::Address::parse(&spelt).expect("a T-address");
        assert_eq!(read, ours);
        assert_eq!(base58(lab::tron::parse(&twenty).expect("20 bytes")), spelt);
    }
}

#[tokio::test]
async fn tronweb_reads_a_plain_node_as_a_real_one() {
    let asked = asked().await;
    let said = tronweb(&asked.at(&asked.plain.url(), &asked.plain.solidity_url())).await;
    agrees(&asked, &said);
    // TronGrid's events, newest first.
    let events = said["events"].as_array().expect("a list");
    let told: Vec<_> = events.iter().map(|event| &event["value"]).collect();
    assert_eq!(told, ["7", "3", "2", "1", "0", "5000000", "25000000"]);
    let whole = said["transactions"].as_object().expect("by id").values();
    assert!(whole.clone().all(|transaction| transaction["whole"] == true), "{whole:?}");
}

#[tokio::test]
async fn tronweb_and_tronpy_read_trongrid_as_a_real_one() {
    let asked = asked().await;
    let request = asked.at(&asked.grid.url(), &asked.grid.url());
    agrees(&asked, &tronweb(&request).await);
    agrees(&asked, &tronpy(&request).await);
}
