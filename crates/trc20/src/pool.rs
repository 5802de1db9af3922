//! Which endpoint is asked, and what a failure costs it.
//!
//! In: a question. Out: the first answer that passes its checks, and who gave it. Never: two
//! answers raced (a fast stale node would win), an endpoint asked for a block it does not have, an
//! endpoint asked before its network was checked.
//! Why: one endpoint's lie, failure or suspension must cost nothing but the next one's time.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use payments::address::Address;
use payments::chain::BlockHash;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::error::Error;
use crate::node::Node;
use crate::refusal::{Class, Refusal};
use crate::verify;

/// What every endpoint must agree with.
pub(crate) struct Facts {
    pub(crate) chain: String,
    pub(crate) token: Address,
    /// Whether Transfers of other contracts are read too.
    pub(crate) others: bool,
    pub(crate) decimals: u8,
    /// Block 0: pinned by the config, or the first endpoint's.
    pub(crate) genesis: OnceLock<BlockHash>,
}

/// The endpoints, the preferred one first.
pub(crate) struct Pool {
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) facts: Facts,
    pub(crate) in_flight: usize,
    /// Why an endpoint that was reached may not be used.
    misfit: Mutex<Option<Error>>,
}

/// Who was asked, and why none of them answered.
#[derive(Debug, Default)]
pub(crate) struct Exhausted {
    tried: Vec<(String, Refusal)>,
    rests_for: Option<Duration>,
    /// Who rests and was not asked, and what it said last; how many of those asked for it
    /// themselves.
    resting: Vec<String>,
    silent: usize,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let in_flight = config.in_flight.max(1);
        let gate = Arc::new(Semaphore::new(in_flight));
        let limits = (config.deadline, config.window);
        let mut nodes = Vec::with_capacity(config.endpoints.len());
        for each in &config.endpoints {
            let places = [Some(&each.full), Some(&each.solidity), each.index.as_ref()];
            if places.into_iter().flatten().any(|place| place.location.is_websocket()) {
                let why = format!("endpoint {} is not spoken to over a websocket", each.name);
                return Err(Error::GaveUp { why });
            }
            let node = Node::new(each, limits, Arc::clone(&gate), Arc::clone(&config.rest));
            nodes.push(Arc::new(node.map_err(|fault| Error::GaveUp { why: fault.to_string() })?));
        }
        if nodes.is_empty() {
            return Err(Error::GaveUp { why: "no endpoint is configured".to_owned() });
        }
        let genesis = OnceLock::new();
        if let Some(pinned) = config.genesis {
            let _ = genesis.set(pinned);
        }
        let facts = Facts {
            chain: config.chain.as_str().to_owned(),
            token: config.token,
            others: config.other_tokens,
            decimals: config.decimals,
            genesis,
        };
        Ok(Self { nodes, facts, in_flight, misfit: Mutex::new(None) })
    }

    /// Checks every endpoint that does not rest and was not checked yet. An endpoint that cannot
    /// be reached rests, and is checked when it can.
    ///
    /// # Errors
    /// The first endpoint's that was reached and is not what the config says. Where another is, one
    /// that only lacks something for now rests as one that is down does.
    pub(crate) async fn verify_all(&self) -> Result<(), Error> {
        let unknown = self.nodes.iter().filter(|node| !node.state().verified);
        let all = unknown.filter(|node| node.rests_for().is_none());
        join_all(all.map(|node| self.verify(node))).await;
        let misfit = self.misfit.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_read = self.nodes.iter().any(|node| node.state().verified);
        misfit.filter(|error| !(is_read && error.may_pass())).map_or(Ok(()), Err)
    }

    /// The endpoints that may be asked now.
    pub(crate) async fn usable(&self) -> Vec<Arc<Node>> {
        let mut usable = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            if node.rests_for().is_none() && self.verify(node).await.is_ok() {
                usable.push(Arc::clone(node));
            }
        }
        usable
    }

    /// Asks one endpoint after the other, the preferred one first, until one answers. `height` is
    /// the highest block the answer needs.
    pub(crate) async fn ask<T, F>(
        &self,
        height: Option<u64>,
        question: impl Fn(Arc<Node>) -> F,
    ) -> Result<(T, Arc<Node>), Exhausted>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let mut exhausted = Exhausted::default();
        for node in &self.nodes {
            if node.rests_for().is_some() {
                exhausted.rests(node);
                continue;
            }
            let answer = match self.verify(node).await {
                Ok(()) => match behind(node, height) {
                    None => question(Arc::clone(node)).await,
                    Some(refusal) => Err(refusal),
                },
                Err(refusal) => Err(refusal),
            };
            match answer {
                Ok(answer) => {
                    node.answered();
                    return Ok((answer, Arc::clone(node)));
                }
                Err(refusal) => {
                    self.strike(node, &refusal);
                    exhausted.failed(node, refusal);
                }
            }
        }
        Err(exhausted)
    }

    /// Lets an endpoint rest where its refusal says that it should.
    pub(crate) fn strike(&self, node: &Node, refusal: &Refusal) {
        let Some((failures, rest)) = node.strike(refusal) else { return };
        tracing::warn!(
            chain = self.facts.chain,
            endpoint = node.name,
            at = %node.full.location,
            why = node.hidden(&refusal.why),
            failures,
            rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX),
            "an endpoint failed and rests"
        );
    }

    /// Checks an endpoint before its first use.
    async fn verify(&self, node: &Node) -> Result<(), Refusal> {
        if node.state().verified {
            return Ok(());
        }
        match verify::verify(node, &self.facts).await {
            Ok(()) => {
                node.state().verified = true;
                Ok(())
            }
            Err(verify::Unfit::Silent(refusal)) => {
                self.strike(node, &refusal);
                Err(refusal)
            }
            Err(verify::Unfit::Misfit(error)) => {
                let refusal = Refusal::lie(error.to_string());
                self.strike(node, &refusal);
                let mut misfit = self.misfit.lock().unwrap_or_else(PoisonError::into_inner);
                // One that stays is told before one that may pass.
                if misfit.as_ref().is_none_or(|told| told.may_pass() && !error.may_pass()) {
                    *misfit = Some(error);
                }
                Err(refusal)
            }
        }
    }
}

/// The endpoint's last known tip is below what the answer needs.
fn behind(node: &Node, height: Option<u64>) -> Option<Refusal> {
    let (tip, height) = (node.state().tip?, height?);
    (tip < height).then(|| Refusal::behind(format!("its tip is {tip}, below {height}")))
}

impl Exhausted {
    /// Notes an endpoint that rests and was not asked.
    pub(crate) fn rests(&mut self, node: &Node) {
        self.waits(node);
        let state = node.state();
        let said = node.hidden(state.conduct.last_error().unwrap_or("it failed"));
        self.resting.push(format!("{} rests: {said}", node.name));
        if state.conduct.silent_for().is_some() {
            self.silent = self.silent.saturating_add(1);
        }
    }

    /// Notes a refusal after which the endpoint may rest.
    pub(crate) fn failed(&mut self, node: &Node, refusal: Refusal) {
        self.waits(node);
        let why = node.hidden(&refusal.why);
        self.tried.push((node.name.clone(), Refusal { why, ..refusal }));
    }

    fn waits(&mut self, node: &Node) {
        if let Some(left) = node.rests_for() {
            self.rests_for = Some(self.rests_for.map_or(left, |least| least.min(left)));
        }
    }

    /// Whether nobody refused anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.tried.is_empty()
    }

    /// What each endpoint said, now or before it went to rest.
    pub(crate) fn why(&self) -> String {
        let said = self.tried.iter().map(|(name, refusal)| format!("{name}: {}", refusal.why));
        let said: Vec<String> = said.chain(self.resting.iter().cloned()).collect();
        if said.is_empty() { "all endpoints rest".to_owned() } else { said.join("; ") }
    }

    /// The error of a question that has no block.
    pub(crate) fn error(&self) -> Error {
        let why = self.why();
        let all =
            |fits: fn(&Class) -> bool| self.tried.iter().all(|(_, refusal)| fits(&refusal.class));
        let retry_after = self.rests_for.unwrap_or_default();
        let asked = !self.tried.is_empty();
        if asked && all(|class| matches!(class, Class::Unsupported | Class::Caller)) {
            Error::GaveUp { why }
        } else if (asked || self.silent > 0)
            && self.silent == self.resting.len()
            && all(|class| matches!(class, Class::Rate { .. }))
        {
            Error::RateLimited { retry_after, why }
        } else {
            Error::AllEndpointsDown { retry_after, why }
        }
    }

    /// The error of a block that could not be read: the chain waits at its height, unless nobody
    /// answers anything.
    pub(crate) fn unread(&self, height: u64) -> Error {
        let says_something = |(_, refusal): &(String, Refusal)| {
            matches!(refusal.class, Class::Lie | Class::Behind | Class::Large)
        };
        if self.tried.iter().any(says_something) {
            Error::Unread { height, why: self.why() }
        } else {
            self.error()
        }
    }
}
