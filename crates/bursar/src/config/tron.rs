//! The nodes of a TRON chain, as the config has them.
//!
//! In: `[chains.NAME]` of kind `tron`. Out: what `trc20` needs of it, and what a look reads.
//! Never: a key that is sent to a place it was not given for; a deposit final before solidity.
//! Why: a plain node has two ports and no index, `TronGrid` has one place for everything.

use std::path::Path;
use std::time::Duration;

use payments::changes::{ChainRules, Finality};
use payments::name::ChainName;
use trc20::{Key, Location, Place};

use super::chain::{Begin, endpoint_name, read_begin, read_shared, refuse_foreign};
use super::node::{TronNode, Way};
use super::{duration, file};
use crate::error::{Error, input};
use crate::{retry, secret};

/// More accounts than this are cheaper found in the blocks, whatever the plan.
const MOST_ACCOUNTS: u32 = 1_000;

pub(super) fn read_node(
    name: &ChainName,
    chain: &file::Chain,
    rules: &ChainRules,
    beside: &Path,
) -> Result<TronNode, Error> {
    let foreign = [
        ("chain_id", chain.chain_id.is_some()),
        ("finality", chain.finality.is_some()),
        ("check_header_hash", chain.check_header_hash.is_some()),
        ("prove", chain.prove.is_some()),
    ];
    refuse_foreign(name, "tron", &foreign)?;
    for (at, rule) in rules.finality.iter().enumerate() {
        if rule.finality != Finality::Finalized {
            let why = "on TRON only a solidified block is final: at = \"finalized\"";
            return Err(input(&format!("chains.{name}.confirmations[{at}]"), why));
        }
    }
    // The node itself gives at most 100 blocks in one answer (java-tron `Wallet.java`).
    let shared = read_shared(name, chain, 20, 100)?;
    let mut endpoints = Vec::new();
    for (at, endpoint) in chain.endpoints.iter().enumerate() {
        endpoints.push(read_endpoint(name, at, endpoint, beside)?);
    }
    let source = trc20::Config {
        chain: name.clone(),
        token: rules.token,
        decimals: rules.decimals,
        genesis: shared.genesis,
        endpoints,
        start: match read_begin(name, chain.start.as_ref())? {
            Begin::Finalized => trc20::Start::Finalized,
            Begin::Tip => trc20::Start::Tip,
            Begin::Height(height) => trc20::Start::Height(height),
        },
        max_reorg: rules.max_reorg,
        window: shared.window,
        in_flight: shared.in_flight,
        deadline: shared.deadline,
        other_tokens: !matches!(chain.other_tokens, Some(file::OthersWord::Ignore)),
        rest: std::sync::Arc::new(retry::rest),
    };
    let way = read_way(name, chain, &source)?;
    Ok(TronNode { source, way })
}

fn read_way(name: &ChainName, chain: &file::Chain, source: &trc20::Config) -> Result<Way, Error> {
    let field = |what: &str| format!("chains.{name}.{what}");
    let Some(file::ReadWord::Accounts) = chain.read else {
        if chain.accounts.is_some() {
            return Err(input(&field("accounts"), "is only for read = \"accounts\""));
        }
        return Ok(Way::Blocks);
    };
    if source.endpoints.iter().all(|endpoint| endpoint.index.is_none()) {
        let why = "\"accounts\" needs an index, as TronGrid has: give an endpoint's index_url";
        return Err(input(&field("read"), why));
    }
    let given = chain.accounts.as_ref();
    let at_most = given.and_then(|given| given.at_most).unwrap_or(50);
    if !(1..=MOST_ACCOUNTS).contains(&at_most) {
        return Err(input(&field("accounts.at_most"), format!("must be 1 to {MOST_ACCOUNTS}")));
    }
    let linger = given.and_then(|given| given.linger.as_ref());
    let day = Duration::from_secs(86_400);
    Ok(Way::Accounts {
        at_most,
        linger: duration(&field("accounts.linger"), linger, day)?,
        behind: given.and_then(|given| given.blocks_behind).unwrap_or(true),
    })
}

fn read_endpoint(
    name: &ChainName,
    at: usize,
    endpoint: &file::Endpoint,
    beside: &Path,
) -> Result<trc20::EndpointConfig, Error> {
    let field = |what: &str| format!("chains.{name}.endpoints[{at}].{what}");
    let location = |what: &str, direct: &Option<String>, file: &Option<String>| {
        let field = field(what);
        let url = secret::read(&field, direct.as_ref(), file.as_ref(), beside)?;
        let parsed = url.map(|url| Location::parse(url.expose()));
        let location = parsed.transpose().map_err(|why| input(&field, why))?;
        match location {
            Some(location) if location.is_websocket() => {
                Err(input(&field, "must be http or https: TRON's nodes offer no subscription"))
            }
            location => Ok(location),
        }
    };
    let full = location("url", &endpoint.url, &endpoint.url_file)?
        .ok_or_else(|| input(&field("url"), "is missing"))?;
    let solidity = location("solidity_url", &endpoint.solidity_url, &endpoint.solidity_url_file)?;
    let index = location("index_url", &endpoint.index_url, &endpoint.index_url_file)?;
    let key_field = field("key");
    let key = secret::read(&key_field, endpoint.key.as_ref(), endpoint.key_file.as_ref(), beside)?;
    let key = key.map(|key| Key::new(key.expose()));
    let full = Place { location: full, key };
    // The key is the full node's; it goes along where the other is the same server.
    let beside_it = |location: Location| {
        let key = full.key.clone().filter(|_| location.is_same_server(&full.location));
        Place { location, key }
    };
    let index = match (index, &solidity) {
        (Some(location), _) => Some(beside_it(location)),
        (None, None) => Some(full.clone()),
        // A plain node, with its solidity interface on another port, has no index.
        (None, Some(_)) => None,
    };
    let rate = endpoint.requests_per_second.unwrap_or(0);
    let solidity = solidity.map_or_else(|| full.clone(), beside_it);
    Ok(trc20::EndpointConfig {
        name: endpoint_name(at, endpoint),
        solidity,
        index,
        full,
        requests_per_second: rate,
        burst: endpoint.burst.unwrap_or(rate),
        requests_per_day: endpoint.requests_per_day.unwrap_or(0),
    })
}
