//! How a process tells whoever started it that it is ready, and where.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which part of the platform a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The API.
    Server,
    /// Claims tasks and does their steps.
    Worker,
    /// The simulated card issuer.
    Issuer,
}

impl Part {
    /// Its name, as in `component` and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Worker => "worker",
            Self::Issuer => "issuer",
        }
    }
}

/// What a process that was started with `--announce` says on stdout, once, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The version of this document.
    pub v: u32,
    pub component: Part,
    /// Its process.
    pub pid: u32,
    /// Where it answers: the API, the issuer, or the worker's health port.
    pub address: SocketAddr,
    /// The version of its build.
    pub version: String,
}

impl Announcement {
    /// This process, as a part that answers at an address.
    #[must_use]
    pub fn of(component: Part, address: SocketAddr) -> Self {
        Self { v: 1, component, pid: std::process::id(), address, version: crate::VERSION.to_owned() }
    }

    /// Says it; afterwards stdout leads nowhere, so that whoever waits for its end is not kept.
    pub fn make(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            let mut stdout = io::stdout().lock();
            // Who asked may be gone: then nobody needs the answer.
            let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        }
        if let Ok(nowhere) = OpenOptions::new().write(true).open("/dev/null") {
            let _ = nix::unistd::dup2_stdout(nowhere);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_the_line_that_supervisors_read() {
        let announcement = Announcement {
            pid: 12,
            version: "0.1.0".to_owned(),
            ..Announcement::of(Part::Worker, "127.0.0.1:4711".parse().unwrap())
        };
        let line = r#"{"v":1,"component":"worker","pid":12,"address":"127.0.0.1:4711","version":"0.1.0"}"#;
        assert_eq!(serde_json::to_string(&announcement).unwrap(), line);
        assert_eq!(serde_json::from_str::<Announcement>(line).unwrap(), announcement);
    }
}
