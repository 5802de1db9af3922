//! A long TRON chain under mainnet's load held as rendered JSON, for benchmarks of what reads it.
//!
//! In: how many blocks, transactions and transfers, and who is paid. Out: a node that answers with
//! whole blocks and infos without rendering them. Never: a fault, a fork, balances. Why: a
//! benchmark must be slow because of the watcher. Ids, parent links and merkle roots are real; the
//! transactions of blocks nobody of interest is paid in are a few fillings in turn, so a day of
//! mainnet, tens of gigabytes, fits in memory, and their ids repeat.

mod build;
mod serve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{Address, B256};

pub use serve::BenchNode;

use self::build::Filling;
use super::block::{Block, Mined};
use super::chain::ChainSpec;
use crate::evm::BlockRef;

/// What a bench chain is made of.
#[derive(Clone, Debug)]
pub struct BenchSpec {
    /// The chain, its token and its seed.
    pub chain: ChainSpec,
    /// The height of its first block. Below it the node has the genesis block alone.
    pub first: u64,
    /// How many blocks there are from there on.
    pub blocks: u64,
    /// Transactions of each block, at least one.
    pub txs_per_block: usize,
    /// How many of them are transfers of the token, to strangers.
    pub transfers_per_block: usize,
    /// How many different fillings the blocks have in turn.
    pub fillings: usize,
    /// Every so many blocks one transfer more goes to an address of `paid`; 0 means never.
    pub paid_every: u64,
    /// Whom those transfers go to, in turn.
    pub paid: Vec<Address>,
    /// How much they carry, in turn, in base units; 1 if empty.
    pub amounts: Vec<u64>,
    /// How far what is final is behind the tip, in blocks.
    pub solidity_lag: u64,
}

impl BenchSpec {
    /// A day of mainnet: 28,800 blocks of 600 transactions, 160 of them transfers of USDT.
    #[must_use]
    pub fn day(paid_every: u64, paid: Vec<Address>, amounts: Vec<u64>) -> Self {
        Self {
            chain: ChainSpec::tron(),
            first: 78_000_000,
            blocks: 28_800,
            txs_per_block: 600,
            transfers_per_block: 160,
            fillings: 16,
            paid_every,
            paid,
            amounts,
            solidity_lag: 18,
        }
    }

    /// The `n`th block's payment, the first block being the first: to whom, and how much.
    fn turn(&self, n: u64) -> Option<(Address, u64)> {
        let turn = n.checked_div(self.paid_every).filter(|_| n.is_multiple_of(self.paid_every))?;
        let turn = usize::try_from(turn.checked_sub(1)?).ok()?;
        let to = self.paid.get(turn.checked_rem(self.paid.len())?)?;
        let place = turn.checked_rem(self.amounts.len());
        let amount = place.and_then(|place| self.amounts.get(place)).copied().unwrap_or(1);
        Some((*to, amount))
    }
}

/// A bench chain; clones share it.
#[derive(Clone)]
pub struct BenchChain {
    data: Arc<Data>,
}

struct Data {
    spec: BenchSpec,
    genesis: Block,
    /// The ids of the blocks from `first` on, and the parent's before them.
    ids: Vec<B256>,
    fillings: Vec<Filling>,
    /// The payment of each height that has one, and the merkle root with it.
    paid: BTreeMap<u64, (Mined, B256)>,
    /// Where each payment is.
    heights: BTreeMap<B256, u64>,
}

impl BenchChain {
    /// Builds it: a few seconds for a day in release. Blocks the thread it is called on.
    #[must_use]
    pub fn build(spec: BenchSpec) -> Self {
        Self { data: Arc::new(build::build(spec)) }
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> BlockRef {
        let hash = self.data.ids.last().copied().unwrap_or_default();
        BlockRef { height: self.data.last(), hash }
    }

    /// The block at a height.
    #[must_use]
    pub fn block(&self, height: u64) -> Option<BlockRef> {
        self.data.id(height).map(|hash| BlockRef { height, hash })
    }

    /// How many transfers go to an address of [`BenchSpec::paid`].
    #[must_use]
    pub fn paid(&self) -> usize {
        self.data.paid.len()
    }

    /// Bytes of JSON that a block and its infos are, on average.
    #[must_use]
    pub fn bytes_per_block(&self) -> usize {
        let fillings = &self.data.fillings;
        let sum = fillings.iter().fold(0_usize, |sum, filling| sum.saturating_add(filling.bytes()));
        sum.checked_div(fillings.len()).unwrap_or(0)
    }
}

impl Data {
    fn last(&self) -> u64 {
        self.spec.first.saturating_add(self.spec.blocks).saturating_sub(1)
    }

    /// A block's place in the chain, counted from 1.
    fn place(&self, height: u64) -> Option<usize> {
        let place = height.checked_sub(self.spec.first)?;
        usize::try_from(place).ok().filter(|_| height <= self.last())?.checked_add(1)
    }

    fn id(&self, height: u64) -> Option<B256> {
        self.ids.get(self.place(height)?).copied()
    }

    fn filling(&self, height: u64) -> Option<&Filling> {
        self.fillings.get(self.place(height)?.checked_rem(self.fillings.len())?)
    }
}
