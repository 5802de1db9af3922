//! A long chain held as rendered JSON, for benchmarks of what reads it.
//!
//! In: how many blocks and transfers, and who is paid. Out: a node that answers ranges of logs
//! without copying them. Never: a fault, a reorg, whole transactions. Why: a benchmark must be
//! slow because of the watcher, so this side spends next to nothing per answer. Hashes, parent
//! links, blooms and receipt roots are real; transaction hashes and roots are made up.

mod build;
mod serve;
#[cfg(test)]
mod tests;
mod transfers;

use std::sync::Arc;

use alloy::primitives::{Address, B256};

pub use serve::BenchNode;

use self::build::Part;
use super::chain::{BlockRef, ChainSpec};

/// What a bench chain is made of.
#[derive(Clone, Debug)]
pub struct BenchSpec {
    /// The chain, its token and its seed.
    pub chain: ChainSpec,
    /// Blocks above genesis.
    pub blocks: u64,
    /// Transfers of the token in each of them, one a transaction.
    pub logs_per_block: u64,
    /// Every so many transfers one goes to an address of `paid`; 0 means none does.
    pub paid_every: u64,
    /// Whom those transfers go to, in turn.
    pub paid: Vec<Address>,
    /// How much they carry, in turn, in base units; 1 if empty.
    pub amounts: Vec<u128>,
    /// How far `finalized` is behind the tip, in blocks.
    pub finality_lag: u64,
}

impl BenchSpec {
    /// Ethereum with a million transfers, 100 to a block, every `paid_every`-th to one of `paid`.
    #[must_use]
    pub fn million(paid_every: u64, paid: Vec<Address>, amounts: Vec<u128>) -> Self {
        let (chain, finality_lag) = (ChainSpec::ethereum(), 64);
        let (blocks, logs_per_block) = (10_000, 100);
        Self { chain, blocks, logs_per_block, paid_every, paid, amounts, finality_lag }
    }
}

/// A bench chain; clones share it.
#[derive(Clone)]
pub struct BenchChain {
    pub(crate) data: Arc<Data>,
}

pub(crate) struct Data {
    pub(crate) spec: BenchSpec,
    /// By height, genesis first.
    hashes: Vec<B256>,
    /// The same, sorted by hash.
    heights: Vec<(B256, u64)>,
    /// Stretches of blocks, in order.
    parts: Vec<Part>,
}

impl BenchChain {
    /// Builds it on every core there is; a million logs take a few seconds in release. Blocks
    /// the thread it is called on.
    #[must_use]
    pub fn build(spec: BenchSpec) -> Self {
        Self { data: Arc::new(build::build(spec)) }
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> BlockRef {
        let hash = self.data.hashes.last().copied().unwrap_or_default();
        BlockRef { height: self.data.spec.blocks, hash }
    }

    /// The block at a height.
    #[must_use]
    pub fn block(&self, height: u64) -> Option<BlockRef> {
        self.data.hash(height).map(|hash| BlockRef { height, hash })
    }

    /// How many transfers go to an address of [`BenchSpec::paid`].
    #[must_use]
    pub fn paid(&self) -> u64 {
        let spec = &self.data.spec;
        let total = spec.blocks.saturating_mul(spec.logs_per_block);
        if spec.paid.is_empty() { 0 } else { total.checked_div(spec.paid_every).unwrap_or(0) }
    }

    /// Bytes of JSON that all logs together are.
    #[must_use]
    pub fn log_bytes(&self) -> usize {
        self.data.parts.iter().fold(0, |sum, part| sum.saturating_add(part.log_bytes()))
    }
}

impl Data {
    fn hash(&self, height: u64) -> Option<B256> {
        self.hashes.get(usize::try_from(height).ok()?).copied()
    }

    fn height(&self, hash: B256) -> Option<u64> {
        let place = self.heights.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        self.heights.get(place).map(|(_, height)| *height)
    }
}
