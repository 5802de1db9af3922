//! How a chain's nodes are read, of whichever kind they are.
//!
//! In: the config. Out: what a connection is made from. Never: a key that is shown.
//! Why: a chain differs in this and in nothing else that stands above it.

use std::time::Duration;

use payments::address::Spelling;
use payments::chain::BlockHash;

use crate::secret::Secret;

/// How a chain's nodes are read.
#[derive(Debug, Clone)]
pub enum Node {
    /// By JSON-RPC.
    Evm(Box<erc20::Config>),
    /// By the HTTP API of java-tron and of `TronGrid`.
    Tron(Box<TronNode>),
}

/// A TRON chain's nodes, and what of them is read.
#[derive(Debug, Clone)]
pub struct TronNode {
    /// The endpoints and everything about them.
    pub source: trc20::Config,
    /// What a look reads.
    pub way: Way,
}

/// What a look at a TRON chain reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Every block.
    Blocks,
    /// Headers, and what an index says of each account that waits for money.
    Accounts {
        /// With more accounts than this, the blocks are read.
        at_most: u32,
        /// How long after an order ended its account is still asked about.
        linger: Duration,
        /// Whether the blocks are read too, slowly, behind it.
        behind: bool,
    },
}

/// Where `bursar record` sends on what it records.
#[derive(Debug, Clone)]
pub struct Recordable {
    /// The first endpoint that speaks HTTP.
    pub url: Secret,
    /// Its solidity interface, where that is elsewhere.
    pub solidity: Option<Secret>,
}

impl Node {
    /// What tells this chain from others: an EVM chain's id, as `eth_chainId` answers it. TRON's
    /// chains are told apart by their genesis block.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Evm(config) => config.chain_id.to_string(),
            Self::Tron(_) => "tron".to_owned(),
        }
    }

    /// How its people write addresses and transactions.
    #[must_use]
    pub const fn spelling(&self) -> Spelling {
        match self {
            Self::Evm(_) => Spelling::Evm,
            Self::Tron(_) => Spelling::Tron,
        }
    }

    /// Insists on the genesis block that was found at the first connection, unless the config
    /// itself says which.
    pub fn expect_genesis(&mut self, pinned: Option<BlockHash>) {
        let genesis = match self {
            Self::Evm(config) => &mut config.genesis,
            Self::Tron(tron) => &mut tron.source.genesis,
        };
        *genesis = genesis.or(pinned);
    }

    /// The same chain through each endpoint alone, with its name.
    #[must_use]
    pub fn each(&self) -> Vec<(String, Self)> {
        match self {
            Self::Evm(config) => {
                let alone = |each: &erc20::EndpointConfig| {
                    let endpoints = vec![each.clone()];
                    let config = erc20::Config { endpoints, ..(**config).clone() };
                    (each.name.clone(), Self::Evm(Box::new(config)))
                };
                config.endpoints.iter().map(alone).collect()
            }
            Self::Tron(node) => {
                let alone = |each: &trc20::EndpointConfig| {
                    let endpoints = vec![each.clone()];
                    let source = trc20::Config { endpoints, ..node.source.clone() };
                    let node = TronNode { source, way: Way::Blocks };
                    (each.name.clone(), Self::Tron(Box::new(node)))
                };
                node.source.endpoints.iter().map(alone).collect()
            }
        }
    }

    /// The same chain through one endpoint alone: the first, and the next that is another server
    /// where there is one. Each with its name.
    #[must_use]
    pub fn alone(&self) -> Vec<(String, Self)> {
        let mut chosen: Vec<(String, Self)> = Vec::new();
        for (name, node) in self.each() {
            let fresh = chosen.iter().all(|(_, other)| !other.is_at_the_server_of(&node));
            if chosen.len() < 2 && fresh {
                chosen.push((name, node));
            }
        }
        chosen
    }

    fn is_at_the_server_of(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Some(one), Some(other)) => one.is_same_server(other),
            _ => false,
        }
    }

    /// Where its first endpoint is.
    fn place(&self) -> Option<&erc20::Location> {
        match self {
            Self::Evm(config) => config.endpoints.first().map(|each| &each.location),
            Self::Tron(node) => node.source.endpoints.first().map(|each| &each.full.location),
        }
    }

    /// The same chain through another endpoint.
    ///
    /// # Errors
    /// Where `url` is not an endpoint's.
    pub fn with_endpoint(&self, url: &str) -> Result<Self, erc20::LocationError> {
        Ok(match self {
            Self::Evm(config) => {
                let endpoints = vec![erc20::EndpointConfig::new("second", url)?];
                Self::Evm(Box::new(erc20::Config { endpoints, ..(**config).clone() }))
            }
            Self::Tron(node) => {
                let place = trc20::Place { location: trc20::Location::parse(url)?, key: None };
                let endpoints = vec![trc20::EndpointConfig {
                    name: "second".to_owned(),
                    full: place.clone(),
                    solidity: place,
                    index: None,
                    requests_per_second: 0,
                    burst: 0,
                    requests_per_day: 0,
                }];
                let source = trc20::Config { endpoints, ..node.source.clone() };
                Self::Tron(Box::new(TronNode { source, way: Way::Blocks }))
            }
        })
    }

    /// The height at which scanning begins; none where that depends on when it does.
    #[must_use]
    pub const fn start_height(&self) -> Option<u64> {
        match self {
            Self::Evm(config) => match config.start {
                erc20::Start::Height(height) => Some(height),
                erc20::Start::Finalized | erc20::Start::Tip => None,
            },
            Self::Tron(tron) => match tron.source.start {
                trc20::Start::Height(height) => Some(height),
                trc20::Start::Finalized | trc20::Start::Tip => None,
            },
        }
    }
}
