//! The words of the grammar: what is measured, in what, which figure of it, and how it is compared.

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Request to 202, from the intended start.
    Accept,
    /// Request to 202, from when it was really sent.
    AcceptService,
    /// Request to final status, from the intended start.
    EndToEnd,
    /// Request to final status, from when it was really sent.
    EndToEndService,
    /// Accepted until the last attempt began.
    QueueWait,
    /// The last attempt.
    Work,
    /// A read of what the user has, from when it should have been sent.
    Read,
    /// Requests that failed, of those sent.
    Errors,
    /// Tasks that died, of those accepted.
    Dead,
    /// Tasks that the issuer declined, of those accepted.
    Declined,
    /// Requests sent a second.
    Offered,
    /// Requests accepted a second.
    Accepted,
    /// Tasks that became final a second.
    Completed,
    /// The largest backlog.
    Backlog,
    /// The largest age of the oldest waiting task.
    OldestAge,
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds; typed with a unit.
    Time,
    /// A fraction of 1; typed as such or in percent.
    Share,
    /// A second; typed so, a minute, or plain.
    Rate,
    /// A plain number.
    Count,
}

/// Which figure of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// Half took at most this.
    P50,
    /// Nine of ten took at most this.
    P90,
    /// 95 of a hundred took at most this.
    P95,
    /// 99 of a hundred took at most this.
    P99,
    /// The longest.
    Max,
    Mean,
}

/// How the figure is compared with the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 15] = [
        Self::Accept,
        Self::EndToEnd,
        Self::AcceptService,
        Self::EndToEndService,
        Self::QueueWait,
        Self::Work,
        Self::Read,
        Self::Errors,
        Self::Dead,
        Self::Declined,
        Self::Offered,
        Self::Accepted,
        Self::Completed,
        Self::Backlog,
        Self::OldestAge,
    ];

    /// Its name in the grammar.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::AcceptService => "accept-service",
            Self::EndToEnd => "e2e",
            Self::EndToEndService => "e2e-service",
            Self::QueueWait => "queue-wait",
            Self::Work => "work",
            Self::Read => "read",
            Self::Errors => "errors",
            Self::Dead => "dead",
            Self::Declined => "declined",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Completed => "completed",
            Self::Backlog => "backlog",
            Self::OldestAge => "oldest-age",
        }
    }

    /// What it is counted in.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Errors | Self::Dead | Self::Declined => Unit::Share,
            Self::Offered | Self::Accepted | Self::Completed => Unit::Rate,
            Self::Backlog => Unit::Count,
            _ => Unit::Time,
        }
    }

    /// Whether it says something of orders, and so nothing of a load that only reads.
    #[must_use]
    pub const fn is_of_orders(self) -> bool {
        !matches!(self, Self::Read | Self::Errors | Self::Offered)
    }

    /// Whether it is measured request by request, so that it has statistics.
    #[must_use]
    pub const fn is_latency(self) -> bool {
        matches!(self.unit(), Unit::Time) && !matches!(self, Self::OldestAge)
    }
}

impl Stat {
    /// Every statistic.
    pub const ALL: [Self; 6] = [Self::P50, Self::P90, Self::P95, Self::P99, Self::Max, Self::Mean];

    /// Its name in the grammar.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::Mean => "mean",
        }
    }
}

impl Op {
    /// Every comparison.
    pub const ALL: [Self; 4] = [Self::Less, Self::AtMost, Self::More, Self::AtLeast];

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether it asks for at least something, and not for at most.
    #[must_use]
    pub const fn is_floor(self) -> bool {
        matches!(self, Self::More | Self::AtLeast)
    }
}
