//! How the endpoints are, asked one by one.
//!
//! In: the endpoints. Out: one report each, every failure with its reason. Never: a URL beyond
//! its host; a failure that ends the check of the rest. Why: an operator sees what a poll sees
//! before the poll has to.

use std::fmt::Display;
use std::time::Duration;

use alloy::primitives::{Bytes, U256};
use futures_util::future::join_all;
use payments::chain::BlockHash;
use serde_json::json;

use crate::config::{Config, EndpointConfig, Finality};
use crate::decode::{self, Block};
use crate::doorbell;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::Facts;
use crate::pool::Pool;
use crate::refusal::{Class, Refusal};
use crate::source::Source;
use crate::verify;

/// The first four bytes of `keccak256("symbol()")`.
const SYMBOL: &str = "0x95d89b41";

/// What one endpoint answered. A field without a value has its reason among `failures`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    /// The endpoint's name.
    pub name: String,
    /// Scheme, host and port.
    pub location: String,
    /// Whether it answered anything.
    pub reachable: bool,
    /// How long its first answer took.
    pub latency: Option<Duration>,
    /// Its chain id.
    pub chain_id: Option<u64>,
    /// The hash of its block 0.
    pub genesis: Option<BlockHash>,
    /// The height of its newest block, whose header hash was recomputed.
    pub tip: Option<u64>,
    /// How many blocks it is behind the best endpoint.
    pub lag: Option<u64>,
    /// The height of its finalized block.
    pub finalized: Option<u64>,
    /// Whether there is code at the token's address.
    pub has_code: Option<bool>,
    /// The token's decimals.
    pub decimals: Option<String>,
    /// The token's symbol: a word for people, never an identity.
    pub symbol: Option<String>,
    /// Whether it answers `eth_getLogs` for its newest block.
    pub logs: bool,
    /// Whether it offers a subscription; none over HTTP.
    pub subscription: Option<bool>,
    /// What failed, and why.
    pub failures: Vec<Failure>,
}

/// One question that was not answered as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was asked.
    pub what: &'static str,
    /// What is wrong with the answer.
    pub why: String,
}

/// How an endpoint has been so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The endpoint's name.
    pub name: String,
    /// Scheme, host and port.
    pub location: String,
    /// Whether its chain and token were checked.
    pub verified: bool,
    /// How long it still rests after a failure.
    pub resting_for: Option<Duration>,
    /// Failures in a row.
    pub failures: u32,
    /// Failures since the start.
    pub failed: u64,
    /// Requests since the start, each call of a batch counted.
    pub requests: u64,
    /// What it last said wrong.
    pub last_error: Option<String>,
    /// The height of its newest block when it was last looked at.
    pub tip: Option<u64>,
    /// The height of its finalized block when it was last looked at.
    pub finalized: Option<u64>,
    /// How long its last answer took.
    pub latency: Option<Duration>,
    /// How many blocks it is asked for at once.
    pub span: u64,
}

impl Source {
    /// How each endpoint has been so far. Asks nothing.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        let health = self.pool.endpoints.iter().map(|endpoint| {
            let state = endpoint.state().clone();
            Health {
                name: endpoint.name.clone(),
                location: endpoint.location.to_string(),
                verified: state.verified,
                resting_for: endpoint.rests_for(),
                failures: state.conduct.failures(),
                failed: state.conduct.failed_in_all(),
                requests: endpoint.requests(),
                last_error: state.conduct.last_error().map(str::to_owned),
                tip: state.tip,
                finalized: state.finalized,
                latency: state.latency,
                span: endpoint.span().blocks(),
            }
        });
        health.collect()
    }

    /// Asks every endpoint everything a scan needs, resting or not.
    pub async fn check(&self) -> Vec<EndpointReport> {
        reports(&self.pool, &self.config).await
    }

    /// The same of endpoints that may not be what the config says, without connecting first.
    ///
    /// # Errors
    /// [`Error::GaveUp`] where the config names no endpoint.
    pub async fn inspect(config: &Config) -> Result<Vec<EndpointReport>, Error> {
        Ok(reports(&Pool::new(config)?, config).await)
    }
}

async fn reports(pool: &Pool, config: &Config) -> Vec<EndpointReport> {
    let pairs = pool.endpoints.iter().zip(&config.endpoints);
    let how = (config.finality, config.deadline);
    let mut reports =
        join_all(pairs.map(|(endpoint, config)| report(endpoint, config, &pool.facts, how))).await;
    let best = reports.iter().filter_map(|report| report.tip).max();
    for report in &mut reports {
        report.lag = report.tip.and_then(|tip| best?.checked_sub(tip));
    }
    reports
}

async fn report(
    endpoint: &Endpoint,
    config: &EndpointConfig,
    facts: &Facts,
    (finality, deadline): (Finality, Duration),
) -> EndpointReport {
    let mut notes = Notes::default();
    let chain_id = notes.take("chain id", verify::chain_id(endpoint).await);
    let latency = endpoint.state().latency.filter(|_| chain_id.is_some());
    let genesis = notes.take("genesis", verify::genesis(endpoint).await);
    let tip = notes.take("tip", block(endpoint, facts, "latest").await);
    let finalized = match finality {
        Finality::Tags => {
            let block = notes.take("finalized", block(endpoint, facts, "finalized").await);
            block.map(|block| block.header.id.height)
        }
        Finality::Blocks(below) => tip.and_then(|tip| tip.header.id.height.checked_sub(below)),
    };
    let code = notes.take("code", verify::code(endpoint, facts).await);
    let decimals = notes.take("decimals", verify::decimals(endpoint, facts).await);
    let symbol = verify::call(endpoint, facts, SYMBOL, &json!("latest")).await;
    let symbol = notes.take("symbol", symbol);
    let logs = match &tip {
        Some(tip) => notes.take("logs", logs(endpoint, facts, tip).await).is_some(),
        None => false,
    };
    let subscription = doorbell::offered(config, &facts.token, deadline).await;
    let subscription = subscription.map(|offered| {
        let offered = offered.map_err(|why| Refusal::new(Class::Unsupported, why));
        notes.take("subscription", offered).is_some()
    });
    notes.compare("chain id", chain_id.as_ref(), Some(&facts.chain_id));
    notes.compare("genesis", genesis.as_ref(), facts.genesis.get());
    notes.compare("decimals", decimals.as_ref(), Some(&U256::from(facts.decimals)));
    let has_code = code.map(|code| !code.is_empty());
    if has_code == Some(false) {
        let yet = match verify::is_new(endpoint, facts).await {
            Ok(true) => " yet: the node is still reading the chain for the first time",
            _ => "",
        };
        notes.note("code", format!("there is no contract at {}{yet}", facts.token.address()));
    }
    EndpointReport {
        name: endpoint.name.clone(),
        location: endpoint.location.to_string(),
        reachable: chain_id.is_some() || tip.is_some(),
        latency,
        chain_id,
        genesis,
        tip: tip.map(|block| block.header.id.height),
        lag: None,
        finalized,
        has_code,
        decimals: decimals.map(|decimals| decimals.to_string()),
        symbol: symbol.map(|symbol| text(&symbol)),
        logs,
        subscription,
        failures: notes.0,
    }
}

/// What failed so far.
#[derive(Default)]
struct Notes(Vec<Failure>);

impl Notes {
    fn note(&mut self, what: &'static str, why: String) {
        self.0.push(Failure { what, why });
    }

    fn take<T>(&mut self, what: &'static str, answer: Result<T, Refusal>) -> Option<T> {
        answer.map_err(|refusal| self.note(what, refusal.why)).ok()
    }

    fn compare<T: PartialEq + Display>(
        &mut self,
        what: &'static str,
        found: Option<&T>,
        expected: Option<&T>,
    ) {
        if let (Some(found), Some(expected)) = (found, expected)
            && found != expected
        {
            self.note(what, format!("it is {found}, not {expected}"));
        }
    }
}

async fn block(endpoint: &Endpoint, facts: &Facts, tag: &str) -> Result<Block, Refusal> {
    let block = endpoint.block(json!(tag), &facts.token, facts.check).await?;
    block.ok_or_else(|| Refusal::behind(format!("it has no {tag} block")))
}

async fn logs(endpoint: &Endpoint, facts: &Facts, tip: &Block) -> Result<(), Refusal> {
    let body = endpoint.logs(&facts.token.in_block(&tip.header.id.hash)).await?;
    decode::logs(&body, &facts.token, std::slice::from_ref(tip), |_| Ok(()))
        .map_err(|error| endpoint.refusal(error))?;
    Ok(())
}

/// The text of a `string`, or of a `bytes32` as some old tokens answer; what is not printable is
/// left out, since the contract's author chose it.
fn text(answer: &Bytes) -> String {
    let length = answer.get(32..64).and_then(|word| word.last().copied()).map(usize::from);
    let string = length.and_then(|length| answer.get(64..64usize.saturating_add(length)));
    let bytes = string.unwrap_or_else(|| answer.get(..32).unwrap_or_default());
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| c.is_alphanumeric() || "._-$₮".contains(*c))
        .take(32)
        .collect()
}
