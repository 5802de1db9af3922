//! The script: hashes, finality, fork switches, restarts, balances.

use alloy::primitives::U256;

use super::*;
use crate::tron::raw::merkle_root;
use crate::tron::{Genesis, LogSpec, base58};

/// What a client can check of a served block, it checks; the parent comes back.
fn verified(block: &Value) -> String {
    let raw = &block["block_header"]["raw_data"];
    let id = unhex(&block["blockID"]);
    assert_eq!(id[..8], raw["number"].as_u64().unwrap().to_be_bytes());
    for tx in block["transactions"].as_array().into_iter().flatten() {
        assert_eq!(hex::encode(sha256(&unhex(&tx["raw_data_hex"]))), tx["txID"]);
    }
    raw["parentHash"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn served_blocks_verify_and_follow_one_another() {
    let node = node(5).await;
    node.chain().mine(vec![paid(6), Tx::trx(ANN, BOB, 1), paid(7)]);
    let mut parent = full(&node, "getblockbynum", json!({ "num": 0 })).await["blockID"].clone();
    assert_eq!(parent, "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc");
    for number in 1..=6 {
        let block = full(&node, "getblockbynum", json!({ "num": number })).await;
        assert_eq!(verified(&block), parent);
        parent = block["blockID"].clone();
    }
    let state = node.chain();
    let state = state.lock();
    let block = state.canonical(6).unwrap();
    let leaves = block.txs.iter().map(|tx| tx.leaf).collect();
    assert_eq!(merkle_root(leaves), block.header.tx_trie_root);
    assert_eq!(block.header.timestamp, 1_767_225_600_000 + 6 * 3_000);
}

#[test]
fn the_same_script_makes_the_same_chain_and_seeds_tell_chains_apart() {
    let tip = |spec: ChainSpec| {
        let chain = Chain::new(spec);
        chain.mine(vec![paid(1)]);
        chain.tip()
    };
    let spec = ChainSpec::tron();
    assert_eq!(tip(spec.clone()), tip(spec.clone()));
    assert_ne!(tip(spec.clone()), tip(ChainSpec { seed: 1, ..spec.clone() }));
    assert_ne!(tip(spec.clone()), tip(ChainSpec { genesis: Genesis::Own(1), ..spec }));
}

#[test]
fn nineteen_witnesses_make_a_block_final() {
    let chain = chain();
    chain.mine_empty(18);
    assert_eq!(chain.solid().height, 0);
    chain.mine_empty(1);
    assert_eq!(chain.solid().height, 1);
    chain.mine_empty(81);
    assert_eq!((chain.tip().height, chain.solid().height), (100, 82));
    // Eight of 27 fall silent: the others go on, and 19 of them are still enough.
    for _ in 0..3 {
        chain.miss(8);
        chain.mine_empty(19);
    }
    assert_eq!((chain.tip().height, chain.solid().height), (157, 139));
    // With nine silent only 18 build: nothing is final any more.
    let stuck = chain.solid().height;
    for _ in 0..5 {
        chain.miss(9);
        chain.mine_empty(18);
    }
    assert_eq!(chain.solid().height, stuck);
    let before = chain.time(158).unwrap();
    assert_eq!(before - chain.time(157).unwrap(), 30_000);
}

#[test]
fn finality_can_be_scripted() {
    let chain = chain();
    chain.mine_empty(40);
    chain.solidify(7);
    assert_eq!(chain.solid(), chain.block(7).unwrap());
    chain.solidity_lag(19);
    assert_eq!(chain.solid().height, 21);
    chain.solidity_by_rule();
    assert_eq!(chain.solid().height, 22);
}

#[tokio::test]
async fn a_payment_with_eight_confirmations_vanishes_in_a_fork_switch() {
    let chain = chain();
    chain.mine_empty(28);
    let node = Node::start(chain.clone()).await.unwrap();
    chain.mine(vec![paid(900)]);
    chain.mine_empty(8);
    let id = chain.transactions(29)[0];
    let before = chain.block(29).unwrap();
    let info = full(&node, "gettransactioninfobyid", of(id)).await;
    assert_eq!(info["receipt"]["result"], "SUCCESS");
    assert_eq!(solid(&node, "gettransactioninfobyid", of(id)).await, json!({}));
    let tip = chain.reorg(9, vec![Vec::new(); 10]);
    assert_eq!(tip.height, 38);
    assert_ne!(chain.block(29).unwrap().hash, before.hash);
    chain.mine_empty(40);
    for name in ["gettransactioninfobyid", "gettransactionbyid"] {
        assert_eq!(full(&node, name, of(id)).await, json!({}));
        assert_eq!(solid(&node, name, of(id)).await, json!({}));
    }
    assert_eq!(full(&node, "getblockbyid", of(before.hash)).await, json!({}));
    assert_eq!(chain.balance(BOB, 78), U256::ZERO);
}

#[test]
fn a_fork_that_has_the_payment_too_keeps_its_id() {
    let chain = chain();
    chain.mine_empty(3);
    let old = chain.mine(vec![paid(1)]);
    let id = chain.transactions(4)[0];
    chain.reorg(1, vec![Vec::new(), vec![Tx::trx(ANN, BOB, 1), paid(1)]]);
    assert_ne!(chain.block(4).unwrap(), old);
    assert_eq!(chain.transactions(5)[1], id);
    // An equal payment is another one.
    chain.mine(vec![paid(1)]);
    assert_ne!(chain.transactions(6)[0], id);
}

#[test]
fn a_restart_throws_away_what_is_not_final_and_can_find_it_again() {
    let chain = chain();
    chain.mine_empty(466);
    chain.mine(vec![paid(3)]);
    chain.solidify(447);
    let tip = chain.tip();
    assert_eq!(chain.restart().height, 448);
    assert_eq!(chain.transactions(467), [B256::ZERO; 0]);
    assert_eq!(chain.resume(), tip);
    assert_eq!(chain.transactions(467).len(), 1);
    chain.solidity_by_rule();
    assert_eq!(chain.solid().height, 449);
    chain.rewind(10);
    assert_eq!((chain.tip().height, chain.solid().height), (457, 449));
    // Mined again, it is another chain.
    chain.mine_empty(1);
    assert_eq!(chain.resume().height, 458);
}

#[tokio::test]
async fn balances_follow_the_logs_of_what_succeeded() {
    let chain = chain();
    let destroyed = LogSpec::DestroyedBlackFunds { account: BOB, value: U256::from(2) };
    chain.mine(vec![paid(10), paid(5).reverted(), paid(5).out_of_time()]);
    chain.mine(vec![Tx::transfer(BOB, FAKE, 3), Tx::transfer_of(FAKE, ANN, BOB, 50)]);
    chain.mine(vec![Tx::empty().and(destroyed)]);
    assert_eq!([1, 2, 3].map(|at| chain.balance(BOB, at)), [10, 7, 5].map(U256::from));
    let node = Node::start(chain.clone()).await.unwrap();
    let ask = |selector: &str, parameter: &str| {
        json!({
        "owner_address": base58(ANN), "contract_address": base58(chain.spec().token.address),
        "function_selector": selector, "parameter": parameter, "visible": true })
    };
    let word = hex::encode(BOB.into_word());
    let said = full(&node, "triggerconstantcontract", ask("balanceOf(address)", &word)).await;
    assert_eq!(said["constant_result"], json!([format!("{:064x}", 5)]));
    assert_eq!(said["result"], json!({ "result": true }));
    let raw = unhex(&said["transaction"]["raw_data_hex"]);
    assert_eq!(hex::encode(sha256(&raw)), said["transaction"]["txID"]);
    // Nothing is final yet.
    let said = solid(&node, "triggerconstantcontract", ask("balanceOf(address)", &word)).await;
    assert_eq!(said["constant_result"], json!([format!("{:064x}", 0)]));
    let said = full(&node, "triggerconstantcontract", ask("decimals()", "")).await;
    assert_eq!(said["constant_result"], json!([format!("{:064x}", 6)]));
    let said = full(&node, "triggerconstantcontract", ask("pause()", "")).await;
    assert_eq!(said["transaction"]["ret"], json!([{ "ret": "FAILED" }]));
    let stranger = json!({ "contract_address": base58(BOB), "function_selector": "decimals()",
        "visible": true });
    let said = full(&node, "triggerconstantcontract", stranger).await;
    assert_eq!(said["result"]["code"], "CONTRACT_VALIDATE_ERROR");
}

#[test]
fn the_net_comes_before_the_fee_and_a_dirty_word_leaves_a_clean_log() {
    let token = ChainSpec::tron().token.address;
    let logs = Tx::transfer_with_fee(ANN, BOB, 1000_u64, FAKE, 3_u64).logs(token);
    let told: Vec<_> = logs.iter().map(|log| (log.topics()[2], log.data.data[31])).collect();
    assert_eq!(told, [(BOB.into_word(), 229), (FAKE.into_word(), 3)]);
    let dirty = paid(1).with_dirty_word();
    let crate::tron::raw::Contract::Trigger { data, .. } =
        dirty.raw(0, 0, B256::ZERO, token).contract
    else {
        panic!("a call")
    };
    assert_eq!((data.len(), data[15], data[16]), (68, 0x41, 0xbb));
    assert_eq!(dirty.logs(token), paid(1).logs(token));
}
