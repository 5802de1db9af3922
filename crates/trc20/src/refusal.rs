//! Why an endpoint gave no answer, by what to do about it.
//!
//! In: a status and a body, or a fault of the wire. Out: a class and a short reason. Never: a
//! class by status alone: java-tron answers its errors with 200, and a throttled `TronGrid` with
//! 429 or 403. Why: message first, then status. The wordings are the servers' own;
//! `fixtures/java-tron/errors.json` and `$BURSAR_RECORDINGS/errors` hold them.

use std::time::Duration;

use endpoint::Fault;
use serde::Deserialize;
use serde_json::Value;

use crate::decode::DecodeError;

/// How much of a reason is kept.
const WHY_LIMIT: usize = 200;
/// A body above this size is no complaint: the longest known has 400 bytes.
const COMPLAINT_LIMIT: usize = 4 << 10;
/// The longest silence an endpoint may ask for.
const SILENCE_LIMIT: u64 = 3_600;

/// What to do about a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// It does not have that yet, or has another fork meanwhile: ask again, or another.
    Behind,
    /// This endpoint never answers this: ask another, or otherwise.
    Unsupported,
    /// Leave it alone for a while, and ask the same again.
    Rate { after: Option<Duration> },
    /// The answer is too large: ask for fewer blocks.
    Large,
    /// It took too long.
    Timeout,
    /// The question itself was wrong.
    Caller,
    /// It cannot be reached, or answers with a failure of its own.
    Down,
    /// Its answer is not what it should be, or cannot be true.
    Lie,
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

    /// The same with the pause that the answer's headers ask for. What its words say of that comes
    /// first; a failure that says when to come back is no failure.
    pub(crate) fn with(mut self, pause: Option<Duration>) -> Self {
        if let (Some(pause), Class::Rate { after: None } | Class::Down) = (pause, &self.class) {
            self.class = Class::Rate { after: Some(pause) };
        }
        self
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let class = match &fault {
            Fault::TooLarge { .. } => Class::Large,
            Fault::TooDeep => Class::Lie,
            Fault::Broken(_) => Class::Down,
        };
        Self::new(class, fault.to_string())
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        let class = match &error {
            DecodeError::Garbled(_) | DecodeError::Lie(_) => Class::Lie,
            DecodeError::Absent(_) => Class::Behind,
        };
        Self::new(class, error.to_string())
    }
}

/// An error as the servers write it, one way or another.
#[derive(Deserialize)]
struct Complaint {
    #[serde(default, rename = "Error")]
    shouted: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default, alias = "StatusCode", alias = "statusCode")]
    status_code: Option<u16>,
    #[serde(default)]
    message: Option<Value>,
}

/// The refusal in an answer; none where it is no refusal.
pub(crate) fn of(status: u16, body: &[u8]) -> Option<Refusal> {
    let complaint = complaint(body);
    let told = complaint.as_ref().map(|(told, _)| *told);
    let status = told.flatten().unwrap_or(status);
    if complaint.is_none() && (200..300).contains(&status) {
        return None;
    }
    let said = complaint.map_or_else(|| title(body), |(_, said)| said);
    let class = by_words(&said).unwrap_or_else(|| by_status(status));
    let status = if status == 200 { String::new() } else { format!("HTTP {status} ") };
    Some(Refusal::new(class, format!("{status}{}", said.trim())))
}

/// The status and the words of a body that is a complaint.
fn complaint(body: &[u8]) -> Option<(Option<u16>, String)> {
    if body.len() > COMPLAINT_LIMIT {
        return None;
    }
    let found: Complaint = match serde_json::from_slice::<Value>(body).ok()? {
        // One variant is the bare text.
        Value::String(text) => return Some((None, text)),
        object @ Value::Object(_) => serde_json::from_value(object).ok()?,
        _ => return None,
    };
    // A balance, a page and a call have messages of their own, inside other members.
    let failed = found.status_code.filter(|status| *status >= 400);
    let said = found.shouted.or(found.error).or_else(|| found.message.filter(|_| failed.is_some()));
    let said = said?;
    Some((failed, said.as_str().map_or_else(|| said.to_string(), str::to_owned)))
}

/// The title of an HTML page, or the beginning of whatever it is.
fn title(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..COMPLAINT_LIMIT).unwrap_or(body));
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let text = title.map_or(text.as_ref(), |(title, _)| title);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn by_words(said: &str) -> Option<Class> {
    let lower = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if let Some(after) = silence(&lower) {
        return Some(Class::Rate { after: Some(after) });
    }
    if has(RATE) {
        return Some(Class::Rate { after: None });
    }
    if has(CALLER) {
        return Some(Class::Caller);
    }
    has(UNSUPPORTED).then_some(Class::Unsupported)
}

/// `suspended for 30 s`, with or without the space.
fn silence(lower: &str) -> Option<Duration> {
    let (_, rest) = lower.split_once("suspended for ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, unit) = rest.split_at_checked(digits)?;
    let seconds: u64 = digits.parse().ok()?;
    unit.trim_start().starts_with('s').then(|| Duration::from_secs(seconds.min(SILENCE_LIMIT)))
}

fn by_status(status: u16) -> Class {
    match status {
        429 => Class::Rate { after: None },
        404 | 405 | 501 => Class::Unsupported,
        400 => Class::Caller,
        408 | 504 | 524 => Class::Timeout,
        413 => Class::Large,
        _ => Class::Down,
    }
}

const RATE: &[&str] = &[
    "lack of computing resources",
    "frequency limit",
    "allowed_rps",
    "request rate",
    "rate limit",
    "too many requests",
    "quota",
    "exceeds the limit",
];
const CALLER: &[&str] =
    &["jsonexception", "parseexception", "must be legal", "invalid hex", "numberformatexception"];
const UNSUPPORTED: &[&str] = &["method not allowed", "not supported by this url", "not found"];

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
