//! What can go wrong with a node, one variant each.
//!
//! In: a fault, switched on by a test. Out: what a request is struck by, and what the node lies
//! about. Never: a fault the node chose itself. Why: each variant is something that real nodes
//! have done to somebody's money; see the design's chapter on hostile scenarios.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use alloy::primitives::B256;

use super::dialect::{RangeDialect, ResultDialect};
use crate::faults::{FaultId, Strikes, once_more};

/// One thing that is wrong with a node until it is healed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// `eth_getLogs` has nothing for these heights: `[]` by hash, and a gap inside a range.
    EmptyLogs {
        /// Whose logs are withheld.
        heights: RangeInclusive<u64>,
    },
    /// `eth_getLogs` leaves out the logs of one transaction.
    OmitLog {
        /// Which one.
        tx: B256,
    },
    /// Receipts come without the logs of one transaction, so that no root verifies.
    OmitReceiptLogs {
        /// Which one.
        tx: B256,
    },
    /// The node is behind: newer blocks do not exist for it.
    Lag {
        /// By how many blocks.
        blocks: u64,
        /// What `eth_getLogs` does with a range that goes on above its tip.
        beyond: BeyondTip,
    },
    /// The answer is this, word for word. `$ID` in the body becomes the request's id.
    Error {
        /// Whose answer.
        methods: Methods,
        /// Of the whole HTTP answer, also where the call came in a batch.
        http_status: u16,
        /// Any text, JSON or not.
        body: String,
        /// How often; `None` until healed.
        times: Option<u32>,
    },
    /// `eth_getLogs` over more blocks than this is refused.
    RangeLimit {
        /// In whose words.
        dialect: RangeDialect,
        /// Blocks, both ends counted.
        blocks: u64,
    },
    /// `eth_getLogs` with more logs than this is refused.
    ResultLimit {
        /// In whose words.
        dialect: ResultDialect,
        /// The most that are answered.
        logs: usize,
    },
    /// A batch of more calls than this is refused whole, as geth does above 1,000.
    BatchLimit {
        /// The most calls of a batch.
        calls: usize,
    },
    /// Of `answered + 1` calls the last is refused as one too many.
    RateLimit {
        /// 429, or 200 for providers that refuse inside JSON-RPC.
        status: u16,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u64>,
        /// Calls between two refusals; 0 refuses all.
        answered: u32,
    },
    /// The JSON ends in the middle, under a header that says it is whole.
    Truncate {
        /// Whose answer.
        methods: Methods,
        /// How often; `None` until healed.
        times: Option<u32>,
    },
    /// The connection closes without an answer.
    Drop {
        /// Whose answer.
        methods: Methods,
        /// How often; `None` until healed.
        times: Option<u32>,
    },
    /// Nothing comes until the node is healed; then the true answer does.
    Hang {
        /// Whose answer.
        methods: Methods,
        /// How many calls; `None` all until healed.
        times: Option<u32>,
    },
    /// Every answer comes this much later.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// `eth_chainId` and `net_version` name this chain.
    WrongChainId(u64),
    /// `decimals()` of every token is this.
    WrongDecimals(u8),
    /// `eth_getLogs` answers that are not empty end with a log that does not belong there.
    Forge(ForgeLog),
    /// `finalized` is lower than it was.
    FinalizedBackward {
        /// By how many blocks.
        by: u64,
    },
    /// `eth_getBlockReceipts` does not exist.
    NoReceipts,
    /// Blocks come with a `gasUsed` that is not in their hash.
    BadHeader {
        /// Which ones.
        heights: RangeInclusive<u64>,
    },
    /// Blocks at these heights come as `null`, by number and by hash, whatever the newest one is.
    Gap {
        /// Which ones.
        heights: RangeInclusive<u64>,
    },
    /// The node reads the chain for the first time, as geth does it: its newest block is the first
    /// one, no contract is there yet, and `eth_syncing` says how far it is.
    Syncing,
    /// Every WebSocket closes, once, now. Nothing is left to heal.
    CutWebSockets,
    /// Subscriptions are accepted and nothing is pushed.
    SilentWebSockets,
}

impl Fault {
    /// The node does not have these methods, and says so as JSON-RPC 2.0 has it (-32601).
    #[must_use]
    pub fn lacks(methods: &[&str], times: Option<u32>) -> Self {
        let error = r#"{"code":-32601,"message":"the method does not exist"}"#;
        let body = format!(r#"{{"jsonrpc":"2.0","id":$ID,"error":{error}}}"#);
        Self::Error { methods: Methods::only(methods), http_status: 200, body, times }
    }

    /// Whether a batch of so many calls is too large.
    pub(crate) fn refuses(&self, batch: usize) -> bool {
        matches!(self, Self::BatchLimit { calls } if batch > *calls)
    }
}

/// What a node does with a range of logs that goes on above its tip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BeyondTip {
    /// geth: `block range extends beyond current head block`.
    Refuse,
    /// Answers up to its tip without a word; `[]` where the whole range is above it.
    Clamp,
}

/// How the last log of an answer is forged.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ForgeLog {
    /// A copy by a contract that was not asked for.
    OtherAddress,
    /// A copy with a first topic that was not asked for.
    OtherTopic,
    /// A copy one block above the range.
    OutOfRange,
    /// The same log twice.
    Duplicate,
    /// The log says `removed: true`.
    Removed,
    /// The log names a block hash that is not its block's.
    WrongBlockHash,
}

/// The methods a fault strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Methods(Option<BTreeSet<String>>);

impl Methods {
    /// Every method.
    #[must_use]
    pub fn all() -> Self {
        Self(None)
    }

    /// These methods.
    #[must_use]
    pub fn only(methods: &[&str]) -> Self {
        Self(Some(methods.iter().map(|method| (*method).to_owned()).collect()))
    }

    fn has(&self, method: &str) -> bool {
        self.0.as_ref().is_none_or(|methods| methods.contains(method))
    }
}

/// What strikes one call on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Strike {
    Say { http_status: u16, body: String },
    TooMany { status: u16, retry_after: Option<u64> },
    Truncate,
    Cut,
    Hang(FaultId),
}

impl Strikes for Fault {
    type Call<'a> = &'a str;
    type Strike = Strike;

    fn strike(&self, id: FaultId, calls: &mut u32, method: &&str) -> Option<Strike> {
        let (methods, times, strike) = match self {
            Self::Error { methods, http_status, body, times } => {
                (methods, *times, Strike::Say { http_status: *http_status, body: body.clone() })
            }
            Self::Truncate { methods, times } => (methods, *times, Strike::Truncate),
            Self::Drop { methods, times } => (methods, *times, Strike::Cut),
            Self::Hang { methods, times } => (methods, *times, Strike::Hang(id)),
            Self::RateLimit { status, retry_after, answered } => {
                if once_more(calls, Some(*answered)) {
                    return None;
                }
                *calls = 0;
                return Some(Strike::TooMany { status: *status, retry_after: *retry_after });
            }
            _ => return None,
        };
        (methods.has(method) && once_more(calls, times)).then_some(strike)
    }

    fn delay(&self) -> Duration {
        match self {
            Self::Delay { ms } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }
}
