//! The token contract and the events that are read of it.
//!
//! In: the contract's address. Out: the same as hex text, as a topic filter and as blooms.
//! Never: an event that is neither a Transfer nor a notice of the issuer; another contract's.
//! Why: every answer is held against these, so they are spelled once.

use alloy::primitives::{B256, Bloom, BloomInput, b256};
use payments::address::Address;
use payments::notice::TOPICS;
use serde_json::{Value, json};

/// `keccak256("Transfer(address,address,uint256)")`, the first topic of every ERC-20 Transfer.
pub(crate) const TRANSFER: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// The same as nodes write it.
pub(crate) const TRANSFER_TEXT: &str =
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// A token contract.
#[derive(Debug, Clone)]
pub struct Token {
    address: Address,
    text: String,
    bloom: Bloom,
    /// The same of each event of its issuer.
    notices: Vec<Bloom>,
    /// The first topics that are asked for.
    topics: Vec<String>,
    /// Whether Transfers of every other contract are asked for too.
    others: bool,
}

impl Token {
    /// The token at `address`.
    #[must_use]
    pub fn new(address: Address) -> Self {
        let of = |topic: B256| {
            let mut bloom = Bloom::default();
            bloom.accrue_raw_log(address.0.into(), &[topic]);
            bloom
        };
        let text = format!("{:#x}", alloy::primitives::Address::from(address.0));
        let notices = TOPICS.iter().map(|topic| of(B256::from(*topic))).collect();
        let topics = TOPICS.iter().map(|topic| B256::from(*topic).to_string());
        let topics = std::iter::once(TRANSFER_TEXT.to_owned()).chain(topics).collect();
        Self { address, text, bloom: of(TRANSFER), notices, topics, others: false }
    }

    /// The token, with the Transfers of every other contract beside its own or without them.
    #[must_use]
    pub fn with_others(self, others: bool) -> Self {
        Self { others, ..self }
    }

    /// Whether Transfers of other contracts are asked for too.
    pub(crate) const fn has_others(&self) -> bool {
        self.others
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Its address as `0x` and 40 lower-case hex digits.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a block with this bloom may hold a Transfer of the token. False is certain.
    pub(crate) fn may_be_in(&self, bloom: &Bloom) -> bool {
        bloom.contains(&self.bloom)
    }

    /// Whether a block with this bloom may hold a Transfer of another contract that is asked for.
    pub(crate) fn others_may_be_in(&self, bloom: &Bloom) -> bool {
        let topic = BloomInput::Raw(TRANSFER.as_slice());
        self.others && bloom.contains_input(topic)
    }

    /// Whether a block with this bloom may hold a log of the token's issuer. False is certain.
    pub(crate) fn notices_may_be_in(&self, bloom: &Bloom) -> bool {
        self.notices.iter().any(|notice| bloom.contains(notice))
    }

    /// Of which logs of the issuer, by their place among [`TOPICS`], this bloom speaks.
    pub(crate) fn notices_in<'a>(&'a self, bloom: &'a Bloom) -> impl Iterator<Item = usize> + 'a {
        let spoken = self.notices.iter().enumerate().filter(|(_, notice)| bloom.contains(notice));
        spoken.map(|(kind, _)| kind)
    }

    /// The filter of all its Transfers and notices in a range of heights, both ends counted. It
    /// names no account: the node must not learn which are ours, and places inside a transaction
    /// can only be counted over all of them.
    pub(crate) fn in_range(&self, from: u64, to: u64) -> Value {
        self.filter(json!({
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{to:#x}"),
        }))
    }

    /// The filter of all its Transfers and notices in one block.
    pub(crate) fn in_block(&self, hash: &payments::chain::BlockHash) -> Value {
        self.filter(json!({ "blockHash": hash.to_string() }))
    }

    fn filter(&self, mut filter: Value) -> Value {
        if let Value::Object(members) = &mut filter {
            if !self.others {
                members.insert("address".to_owned(), json!(self.text));
            }
            members.insert("topics".to_owned(), json!([self.topics]));
        }
        json!([filter])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::keccak256;

    #[test]
    fn the_topic_is_the_hash_of_the_signature() {
        assert_eq!(TRANSFER, keccak256("Transfer(address,address,uint256)"));
        assert_eq!(TRANSFER_TEXT, TRANSFER.to_string());
    }

    #[test]
    fn a_bloom_needs_both_the_address_and_the_topic() {
        let token = Token::new(Address([0x11; 20]));
        let mut bloom = Bloom::default();
        assert!(!token.may_be_in(&bloom));
        bloom.accrue_raw_log([0x11; 20].into(), &[]);
        assert!(!token.may_be_in(&bloom));
        bloom.accrue_raw_log([0x22; 20].into(), &[TRANSFER]);
        assert!(token.may_be_in(&bloom));
    }
}
