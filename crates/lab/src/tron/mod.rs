//! TRON nodes: a scripted chain, endpoints onto it with faults on demand, and a bench node.
//!
//! In: blocks as lists of [`Tx`]. Out: the HTTP of a full node, a solidity node and TronGrid, as
//! java-tron 4.8.0 and TronGrid answer. Never: execution; a transaction's logs are what the script
//! says they are. Why: every id and root is otherwise real, so a client that checks them can be
//! tested to check them; and mainnet's genesis is the real one, so a client that asks which chain
//! it is on gets the answer it knows.

mod account;
mod address;
pub mod bench;
mod block;
mod call;
mod chain;
mod fault;
mod grid;
mod logs;
mod node;
mod owner;
mod params;
mod proto;
mod raw;
mod render;
mod rows;
#[cfg(test)]
mod tests;
mod tx;
mod view;
mod wallet;

pub use address::{base58, parse};
pub use chain::{Chain, ChainSpec, Genesis, TokenSpec};
pub use fault::{Asker, Fault, Limit, Paths, Spoil};
pub use logs::LogSpec;
pub use node::Node;
pub use tx::Tx;

pub use crate::evm::BlockRef;
pub use crate::faults::FaultId;
