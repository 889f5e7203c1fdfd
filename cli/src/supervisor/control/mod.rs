//! How a running supervisor is spoken to: a Unix socket in the state directory, for its owner only. One line of JSON is
//! asked, one is answered, as often as one likes.

mod ask;
mod serve;

use serde::{Deserialize, Serialize};

pub use self::ask::{Asked, Control};
pub(super) use self::serve::serve;
use super::Child;
use super::autoscale::View;
use crate::failure::Shape;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// How the children are.
    State,
    /// Let there be so many. Answered with the state at once; what is asked for comes about afterwards.
    Scale {
        /// Workers, if they are to change.
        workers: Option<usize>,
        /// Servers, if they are to change.
        servers: Option<usize>,
    },
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// As it is now.
    State(Box<State>),
    /// It is not done.
    Refused(Shape),
}

/// How the children are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Servers that are wanted.
    pub servers: usize,
    /// Workers that are wanted.
    pub workers: usize,
    /// Every child, the oldest first.
    pub children: Vec<Child>,
    /// What the autoscaler thinks, if there is one.
    pub autoscale: Option<View>,
}

/// A line with its version.
#[derive(Debug, Serialize, Deserialize)]
struct Line<T> {
    v: u8,
    #[serde(flatten)]
    content: T,
}

/// Of the lines. A supervisor of another version is told from its record before it is asked.
const VERSION: u8 = 1;
