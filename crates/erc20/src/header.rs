//! A block's header, from JSON to what is kept of it.
//!
//! In: a block object as a node writes it. Out: a `Block` whose hash was recomputed from its
//! fields. Never: a hash believed because it stands beside the fields (alloy takes it from the
//! JSON as well). Why: the hash binds the parent, the time, the bloom and the receipts root. A
//! fork that adds fields unknown here fails the same way as a lie, and must: fail closed.

use alloy::primitives::{B256, Bloom, U64};
use payments::chain::{BlockHash, Header};
use payments::time::Time;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{Block, BloomSays};
use crate::error::block_id;
use crate::refusal::Refusal;
use crate::token::Token;

/// The few fields that are read of a header whose hash cannot be recomputed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Loose {
    hash: B256,
    parent_hash: B256,
    number: U64,
    timestamp: U64,
    #[serde(default)]
    receipts_root: Option<B256>,
}

/// The block in `json`; none where it is `null`. With `check` its hash is recomputed.
pub(crate) fn read(json: &RawValue, token: &Token, check: bool) -> Result<Option<Block>, Refusal> {
    let text = json.get();
    if text.trim() == "null" {
        return Ok(None);
    }
    if check { strict(text, token) } else { loose(text) }.map(Some)
}

fn strict(text: &str, token: &Token) -> Result<Block, Refusal> {
    let garbled = |error| Refusal::lie(format!("a block is not a block: {}", first_line(&error)));
    // Looked up beside the header: no struct of both is read without a copy of every field.
    let claimed = sonic_rs::get(text, ["hash"]).map_err(garbled)?;
    let hash: B256 = sonic_rs::from_str(claimed.as_raw_str()).map_err(garbled)?;
    let header: alloy::consensus::Header = sonic_rs::from_str(text).map_err(garbled)?;
    if header.hash_slow() != hash {
        return Err(Refusal::lie(format!(
            "the header at height {} does not hash to {hash}: it was tampered with, or belongs to \
             a fork newer than this program",
            header.number
        )));
    }
    let bloom = says(token, &header.logs_bloom);
    build(header.number, hash, header.parent_hash, header.timestamp, header.receipts_root, bloom)
}

fn loose(text: &str) -> Result<Block, Refusal> {
    let garbled = |error| Refusal::lie(format!("a block is not a block: {}", first_line(&error)));
    let loose: Loose = sonic_rs::from_str(text).map_err(garbled)?;
    let root = loose.receipts_root.unwrap_or_default();
    let (height, time) = (loose.number.to(), loose.timestamp.to());
    build(height, loose.hash, loose.parent_hash, time, root, BloomSays::Nothing)
}

fn says(token: &Token, bloom: &Bloom) -> BloomSays {
    if token.may_be_in(bloom) {
        BloomSays::Perhaps(*bloom)
    } else if token.others_may_be_in(bloom) || token.notices_may_be_in(bloom) {
        BloomSays::Others(*bloom)
    } else {
        BloomSays::None
    }
}

fn build(
    height: u64,
    hash: B256,
    parent: B256,
    seconds: u64,
    root: B256,
    bloom: BloomSays,
) -> Result<Block, Refusal> {
    let time = Time::from_seconds(seconds).ok_or_else(|| {
        Refusal::lie(format!("the block at height {height} has no possible time"))
    })?;
    let header = Header { id: block_id(height, hash.0), parent: BlockHash(parent.0), time };
    Ok(Block { header, receipts_root: root.0, bloom })
}

/// What a JSON error says, without the excerpt of the body behind it and without a text of the
/// body inside it: a provider that repeats its own URL would have the key told.
pub(crate) fn first_line(error: &sonic_rs::Error) -> String {
    let said = error.to_string();
    let line = said.lines().next().unwrap_or_default();
    let parts = line.split('"').zip([false, true].into_iter().cycle());
    parts.map(|(part, quoted)| if quoted { "\"…\"" } else { part }).collect()
}
