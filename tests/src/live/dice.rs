//! Chance that can be had again: a seed, printed by every test that rolls it.
//!
//! In: `BURSAR_LIVE_SEED`, or nothing. Out: the same numbers for the same seed.
//! Never: another source of chance. Why: a failure nobody can repeat is not found.

use std::time::Duration;

/// A row of numbers (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// The seed that was asked for, or a fixed one; shown where the test fails.
    pub(crate) fn seeded() -> Self {
        let asked = std::env::var("BURSAR_LIVE_SEED");
        let seed = asked.map_or(1, |text| text.parse().expect("BURSAR_LIVE_SEED is a number"));
        println!("BURSAR_LIVE_SEED={seed}");
        Self(seed)
    }

    /// The row of this seed.
    pub(crate) fn new(seed: usize) -> Self {
        Self(u64::try_from(seed).expect("fits"))
    }

    /// A number from 0 to below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end).expect("fits");
        usize::try_from((mixed ^ (mixed >> 31)) % end).expect("fits")
    }

    /// A time of up to 0.2 s, each doubling from 0.4 ms as likely: how long it takes until
    /// something interesting happens is not known, only that it is somewhere there.
    pub(crate) fn moment(&mut self) -> Duration {
        let most = 400 << self.below(10);
        Duration::from_micros(u64::try_from(self.below(most)).expect("fits"))
    }
}
