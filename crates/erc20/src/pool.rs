//! Which endpoint is asked, and what a failure costs it.
//!
//! In: a question. Out: the first answer that passes its checks, and who gave it. Never: two
//! answers raced (a fast stale node would win), an endpoint asked for a block it does not have, an
//! endpoint asked before its chain was checked.
//! Why: one endpoint's lie or failure must cost nothing but the next one's time.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use endpoint::{LONGEST_PAUSE, Rest};
use futures_util::future::join_all;
use payments::chain::BlockHash;

use crate::config::{Config, Prove};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::refusal::{Class, Refusal};
use crate::token::Token;
use crate::verify;

/// What every endpoint must agree with.
pub(crate) struct Facts {
    pub(crate) chain: String,
    pub(crate) chain_id: u64,
    pub(crate) token: Token,
    pub(crate) decimals: u8,
    /// Block 0: pinned by the config, or the first endpoint's.
    pub(crate) genesis: OnceLock<BlockHash>,
    /// Whether header hashes are recomputed.
    pub(crate) check: bool,
    /// Which blocks are proved.
    pub(crate) prove: Prove,
}

/// The endpoints, the preferred one first.
pub(crate) struct Pool {
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) facts: Facts,
    rest: Rest,
    /// Why an endpoint that was reached may not be used.
    misfit: Mutex<Option<Error>>,
}

/// Who was asked, and why none of them answered.
#[derive(Debug, Default)]
pub(crate) struct Exhausted {
    tried: Vec<(String, Refusal)>,
    /// Who rests and was not asked, and what it said last.
    resting: Vec<String>,
    rests_for: Option<Duration>,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let endpoint = |each| Endpoint::new(each, config.deadline, config.window).map(Arc::new);
        let endpoints: Result<Vec<_>, _> = config.endpoints.iter().map(endpoint).collect();
        let endpoints = endpoints.map_err(|fault| Error::GaveUp { why: fault.to_string() })?;
        if endpoints.is_empty() {
            return Err(Error::GaveUp { why: "no endpoint is configured".to_owned() });
        }
        if config.prove != Prove::Suspicious && !config.check_header_hash {
            let why = "without the header's hash nothing is proved by its receipts root".to_owned();
            return Err(Error::GaveUp { why });
        }
        let genesis = OnceLock::new();
        if let Some(pinned) = config.genesis {
            let _ = genesis.set(pinned);
        }
        let facts = Facts {
            chain: config.chain.as_str().to_owned(),
            chain_id: config.chain_id,
            token: Token::new(config.token).with_others(config.other_tokens),
            decimals: config.decimals,
            genesis,
            check: config.check_header_hash,
            prove: config.prove,
        };
        Ok(Self { endpoints, facts, rest: Arc::clone(&config.rest), misfit: Mutex::new(None) })
    }

    /// Checks every endpoint that does not rest and was not checked yet. An endpoint that cannot
    /// be reached rests, and is checked when it can.
    ///
    /// # Errors
    /// The first endpoint's that was reached and is not what the config says. Where another is, one
    /// that only lacks something for now rests as one that is down does.
    pub(crate) async fn verify_all(&self) -> Result<(), Error> {
        let unknown = self.endpoints.iter().filter(|endpoint| !endpoint.state().verified);
        let all = unknown.filter(|endpoint| endpoint.rests_for().is_none());
        join_all(all.map(|endpoint| self.verify(endpoint))).await;
        let misfit = self.misfit.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_read = self.endpoints.iter().any(|endpoint| endpoint.state().verified);
        misfit.filter(|error| !(is_read && error.may_pass())).map_or(Ok(()), Err)
    }

    /// The endpoints that may be asked now.
    pub(crate) async fn usable(&self) -> Vec<Arc<Endpoint>> {
        let mut usable = Vec::with_capacity(self.endpoints.len());
        for endpoint in &self.endpoints {
            if endpoint.rests_for().is_none() && self.verify(endpoint).await.is_ok() {
                usable.push(Arc::clone(endpoint));
            }
        }
        usable
    }

    /// Asks one endpoint after the other, the preferred one first, until one answers. `height` is
    /// the highest block the answer needs.
    pub(crate) async fn ask<T, F>(
        &self,
        height: Option<u64>,
        question: impl Fn(Arc<Endpoint>) -> F,
    ) -> Result<(T, Arc<Endpoint>), Exhausted>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let mut exhausted = Exhausted::default();
        for endpoint in &self.endpoints {
            if let Some(left) = endpoint.rests_for() {
                exhausted.rests(endpoint, left);
                continue;
            }
            let answer = match self.verify(endpoint).await {
                Ok(()) => match behind(endpoint, height) {
                    None => question(Arc::clone(endpoint)).await,
                    Some(refusal) => Err(refusal),
                },
                Err(refusal) => Err(refusal),
            };
            match answer {
                Ok(answer) => {
                    endpoint.answered();
                    return Ok((answer, Arc::clone(endpoint)));
                }
                Err(refusal) => {
                    self.strike(endpoint, &refusal);
                    exhausted.failed(endpoint, refusal);
                }
            }
        }
        Err(exhausted)
    }

    /// Lets an endpoint rest where its refusal says that it should.
    pub(crate) fn strike(&self, endpoint: &Endpoint, refusal: &Refusal) {
        let asked_to_wait = match &refusal.class {
            Class::Down | Class::Lie | Class::Timeout | Class::Unknown => None,
            Class::Rate { after } => after.map(|after| after.min(LONGEST_PAUSE)),
            // Asking another time or another endpoint is enough.
            Class::Shrink { .. }
            | Class::Behind
            | Class::Unsupported
            | Class::Caller
            | Class::Batch => {
                endpoint.state().conduct.noted(&refusal.why);
                return;
            }
        };
        let mut state = endpoint.state();
        let failures = state.conduct.failed(&refusal.why);
        let rest = asked_to_wait.unwrap_or_else(|| (self.rest)(failures));
        state.conduct.rest(rest);
        drop(state);
        tracing::warn!(
            chain = self.facts.chain,
            endpoint = endpoint.name,
            at = %endpoint.location,
            why = refusal.why,
            failures,
            rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX),
            "an endpoint failed and rests"
        );
    }

    /// Checks an endpoint before its first use.
    async fn verify(&self, endpoint: &Endpoint) -> Result<(), Refusal> {
        if endpoint.state().verified {
            return Ok(());
        }
        match verify::verify(endpoint, &self.facts).await {
            Ok(()) => {
                endpoint.state().verified = true;
                Ok(())
            }
            Err(verify::Unfit::Silent(refusal)) => {
                self.strike(endpoint, &refusal);
                if refusal.class == Class::Behind {
                    // No fault of its, and it is not asked all of it again at every question.
                    endpoint.state().conduct.rest((self.rest)(1));
                }
                Err(refusal)
            }
            Err(verify::Unfit::Misfit(error)) => {
                let refusal = Refusal::lie(error.to_string());
                self.strike(endpoint, &refusal);
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
fn behind(endpoint: &Endpoint, height: Option<u64>) -> Option<Refusal> {
    let (tip, height) = (endpoint.state().tip?, height?);
    (tip < height).then(|| Refusal::behind(format!("its tip is {tip}, below {height}")))
}

impl Exhausted {
    /// Notes an endpoint that rests and was not asked.
    fn rests(&mut self, endpoint: &Endpoint, left: Duration) {
        self.waits(left);
        let state = endpoint.state();
        let said = state.conduct.last_error().unwrap_or("it failed");
        self.resting.push(format!("{} rests: {said}", endpoint.name));
    }

    fn waits(&mut self, left: Duration) {
        self.rests_for = Some(self.rests_for.map_or(left, |least| least.min(left)));
    }

    /// Notes a refusal after which the endpoint may rest.
    pub(crate) fn failed(&mut self, endpoint: &Endpoint, refusal: Refusal) {
        if let Some(left) = endpoint.rests_for() {
            self.waits(left);
        }
        self.tried.push((endpoint.name.clone(), refusal));
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
        let all = |fits: fn(&Class) -> bool| {
            !self.tried.is_empty() && self.tried.iter().all(|(_, refusal)| fits(&refusal.class))
        };
        let retry_after = self.rests_for.unwrap_or_default();
        if all(|class| matches!(class, Class::Unsupported | Class::Caller)) {
            Error::GaveUp { why }
        } else if all(|class| matches!(class, Class::Rate { .. })) {
            Error::RateLimited { retry_after, why }
        } else {
            Error::AllEndpointsDown { retry_after, why }
        }
    }

    /// The error of a block that could not be read: the chain waits at its height, unless nobody
    /// answers anything.
    pub(crate) fn unread(&self, height: u64) -> Error {
        let says_something = |(_, refusal): &(String, Refusal)| {
            matches!(
                refusal.class,
                Class::Lie | Class::Behind | Class::Unknown | Class::Shrink { .. }
            )
        };
        if self.tried.iter().any(says_something) {
            Error::Unread { height, why: self.why() }
        } else {
            self.error()
        }
    }
}
