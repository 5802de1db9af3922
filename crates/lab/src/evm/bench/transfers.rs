//! The transfers of a bench chain, each computed from its number.
//!
//! In: the spec and a number. Out: payer, receiver, value, transaction hash. Never: a list; a
//! million transfers are nowhere but in the JSON. Why: splitmix64 gives the same words for the
//! same number on every machine and costs less than reading them from memory.

use alloy::primitives::{Address, B256, Bloom, BloomInput, Log, LogData, U256};

use super::BenchSpec;
use crate::evm::tx::TRANSFER;

/// One transfer.
pub(super) struct Transfer {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: u128,
}

impl BenchSpec {
    /// The transfers of the block at a height, by number.
    pub(super) fn numbers(&self, height: u64) -> std::ops::Range<u64> {
        let Some(before) = height.checked_sub(1) else { return 0..0 };
        let first = before.saturating_mul(self.logs_per_block);
        first..first.saturating_add(self.logs_per_block)
    }

    pub(super) fn transfer(&self, number: u64) -> Transfer {
        let mut words = Words::of(self.chain.seed, number);
        let (from, other) = (words.address(), words.address());
        let some = u128::from(words.next() >> 24).saturating_add(1);
        let (to, value) = match self.turn(number) {
            Some((to, value)) => (to, value),
            None => (other, some),
        };
        Transfer { from, to, value }
    }

    /// Who is paid what, if it is a paid one's turn.
    fn turn(&self, number: u64) -> Option<(Address, u128)> {
        let count = number.saturating_add(1);
        let turn = count.checked_div(self.paid_every)?;
        if !count.is_multiple_of(self.paid_every) {
            return None;
        }
        let turn = usize::try_from(turn.saturating_sub(1)).ok()?;
        let to = self.paid.get(turn.checked_rem(self.paid.len())?)?;
        let place = turn.checked_rem(self.amounts.len());
        let value = place.and_then(|place| self.amounts.get(place)).copied().unwrap_or(1);
        Some((*to, value))
    }

    /// The hash of the transaction a transfer is in.
    pub(super) fn tx_hash(&self, number: u64) -> B256 {
        let mut words = Words::of(!self.chain.seed, number);
        let mut hash = B256::ZERO;
        for bytes in hash.0.chunks_exact_mut(8) {
            bytes.copy_from_slice(&words.next().to_be_bytes());
        }
        hash
    }
}

impl Transfer {
    pub(super) fn topics(&self) -> [B256; 3] {
        [TRANSFER, self.from.into_word(), self.to.into_word()]
    }

    pub(super) fn log(&self, token: Address) -> Log {
        let data = B256::from(U256::from(self.value)).into();
        Log { address: token, data: LogData::new_unchecked(self.topics().to_vec(), data) }
    }

    /// What its log adds to a bloom that has the token and the event already.
    pub(super) fn accrue(&self, bloom: &mut Bloom) {
        bloom.accrue(BloomInput::Raw(self.from.into_word().as_slice()));
        bloom.accrue(BloomInput::Raw(self.to.into_word().as_slice()));
    }
}

/// The bloom of the token and the event.
pub(super) fn common_bloom(token: Address) -> Bloom {
    let mut bloom = Bloom::ZERO;
    bloom.accrue_raw_log(token, &[TRANSFER]);
    bloom
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct Words(u64);

impl Words {
    fn of(seed: u64, number: u64) -> Self {
        let mut start = Self(seed);
        Self(start.next() ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn address(&mut self) -> Address {
        let mut address = Address::ZERO;
        for bytes in address.0.chunks_mut(8) {
            let word = self.next().to_be_bytes();
            let taken = word.get(..bytes.len()).unwrap_or_default();
            bytes.copy_from_slice(taken);
        }
        address
    }
}
