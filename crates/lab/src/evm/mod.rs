//! EVM nodes: a scripted chain, endpoints onto it with faults on demand, and a bench node.
//!
//! In: blocks as lists of [`Tx`]. Out: JSON-RPC as geth speaks it. Never: execution; a
//! transaction's logs are what the script says they are. Why: every block is otherwise real, its
//! hash, bloom and roots verify, so a client that checks them can be tested to check them.

mod abi;
pub mod bench;
mod block;
mod chain;
mod dialect;
mod fault;
mod filter;
mod logs;
mod methods;
mod node;
mod render;
mod socket;
#[cfg(test)]
mod tests;
mod tx;
mod view;

pub use chain::{BlockRef, Chain, ChainSpec, Orphans, TokenSpec};
pub use dialect::{RangeDialect, ResultDialect};
pub use fault::{BeyondTip, Fault, ForgeLog, Methods};
pub use node::Node;
pub use tx::{LogSpec, Tx};

pub use crate::faults::FaultId;
