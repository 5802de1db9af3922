//! Builds a bench chain: roots and blooms, then the chain of hashes, then the JSON.
//!
//! In: a spec. Out: parts of a fixed number of blocks, rendered. Never: another result with
//! more cores. Why: only the hashes depend on one another, so all else is done side by side.

use std::io::Write;

use alloy::consensus::constants::EMPTY_WITHDRAWALS;
use alloy::consensus::proofs::calculate_receipt_root;
use alloy::consensus::{Header, Receipt, ReceiptEnvelope, TxType};
use alloy::eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy::primitives::{Address, B256, Bloom, Bytes as RawBytes, hex, keccak256};
use bytes::Bytes;
use serde_json::Value;

use super::transfers::common_bloom;
use super::{BenchSpec, Data};
use crate::evm::render;
use crate::evm::tx::{BASE_FEE, TRANSFER};

/// Blocks in a part; a range of logs is as many pieces as it touches parts.
const BLOCKS_A_PART: u64 = 512;
/// What a log is long with large quantities, in bytes.
const LOG_BYTES: usize = 640;
/// What each transfer uses, in gas.
pub(super) const GAS: u64 = 46_109;

/// Some blocks in a row, rendered.
pub(super) struct Part {
    first: u64,
    /// Each log, with a comma between any two.
    logs: Bytes,
    /// Where each log ends, its comma not counted.
    log_ends: Vec<usize>,
    /// Each block as `eth_getBlockByNumber` gives it.
    blocks: Vec<Bytes>,
}

/// What a header needs of its transfers.
struct Sketch {
    bloom: Bloom,
    receipts_root: B256,
}

pub(super) fn build(spec: BenchSpec) -> Data {
    let parts = spec.blocks.div_euclid(BLOCKS_A_PART).saturating_add(1);
    let sketches = side_by_side(parts, |part| {
        heights(&spec, part).map(|height| sketch(&spec, height)).collect::<Vec<_>>()
    });
    let headers = chained(&spec, sketches.into_iter().flatten());
    let parts = side_by_side(parts, |part| rendered(&spec, heights(&spec, part), &headers));
    let hashes: Vec<B256> = headers.iter().map(|(_, hash)| *hash).collect();
    let mut heights: Vec<(B256, u64)> = hashes.iter().copied().zip(0..).collect();
    heights.sort_unstable();
    Data { spec, hashes, heights, parts }
}

fn heights(spec: &BenchSpec, part: u64) -> std::ops::RangeInclusive<u64> {
    let first = part.saturating_mul(BLOCKS_A_PART);
    first..=first.saturating_add(BLOCKS_A_PART.saturating_sub(1)).min(spec.blocks)
}

fn sketch(spec: &BenchSpec, height: u64) -> Sketch {
    let token = spec.chain.token.address;
    let mut bloom = Bloom::ZERO;
    let mut cumulative_gas_used = 0_u64;
    let mut receipts = Vec::new();
    for number in spec.numbers(height) {
        let log = spec.transfer(number).log(token);
        cumulative_gas_used = cumulative_gas_used.saturating_add(GAS);
        let logs = vec![log];
        let receipt = Receipt { status: true.into(), cumulative_gas_used, logs }.with_bloom();
        bloom |= receipt.logs_bloom;
        receipts.push(ReceiptEnvelope::from_typed(TxType::Eip1559, receipt));
    }
    Sketch { bloom, receipts_root: calculate_receipt_root(&receipts) }
}

/// The headers in order, each with its hash.
fn chained(spec: &BenchSpec, sketches: impl Iterator<Item = Sketch>) -> Vec<(Header, B256)> {
    let mut headers: Vec<(Header, B256)> = Vec::new();
    let mut time = spec.chain.start_time;
    for (height, sketch) in (0_u64..).zip(sketches) {
        let salted = |what: &[u8]| {
            let (seed, height) = (spec.chain.seed.to_be_bytes(), height.to_be_bytes());
            keccak256([what, &seed, &height].concat())
        };
        let header = Header {
            parent_hash: headers.last().map_or(B256::ZERO, |(_, hash)| *hash),
            beneficiary: Address::repeat_byte(0xee),
            state_root: salted(b"state"),
            transactions_root: salted(b"transactions"),
            receipts_root: sketch.receipts_root,
            logs_bloom: sketch.bloom,
            number: height,
            gas_limit: 36_000_000,
            gas_used: GAS.saturating_mul(if height == 0 { 0 } else { spec.logs_per_block }),
            timestamp: time,
            extra_data: RawBytes::from_static(b"lab bench"),
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
        headers.push((header, hash));
        time = time.saturating_add(spec.chain.block_time_s);
    }
    headers
}

fn rendered(
    spec: &BenchSpec,
    heights: std::ops::RangeInclusive<u64>,
    headers: &[(Header, B256)],
) -> Part {
    let first = *heights.start();
    let count = heights.clone().map(|height| spec.numbers(height).count()).sum::<usize>();
    // Room for all at once: growing would touch these hundreds of megabytes twice.
    let mut logs = Vec::with_capacity(count.saturating_mul(LOG_BYTES));
    let (mut log_ends, mut blocks) = (Vec::with_capacity(count), Vec::new());
    for height in heights {
        let place = usize::try_from(height).unwrap_or(usize::MAX);
        let Some((header, hash)) = headers.get(place) else { break };
        let block = BlockText::new(spec, height, *hash);
        for (index, number) in (0..).zip(spec.numbers(height)) {
            if !logs.is_empty() {
                logs.push(b',');
            }
            block.log(&mut logs, spec, index, number);
            log_ends.push(logs.len());
        }
        let hashes = spec.numbers(height).map(|number| render::bytes(spec.tx_hash(number)));
        let mut fields = render::header_fields(header, *hash);
        let size = spec.numbers(height).count().saturating_mul(180).saturating_add(620);
        render::body_fields(&mut fields, hashes.collect(), size);
        blocks.push(Bytes::from(Value::Object(fields).to_string()));
    }
    Part { first, logs: Bytes::from(logs), log_ends, blocks }
}

/// What the logs of one block have in common.
struct BlockText {
    head: Vec<u8>,
    place: Vec<u8>,
    hash: Vec<u8>,
}

impl BlockText {
    fn new(spec: &BenchSpec, height: u64, hash: B256) -> Self {
        let token = spec.chain.token.address;
        let head = format!(
            "{{\"address\":\"0x{}\",\"topics\":[\"{TRANSFER}\",\"0x{:024}",
            hex::encode(token),
            0
        );
        let place = format!("\",\"blockNumber\":\"{height:#x}\",\"transactionHash\":\"0x");
        let hash = format!("\",\"blockHash\":\"{hash}\",\"logIndex\":\"");
        Self { head: head.into(), place: place.into(), hash: hash.into() }
    }

    fn log(&self, out: &mut Vec<u8>, spec: &BenchSpec, index: u64, number: u64) {
        let transfer = spec.transfer(number);
        out.extend_from_slice(&self.head);
        push_hex(out, transfer.from.as_slice());
        out.extend_from_slice(b"\",\"0x000000000000000000000000");
        push_hex(out, transfer.to.as_slice());
        out.extend_from_slice(b"\"],\"data\":\"0x00000000000000000000000000000000");
        push_hex(out, &transfer.value.to_be_bytes());
        out.extend_from_slice(&self.place);
        push_hex(out, spec.tx_hash(number).as_slice());
        out.extend_from_slice(b"\",\"transactionIndex\":\"");
        push_quantity(out, index);
        out.extend_from_slice(&self.hash);
        push_quantity(out, index);
        out.extend_from_slice(b"\",\"removed\":false}");
    }
}

/// The digits of some bytes.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start.saturating_add(bytes.len().saturating_mul(2)), 0);
    if let Some(room) = out.get_mut(start..) {
        // The room is exactly as long as the digits, the only thing that could fail.
        let _fits = hex::encode_to_slice(bytes, room);
    }
}

/// A number with its `0x`.
pub(super) fn push_quantity(out: &mut Vec<u8>, number: u64) {
    // Writing into memory does not fail.
    let _written = write!(out, "{number:#x}");
}

impl Data {
    pub(super) fn block_text(&self, height: u64) -> Option<Bytes> {
        let part = self.part(height)?;
        let place = usize::try_from(height.checked_sub(part.first)?).ok()?;
        part.blocks.get(place).cloned()
    }

    /// The logs of a range of heights, as they stand in memory: pieces to be joined by commas.
    pub(super) fn log_texts(&self, from: u64, to: u64) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut next = from;
        while next <= to {
            let Some(part) = self.part(next) else { break };
            let last = part.first.saturating_add(BLOCKS_A_PART).saturating_sub(1).min(to);
            let (first_log, _) = bounds(self.spec.numbers(next));
            let (_, end_log) = bounds(self.spec.numbers(last));
            pieces.extend(part.texts(&self.spec, first_log, end_log));
            next = last.saturating_add(1);
        }
        pieces
    }

    /// One log of the block at a height.
    pub(super) fn log_text(&self, height: u64, number: u64) -> Option<Bytes> {
        self.part(height)?.texts(&self.spec, number, number.saturating_add(1))
    }

    /// The bloom of the receipt of one transfer.
    pub(super) fn receipt_bloom(&self, number: u64) -> Bloom {
        let mut bloom = common_bloom(self.spec.chain.token.address);
        self.spec.transfer(number).accrue(&mut bloom);
        bloom
    }

    fn part(&self, height: u64) -> Option<&Part> {
        self.parts.get(usize::try_from(height.div_euclid(BLOCKS_A_PART)).ok()?)
    }
}

impl Part {
    pub(super) fn log_bytes(&self) -> usize {
        self.logs.len()
    }

    /// The logs from one number to before another, if there are any.
    fn texts(&self, spec: &BenchSpec, first: u64, end: u64) -> Option<Bytes> {
        let (base, _) = bounds(spec.numbers(self.first));
        let place = |number: u64| usize::try_from(number.checked_sub(base)?).ok();
        let last = place(end)?.checked_sub(1)?;
        let stop = *self.log_ends.get(last)?;
        let start = match place(first)?.checked_sub(1) {
            None => 0,
            Some(before) => self.log_ends.get(before)?.saturating_add(1),
        };
        (start < stop).then(|| self.logs.slice(start..stop))
    }
}

fn bounds(numbers: std::ops::Range<u64>) -> (u64, u64) {
    (numbers.start, numbers.end)
}

/// Does `count` pieces of work on every core, and gives the results in order.
fn side_by_side<T: Send>(count: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = cores.min(usize::try_from(count).unwrap_or(usize::MAX));
    let work = &work;
    let mut done: Vec<(u64, T)> = std::thread::scope(|scope| {
        let shares: Vec<_> = (0_u64..)
            .take(cores)
            .map(|core| {
                let mine = (core..count).step_by(cores);
                scope.spawn(move || mine.map(|n| (n, work(n))).collect::<Vec<_>>())
            })
            .collect();
        let joined = shares.into_iter().map(|share| {
            share.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
        });
        joined.flatten().collect()
    });
    done.sort_unstable_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}
