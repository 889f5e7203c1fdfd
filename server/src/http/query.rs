//! Query parameters: each known by name, each given once unless it is a list, each checked. A name that the route
//! does not know is refused, because a misspelt filter that is ignored answers a question that was not asked.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use card_core::problem::FieldError;
use card_core::time::{Instant, parse_duration};

use crate::problem::Refusal;

/// The parameters of a request, taken out one by one; [`Query::finish`] says what was wrong or left over.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { pairs, ..Self::default() }
    }

    /// Refuses every name but these.
    pub(crate) fn only(query: &str, known: &[String]) -> Result<(), Refusal> {
        let unknown: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| !known.iter().any(|known| known == name))
            .take(ERRORS)
            .map(|(name, _)| unknown(&name, known))
            .collect();
        if unknown.is_empty() { Ok(()) } else { Err(Refusal::invalid_all(unknown)) }
    }

    /// A parameter as text.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.error(name, "may be given once");
        }
        values.pop()
    }

    /// A parameter that can be read from text.
    pub(crate) fn get<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        let text = self.text(name)?;
        text.parse().map_err(|error: T::Err| self.error(name, &error.to_string())).ok()
    }

    /// A parameter that must be given; [`Query::finish`] says if it was not.
    pub(crate) fn required<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        let errors = self.errors.len();
        let value = self.get(name);
        if value.is_none() && self.errors.len() == errors {
            self.error(name, "is required");
        }
        value
    }

    /// A list: the name repeated, or values with commas between them.
    pub(crate) fn list<T: FromStr<Err: Display>>(&mut self, name: &'static str, limit: usize) -> Vec<T> {
        let values = self.all(name);
        let texts: Vec<&str> = values.iter().flat_map(|value| value.split(',')).collect();
        if texts.len() > limit {
            self.error(name, &format!("may have at most {limit} values"));
            return Vec::new();
        }
        let mut list = Vec::with_capacity(texts.len());
        for text in texts {
            match text.parse() {
                Ok(value) => list.push(value),
                Err(error) => {
                    self.error(name, &format!("{error}"));
                    break;
                }
            }
        }
        list
    }

    /// `limit`: how many items a page has.
    pub(crate) fn limit(&mut self, default: usize, max: usize) -> usize {
        let Some(text) = self.text("limit") else { return default };
        match text.parse() {
            Ok(limit) if (1..=max).contains(&limit) => limit,
            _ => {
                self.error("limit", &format!("must be a number from 1 to {max}"));
                default
            }
        }
    }

    /// `wait`: a duration of at most a minute.
    pub(crate) fn wait(&mut self) -> Option<Duration> {
        let text = self.text("wait")?;
        match parse_duration(&text) {
            Ok(wait) if wait <= Duration::from_secs(60) => Some(wait),
            Ok(_) => {
                self.error("wait", "must be at most 60s");
                None
            }
            Err(error) => {
                self.error("wait", &error.to_string());
                None
            }
        }
    }

    /// Reads with a function.
    pub(crate) fn with<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        read(&text).map_err(|error| self.error(name, &error)).ok()
    }

    /// Whether all that was given is known and right.
    pub(crate) fn finish(mut self) -> Result<(), Refusal> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.errors.push(unknown(&name, &self.known));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Refusal::invalid_all(self.errors)) }
    }

    fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let taken = self.pairs.extract_if(.., |(given, _)| given == name);
        taken.map(|(_, value)| value).collect()
    }

    fn error(&mut self, name: &str, detail: &str) {
        // A name from outside is quoted back, so not more of it than a person reads.
        let pointer: String = name.chars().take(64).collect();
        self.errors.push(FieldError { pointer, detail: detail.to_owned() });
    }
}

/// More names are not told apart: a person corrects one after the other.
const ERRORS: usize = 16;

fn unknown(name: &str, known: &[impl AsRef<str>]) -> FieldError {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    // A name from outside is quoted back, so not more of it than a person reads.
    let pointer = name.chars().take(64).collect();
    FieldError { pointer, detail: format!("is not a parameter here; known: {known}") }
}

/// A point in time: RFC 3339, or a duration before now.
pub(crate) fn point_in_time(text: &str, now: Instant) -> Result<Instant, String> {
    if let Ok(duration) = parse_duration(text) {
        return Ok(now.minus(duration));
    }
    timestamp(text).map_err(|_| "must be a duration such as 15m, or a time such as 2026-01-31T12:00:00Z".to_owned())
}

/// A point in time: RFC 3339.
pub(crate) fn timestamp(text: &str) -> Result<Instant, String> {
    let timestamp = text.parse::<jiff::Timestamp>();
    timestamp.map(Instant::from).map_err(|_| "must be a time such as 2026-01-31T12:00:00Z".to_owned())
}

/// A regular expression of bounded size, so that it costs bounded time.
pub(crate) fn pattern(text: &str) -> Result<regex::Regex, String> {
    if text.len() > 512 {
        return Err("must have at most 512 bytes".to_owned());
    }
    regex::RegexBuilder::new(text)
        .size_limit(1 << 18)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(|_| "is not a regular expression that can be used here".to_owned())
}

#[cfg(test)]
mod tests {
    use card_core::ids::{RunId, TaskId};
    use card_core::problem::Code;
    use proptest::prelude::*;

    use super::*;

    fn refused(query: Query) -> bool {
        query.finish().is_err_and(|refusal| refusal.code() == Code::ValidationFailed)
    }

    #[test]
    fn a_name_that_is_not_known_is_refused() {
        let mut query = Query::parse("stauts=dead");
        assert_eq!(query.text("status"), None);
        assert!(refused(query));
    }

    #[test]
    fn a_list_is_repeated_or_has_commas() {
        let ids = [TaskId::new(), TaskId::new(), TaskId::new()];
        let mut query = Query::parse(&format!("task={},{}&task={}", ids[0], ids[1], ids[2]));
        assert_eq!(query.list::<TaskId>("task", 3), ids);
        assert!(query.finish().is_ok());
    }

    #[test]
    fn a_wait_above_a_minute_is_refused() {
        let mut query = Query::parse("wait=61s");
        assert_eq!(query.wait(), None);
        assert!(refused(query));
    }

    #[test]
    fn a_point_in_time_is_a_time_or_a_duration_ago() {
        let now = Instant::from_micros(100_000_000);
        assert_eq!(point_in_time("40s", now), Ok(Instant::from_micros(60_000_000)));
        assert_eq!(point_in_time("1970-01-01T00:00:01Z", now), Ok(Instant::from_micros(1_000_000)));
        assert!(point_in_time("yesterday", now).is_err());
    }

    proptest! {
        #[test]
        fn no_query_makes_the_reader_panic(text in "\\PC*") {
            let mut query = Query::parse(&text);
            let _ = (query.wait(), query.limit(1, 5), query.list::<TaskId>("task", 9), query.get::<RunId>("run"));
            let _ = query.finish();
            let _ = point_in_time(&text, Instant::now());
            let _ = pattern(&text);
        }
    }
}
