//! The nodes of an EVM chain, as the config has them.
//!
//! In: `[chains.NAME]` of kind `evm`. Out: what `erc20` needs of it.
//! Never: an endpoint without a URL, a proof that proves nothing.
//! Why: a chain is any that speaks JSON-RPC; all that differs is written here.

use std::path::Path;

use payments::changes::ChainRules;
use payments::name::ChainName;

use super::chain::{Begin, endpoint_name, read_begin, read_shared, refuse_foreign};
use super::file;
use crate::error::{Error, input};
use crate::{retry, secret};

pub(super) fn read_node(
    name: &ChainName,
    chain: &file::Chain,
    rules: &ChainRules,
    beside: &Path,
) -> Result<erc20::Config, Error> {
    let field = |what: &str| format!("chains.{name}.{what}");
    let foreign = [("read", chain.read.is_some()), ("accounts", chain.accounts.is_some())];
    refuse_foreign(name, "evm", &foreign)?;
    let chain_id = chain.chain_id.ok_or_else(|| {
        input(&field("chain_id"), "is missing; Ethereum's is 1, BNB Chain's 56, Polygon's 137")
    })?;
    let finality = match &chain.finality {
        None => erc20::Finality::Tags,
        Some(file::Finality::Blocks(0)) => {
            return Err(input(&field("finality"), "must be \"tags\" or at least 1 block"));
        }
        Some(file::Finality::Blocks(blocks)) => erc20::Finality::Blocks(*blocks),
        Some(file::Finality::Word(word)) if word == "tags" => erc20::Finality::Tags,
        Some(file::Finality::Word(word)) => {
            let why = format!("`{word}` must be \"tags\" or a number of blocks");
            return Err(input(&field("finality"), why));
        }
    };
    let check_header_hash = chain.check_header_hash.unwrap_or(true);
    let prove = match chain.prove {
        None | Some(file::ProveWord::Suspicious) => erc20::Prove::Suspicious,
        Some(_) if !check_header_hash => {
            return Err(input(&field("prove"), "proves nothing where check_header_hash = false"));
        }
        Some(file::ProveWord::Payments) => erc20::Prove::Payments,
        Some(file::ProveWord::Always) => erc20::Prove::Always,
    };
    let shared = read_shared(name, chain, 64, 10_000)?;
    let mut endpoints = Vec::new();
    for (at, endpoint) in chain.endpoints.iter().enumerate() {
        endpoints.push(read_endpoint(name, at, endpoint, beside)?);
    }
    Ok(erc20::Config {
        chain: name.clone(),
        chain_id,
        token: rules.token,
        decimals: rules.decimals,
        genesis: shared.genesis,
        endpoints,
        finality,
        start: match read_begin(name, chain.start.as_ref())? {
            Begin::Finalized => erc20::Start::Finalized,
            Begin::Tip => erc20::Start::Tip,
            Begin::Height(height) => erc20::Start::Height(height),
        },
        max_reorg: rules.max_reorg,
        window: shared.window,
        in_flight: shared.in_flight,
        deadline: shared.deadline,
        check_header_hash,
        prove,
        other_tokens: matches!(chain.other_tokens, Some(file::OthersWord::Watch)),
        rest: std::sync::Arc::new(retry::rest),
    })
}

fn read_endpoint(
    name: &ChainName,
    at: usize,
    endpoint: &file::Endpoint,
    beside: &Path,
) -> Result<erc20::EndpointConfig, Error> {
    let place = format!("endpoints[{at}]");
    let foreign = [
        ("solidity_url", endpoint.solidity_url.is_some() || endpoint.solidity_url_file.is_some()),
        ("index_url", endpoint.index_url.is_some() || endpoint.index_url_file.is_some()),
        ("key", endpoint.key.is_some() || endpoint.key_file.is_some()),
        ("requests_per_day", endpoint.requests_per_day.is_some()),
    ];
    let foreign = foreign.map(|(field, given)| (format!("{place}.{field}"), given));
    let foreign: Vec<_> = foreign.iter().map(|(field, given)| (field.as_str(), *given)).collect();
    refuse_foreign(name, "evm", &foreign)?;
    let field = format!("chains.{name}.{place}.url");
    let url = secret::read(&field, endpoint.url.as_ref(), endpoint.url_file.as_ref(), beside)?
        .ok_or_else(|| input(&field, "is missing"))?;
    let rate = endpoint.requests_per_second.unwrap_or(0);
    let mut read = erc20::EndpointConfig::new(&endpoint_name(at, endpoint), url.expose())
        .map_err(|why| input(&field, why))?;
    read.requests_per_second = rate;
    read.burst = endpoint.burst.unwrap_or(rate);
    Ok(read)
}
