//! Logs left out among others, and logs made up: what the bloom shows, and what only a proof does.

use erc20::{Error, Prove, Source};
use lab::evm::{Chain, Fault, Methods, Node};
use payments::chain::TxHash;
use payments::lookup::{Mined, Transaction};
use serde_json::{Value, json};

use super::rig::{Follower, Seen, account, at, chain, config, node, noise, pay, seen, traffic};

/// A follower that proves as told.
async fn follower(nodes: &[&Node], prove: Prove) -> Follower {
    let urls: Vec<String> = nodes.iter().map(|node| node.http_url()).collect();
    let mut config = config(&urls);
    config.prove = prove;
    Follower::with(config).await
}

/// Traffic, in the middle of it a payment among others in block 21; all of it, and that payment's
/// transaction.
fn among_others(chain: &Chain) -> (Vec<Seen>, alloy::primitives::B256) {
    let mut paid = traffic(chain, 20);
    chain.mine(vec![noise(1), pay(3, 5), noise(2)]);
    paid.push(seen(21, 3, 5));
    let tx = chain.transactions(21)[1];
    paid.extend(traffic(chain, 20));
    (paid, tx)
}

fn caught(follower: &Follower, endpoint: usize) -> u64 {
    follower.source.health()[endpoint].failed
}

#[tokio::test]
async fn a_log_left_out_among_others_is_in_the_bloom() {
    for finalized in [0, 41] {
        let chain = chain();
        let node = node(&chain).await;
        let (paid, tx) = among_others(&chain);
        chain.finalize(finalized);
        node.fault(Fault::OmitLog { tx });
        let mut follower = follower(&[&node], Prove::Suspicious).await;
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.seen(), paid);
        assert_eq!(caught(&follower, 0), 1);
        assert_eq!(node.requests().count("eth_getBlockReceipts"), 1);
        let again = follower.source.rescan(21, 21, &follower.watch).await.unwrap();
        assert_eq!(again.transfers.len(), 1);
    }
}

#[tokio::test]
async fn an_honest_answer_is_believed_without_a_proof() {
    for finalized in [0, 41] {
        let chain = chain();
        let node = node(&chain).await;
        let (paid, _) = among_others(&chain);
        chain.finalize(finalized);
        let mut follower = follower(&[&node], Prove::Suspicious).await;
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid);
        assert_eq!(node.requests().count("eth_getBlockReceipts"), 0);
    }
}

#[tokio::test]
async fn among_many_addresses_only_a_proof_of_every_block_finds_it() {
    for finalized in [0, 41] {
        let chain = chain();
        let node = node(&chain).await;
        let (paid, tx) = among_others(&chain);
        chain.finalize(finalized);
        node.fault(Fault::OmitLog { tx });
        let mut trusting = follower(&[&node], Prove::Suspicious).await;
        trusting.crowd();
        trusting.catch_up().await;
        assert_eq!(trusting.seen().len(), paid.len() - 1, "nothing binds the answer");
        let proved = trusting.source.prove(21, &trusting.watch).await.unwrap();
        assert_eq!(proved.transfers.len(), 1);

        node.forget_requests();
        let mut sure = follower(&[&node], Prove::Always).await;
        sure.crowd();
        sure.catch_up().await;
        sure.assert_at_tip(&chain);
        assert_eq!(sure.seen(), paid);
        assert_eq!(node.requests().count("eth_getLogs"), 0);
        assert_eq!(node.requests().count("eth_getBlockReceipts"), 41);
    }
}

#[tokio::test]
async fn receipts_that_leave_out_the_log_as_well_are_asked_elsewhere() {
    for prove in [Prove::Suspicious, Prove::Payments, Prove::Always] {
        for finalized in [0, 41] {
            let chain = chain();
            let (liar, honest) = (node(&chain).await, node(&chain).await);
            let (paid, tx) = among_others(&chain);
            chain.finalize(finalized);
            liar.fault(Fault::OmitLog { tx });
            liar.fault(Fault::OmitReceiptLogs { tx });
            let mut follower = follower(&[&liar, &honest], prove).await;
            follower.catch_up().await;
            follower.assert_at_tip(&chain);
            assert_eq!(follower.seen(), paid, "{prove:?}");
            assert!(caught(&follower, 0) > 0 && caught(&follower, 1) == 0);
        }
    }
}

#[tokio::test]
async fn a_doubted_block_that_nobody_proves_is_waited_for() {
    for prove in [Prove::Suspicious, Prove::Payments, Prove::Always] {
        for finalized in [0, 41] {
            let chain = chain();
            let (one, other) = (node(&chain).await, node(&chain).await);
            let (paid, tx) = among_others(&chain);
            chain.finalize(finalized);
            for node in [&one, &other] {
                node.fault(Fault::OmitLog { tx });
                node.fault(Fault::OmitReceiptLogs { tx });
            }
            let mut follower = follower(&[&one, &other], prove).await;
            let mut unread = 0;
            for _ in 0..4 {
                match follower.step().await {
                    Ok(_) => assert!(follower.height() < 21),
                    Err(Error::Unread { height, why }) => {
                        unread += 1;
                        assert!(why.contains("nobody proves its receipts: first:"), "{why}");
                        assert_eq!(height, 21);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(unread >= 2, "{prove:?}");
            other.heal();
            follower.catch_up().await;
            follower.assert_at_tip(&chain);
            assert_eq!(follower.seen(), paid, "{prove:?}");
        }
    }
}

#[tokio::test]
async fn every_block_is_proved_where_receipts_only_come_singly() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 12);
    chain.finalize(6);
    node.fault(Fault::NoReceipts);
    let mut follower = follower(&[&node], Prove::Always).await;
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn without_header_hashes_a_proof_is_none_and_is_refused() {
    let chain = chain();
    let node = node(&chain).await;
    for prove in [Prove::Payments, Prove::Always] {
        let mut config = config(&[node.http_url()]);
        config.prove = prove;
        config.check_header_hash = false;
        let error = Source::connect(config).await.err().unwrap();
        assert!(matches!(error, Error::GaveUp { .. }), "{error}");
    }
}

/// A log of block `height` as a node writes it.
fn log(chain: &Chain, height: u64, place: u64, to: u8, value: u64) -> Value {
    let word = |n: u8| format!("0x{}{}", "0".repeat(24), format!("{n:02x}").repeat(20));
    json!({
        "address": chain.spec().token.address.to_string(),
        "topics": [
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
            word(200),
            word(to),
        ],
        "data": format!("0x{value:064x}"),
        "blockNumber": format!("{height:#x}"),
        "blockHash": at(chain, height).hash.to_string(),
        "transactionHash": chain.transactions(height)[usize::try_from(place).unwrap()].to_string(),
        "transactionIndex": format!("{place:#x}"),
        "logIndex": format!("{place:#x}"),
        "removed": false,
    })
}

/// The next answer of logs is these.
fn says(node: &Node, logs: &[Value]) {
    let logs = serde_json::to_string(logs).unwrap();
    node.fault(Fault::Error {
        methods: Methods::only(&["eth_getLogs"]),
        http_status: 200,
        body: format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{logs}}}"#),
        times: Some(1),
    });
}

#[tokio::test]
async fn a_payment_that_the_bloom_does_not_know_is_not_believed() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    follower.crowd();
    follower.catch_up().await;
    chain.mine(vec![noise(1), noise(2)]);
    says(&node, &[log(&chain, 1, 0, 201, 7), log(&chain, 1, 1, 4, 1_000_000)]);
    follower.catch_up().await;
    assert_eq!(follower.seen(), []);
    assert_eq!(caught(&follower, 0), 1);
}

#[tokio::test]
async fn a_payment_that_was_made_larger_is_only_found_where_payments_are_proved() {
    for (prove, value) in [(Prove::Suspicious, 5_000), (Prove::Payments, 5), (Prove::Always, 5)] {
        let chain = chain();
        let node = node(&chain).await;
        let mut follower = follower(&[&node], prove).await;
        follower.catch_up().await;
        chain.mine(vec![noise(1), pay(4, 5)]);
        says(&node, &[log(&chain, 1, 0, 201, 7), log(&chain, 1, 1, 4, 5_000)]);
        follower.catch_up().await;
        assert_eq!(follower.seen(), [seen(1, 4, value)], "{prove:?}");
        assert_eq!(caught(&follower, 0), u64::from(prove == Prove::Payments));
    }
}

#[tokio::test]
async fn an_answer_cut_short_in_silence_is_found_in_the_block_it_was_cut_in() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine(vec![noise(1), noise(2)]);
    chain.mine(vec![noise(3), pay(4, 5)]);
    chain.mine(vec![noise(4), pay(5, 6)]);
    chain.finalize(3);
    let mut follower = Follower::new(&[&node]).await;
    follower.crowd();
    // Three logs and no more: the second block is half told, the third is silent.
    says(&node, &[log(&chain, 1, 0, 201, 7), log(&chain, 1, 1, 201, 7), log(&chain, 2, 0, 201, 7)]);
    follower.catch_up().await;
    assert_eq!(follower.seen(), [seen(2, 4, 5), seen(3, 5, 6)]);
    assert!(caught(&follower, 0) > 0);
    assert_eq!(account(4), alloy::primitives::Address::from(follower.seen()[0].1));
}

/// Two payments in two blocks, and the logs of both under the first one's transaction.
fn under_one_name(chain: &Chain) -> [Value; 2] {
    chain.mine(vec![pay(4, 5)]);
    chain.mine(vec![pay(5, 6)]);
    chain.finalize(2);
    let mut second = log(chain, 2, 0, 5, 6);
    second["transactionHash"] = json!(chain.transactions(1)[0].to_string());
    [log(chain, 1, 0, 4, 5), second]
}

#[tokio::test]
async fn two_payments_under_one_name_are_told_apart_by_their_receipts() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    says(&node, &under_one_name(&chain));
    follower.catch_up().await;
    assert_eq!(follower.seen(), [seen(1, 4, 5), seen(2, 5, 6)]);
    assert_eq!(caught(&follower, 0), 1);
}

/// What a follower of these nodes proves of a transaction.
async fn proves(nodes: &[&Node], tx: TxHash) -> Result<Mined, Error> {
    match Follower::new(nodes).await.source.prove_transaction(tx).await? {
        Transaction::Mined(mined) => Ok(mined),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_transaction_without_its_logs_is_not_taken_for_one_that_pays_nothing() {
    let chain = chain();
    let (liar, honest) = (node(&chain).await, node(&chain).await);
    let (_, tx) = among_others(&chain);
    let hash = TxHash(tx.0);
    let whole = proves(&[&honest], hash).await.unwrap();
    assert!(whole.succeeded && whole.block == at(&chain, 21), "{whole:?}");
    let told: Vec<_> = whole.transfers.iter().map(|t| (t.n, t.log_index, t.to.0[0])).collect();
    assert_eq!(told, [(0, 1, 3)]);
    liar.fault(Fault::OmitReceiptLogs { tx });
    assert_eq!(proves(&[&liar, &honest], hash).await.unwrap(), whole);
    assert_eq!(proves(&[&honest, &liar], hash).await.unwrap(), whole);
    let alone = proves(&[&liar], hash).await.unwrap_err();
    assert!(alone.to_string().contains("do not have the root in its header"), "{alone}");
    let nobody = Follower::new(&[&honest]).await.source.prove_transaction(TxHash([9; 32])).await;
    assert_eq!(nobody.unwrap(), Transaction::NotFound);
}

#[tokio::test]
async fn a_failed_transaction_is_proved_to_have_failed() {
    let chain = chain();
    let node = node(&chain).await;
    chain.mine(vec![noise(1), pay(3, 5).failed(), noise(2)]);
    chain.mine_empty(1);
    let tx = TxHash(chain.transactions(1)[1].0);
    for singly in [false, true] {
        if singly {
            node.fault(Fault::NoReceipts);
        }
        let mined = proves(&[&node], tx).await.unwrap();
        assert!(!mined.succeeded && mined.transfers.is_empty(), "{mined:?}");
    }
}

/// One node has never heard of it, and the other, which might have it, does not answer.
#[tokio::test]
async fn what_only_a_silent_node_may_know_is_not_called_unknown() {
    let (paid, silent) = (chain(), node(&chain()).await);
    let unknowing = node(&paid).await;
    silent.fault(Fault::Error {
        methods: Methods::only(&["eth_getTransactionReceipt", "eth_getTransactionByHash"]),
        http_status: 503,
        body: "down".into(),
        times: None,
    });
    for nodes in [[&unknowing, &silent], [&silent, &unknowing]] {
        let source = Follower::new(&nodes).await.source;
        let told = source.prove_transaction(TxHash([9; 32])).await;
        assert!(told.is_err(), "{told:?}");
    }
}

/// Two chains with one beginning: what the first node shows was made up, with a root that fits.
#[tokio::test]
async fn a_block_that_was_made_up_is_not_proved_by_its_own_header() {
    let (made_up, real) = (chain(), chain());
    made_up.mine(vec![noise(1), pay(3, 5)]);
    real.mine(vec![noise(1)]);
    made_up.mine_empty(3);
    real.mine_empty(3);
    let (liar, honest) = (node(&made_up).await, node(&real).await);
    let tx = TxHash(made_up.transactions(1)[1].0);
    for nodes in [vec![&liar, &honest], vec![&liar]] {
        let follower = Follower::new(&nodes).await;
        let told = follower.source.prove(1, &follower.watch).await;
        let seen = follower.source.prove_transaction(tx).await;
        if nodes.len() == 1 {
            assert_eq!(told.unwrap().transfers.len(), 1, "nobody else can be asked");
            assert!(matches!(seen.unwrap(), Transaction::Mined(_)));
            continue;
        }
        for error in [told.map(|_| ()).unwrap_err(), seen.map(|_| ()).unwrap_err()] {
            assert!(matches!(error, Error::Disagree { height: 1, .. }), "{error}");
        }
    }
}

/// The next receipts of block 21 are told under each other's names: their root is the header's.
#[tokio::test]
async fn a_receipt_under_the_name_of_another_transaction_is_seen_by_a_second_node() {
    let chain = chain();
    let (liar, honest) = (node(&chain).await, node(&chain).await);
    let (_, tx) = among_others(&chain);
    let source = Follower::new(&[&liar, &honest]).await.source;
    let receipts = receipts(&honest, 21).await;
    let mut turned = receipts.clone();
    let names: Vec<Value> = receipts.iter().map(|one| one["transactionHash"].clone()).collect();
    turned[1]["transactionHash"] = names[2].clone();
    turned[2]["transactionHash"] = names[1].clone();
    let result = serde_json::to_string(&turned).unwrap();
    liar.fault(Fault::Error {
        methods: Methods::only(&["eth_getBlockReceipts"]),
        http_status: 200,
        body: format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{result}}}"#),
        times: None,
    });
    let error = source.prove_transaction(TxHash(tx.0)).await.unwrap_err();
    assert!(matches!(&error, Error::Unread { height: 21, why } if why.contains("do not name")));
}

/// The receipts of block `height`, as a node tells them.
async fn receipts(node: &Node, height: u64) -> Vec<Value> {
    let params = json!([format!("{height:#x}")]);
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockReceipts", "params": params});
    let client = reqwest::Client::new().post(node.http_url());
    let answer = client.header("content-type", "application/json").body(body.to_string());
    let answer = answer.send().await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    serde_json::from_value(answer["result"].clone()).unwrap()
}
