//! A follower: polls, connects and records as the daemon does, and is held against the script.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address as RawAddress, U256};
use lab::tron::{Chain, ChainSpec, Node, Tx};
use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Cursor, Scan, Transfer, TxHash, connect};
use payments::name::ChainName;
use payments::watch::WatchSet;
use trc20::{Config, EndpointConfig, Error, Key, Source, Start};

/// How deep a fork switch may be.
pub(crate) const BOUND: u64 = 64;

/// TRON with USDT on it, and nothing mined.
pub(crate) fn chain() -> Chain {
    Chain::new(ChainSpec::tron())
}

/// A plain node: two ports.
pub(crate) async fn node(chain: &Chain) -> Node {
    Node::start(chain.clone()).await.unwrap()
}

/// `TronGrid`: one port with an index.
pub(crate) async fn grid(chain: &Chain) -> Node {
    Node::start_grid(chain.clone()).await.unwrap()
}

/// Account `n` of ours; those from 100 on are strangers.
pub(crate) fn account(n: u8) -> RawAddress {
    RawAddress::repeat_byte(n)
}

pub(crate) fn ours(n: u8) -> Address {
    Address(account(n).into_array())
}

/// A stranger pays account `to` of ours.
pub(crate) fn pay(to: u8, value: u64) -> Tx {
    Tx::transfer(account(200), account(to), value)
}

/// Strangers among themselves, told apart by `tag`.
pub(crate) fn noise(tag: u64) -> Tx {
    Tx::transfer(account(200), account(201), 7).tagged(tag)
}

/// An endpoint at a node, `TronGrid` or not, without a key.
pub(crate) fn endpoint(name: &str, node: &Node) -> EndpointConfig {
    if node.url() == node.solidity_url() {
        EndpointConfig::one_host(name, &node.url(), None).unwrap()
    } else {
        EndpointConfig::own_node(name, &node.url(), &node.solidity_url()).unwrap()
    }
}

/// The same with a key.
pub(crate) fn keyed(name: &str, node: &Node, key: &str) -> EndpointConfig {
    EndpointConfig::one_host(name, &node.url(), Some(Key::new(key))).unwrap()
}

/// A config that reads `nodes` in this order and lets a failed endpoint rest no time at all.
pub(crate) fn config(nodes: &[&Node]) -> Config {
    let spec = ChainSpec::tron();
    let named = nodes.iter().zip(["first", "second", "third"]);
    Config {
        chain: ChainName::new("tron").unwrap(),
        token: Address(spec.token.address.into_array()),
        decimals: spec.token.decimals,
        genesis: None,
        endpoints: named.map(|(node, name)| endpoint(name, node)).collect(),
        start: Start::Height(1),
        max_reorg: BOUND,
        window: 10,
        in_flight: 4,
        deadline: Duration::from_secs(20),
        other_tokens: false,
        rest: Arc::new(|_| Duration::ZERO),
    }
}

/// One deposit as the script and the follower both know it.
pub(crate) type Seen = (u64, [u8; 20], U256);

/// Polls, connects and records.
pub(crate) struct Follower {
    pub(crate) source: Source,
    pub(crate) cursor: Cursor,
    pub(crate) watch: Arc<WatchSet>,
    pub(crate) recorded: BTreeMap<(TxHash, u32), Transfer>,
}

impl Follower {
    pub(crate) async fn new(nodes: &[&Node]) -> Self {
        Self::with(config(nodes)).await
    }

    /// Ours are the accounts 1 to 9.
    pub(crate) async fn with(config: Config) -> Self {
        let cursor = Cursor::new(config.chain.clone());
        let watch = WatchSet::new((1..10).map(|n| ours(n).0).collect());
        Self {
            source: Source::connect(config).await.unwrap(),
            cursor,
            watch: Arc::new(watch),
            recorded: BTreeMap::new(),
        }
    }

    /// One poll, not recorded.
    pub(crate) async fn poll(&mut self) -> Result<Scan, Error> {
        let watch = Arc::clone(&self.watch);
        self.source.poll(&self.cursor, async || Ok(Arc::clone(&watch))).await
    }

    /// One poll, recorded; how many blocks it brought.
    pub(crate) async fn step(&mut self) -> Result<usize, Error> {
        let scan = self.poll().await?;
        let before = self.cursor.last().map(|header| header.id);
        let joined = connect(&self.cursor, &scan, BOUND).unwrap();
        for gone in &joined.orphaned {
            self.recorded.retain(|_, transfer| transfer.block != gone.id);
        }
        let added: Vec<BlockId> = joined.added.iter().map(|header| header.id).collect();
        let token = Address(ChainSpec::tron().token.address.into_array());
        for transfer in scan.transfers.into_iter().filter(|transfer| transfer.token == token) {
            if added.contains(&transfer.block) {
                let twice = self.recorded.insert((transfer.tx, transfer.n), transfer);
                assert_eq!(twice, None, "one transfer is in two blocks");
            }
        }
        self.cursor.kept = joined.kept;
        self.cursor.finalized = joined.finalized;
        let moved = before != self.cursor.last().map(|header| header.id);
        Ok(if moved { scan.blocks.len() } else { 0 })
    }

    /// Steps until nothing is new.
    pub(crate) async fn catch_up(&mut self) {
        while self.step().await.unwrap() > 0 {}
    }

    /// Steps until nothing is new, and again after an error, at most `patience` times.
    pub(crate) async fn catch_up_stubbornly(&mut self, patience: u32) {
        let mut errors = 0;
        loop {
            match self.step().await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    errors += 1;
                    assert!(errors <= patience, "after {patience} errors still: {error}");
                }
            }
        }
    }

    pub(crate) fn height(&self) -> u64 {
        self.cursor.last().unwrap().id.height
    }

    /// What was recorded, in chain order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mut rows: Vec<&Transfer> = self.recorded.values().collect();
        rows.sort_by_key(|transfer| (transfer.block.height, transfer.log_index));
        rows.iter().map(|row| (row.block.height, row.to.0, row.raw)).collect()
    }

    /// Every kept header is the chain's, and the last one its tip.
    pub(crate) fn assert_at_tip(&self, chain: &Chain) {
        for header in self.cursor.kept.iter().filter(|header| header.id.height > 0) {
            assert_eq!(header.id, at(chain, header.id.height));
        }
        assert_eq!(self.height(), chain.tip().height);
    }
}

/// The chain's block at a height.
pub(crate) fn at(chain: &Chain, height: u64) -> BlockId {
    let block = chain.block(height).unwrap();
    BlockId { height: block.height, hash: BlockHash(block.hash.0) }
}

/// What the script pays to one of ours.
pub(crate) fn seen(height: u64, to: u8, value: u64) -> Seen {
    (height, ours(to).0, U256::from(value))
}

/// Mines `blocks` blocks with a payment to us every fifth, other people's in most, none in some,
/// and says what we were paid.
pub(crate) fn traffic(chain: &Chain, blocks: u64) -> Vec<Seen> {
    let mut paid = Vec::new();
    for _ in 0..blocks {
        let height = chain.tip().height + 1;
        let mut txs = vec![noise(height * 10), noise(height * 10 + 1)];
        if height.is_multiple_of(5) {
            let to = 1 + u8::try_from(height % 9).unwrap();
            txs.insert(1, pay(to, height).tagged(height));
            paid.push(seen(height, to, height));
        } else if height.is_multiple_of(7) {
            txs.clear();
        }
        chain.mine(txs);
    }
    paid
}
