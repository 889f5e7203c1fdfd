//! What is told about a forwarded port.

use std::fmt;

/// Something that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardEvent {
    /// The first pod.
    To {
        /// Its name.
        pod: String,
    },
    /// There is no pod; connections wait.
    Waiting {
        /// The pod that is gone, if there was one.
        gone: Option<String>,
    },
    /// A pod again, after the one before is gone.
    Back {
        /// Its name.
        pod: String,
    },
    /// A connection could not be carried within its patience, and was closed.
    Refused { message: String },
    /// The pods can't be watched; what was known of them is used.
    Unwatched { message: String },
}

impl fmt::Display for ForwardEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To { pod } => write!(f, "forwarding to pod {pod}"),
            Self::Waiting { gone: None } => f.write_str("no pod is ready, waiting"),
            Self::Waiting { gone: Some(pod) } => write!(f, "pod {pod} no longer exists, waiting"),
            Self::Back { pod } => write!(f, "back on pod {pod}"),
            Self::Refused { message } => write!(f, "a connection was closed: {message}"),
            Self::Unwatched { message } => write!(f, "the cluster can't be watched, retrying: {message}"),
        }
    }
}
