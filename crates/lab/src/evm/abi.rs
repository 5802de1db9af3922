//! The three things a token contract is asked.
//!
//! In: the parameters of `eth_call`. Out: the question in them, and answers as the ABI packs them.
//! Never: execution.

use alloy::primitives::{Address, Bytes, U256};
use serde_json::{Value, json};

use super::filter::fixed;
use super::render;
use crate::jsonrpc::RpcError;

/// What a call asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Question {
    Decimals,
    Symbol,
    BalanceOf(Address),
    Other,
}

impl Question {
    /// Reads whom a call is for and what it asks.
    pub(crate) fn read(params: &Value) -> Result<(Option<Address>, Self), RpcError> {
        let request = params.get(0).unwrap_or(&Value::Null);
        let invalid = |why: String| RpcError::invalid_argument(0, &why);
        let to = request.get("to").map(fixed::<Address>).transpose().map_err(invalid)?;
        // The two names of one field; geth prefers the newer.
        let input = request.get("input").or_else(|| request.get("data"));
        let input = input.map(fixed::<Bytes>).transpose().map_err(invalid)?.unwrap_or_default();
        Ok((to, Self::of(&input)))
    }

    fn of(input: &[u8]) -> Self {
        let Some((selector, arguments)) = input.split_at_checked(4) else { return Self::Other };
        match (selector, arguments.get(12..32)) {
            ([0x31, 0x3c, 0xe5, 0x67], _) => Self::Decimals,
            ([0x95, 0xd8, 0x9b, 0x41], _) => Self::Symbol,
            ([0x70, 0xa0, 0x82, 0x31], Some(account)) => {
                Self::BalanceOf(Address::from_slice(account))
            }
            _ => Self::Other,
        }
    }
}

/// What a call to an account without code returns: it succeeds.
pub(crate) fn nothing() -> Value {
    Value::from("0x")
}

/// A number.
pub(crate) fn number(number: U256) -> Value {
    render::bytes(word(number))
}

/// A string: offset, length, padded bytes.
pub(crate) fn text(text: &str) -> Value {
    let mut bytes = Vec::new();
    bytes.extend(word(U256::from(32)));
    bytes.extend(word(U256::from(text.len())));
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    render::bytes(bytes)
}

/// What a token answers that it does not understand.
pub(crate) fn reverted() -> RpcError {
    RpcError::new(3, "execution reverted").with_data(json!("0x"))
}

fn word(value: U256) -> [u8; 32] {
    value.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;

    use super::*;

    #[test]
    fn the_selectors_are_those_of_the_functions() {
        let account = Address::repeat_byte(0xaa);
        for (signature, question) in [
            ("decimals()", Question::Decimals),
            ("symbol()", Question::Symbol),
            ("balanceOf(address)", Question::BalanceOf(account)),
            ("pause()", Question::Other),
        ] {
            let selector = &keccak256(signature.as_bytes())[..4];
            let input = [selector, account.into_word().as_slice()].concat();
            assert_eq!(Question::of(&input), question);
        }
        assert_eq!(Question::of(&[0x70, 0xa0, 0x82, 0x31]), Question::Other);
        assert_eq!(Question::of(&[]), Question::Other);
    }
}
