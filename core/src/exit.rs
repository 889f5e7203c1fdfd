//! Exit codes of every program: part of the compatibility promise (`cardctl help exit-codes`).

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done and true.
    Done = 0,
    /// A defect of ours, or a part that ended by itself.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The environment is not ready, or it was refused for safety.
    NotReady = 3,
    /// Could not find out: unreachable, unauthorised, stream lost beyond retry.
    Unknown = 4,
    /// A deployment failed.
    DeployFailed = 5,
    /// Work failed: declined, dead or cancelled.
    WorkFailed = 6,
    /// An SLO was missed.
    SloMissed = 7,
    /// Still pending.
    Pending = 8,
    /// Correctness violated: lost, duplicate, stuck or stale.
    Incorrect = 9,
    /// A regression against a baseline.
    Regression = 10,
    /// Inconclusive.
    Inconclusive = 11,
    /// Differences found.
    Differences = 12,
    /// The time was up.
    Timeout = 124,
    /// Interrupted (Ctrl-C).
    Interrupted = 130,
    /// Terminated.
    Terminated = 143,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Every code with the words of `cardctl help exit-codes`.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::Done, "success"),
        (Self::Internal, "internal error"),
        (Self::Usage, "usage"),
        (Self::NotReady, "environment not ready, or refused for safety"),
        (Self::Unknown, "could not find out (unreachable, unauthorised, stream lost beyond retry)"),
        (Self::DeployFailed, "deploy failed"),
        (Self::WorkFailed, "work failed (declined, dead or cancelled)"),
        (Self::SloMissed, "SLO missed"),
        (Self::Pending, "still pending"),
        (Self::Incorrect, "correctness violated: lost, duplicate, stuck or stale"),
        (Self::Regression, "regression against a baseline"),
        (Self::Inconclusive, "inconclusive: generator saturated, rate not reached, observer gap, no samples"),
        (Self::Differences, "differences found"),
        (Self::Timeout, "timeout"),
        (Self::Interrupted, "interrupted"),
        (Self::Terminated, "terminated"),
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
