//! When a server wants to be asked again.
//!
//! In: the headers of a refusal. Out: how long it wants to be left alone, up to a ceiling. Never:
//! this machine's clock: a date is held against the date the server itself wrote beside it, so
//! that a clock that is wrong, here or there, costs nothing.
//! Why: `Retry-After` holds seconds or a date (RFC 9110, 10.2.3), and both are in use.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The longest pause that is granted: a server that asks for a day is asked sooner.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The one way a date may be written today (RFC 9110, 5.6.7).
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// The pause that the headers of a refusal ask for, at most [`LONGEST_PAUSE`]; none where they ask
/// for none, or for one that is over already.
#[must_use]
pub fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = value(headers, RETRY_AFTER)?;
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        // More digits than a number holds.
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => u64::MAX,
        Err(_) => u64::try_from(date(text)?.checked_sub(date(value(headers, DATE)?)?)?).ok()?,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

fn value(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then_some(text)
}

/// Seconds since 1970.
fn date(text: &str) -> Option<i64> {
    Some(PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn asked(retry_after: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        pause(&headers).map(|pause| pause.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood_up_to_the_ceiling() {
        let longest = Some(LONGEST_PAUSE.as_secs());
        for (text, seconds) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("86400", longest),
            ("99999999999999999999999", longest),
            ("0", None),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(120)),
            ("Mon, 07 Nov 1994 00:00:07 GMT", longest),
            ("Fri, 31 Dec 9999 23:59:59 GMT", longest),
            (NOW, None),
            ("Sun, 06 Nov 1994 08:49:30 GMT", None),
            ("Sun, 06 Nov 1994 08:51:37 CET", None),
            ("Sun, 36 Nov 1994 08:51:37 GMT", None),
        ] {
            assert_eq!(asked(text, Some(NOW)), seconds, "{text}");
        }
        assert_eq!(pause(&HeaderMap::new()), None);
    }

    #[test]
    fn a_date_alone_is_no_length_of_time() {
        let later = "Sun, 06 Nov 1994 08:51:37 GMT";
        assert_eq!(asked(later, None), None);
        assert_eq!(asked(later, Some("yesterday")), None);
        assert_eq!(asked("120", None), Some(120));
    }
}
