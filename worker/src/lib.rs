//! Claims tasks, does their steps, and tells the engine what became of them.
//!
//! ```text
//!  engine ──claim──► runner ──begin──► card_kinds::<kind> ──(breaker)──► issuer_client ──HTTP──► issuer
//!     ▲                 │  ▲                                                                        │
//!     └───────end───────┘  └───────────────────────────── a Step ◄──────────────────────────────────┘
//! ```
//!
//! A step returns a value, [`card_kinds::Step`]; only the runner acts on it.

mod handlers;
pub mod program;
mod runner;

pub use self::handlers::{Handlers, InvalidHandlers};
pub use self::runner::{Stopped, Worker};
