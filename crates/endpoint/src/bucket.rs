//! How many requests an endpoint is asked a second.
//!
//! In: a rate and a burst. Out: when the next request may go. Never: a request refused; it waits
//! its turn. Why: providers suspend whoever asks faster than the plan allows, and the pause costs
//! more than the patience.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A token bucket, kept as the moment at which it would be full again.
#[derive(Debug)]
pub struct Bucket {
    /// What one request costs; nothing where the rate is not bounded.
    each: Duration,
    /// How far in front of its rate the endpoint may be asked.
    ahead: Duration,
    full_at: Mutex<Instant>,
}

impl Bucket {
    /// `per_second` 0 is no bound at all; `burst` 0 is one request at a time.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let each = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        let ahead = each.saturating_mul(burst.saturating_sub(1));
        Self { each, ahead, full_at: Mutex::new(Instant::now()) }
    }

    /// Waits until `requests` more may go. A batch counts as what it holds and may overdraw: the
    /// next one waits longer.
    pub async fn take(&self, requests: u32) {
        if !self.each.is_zero() {
            sleep_until(self.reserve(requests)).await;
        }
    }

    fn reserve(&self, requests: u32) -> Instant {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = (*full_at).max(now);
        let cost = self.each.saturating_mul(requests);
        *full_at = begins.checked_add(cost).unwrap_or(begins);
        begins.checked_sub(self.ahead).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_after_the_burst() {
        let bucket = Bucket::new(10, 5);
        let start = Instant::now();
        for _ in 0..5 {
            bucket.take(1).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            bucket.take(1).await;
        }
        let waited = start.elapsed();
        assert!((1000..1010).contains(&waited.as_millis()), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_counts_as_what_it_holds() {
        let bucket = Bucket::new(10, 1);
        let start = Instant::now();
        bucket.take(20).await;
        bucket.take(1).await;
        let waited = start.elapsed();
        assert!((2000..2010).contains(&waited.as_millis()), "{waited:?}");
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        bucket.take(1).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_is_no_bound() {
        let bucket = Bucket::new(0, 0);
        let start = Instant::now();
        for _ in 0..1000 {
            bucket.take(100).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
