//! What the caller decides about a chain and its endpoints.
//!
//! In: values from the operator's config. Out: the same, typed. Never: a policy of our own about
//! how long to wait after a failure; a key that is shown, or that belongs to no place.
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
    /// The token contract.
    pub token: Address,
    /// The decimals the contract must answer to `decimals()`.
    pub decimals: u8,
    /// The id block 0 must have, where it is pinned. It is what tells one TRON network from
    /// another.
    pub genesis: Option<BlockHash>,
    /// The endpoints, the preferred one first.
    pub endpoints: Vec<EndpointConfig>,
    /// Where scanning begins when nothing is recorded.
    pub start: Start,
    /// How many blocks a fork switch may orphan; decides how far below the tip [`Start::Tip`]
    /// begins.
    pub max_reorg: u64,
    /// How many blocks one window of a catch-up holds, and the most that one request asks for.
    pub window: u64,
    /// How many requests are under way at once, over all endpoints.
    pub in_flight: usize,
    /// How long one request may take, body included.
    pub deadline: Duration,
    /// Whether Transfers of every contract are read, and not only the token's. The transaction
    /// infos hold them in any case.
    pub other_tokens: bool,
    /// How long an endpoint rests after a failure for which it names no time itself.
    pub rest: Rest,
}

/// One endpoint: a full node, the solidity node beside it, and an index where it has one. What is
/// asked of any of them counts against the same limits.
#[derive(Clone)]
pub struct EndpointConfig {
    /// Its name in logs and reports.
    pub name: String,
    /// Where `/wallet/…` is.
    pub full: Place,
    /// Where `/walletsolidity/…` is: on a plain java-tron another port than the full node's, at
    /// `TronGrid` the same host.
    pub solidity: Place,
    /// Where `TronGrid`'s `/v1/…` is, for account polling; none where it offers no index.
    pub index: Option<Place>,
    /// How many requests a second it is asked; 0 for no bound.
    pub requests_per_second: u32,
    /// How many requests may go out at once after a pause.
    pub burst: u32,
    /// How many requests it is asked in any 24 hours; 0 for no bound.
    pub requests_per_day: u64,
}

/// A base URL, and the key that is sent to it and to nowhere else.
#[derive(Clone)]
pub struct Place {
    /// Its URL, of which only the host is ever shown.
    pub location: Location,
    /// The value of its `TRON-PRO-API-KEY` header.
    pub key: Option<Key>,
}

/// An API key. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// Where scanning begins when nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the solidified block.
    Finalized,
    /// `max_reorg` blocks below the tip, and not below the solidified block.
    Tip,
    /// At this height.
    Height(u64),
}

impl EndpointConfig {
    /// A host that serves everything at one URL, as `TronGrid` does, without a bound on requests.
    ///
    /// # Errors
    /// [`LocationError`] when `url` is not an endpoint's URL.
    pub fn one_host(name: &str, url: &str, key: Option<Key>) -> Result<Self, LocationError> {
        let place = Place { location: Location::parse(url)?, key };
        Ok(Self {
            name: name.to_owned(),
            full: place.clone(),
            solidity: place.clone(),
            index: Some(place),
            requests_per_second: 0,
            burst: 0,
            requests_per_day: 0,
        })
    }

    /// A node of one's own: the full node's URL and the solidity node's, no key, no index.
    ///
    /// # Errors
    /// [`LocationError`] when one of them is not an endpoint's URL.
    pub fn own_node(name: &str, full: &str, solidity: &str) -> Result<Self, LocationError> {
        let solidity = Place { location: Location::parse(solidity)?, key: None };
        Ok(Self { solidity, index: None, ..Self::one_host(name, full, None)? })
    }
}

impl Key {
    /// A key as its provider gave it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The key itself: for the header and nothing else.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(…)")
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_some() { " with a key" } else { "" };
        write!(out, "{}{key}", self.location)
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({:?}, solidity {:?})", self.name, self.full, self.solidity)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config")
            .field("chain", &self.chain.as_str())
            .field("token", &self.token)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}
