//! Claims tasks, does their steps, and tells the engine what became of them; and the simulated card bureau that the
//! replacement step calls.
//!
//! ```text
//!  engine ──claim──► runner ──begin──► kinds/<kind> ──(breaker)──► issuer_client ──HTTP──► issuer
//!     ▲                 │  ▲                                                                  │
//!     └──settle, retry──┘  └──────────────────────────── a Step ◄─────────────────────────────┘
//! ```
//!
//! A step returns a value, [`Step`]; only the runner acts on it. Adding a kind: a file in `kinds/` and a line in
//! [`Registry::standard`].

pub mod breaker;
mod gate;
pub mod http;
pub mod issuer;
mod issuer_client;
mod kinds;
pub mod program;
mod registry;
mod runner;
mod step;

pub use self::gate::{Gate, Passing};
pub use self::issuer_client::{Answer, InvalidIssuer, IssuerClient};
pub use self::kinds::add::Addition;
pub use self::kinds::replacement::CardReplacement;
pub use self::registry::Registry;
pub use self::runner::{Stopped, Worker};
pub use self::step::{Begun, Handler, Step};
