//! One endpoint: its link, its rate, its health.
//!
//! In: typed questions. Out: answers, or a classified refusal. Never: a call without a deadline
//! or past its rate; an answer's reading left to the caller where it can be checked here.
//! Why: which endpoint failed, and how, must be known where the failure is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::transports::TransportError;
use bytes::Bytes;
use endpoint::{Bucket, Conduct, Fault, Location};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::config::EndpointConfig;
use crate::decode::Block;
use crate::header;
use crate::link::Link;
use crate::pool::Facts;
use crate::refusal::{Class, Refusal};
use crate::span::Span;
use crate::token::Token;

/// How many calls one batch holds at first; java-tron takes no more.
const BATCH: usize = 100;

/// One endpoint.
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) location: Location,
    link: Link,
    bucket: Bucket,
    deadline: Duration,
    batch: AtomicUsize,
    requests: AtomicU64,
    span: Mutex<Span>,
    state: Mutex<State>,
}

/// What is known of an endpoint's health.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Its chain, genesis and token were checked.
    pub(crate) verified: bool,
    pub(crate) conduct: Conduct,
    pub(crate) tip: Option<u64>,
    pub(crate) finalized: Option<u64>,
    pub(crate) latency: Option<Duration>,
}

impl Endpoint {
    pub(crate) fn new(
        config: &EndpointConfig,
        deadline: Duration,
        window: u64,
    ) -> Result<Self, Fault> {
        Ok(Self {
            name: config.name.clone(),
            location: config.location.clone(),
            link: Link::new(&config.location, deadline)?,
            bucket: Bucket::new(config.requests_per_second, config.burst),
            deadline,
            batch: AtomicUsize::new(BATCH),
            requests: AtomicU64::new(0),
            span: Mutex::new(Span::new(window)),
            state: Mutex::default(),
        })
    }

    /// Whether both are ways to one node, which agrees with itself whatever it says: the same host
    /// and port, or one host over HTTP and over a WebSocket, as nodes offer them side by side.
    pub(crate) fn is_same_node(&self, other: &Self) -> bool {
        let (one, two) = (self.location.secret(), other.location.secret());
        host(one) == host(two)
            && (one.port_or_known_default() == two.port_or_known_default()
                || self.location.is_websocket() != other.location.is_websocket())
    }

    /// One call's result, read as `T`.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, Refusal> {
        self.read(method, &self.json(method, params).await?)
    }

    /// An answer to `question` read as `T`.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        question: &str,
        json: &RawValue,
    ) -> Result<T, Refusal> {
        sonic_rs::from_str(json.get()).map_err(|error| {
            // The reader repeats what it could not read, and a provider may repeat its key.
            let why = self.location.hide_in(&header::first_line(&error));
            Refusal::lie(format!("the answer to {question}: {why}"))
        })
    }

    /// One call's result as it came.
    pub(crate) async fn json(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Box<RawValue>, Refusal> {
        self.within(1, self.link.call(method, &params)).await
    }

    /// An `eth_getLogs` answer as it came.
    pub(crate) async fn logs(&self, filter: &Value) -> Result<Bytes, Refusal> {
        let body = self.within(1, self.link.body("eth_getLogs", filter)).await?;
        self.span().weighed(body.len());
        Ok(body)
    }

    /// What `read` makes of the results of several calls of one method, in order; in batches as
    /// large as it takes. Each is read as its batch comes: what is in them besides is not held.
    pub(crate) async fn calls<T>(
        &self,
        method: &'static str,
        params: &[Value],
        mut read: impl FnMut(&RawValue) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut answers = Vec::with_capacity(params.len());
        while let Some(left) = params.get(answers.len()..).filter(|left| !left.is_empty()) {
            let size = self.batch.load(Ordering::Relaxed).clamp(1, left.len());
            let part = left.get(..size).unwrap_or(left);
            let answer = match part {
                [one] => self.within(1, self.link.call(method, one)).await.map(|json| vec![json]),
                many => {
                    let weight = u32::try_from(many.len()).unwrap_or(u32::MAX);
                    self.within(weight, self.link.batch(method, many)).await
                }
            };
            match answer {
                Ok(part) => {
                    for answer in &part {
                        answers.push(read(answer)?);
                    }
                }
                Err(Refusal { class: Class::Batch | Class::Shrink { .. }, .. }) if size > 1 => {
                    self.batch.store(size >> 1, Ordering::Relaxed);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(answers)
    }

    /// The block at `height` or behind a tag; none where the node has none such.
    pub(crate) async fn block(
        &self,
        at: Value,
        token: &Token,
        check: bool,
    ) -> Result<Option<Block>, Refusal> {
        let by_hash = at.as_str().is_some_and(|text| text.len() == 66);
        let method = if by_hash { "eth_getBlockByHash" } else { "eth_getBlockByNumber" };
        let json = self.json(method, json!([at, false])).await?;
        header::read(&json, token, check)
    }

    /// The blocks from `from` to `to`, each following from the one before; shorter where the
    /// node's chain ends earlier.
    pub(crate) async fn blocks(
        &self,
        from: u64,
        to: u64,
        token: &Token,
        check: bool,
    ) -> Result<Vec<Block>, Refusal> {
        let params: Vec<Value> =
            (from..=to).map(|height| json!([format!("{height:#x}"), false])).collect();
        let read = |json: &RawValue| header::read(json, token, check);
        let answers = self.calls("eth_getBlockByNumber", &params, read).await?;
        let mut blocks = Vec::with_capacity(answers.len());
        for (height, block) in (from..=to).zip(answers) {
            let Some(block) = block else { break };
            if block.header.id.height != height {
                return Err(Refusal::lie(format!("asked for height {height}, got another")));
            }
            blocks.push(block);
        }
        Ok(blocks)
    }

    /// The block at `height`; none where the node's chain ends below it.
    pub(crate) async fn block_at(
        &self,
        height: u64,
        facts: &Facts,
    ) -> Result<Option<Block>, Refusal> {
        let block = self.block(json!(format!("{height:#x}")), &facts.token, facts.check).await?;
        match block {
            Some(block) if block.header.id.height != height => {
                Err(Refusal::lie(format!("asked for height {height}, got another")))
            }
            block => Ok(block),
        }
    }

    async fn within<T>(
        &self,
        weight: u32,
        question: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, Refusal> {
        self.bucket.take(weight).await;
        self.requests.fetch_add(u64::from(weight), Ordering::Relaxed);
        let asked = Instant::now();
        let answer = timeout(self.deadline, question).await;
        Err(match answer {
            Ok(Ok(answer)) => {
                self.state().latency = Some(asked.elapsed());
                return Ok(answer);
            }
            Ok(Err(error)) => self.refusal(error),
            Err(_) => {
                self.link.let_go();
                let seconds = self.deadline.as_secs_f32();
                Refusal::new(Class::Timeout, format!("no answer within {seconds} s"))
            }
        })
    }

    /// What is wrong with an answer. Some providers repeat the key in what they say.
    pub(crate) fn refusal(&self, error: impl Into<Refusal>) -> Refusal {
        let refusal = error.into();
        Refusal { why: self.location.hide_in(&refusal.why), ..refusal }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn span(&self) -> MutexGuard<'_, Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// An answer passed its checks.
    pub(crate) fn answered(&self) {
        self.state().conduct.answered();
    }

    /// How long it still rests.
    pub(crate) fn rests_for(&self) -> Option<Duration> {
        self.state().conduct.rests_for()
    }
}

/// A URL's host, by one name where it is this machine.
fn host(url: &Url) -> &str {
    match url.host_str().unwrap_or_default() {
        "localhost" | "[::1]" => "127.0.0.1",
        host => host,
    }
}
