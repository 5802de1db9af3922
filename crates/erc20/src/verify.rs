//! Whether an endpoint is the one the config means.
//!
//! In: an endpoint and the facts. Out: nothing, or the fact that differs. Never: an endpoint used
//! on its word that was not checked; one that was down at start-up is checked when it comes up.
//! Why: the same address is another token on another chain, and 6 decimals are 18 on another.

use alloy::primitives::{B256, Bytes, U64, U256};
use payments::chain::BlockHash;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::Facts;
use crate::refusal::Refusal;

/// The first four bytes of `keccak256("decimals()")`.
pub(crate) const DECIMALS: &str = "0x313ce567";

/// Why an endpoint cannot be used.
pub(crate) enum Unfit {
    /// It does not answer.
    Silent(Refusal),
    /// It is not what the config says.
    Misfit(Error),
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Self {
        Self::Silent(refusal)
    }
}

/// Checks the chain id, the genesis block, the contract and its decimals.
pub(crate) async fn verify(endpoint: &Endpoint, facts: &Facts) -> Result<(), Unfit> {
    let name = || endpoint.name.clone();
    let found = chain_id(endpoint).await?;
    if found != facts.chain_id {
        let expected = facts.chain_id;
        return Err(Unfit::Misfit(Error::WrongChain { endpoint: name(), expected, found }));
    }
    let found = genesis(endpoint).await?;
    let expected = *facts.genesis.get_or_init(|| found);
    if found != expected {
        return Err(Unfit::Misfit(Error::WrongGenesis { endpoint: name(), expected, found }));
    }
    let token = facts.token.address().evm();
    if code(endpoint, facts).await?.is_empty() {
        if is_new(endpoint, facts).await? {
            let why = "it reads the chain for the first time and has no contract yet";
            return Err(Refusal::behind(why).into());
        }
        return Err(Unfit::Misfit(Error::NoCode { endpoint: name(), token }));
    }
    let found = decimals(endpoint, facts).await?;
    if found != U256::from(facts.decimals) {
        let (expected, found) = (facts.decimals, found.to_string());
        return Err(Unfit::Misfit(Error::WrongDecimals { endpoint: name(), expected, found }));
    }
    Ok(())
}

pub(crate) async fn chain_id(endpoint: &Endpoint) -> Result<u64, Refusal> {
    endpoint.call::<U64>("eth_chainId", json!([])).await.map(|id| id.to())
}

/// The hash of block 0, as the endpoint tells it: some chains' genesis headers are special, so
/// it is compared and not recomputed.
pub(crate) async fn genesis(endpoint: &Endpoint) -> Result<BlockHash, Refusal> {
    #[derive(Deserialize)]
    struct Genesis {
        hash: B256,
    }
    let block: Option<Genesis> =
        endpoint.call("eth_getBlockByNumber", json!(["0x0", false])).await?;
    let block = block.ok_or_else(|| Refusal::behind("it does not have block 0"))?;
    Ok(BlockHash(block.hash.0))
}

/// Whether a node says that it has not caught up with the chain since it was set up (`eth_syncing`
/// of the execution APIs: `false`, or an object that says how far it is). One that does not know
/// the question does not say so.
async fn is_syncing(endpoint: &Endpoint) -> Result<bool, Refusal> {
    match endpoint.json("eth_syncing", json!([])).await {
        Ok(answer) => Ok(answer.get().trim_start().starts_with('{')),
        Err(refusal) if refusal.is_of_the_question() => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Whether a node has nothing yet: it says so, or its newest block is the first one. Before it has
/// found others to read from, geth says that it is not syncing.
pub(crate) async fn is_new(endpoint: &Endpoint, facts: &Facts) -> Result<bool, Refusal> {
    if is_syncing(endpoint).await? {
        return Ok(true);
    }
    let newest = endpoint.block(json!("latest"), &facts.token, facts.check).await?;
    Ok(newest.is_none_or(|block| block.header.id.height == 0))
}

pub(crate) async fn code(endpoint: &Endpoint, facts: &Facts) -> Result<Bytes, Refusal> {
    endpoint.call("eth_getCode", json!([facts.token.address().evm(), "latest"])).await
}

pub(crate) async fn decimals(endpoint: &Endpoint, facts: &Facts) -> Result<U256, Refusal> {
    let answer = call(endpoint, facts, DECIMALS, &json!("latest")).await?;
    word(&answer).ok_or_else(|| Refusal::lie("decimals() answers something else than a number"))
}

/// Calls the token contract.
pub(crate) async fn call(
    endpoint: &Endpoint,
    facts: &Facts,
    data: &str,
    at: &Value,
) -> Result<Bytes, Refusal> {
    let to = facts.token.address().evm();
    endpoint.call("eth_call", json!([{ "to": to, "data": data }, at])).await
}

/// A single 32-byte word.
pub(crate) fn word(bytes: &Bytes) -> Option<U256> {
    (bytes.len() == 32).then(|| U256::try_from_be_slice(bytes)).flatten()
}
