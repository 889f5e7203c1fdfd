//! The running platform of this machine: where its state lies, who serves it, and how the others find it.
//!
//! ```text
//! $XDG_STATE_HOME/cardctl/<instance>/     0700
//!   .made-by-cardctl  what `down --purge` looks for before it deletes the directory
//!   lock            held (flock) by the process that serves, as long as it lives
//!   instance.json   who serves where, with which settings; written when the port is bound, removed at the end
//!   ledger.db       the data
//!   signing-key     0600, made by the first `up`
//!   operator-token  0600, made by the first `up`
//!   log             what the detached process says, and its children
//!   control         where a supervisor listens to commands
//!   cluster.json    where the data lies, if it is not here
//! ```
//!
//! The lock decides who serves; `instance.json` only tells others, and is believed only while the process it names
//! (pid and start time) is alive.

pub mod detached;
mod lock;
mod log;
mod marker;
mod parts;
mod paths;
mod plan;
pub mod port;
mod process;
mod published;
mod ready;
mod record;
mod secrets;
mod serve;
mod short;
mod state;
mod stop;

pub use self::lock::{Lock, is_held};
pub use self::log::LogMark;
pub use self::marker::{is_made_here, remove, temporary};
pub use self::paths::Paths;
pub use self::plan::{ClusterPlan, Difference, Local, Plan};
pub use self::process::{Process, program};
pub use self::published::Published;
pub use self::ready::{Proof, prove};
pub use self::record::{Phase, Record, Recorded, Setting, flat};
pub use self::serve::Serving;
pub use self::short::ShortPath;
pub(crate) use self::state::directory as state_directory;
pub use self::state::trouble;
pub use self::stop::{Ended, clear_stale, end, end_orphans, grace};
