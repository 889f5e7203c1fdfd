//! `Retry-After`: how long a server, or whatever stands in front of it, asks to wait (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Nobody is believed to mean more than this.
const LONGEST: Duration = Duration::from_secs(3600);

/// In seconds, or until a date; none if it is not there or can't be read. At most an hour.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has room for are a long time, too.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        // By the clock of who sent it, if that is told: this machine's may be another.
        let now = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn wait(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn seconds_and_dates_in_each_form_are_read_and_bounded() {
        let noon = Some("Sun, 06 Nov 1994 12:00:00 GMT");
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, date, expected) in [
            ("0", None, seconds(0)),
            (" 7 ", None, seconds(7)),
            ("86400", None, seconds(3600)),
            ("99999999999999999999999", None, seconds(3600)),
            ("Sun, 06 Nov 1994 12:00:20 GMT", noon, seconds(20)),
            ("Sunday, 06-Nov-94 12:00:20 GMT", noon, seconds(20)),
            ("Sun Nov  6 12:00:20 1994", noon, seconds(20)),
            ("Sun, 06 Nov 1994 11:59:00 GMT", noon, seconds(0)),
            ("Mon, 07 Nov 1994 12:00:00 GMT", noon, seconds(3600)),
            ("Sun, 06 Nov 1994 12:00:20 GMT", None, seconds(0)),
            ("", None, None),
            ("soon", None, None),
            ("-5", None, None),
            ("1.5", None, None),
        ] {
            assert_eq!(wait(text, date), expected, "{text}");
        }
        assert_eq!(read(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ -~]{0,40}") {
            prop_assert!(wait(&text, Some("Sun, 06 Nov 1994 12:00:00 GMT")).is_none_or(|wait| wait <= LONGEST));
        }
    }
}
