//! What the caller decides about a chain and its endpoints.
//!
//! In: values from the operator's config. Out: the same, typed. Never: a policy of our own about
//! how long to wait after a failure; the caller has one for everything.
//! Why: every number an operator may want to change is in one place, with its unit.

use std::fmt;
use std::time::Duration;

use endpoint::{Location, LocationError, Rest};
use payments::address::Address;
use payments::chain::BlockHash;
use payments::name::ChainName;

/// One chain and the endpoints it is read through.
#[derive(Clone)]
pub struct Config {
    /// The chain's name, repeated in every scan.
    pub chain: ChainName,
    /// The id every endpoint must answer to `eth_chainId`.
    pub chain_id: u64,
    /// The token contract.
    pub token: Address,
    /// The decimals the contract must answer to `decimals()`.
    pub decimals: u8,
    /// The hash block 0 must have, where it is pinned.
    pub genesis: Option<BlockHash>,
    /// The endpoints, the preferred one first.
    pub endpoints: Vec<EndpointConfig>,
    /// How a block becomes final.
    pub finality: Finality,
    /// Where scanning begins when nothing is recorded.
    pub start: Start,
    /// How many blocks a reorg may orphan; decides how far below the tip [`Start::Tip`] begins.
    pub max_reorg: u64,
    /// How many blocks the first window of a catch-up holds; it adapts from there.
    pub window: u64,
    /// How many windows, and how many requests near the tip, are under way at once.
    pub in_flight: usize,
    /// How long one request may take, body included.
    pub deadline: Duration,
    /// Whether a header's hash is recomputed. Off only for chains whose header is not Ethereum's,
    /// or whose nodes answer logs that are not under its receipts root: without it no bloom and no
    /// root can be relied on, so omitted logs go unseen.
    pub check_header_hash: bool,
    /// Which blocks' Transfers are proved by their receipts.
    pub prove: Prove,
    /// Whether Transfers of every contract are asked for, and not only the token's. It makes an
    /// answer three to five times as large; see the crate's README for the arithmetic.
    pub other_tokens: bool,
    /// How long an endpoint rests after a failure.
    pub rest: Rest,
}

/// One endpoint.
#[derive(Clone)]
pub struct EndpointConfig {
    /// Its name in logs and reports.
    pub name: String,
    /// Its URL, which may hold an API key and is never shown.
    pub location: Location,
    /// How many requests a second it is asked; 0 for no bound.
    pub requests_per_second: u32,
    /// How many requests may go out at once after a pause.
    pub burst: u32,
}

impl EndpointConfig {
    /// An endpoint without a bound on requests.
    ///
    /// # Errors
    /// [`LocationError`] when `url` is not an endpoint's URL.
    pub fn new(name: &str, url: &str) -> Result<Self, LocationError> {
        Ok(Self {
            name: name.to_owned(),
            location: Location::parse(url)?,
            requests_per_second: 0,
            burst: 0,
        })
    }
}

/// Which blocks' Transfers are read from their receipts, proved by the root in the header, and not
/// only taken from an `eth_getLogs` answer, to which nothing on the chain commits. A proof costs
/// the receipts of one block: about 1 MB on mainnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prove {
    /// Where the answer and the block's bloom contradict each other: no log although the bloom
    /// speaks of the token; a log of ours of which it does not speak; and, where the addresses are
    /// few enough for the bloom to mean something, none of an address of ours of which it speaks.
    /// What an endpoint leaves out or makes up beyond that is believed.
    #[default]
    Suspicious,
    /// And every block with a Transfer from or to one of our addresses: no payment that was made up
    /// is believed. One that was left out may be.
    Payments,
    /// Every block that may hold a Transfer of the token. No `eth_getLogs` answer is asked for.
    Always,
}

/// How a block becomes final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// The node's `finalized` and `safe` tags.
    Tags,
    /// This many blocks below the tip, for chains without the tags.
    Blocks(u64),
}

/// Where scanning begins when nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the finalized block; where none is known, as [`Start::Tip`].
    Finalized,
    /// `max_reorg` blocks below the tip, and not below the finalized block: the nearest to the
    /// tip at which a reorg still finds a recorded block to stand on.
    Tip,
    /// At this height.
    Height(u64),
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config")
            .field("chain", &self.chain.as_str())
            .field("chain_id", &self.chain_id)
            .field("token", &self.token)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.name, self.location)
    }
}
