//! How many requests an endpoint is asked a day.
//!
//! In: a plan's daily limit. Out: whether one more fits, or when it will. Never: more than the
//! limit in any 24 hours of one connection, whenever the provider's day begins. What was asked
//! before a restart, or by another connection, is not known. Why: a spent plan answers nothing for
//! the rest of the day.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(86_400);
/// Requests are remembered by portions of this length.
const PORTION: Duration = Duration::from_secs(900);

/// A limit on the requests of any 24 hours.
#[derive(Debug)]
pub struct Quota {
    per_day: u64,
    /// When each portion began and how many requests it holds, the oldest first.
    portions: Mutex<VecDeque<(Instant, u64)>>,
}

impl Quota {
    /// `per_day` 0 is no bound at all.
    #[must_use]
    pub const fn new(per_day: u64) -> Self {
        Self { per_day, portions: Mutex::new(VecDeque::new()) }
    }

    /// Counts one more request.
    ///
    /// # Errors
    /// How long until one more fits; it is not counted then.
    pub fn take(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let mut portions = self.portions.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut portions, now);
        let spent: u64 = portions.iter().map(|(_, count)| count).sum();
        if self.per_day > 0 && spent >= self.per_day {
            let oldest = portions.front().map_or(now, |(began, _)| *began);
            return Err(leaves(oldest).saturating_duration_since(now));
        }
        match portions.back_mut().filter(|(began, _)| now.duration_since(*began) < PORTION) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => portions.push_back((now, 1)),
        }
        Ok(())
    }

    /// How many requests the last 24 hours held.
    #[must_use]
    pub fn spent(&self) -> u64 {
        let mut portions = self.portions.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut portions, Instant::now());
        portions.iter().map(|(_, count)| count).sum()
    }
}

fn forget(portions: &mut VecDeque<(Instant, u64)>, now: Instant) {
    while portions.front().is_some_and(|(began, _)| leaves(*began) <= now) {
        portions.pop_front();
    }
}

/// When the last request of a portion is a day old.
fn leaves(began: Instant) -> Instant {
    began.checked_add(DAY.saturating_add(PORTION)).unwrap_or(began)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_24_hours_hold_more_than_the_limit() {
        let quota = Quota::new(100);
        let mut granted: Vec<Instant> = Vec::new();
        for _ in 0..2_000 {
            match quota.take() {
                Ok(()) => granted.push(Instant::now()),
                Err(wait) => {
                    assert!(wait <= DAY + PORTION, "{wait:?}");
                    tokio::time::advance(wait).await;
                }
            }
            tokio::time::advance(Duration::from_secs(120)).await;
        }
        assert!(granted.len() > 250, "{}", granted.len());
        for pair in granted.windows(101) {
            assert!(pair[100].duration_since(pair[0]) >= DAY);
        }
        assert!(quota.spent() <= 100);
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_is_no_bound() {
        let quota = Quota::new(0);
        assert!((0..10_000).all(|_| quota.take().is_ok()));
        assert_eq!(quota.spent(), 10_000);
    }
}
