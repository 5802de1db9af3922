//! How an endpoint has behaved, and how long it rests for it.
//!
//! In: answers, failures, and requests to be left alone. Out: whether it may be asked now.
//! Never: an endpoint that asked for silence counted as one that failed.
//! Why: a throttled endpoint is healthy and says when to come back; a failing one says neither.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// How long an endpoint rests after its k-th failure in a row (k from 1).
pub type Rest = Arc<dyn Fn(u32) -> Duration + Send + Sync>;

/// After this many answers in a row earlier failures are forgiven. One is not enough: a node that
/// lies about one thing answers everything else, and would never rest longer than the first time.
const FORGIVEN_AFTER: u32 = 16;

/// What is known of an endpoint's health.
#[derive(Debug, Clone, Default)]
pub struct Conduct {
    failures: u32,
    answered: u32,
    failed: u64,
    throttled: u64,
    until: Option<Instant>,
    silenced: bool,
    last_error: Option<String>,
}

impl Conduct {
    /// An answer passed its checks.
    pub fn answered(&mut self) {
        self.answered = self.answered.saturating_add(1);
        if self.answered >= FORGIVEN_AFTER {
            self.failures = 0;
        }
    }

    /// A failure that costs a rest; how many there are now in a row.
    pub fn failed(&mut self, why: &str) -> u32 {
        self.answered = 0;
        self.failures = self.failures.saturating_add(1);
        self.failed = self.failed.saturating_add(1);
        self.last_error = Some(why.to_owned());
        self.failures
    }

    /// It answered that it wants to be asked less, and is left alone for `rest`.
    pub fn throttled(&mut self, why: &str, rest: Duration) {
        self.throttled = self.throttled.saturating_add(1);
        self.last_error = Some(why.to_owned());
        self.rest(rest);
        self.silenced = true;
    }

    /// A refusal that costs nothing.
    pub fn noted(&mut self, why: &str) {
        self.last_error = Some(why.to_owned());
    }

    /// Leaves it alone for `rest`, or longer where it already rests longer.
    pub fn rest(&mut self, rest: Duration) {
        if self.rests_for().is_none() {
            self.silenced = false;
        }
        let until = Instant::now().checked_add(rest);
        self.until = self.until.max(until);
    }

    /// How long it still rests; none where it may be asked.
    #[must_use]
    pub fn rests_for(&self) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// How long it still wants silence; none where it rests for another reason or not at all.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        self.rests_for().filter(|_| self.silenced)
    }

    /// Failures in a row: so many that were not yet forgiven.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Failures since the start.
    #[must_use]
    pub const fn failed_in_all(&self) -> u64 {
        self.failed
    }

    /// How often it asked to be left alone since the start.
    #[must_use]
    pub const fn throttled_in_all(&self) -> u64 {
        self.throttled
    }

    /// What it last said wrong.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn throttled_is_not_failed() {
        let mut conduct = Conduct::default();
        conduct.throttled("suspended for 30 s", Duration::from_secs(30));
        assert_eq!((conduct.failures(), conduct.throttled_in_all()), (0, 1));
        // A shorter rest of another kind does not end the silence.
        assert_eq!(conduct.failed("down"), 1);
        conduct.rest(Duration::from_secs(1));
        assert_eq!(conduct.silent_for(), Some(Duration::from_secs(30)));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(conduct.rests_for(), None);
        conduct.rest(Duration::from_secs(1));
        assert_eq!((conduct.rests_for().is_some(), conduct.silent_for()), (true, None));
    }

    #[test]
    fn a_failure_is_forgiven_after_many_answers() {
        let mut conduct = Conduct::default();
        assert_eq!((conduct.failed("a"), conduct.failed("b")), (1, 2));
        for _ in 1..FORGIVEN_AFTER {
            conduct.answered();
        }
        assert_eq!(conduct.failures(), 2);
        conduct.answered();
        assert_eq!((conduct.failures(), conduct.failed_in_all()), (0, 2));
        assert_eq!(conduct.last_error(), Some("b"));
    }
}
