//! What can count for the verdict: `--fail-on p95,errors,throughput`.

use std::fmt;
use std::str::FromStr;

use crate::plan::nearest;

/// What can count for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// `accept.p50` and `e2e.p50`.
    P50,
    /// `accept.p95` and `e2e.p95`.
    P95,
    /// `accept.p99` and `e2e.p99`.
    P99,
    /// Requests that were not accepted.
    Errors,
    /// Tasks that became final a second.
    Throughput,
}

/// A name of no figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidFigure {
    /// What is wrong, with what is known instead.
    pub message: String,
}

impl Figure {
    /// Every one, in the order of the reports.
    pub const ALL: [Self; 5] = [Self::P50, Self::P95, Self::P99, Self::Errors, Self::Throughput];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Errors => "errors",
            Self::Throughput => "throughput",
        }
    }

    /// Whether a change of this name, such as `e2e.p95`, is one of it.
    pub(super) fn covers(self, change: &str) -> bool {
        match self {
            Self::Errors => change == "errors",
            Self::Throughput => change == "completed",
            stat => change.split_once('.').is_some_and(|(_, name)| name == stat.as_str()),
        }
    }
}

impl FromStr for Figure {
    type Err = InvalidFigure;

    fn from_str(text: &str) -> Result<Self, InvalidFigure> {
        if let Some(figure) = Self::ALL.into_iter().find(|figure| figure.as_str() == text) {
            return Ok(figure);
        }
        let near = nearest(text, Self::ALL.into_iter().map(Self::as_str));
        let hint = near.map_or_else(|| ".".to_owned(), |figure| format!("; did you mean {figure}?"));
        let message = format!("unknown metric {text:?}{hint} Known are p50, p95, p99, errors and throughput");
        Err(InvalidFigure { message })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_read_and_written() {
        for figure in Figure::ALL {
            assert_eq!(figure.to_string().parse(), Ok(figure));
        }
    }

    #[test]
    fn an_unknown_figure_is_refused_with_the_nearest() {
        let message = |text: &str| text.parse::<Figure>().unwrap_err().message;
        assert_eq!(
            message("p59"),
            "unknown metric \"p59\"; did you mean p95? Known are p50, p95, p99, errors and throughput"
        );
        assert!(message("troughput").contains("did you mean throughput?"));
        assert!(message("error").contains("did you mean errors?"));
        for text in ["", "p95,errors,throughput", "latency-of-everything"] {
            let message = message(text);
            assert!(!message.contains("did you mean") && message.contains("Known are p50"), "{message}");
        }
    }

    #[test]
    fn a_percentile_covers_both_latencies() {
        assert!(Figure::P95.covers("accept.p95") && Figure::P95.covers("e2e.p95"));
        assert!(!Figure::P95.covers("e2e.p99") && !Figure::P95.covers("errors"));
        assert!(Figure::Throughput.covers("completed") && !Figure::Throughput.covers("accepted"));
        assert!(Figure::Errors.covers("errors"));
    }
}
