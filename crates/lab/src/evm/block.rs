//! One block: its header, its transactions and what they left, all of it consistent.
//!
//! In: scripted transactions and the parent. Out: a header whose hash, bloom and roots are real.
//! Never: a changed block; a reorg builds others. Why: a client that verifies receipts must find
//! them true here, or a test of its checks would prove nothing.

use std::sync::OnceLock;

use alloy::consensus::constants::EMPTY_WITHDRAWALS;
use alloy::consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{
    Block as WireBlock, BlockBody, Header, Receipt, ReceiptEnvelope, TxEnvelope,
};
use alloy::eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy::primitives::{Address, B256, Bloom, Bytes, Log, U256, keccak256};
use alloy::rlp::Encodable;

use super::tx::{BASE_FEE, TRANSFER, Tx, destroyed};

const GAS_LIMIT: u64 = 36_000_000;
/// What a plain transaction and each of its logs use, in gas; near what USDT really costs.
const GAS_PLAIN: u64 = 21_000;
const GAS_PER_LOG: u64 = 25_000;

/// A block as the chain keeps it.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) hash: B256,
    pub(crate) header: Header,
    pub(crate) txs: Vec<Mined>,
    /// Bytes of its RLP encoding.
    pub(crate) size: usize,
}

/// A transaction inside a block.
#[derive(Debug)]
pub(crate) struct Mined {
    pub(crate) envelope: TxEnvelope,
    pub(crate) hash: B256,
    pub(crate) succeeded: bool,
    pub(crate) gas_used: u64,
    pub(crate) cumulative_gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) bloom: Bloom,
    /// The block-wide index of its first log.
    pub(crate) first_log: u64,
    sender: OnceLock<Address>,
}

/// What a block is built from.
pub(crate) struct Plan<'a> {
    pub(crate) parent: Option<&'a Block>,
    pub(crate) time: u64,
    /// Makes every block its own, so that two with the same transactions differ.
    pub(crate) salt: B256,
    pub(crate) chain_id: u64,
    pub(crate) token: Address,
    /// The transactions and the tag each was mined under.
    pub(crate) txs: Vec<(Tx, u64)>,
}

impl Block {
    pub(crate) fn build(plan: Plan<'_>) -> Self {
        let txs = mined(&plan);
        let receipts: Vec<_> = txs.iter().map(Mined::receipt).collect();
        let envelopes: Vec<_> = txs.iter().map(|tx| tx.envelope.clone()).collect();
        let salted = |what: &[u8]| keccak256([what, plan.salt.as_slice()].concat());
        let header = Header {
            parent_hash: plan.parent.map_or(B256::ZERO, |parent| parent.hash),
            beneficiary: Address::repeat_byte(0xee),
            state_root: salted(b"state"),
            transactions_root: calculate_transaction_root(&envelopes),
            receipts_root: calculate_receipt_root(&receipts),
            logs_bloom: txs.iter().fold(Bloom::ZERO, |sum, tx| sum | tx.bloom),
            number: plan.parent.map_or(0, |parent| parent.header.number.saturating_add(1)),
            gas_limit: GAS_LIMIT,
            gas_used: txs.last().map_or(0, |tx| tx.cumulative_gas_used),
            timestamp: plan.time,
            extra_data: Bytes::from_static(b"lab"),
            mix_hash: salted(b"mix"),
            base_fee_per_gas: Some(BASE_FEE),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(salted(b"beacon")),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        };
        let hash = header.hash_slow();
        let withdrawals = Some(Default::default());
        let body = BlockBody { transactions: envelopes, ommers: Vec::new(), withdrawals };
        let size = WireBlock::new(header.clone(), body).length();
        Self { hash, header, txs, size }
    }

    /// Every log with its transaction's place and its own block-wide index.
    pub(crate) fn logs(&self) -> impl Iterator<Item = (usize, &Mined, u64, &Log)> {
        self.txs.iter().enumerate().flat_map(|(place, tx)| {
            (tx.first_log..).zip(&tx.logs).map(move |(index, log)| (place, tx, index, log))
        })
    }
}

impl Mined {
    /// Who signed. The lab's signatures always recover; zero would say otherwise.
    pub(crate) fn sender(&self) -> Address {
        *self.sender.get_or_init(|| self.envelope.recover_signer().unwrap_or(Address::ZERO))
    }

    fn receipt(&self) -> ReceiptEnvelope {
        let receipt = Receipt {
            status: self.succeeded.into(),
            cumulative_gas_used: self.cumulative_gas_used,
            logs: self.logs.clone(),
        };
        ReceiptEnvelope::from_typed(self.envelope.tx_type(), receipt.with_bloom())
    }
}

fn mined(plan: &Plan<'_>) -> Vec<Mined> {
    let (mut cumulative_gas_used, mut first_log) = (0_u64, 0_u64);
    let mut txs = Vec::with_capacity(plan.txs.len());
    for (tx, tag) in &plan.txs {
        let envelope = tx.envelope(*tag, plan.chain_id, plan.token);
        let logs = tx.logs(plan.token);
        let count = u64::try_from(logs.len()).unwrap_or(u64::MAX);
        let gas_used = GAS_PLAIN.saturating_add(GAS_PER_LOG.saturating_mul(count));
        cumulative_gas_used = cumulative_gas_used.saturating_add(gas_used);
        txs.push(Mined {
            hash: *envelope.tx_hash(),
            envelope,
            succeeded: tx.succeeded(),
            gas_used,
            cumulative_gas_used,
            bloom: logs.iter().collect(),
            logs,
            first_log,
            sender: OnceLock::new(),
        });
        first_log = first_log.saturating_add(count);
    }
    txs
}

/// What a log took from and gave to an account of a token, in base units.
pub(crate) fn moved(log: &Log, token: Address, account: Address) -> (U256, U256) {
    let word = |place: usize| {
        let start = place.saturating_mul(32);
        let bytes = log.data.data.get(start..start.saturating_add(32));
        bytes.map_or(B256::ZERO, B256::from_slice)
    };
    let amount = |yes: bool, value: B256| if yes { value.into() } else { U256::ZERO };
    if log.address != token {
        return (U256::ZERO, U256::ZERO);
    }
    match log.topics() {
        [event, from, to] if *event == TRANSFER => (
            amount(*from == account.into_word(), word(0)),
            amount(*to == account.into_word(), word(0)),
        ),
        [event] if *event == destroyed() => {
            (amount(word(0) == account.into_word(), word(1)), U256::ZERO)
        }
        _ => (U256::ZERO, U256::ZERO),
    }
}
