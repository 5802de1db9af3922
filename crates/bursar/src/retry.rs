//! How long to wait before trying again: the one use of the `backoff` crate.
//!
//! In: how often it has failed in a row. Out: a jittered wait with a ceiling.
//! Never: gives up; a payment daemon that stops trying loses money.
//! Why: that crate is unmaintained (RUSTSEC-2025-0012); only its policy type is used, and only
//! here, so replacing it changes one file.

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// The first wait.
const FIRST: Duration = Duration::from_millis(250);
/// No wait is longer.
const CEILING: Duration = Duration::from_secs(60);

/// A row of growing waits.
#[derive(Debug)]
pub struct Retry(ExponentialBackoff);

impl Default for Retry {
    fn default() -> Self {
        Self(policy())
    }
}

impl Retry {
    /// The next wait: longer than the one before, half of it left to chance.
    pub fn next_wait(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(CEILING).min(CEILING)
    }

    /// It worked: the next wait is a short one again.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

/// The wait after the `failures`-th failure in a row.
#[must_use]
pub fn rest(failures: u32) -> Duration {
    let mut retry = Retry::default();
    let mut wait = FIRST;
    // Beyond sixteen doublings the ceiling is long reached.
    for _ in 0..failures.min(16) {
        wait = retry.next_wait();
    }
    wait
}

fn policy() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_interval(FIRST)
        .with_multiplier(2.0)
        .with_randomization_factor(0.5)
        .with_max_interval(CEILING)
        .with_max_elapsed_time(None)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_ceiling_and_start_again() {
        let mut retry = Retry::default();
        assert!(retry.next_wait() <= FIRST * 2);
        let late = (0..40).map(|_| retry.next_wait()).last().unwrap();
        assert!(late >= CEILING / 3 && late <= CEILING, "{late:?}");
        retry.reset();
        assert!(retry.next_wait() <= FIRST * 2);
        assert!(rest(1) <= FIRST * 2);
        assert!(rest(1_000_000) >= CEILING / 3);
    }

    /// Daemons that failed at the same moment do not all come back at the same moment.
    #[test]
    fn no_two_wait_alike() {
        let waits: std::collections::BTreeSet<Duration> = (0..64).map(|_| rest(1)).collect();
        assert!(waits.len() > 32, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait >= FIRST / 2 && *wait <= FIRST * 3 / 2), "{waits:?}");
    }
}
