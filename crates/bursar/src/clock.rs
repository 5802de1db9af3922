//! The one clock.
//!
//! In: the machine's time, or a time a test sets. Out: `payments::time::Time`.
//! Never: read anywhere else. Why: a test that moves time must move all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use payments::time::Time;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Clocks of shops and of chains differ by less than this, in milliseconds.
pub(crate) const SKEW: i64 = 3_600_000;

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is moved.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `time`.
    #[must_use]
    pub fn at(time: Time) -> Self {
        Self::Set(Arc::new(AtomicI64::new(time.0)))
    }

    /// The time now, in milliseconds since 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn now(&self) -> Time {
        match self {
            Self::Set(time) => Time(time.load(Ordering::Acquire)),
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Moves a set clock; the machine's clock stays as it is.
    pub fn set(&self, time: Time) {
        if let Self::Set(cell) = self {
            cell.store(time.0, Ordering::Release);
        }
    }
}

/// RFC 3339 in UTC, to the second where the milliseconds are zero.
#[must_use]
pub fn rfc3339(time: Time) -> String {
    let nanos = i128::from(time.0).saturating_mul(1_000_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{} ms", time.0))
}

/// A moment as RFC 3339 writes it, to the millisecond; `None` for anything else.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Time> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let millis = moment.unix_timestamp_nanos().checked_div(1_000_000)?;
    i64::try_from(millis).ok().map(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(Time(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Time(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339(Time(i64::MAX)), format!("{} ms", i64::MAX));
        assert_eq!(parse_rfc3339("2023-11-14T23:13:20.123+01:00"), Some(Time(1_700_000_000_123)));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_set_clock_moves_only_by_hand() {
        let clock = Clock::at(Time(5));
        assert_eq!(clock.now(), Time(5));
        clock.set(Time(9));
        assert_eq!(clock.clone().now(), Time(9));
    }
}
