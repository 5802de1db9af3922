//! A block's header, from JSON to what is kept of it.
//!
//! In: the header's fields as a node writes them. Out: the header, its id recomputed. Never: an
//! id believed because it stands beside the fields.
//! Why: the id binds the parent, the time and the transactions (java-tron, `BlockHeader.raw`). A
//! fork that adds a field unknown here fails the same way as a lie, and must: fail closed.

use payments::chain::{BlockHash, Header};
use payments::time::Time;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::decode::{DecodeError, block_id};
use crate::hex;

/// A header as nodes write it: what is zero or empty is left out.
#[derive(Deserialize)]
pub(crate) struct WrittenHeader<'a> {
    #[serde(borrow)]
    raw_data: WrittenRaw<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRaw<'a> {
    #[serde(default)]
    timestamp: u64,
    #[serde(borrow, default)]
    tx_trie_root: &'a str,
    #[serde(borrow, default)]
    parent_hash: &'a str,
    #[serde(default)]
    number: u64,
    #[serde(default, rename = "witness_id")]
    witness_id: u64,
    #[serde(borrow, default, rename = "witness_address")]
    witness_address: &'a str,
    #[serde(default)]
    version: u64,
    #[serde(borrow, default)]
    account_state_root: &'a str,
}

/// The header behind `id`, and the root of its transactions.
pub(crate) fn verified(
    id: &str,
    written: &WrittenHeader<'_>,
) -> Result<(Header, [u8; 32]), DecodeError> {
    let raw = &written.raw_data;
    let height = raw.number;
    let wrong = |what: &str| {
        DecodeError::Lie(format!(
            "the header at height {height} {what}: it was tampered with, or \
                                  belongs to a fork newer than this program"
        ))
    };
    let bytes = encoded(raw).ok_or_else(|| wrong("is not hex"))?;
    let hash = id_of(height, &bytes);
    if hex::fixed(id) != Some(hash) {
        return Err(wrong("does not hash to its id"));
    }
    let parent: [u8; 32] = hex::fixed(raw.parent_hash).ok_or_else(|| wrong("has no parent"))?;
    let root: [u8; 32] = hex::fixed(raw.tx_trie_root).ok_or_else(|| wrong("has no root"))?;
    // An id begins with the height of its block.
    let below = height.checked_sub(1).map(u64::to_be_bytes);
    if below.is_some_and(|below| !parent.starts_with(&below)) {
        return Err(wrong("has a parent of another height"));
    }
    let time = i64::try_from(raw.timestamp).map_err(|_| wrong("has no possible time"))?;
    let header = Header { id: block_id(height, hash), parent: BlockHash(parent), time: Time(time) };
    Ok((header, root))
}

/// The height in front of the hash's last 24 bytes.
fn id_of(height: u64, raw: &[u8]) -> [u8; 32] {
    let mut id: [u8; 32] = Sha256::digest(raw).into();
    for (byte, number) in id.iter_mut().zip(height.to_be_bytes()) {
        *byte = number;
    }
    id
}

/// The header's `raw_data` as protobuf: fields 1 timestamp, 2 txTrieRoot, 3 parentHash, 7 number,
/// 8 witness_id, 9 witness_address, 10 version, 11 accountStateRoot.
fn encoded(raw: &WrittenRaw<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(160);
    number(&mut out, 1, raw.timestamp);
    bytes(&mut out, 2, raw.tx_trie_root)?;
    bytes(&mut out, 3, raw.parent_hash)?;
    number(&mut out, 7, raw.number);
    number(&mut out, 8, raw.witness_id);
    bytes(&mut out, 9, raw.witness_address)?;
    number(&mut out, 10, raw.version);
    bytes(&mut out, 11, raw.account_state_root)?;
    Some(out)
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        out.push(field << 3);
        varint(out, value);
    }
}

fn bytes(out: &mut Vec<u8>, field: u8, digits: &str) -> Option<()> {
    if !digits.is_empty() {
        let mut value = Vec::with_capacity(32);
        if !hex::decode(digits, &mut value) {
            return None;
        }
        out.push((field << 3) | 2);
        varint(out, u64::try_from(value.len()).ok()?);
        out.append(&mut value);
    }
    Some(())
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        let [low, ..] = value.to_le_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}
