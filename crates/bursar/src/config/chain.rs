//! A chain's part of the config.
//!
//! In: `[chains.NAME]`. Out: what `payments` and `erc20` need of it.
//! Never: an endpoint without a URL, a rule that can never be reached.
//! Why: these are the fields that cost money when they are wrong.

use std::path::Path;
use std::time::Duration;

use payments::address::{Address, Spelling};
use payments::amount::Usdt;
use payments::chain::BlockHash;
use payments::changes::{ChainRules, Finality as Final, FinalityRule};
use payments::name::ChainName;

use super::{AddressSource, Chain, duration, file};
use crate::derive::Account;
use crate::error::{Error, input};
use crate::{retry, secret};

pub(super) fn read_chain(
    name: &ChainName,
    chain: &file::Chain,
    beside: &Path,
) -> Result<Chain, Error> {
    let field = |what: &str| format!("chains.{name}.{what}");
    let file::Kind::Evm = chain.kind;
    let token = Address::parse_as(&chain.token, Spelling::Evm)
        .map_err(|why| input(&field("token"), why))?;
    if chain.decimals > 30 {
        return Err(input(&field("decimals"), "must be 0 to 30"));
    }
    let max_reorg = chain.max_reorg.unwrap_or(64);
    if max_reorg == 0 || max_reorg > 10_000 {
        return Err(input(&field("max_reorg"), "must be 1 to 10000 blocks"));
    }
    let rules = ChainRules {
        token,
        decimals: chain.decimals,
        max_reorg,
        finality: read_finality_rules(&field("confirmations"), &chain.confirmations)?,
    };
    let seconds = Duration::from_secs;
    Ok(Chain {
        chain_id: chain.chain_id,
        spelling: Spelling::Evm,
        recordable: read_recordable(name, chain, beside)?,
        node: read_node(name, chain, &rules, beside)?,
        rules,
        addresses: read_addresses(name, &chain.addresses, beside)?,
        poll_interval: duration(&field("poll_interval"), chain.poll_interval.as_ref(), seconds(4))?,
        stalled_after: duration(
            &field("stalled_after"),
            chain.stalled_after.as_ref(),
            seconds(60),
        )?,
    })
}

fn read_node(
    name: &ChainName,
    chain: &file::Chain,
    rules: &ChainRules,
    beside: &Path,
) -> Result<erc20::Config, Error> {
    let field = |what: &str| format!("chains.{name}.{what}");
    let genesis = match &chain.genesis {
        None => None,
        Some(text) => Some(BlockHash::parse(text).ok_or_else(|| {
            input(&field("genesis"), format!("`{text}` is not 0x and 64 hex digits"))
        })?),
    };
    let start = match &chain.start {
        None => erc20::Start::Finalized,
        Some(file::Start::Height(height)) => erc20::Start::Height(*height),
        Some(file::Start::Word(word)) if word == "finalized" => erc20::Start::Finalized,
        Some(file::Start::Word(word)) if word == "tip" => erc20::Start::Tip,
        Some(file::Start::Word(word)) => {
            let why = format!("`{word}` must be \"finalized\", \"tip\" or a height");
            return Err(input(&field("start"), why));
        }
    };
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
    let window = chain.window.unwrap_or(64);
    let in_flight = chain.in_flight.unwrap_or(4);
    if !(1..=10_000).contains(&window) {
        return Err(input(&field("window"), "must be 1 to 10000 blocks"));
    }
    if !(1..=64).contains(&in_flight) {
        return Err(input(&field("in_flight"), "must be 1 to 64 requests"));
    }
    let check_header_hash = chain.check_header_hash.unwrap_or(true);
    let prove = match chain.prove {
        None | Some(file::ProveWord::Suspicious) => erc20::Prove::Suspicious,
        Some(_) if !check_header_hash => {
            return Err(input(&field("prove"), "proves nothing where check_header_hash = false"));
        }
        Some(file::ProveWord::Payments) => erc20::Prove::Payments,
        Some(file::ProveWord::Always) => erc20::Prove::Always,
    };
    let mut endpoints = Vec::new();
    for (at, endpoint) in chain.endpoints.iter().enumerate() {
        endpoints.push(read_endpoint(&field(&format!("endpoints[{at}]")), at, endpoint, beside)?);
    }
    if endpoints.is_empty() {
        let why = format!("none is given; write [[chains.{name}.endpoints]] with its url");
        return Err(input(&field("endpoints"), why));
    }
    Ok(erc20::Config {
        chain: name.clone(),
        chain_id: chain.chain_id,
        token: rules.token,
        decimals: rules.decimals,
        genesis,
        endpoints,
        finality,
        start,
        max_reorg: rules.max_reorg,
        window,
        in_flight,
        deadline: duration(&field("deadline"), chain.deadline.as_ref(), Duration::from_secs(20))?,
        check_header_hash,
        prove,
        rest: std::sync::Arc::new(retry::rest),
    })
}

/// The first endpoint that speaks HTTP: the one a tape can be made of.
fn read_recordable(
    name: &ChainName,
    chain: &file::Chain,
    beside: &Path,
) -> Result<Option<secret::Secret>, Error> {
    for (at, endpoint) in chain.endpoints.iter().enumerate() {
        let field = format!("chains.{name}.endpoints[{at}].url");
        let (url, file) = (endpoint.url.as_ref(), endpoint.url_file.as_ref());
        let url = secret::read(&field, url, file, beside)?;
        if let Some(url) = url.filter(|url| url.expose().starts_with("http")) {
            return Ok(Some(url));
        }
    }
    Ok(None)
}

fn read_endpoint(
    field: &str,
    at: usize,
    endpoint: &file::Endpoint,
    beside: &Path,
) -> Result<erc20::EndpointConfig, Error> {
    let url_field = format!("{field}.url");
    let url = secret::read(&url_field, endpoint.url.as_ref(), endpoint.url_file.as_ref(), beside)?
        .ok_or_else(|| input(&url_field, "is missing"))?;
    let name = match &endpoint.name {
        Some(name) => name.clone(),
        None => format!("endpoint-{}", at.saturating_add(1)),
    };
    let rate = endpoint.requests_per_second.unwrap_or(0);
    let mut read =
        erc20::EndpointConfig::new(&name, url.expose()).map_err(|why| input(&url_field, why))?;
    read.requests_per_second = rate;
    read.burst = endpoint.burst.unwrap_or(rate);
    Ok(read)
}

/// First match by amount; a line without `up_to` fits every amount and must be the last.
fn read_finality_rules(
    field: &str,
    lines: &[file::Confirmations],
) -> Result<Vec<FinalityRule>, Error> {
    let mut rules: Vec<FinalityRule> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let finality = match (line.blocks, line.at.as_deref()) {
            (Some(blocks), None) if blocks <= 100_000 => Final::Confirmations(blocks),
            (None, Some("finalized")) => Final::Finalized,
            (None, Some("safe")) => Final::Safe,
            _ => {
                let why = "give either blocks = N or at = \"finalized\" or \"safe\"";
                return Err(input(&field, why));
            }
        };
        let up_to = match &line.up_to {
            None => None,
            Some(text) => {
                Some(Usdt::parse(text).map_err(|why| input(&format!("{field}.up_to"), why))?)
            }
        };
        if let Some(before) = rules.last() {
            let ordered = match (before.up_to, up_to) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(before), Some(now)) => now > before,
            };
            if !ordered {
                return Err(input(&field, "is never reached: an earlier line fits every amount"));
            }
        }
        rules.push(FinalityRule { up_to, finality });
    }
    Ok(rules)
}

fn read_addresses(
    name: &ChainName,
    addresses: &file::Addresses,
    beside: &Path,
) -> Result<Option<AddressSource>, Error> {
    let field = format!("chains.{name}.addresses.xpub");
    let xpub = secret::read(&field, addresses.xpub.as_ref(), addresses.xpub_file.as_ref(), beside)?;
    let imported = addresses.imported.unwrap_or(false);
    let Some(xpub) = xpub else {
        return Ok(imported.then_some(AddressSource::Imported));
    };
    if imported {
        return Err(input(&field, "give an xpub or imported = true, not both"));
    }
    let account = Account::parse(xpub.expose()).map_err(|why| input(&field, why))?;
    let mark = addresses.high_water.clone();
    let mark = mark.unwrap_or_else(|| format!("bursar-{}.index", account.fingerprint()));
    Ok(Some(AddressSource::Account { account, high_water: beside.join(mark) }))
}
