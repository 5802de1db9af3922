//! A follower: polls, connects and records as the daemon does, and is held against the script.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address as RawAddress, U256};
use erc20::{Config, EndpointConfig, Error, Finality, Prove, Source, Start};
use lab::evm::{Chain, ChainSpec, Node, Tx};
use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Cursor, Scan, Transfer, TxHash, connect};
use payments::name::ChainName;
use payments::notice::Notice;
use payments::watch::WatchSet;

/// How deep a reorg may be.
pub(crate) const BOUND: u64 = 64;

/// Ethereum with USDT on it, and nothing mined.
pub(crate) fn chain() -> Chain {
    Chain::new(ChainSpec::ethereum())
}

pub(crate) async fn node(chain: &Chain) -> Node {
    Node::start(chain.clone()).await.unwrap()
}

/// Account `n` of ours; those from 100 on are strangers.
pub(crate) fn account(n: u8) -> RawAddress {
    RawAddress::repeat_byte(n)
}

/// A stranger pays account `to` of ours.
pub(crate) fn pay(to: u8, value: u64) -> Tx {
    Tx::transfer(account(200), account(to), value)
}

/// Strangers among themselves, told apart by `tag`.
pub(crate) fn noise(tag: u64) -> Tx {
    Tx::transfer(account(200), account(201), 7).tagged(tag)
}

/// A config that reads `urls` in this order and lets a failed endpoint rest no time at all.
pub(crate) fn config(urls: &[String]) -> Config {
    let spec = ChainSpec::ethereum();
    let endpoints = urls.iter().zip(["first", "second", "third"]);
    Config {
        chain: ChainName::new("ethereum").unwrap(),
        chain_id: spec.chain_id,
        token: Address(spec.token.address.into_array()),
        decimals: spec.token.decimals,
        genesis: None,
        endpoints: endpoints.map(|(url, name)| EndpointConfig::new(name, url).unwrap()).collect(),
        finality: Finality::Tags,
        start: Start::Height(0),
        max_reorg: BOUND,
        window: 50,
        in_flight: 3,
        deadline: Duration::from_secs(20),
        check_header_hash: true,
        other_tokens: false,
        prove: Prove::Suspicious,
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
    /// Every Transfer of every scan, the token's and others'.
    pub(crate) transfers: Vec<Transfer>,
    /// Every notice of every scan.
    pub(crate) notices: Vec<Notice>,
    pub(crate) polls: u32,
}

impl Follower {
    pub(crate) async fn new(nodes: &[&Node]) -> Self {
        let urls: Vec<String> = nodes.iter().map(|node| node.http_url()).collect();
        Self::with(config(&urls)).await
    }

    /// Ours are the accounts 1 to 9.
    pub(crate) async fn with(config: Config) -> Self {
        let cursor = Cursor::new(config.chain.clone());
        let watch = WatchSet::new((1..10).map(|n| account(n).into_array()).collect());
        Self {
            source: Source::connect(config).await.unwrap(),
            cursor,
            watch: Arc::new(watch),
            recorded: BTreeMap::new(),
            transfers: Vec::new(),
            notices: Vec::new(),
            polls: 0,
        }
    }

    /// Ours are many more than a bloom can be asked about.
    pub(crate) fn crowd(&mut self) {
        let mut all = WatchSet::clone(&self.watch);
        let others: Vec<[u8; 20]> = (0..100u8)
            .map(|n| {
                let mut address = [0xcc; 20];
                address[0] = n;
                address
            })
            .collect();
        all.add(&others);
        self.watch = Arc::new(all);
    }

    /// One poll, not recorded.
    pub(crate) async fn poll(&mut self) -> Result<Scan, Error> {
        let watch = Arc::clone(&self.watch);
        self.polls += 1;
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
        self.transfers.extend(scan.transfers.iter().cloned());
        self.notices.extend(scan.notices.iter().cloned());
        let token = Address(ChainSpec::ethereum().token.address.into_array());
        for transfer in scan.transfers.into_iter().filter(|transfer| transfer.token == token) {
            if added.contains(&transfer.block) {
                let twice = self.recorded.insert((transfer.tx, transfer.n), transfer);
                assert_eq!(twice, None, "one transfer is in two blocks");
            }
        }
        self.cursor.kept = joined.kept;
        self.cursor.finalized = joined.finalized;
        self.cursor.safe = joined.safe;
        let moved = before != self.cursor.last().map(|header| header.id);
        Ok(if moved { scan.blocks.len() } else { 0 })
    }

    /// Steps until nothing is new.
    pub(crate) async fn catch_up(&mut self) {
        while self.step().await.unwrap() > 0 {}
    }

    /// Steps until one is refused; nothing above `height` is followed before.
    pub(crate) async fn stops_at(&mut self, height: u64) -> Error {
        loop {
            match self.step().await {
                Ok(_) => assert!(self.height() <= height),
                Err(error) => return error,
            }
        }
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
        for header in &self.cursor.kept {
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
    (height, account(to).into_array(), U256::from(value))
}

/// Mines `blocks` blocks with a payment to us every fifth and other people's in each, and says
/// what we were paid.
pub(crate) fn traffic(chain: &Chain, blocks: u64) -> Vec<Seen> {
    let mut paid = Vec::new();
    for _ in 0..blocks {
        let height = chain.tip().height + 1;
        let mut txs = vec![noise(height * 10), noise(height * 10 + 1)];
        if height.is_multiple_of(5) {
            let to = 1 + u8::try_from(height % 9).unwrap();
            txs.insert(1, pay(to, height).tagged(height));
            paid.push(seen(height, to, height));
        }
        chain.mine(txs);
    }
    paid
}
