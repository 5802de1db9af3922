//! Builds a bench chain: fillings, then the headers in a row.
//!
//! In: a spec. Out: rendered transactions and infos, ids, payments. Never: a block rendered whole;
//! its head is a few hundred bytes and is put together when it is asked for. Why: what is the same
//! in thousands of blocks is kept once.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes as Raw, keccak256};
use bytes::Bytes;
use serde_json::Value;

use super::{BenchSpec, Data};
use crate::tron::address::{Spelling, with_prefix};
use crate::tron::block::{Block, Header, Mined};
use crate::tron::chain::{Genesis, SLOT_MS, witness};
use crate::tron::raw::merkle_root;
use crate::tron::render;
use crate::tron::tx::Tx;

/// The largest height and time as text: what stands in a template where a block's own go.
const NO_HEIGHT: u64 = 9_999_999_999;
const NO_TIME: u64 = 9_999_999_999_999;

/// The transactions of a block, rendered once.
pub(super) struct Filling {
    /// Each as `getblockbynum` shows it, with a comma between any two.
    pub(super) txs: Bytes,
    /// Each one's info, with the largest height and time in the place of a block's own.
    pub(super) infos: Bytes,
    /// Where the digits of a height, and those of a time, are in `infos`.
    pub(super) heights: Vec<usize>,
    pub(super) times: Vec<usize>,
    leaves: Vec<B256>,
    pub(super) root: B256,
}

pub(super) fn build(spec: BenchSpec) -> Data {
    let parent = match spec.chain.genesis {
        Genesis::Mainnet => None,
        Genesis::Own(number) => Some(keccak256(number.to_be_bytes())),
    };
    let genesis = Block::genesis(parent);
    let count = spec.fillings.max(1);
    let fillings: Vec<_> = (0..count).map(|n| Filling::new(&spec, genesis.id, n)).collect();
    let (ids, heights) = (Vec::new(), BTreeMap::new());
    let mut data = Data { spec, genesis, ids, fillings, paid: BTreeMap::new(), heights };
    // The parent of the first block is nobody's: the chain begins in the middle.
    let parent = keccak256([&b"parent"[..], &data.spec.chain.seed.to_be_bytes()].concat());
    data.ids.push(parent);
    for height in data.spec.first..=data.last() {
        data.push(height);
    }
    data
}

impl Data {
    fn push(&mut self, height: u64) {
        let number = height.saturating_sub(self.spec.first).saturating_add(1);
        if let Some((to, amount)) = self.spec.turn(number) {
            let token = self.spec.chain.token.address;
            let payer = stranger(number, 2);
            let tx = Tx::transfer(payer, to, amount).tagged(number);
            let raw = tx.raw(number, self.spec.chain.start_time, self.genesis.id, token);
            let mined = Mined::new(&tx, raw, token);
            let mut leaves = self.filling(height).map_or_else(Vec::new, |f| f.leaves.clone());
            leaves.push(mined.leaf);
            self.heights.insert(mined.id, height);
            self.paid.insert(height, (mined, merkle_root(leaves)));
        }
        let id = self.header(height).map_or(B256::ZERO, |header| header.id());
        self.ids.push(id);
    }

    /// A block's header; its parent must be there.
    pub(super) fn header(&self, height: u64) -> Option<Header> {
        let place = self.place(height)?;
        let slot = u64::try_from(place).ok()?;
        let parent = *self.ids.get(place.checked_sub(1)?)?;
        let own = self.paid.get(&height).map(|(_, root)| *root);
        let root = own.or_else(|| self.filling(height).map(|filling| filling.root))?;
        let chain = &self.spec.chain;
        Some(Header {
            number: height,
            timestamp: chain.start_time.saturating_add(slot.saturating_mul(SLOT_MS)),
            parent,
            tx_trie_root: root,
            witness: Raw::copy_from_slice(&with_prefix(witness(chain.seed, slot))),
            version: 32,
        })
    }
}

impl Filling {
    fn new(spec: &BenchSpec, genesis: B256, n: usize) -> Self {
        let token = spec.chain.token.address;
        let first = u64::try_from(n.saturating_mul(spec.txs_per_block)).unwrap_or(u64::MAX);
        let txs: Vec<_> = (first..)
            .take(spec.txs_per_block.max(1))
            .enumerate()
            .map(|(place, number)| {
                let tx = some(place < spec.transfers_per_block, number).tagged(number);
                let raw = tx.raw(number, spec.chain.start_time, genesis, token);
                Mined::new(&tx, raw, token)
            })
            .collect();
        let header = Header {
            number: NO_HEIGHT,
            timestamp: NO_TIME,
            parent: B256::ZERO,
            tx_trie_root: B256::ZERO,
            witness: Raw::new(),
            version: 0,
        };
        let nowhere = Block { id: B256::ZERO, header, signature: None, txs: Vec::new() };
        // As in a real block, transfers of the token are anywhere among the rest.
        let mut order: Vec<usize> = (0..txs.len()).collect();
        order.sort_by_key(|place| keccak256(place.to_be_bytes()));
        let mixed: Vec<&Mined> = order.iter().filter_map(|place| txs.get(*place)).collect();
        let shown = mixed.iter().map(|tx| render::transaction(tx, Spelling::Hex));
        let told = mixed.iter().map(|tx| render::info(&nowhere, tx, true, Spelling::Hex));
        let (txs, infos) = (listed(shown), listed(told));
        let leaves: Vec<_> = mixed.iter().map(|tx| tx.leaf).collect();
        Self {
            heights: places(&infos, &format!("\"blockNumber\":{NO_HEIGHT}")),
            times: places(&infos, &format!("\"blockTimeStamp\":{NO_TIME}")),
            txs,
            infos,
            root: merkle_root(leaves.clone()),
            leaves,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.txs.len().saturating_add(self.infos.len())
    }

    /// The infos as a block shows them.
    pub(super) fn infos(&self, height: u64, time: u64) -> Vec<u8> {
        let mut infos = self.infos.to_vec();
        patch(&mut infos, &self.heights, &format!("{height:>10}"));
        patch(&mut infos, &self.times, &format!("{time:>13}"));
        infos
    }
}

/// A transaction of a stranger: a transfer of the token, or one of TRX; one in twenty fails.
fn some(transfer: bool, number: u64) -> Tx {
    let [from, to] = [0, 1].map(|role| stranger(number, role));
    let amount = number.wrapping_mul(7_919).rem_euclid(1_000_000_007);
    match (transfer, number.rem_euclid(20)) {
        (true, 0) => Tx::transfer(from, to, amount).reverted(),
        (true, 1..8) => Tx::transfer(from, to, amount).staked(),
        (true, _) => Tx::transfer(from, to, amount),
        (false, 0) => Tx::trx(from, to, amount).without_bandwidth(),
        (false, _) => Tx::trx(from, to, amount),
    }
}

fn stranger(number: u64, role: u8) -> Address {
    Address::from_word(keccak256([&number.to_be_bytes()[..], &[role]].concat()))
}

fn listed(items: impl Iterator<Item = Value>) -> Bytes {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    Bytes::from(items.join(","))
}

/// Where the number is that each occurrence of `text` ends with.
fn places(infos: &Bytes, text: &str) -> Vec<usize> {
    let name = text.find(':').map_or(0, |colon| colon.saturating_add(1));
    let shown = std::str::from_utf8(infos).unwrap_or_default();
    shown.match_indices(text).map(|(at, _)| at.saturating_add(name)).collect()
}

/// Writes digits over digits.
fn patch(infos: &mut [u8], places: &[usize], digits: &str) {
    for place in places {
        let end = place.saturating_add(digits.len());
        if let Some(room) = infos.get_mut(*place..end) {
            room.copy_from_slice(digits.as_bytes());
        }
    }
}
