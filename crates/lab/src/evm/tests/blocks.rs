//! Blocks are real: hashes, roots and blooms verify, and alloy's strict types read everything.

use alloy::consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy::consensus::transaction::SignerRecoverable;
use alloy::eips::{BlockId, BlockNumberOrTag, Encodable2718};
use alloy::primitives::{Address, BloomInput, Bytes, TxKind, U256, keccak256};
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::{Filter, TransactionRequest};
use serde_json::json;

use super::*;
use crate::evm::{LogSpec, TokenSpec};

const OTHER: Address = Address::repeat_byte(0x77);

/// Blocks of every kind of transaction: several logs, none, failed, legacy, look-alike, fee.
async fn mixed() -> (Node, RootProvider) {
    let chain = chain();
    chain.mine(vec![paid(5), paid(5), Tx::transfer(ANN, BOB, 7).legacy()]);
    chain.mine(vec![
        Tx::transfer(ANN, BOB, 1).and_transfer(ANN, BOB, 0).and_transfer(BOB, BOB, 1),
        paid(9).failed(),
        Tx::transfer_of(OTHER, ANN, BOB, 10),
        Tx::transfer_with_fee(ANN, BOB, 1000, OTHER, 1),
        Tx::empty()
            .and(LogSpec::Pause)
            .and(LogSpec::Params { basis_points: U256::from(10), max_fee: U256::from(50) }),
    ]);
    chain.mine_empty(2);
    let node = Node::start(chain).await.unwrap();
    let provider = ProviderBuilder::default().connect_http(node.http_url().parse().unwrap());
    (node, provider)
}

#[tokio::test]
async fn a_header_hashes_to_its_hash_and_names_its_parent() {
    let (node, provider) = mixed().await;
    let mut parent = None;
    for height in 0..=4 {
        let block = provider.get_block_by_number(height.into()).await.unwrap().unwrap();
        assert_eq!(block.header.hash_slow(), block.header.hash);
        assert_eq!(Some(block.header.hash), node.chain().block(height).map(|b| b.hash));
        assert_eq!(parent.unwrap_or_default(), block.header.parent_hash);
        assert_eq!(Some(block.header.timestamp), node.chain().time(height));
        let by_hash = provider.get_block_by_hash(block.header.hash).await.unwrap().unwrap();
        assert_eq!(by_hash, block);
        parent = Some(block.header.hash);
    }
}

#[tokio::test]
async fn receipts_and_transactions_verify_against_their_roots() {
    let (_node, provider) = mixed().await;
    for height in 0..=4 {
        let block = provider.get_block_by_number(height.into()).full().await.unwrap().unwrap();
        let receipts = provider.get_block_receipts(BlockId::from(height)).await.unwrap().unwrap();
        for (place, receipt) in receipts.iter().enumerate() {
            let tx = &block.transactions.as_transactions().unwrap()[place];
            assert_eq!(receipt.transaction_hash, keccak256(tx.inner.encoded_2718()));
            assert_eq!(receipt.from, tx.inner.recover_signer().unwrap());
            assert_eq!(tx.inner.signer(), receipt.from);
            let alone = provider.get_transaction_receipt(receipt.transaction_hash).await.unwrap();
            assert_eq!(alone.as_ref(), Some(receipt));
            let alone = provider.get_transaction_by_hash(receipt.transaction_hash).await.unwrap();
            assert_eq!(alone.as_ref(), Some(tx));
        }
        let txs: Vec<_> =
            block.transactions.txns().map(|tx| tx.inner.clone().into_inner()).collect();
        assert_eq!(calculate_transaction_root(&txs), block.header.transactions_root);
        let plain: Vec<_> =
            receipts.into_iter().map(|r| r.into_primitives_receipt().inner).collect();
        assert_eq!(calculate_receipt_root(&plain), block.header.receipts_root);
    }
}

#[tokio::test]
async fn logs_are_those_of_the_receipts_and_the_bloom_covers_them() {
    let (node, provider) = mixed().await;
    let logs = provider.get_logs(&Filter::new().from_block(0).to_block(4)).await.unwrap();
    let mut from_receipts = Vec::new();
    for height in 0..=4 {
        let receipts = provider.get_block_receipts(BlockId::from(height)).await.unwrap().unwrap();
        let here: Vec<_> = receipts.iter().flat_map(|r| r.inner.logs().to_vec()).collect();
        let indices: Vec<_> = here.iter().map(|log| log.log_index.unwrap()).collect();
        assert_eq!(indices, (0..).take(here.len()).collect::<Vec<_>>());
        from_receipts.extend(here);
    }
    assert_eq!(logs, from_receipts);
    assert_eq!(logs.len(), 3 + 3 + 1 + 2 + 2);
    for log in &logs {
        let height = log.block_number.unwrap();
        let block = provider.get_block_by_number(height.into()).await.unwrap().unwrap();
        assert_eq!(log.block_hash, Some(block.header.hash));
        assert!(block.header.logs_bloom.contains_raw_log(log.address(), log.topics()));
        let stranger = Address::repeat_byte(0x13);
        assert!(!block.header.logs_bloom.contains_input(BloomInput::Raw(stranger.as_slice())));
        let by_hash = Filter::new().at_block_hash(block.header.hash).address(log.address());
        assert!(provider.get_logs(&by_hash).await.unwrap().contains(log));
    }
    assert!(logs.iter().all(|log| log.block_timestamp.is_none() && !log.removed));
    node.log_times(true);
    let timed = provider.get_logs(&Filter::new().from_block(1).to_block(1)).await.unwrap();
    assert_eq!(timed[0].block_timestamp, node.chain().time(1));
}

#[tokio::test]
async fn only_the_tokens_transfers_to_an_address_are_found_by_its_topic() {
    let (node, provider) = mixed().await;
    let spec = node.chain().spec();
    let filter = Filter::new()
        .from_block(BlockNumberOrTag::Earliest)
        .to_block(BlockNumberOrTag::Latest)
        .address(spec.token.address)
        .event("Transfer(address,address,uint256)")
        .topic2(BOB.into_word());
    let logs = provider.get_logs(&filter).await.unwrap();
    let values: Vec<_> = logs.iter().map(|log| U256::from_be_slice(&log.data().data)).collect();
    assert_eq!(values, [5, 5, 7, 1, 0, 1, 999].map(U256::from));
    assert_ne!(logs[0].transaction_hash, logs[1].transaction_hash);
}

async fn call(provider: &RootProvider, to: Address, input: Vec<u8>, at: BlockId) -> Bytes {
    let request = TransactionRequest {
        to: Some(TxKind::Call(to)),
        input: Bytes::from(input).into(),
        ..Default::default()
    };
    provider.call(request).block(at).await.unwrap()
}

#[tokio::test]
async fn the_token_answers_calls_at_any_block() {
    let (node, provider) = mixed().await;
    let chain = node.chain();
    let token = chain.spec().token.address;
    let balance_of = [&[0x70, 0xa0, 0x82, 0x31][..], BOB.into_word().as_slice()].concat();
    let expected = [0_u64, 17, 1017, 1017, 1017];
    for (height, expected) in (0..).zip(expected) {
        let by_hash = BlockId::hash(chain.block(height).unwrap().hash);
        for at in [BlockId::from(height), by_hash] {
            let balance = call(&provider, token, balance_of.clone(), at).await;
            assert_eq!(U256::from_be_slice(&balance), U256::from(expected), "at {at:?}");
        }
        assert_eq!(chain.balance(BOB, height), U256::from(expected));
    }
    let latest = BlockId::latest();
    let decimals = call(&provider, token, vec![0x31, 0x3c, 0xe5, 0x67], latest).await;
    assert_eq!(U256::from_be_slice(&decimals), U256::from(6));
    let symbol = call(&provider, token, vec![0x95, 0xd8, 0x9b, 0x41], latest).await;
    assert_eq!(&symbol[64..68], b"USDT");
    assert_eq!(symbol.len(), 96);
    assert_eq!(call(&provider, ANN, balance_of, latest).await, Bytes::new());
    assert!(!provider.get_code_at(token).await.unwrap().is_empty());
    assert!(provider.get_code_at(OTHER).await.unwrap().is_empty());
    let decimals = 18;
    chain.deploy(TokenSpec { address: OTHER, decimals, symbol: "USDT".to_owned() });
    assert!(!provider.get_code_at(OTHER).await.unwrap().is_empty());
    let decimals = call(&provider, OTHER, vec![0x31, 0x3c, 0xe5, 0x67], latest).await;
    assert_eq!(U256::from_be_slice(&decimals), U256::from(18));
}

#[tokio::test]
async fn destroyed_funds_leave_the_balance_without_a_transfer() {
    let chain = chain();
    chain.mine(vec![paid(100)]);
    let destroyed = LogSpec::DestroyedBlackFunds { account: BOB, value: U256::from(40) };
    chain.mine(vec![Tx::empty().and(destroyed)]);
    assert_eq!(chain.balance(BOB, 1), U256::from(100));
    assert_eq!(chain.balance(BOB, 2), U256::from(60));
}

#[test]
fn the_same_script_makes_the_same_chain_and_another_seed_another() {
    let script = |seed| {
        let chain = Chain::new(ChainSpec { seed, ..ChainSpec::ethereum() });
        chain.mine(vec![paid(1), paid(2)]);
        chain.mine_empty(3);
        chain.reorg(2, vec![vec![paid(1)], vec![]])
    };
    assert_eq!(script(1), script(1));
    assert_ne!(script(1), script(2));
}

#[test]
fn times_are_spaced_or_given_and_always_rise() {
    let chain = chain();
    let start = chain.spec().start_time;
    chain.mine(vec![]);
    chain.mine_at(start + 100, vec![]);
    chain.mine_at(start, vec![]);
    let times: Vec<_> = (0..=4).filter_map(|height| chain.time(height)).collect();
    assert_eq!(times, [start, start + 12, start + 100, start + 101]);
}

#[tokio::test]
async fn the_shape_of_a_block_is_geths() {
    let node = node(1).await;
    let block = result(&node, "eth_getBlockByNumber", json!(["0x1", true])).await;
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        fields(&block).join(" "),
        "baseFeePerGas blobGasUsed difficulty excessBlobGas extraData gasLimit gasUsed hash \
         logsBloom miner mixHash nonce number parentBeaconBlockRoot parentHash receiptsRoot \
         requestsHash sha3Uncles size stateRoot timestamp transactions transactionsRoot uncles \
         withdrawals withdrawalsRoot"
    );
    assert_eq!(
        fields(&block["transactions"][0]).join(" "),
        "accessList blockHash blockNumber chainId from gas gasPrice hash input maxFeePerGas \
         maxPriorityFeePerGas nonce r s to transactionIndex type v value yParity"
    );
    let receipts = result(&node, "eth_getBlockReceipts", json!(["latest"])).await;
    assert_eq!(
        fields(&receipts[0]).join(" "),
        "blockHash blockNumber contractAddress cumulativeGasUsed effectiveGasPrice from gasUsed \
         logs logsBloom status to transactionHash transactionIndex type"
    );
    assert_eq!(
        fields(&receipts[0]["logs"][0]).join(" "),
        "address blockHash blockNumber data logIndex removed topics transactionHash \
         transactionIndex"
    );
}
