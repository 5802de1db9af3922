//! What chains of one config may share, and what not.
//!
//! In: all chains. Out: nothing, or the field of the one that cannot stand beside another.
//! Never: one payment in the books of two chains; one address on a chain where nobody has its key.
//! Why: each of them is right by itself, and nobody reads them side by side.

use std::collections::BTreeMap;

use payments::name::ChainName;

use super::node::Node;
use super::{AddressSource, Chain};
use crate::error::{Error, input};

/// Checks all of it.
pub(super) fn check(chains: &BTreeMap<ChainName, Chain>) -> Result<(), Error> {
    one_name_each(chains)?;
    one_mark_each(chains)?;
    one_pool_for_key_pairs(chains)
}

/// Refuses two names for one token on one chain: every payment would be booked by both.
fn one_name_each(chains: &BTreeMap<ChainName, Chain>) -> Result<(), Error> {
    let all: Vec<_> = chains.iter().collect();
    for (at, (name, chain)) in all.iter().enumerate() {
        let same = |(_, other): &&(&ChainName, &Chain)| {
            other.rules.token == chain.rules.token && is_one_chain(&other.node, &chain.node)
        };
        if let Some((other, _)) = all.iter().take(at).find(same) {
            let or = match chain.node {
                Node::Evm(_) => "",
                Node::Tron(_) => ", or state the genesis of each",
            };
            let why = format!("is that of chains.{other}, on the same chain: give it one name{or}");
            return Err(input(&format!("chains.{name}.token"), why));
        }
    }
    Ok(())
}

/// Chains of TRON are told apart by their genesis, where both say it.
fn is_one_chain(one: &Node, other: &Node) -> bool {
    let differ = match (one, other) {
        (Node::Tron(one), Node::Tron(other)) => {
            one.source.genesis.zip(other.source.genesis).is_some_and(|(one, other)| one != other)
        }
        _ => false,
    };
    one.id() == other.id() && !differ
}

/// Refuses one list for several chains, unless each of its addresses is of a key pair: what a
/// contract or a custodian holds on one chain may be nobody's on another.
fn one_pool_for_key_pairs(chains: &BTreeMap<ChainName, Chain>) -> Result<(), Error> {
    let importing = chains.iter().filter_map(|(name, chain)| match chain.addresses {
        Some(AddressSource::Imported { key_pairs, .. }) => Some((name, key_pairs)),
        _ => None,
    });
    let importing: Vec<_> = importing.collect();
    let Some((other, _)) = importing.first().filter(|_| importing.len() > 1) else { return Ok(()) };
    let Some((name, _)) = importing.iter().find(|(_, key_pairs)| !key_pairs) else { return Ok(()) };
    let with = importing.last().filter(|_| name == other).map_or(*other, |(last, _)| *last);
    let why = format!(
        "shares its list with chains.{with}: where each address is of a key pair that you hold, \
         and of no contract, say key_pairs = true beside it"
    );
    Err(input(&format!("chains.{name}.addresses.imported"), why))
}

/// Refuses two marks for one supply of addresses: neither would know what the other chain gave,
/// and a restored database would give it again. And one mark for two supplies.
fn one_mark_each(chains: &BTreeMap<ChainName, Chain>) -> Result<(), Error> {
    let marked = chains.iter().filter_map(|(name, chain)| match chain.addresses.as_ref()? {
        AddressSource::Account { account, high_water } => {
            Some((name, account.fingerprint(), high_water))
        }
        AddressSource::Imported { high_water, .. } => Some((name, "imported", high_water)),
    });
    let marked: Vec<_> = marked.collect();
    for (at, (name, supply, mark)) in marked.iter().enumerate() {
        for (other, of, its) in marked.iter().take(at) {
            if (supply == of) != (mark == its) {
                let why = if supply == of {
                    format!("must be that of chains.{other}, whose addresses are the same ones")
                } else {
                    format!("is that of chains.{other}, whose addresses are other ones")
                };
                return Err(input(&format!("chains.{name}.addresses.high_water"), why));
            }
        }
    }
    Ok(())
}
