//! What the token's issuer says in a log, as nodes write it and as receipts have it.
//!
//! In: the topics and the data of a log of the token's own contract. Out: what it says, or nothing.
//! Never: a Transfer. Why: which arguments are indexed differs from token to token, so they are
//! read in one order wherever they stand.

use payments::notice::{TOPICS, What};

use crate::hex;

/// No notice has more arguments; a log that has is none of those that are read.
const LONGEST: usize = 3;

/// Whether a first topic is of the issuer's events.
pub(crate) fn is_one(topic: &str) -> bool {
    hex::fixed::<32>(topic).is_some_and(|topic| TOPICS.contains(&topic))
}

/// What a log says, from its text.
pub(crate) fn read(topics: &[&str], data: &str) -> Option<What> {
    let (topic, indexed) = topics.split_first()?;
    let indexed = indexed.iter().map(|word| hex::fixed::<32>(word));
    let data = data.strip_prefix("0x")?.as_bytes().chunks(64).map(|word| {
        let text = std::str::from_utf8(word).ok()?;
        hex::fixed::<32>(&format!("0x{text}"))
    });
    let words: Option<Vec<[u8; 32]>> = indexed.chain(data).take(LONGEST).collect();
    What::read(&hex::fixed(topic)?, &words?)
}

/// The same from bytes.
pub(crate) fn of_bytes(topics: &[[u8; 32]], data: &[u8]) -> Option<What> {
    let (topic, indexed) = topics.split_first()?;
    let (data, rest) = data.as_chunks::<32>();
    let words: Vec<[u8; 32]> = indexed.iter().chain(data).take(LONGEST).copied().collect();
    What::read(topic, &words).filter(|_| rest.is_empty())
}
