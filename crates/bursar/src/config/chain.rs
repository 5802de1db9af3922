//! A chain's part of the config.
//!
//! In: `[chains.NAME]`. Out: what `payments` and the chain's client need of it.
//! Never: an endpoint without a URL, a rule that can never be reached.
//! Why: these are the fields that cost money when they are wrong.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use payments::address::{Address, Spelling};
use payments::amount::Usdt;
use payments::chain::BlockHash;
use payments::changes::{Bounds, ChainRules, Finality as Final, FinalityRule};
use payments::name::ChainName;

use super::node::{Node, Recordable};
use super::{AddressSource, Chain, Orders, duration, evm, file, orders, tron, usdt};
use crate::derive::Account;
use crate::error::{Error, input};
use crate::secret;

/// Ethereum's epochs make a block final after 13 to 20 minutes, the slowest rollups after 40.
const SILENT_AFTER: Duration = Duration::from_secs(3_600);
/// Addresses that one chain's deposits may be swept to.
const MOST_TREASURIES: usize = 100;

pub(super) fn read_chain(
    name: &ChainName,
    chain: &file::Chain,
    usual: &Orders,
    two_person_above: Option<Usdt>,
    beside: &Path,
) -> Result<Chain, Error> {
    let field = |what: &str| format!("chains.{name}.{what}");
    let (spelling, pace) = match chain.kind {
        file::Kind::Evm => (Spelling::Evm, Duration::from_secs(4)),
        // Polled every 6 s, and compared every hour, TRON would cost more than a free key of
        // TronGrid allows a day; this leaves room for balances and commands.
        file::Kind::Tron => (Spelling::Tron, Duration::from_secs(10)),
    };
    let token =
        Address::parse_as(&chain.token, spelling).map_err(|why| input(&field("token"), why))?;
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
        bounds: Bounds { two_person_above, ..read_bounds(name, chain)? },
        treasury: read_treasury(&field("treasury"), &chain.treasury, token, spelling)?,
    };
    let node = match chain.kind {
        file::Kind::Evm => Node::Evm(Box::new(evm::read_node(name, chain, &rules, beside)?)),
        file::Kind::Tron => Node::Tron(Box::new(tron::read_node(name, chain, &rules, beside)?)),
    };
    let stalled_after = chain.stalled_after.as_ref();
    Ok(Chain {
        recordable: read_recordable(name, chain, beside)?,
        node,
        rules,
        orders: match &chain.orders {
            Some(own) => orders::read_orders(&field("orders"), own, Some(usual))?,
            None => usual.clone(),
        },
        addresses: read_addresses(name, &chain.addresses, beside)?,
        recovery_fee: usdt(&field("recovery_fee"), chain.recovery_fee.as_ref(), Usdt::ZERO)?,
        refund_fee: usdt(&field("refund_fee"), chain.refund_fee.as_ref(), Usdt::ZERO)?,
        poll_interval: duration(&field("poll_interval"), chain.poll_interval.as_ref(), pace)?,
        stalled_after: duration(&field("stalled_after"), stalled_after, Duration::from_secs(60))?,
    })
}

/// What one hour may bring before a person looks.
fn read_bounds(name: &ChainName, chain: &file::Chain) -> Result<Bounds, Error> {
    let field = |what: &str| format!("chains.{name}.{what}");
    let usual = Bounds::default();
    let ceiling = chain.hourly_credit_ceiling.as_ref();
    let hourly_credits = match ceiling {
        None => None,
        Some(text) => {
            let field = field("hourly_credit_ceiling");
            let ceiling = Usdt::parse(text).map_err(|why| input(&field, why))?;
            if ceiling.is_zero() {
                return Err(input(&field, "is zero; `bursar chain pause` stops crediting"));
            }
            Some(ceiling)
        }
    };
    let bound = |what: &str, given: Option<u32>, usual| match given.unwrap_or(usual) {
        bound @ 1..=10_000 => Ok(bound),
        _ => Err(input(&field(what), "must be 1 to 10000")),
    };
    let silent_after = chain.silent_after.as_deref();
    let (of_order, of_hour) = (chain.other_tokens_per_order, chain.other_tokens_per_hour);
    Ok(Bounds {
        hourly_credits,
        others_per_order: bound("other_tokens_per_order", of_order, usual.others_per_order)?,
        others_per_hour: bound("other_tokens_per_hour", of_hour, usual.others_per_hour)?,
        silent_after: match silent_after {
            Some("never") => None,
            _ => Some(duration(&field("silent_after"), chain.silent_after.as_ref(), SILENT_AFTER)?),
        },
        ..usual
    })
}

/// Refuses what has no meaning for this kind of chain: somebody believes that it has.
pub(super) fn refuse_foreign(
    name: &ChainName,
    kind: &str,
    given: &[(&str, bool)],
) -> Result<(), Error> {
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((field, _)) => {
            let why = format!("has no meaning for a chain of kind \"{kind}\"");
            Err(input(&format!("chains.{name}.{field}"), why))
        }
    }
}

/// What both kinds say in the same words.
pub(super) struct Shared {
    pub(super) genesis: Option<BlockHash>,
    pub(super) window: u64,
    pub(super) in_flight: usize,
    pub(super) deadline: Duration,
}

pub(super) fn read_shared(
    name: &ChainName,
    chain: &file::Chain,
    window: u64,
    widest: u64,
) -> Result<Shared, Error> {
    let field = |what: &str| format!("chains.{name}.{what}");
    let genesis = match &chain.genesis {
        None => None,
        Some(text) => Some(BlockHash::parse(text).ok_or_else(|| {
            input(&field("genesis"), format!("`{text}` is not a hash of 64 hex digits"))
        })?),
    };
    let window = chain.window.unwrap_or(window);
    let in_flight = chain.in_flight.unwrap_or(4);
    if !(1..=widest).contains(&window) {
        return Err(input(&field("window"), format!("must be 1 to {widest} blocks")));
    }
    if !(1..=64).contains(&in_flight) {
        return Err(input(&field("in_flight"), "must be 1 to 64 requests"));
    }
    if chain.endpoints.is_empty() {
        let why = format!("none is given; write [[chains.{name}.endpoints]] with its url");
        return Err(input(&field("endpoints"), why));
    }
    refuse_a_name_twice(name, &chain.endpoints)?;
    let deadline = chain.deadline.as_ref();
    let deadline = duration(&field("deadline"), deadline, Duration::from_secs(20))?;
    Ok(Shared { genesis, window, in_flight, deadline })
}

/// Where scanning begins the first time.
pub(super) enum Begin {
    Finalized,
    Tip,
    Height(u64),
}

pub(super) fn read_begin(name: &ChainName, start: Option<&file::Start>) -> Result<Begin, Error> {
    match start {
        None => Ok(Begin::Finalized),
        Some(file::Start::Height(height)) => Ok(Begin::Height(*height)),
        Some(file::Start::Word(word)) if word == "finalized" => Ok(Begin::Finalized),
        Some(file::Start::Word(word)) if word == "tip" => Ok(Begin::Tip),
        Some(file::Start::Word(word)) => {
            let why = format!("`{word}` must be \"finalized\", \"tip\" or a height");
            Err(input(&format!("chains.{name}.start"), why))
        }
    }
}

/// Refuses two endpoints of one name: what is said of one would be taken for the other.
fn refuse_a_name_twice(name: &ChainName, endpoints: &[file::Endpoint]) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for (at, endpoint) in endpoints.iter().enumerate() {
        let given = endpoint_name(at, endpoint);
        if !known.insert(given.clone()) {
            let why = format!("`{given}` is the name of another endpoint of this chain");
            return Err(input(&format!("chains.{name}.endpoints[{at}].name"), why));
        }
    }
    Ok(())
}

/// An endpoint's name in logs: its own, or its place.
pub(super) fn endpoint_name(at: usize, endpoint: &file::Endpoint) -> String {
    let name = endpoint.name.clone();
    name.unwrap_or_else(|| format!("endpoint-{}", at.saturating_add(1)))
}

/// The first endpoint that speaks HTTP: the one a tape can be made of.
fn read_recordable(
    name: &ChainName,
    chain: &file::Chain,
    beside: &Path,
) -> Result<Option<Recordable>, Error> {
    for (at, endpoint) in chain.endpoints.iter().enumerate() {
        let field = format!("chains.{name}.endpoints[{at}].url");
        let (url, file) = (endpoint.url.as_ref(), endpoint.url_file.as_ref());
        let url = secret::read(&field, url, file, beside)?;
        if let Some(url) = url.filter(|url| url.expose().starts_with("http")) {
            let (url_of, file) = (&endpoint.solidity_url, &endpoint.solidity_url_file);
            let field = format!("chains.{name}.endpoints[{at}].solidity_url");
            let solidity = secret::read(&field, url_of.as_ref(), file.as_ref(), beside)?;
            return Ok(Some(Recordable { url, solidity }));
        }
    }
    Ok(None)
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

/// Where deposit addresses are swept to.
fn read_treasury(
    field: &str,
    list: &[String],
    token: Address,
    spelling: Spelling,
) -> Result<Vec<Address>, Error> {
    if list.len() > MOST_TREASURIES {
        return Err(input(field, format!("names more than {MOST_TREASURIES} addresses")));
    }
    let mut treasury = Vec::new();
    for (at, text) in list.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let address = Address::parse_as(text, spelling).map_err(|why| input(&field, why))?;
        if address == token {
            return Err(input(&field, "is the token contract: what is sent there is lost"));
        }
        if address.0 == [0; 20] {
            return Err(input(&field, "is the zero address: what is sent there is lost"));
        }
        if treasury.contains(&address) {
            return Err(input(&field, "is there twice"));
        }
        treasury.push(address);
    }
    Ok(treasury)
}

fn read_addresses(
    name: &ChainName,
    addresses: &file::Addresses,
    beside: &Path,
) -> Result<Option<AddressSource>, Error> {
    let field = format!("chains.{name}.addresses.xpub");
    let xpub = secret::read(&field, addresses.xpub.as_ref(), addresses.xpub_file.as_ref(), beside)?;
    let imported = addresses.imported.unwrap_or(false);
    let mark = addresses.high_water.clone();
    if addresses.key_pairs.is_some() && !imported {
        let field = format!("chains.{name}.addresses.key_pairs");
        return Err(input(&field, "is said of imported addresses; give imported = true too"));
    }
    let Some(xpub) = xpub else {
        // The list is one for all chains, and so is its mark.
        let mark = mark.unwrap_or_else(|| "bursar-imported.taken".to_owned());
        let high_water = beside.join(mark);
        let key_pairs = addresses.key_pairs.unwrap_or(false);
        return Ok(imported.then_some(AddressSource::Imported { high_water, key_pairs }));
    };
    if imported {
        return Err(input(&field, "give an xpub or imported = true, not both"));
    }
    let account = Account::parse(xpub.expose()).map_err(|why| input(&field, why))?;
    let mark = mark.unwrap_or_else(|| format!("bursar-{}.index", account.fingerprint()));
    Ok(Some(AddressSource::Account { account, high_water: beside.join(mark) }))
}
