//! What a node was asked, so that a test can say how often and with what.
//!
//! In: each call as it arrives. Out: counts by method and the latest calls. Never: an unbounded
//! list; the counts go on, the list forgets its oldest. Why: the number of requests is part of
//! what a watcher promises its operator.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// How many calls are remembered word for word.
const REMEMBERED: usize = 10_000;

/// What a node has been asked since it started, or since it was told to forget.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// Calls by method; each call of a batch counts. For HTTP without JSON-RPC, by path.
    pub by_method: BTreeMap<String, u64>,
    /// HTTP requests by the API key they came with, empty for none; TRON nodes alone count them.
    pub by_key: BTreeMap<String, u64>,
    /// HTTP posts; a batch is one.
    pub posts: u64,
    /// The most requests by HTTP that were under way at one time: come in, and not yet answered.
    pub most_at_once: u64,
    /// The latest calls, oldest first, at most 10,000.
    pub recent: VecDeque<Request>,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The JSON-RPC method, or the path.
    pub method: String,
    /// Its parameters as they came: in the body or in the query.
    pub params: Value,
}

impl Requests {
    /// Calls of one method.
    #[must_use]
    pub fn count(&self, method: &str) -> u64 {
        self.by_method.get(method).copied().unwrap_or(0)
    }

    /// Calls of every method, or path, that begins with this.
    #[must_use]
    pub fn count_under(&self, start: &str) -> u64 {
        let under = self.by_method.iter().filter(|(method, _)| method.starts_with(start));
        under.fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// Calls of every method.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_method.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn add(&mut self, method: &str) {
        let count = self.by_method.entry(method.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
}

/// The node's own end of [`Requests`].
#[derive(Debug, Default)]
pub(crate) struct Register {
    requests: Mutex<Requests>,
    under_way: AtomicU64,
}

/// A request that came in. Dropped when it is answered, or nobody waits for it any more.
pub(crate) struct UnderWay<'a>(&'a Register);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Register {
    /// Notes how many requests are under way with this one.
    pub(crate) fn begins(&self) -> UnderWay<'_> {
        let now = self.under_way.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let mut requests = self.lock();
        requests.most_at_once = requests.most_at_once.max(now);
        UnderWay(self)
    }

    pub(crate) fn post(&self) {
        let mut requests = self.lock();
        requests.posts = requests.posts.saturating_add(1);
    }

    pub(crate) fn call(&self, method: &str, params: &Value) {
        let mut requests = self.lock();
        requests.add(method);
        if requests.recent.len() >= REMEMBERED {
            requests.recent.pop_front();
        }
        requests.recent.push_back(Request { method: method.to_owned(), params: params.clone() });
    }

    /// One HTTP request that is not JSON-RPC.
    pub(crate) fn request(&self, path: &str, params: &Value, key: Option<&str>) {
        self.call(path, params);
        let mut requests = self.lock();
        let count = requests.by_key.entry(key.unwrap_or_default().to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts a call without remembering it.
    pub(crate) fn count(&self, method: &str) {
        self.lock().add(method);
    }

    pub(crate) fn read(&self) -> Requests {
        self.lock().clone()
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Requests::default();
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
