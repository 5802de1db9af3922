//! What happened on a chain within the last hour, as far as a bound asks for it.
//!
//! In: amounts and the moment they were recorded. Out: their sum over the last hour.
//! Never: less than the hour: a minute counts whole until the last of it is an hour old.
//! Why: it is kept with the cursor, by the minute, so that it stays small whatever happens.

use std::fmt;

use crate::time::Time;

const MINUTE: i64 = 60_000;
const MINUTES: i64 = 60;

/// Amounts of the last hour by the minute they were recorded in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hour(Vec<(i64, u64)>);

impl Hour {
    /// The sum over the hour before `now`. What was recorded by a clock that ran ahead counts too.
    #[must_use]
    pub fn sum(&self, now: Time) -> u64 {
        let since = since(now);
        let counts = self.0.iter().filter(|(minute, _)| *minute >= since);
        counts.fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// Adds `amount` at `now`, and forgets what is older than an hour.
    pub fn add(&mut self, now: Time, amount: u64) {
        if amount == 0 {
            return;
        }
        let (minute, since) = (now.0.div_euclid(MINUTE), since(now));
        self.0.retain(|(minute, _)| *minute >= since);
        match self.0.iter_mut().find(|(known, _)| *known == minute) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None => self.0.push((minute, amount)),
        }
        self.0.sort_unstable();
    }
}

const fn since(now: Time) -> i64 {
    now.0.div_euclid(MINUTE).saturating_sub(MINUTES)
}

impl fmt::Display for Hour {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (minute, amount)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}{minute}:{amount}")?;
        }
        Ok(())
    }
}

/// What a chain's bounds ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recent {
    /// Millionths of USDT credited by the rules; what a person resolved is not among it.
    pub credited: Hour,
    /// Transfers of other tokens that were recorded.
    pub others: Hour,
    /// Transfers of other tokens beyond the bounds, counted only.
    pub unrecorded: Hour,
}

impl fmt::Display for Recent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{};{};{}", self.credited, self.others, self.unrecorded)
    }
}

impl Recent {
    /// Parses what [`fmt::Display`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(hour);
        let recent =
            Self { credited: parts.next()??, others: parts.next()??, unrecorded: parts.next()?? };
        parts.next().is_none().then_some(recent)
    }
}

fn hour(text: &str) -> Option<Hour> {
    if text.is_empty() {
        return Some(Hour::default());
    }
    let minutes = text.split(',').map(|part| {
        let (minute, amount) = part.split_once(':')?;
        Some((minute.parse().ok()?, amount.parse().ok()?))
    });
    minutes.collect::<Option<Vec<_>>>().map(Hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_never_short_and_ends_a_minute_later_at_most() {
        let mut hour = Hour::default();
        hour.add(Time(59_999), 5);
        hour.add(Time(60_000), 7);
        assert_eq!(hour.sum(Time(60_000)), 12);
        assert_eq!(hour.sum(Time(60 * MINUTE + 59_999)), 12);
        assert_eq!(hour.sum(Time(61 * MINUTE)), 7);
        assert_eq!(hour.sum(Time(62 * MINUTE)), 0);
        hour.add(Time(62 * MINUTE), 1);
        assert_eq!(hour.to_string(), "62:1");
        hour.add(Time(62 * MINUTE), u64::MAX);
        assert_eq!(hour.sum(Time(0)), u64::MAX);
    }

    #[test]
    fn it_spells_and_parses() {
        let mut recent = Recent::default();
        assert_eq!(Recent::parse(";;"), Some(recent.clone()));
        recent.credited.add(Time(0), 100_000_000);
        recent.credited.add(Time(MINUTE), 1);
        recent.unrecorded.add(Time(-1), 3);
        assert_eq!(recent.to_string(), "0:100000000,1:1;;-1:3");
        assert_eq!(Recent::parse(&recent.to_string()), Some(recent));
        for bad in ["", ";", ";;;", "1;;", "1:-1;;", "1:1,;;"] {
            assert_eq!(Recent::parse(bad), None, "{bad}");
        }
    }
}
