//! Nodes that lie, leave out, forge, or are somewhere else, beside an honest one and alone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::B256;
use erc20::Error;
use lab::evm::{BeyondTip, Fault, ForgeLog, LogSpec, Methods, Node, Tx};

use super::rig::{Follower, account, at, chain, config, node, noise, pay, seen, traffic};

/// How often an endpoint was caught.
fn caught(follower: &Follower, endpoint: usize) -> u64 {
    follower.source.health()[endpoint].failed
}

#[tokio::test]
async fn silence_is_questioned_and_the_receipts_decide() {
    // Near the tip, and below the finalized height.
    for finalized in [0, 30] {
        let chain = chain();
        let node = node(&chain).await;
        let paid = traffic(&chain, 30);
        chain.finalize(finalized);
        node.fault(Fault::EmptyLogs { heights: 8..=12 });
        let mut follower = Follower::new(&[&node]).await;
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid);
        assert!(caught(&follower, 0) > 0);
        assert!(node.requests().count("eth_getBlockReceipts") >= 5);
    }
}

#[tokio::test]
async fn receipts_are_proved_one_by_one_where_they_do_not_come_together() {
    let chain = chain();
    let node = node(&chain).await;
    let paid = traffic(&chain, 12);
    node.fault(Fault::NoReceipts);
    node.fault(Fault::EmptyLogs { heights: 10..=10 });
    let mut follower = Follower::new(&[&node]).await;
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
    assert_eq!(node.requests().count("eth_getTransactionReceipt"), 3);
}

/// Where nobody has receipts, a log that another node shows is proof enough that silence is none.
#[tokio::test]
async fn where_nobody_proves_receipts_another_nodes_logs_end_the_silence() {
    for finalized in [0, 12] {
        let chain = chain();
        let (liar, honest) = (node(&chain).await, node(&chain).await);
        let paid = traffic(&chain, 12);
        chain.finalize(finalized);
        for node in [&liar, &honest] {
            let receipts = ["eth_getBlockReceipts", "eth_getTransactionReceipt"];
            node.fault(Fault::lacks(&receipts, None));
        }
        liar.fault(Fault::EmptyLogs { heights: 10..=10 });
        let mut config = config(&[liar.http_url(), honest.http_url()]);
        // Whoever is caught is not asked again here: a range that it read is read anew.
        config.rest = Arc::new(|_| Duration::from_secs(60));
        let mut follower = Follower::with(config).await;
        follower.catch_up_stubbornly(1).await;
        assert_eq!(follower.seen(), paid);
        assert!(caught(&follower, 0) > 0);
    }
}

/// A list of transactions that nothing binds is not followed wherever it leads.
#[tokio::test]
async fn a_block_that_lists_transactions_without_end_is_not_asked_for_singly() {
    let chain = chain();
    let (liar, honest) = (node(&chain).await, node(&chain).await);
    let paid = traffic(&chain, 12);
    liar.fault(Fault::NoReceipts);
    liar.fault(Fault::EmptyLogs { heights: 10..=10 });
    let hashes = vec![B256::ZERO; 20_001];
    let block = serde_json::json!({ "transactions": hashes });
    liar.fault(Fault::Error {
        methods: Methods::only(&["eth_getBlockByHash"]),
        http_status: 200,
        body: format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{block}}}"#),
        times: None,
    });
    let mut follower = Follower::new(&[&liar, &honest]).await;
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
    assert!(caught(&follower, 0) > 0);
    assert_eq!(liar.requests().count("eth_getTransactionReceipt"), 0);
}

#[tokio::test]
async fn a_repeated_liar_rests_longer_although_it_answers_other_questions() {
    let chain = chain();
    let (liar, honest) = (node(&chain).await, node(&chain).await);
    let urls = [liar.http_url(), honest.http_url()];
    let rests = Arc::new(Mutex::new(Vec::new()));
    let mut config = config(&urls);
    let noted = Arc::clone(&rests);
    config.rest = Arc::new(move |failures| {
        noted.lock().unwrap().push(failures);
        Duration::ZERO
    });
    let mut follower = Follower::with(config).await;
    liar.fault(Fault::Forge(ForgeLog::Duplicate));
    for _ in 0..5 {
        chain.mine(vec![noise(1)]);
        follower.catch_up().await;
    }
    let grown = rests.lock().unwrap().clone();
    assert!(grown.len() >= 5 && grown.windows(2).all(|pair| pair[0] < pair[1]), "{grown:?}");
}

#[tokio::test]
async fn without_header_hashes_nothing_is_proved_and_everything_is_read() {
    for finalized in [0, 30] {
        let chain = chain();
        let node = node(&chain).await;
        let paid = traffic(&chain, 30);
        chain.finalize(finalized);
        node.fault(Fault::BadHeader { heights: 0..=30 });
        let mut config = config(&[node.http_url()]);
        config.check_header_hash = false;
        let mut follower = Follower::with(config).await;
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid);
        follower.assert_at_tip(&chain);
    }
}

#[tokio::test]
async fn an_honestly_silent_block_passes() {
    // Blocks without a transfer, in whose bloom the token and the topic stand all the same: the
    // token's Approval and a look-alike's Transfer put them there.
    let chain = chain();
    let node = node(&chain).await;
    let other_token = account(250);
    for n in 0..5 {
        let approval = LogSpec::Approval {
            owner: account(200),
            spender: account(201),
            value: alloy::primitives::U256::from(n),
        };
        let (from, to) = (account(200), account(1));
        let lookalike = Tx::transfer_of(other_token, from, to, n);
        chain.mine(vec![Tx::empty().and(approval).tagged(n), lookalike.tagged(n)]);
    }
    let mut follower = Follower::new(&[&node]).await;
    follower.catch_up().await;
    follower.assert_at_tip(&chain);
    assert_eq!(follower.seen(), []);
    assert_eq!(caught(&follower, 0), 0);
    assert_eq!(node.requests().count("eth_getBlockReceipts"), 5);
}

#[tokio::test]
async fn a_block_that_nobody_proves_is_waited_for_and_never_skipped() {
    for finalized in [0, 20] {
        let chain = chain();
        let node = node(&chain).await;
        let mut paid = traffic(&chain, 9);
        chain.mine(vec![pay(3, 10)]);
        paid.push(seen(10, 3, 10));
        let tx = chain.transactions(10)[0];
        paid.extend(traffic(&chain, 10));
        chain.finalize(finalized);
        node.fault(Fault::EmptyLogs { heights: 10..=10 });
        node.fault(Fault::OmitReceiptLogs { tx });
        let mut follower = Follower::new(&[&node]).await;
        for _ in 0..4 {
            match follower.step().await {
                Ok(_) => assert!(follower.cursor.kept.is_empty() || follower.height() < 10),
                Err(Error::Unread { height, why }) => {
                    assert_eq!(height, 10);
                    assert!(why.contains("nobody proves"), "{why}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        node.heal();
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.seen(), paid);
    }
}

#[tokio::test]
async fn a_forged_log_is_refused_and_another_endpoint_asked() {
    for finalized in [0, 30] {
        for forge in [
            ForgeLog::OtherAddress,
            ForgeLog::OtherTopic,
            ForgeLog::OutOfRange,
            ForgeLog::Duplicate,
            ForgeLog::Removed,
            ForgeLog::WrongBlockHash,
        ] {
            let chain = chain();
            let (liar, honest) = (node(&chain).await, node(&chain).await);
            let paid = traffic(&chain, 30);
            chain.finalize(finalized);
            liar.fault(Fault::Forge(forge));
            let mut both = Follower::new(&[&liar, &honest]).await;
            both.catch_up().await;
            assert_eq!(both.seen(), paid, "{forge:?}");
            assert!(caught(&both, 0) > 0 && caught(&both, 1) == 0, "{forge:?}");

            let mut alone = Follower::new(&[&liar]).await;
            let error = loop {
                match alone.step().await {
                    // Genesis has no logs to forge.
                    Ok(blocks) => assert!(blocks <= 1, "{forge:?} went unseen"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, Error::Unread { .. }), "{forge:?}: {error}");
            liar.heal();
            alone.catch_up().await;
            assert_eq!(alone.seen(), paid, "{forge:?}");
        }
    }
}

#[tokio::test]
async fn a_tampered_header_is_refused() {
    for finalized in [0, 30] {
        let chain = chain();
        let (liar, honest) = (node(&chain).await, node(&chain).await);
        let paid = traffic(&chain, 30);
        chain.finalize(finalized);
        liar.fault(Fault::BadHeader { heights: 10..=20 });
        let mut both = Follower::new(&[&liar, &honest]).await;
        both.catch_up_stubbornly(3).await;
        assert_eq!(both.seen(), paid);
        assert!(caught(&both, 0) > 0 && caught(&both, 1) == 0);
        let why = both.source.health()[0].last_error.clone().unwrap();
        assert!(why.contains("does not hash to"), "{why}");
    }
}

#[tokio::test]
async fn a_node_behind_is_neither_followed_nor_believed() {
    for beyond in [BeyondTip::Refuse, BeyondTip::Clamp] {
        let chain = chain();
        let (slow, good) = (node(&chain).await, node(&chain).await);
        let mut paid = traffic(&chain, 40);
        chain.finalize(10);
        let mut follower = Follower::new(&[&slow, &good]).await;
        follower.catch_up().await;
        slow.fault(Fault::Lag { blocks: 15, beyond });
        paid.extend(traffic(&chain, 10));
        chain.finalize(45);
        follower.catch_up().await;
        follower.assert_at_tip(&chain);
        assert_eq!(follower.seen(), paid, "{beyond:?}");
        assert_eq!(caught(&follower, 0), 0, "being behind is no crime");
        // Alone it is behind what is recorded: nothing is new, and nothing is wrong.
        good.stop().await;
        while follower.source.health()[1].failures == 0 {
            let _ = follower.step().await;
        }
        assert_eq!(follower.step().await.unwrap(), 0);
        slow.heal();
        paid.extend(traffic(&chain, 5));
        follower.catch_up_stubbornly(2).await;
        assert_eq!(follower.seen(), paid, "{beyond:?}");
    }
}

/// Two nodes that agree on `common` blocks and on nothing above.
async fn split(common: u64, above: u64) -> (Node, Node) {
    let (one, other) = (chain(), chain());
    traffic(&one, common);
    traffic(&other, common);
    assert_eq!(one.tip(), other.tip());
    other.mine(vec![noise(1)]);
    traffic(&one, above);
    traffic(&other, above - 1);
    (node(&one).await, node(&other).await)
}

#[tokio::test]
async fn two_chains_below_the_finalized_height_stop_the_scan() {
    let (one, other) = split(20, 20).await;
    one.chain().finalize(40);
    other.chain().finalize(40);
    let mut follower = Follower::new(&[&one, &other]).await;
    let error = follower.stops_at(20).await;
    assert!(matches!(error, Error::Disagree { .. }), "{error}");
}

/// The preferred endpoint's chain is made up, and every claim of finality that is followed its own.
#[tokio::test]
async fn a_history_that_only_its_own_node_has_is_not_believed() {
    let (one, other) = split(20, 20).await;
    one.chain().finalize(35);
    other.chain().finalize(40);
    let mut follower = Follower::new(&[&one, &other]).await;
    let error = follower.stops_at(20).await;
    assert!(matches!(error, Error::Disagree { .. }), "{error}");
}

#[tokio::test]
async fn a_finalized_block_of_another_chain_stops_the_scan() {
    let (one, other) = split(20, 5).await;
    let mut follower = Follower::new(&[&one, &other]).await;
    follower.catch_up().await;
    one.chain().finalize(23);
    other.chain().finalize(23);
    let error = follower.step().await.unwrap_err();
    let Error::Disagree { height, .. } = error else { panic!("{error}") };
    assert_eq!(height, 23);
}

#[tokio::test]
async fn no_endpoint_alone_makes_a_block_final() {
    // Equal scripts are equal chains; only what each node calls final differs.
    let (hasty, honest) = (chain(), chain());
    let paid = traffic(&hasty, 60);
    traffic(&honest, 60);
    hasty.finalize(60);
    honest.finalize(25);
    let (first, second) = (node(&hasty).await, node(&honest).await);
    let mut follower = Follower::new(&[&first, &second]).await;
    follower.catch_up().await;
    assert_eq!(follower.cursor.finalized, Some(at(&honest, 25)));
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn an_endpoint_whose_chain_leaves_ours_too_deep_is_left() {
    let (one, other) = split(20, 20).await;
    one.chain().finalize(30);
    let mut follower = Follower::new(&[&one]).await;
    follower.catch_up().await;
    let (cursor, recorded) = (follower.cursor, follower.recorded);
    // The other chain first: it would reach below the finalized block. Who was caught at that is
    // asked nothing for a while.
    let mut config = config(&[other.http_url(), one.http_url()]);
    config.rest = Arc::new(|_| Duration::from_secs(3_600));
    let mut follower = Follower::with(config).await;
    (follower.cursor, follower.recorded) = (cursor, recorded);
    other.chain().mine_empty(3);
    let paid = traffic(&one.chain(), 5).len();
    let before = follower.seen().len();
    follower.catch_up().await;
    assert_eq!(follower.seen().len(), before + paid);
    follower.assert_at_tip(&one.chain());
    assert!(caught(&follower, 0) > 0);
}
