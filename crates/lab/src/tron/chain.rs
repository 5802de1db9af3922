//! A scripted TRON chain that several nodes may serve.
//!
//! In: blocks as lists of [`Tx`], missed slots, fork switches, restarts, finality. Out: the same
//! blocks for the same script, always. Never: a clock or randomness; time is the slots of three
//! seconds that were used. Why: a scenario that fails must fail again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::{Address, B256, U256, address, keccak256};

use super::block::{Block, Plan};
use super::logs::moved;
use super::owner::Owner;
use super::raw;
use super::tx::Tx;
use crate::evm::BlockRef;
use crate::sums::Sums;

/// From one slot to the next, in milliseconds. Source: java-tron `Parameter.java`.
pub(crate) const SLOT_MS: u64 = 3_000;
/// How many witnesses take turns.
const WITNESSES: u64 = 27;
/// How many of them must have built on a block to make it final. Source: java-tron
/// `DposService.java`: place `(int) (27 * 0.3)` of their latest heights, lowest first.
const TO_SOLIDIFY: usize = 19;

/// What a chain is made of.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// The token that is meant when a log names no contract.
    pub token: TokenSpec,
    /// When slot 0 is, in milliseconds since 1970, a multiple of 3,000.
    pub start_time: u64,
    /// Two chains with the same script and other seeds share no id above genesis.
    pub seed: u64,
    /// Which genesis block it has.
    pub genesis: Genesis,
}

/// Which genesis block a chain has. Its id says which chain a node is on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Genesis {
    /// Mainnet's own: `00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc`.
    #[default]
    Mainnet,
    /// Another one for each number.
    Own(u64),
}

impl ChainSpec {
    /// TRON with Tether's own contract and mainnet's genesis, from 2026-01-01T00:00:00Z on.
    #[must_use]
    pub fn tron() -> Self {
        let token = TokenSpec {
            address: address!("a614f803b6fd780986a42c78ec9c7f77e6ded13c"),
            name: "Tether USD".to_owned(),
            symbol: "USDT".to_owned(),
            decimals: 6,
        };
        Self { token, start_time: 1_767_225_600_000, seed: 0, genesis: Genesis::Mainnet }
    }
}

/// A token contract, as far as a node answers for it.
#[derive(Clone, Debug)]
pub struct TokenSpec {
    /// Its twenty bytes.
    pub address: Address,
    /// As an index shows it.
    pub name: String,
    /// As `symbol()` answers it.
    pub symbol: String,
    /// As `decimals()` answers it.
    pub decimals: u8,
}

/// A handle on one chain; clones are the same chain.
#[derive(Clone, Debug)]
pub struct Chain {
    state: Arc<Mutex<State>>,
}

/// What is behind the handle.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) spec: ChainSpec,
    pub(crate) tokens: BTreeMap<Address, TokenSpec>,
    /// Genesis apart, so that there is always a tip.
    genesis: Arc<Block>,
    /// The blocks above genesis, by height less one.
    above: Vec<Arc<Block>>,
    /// Blocks a restart has lost and that may come back, highest first.
    lost: Vec<Arc<Block>>,
    /// Where each transaction of the chain is: the height and the place in its block.
    placed: BTreeMap<B256, (u64, usize)>,
    finality: Finality,
    /// The highest height that was final by the rule; a restart does not lower it.
    reached: u64,
    /// The last slot a block was made in. Each slot is used once, so no fork repeats a block.
    slot: u64,
    sums: Sums,
}

#[derive(Clone, Copy, Debug)]
enum Finality {
    Rule,
    Lag(u64),
    Set(u64),
}

impl Chain {
    /// A chain with its genesis block. Blocks become final by java-tron's rule, 18 behind the tip
    /// while no slot is missed.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let tokens = BTreeMap::from([(spec.token.address, spec.token.clone())]);
        let parent = match spec.genesis {
            Genesis::Mainnet => None,
            Genesis::Own(number) => Some(keccak256(number.to_be_bytes())),
        };
        let state = State {
            spec,
            tokens,
            genesis: Arc::new(Block::genesis(parent)),
            above: Vec::new(),
            lost: Vec::new(),
            placed: BTreeMap::new(),
            finality: Finality::Rule,
            reached: 0,
            slot: 0,
            sums: Sums::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// One more block, in the next slot.
    pub fn mine(&self, txs: Vec<Tx>) -> BlockRef {
        self.lock().push(txs)
    }

    /// One more block in the first free slot not before a time, in milliseconds since 1970.
    pub fn mine_at(&self, time: u64, txs: Vec<Tx>) -> BlockRef {
        let mut state = self.lock();
        let slot = time.saturating_sub(state.spec.start_time).div_ceil(SLOT_MS);
        state.slot = state.slot.max(slot.saturating_sub(1));
        state.push(txs)
    }

    /// `n` blocks without transactions; the tip after them.
    pub fn mine_empty(&self, n: u64) -> BlockRef {
        let mut state = self.lock();
        (0..n).for_each(|_| {
            state.push(Vec::new());
        });
        state.tip().at()
    }

    /// The next `n` witnesses make no block: time passes, height does not, and the gap to what is
    /// final grows.
    pub fn miss(&self, n: u64) {
        let mut state = self.lock();
        state.slot = state.slot.saturating_add(n);
    }

    /// A fork switch: the last `depth` blocks are replaced by the ones given, in one step; the tip
    /// after it. What only stood in them is gone for good. Genesis stays; what is final is not
    /// spared, which no real network does: that is the caller's scenario.
    pub fn reorg(&self, depth: u64, blocks: Vec<Vec<Tx>>) -> BlockRef {
        let mut state = self.lock();
        state.pop(depth);
        state.lost.clear();
        state.reached = state.reached.min(state.tip().header.number);
        blocks.into_iter().for_each(|txs| {
            state.push(txs);
        });
        state.tip().at()
    }

    /// Takes the last `n` blocks away, as a node does that restarts; the tip after it. What was
    /// final stays final.
    pub fn rewind(&self, n: u64) -> BlockRef {
        let mut state = self.lock();
        let gone = state.pop(n);
        state.lost.extend(gone);
        state.tip().at()
    }

    /// A restart as java-tron does it: everything above the block after the final one is thrown
    /// away (a tip of 467 became 448 where 447 was final).
    pub fn restart(&self) -> BlockRef {
        let (tip, solid) = (self.tip().height, self.solid().height);
        self.rewind(tip.saturating_sub(solid).saturating_sub(1))
    }

    /// Brings back what [`Chain::rewind`] took, unless other blocks were mined since.
    pub fn resume(&self) -> BlockRef {
        let mut state = self.lock();
        while let Some(block) = state.lost.pop() {
            state.place(block);
        }
        state.tip().at()
    }

    /// The final height from now on, which need not rise; none above the tip is answered.
    pub fn solidify(&self, height: u64) {
        self.lock().finality = Finality::Set(height);
    }

    /// From now on the final height is the tip's less `blocks`.
    pub fn solidity_lag(&self, blocks: u64) {
        self.lock().finality = Finality::Lag(blocks);
    }

    /// The final height follows the witnesses again.
    pub fn solidity_by_rule(&self) {
        self.lock().finality = Finality::Rule;
    }

    /// Another token contract, for look-alikes.
    pub fn deploy(&self, token: TokenSpec) {
        self.lock().tokens.insert(token.address, token);
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> BlockRef {
        self.lock().tip().at()
    }

    /// The newest final block.
    #[must_use]
    pub fn solid(&self) -> BlockRef {
        let state = self.lock();
        let height = state.solid(state.tip().header.number);
        state.canonical(height).unwrap_or(&state.genesis).at()
    }

    /// The block on the chain at a height.
    #[must_use]
    pub fn block(&self, height: u64) -> Option<BlockRef> {
        self.lock().canonical(height).map(|block| block.at())
    }

    /// The time of the block at a height, in milliseconds since 1970.
    #[must_use]
    pub fn time(&self, height: u64) -> Option<u64> {
        self.lock().canonical(height).map(|block| block.header.timestamp)
    }

    /// The ids of the transactions at a height, in order; empty above the tip.
    #[must_use]
    pub fn transactions(&self, height: u64) -> Vec<B256> {
        let state = self.lock();
        let block = state.canonical(height);
        block.map_or_else(Vec::new, |block| block.txs.iter().map(|tx| tx.id).collect())
    }

    /// The token's balance of an account after the block at a height, in base units: what
    /// transfers brought less what they took, and zero where that is negative, for an account
    /// that was never paid and pays is one that had money before this chain begins.
    #[must_use]
    pub fn balance(&self, account: Address, height: u64) -> U256 {
        let state = self.lock();
        state.balance(state.spec.token.address, account, height)
    }

    /// What the chain was made of.
    #[must_use]
    pub fn spec(&self) -> ChainSpec {
        self.lock().spec.clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn tip(&self) -> &Arc<Block> {
        self.above.last().unwrap_or(&self.genesis)
    }

    pub(crate) fn canonical(&self, height: u64) -> Option<&Arc<Block>> {
        match height.checked_sub(1) {
            None => Some(&self.genesis),
            Some(place) => self.above.get(usize::try_from(place).ok()?),
        }
    }

    /// The block and the place of a transaction that is on the chain.
    pub(crate) fn transaction(&self, id: B256) -> Option<(&Arc<Block>, usize)> {
        let (height, place) = self.placed.get(&id)?;
        Some((self.canonical(*height)?, *place))
    }

    /// The blocks up to a height, highest first.
    pub(crate) fn down_from(&self, height: u64) -> impl Iterator<Item = &Arc<Block>> {
        let count = usize::try_from(height).unwrap_or(usize::MAX).min(self.above.len());
        let above = self.above.get(..count).unwrap_or_default();
        above.iter().rev().chain(std::iter::once(&self.genesis))
    }

    /// The final height for a node whose tip is the one given.
    pub(crate) fn solid(&self, tip: u64) -> u64 {
        match self.finality {
            Finality::Lag(blocks) => tip.saturating_sub(blocks),
            Finality::Set(height) => height.min(tip),
            Finality::Rule if tip >= self.tip().header.number => {
                self.by_rule(tip).max(self.reached).min(tip)
            }
            Finality::Rule => self.by_rule(tip),
        }
    }

    /// The highest block that 19 different witnesses have built on or made themselves.
    fn by_rule(&self, tip: u64) -> u64 {
        let mut seen = BTreeSet::new();
        let enough = |block: &&Arc<Block>| {
            seen.insert(block.header.witness.clone());
            seen.len() >= TO_SOLIDIFY
        };
        self.down_from(tip).find(enough).map_or(0, |block| block.header.number)
    }

    /// A token's balance after the block at a height, in base units.
    pub(crate) fn balance(&self, token: Address, account: Address, height: u64) -> U256 {
        let top = self.down_from(height).next().unwrap_or(&self.genesis).id;
        let logs = self.down_from(height).flat_map(|block| block.moves());
        self.sums.of((top, token, account), logs.map(|(_, _, _, log)| log), moved)
    }

    /// What the token's contract remembers of its owner after the block at a height.
    pub(crate) fn owner(&self, height: u64) -> Owner {
        let mut blocks: Vec<_> = self.down_from(height).collect();
        blocks.reverse();
        let logs = blocks.into_iter().flat_map(|block| block.moves()).map(|(_, _, _, log)| log);
        Owner::after(self.spec.token.address, logs)
    }

    fn push(&mut self, txs: Vec<Tx>) -> BlockRef {
        let parent = Arc::clone(self.tip());
        self.slot = self.slot.saturating_add(1);
        let time = self.spec.start_time.saturating_add(self.slot.saturating_mul(SLOT_MS));
        let block = Arc::new(Block::build(Plan {
            parent: &parent,
            time,
            witness: witness(self.spec.seed, self.slot),
            token: self.spec.token.address,
            start: self.spec.start_time,
            genesis: self.genesis.id,
            txs: self.told_apart(txs),
        }));
        self.lost.clear();
        self.place(Arc::clone(&block));
        block.at()
    }

    fn place(&mut self, block: Arc<Block>) {
        for (place, tx) in block.txs.iter().enumerate() {
            self.placed.insert(tx.id, (block.header.number, place));
        }
        let height = block.header.number;
        self.above.push(block);
        self.reached = self.reached.max(self.by_rule(height));
    }

    /// Takes up to `n` blocks off, highest first.
    fn pop(&mut self, n: u64) -> Vec<Arc<Block>> {
        let gone: Vec<_> = (0..n).map_while(|_| self.above.pop()).collect();
        for tx in gone.iter().flat_map(|block| &block.txs) {
            self.placed.remove(&tx.id);
        }
        gone
    }

    /// Gives each transaction the first tag from its own on whose id is not on the chain.
    fn told_apart(&self, txs: Vec<Tx>) -> Vec<(Tx, u64)> {
        let (token, start) = (self.spec.token.address, self.spec.start_time);
        let mut here = BTreeSet::new();
        let tag_of = |tx: Tx| {
            let mut tag = tx.tag();
            loop {
                let id = raw::id(&tx.raw(tag, start, self.genesis.id, token).encode());
                if !self.placed.contains_key(&id) && here.insert(id) {
                    return (tx, tag);
                }
                tag = tag.wrapping_add(1);
            }
        };
        txs.into_iter().map(tag_of).collect()
    }
}

impl Block {
    pub(crate) fn at(&self) -> BlockRef {
        BlockRef { height: self.header.number, hash: self.id }
    }
}

/// Whose turn a slot is.
pub(crate) fn witness(seed: u64, slot: u64) -> Address {
    let turn = slot.rem_euclid(WITNESSES);
    Address::from_word(keccak256(
        [&b"witness"[..], &seed.to_be_bytes(), &turn.to_be_bytes()].concat(),
    ))
}
