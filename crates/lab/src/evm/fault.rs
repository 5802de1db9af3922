//! What can go wrong with a node, one variant each.
//!
//! In: a fault, switched on by a test. Out: what a request is struck by, and what the node lies
//! about. Never: a fault the node chose itself. Why: each variant is something that real nodes
//! have done to somebody's money; see the design's chapter on hostile scenarios.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::B256;
use tokio::sync::watch;

use super::dialect::{RangeDialect, ResultDialect};

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
    /// Every WebSocket closes, once, now. Nothing is left to heal.
    CutWebSockets,
    /// Subscriptions are accepted and nothing is pushed.
    SilentWebSockets,
}

impl Fault {
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

/// Names a fault that was switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

/// What strikes one call on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Strike {
    Say { http_status: u16, body: String },
    TooMany { status: u16, retry_after: Option<u64> },
    Truncate,
    Cut,
    Hang(FaultId),
}

/// The faults of one node.
#[derive(Debug)]
pub(crate) struct Faults {
    active: Mutex<Vec<Active>>,
    /// Counts changes of `active`; also where ids come from.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Active {
    id: FaultId,
    fault: Fault,
    /// Calls it has struck, or for a rate limit seen.
    calls: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self { active: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> FaultId {
        let mut active = self.lock();
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
        let id = FaultId(*self.changed.borrow());
        active.push(Active { id, fault, calls: 0 });
        id
    }

    /// Heals one fault, or all.
    pub(crate) fn heal(&self, id: Option<FaultId>) {
        self.lock().retain(|active| id.is_some_and(|id| id != active.id));
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// What is wrong now, in the order it was switched on.
    pub(crate) fn now(&self) -> Vec<Fault> {
        self.lock().iter().map(|active| active.fault.clone()).collect()
    }

    /// Ends when the fault is healed.
    pub(crate) async fn healed(&self, id: FaultId) {
        let mut changed = self.changed.subscribe();
        while self.lock().iter().any(|active| active.id == id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// How much later every answer comes.
    pub(crate) fn delay(&self) -> Duration {
        let delay = |active: &Active| match active.fault {
            Fault::Delay { ms } => Duration::from_millis(ms),
            _ => Duration::ZERO,
        };
        self.lock().iter().map(delay).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// What strikes a call of this method, if anything: the first fault that does.
    pub(crate) fn strike(&self, method: &str) -> Option<Strike> {
        self.lock().iter_mut().find_map(|active| active.strike(method))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    fn strike(&mut self, method: &str) -> Option<Strike> {
        let (methods, times, strike) = match &self.fault {
            Fault::Error { methods, http_status, body, times } => {
                (methods, *times, Strike::Say { http_status: *http_status, body: body.clone() })
            }
            Fault::Truncate { methods, times } => (methods, *times, Strike::Truncate),
            Fault::Drop { methods, times } => (methods, *times, Strike::Cut),
            Fault::Hang { methods, times } => (methods, *times, Strike::Hang(self.id)),
            Fault::RateLimit { status, retry_after, answered } => {
                let (status, retry_after) = (*status, *retry_after);
                if self.calls < *answered {
                    self.calls = self.calls.saturating_add(1);
                    return None;
                }
                self.calls = 0;
                return Some(Strike::TooMany { status, retry_after });
            }
            _ => return None,
        };
        if !methods.has(method) || times.is_some_and(|times| self.calls >= times) {
            return None;
        }
        self.calls = self.calls.saturating_add(1);
        Some(strike)
    }
}
