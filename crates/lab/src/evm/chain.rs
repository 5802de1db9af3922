//! A scripted chain that several nodes may serve.
//!
//! In: blocks as lists of [`Tx`], reorgs, finality. Out: the same blocks for the same script,
//! always. Never: a clock or randomness; block times are given or follow one another by a step.
//! Why: a scenario that fails must fail again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::{Address, B256, U256, address, keccak256};
use tokio::sync::broadcast;

use super::block::{Block, Plan, moved};
use super::tx::Tx;
use crate::sums::Sums;

/// How many changes a slow subscriber may be behind before it misses some, as real ones do.
const CHANGES: usize = 4096;

/// What a chain is made of.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// As `eth_chainId` answers it.
    pub chain_id: u64,
    /// The token that is meant when a log names no contract.
    pub token: TokenSpec,
    /// The genesis block's time, in seconds since 1970.
    pub start_time: u64,
    /// From one block to the next, in seconds.
    pub block_time_s: u64,
    /// Two chains with the same script and other seeds share no hash.
    pub seed: u64,
}

impl ChainSpec {
    /// Ethereum with Tether's own contract, from 2026-01-01T00:00:00Z on, every 12 s.
    #[must_use]
    pub fn ethereum() -> Self {
        let token = TokenSpec {
            address: address!("dAC17F958D2ee523a2206206994597C13D831ec7"),
            decimals: 6,
            symbol: "USDT".to_owned(),
        };
        Self { chain_id: 1, token, start_time: 1_767_225_600, block_time_s: 12, seed: 0 }
    }
}

/// A token contract, as far as a node answers for it.
#[derive(Clone, Debug)]
pub struct TokenSpec {
    /// Where it lives.
    pub address: Address,
    /// As `decimals()` answers it.
    pub decimals: u8,
    /// As `symbol()` answers it.
    pub symbol: String,
}

/// A block's place and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockRef {
    /// Its distance from genesis.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
}

/// What a node still says about a block that a reorg took off the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Orphans {
    /// The header by hash, its logs and receipts no more.
    #[default]
    Headers,
    /// Everything by hash, as geth does while it keeps the side block.
    Everything,
    /// Nothing.
    Nothing,
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
    pub(crate) orphans: Orphans,
    /// Every block ever built.
    pub(crate) known: BTreeMap<B256, Arc<Block>>,
    /// Genesis apart, so that there is always a tip.
    genesis: Arc<Block>,
    /// The blocks above genesis, by height less one.
    above: Vec<Arc<Block>>,
    /// Blocks a restart has lost and that may come back, highest first.
    lost: Vec<Arc<Block>>,
    /// Where each transaction of the chain is: the height and the place in its block.
    placed: BTreeMap<B256, (u64, usize)>,
    finality: Finality,
    /// How many blocks were built: each one's salt.
    built: u64,
    /// Counts changes of the tip.
    pub(crate) changes: u64,
    bell: broadcast::Sender<Change>,
    sums: Sums,
}

/// The tip has moved.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) tip: Arc<Block>,
}

#[derive(Clone, Copy, Debug)]
enum Finality {
    Lag(u64),
    Set { safe: Option<u64>, finalized: Option<u64> },
}

impl Chain {
    /// A chain with its genesis block and nothing final.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let tokens = BTreeMap::from([(spec.token.address, spec.token.clone())]);
        let genesis = Arc::new(Block::build(Plan {
            parent: None,
            time: spec.start_time,
            salt: salt(spec.seed, 0),
            chain_id: spec.chain_id,
            token: spec.token.address,
            txs: Vec::new(),
        }));
        let state = State {
            spec,
            tokens,
            orphans: Orphans::default(),
            known: BTreeMap::from([(genesis.hash, Arc::clone(&genesis))]),
            genesis,
            above: Vec::new(),
            lost: Vec::new(),
            placed: BTreeMap::new(),
            finality: Finality::Set { safe: None, finalized: None },
            built: 1,
            changes: 0,
            bell: broadcast::Sender::new(CHANGES),
            sums: Sums::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// One more block.
    pub fn mine(&self, txs: Vec<Tx>) -> BlockRef {
        self.change(|state| state.push(txs, None))
    }

    /// One more block at a time of its own, in seconds since 1970; a time not after the tip's
    /// is moved one second past it.
    pub fn mine_at(&self, time: u64, txs: Vec<Tx>) -> BlockRef {
        self.change(|state| state.push(txs, Some(time)))
    }

    /// `n` blocks without transactions; the tip after them.
    pub fn mine_empty(&self, n: u64) -> BlockRef {
        self.change(|state| {
            (0..n).for_each(|_| {
                state.push(Vec::new(), None);
            });
            state.tip().at()
        })
    }

    /// Replaces the last `depth` blocks by the ones given, in one step; the tip after it.
    /// Genesis stays, and what is final is not spared: that is the caller's scenario.
    pub fn reorg(&self, depth: u64, blocks: Vec<Vec<Tx>>) -> BlockRef {
        self.change(|state| {
            state.pop(depth);
            state.lost.clear();
            blocks.into_iter().for_each(|txs| {
                state.push(txs, None);
            });
            state.tip().at()
        })
    }

    /// Takes the last `n` blocks away, as a node does that restarts from an older state; the tip
    /// after it.
    pub fn rewind(&self, n: u64) -> BlockRef {
        self.change(|state| {
            let gone = state.pop(n);
            state.lost.extend(gone);
            state.tip().at()
        })
    }

    /// Brings back what [`Chain::rewind`] took, unless other blocks were mined since.
    pub fn resume(&self) -> BlockRef {
        self.change(|state| {
            while let Some(block) = state.lost.pop() {
                state.place(block);
            }
            state.tip().at()
        })
    }

    /// The finalized height, which need not rise; none above the tip is answered.
    pub fn finalize(&self, height: u64) {
        let mut state = self.lock();
        let (safe, _) = state.set_finality();
        let safe = safe.max(Some(height));
        state.finality = Finality::Set { safe, finalized: Some(height) };
    }

    /// The safe height.
    pub fn safe(&self, height: u64) {
        let mut state = self.lock();
        let (_, finalized) = state.set_finality();
        state.finality = Finality::Set { safe: Some(height), finalized };
    }

    /// From now on the finalized height is the tip's less `blocks`, and the safe one half as far
    /// behind. While the chain is shorter nothing is final.
    pub fn finality_lag(&self, blocks: u64) {
        self.lock().finality = Finality::Lag(blocks);
    }

    /// Another token contract, for look-alikes.
    pub fn deploy(&self, token: TokenSpec) {
        self.lock().tokens.insert(token.address, token);
    }

    /// What nodes say about orphaned blocks from now on.
    pub fn orphans(&self, orphans: Orphans) {
        self.lock().orphans = orphans;
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> BlockRef {
        self.lock().tip().at()
    }

    /// The block on the chain at a height.
    #[must_use]
    pub fn block(&self, height: u64) -> Option<BlockRef> {
        self.lock().canonical(height).map(|block| block.at())
    }

    /// The time of the block at a height, in seconds since 1970.
    #[must_use]
    pub fn time(&self, height: u64) -> Option<u64> {
        self.lock().canonical(height).map(|block| block.header.timestamp)
    }

    /// The hashes of the transactions at a height, in order; empty above the tip.
    #[must_use]
    pub fn transactions(&self, height: u64) -> Vec<B256> {
        let state = self.lock();
        let block = state.canonical(height);
        block.map_or_else(Vec::new, |block| block.txs.iter().map(|tx| tx.hash).collect())
    }

    /// The token's balance of an account after the block at a height, in base units: what
    /// transfers brought less what they took, and zero where that is negative, for an account
    /// that was never paid and pays is one that had money before this chain begins.
    #[must_use]
    pub fn balance(&self, account: Address, height: u64) -> U256 {
        let state = self.lock();
        let token = state.spec.token.address;
        state.canonical(height).map_or(U256::ZERO, |block| state.balance(token, account, block))
    }

    /// What the chain was made of.
    #[must_use]
    pub fn spec(&self) -> ChainSpec {
        self.lock().spec.clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every later change of the tip.
    pub(crate) fn bell(&self) -> broadcast::Receiver<Change> {
        self.lock().bell.subscribe()
    }

    fn change<T>(&self, script: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let before = state.tip().hash;
        let result = script(&mut state);
        if state.tip().hash != before {
            state.changes = state.changes.saturating_add(1);
            let change = Change { number: state.changes, tip: Arc::clone(state.tip()) };
            // Without a subscriber nobody hears it, which is no error.
            let _unheard = state.bell.send(change);
        }
        result
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

    pub(crate) fn is_canonical(&self, block: &Block) -> bool {
        self.canonical(block.header.number).is_some_and(|other| other.hash == block.hash)
    }

    /// The block and the place of a transaction that is on the chain.
    pub(crate) fn transaction(&self, hash: B256) -> Option<(&Arc<Block>, usize)> {
        let (height, place) = self.placed.get(&hash)?;
        Some((self.canonical(*height)?, *place))
    }

    /// The finalized and the safe height, as far as they are known, for a node whose tip is
    /// the one given.
    pub(crate) fn finality(&self, tip: u64) -> (Option<u64>, Option<u64>) {
        match self.finality {
            Finality::Lag(blocks) => {
                (tip.checked_sub(blocks), tip.checked_sub(blocks.div_euclid(2)))
            }
            Finality::Set { safe, finalized } => {
                (finalized.map(|height| height.min(tip)), safe.map(|height| height.min(tip)))
            }
        }
    }

    /// A balance after a block, along that block's own branch, in base units.
    pub(crate) fn balance(&self, token: Address, account: Address, at: &Arc<Block>) -> U256 {
        let parent = |block: &&Arc<Block>| self.known.get(&block.header.parent_hash);
        let blocks = std::iter::successors(Some(at), parent);
        let logs = blocks.flat_map(|block| block.logs());
        let logs = logs.filter(|(_, tx, ..)| tx.succeeded).map(|(_, _, _, log)| log);
        self.sums.of((at.hash, token, account), logs, moved)
    }

    fn push(&mut self, txs: Vec<Tx>, time: Option<u64>) -> BlockRef {
        let parent = Arc::clone(self.tip());
        let earliest = parent.header.timestamp.saturating_add(1);
        let spaced = parent.header.timestamp.saturating_add(self.spec.block_time_s);
        let block = Arc::new(Block::build(Plan {
            time: time.unwrap_or(spaced).max(earliest),
            parent: Some(&parent),
            salt: salt(self.spec.seed, self.built),
            chain_id: self.spec.chain_id,
            token: self.spec.token.address,
            txs: self.told_apart(txs),
        }));
        self.built = self.built.saturating_add(1);
        self.lost.clear();
        self.known.insert(block.hash, Arc::clone(&block));
        self.place(Arc::clone(&block));
        block.at()
    }

    fn place(&mut self, block: Arc<Block>) {
        for (place, tx) in block.txs.iter().enumerate() {
            self.placed.insert(tx.hash, (block.header.number, place));
        }
        self.above.push(block);
    }

    /// Takes up to `n` blocks off, highest first.
    fn pop(&mut self, n: u64) -> Vec<Arc<Block>> {
        let gone: Vec<_> = (0..n).map_while(|_| self.above.pop()).collect();
        for tx in gone.iter().flat_map(|block| &block.txs) {
            self.placed.remove(&tx.hash);
        }
        gone
    }

    /// Gives each transaction the first tag from its own on whose hash is not on the chain.
    fn told_apart(&self, txs: Vec<Tx>) -> Vec<(Tx, u64)> {
        let (chain_id, token) = (self.spec.chain_id, self.spec.token.address);
        let mut here = BTreeSet::new();
        let tag_of = |tx: Tx| {
            let mut tag = tx.tag();
            loop {
                let hash = *tx.envelope(tag, chain_id, token).tx_hash();
                if !self.placed.contains_key(&hash) && here.insert(hash) {
                    return (tx, tag);
                }
                tag = tag.wrapping_add(1);
            }
        };
        txs.into_iter().map(tag_of).collect()
    }

    fn set_finality(&self) -> (Option<u64>, Option<u64>) {
        match self.finality {
            Finality::Set { safe, finalized } => (safe, finalized),
            Finality::Lag(_) => (None, None),
        }
    }
}

impl Block {
    pub(crate) fn at(&self) -> BlockRef {
        BlockRef { height: self.header.number, hash: self.hash }
    }
}

fn salt(seed: u64, built: u64) -> B256 {
    keccak256([seed.to_be_bytes(), built.to_be_bytes()].concat())
}
