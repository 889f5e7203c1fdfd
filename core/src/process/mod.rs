//! What every process of the platform needs around its work, once: the environment it is given, how it is told to stop,
//! how it says that it is ready, where it listens, and how it ends.
//!
//! `card-server`, `card-worker` and the issuer are started in the same way by a service manager, a container and
//! `cardctl up -t processes`; the rules of that are here. What a process does is not, and neither is its command line.

mod announcement;
mod empty;
mod environment;
mod exit;
mod listener;
mod settings;
mod stop;

pub use self::announcement::{Announcement, Part};
pub use self::empty::without_empty_variables;
pub use self::environment::{Environment, EnvironmentError};
pub use self::exit::{Exit, NotReady, run};
pub use self::listener::listen;
pub use self::settings::settings;
pub use self::stop::{Stop, is_ignored};
