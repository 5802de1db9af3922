//! Why an endpoint gave no answer, by what to do about it.
//!
//! In: a transport's error, or the `error` member of a body. Out: a class and a short reason.
//! Never: a class by code alone: providers use -32005, -32602, -32000 and -32600 for everything.
//! Why: message and data are read first, then the HTTP status, the code last. The wordings are
//! the providers' own; `$BURSAR_RECORDINGS/errors` holds them.

use std::time::Duration;

use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use endpoint::Fault;
use serde_json::Value;

use crate::decode::DecodeError;
use crate::hint;

/// How much of a reason is kept.
const WHY_LIMIT: usize = 200;

/// What to do about a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// Ask for fewer blocks; perhaps for this many.
    Shrink { hints: Vec<u64> },
    /// The node does not have that block yet: wait, or ask another.
    Behind,
    /// This node never answers this: ask another.
    Unsupported,
    /// Leave it alone for a while, and ask the same again.
    Rate { after: Option<Duration> },
    /// It took too long.
    Timeout,
    /// The question itself was wrong.
    Caller,
    /// It takes no batch, or a smaller one.
    Batch,
    /// It cannot be reached, or answers with a failure of its own.
    Down,
    /// Its answer is not what it should be, or cannot be true.
    Lie,
    /// Nobody knows these words.
    Unknown,
}

/// Why an endpoint gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) class: Class,
    pub(crate) why: String,
}

impl Refusal {
    pub(crate) fn new(class: Class, why: impl Into<String>) -> Self {
        let why: String = why.into();
        Self { class, why: why.chars().take(WHY_LIMIT).collect() }
    }

    pub(crate) fn lie(why: impl Into<String>) -> Self {
        Self::new(Class::Lie, why)
    }

    pub(crate) fn behind(why: impl Into<String>) -> Self {
        Self::new(Class::Behind, why)
    }

    /// Whether it may be the question itself that the node does not know or take: nodes say that
    /// in words of their own.
    pub(crate) const fn is_of_the_question(&self) -> bool {
        matches!(self.class, Class::Unsupported | Class::Caller | Class::Unknown)
    }
}

/// A refusal as it stands in an answer.
#[derive(Debug, Default)]
pub(crate) struct Answer<'a> {
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<i64>,
    pub(crate) message: &'a str,
    pub(crate) data: Option<&'a Value>,
    pub(crate) retry_after: Option<Duration>,
}

impl From<TransportError> for Refusal {
    fn from(error: TransportError) -> Self {
        match error {
            RpcError::ErrorResp(payload) => {
                let data =
                    payload.data.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok());
                classify(&Answer {
                    code: Some(payload.code),
                    message: &payload.message,
                    data: data.as_ref(),
                    ..Answer::default()
                })
            }
            RpcError::Transport(TransportErrorKind::HttpError(error)) => {
                of_body(Some(error.status), &error.body, None)
            }
            RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter {
                error,
                retry_after,
            }) => of_body(Some(error.status), &error.body, Some(retry_after)),
            RpcError::Transport(TransportErrorKind::Custom(error)) => {
                match error.downcast_ref::<Fault>() {
                    Some(Fault::TooLarge { .. }) => {
                        Self::new(Class::Shrink { hints: Vec::new() }, error.to_string())
                    }
                    Some(Fault::TooDeep) => Self::lie(error.to_string()),
                    _ => Self::new(Class::Down, error.to_string()),
                }
            }
            RpcError::Transport(TransportErrorKind::MissingBatchResponse(_)) => {
                Self::lie("the batch's answer leaves out a call")
            }
            RpcError::Transport(error) => Self::new(Class::Down, error.to_string()),
            // Some providers write `"error": "text"`, which is no JSON-RPC error.
            RpcError::DeserError { err, text } => match error_member(&text) {
                Some(error) => of_error(None, &error, None),
                None => Self::lie(format!("the answer is not JSON-RPC: {err}")),
            },
            other => Self::new(Class::Caller, other.to_string()),
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Refused(text) => {
                let error = serde_json::from_str(&text).unwrap_or(Value::String(text));
                of_error(None, &error, None)
            }
            DecodeError::Garbled(_) | DecodeError::Lie(_) => Self::lie(error.to_string()),
        }
    }
}

/// The refusal in a body, whatever its shape.
pub(crate) fn of_body(status: Option<u16>, body: &str, retry_after: Option<Duration>) -> Refusal {
    match error_member(body) {
        Some(error) => of_error(status, &error, retry_after),
        None => classify(&Answer { status, message: body, retry_after, ..Answer::default() }),
    }
}

/// The first JSON value of a body, or its `error` member: text may follow the JSON.
fn error_member(body: &str) -> Option<Value> {
    let mut values = serde_json::Deserializer::from_str(body).into_iter::<Value>();
    let mut value = values.next()?.ok()?;
    if let Value::Array(list) = &mut value {
        value = list.first_mut()?.take();
    }
    let error = value.get_mut("error").filter(|error| !error.is_null()).map(Value::take);
    error.or_else(|| value.get("message").is_some().then_some(value))
}

fn of_error(status: Option<u16>, error: &Value, retry_after: Option<Duration>) -> Refusal {
    let message = error.as_str().or_else(|| error.get("message")?.as_str()).unwrap_or_default();
    let code = error.get("code").and_then(Value::as_i64);
    classify(&Answer { status, code, message, data: error.get("data"), retry_after })
}

/// The class of a refusal: by its words, then by its status, its code last.
pub(crate) fn classify(answer: &Answer<'_>) -> Refusal {
    let said = answer.data.map_or_else(
        || answer.message.to_lowercase(),
        |data| format!("{} {data}", answer.message).to_lowercase(),
    );
    let class = by_words(answer, &said)
        .or_else(|| by_status(answer))
        .or_else(|| by_code(answer))
        .unwrap_or(Class::Unknown);
    let status = answer.status.map(|status| format!("HTTP {status} ")).unwrap_or_default();
    let code = answer.code.map(|code| format!("{code} ")).unwrap_or_default();
    let message = answer.message.split_whitespace().collect::<Vec<_>>().join(" ");
    Refusal::new(class, format!("{status}{code}{message}"))
}

fn by_words(answer: &Answer<'_>, said: &str) -> Option<Class> {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let shrink = |lone| Class::Shrink { hints: hint::spans(answer.message, answer.data, lone) };
    if has(BEHIND) {
        return Some(Class::Behind);
    }
    if has(CALLER) {
        return Some(Class::Caller);
    }
    if has(DEPTH) {
        return Some(Class::Unsupported);
    }
    if said.contains("batch") && has(&["limit", "size", "large", "too many", "support", "exceed"]) {
        return Some(Class::Batch);
    }
    if has(RATE) {
        return Some(Class::Rate { after: answer.retry_after.or_else(|| backoff(answer.data)) });
    }
    if has(RESULTS) {
        return Some(shrink(false));
    }
    if has(RANGE) || (said.contains("range") && has(&["limit", "exceed", "too", "max", "up to"])) {
        return Some(shrink(true));
    }
    // bsc-dataseed answers these two words, and nothing else, at every range.
    if has(UNSUPPORTED) || said.trim() == "limit exceeded" {
        return Some(Class::Unsupported);
    }
    has(TIMEOUT).then_some(Class::Timeout)
}

fn by_status(answer: &Answer<'_>) -> Option<Class> {
    match answer.status? {
        429 => Some(Class::Rate { after: answer.retry_after }),
        // A refusal that says when to come back is one of rate, whatever its status.
        503 if answer.retry_after.is_some() => Some(Class::Rate { after: answer.retry_after }),
        413 => Some(Class::Shrink { hints: Vec::new() }),
        408 | 504 | 524 => Some(Class::Timeout),
        401..=405 | 500..=599 => Some(Class::Down),
        _ => None,
    }
}

fn by_code(answer: &Answer<'_>) -> Option<Class> {
    match answer.code? {
        -32601 => Some(Class::Unsupported),
        -32029 | 429 => Some(Class::Rate { after: answer.retry_after }),
        -32008 => Some(Class::Shrink { hints: Vec::new() }),
        -32603 => Some(Class::Down),
        _ => None,
    }
}

/// `{"rate": {"backoff_seconds": 1.5}}`, as Infura writes it.
fn backoff(data: Option<&Value>) -> Option<Duration> {
    let seconds = data?.get("rate")?.get("backoff_seconds")?.as_f64()?;
    Duration::try_from_secs_f64(seconds).ok()
}

const BEHIND: &[&str] = &[
    "beyond current head",
    "unknown block",
    "block not found",
    "header not found",
    "could not find block",
    "cannot find block",
    "invalid blockhash",
    "block is out of range",
    "after last accepted block",
    "not yet available",
    "no state available for block",
];
const CALLER: &[&str] = &[
    "invalid block range params",
    "can't specify fromblock",
    "cannot specify both blockhash",
    "max addresses or topics",
    "invalid argument",
    "cannot unmarshal",
    "missing value for required",
];
const DEPTH: &[&str] =
    &["archive", "personal token", "pruned", "missing trie node", "history is not available"];
const RATE: &[&str] = &[
    "too many requests",
    "rate limit",
    "ratelimit",
    "rate-limit",
    "request limit",
    "requests per second",
    "per second capacity",
    "compute units",
    "throughput",
    "quota",
    "daily request count",
    "credits",
    "slow down",
];
const RESULTS: &[&str] = &[
    "more than",
    "max results",
    "too many logs",
    "too many results",
    "response size",
    "response is too big",
    "response too large",
    "response exceeds",
    "logs matched by query exceeds",
];
const RANGE: &[&str] = &[
    "block range",
    "blocks range",
    "range limit",
    "max range",
    "too many blocks",
    "ranges over",
    "range is too",
    "limit the query to at most",
    "exceeds limit of",
    "exceeds the range",
    "range exceeds",
];
const UNSUPPORTED: &[&str] = &[
    "method not found",
    "does not exist",
    "is not available",
    "not supported",
    "unsupported",
    "not whitelisted",
    "method is disabled",
    "upgrade to access",
];
const TIMEOUT: &[&str] = &["timeout", "timed out", "took too long", "deadline exceeded"];

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
