//! What can go wrong in an engine, told apart by what the caller can do about it.

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing was changed; the same call later may work (a peer away, too much waiting).
    Unavailable,
    /// Nothing was changed; the same call works once somebody has made room on the disk.
    DiskFull,
    /// It is not known whether the change happened; the same call again is safe and tells.
    Unknown,
    /// The engine is closed or closing; nothing was changed.
    Closed,
    /// The call is wrong: a foreign cursor, a name that is taken. Trying again can't help.
    Invalid,
    /// The store is damaged, from a newer version, or can't be opened. Trying again can't help.
    Broken,
    /// A defect of ours.
    Internal,
}

/// An error of an engine.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    kind: ErrorKind,
    message: String,
    fix: Option<&'static str>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl EngineError {
    /// An error of a kind with a sentence for the log (no secrets, no personal data).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fix: None, source: None }
    }

    /// With what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With what an operator can do about it: a sentence or a command.
    #[must_use]
    pub const fn fixed_by(mut self, fix: &'static str) -> Self {
        self.fix = Some(fix);
        self
    }

    /// What an operator can do about it, if that is known.
    #[must_use]
    pub const fn fix(&self) -> Option<&'static str> {
        self.fix
    }

    /// What the caller can do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call later can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::DiskFull | ErrorKind::Unknown)
    }

    /// The same error for each of the callers that shared a batch.
    #[must_use]
    pub fn shared(&self) -> Self {
        let cause = self.source.as_ref().map(|source| format!(": {source}")).unwrap_or_default();
        Self { kind: self.kind, message: format!("{}{cause}", self.message), fix: self.fix, source: None }
    }
}
