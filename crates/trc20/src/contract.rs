//! What the token's contract answers when it is asked how things stand.
//!
//! In: accounts. Out: whether it is paused, replaced, taxed, and whom it blacklists, in the
//! solidified state. Never: a method that it does not have taken for a no. Why: what its issuer did
//! before the first block that is read stands in no log that will be.

use std::collections::BTreeMap;

use payments::address::{Address, lower_hex};
use payments::contract::{self, Answers};
use ruint::aliases::U256;

use crate::error::Error;
use crate::node::{Node, Side};
use crate::pool::Facts;
use crate::refusal::Refusal;
use crate::source::Source;
use crate::verify;

/// How contracts spell the question whether an account is blacklisted: Tether's own, its getter.
const BLACKLISTED: [&str; 2] = ["isBlackListed(address)", "getBlackListStatus(address)"];

impl Source {
    /// What the token's contract answers in the solidified state: six requests, and one for each of
    /// `accounts`. What it has no method for is unknown. The block is the solidified one before the
    /// first of them: nodes answer for now alone. The node learns which accounts are meant.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn answers(&self, accounts: &[Address]) -> Result<Answers, Error> {
        let facts = &self.pool.facts;
        let asked =
            self.pool.ask(None, |node| async move { answers(&node, facts, accounts).await });
        asked.await.map(|(answers, _)| answers).map_err(|exhausted| exhausted.error())
    }
}

async fn answers(node: &Node, facts: &Facts, accounts: &[Address]) -> Result<Answers, Refusal> {
    let header = verify::solidified(node).await?;
    let paused = truth(word(node, facts, "paused()", None).await?);
    let deprecated = match truth(word(node, facts, "deprecated()", None).await?) {
        Some(true) => {
            let successor = word(node, facts, "upgradedAddress()", None).await?.unwrap_or_default();
            Some(Some(contract::account(successor)))
        }
        known => known.map(|_| None),
    };
    let points = word(node, facts, "basisPointsRate()", None).await?;
    let most = word(node, facts, "maximumFee()", None).await?;
    let fee = contract::fee(points, most);
    let blacklisted = blacklisted(node, facts, accounts).await?;
    let (block, time) = (header.id, header.time);
    Ok(Answers { block, time, paused, deprecated, fee, blacklisted })
}

/// Of each account; none where the contract has no such method.
async fn blacklisted(
    node: &Node,
    facts: &Facts,
    accounts: &[Address],
) -> Result<Option<BTreeMap<Address, bool>>, Refusal> {
    let probe = accounts.first().copied().unwrap_or(Address::NOBODY);
    for method in BLACKLISTED {
        let Some(first) = truth(word(node, facts, method, Some(probe)).await?) else { continue };
        let mut found = BTreeMap::new();
        for account in accounts {
            let listed = match *account == probe {
                true => Some(first),
                false => truth(word(node, facts, method, Some(*account)).await?),
            };
            found.extend(listed.map(|listed| (*account, listed)));
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// None where the contract has no such method: the node answers a revert with nothing.
async fn word(
    node: &Node,
    facts: &Facts,
    method: &str,
    of: Option<Address>,
) -> Result<Option<U256>, Refusal> {
    let parameter = of.map(|account| format!("{:0>64}", lower_hex(&account.0)));
    let parameter = parameter.unwrap_or_default();
    let answer = verify::call(node, facts, Side::Solidity, method, &parameter).await?;
    Ok(answer.and_then(|answer| verify::word(&answer)))
}

fn truth(word: Option<U256>) -> Option<bool> {
    word.and_then(contract::truth)
}
