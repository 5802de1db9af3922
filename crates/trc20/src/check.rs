//! How the endpoints are, asked one by one.
//!
//! In: the endpoints. Out: one report each, every failure with its reason. Never: a URL beyond
//! its host, a key; a failure that ends the check of the rest. Why: an operator sees what a poll
//! sees before the poll has to.

use std::fmt::Display;
use std::time::Duration;

use futures_util::future::join_all;
use payments::chain::BlockHash;
use payments::time::Time;
use ruint::aliases::U256;

use crate::config::Config;
use crate::error::Error;
use crate::index;
use crate::node::{Node, Side};
use crate::pool::Pool;
use crate::read;
use crate::refusal::{Class, Refusal};
use crate::source::Source;
use crate::verify;

/// What one endpoint answered. A field without a value has its reason among `failures`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    /// The endpoint's name.
    pub name: String,
    /// Scheme, host and port of its full node.
    pub location: String,
    /// Scheme, host and port of its solidity node.
    pub solidity_location: String,
    /// Whether it answered anything.
    pub reachable: bool,
    /// How long its first answer took.
    pub latency: Option<Duration>,
    /// The id of its block 0.
    pub genesis: Option<BlockHash>,
    /// The height of its newest block, whose id was recomputed.
    pub tip: Option<u64>,
    /// That block's time.
    pub tip_time: Option<Time>,
    /// How many blocks it is behind the best endpoint.
    pub lag: Option<u64>,
    /// The height of its newest solidified block.
    pub solidified: Option<u64>,
    /// How many blocks that is below its tip; 18 to 20 while every witness works.
    pub solidified_lag: Option<u64>,
    /// Whether it has a solidity node at all.
    pub solidity: bool,
    /// Whether there is a contract at the token's address.
    pub has_contract: Option<bool>,
    /// The token's decimals.
    pub decimals: Option<String>,
    /// The token's symbol: a word for people, never an identity.
    pub symbol: Option<String>,
    /// Whether it has the transaction infos of its solidified block.
    pub infos: bool,
    /// Whether its index answers; none where none is configured.
    pub index: Option<bool>,
    /// Whether requests to it carry a key.
    pub has_key: bool,
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
    /// Scheme, host and port of its full node.
    pub location: String,
    /// Whether its network, token and solidity node were checked.
    pub verified: bool,
    /// How long it still rests, after a failure or because it asked for it.
    pub resting_for: Option<Duration>,
    /// Whether it rests because it asked for it, or its budget is spent: it is not down.
    pub is_throttled: bool,
    /// How often it asked for less since the start.
    pub throttled: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Failures since the start.
    pub failed: u64,
    /// Requests since the start.
    pub requests: u64,
    /// Requests within the last 24 hours, or since the start.
    pub requests_today: u64,
    /// What it last said wrong.
    pub last_error: Option<String>,
    /// The height of its newest block when it was last looked at.
    pub tip: Option<u64>,
    /// The height of its solidified block when it was last looked at.
    pub solidified: Option<u64>,
    /// How long its last answer took.
    pub latency: Option<Duration>,
}

impl Source {
    /// How each endpoint has been so far. Asks nothing.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        let health = self.pool.nodes.iter().map(|node| {
            let state = node.state().clone();
            let conduct = &state.conduct;
            Health {
                name: node.name.clone(),
                location: node.full.location.to_string(),
                verified: state.verified,
                resting_for: conduct.rests_for(),
                is_throttled: conduct.silent_for().is_some(),
                throttled: conduct.throttled_in_all(),
                failures: conduct.failures(),
                failed: conduct.failed_in_all(),
                requests: node.requests(),
                requests_today: node.quota.spent(),
                last_error: conduct.last_error().map(str::to_owned),
                tip: state.tip,
                solidified: state.solidified,
                latency: state.latency,
            }
        });
        health.collect()
    }

    /// Asks every endpoint everything a scan needs, resting or not. One that asked for silence is
    /// not asked, and says so.
    pub async fn check(&self) -> Vec<EndpointReport> {
        reports(&self.pool).await
    }

    /// The same of endpoints that may not be what the config says, without connecting first.
    ///
    /// # Errors
    /// [`Error::GaveUp`] where the config names no endpoint.
    pub async fn inspect(config: &Config) -> Result<Vec<EndpointReport>, Error> {
        Ok(reports(&Pool::new(config)?).await)
    }
}

async fn reports(pool: &Pool) -> Vec<EndpointReport> {
    let mut reports = join_all(pool.nodes.iter().map(|node| report(node, pool))).await;
    let best = reports.iter().filter_map(|report| report.tip).max();
    for report in &mut reports {
        report.lag = report.tip.and_then(|tip| best?.checked_sub(tip));
    }
    reports
}

async fn report(node: &Node, pool: &Pool) -> EndpointReport {
    let facts = &pool.facts;
    let mut notes = Notes::default();
    let genesis = notes.take("genesis", node.genesis().await);
    let latency = node.state().latency.filter(|_| genesis.is_some());
    let solidified = verify::solidified(node).await;
    let solidity = !matches!(&solidified, Err(Refusal { class: Class::Unsupported, .. }));
    let solidified = notes.take("solidity", solidified).map(|header| header.id.height);
    let tip = notes.take("tip", node.newest(Side::Full).await);
    let height = tip.map(|header| header.id.height);
    let decimals = notes.take("decimals", verify::decimals(node, facts).await);
    let has_contract = decimals.map(|decimals| decimals.is_some());
    let decimals = decimals.flatten();
    let symbol = verify::call(node, facts, Side::Full, "symbol()", "").await;
    let symbol = notes.take("symbol", symbol).flatten();
    let infos = match solidified.filter(|height| *height > 0) {
        Some(height) => notes.take("infos", read::alone(pool, node, height).await).is_some(),
        None => false,
    };
    let indexed = match index::received(node, facts, facts.token).await {
        Ok(known) => known.map(|_| true).or_else(|| node.index.as_ref().map(|_| false)),
        Err(refusal) => {
            notes.note("index", refusal.why);
            Some(false)
        }
    };
    notes.compare("genesis", genesis.as_ref(), facts.genesis.get());
    notes.compare("decimals", decimals.as_ref(), Some(&U256::from(facts.decimals)));
    if has_contract == Some(false) {
        notes.note("contract", format!("there is no contract at {}", facts.token.tron()));
    }
    EndpointReport {
        name: node.name.clone(),
        location: node.full.location.to_string(),
        solidity_location: node.solidity.location.to_string(),
        reachable: genesis.is_some() || tip.is_some(),
        latency,
        genesis,
        tip: height,
        tip_time: tip.map(|header| header.time),
        lag: None,
        solidified,
        solidified_lag: height.zip(solidified).and_then(|(tip, solid)| tip.checked_sub(solid)),
        solidity: solidity && solidified.is_some(),
        has_contract,
        decimals: decimals.map(|decimals| decimals.to_string()),
        symbol: symbol.map(|symbol| text(&symbol)),
        infos,
        index: indexed,
        has_key: node.full.key.is_some(),
        failures: notes.hidden(node),
    }
}

/// What failed so far.
#[derive(Default)]
struct Notes(Vec<Failure>);

impl Notes {
    fn note(&mut self, what: &'static str, why: String) {
        self.0.push(Failure { what, why });
    }

    fn hidden(self, node: &Node) -> Vec<Failure> {
        let hide = |failure: Failure| Failure { why: node.hidden(&failure.why), ..failure };
        self.0.into_iter().map(hide).collect()
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

/// The text of a `string`; what is not printable is left out, since the contract's author chose
/// it.
fn text(answer: &[u8]) -> String {
    let length = answer.get(32..64).and_then(|word| word.last().copied()).map(usize::from);
    let string = length.and_then(|length| answer.get(64..64usize.saturating_add(length)));
    let bytes = string.unwrap_or_else(|| answer.get(..32).unwrap_or_default());
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| c.is_alphanumeric() || "._-$₮".contains(*c))
        .take(32)
        .collect()
}
