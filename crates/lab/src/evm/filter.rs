//! What a caller names: heights, blocks, and which logs it wants.
//!
//! In: JSON parameters. Out: tags and filters, or geth's refusal of them. Never: a guess; geth
//! refuses what it cannot read, and a client should learn that here.

use std::collections::BTreeSet;
use std::str::FromStr;

use alloy::primitives::{Address, B256};
use serde_json::Value;

use crate::jsonrpc::RpcError;

/// geth's most addresses, and most topics in one place.
const MOST_IN_ONE_PLACE: usize = 1000;

/// A height as callers name it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tag {
    Height(u64),
    Earliest,
    Finalized,
    Safe,
    Latest,
    Pending,
}

/// A block as EIP-1898 names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Named {
    Tag(Tag),
    Hash(B256),
}

/// Which logs, of which blocks.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) place: Place,
    addresses: BTreeSet<Address>,
    topics: Vec<BTreeSet<B256>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    Block(B256),
    Range { from: Tag, to: Tag },
}

impl Tag {
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("json: cannot unmarshal non-string into block number")?;
        Ok(match text {
            "earliest" => Self::Earliest,
            "finalized" => Self::Finalized,
            "safe" => Self::Safe,
            "latest" => Self::Latest,
            "pending" => Self::Pending,
            text => Self::Height(quantity(text)?),
        })
    }
}

impl Named {
    /// A missing block is the latest one.
    pub(crate) fn read(value: Option<&Value>) -> Result<Self, String> {
        match value {
            None | Some(Value::Null) => Ok(Self::Tag(Tag::Latest)),
            Some(Value::Object(fields)) => match fields.get("blockHash") {
                Some(hash) => Ok(Self::Hash(fixed(hash)?)),
                None => Tag::read(fields.get("blockNumber").unwrap_or(&Value::Null)).map(Self::Tag),
            },
            Some(value) => match value.as_str() {
                Some(text) if text.len() == 66 => Ok(Self::Hash(fixed(value)?)),
                _ => Tag::read(value).map(Self::Tag),
            },
        }
    }
}

impl Filter {
    /// Reads the first parameter of `eth_getLogs` or of a subscription to logs.
    pub(crate) fn read(value: &Value) -> Result<Self, RpcError> {
        let invalid = |why: String| RpcError::invalid_argument(0, &why);
        let field = |name: &str| value.get(name).filter(|field| !field.is_null());
        let tag = |name: &str| field(name).map_or(Ok(Tag::Latest), Tag::read).map_err(invalid);
        let place = match field("blockHash") {
            Some(_) if field("fromBlock").is_some() || field("toBlock").is_some() => {
                let why = "cannot specify both BlockHash and FromBlock/ToBlock, choose one or \
                           the other";
                return Err(invalid(why.to_owned()));
            }
            Some(hash) => Place::Block(fixed(hash).map_err(invalid)?),
            None => Place::Range { from: tag("fromBlock")?, to: tag("toBlock")? },
        };
        let addresses = one_or_many(field("address")).map_err(invalid)?;
        let topics = match field("topics") {
            None => Vec::new(),
            Some(Value::Array(places)) => places
                .iter()
                .map(|place| one_or_many(Some(place).filter(|place| !place.is_null())))
                .collect::<Result<Vec<_>, _>>()
                .map_err(invalid)?,
            Some(_) => return Err(invalid("invalid topics".to_owned())),
        };
        if topics.len() > 4 {
            return Err(RpcError::new(-32602, "exceed max topics"));
        }
        let crowded = topics.iter().any(|place| place.len() > MOST_IN_ONE_PLACE);
        if crowded || addresses.len() > MOST_IN_ONE_PLACE {
            let message = "exceed max addresses or topics per search position";
            return Err(RpcError::new(-32000, message));
        }
        Ok(Self { place, addresses, topics })
    }

    /// Whether a log by this contract with these topics is wanted. An empty list wants all.
    pub(crate) fn wants(&self, contract: Address, topics: &[B256]) -> bool {
        let by_place =
            |(wanted, topic): (&BTreeSet<B256>, &B256)| wanted.is_empty() || wanted.contains(topic);
        (self.addresses.is_empty() || self.addresses.contains(&contract))
            && self.topics.len() <= topics.len()
            && self.topics.iter().zip(topics).all(by_place)
    }

    /// Whether it says nothing about the topics after the first.
    pub(crate) fn asks_for_any_account(&self) -> bool {
        self.topics.iter().skip(1).all(BTreeSet::is_empty)
    }
}

/// A quantity as Ethereum's JSON-RPC writes it: hexadecimal, no leading zeros.
fn quantity(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").ok_or("hex string without 0x prefix")?;
    match digits {
        "" => Err("hex string \"0x\"".to_owned()),
        _ if digits.len() > 1 && digits.starts_with('0') => {
            Err("hex number with leading zero digits".to_owned())
        }
        _ => u64::from_str_radix(digits, 16).map_err(|_| "invalid hex string".to_owned()),
    }
}

/// A hash or an address, whole.
pub(crate) fn fixed<T: FromStr>(value: &Value) -> Result<T, String> {
    let text = value.as_str().filter(|text| text.starts_with("0x"));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| "hex string has the wrong length or no 0x prefix".to_owned())
}

fn one_or_many<T: FromStr + Ord>(value: Option<&Value>) -> Result<BTreeSet<T>, String> {
    match value {
        None => Ok(BTreeSet::new()),
        Some(Value::Array(items)) => items.iter().map(fixed).collect(),
        Some(item) => Ok(BTreeSet::from([fixed(item)?])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: Address = Address::repeat_byte(0xda);

    fn wants(filter: Value, topics: &[u8]) -> bool {
        let topics: Vec<B256> = topics.iter().copied().map(B256::repeat_byte).collect();
        Filter::read(&filter).unwrap().wants(TOKEN, &topics)
    }

    #[test]
    fn topics_are_matched_by_place_with_holes_and_alternatives() {
        let [one, two, three] = [1, 2, 3].map(B256::repeat_byte);
        assert!(wants(json!({}), &[1]));
        assert!(wants(json!({"topics": [one]}), &[1, 2]));
        assert!(!wants(json!({"topics": [two]}), &[1, 2]));
        assert!(wants(json!({"topics": [null, [three, two]]}), &[1, 2]));
        assert!(!wants(json!({"topics": [null, [three]]}), &[1, 2]));
        assert!(wants(json!({"topics": [null, []]}), &[1, 2]));
        assert!(!wants(json!({"topics": [null, null, null]}), &[1, 2]));
        assert!(wants(json!({"address": TOKEN}), &[1]));
        assert!(wants(json!({"address": [Address::ZERO, TOKEN]}), &[1]));
        assert!(!wants(json!({"address": Address::ZERO}), &[1]));
    }

    #[test]
    fn heights_are_quantities_and_nothing_like_them() {
        assert_eq!(Tag::read(&json!("0x0")), Ok(Tag::Height(0)));
        assert_eq!(Tag::read(&json!("0x1f")), Ok(Tag::Height(31)));
        assert_eq!(Tag::read(&json!("finalized")), Ok(Tag::Finalized));
        for wrong in [json!("0x01"), json!("0x"), json!("12"), json!(12), json!("head")] {
            assert!(Tag::read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_geth_refuses_is_refused() {
        let hash = B256::ZERO;
        let said = |filter: Value| Filter::read(&filter).unwrap_err();
        assert_eq!(said(json!({"blockHash": hash, "toBlock": "latest"})).code, -32602);
        assert_eq!(said(json!({"topics": [null, null, null, null, null]})).code, -32602);
        let crowd: Vec<B256> = (0..1001).map(|n| alloy::primitives::U256::from(n).into()).collect();
        assert!(said(json!({"topics": [null, crowd]})).message.starts_with("exceed max"));
    }
}
