//! Why a question about the chain has no answer, by what the caller does about it.
//!
//! In: what the endpoints refused. Out: one variant per way to act. Never: a URL beyond its
//! host, a log line. Why: the caller decides whether to wait, to pause or to stop.

use std::time::Duration;

use payments::chain::{BlockHash, BlockId};

/// An error of the caller's own, carried through.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a question about the chain has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No endpoint answers now: ask again after `retry_after`.
    #[error("no endpoint answers: {why}")]
    AllEndpointsDown {
        /// When the first endpoint has rested.
        retry_after: Duration,
        /// What each endpoint said.
        why: String,
    },
    /// The endpoints refuse more requests for now: ask again after `retry_after`.
    #[error("the endpoints refuse more requests for now: {why}")]
    RateLimited {
        /// How long they asked to be left alone.
        retry_after: Duration,
        /// What each endpoint said.
        why: String,
    },
    /// A block could not be read whole. Nothing is skipped: ask again.
    #[error("the block at height {height} cannot be read whole: {why}")]
    Unread {
        /// Its height.
        height: u64,
        /// What each endpoint said.
        why: String,
    },
    /// The node's chain leaves the recorded one below the lowest kept block: pause the chain.
    #[error("the node's chain differs from the recorded one at height {height} or below")]
    BelowFinalized {
        /// The lowest kept height, at which the two already differ.
        height: u64,
        /// What is recorded there.
        recorded: BlockHash,
        /// What the node has there, where it said so.
        found: Option<BlockHash>,
    },
    /// Two endpoints show different blocks where there can be only one: a person must look.
    #[error("at height {height} {} has {} and {} has {}", .one.0, .one.1, .other.0, .other.1)]
    Disagree {
        /// The height.
        height: u64,
        /// An endpoint and the hash it showed.
        one: (String, BlockHash),
        /// Another endpoint and the hash it showed.
        other: (String, BlockHash),
    },
    /// An endpoint is on another chain than the config says.
    #[error("endpoint {endpoint} is on chain {found}, not on {expected}")]
    WrongChain {
        /// The endpoint.
        endpoint: String,
        /// The configured id.
        expected: u64,
        /// What the endpoint answered.
        found: u64,
    },
    /// Block 0 is not the pinned one.
    #[error("endpoint {endpoint} has genesis {found}, not {expected}")]
    WrongGenesis {
        /// The endpoint.
        endpoint: String,
        /// The pinned hash.
        expected: BlockHash,
        /// What the endpoint has.
        found: BlockHash,
    },
    /// The token has other decimals than the config says.
    #[error("endpoint {endpoint} says the token has {found} decimals, not {expected}")]
    WrongDecimals {
        /// The endpoint.
        endpoint: String,
        /// The configured number.
        expected: u8,
        /// What the contract answered.
        found: String,
    },
    /// There is no contract at the token's address.
    #[error("endpoint {endpoint} has no contract at {token}")]
    NoCode {
        /// The endpoint.
        endpoint: String,
        /// The configured address.
        token: String,
    },
    /// No endpoint can ever answer this: the config or the endpoints must change.
    #[error("no endpoint can answer this: {why}")]
    GaveUp {
        /// What each endpoint said.
        why: String,
    },
    /// The caller could not say which addresses are ours.
    #[error("the watched addresses cannot be refreshed")]
    Watch(#[source] BoxError),
}

impl Error {
    /// Whether an endpoint of which this is true may be the right one all the same: it is behind
    /// where the token was made, or was set up anew.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoCode { .. })
    }
}

/// `height` and `hash` as the chain types spell them.
pub(crate) const fn block_id(height: u64, hash: [u8; 32]) -> BlockId {
    BlockId { height, hash: BlockHash(hash) }
}
