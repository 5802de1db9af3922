//! Which blocks are proved although their logs came.
//!
//! In: a stretch on somebody's word, and the watched addresses. Out: the places of the blocks that
//! are not believed. Never: a question asked here. Why: an answer that is not empty may still leave
//! a log out or make one up, and the bloom in the verified header is the only other witness that
//! costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address as RawAddress, Bloom, BloomInput};
use hashbrown::HashMap;
use payments::address::Address;
use payments::notice::{TOPICS, What};
use payments::watch::WatchSet;

use crate::config::Prove;
use crate::decode::{BloomSays, Row};
use crate::read::{Stretch, place};
use crate::token::Token;

/// A bloom is asked about every address of ours where there are no more than these.
const FEW: usize = 64;
/// And where it would be wrong about one of them in at most one of so many blocks. A full mainnet
/// block has about half of its bits set: it is wrong about an address in one of 8, and is asked
/// about 2 of them. A bloom of which an eighth is set is asked about all 64.
const BLOCKS_AN_ALARM: u64 = 4;
/// And about what the issuer says where it would be wrong in at most one of so many: a notice left
/// out is told by the next one and by the contract itself, a payment by nothing.
const BLOCKS_A_RUMOUR: u64 = 128;
/// How many bits a bloom has, and how many of them one address sets.
const BITS: u64 = 2_048;
const BITS_EACH: u32 = 3;

/// The places of the blocks that are to be proved before the stretch is believed. `ours` are its
/// rows with an address of `watch` at either end.
pub(crate) fn doubted(
    stretch: &Stretch,
    ours: &[Row],
    watch: &WatchSet,
    (token, prove): (&Token, Prove),
) -> BTreeSet<usize> {
    let mut told: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
    // What another contract logs has no value: it is taken as told.
    for row in ours.iter().filter(|row| row.is_of_token()) {
        told.entry(row.at).or_default().push(row);
    }
    // Of the notices those count that concern nobody of ours too: they were told.
    let mut noticed: BTreeMap<u32, Vec<&What>> = BTreeMap::new();
    for row in &stretch.rows {
        if let Some(notice) = &row.notice {
            noticed.entry(row.at).or_default().push(notice);
        }
    }
    // They are few, and what they say stops much: each that concerns us is proved.
    let said = ours.iter().filter(|row| row.notice.is_some()).map(|row| row.at);
    let mut proved: BTreeSet<u32> = said.collect();
    proved.append(&mut twice(ours));
    let few: Vec<(Address, Bloom)> = if watch.len() <= FEW {
        watch.addresses().map(|address| (address, topic(address))).collect()
    } else {
        Vec::new()
    };
    let blocks = stretch.blocks.iter().zip(&stretch.words).enumerate();
    blocks
        .filter(|(at, (block, word))| {
            let Some(bloom) = block.bloom.bloom() else { return false };
            let told = told.get(&place(*at)).map(Vec::as_slice).unwrap_or_default();
            let noticed = noticed.get(&place(*at)).map(Vec::as_slice).unwrap_or_default();
            let perhaps = matches!(block.bloom, BloomSays::Perhaps(_));
            let few = if perhaps { few.as_slice() } else { &[] };
            word.is_some()
                && (unheard(bloom, noticed, token)
                    || (prove != Prove::Suspicious && !told.is_empty())
                    || proved.contains(&place(*at))
                    || made_up(bloom, told)
                    || left_out(bloom, told, few))
        })
        .map(|(at, _)| at)
        .collect()
}

/// The places of the blocks that share one of these Transfers with another one: a transaction is in
/// one block of a chain.
pub(crate) fn twice(ours: &[Row]) -> BTreeSet<u32> {
    let mut seen = HashMap::with_capacity(ours.len());
    let shared = ours.iter().filter_map(|row| {
        let before = seen.insert((row.tx, row.n, row.other, row.notice.is_some()), row.at)?;
        Some([before, row.at])
    });
    shared.flatten().collect()
}

/// A log names an account that is not in the bloom.
fn made_up(bloom: &Bloom, told: &[&Row]) -> bool {
    told.iter().any(|row| !bloom.contains(&topic(row.from)) || !bloom.contains(&topic(row.to)))
}

/// The bloom names an address of ours that no log does.
fn left_out(bloom: &Bloom, told: &[&Row], few: &[(Address, Bloom)]) -> bool {
    let heard =
        |address: &Address| told.iter().any(|row| row.to == *address || row.from == *address);
    tells(bloom, few.len(), BLOCKS_AN_ALARM)
        && few.iter().any(|(address, topic)| bloom.contains(topic) && !heard(address))
}

/// The bloom speaks of something that the token's issuer says, and no log does.
fn unheard(bloom: &Bloom, noticed: &[&What], token: &Token) -> bool {
    let mut spoken = token.notices_in(bloom).peekable();
    if spoken.peek().is_none() || !tells(bloom, TOPICS.len(), BLOCKS_A_RUMOUR) {
        return false;
    }
    let heard = |kind: usize| noticed.iter().any(|what| what.kinds().contains(&kind));
    !spoken.all(heard)
}

/// Whether what a bloom says about so many addresses or topics is worth a proof: it is wrong in at
/// most one of `blocks`.
fn tells(bloom: &Bloom, addresses: usize, blocks: u64) -> bool {
    let set: u64 = bloom.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let wrong = set.saturating_pow(BITS_EACH);
    let wrong = wrong.saturating_mul(u64::try_from(addresses).unwrap_or(u64::MAX));
    wrong.saturating_mul(blocks) <= BITS.saturating_pow(BITS_EACH)
}

/// The bloom of an account as a topic.
fn topic(address: Address) -> Bloom {
    let mut bloom = Bloom::default();
    bloom.accrue(BloomInput::Raw(RawAddress::from(address.0).into_word().as_slice()));
    bloom
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_bits(bytes: usize) -> Bloom {
        let mut bloom = Bloom::default();
        bloom.iter_mut().take(bytes).for_each(|byte| *byte = 0xff);
        bloom
    }

    #[test]
    fn a_fuller_bloom_is_asked_about_fewer() {
        for (bytes, most) in [(32, 128), (64, 16), (128, 2), (161, 1), (162, 0), (256, 0)] {
            let bloom = with_bits(bytes);
            let told =
                (0..=200).filter(|addresses| tells(&bloom, *addresses, BLOCKS_AN_ALARM)).max();
            assert_eq!(told, Some(most), "{bytes} of 256 bytes are set");
        }
    }
}
