//! The running platform of this machine: where its state lies, who serves it, and how the others find it.
//!
//! ```text
//! $XDG_STATE_HOME/cardctl/<instance>/     0700
//!   lock            held (flock) by the process that serves, as long as it lives
//!   instance.json   who serves where, with which settings; written when the port is bound, removed at the end
//!   ledger.db       the data
//!   signing-key     0600, made by the first `up`
//!   operator-token  0600, made by the first `up`
//!   log             what the detached process says
//! ```
//!
//! The lock decides who serves; `instance.json` only tells others, and is believed only while the process it names
//! (pid and start time) is alive.

mod lock;
mod paths;
mod process;
mod record;

pub use self::lock::{Lock, is_held};
pub use self::paths::Paths;
pub use self::process::Process;
pub use self::record::{Record, Setting};
