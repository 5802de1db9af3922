//! What a TRON transaction is before anything happens to it: the bytes its id is the hash of.
//!
//! In: a contract call or a TRX transfer, and when it was made. Out: `raw_data`, its id, and the
//! whole transaction as the merkle tree hashes it. Never: what came of it; the result is hashed
//! with the whole transaction and not with its id. Source: java-tron `Tron.proto`, message
//! Transaction; checked against recorded transactions.

use alloy::primitives::{B256, Bytes};

use super::address::sha256;
use super::proto::Message;

/// The inner fields of `raw_data`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Raw {
    /// The last two bytes of a recent height, and eight of its block's id: which chain is meant.
    /// `None` in the genesis block alone.
    pub(crate) refers: Option<([u8; 2], [u8; 8])>,
    /// Milliseconds since 1970; zero in the genesis block.
    pub(crate) expiration: u64,
    pub(crate) timestamp: u64,
    /// The most the owner burns, in sun.
    pub(crate) fee_limit: u64,
    pub(crate) memo: Bytes,
    pub(crate) contract: Contract,
}

/// What a transaction asks for. Addresses are the bytes that stand in it, 21 as a rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Contract {
    /// TRX from an account to another; the amount in sun as it is encoded.
    Transfer { owner: Bytes, to: Bytes, amount: u64 },
    /// A call of a contract.
    Trigger { owner: Bytes, contract: Bytes, data: Bytes },
}

impl Raw {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (height, block) = self.refers.unwrap_or_default();
        let refers = self.refers.map_or((&[][..], &[][..]), |_| (&height[..], &block[..]));
        Message::new()
            .bytes(1, refers.0)
            .bytes(4, refers.1)
            .number(8, self.expiration)
            .bytes(10, &self.memo)
            .always(11, &self.contract.encode())
            .number(14, self.timestamp)
            .number(18, self.fee_limit)
            .done()
    }
}

impl Contract {
    /// Its name in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "TransferContract",
            Self::Trigger { .. } => "TriggerSmartContract",
        }
    }

    /// The type of its parameter.
    pub(crate) fn type_url(&self) -> String {
        format!("type.googleapis.com/protocol.{}", self.name())
    }

    fn encode(&self) -> Vec<u8> {
        let (number, value) = match self {
            Self::Transfer { owner, to, amount } => {
                (1, Message::new().bytes(1, owner).bytes(2, to).number(3, *amount))
            }
            Self::Trigger { owner, contract, data } => {
                (31, Message::new().bytes(1, owner).bytes(2, contract).bytes(4, data))
            }
        };
        let any = Message::new().bytes(1, self.type_url().as_bytes()).bytes(2, &value.done());
        Message::new().number(1, number).always(2, &any.done()).done()
    }
}

/// A transaction's id.
pub(crate) fn id(raw: &[u8]) -> B256 {
    B256::from(sha256(raw))
}

/// The leaf of the merkle tree: the hash of raw data, signatures and result together.
pub(crate) fn leaf(raw: &[u8], signature: &[u8], contract_ret: u64) -> B256 {
    let mut whole = Message::new().always(1, raw).bytes(2, signature);
    if contract_ret > 0 {
        whole = whole.always(5, &Message::new().number(3, contract_ret).done());
    }
    B256::from(sha256(&whole.done()))
}

/// The root over leaves: pairs are hashed, an odd last one is carried up as it is, and no leaves
/// are zero. Source: java-tron `MerkleTree.java`.
pub(crate) fn merkle_root(leaves: Vec<B256>) -> B256 {
    let mut row = leaves;
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => B256::from(sha256(&[left.0, right.0].concat())),
                odd => odd.first().copied().unwrap_or_default(),
            })
            .collect();
    }
    row.first().copied().unwrap_or_default()
}
