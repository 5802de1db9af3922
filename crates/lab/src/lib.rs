//! Loopback nodes for the demo, the tests and the benchmarks.
//!
//! In: a scripted chain. Out: a node on
//! 127.0.0.1 that speaks HTTP and WebSocket in the shapes real nodes use, with faults on
//! demand. Never: a clock, randomness, a listener off the loopback, or a word about who is
//! asking. Why: money is lost on the day a node lies, and that day has to be had at will.

pub mod evm;
mod jsonrpc;
mod requests;
mod server;

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
}
