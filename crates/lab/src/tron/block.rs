//! One TRON block: its header, its transactions and what they left, with hashes that are real.
//!
//! In: scripted transactions, the parent, who produces it and when. Out: ids, a merkle root and a
//! block id that verify. Never: a changed block; a fork builds others. Source: java-tron
//! `BlockCapsule`, `Tron.proto` message BlockHeader; checked against recorded blocks and against
//! mainnet's genesis block.

use alloy::primitives::{Address, B256, Bytes, Log, address, b256};

use super::address::{sha256, with_prefix};
use super::proto::Message;
use super::raw::{self, Contract, Raw};
use super::tx::{Cost, Ending, InnerCall, Tx, signature};

/// What java-tron 4.8.0 writes.
const VERSION: u64 = 32;
/// Mainnet's genesis block: its parent, and the words that stand for its witness.
const GENESIS_PARENT: B256 =
    b256!("e58f33f9baf9305dc6f82b9f1934ea8f0ade2defb951258d50167028c780351f");
const GENESIS_WITNESS: &[u8] = b"A new system must allow existing systems to be linked together \
    without requiring any central control or coordination";
/// Who gave what mainnet's genesis gives, and to whom how much, in sun.
const GENESIS_OWNER: &[u8] = b"0x000000000000000000000";
const GENESIS_GIFTS: [(Address, i64); 3] = [
    (address!("71b0af54e0a1182a5e0947d6a64f3b22740ef318"), 99_000_000_000_000_000),
    (address!("ef1bd15b5b657f69611b053a6f4fcd7268a50858"), 0),
    (address!("77944d19c052b73ee2286823aa83f8138cb7032f"), i64::MIN),
];

/// A block as the chain keeps it.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) id: B256,
    pub(crate) header: Header,
    pub(crate) signature: Option<[u8; 65]>,
    pub(crate) txs: Vec<Mined>,
}

/// `BlockHeader.raw_data`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    /// Milliseconds since 1970; zero in the genesis block.
    pub(crate) timestamp: u64,
    pub(crate) parent: B256,
    pub(crate) tx_trie_root: B256,
    /// 21 bytes, except in the genesis block.
    pub(crate) witness: Bytes,
    pub(crate) version: u64,
}

/// A transaction inside a block.
#[derive(Debug)]
pub(crate) struct Mined {
    pub(crate) id: B256,
    pub(crate) raw: Raw,
    pub(crate) raw_bytes: Bytes,
    pub(crate) leaf: B256,
    /// What came of it; the genesis block's transactions have neither this nor a signature.
    pub(crate) outcome: Option<Outcome>,
}

/// What a transaction left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) signature: [u8; 65],
    pub(crate) ending: Ending,
    pub(crate) cost: Cost,
    pub(crate) returned: Bytes,
    pub(crate) logs: Vec<Log>,
    pub(crate) calls: Vec<InnerCall>,
    /// Whom those calls were of.
    pub(crate) called: Address,
}

/// What a block is built from.
pub(crate) struct Plan<'a> {
    pub(crate) parent: &'a Block,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
    pub(crate) witness: Address,
    pub(crate) token: Address,
    pub(crate) start: u64,
    pub(crate) genesis: B256,
    /// The transactions and the tag each was mined under.
    pub(crate) txs: Vec<(Tx, u64)>,
}

impl Block {
    pub(crate) fn build(plan: Plan<'_>) -> Self {
        let mined = |(tx, tag): &(Tx, u64)| {
            Mined::new(tx, tx.raw(*tag, plan.start, plan.genesis, plan.token), plan.token)
        };
        let txs: Vec<_> = plan.txs.iter().map(mined).collect();
        let header = Header {
            number: plan.parent.header.number.saturating_add(1),
            timestamp: plan.time,
            parent: plan.parent.id,
            tx_trie_root: raw::merkle_root(txs.iter().map(|tx| tx.leaf).collect()),
            witness: Bytes::copy_from_slice(&with_prefix(plan.witness)),
            version: VERSION,
        };
        let signature = Some(signature(&header.encode()));
        Self { id: header.id(), header, signature, txs }
    }

    /// Mainnet's genesis block, or one like it under another parent.
    pub(crate) fn genesis(parent: Option<B256>) -> Self {
        let txs: Vec<_> = GENESIS_GIFTS.iter().map(|(to, sun)| Mined::gift(*to, *sun)).collect();
        let header = Header {
            number: 0,
            timestamp: 0,
            parent: parent.unwrap_or(GENESIS_PARENT),
            tx_trie_root: raw::merkle_root(txs.iter().map(|tx| tx.leaf).collect()),
            witness: Bytes::from_static(GENESIS_WITNESS),
            version: 0,
        };
        Self { id: header.id(), header, signature: None, txs }
    }

    /// Every log of a transaction that succeeded, with its transaction's place.
    pub(crate) fn moves(&self) -> impl Iterator<Item = (usize, &Mined, usize, &Log)> {
        self.txs.iter().enumerate().flat_map(|(place, tx)| {
            let outcome = tx.outcome.iter().filter(|outcome| outcome.ending == Ending::Success);
            let logs = outcome.flat_map(|outcome| outcome.logs.iter().enumerate());
            logs.map(move |(index, log)| (place, tx, index, log))
        })
    }
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Message::new()
            .number(1, self.timestamp)
            .bytes(2, self.tx_trie_root.as_slice())
            .bytes(3, self.parent.as_slice())
            .number(7, self.number)
            .bytes(9, &self.witness)
            .number(10, self.version)
            .done()
    }

    /// Eight bytes of the number, then the last 24 of the hash.
    pub(crate) fn id(&self) -> B256 {
        let mut id = sha256(&self.encode());
        id.iter_mut().zip(self.number.to_be_bytes()).for_each(|(to, from)| *to = from);
        B256::from(id)
    }
}

impl Mined {
    pub(crate) fn new(tx: &Tx, raw: Raw, token: Address) -> Self {
        let raw_bytes = Bytes::from(raw.encode());
        let id = raw::id(&raw_bytes);
        let signature = signature(id.as_slice());
        let (ending, cost) = (tx.ending(), tx.cost());
        let leaf = raw::leaf(&raw_bytes, &signature, ending.result().1);
        let (returned, logs) = (tx.returned(), tx.logs(token));
        let calls = tx.calls().to_vec();
        let outcome = Outcome { signature, ending, cost, returned, logs, calls, called: token };
        Self { id, raw, raw_bytes, leaf, outcome: Some(outcome) }
    }

    fn gift(to: Address, sun: i64) -> Self {
        let amount = u64::from_be_bytes(sun.to_be_bytes());
        let to = Bytes::copy_from_slice(&with_prefix(to));
        let raw = Raw {
            refers: None,
            expiration: 0,
            timestamp: 0,
            fee_limit: 0,
            memo: Bytes::new(),
            contract: Contract::Transfer { owner: Bytes::from_static(GENESIS_OWNER), to, amount },
        };
        let raw_bytes = Bytes::from(raw.encode());
        let leaf = raw::leaf(&raw_bytes, &[], 0);
        Self { id: raw::id(&raw_bytes), raw, raw_bytes, leaf, outcome: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_genesis_block_is_mainnets() {
        let genesis = Block::genesis(None);
        let id = b256!("00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc");
        assert_eq!(genesis.id, id);
        let root = b256!("8ef446bf3f395af929c218014f6101ec86576c5f61b2ae3236bf3a2ab5e2fecd");
        assert_eq!(genesis.header.tx_trie_root, root);
    }
}
