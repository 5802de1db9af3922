//! Whether an endpoint is the one the config means, and what its contract says.
//!
//! In: an endpoint and the facts. Out: nothing, or the fact that differs. Never: an endpoint used
//! on its word that was not checked; one that was down at start-up is checked when it comes up.
//! Why: the same contract address is another token on a test network.

use payments::address::Address;
use payments::chain::Header;
use ruint::aliases::U256;
use serde::Deserialize;
use serde_json::json;

use crate::decode;
use crate::error::Error;
use crate::hex;
use crate::node::{Node, Side};
use crate::pool::Facts;
use crate::refusal::{Class, Refusal};

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

/// What a `triggerconstantcontract` answers.
#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow, default)]
    result: CallResult<'a>,
    #[serde(borrow, default)]
    constant_result: Vec<&'a str>,
}

#[derive(Default, Deserialize)]
struct CallResult<'a> {
    #[serde(borrow, default)]
    code: Option<&'a str>,
    #[serde(borrow, default)]
    message: Option<&'a str>,
}

/// Checks the genesis block, the contract and its decimals, and that there is a solidity node.
pub(crate) async fn verify(node: &Node, facts: &Facts) -> Result<(), Unfit> {
    let name = || node.name.clone();
    let found = node.genesis().await?;
    let expected = *facts.genesis.get_or_init(|| found);
    if found != expected {
        return Err(Unfit::Misfit(Error::WrongGenesis { endpoint: name(), expected, found }));
    }
    match solidified(node).await {
        Ok(_) => {}
        Err(Refusal { class: Class::Unsupported, why }) => {
            let location = node.solidity.location.to_string();
            return Err(Unfit::Misfit(Error::NoSolidity { endpoint: name(), location, why }));
        }
        Err(refusal) => return Err(refusal.into()),
    }
    match decimals(node, facts).await? {
        None => {
            let token = facts.token.tron();
            Err(Unfit::Misfit(Error::NoContract { endpoint: name(), token }))
        }
        Some(found) if found == U256::from(facts.decimals) => Ok(()),
        Some(found) => {
            let (expected, found) = (facts.decimals, found.to_string());
            Err(Unfit::Misfit(Error::WrongDecimals { endpoint: name(), expected, found }))
        }
    }
}

/// The newest block that can no longer change.
pub(crate) async fn solidified(node: &Node) -> Result<Header, Refusal> {
    node.newest(Side::Solidity).await
}

/// The token's decimals; none where there is no contract.
pub(crate) async fn decimals(node: &Node, facts: &Facts) -> Result<Option<U256>, Refusal> {
    let Some(answer) = call(node, facts, Side::Full, "decimals()", "").await? else {
        return Ok(None);
    };
    let number = word(&answer);
    number.map(Some).ok_or_else(|| Refusal::lie("decimals() answers something else than a number"))
}

/// How many base units of the token an account holds.
pub(crate) async fn balance(
    node: &Node,
    facts: &Facts,
    side: Side,
    account: Address,
) -> Result<U256, Refusal> {
    let parameter = format!("{:0>64}", payments::address::lower_hex(&account.0));
    let answer = call(node, facts, side, "balanceOf(address)", &parameter).await?;
    let held = answer.and_then(|answer| word(&answer));
    held.ok_or_else(|| Refusal::lie("balanceOf answers something else than a number"))
}

/// Calls the token contract without a transaction, as account zero; none where there is no
/// contract.
pub(crate) async fn call(
    node: &Node,
    facts: &Facts,
    side: Side,
    selector: &str,
    parameter: &str,
) -> Result<Option<Vec<u8>>, Refusal> {
    let question = json!({
        "owner_address": format!("41{}", "0".repeat(40)),
        "contract_address": format!("41{}", payments::address::lower_hex(&facts.token.0)),
        "function_selector": selector,
        "parameter": parameter,
    });
    let body = node.post(side, "triggerconstantcontract", &question).await?;
    called(&body, selector)
}

/// The result of a call; none where there is no contract.
pub(crate) fn called(body: &[u8], selector: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let called: Called<'_> = decode::read(body)?;
    if let Some(code) = called.result.code.filter(|code| *code != "SUCCESS") {
        let message = called.result.message.map(text).unwrap_or_default();
        if code == "CONTRACT_VALIDATE_ERROR" {
            return Ok(None);
        }
        return Err(Refusal::new(Class::Down, format!("{selector}: {code} {message}")));
    }
    let Some(digits) = called.constant_result.first() else {
        return Err(Refusal::lie(format!("{selector} has no result")));
    };
    let mut bytes = Vec::new();
    if !hex::decode(digits, &mut bytes) {
        return Err(Refusal::lie(format!("the result of {selector} is not hex")));
    }
    Ok(Some(bytes))
}

/// A message as nodes write it: its bytes as hex.
fn text(message: &str) -> String {
    let mut bytes = Vec::new();
    if hex::decode(message, &mut bytes) {
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        message.to_owned()
    }
}

/// A single 32-byte word.
pub(crate) fn word(bytes: &[u8]) -> Option<U256> {
    <[u8; 32]>::try_from(bytes).ok().map(U256::from_be_bytes)
}
