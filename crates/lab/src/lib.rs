//! Loopback nodes for the demo, the tests and the benchmarks.
//!
//! In: a scripted chain, or a tape of what a real node once answered. Out: a node on
//! 127.0.0.1 that speaks HTTP and WebSocket in the shapes real nodes use, with faults on
//! demand. Never: a clock, randomness, a listener off the loopback, or a word about who is
//! asking. Why: money is lost on the day a node lies, and that day has to be had at will.

pub mod evm;
mod faults;
mod jsonrpc;
mod requests;
mod server;
mod sums;
pub mod tape;
pub mod tron;

pub use requests::{Request, Requests};

/// Why a loopback node could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The loopback port could not be listened on.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for; 0 means any free one.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The node to be recorded could not be asked.
    #[error("cannot ask the node to be recorded")]
    Upstream(#[source] reqwest::Error),
    /// What answered does not speak for a chain.
    #[error("what was to be recorded is no node: it says {said}")]
    NotANode {
        /// Its answer to `eth_chainId`, or what it has for a genesis block.
        said: String,
    },
    /// A tape's file could not be read or written.
    #[error("cannot use the tape {path}")]
    TapeFile {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line of a tape is not what a tape holds.
    #[error("line {line} of the tape is not a tape's line")]
    TapeLine {
        /// Counted from 1.
        line: usize,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// The tape has not even a first line.
    #[error("the tape is empty")]
    TapeEmpty,
}
