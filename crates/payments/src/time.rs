//! A moment: milliseconds since 1970 in UTC.
//!
//! In: a block's time, the shell's clock. Out: comparisons and checked sums.
//! Never: reads a clock. Why: the same facts must give the same answer tomorrow.

use std::time::Duration;

/// A moment in UTC, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// From whole seconds, as EVM blocks count them.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        i64::try_from(seconds).ok()?.checked_mul(1000).map(Self)
    }

    /// The moment `millis` later, or the end of time.
    #[must_use]
    pub const fn after(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// How much later this is than `earlier`; nothing where it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}
