//! What can go wrong with a TRON node or with TronGrid, one variant each.
//!
//! In: a fault, switched on by a test. Out: what a request is struck by, and what the node lies
//! about. Never: a fault the node chose itself. Why: each variant is something that real nodes or
//! TronGrid have done, or that a careless reader would credit; see the design's facts on TRON.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use alloy::primitives::B256;
use serde_json::json;

use crate::faults::{FaultId, Strikes, once_more};
use crate::server::{JSON, Kind};

/// One thing that is wrong with a node until it is healed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer is this, word for word.
    Say {
        /// Whose answer.
        paths: Paths,
        /// Of the HTTP answer.
        status: u16,
        /// Any text, JSON or not.
        body: String,
        /// How often; `None` until healed.
        times: Option<u32>,
    },
    /// Too many requests: after some answers, refusals that name how long to be silent.
    Suspended {
        /// Whose answers.
        paths: Paths,
        /// 429 as a rule; 403 was seen in the same burst.
        status: u16,
        /// In whose words.
        words: Limit,
        /// How long the words say, in seconds. No clock ends it; `refused` does.
        seconds: u32,
        /// Answers between two suspensions; 0 refuses at once.
        answered: u32,
        /// Refusals until requests are answered again; `None` until healed.
        refused: Option<u32>,
        /// Whose requests.
        asker: Asker,
    },
    /// The JSON ends in the middle, under a header that says it is whole.
    Truncate {
        /// Whose answer.
        paths: Paths,
        /// How often; `None` until healed.
        times: Option<u32>,
    },
    /// The connection closes without an answer.
    Drop {
        /// Whose answer.
        paths: Paths,
        /// How often; `None` until healed.
        times: Option<u32>,
    },
    /// Nothing comes until the node is healed; then the true answer does.
    Hang {
        /// Whose answer.
        paths: Paths,
        /// How many requests; `None` all until healed.
        times: Option<u32>,
    },
    /// Every answer comes this much later.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The node's genesis block is another chain's.
    WrongChain,
    /// `decimals()` of every token is this.
    WrongDecimals(u8),
    /// The node is behind: newer blocks do not exist for it, and what is final lags with it. To
    /// switch it on under a client is a tip that goes backward.
    Lag {
        /// By how many blocks.
        blocks: u64,
    },
    /// What is final lags further behind the tip than it should.
    SolidityLag {
        /// By how many blocks more.
        blocks: u64,
    },
    /// What the node says of these blocks is spoilt, in `/wallet` and `/walletsolidity` alike.
    Spoilt {
        /// Which blocks.
        heights: RangeInclusive<u64>,
        /// How.
        how: Spoil,
    },
    /// No transaction info shows the logs of this transaction. Nothing in a header can tell.
    OmitLogs {
        /// Which one.
        tx: B256,
    },
    /// TronGrid's index has lost every row of this transaction; blocks still hold it.
    LostRows {
        /// Which one.
        tx: B256,
    },
    /// TronGrid lists every confirmed row twice, once as `_unconfirmed`.
    DoubledRows,
    /// TronGrid's token transfers have rows for approvals, of type `Approval`.
    ApprovalRows,
    /// TronGrid's rows say nothing of the token: `token_info` is `{}`.
    NoTokenInfo,
    /// TronGrid answers pages without rows, with a fingerprint and `links.next`, for ever.
    EmptyPages,
    /// TronGrid's full pages have neither fingerprint nor links.
    NoFingerprint,
    /// `links.next` points at this origin instead of the node's own.
    ForeignNext {
        /// As in `https://evil.example`.
        origin: String,
    },
}

/// How a block, or the infos of its transactions, is spoilt.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Spoil {
    /// `[]` for a block with transactions, as a node without history says it.
    NoInfos,
    /// One info less than the block has transactions.
    ShortInfos,
    /// The infos in reverse order.
    TurnedInfos,
    /// Each info under an id that is none of the block's.
    ForeignInfos,
    /// `blockID` is not the header's.
    BlockId,
    /// The parent is no block's, and `blockID` fits it.
    Parent,
    /// The first transaction's `txID`, and its info's `id`, are not the hash of its data.
    TxId,
}

/// In whose words a request is one too many. Source: recorded bodies and TronGrid's documentation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Limit {
    /// Without a key; names one method.
    NoKey,
    /// With a key: `suspended for 30 s`.
    Key,
    /// With a key, as seen elsewhere: `suspended for 30s`.
    KeyWithoutSpace,
    /// As documented for `/v1`: `Success`, `Error`, `StatusCode`.
    Documented,
    /// Text that is not JSON.
    Bare,
}

/// Whose requests a suspension is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asker {
    /// Everybody's.
    Anyone,
    /// Those with this `TRON-PRO-API-KEY`.
    Key(String),
    /// Those without a key.
    NoKey,
}

/// The paths a fault strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Paths(Option<BTreeSet<String>>);

impl Paths {
    /// Every path.
    #[must_use]
    pub fn all() -> Self {
        Self(None)
    }

    /// Paths that begin with one of these, as in `/wallet/`, `/walletsolidity/getnowblock`, `/v1/`.
    #[must_use]
    pub fn under(starts: &[&str]) -> Self {
        Self(Some(starts.iter().map(|start| (*start).to_owned()).collect()))
    }

    fn has(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|starts| starts.iter().any(|start| path.starts_with(start)))
    }
}

impl Fault {
    /// The node has too much to do, and says so under HTTP 200 as java-tron does.
    #[must_use]
    pub fn busy(paths: Paths, times: Option<u32>) -> Self {
        let error = "class java.lang.IllegalAccessException : lack of computing resources";
        Self::Say { paths, status: 200, body: json!({ "Error": error }).to_string(), times }
    }
}

/// A request, as far as faults tell requests apart.
pub(crate) struct Struck<'a> {
    pub(crate) path: &'a str,
    pub(crate) key: Option<&'a str>,
}

/// What strikes one request on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Strike {
    Say { status: u16, kind: Kind, body: String },
    Truncate,
    Cut,
    Hang(FaultId),
}

impl Strikes for Fault {
    type Call<'a> = Struck<'a>;
    type Strike = Strike;

    fn strike(&self, id: FaultId, calls: &mut u32, call: &Struck<'_>) -> Option<Strike> {
        let (paths, times, strike) = match self {
            Self::Say { paths, status, body, times } => {
                let kind = if body.starts_with('<') { "text/html".into() } else { JSON };
                (paths, *times, Strike::Say { status: *status, kind, body: body.clone() })
            }
            Self::Truncate { paths, times } => (paths, *times, Strike::Truncate),
            Self::Drop { paths, times } => (paths, *times, Strike::Cut),
            Self::Hang { paths, times } => (paths, *times, Strike::Hang(id)),
            Self::Suspended { paths, status, words, seconds, answered, refused, asker } => {
                if !paths.has(call.path) || !asker.is(call.key) || once_more(calls, Some(*answered))
                {
                    return None;
                }
                let last = refused.map(|refused| answered.saturating_add(refused));
                if let Some(last) = last {
                    *calls = calls.saturating_add(1);
                    if *calls >= last {
                        *calls = 0;
                    }
                }
                let body = words.body(*status, *seconds);
                return Some(Strike::Say { status: *status, kind: JSON, body });
            }
            _ => return None,
        };
        (paths.has(call.path) && once_more(calls, times)).then_some(strike)
    }

    fn delay(&self) -> Duration {
        match self {
            Self::Delay { ms } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }
}

impl Asker {
    fn is(&self, key: Option<&str>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Key(own) => key == Some(own),
            Self::NoKey => key.is_none(),
        }
    }
}

impl Limit {
    fn body(&self, status: u16, seconds: u32) -> String {
        let key = |unit: &str| {
            format!(
                "The key exceeds the frequency limit(15), \
                 and the query server is suspended for {seconds}{unit}"
            )
        };
        match self {
            Self::NoKey => json!({ "Error": format!(
                "request rate of (getTrc20TransactionsByAccount) exceeded the allowed_rps(1), \
                 and the query server is suspended for {seconds} s. To obtain higher request \
                 quotas and a more stable service, it is recommended to authenticate with an API \
                 Key. Please refer to the documentation: https://developers.tron.network/\
                 reference/select-network#how-to-get-an-api-key"
            ) })
            .to_string(),
            Self::Key => json!({ "Error": key(" s") }).to_string(),
            Self::KeyWithoutSpace => json!({ "Error": key("s") }).to_string(),
            Self::Documented => {
                json!({ "Success": false, "Error": key("s"), "StatusCode": status }).to_string()
            }
            Self::Bare => format!(
                "request rate exceeded the allowed_rps(3), \
                 and the query server is suspended for {seconds} s"
            ),
        }
    }
}
