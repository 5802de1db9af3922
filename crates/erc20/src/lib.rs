//! An EVM node, read through alloy, as [`payments::chain::Scan`].
//!
//! In: endpoints of one chain, and the cursor. Out: contiguous verified blocks with the token's
//! Transfers from or to our addresses. Never: a filter that tells the node which addresses are
//! ours; a block skipped, a log believed that its block refutes, a URL shown beyond its host.
//! Why: one node's word is not enough to credit money on; this crate is everything between it and
//! the rules.

mod check;
mod config;
mod contract;
pub mod decode;
mod doorbell;
mod doubt;
mod endpoint;
mod error;
mod evidence;
mod explain;
mod far;
mod header;
mod held;
mod hex;
mod hint;
mod link;
mod near;
mod notice;
mod pool;
mod proof;
mod read;
#[cfg(test)]
mod recordings_tests;
mod refusal;
mod settle;
mod source;
mod span;
mod token;
mod verify;
mod view;
mod wire;

pub use ::endpoint::{Location, LocationError, Rest};

pub use check::{EndpointReport, Failure, Health};
pub use config::{Config, EndpointConfig, Finality, Prove, Start};
pub use doorbell::Doorbell;
pub use error::{BoxError, Error};
pub use explain::Used;
pub use source::Source;
pub use token::Token;
