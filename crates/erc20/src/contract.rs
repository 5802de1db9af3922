//! What the token's contract answers when it is asked how things stand.
//!
//! In: accounts, a final block. Out: whether it is paused, replaced, taxed, and whom it blacklists.
//! Never: a method that it does not have taken for a no; two blocks in one answer. Why: what its
//! issuer did before the first block that is read stands in no log that will be.

use std::collections::BTreeMap;

use alloy::primitives::{Bytes, U256, keccak256};
use payments::address::Address;
use payments::chain::Header;
use payments::contract::{self, Answers};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::explain::topic;
use crate::pool::Facts;
use crate::refusal::{Class, Refusal};
use crate::source::Source;
use crate::verify;

/// How contracts spell the question whether an account is blacklisted: Tether's own, its getter,
/// USDT0's.
const BLACKLISTED: [&str; 3] =
    ["isBlackListed(address)", "getBlackListStatus(address)", "isBlocked(address)"];

/// What nodes say of a call that the contract itself refused.
const REFUSED: [&str; 5] =
    ["revert", "invalid opcode", "invalid jump", "vm exception", "vm execution error"];

impl Source {
    /// What the token's contract answers after the block `at`: its decimals, up to eight calls, and
    /// one for each of `accounts`, these in batches. What it has no method for is unknown. The node
    /// learns which accounts are meant.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers, or all have forgotten the state of that block.
    pub async fn answers(&self, accounts: &[Address], at: Header) -> Result<Answers, Error> {
        let facts = &self.pool.facts;
        let asked = self.pool.ask(Some(at.id.height), |endpoint| async move {
            let by_hash = json!({"blockHash": at.id.hash.to_string(), "requireCanonical": true});
            let probe = verify::call(&endpoint, facts, verify::DECIMALS, &by_hash).await;
            if !probe.as_ref().is_err_and(Refusal::is_of_the_question) {
                probe?;
                return Contract { endpoint: &endpoint, facts, at: &by_hash }
                    .answers(accounts, at)
                    .await;
            }
            let by_height = json!(format!("{:#x}", at.id.height));
            verify::call(&endpoint, facts, verify::DECIMALS, &by_height)
                .await
                .map_err(offers_none)?;
            let contract = Contract { endpoint: &endpoint, facts, at: &by_height };
            let answers = contract.answers(accounts, at).await?;
            match endpoint.block_at(at.id.height, facts).await? {
                Some(block) if block.header.id == at.id => Ok(answers),
                _ => Err(Refusal::behind("the block of the answers is not in its chain now")),
            }
        });
        asked.await.map(|(answers, _)| answers).map_err(|exhausted| exhausted.error())
    }
}

/// The contract as one endpoint has it after one block.
struct Contract<'a> {
    endpoint: &'a Endpoint,
    facts: &'a Facts,
    at: &'a Value,
}

impl Contract<'_> {
    async fn answers(&self, accounts: &[Address], at: Header) -> Result<Answers, Refusal> {
        let paused = self.truth("paused()", None).await?;
        let deprecated = match self.truth("deprecated()", None).await? {
            Some(true) => {
                let successor = self.word("upgradedAddress()", None).await?.unwrap_or_default();
                Some(Some(contract::account(successor)))
            }
            known => known.map(|_| None),
        };
        let points = self.word("basisPointsRate()", None).await?;
        let most = self.word("maximumFee()", None).await?;
        let fee = contract::fee(points, most);
        let blacklisted = self.blacklisted(accounts).await?;
        let (block, time) = (at.id, at.time);
        Ok(Answers { block, time, paused, deprecated, fee, blacklisted })
    }

    /// Of each account; none where the contract has no such method.
    async fn blacklisted(
        &self,
        accounts: &[Address],
    ) -> Result<Option<BTreeMap<Address, bool>>, Refusal> {
        let probe = accounts.first().copied().unwrap_or(Address::NOBODY);
        for method in BLACKLISTED {
            if self.truth(method, Some(probe)).await?.is_none() {
                continue;
            }
            let to = self.facts.token.address().evm();
            let question = |account: &Address| json!([{ "to": to, "data": data(method, Some(*account)) }, self.at]);
            let questions: Vec<Value> = accounts.iter().map(question).collect();
            let read = |answer: &RawValue| {
                self.endpoint.read::<Bytes>(method, answer).map(|bytes| truth(&bytes))
            };
            let answers = self.endpoint.calls("eth_call", &questions, read).await?;
            let found = accounts.iter().zip(answers);
            return Ok(Some(found.filter_map(|(of, listed)| Some((*of, listed?))).collect()));
        }
        Ok(None)
    }

    async fn truth(&self, method: &str, of: Option<Address>) -> Result<Option<bool>, Refusal> {
        Ok(self.ask(method, of).await?.as_ref().and_then(truth))
    }

    async fn word(&self, method: &str, of: Option<Address>) -> Result<Option<U256>, Refusal> {
        Ok(self.ask(method, of).await?.as_ref().and_then(verify::word))
    }

    /// None where the contract has no such method: it reverts.
    async fn ask(&self, method: &str, of: Option<Address>) -> Result<Option<Bytes>, Refusal> {
        match verify::call(self.endpoint, self.facts, &data(method, of), self.at).await {
            Ok(answer) => Ok(Some(answer)),
            Err(refusal) if is_the_contracts(&refusal) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

/// A node may know its contracts as they are now and no more, and say so in words of its own: it
/// need not rest for that, and reads blocks as well as before.
fn offers_none(refusal: Refusal) -> Refusal {
    match refusal.class {
        Class::Unknown => Refusal::new(Class::Unsupported, refusal.why),
        _ => refusal,
    }
}

/// Whether it is the contract that refuses, and not the node: which said the contract's decimals at
/// this very block before.
fn is_the_contracts(refusal: &Refusal) -> bool {
    let said = refusal.why.to_lowercase();
    matches!(refusal.class, Class::Unknown | Class::Caller)
        || REFUSED.iter().any(|words| said.contains(words))
}

fn data(method: &str, of: Option<Address>) -> String {
    let mut data: String = keccak256(method).to_string().chars().take(10).collect();
    if let Some(account) = of {
        data.push_str(topic(account).trim_start_matches("0x"));
    }
    data
}

fn truth(answer: &Bytes) -> Option<bool> {
    verify::word(answer).and_then(contract::truth)
}
