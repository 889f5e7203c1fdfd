//! The kinds of tasks: what each is asked with, what it does, and what it leaves behind.
//!
//! A kind is one file in `kinds/` (its [`TaskKind`]) and one line in `kinds.rs` (its code). What lists kinds, or tells them
//! apart, asks the [`Registry`]: the ledger's counters, the API's union, the workers' handlers, the orders of load tests.
//!
//! This package knows nothing of how tasks are claimed, served or drawn; `card-worker` runs the handlers.

pub mod breaker;
mod definition;
mod gate;
mod issuer_client;
mod kinds;
mod object;
mod page;
mod price;
mod registry;
mod step;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::definition::{Definition, Exclusive, PayloadError, Schemas, TaskKind};
pub use self::gate::{Gate, Passing};
pub use self::issuer_client::{Answer, InvalidIssuer, IssuerClient};
pub use self::kinds::{add, purchase, replacement};
pub use self::object::Object;
pub use self::page::page;
pub use self::registry::Registry;
pub use self::step::{Begun, Handler, Step, declined, invalid_payload, payload, succeeded, task_error};
