//! Why a question about the chain has no answer, by what the caller does about it.
//!
//! In: what the endpoints refused. Out: one variant per way to act. Never: a URL beyond its
//! host, a key, a log line. Why: the caller decides whether to wait, to pause or to stop.

use std::time::Duration;

use payments::chain::BlockHash;

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
    /// The endpoints, or their budget, refuse more requests for now: ask again after
    /// `retry_after`. They are not down.
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
        /// An endpoint and the block id it showed.
        one: (String, BlockHash),
        /// Another endpoint and the block id it showed.
        other: (String, BlockHash),
    },
    /// Two endpoints show different Transfers in one block. Nothing on the chain says who is
    /// right: a person must look.
    #[error("{one} and {other} show different transfers in the block at height {height}")]
    OtherTransfers {
        /// The height.
        height: u64,
        /// An endpoint.
        one: String,
        /// Another endpoint.
        other: String,
    },
    /// Block 0 is not the pinned one: another network.
    #[error("endpoint {endpoint} has genesis {found}, not {expected}")]
    WrongGenesis {
        /// The endpoint.
        endpoint: String,
        /// The pinned id.
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
    NoContract {
        /// The endpoint.
        endpoint: String,
        /// The configured address.
        token: String,
    },
    /// It does not say what is solidified, and nothing else makes a deposit final.
    #[error("endpoint {endpoint} has no solidity node at {location}: {why}")]
    NoSolidity {
        /// The endpoint.
        endpoint: String,
        /// Where it was looked for.
        location: String,
        /// What came instead.
        why: String,
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
    /// Whether an endpoint of which this is true may be the right one all the same: a proxy answers
    /// 404 for a node behind it that is away, and one that was set up anew has no contract yet.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoContract { .. } | Self::NoSolidity { .. })
    }
}
