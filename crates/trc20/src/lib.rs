//! A TRON node, read through reqwest, as [`payments::chain::Scan`].
//!
//! In: full nodes, solidity nodes and an index over HTTP, and the cursor. Out: contiguous verified
//! blocks with the token's Transfers from or to our addresses. Never: a Transfer from calldata, a
//! block whose infos are not of exactly its transactions, a key shown or sent elsewhere.
//! Why: everything between a node's word and the rules. What is left to trust is in `README.md`.

mod accounts;
mod budget;
mod check;
mod config;
mod contract;
pub mod decode;
mod error;
mod explain;
mod far;
#[cfg(test)]
mod fixture;
mod header;
mod held;
mod hex;
mod index;
mod near;
mod node;
mod pool;
mod read;
#[cfg(test)]
mod recordings_tests;
mod refusal;
mod source;
mod verify;
mod view;
mod wire;

pub use endpoint::{Location, LocationError, Rest};

pub use accounts::{Account, Found};
pub use budget::{Budget, Habits, Way};
pub use check::{EndpointReport, Failure, Health};
pub use config::{Config, EndpointConfig, Key, Place, Start};
pub use error::{BoxError, Error};
pub use explain::Used;
pub use held::Balance;
pub use index::Hints;
pub use source::Source;
