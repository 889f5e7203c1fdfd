//! What the command lines of the platform's processes have in common, and how each of them begins.

use std::path::PathBuf;
use std::process::ExitCode;

use card_core::process::{Announcement, Environment, Exit, NotReady, Part, Stop, settings};
use card_core::settings::Settings;
use card_core::telemetry::{logs, metrics};
use clap::Args;

use card_serve::connections::raise_open_files;

/// Flags that each process takes.
#[derive(Debug, Clone, Args)]
pub struct ProcessFlags {
    /// Settings file (TOML) [default: none]
    #[arg(long, value_name = "FILE", env = "CARDCTL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Stop when stdin closes, so that the process ends with its parent
    #[arg(long)]
    pub tied: bool,
    /// Print the process id and the address as one line of JSON on stdout when ready
    #[arg(long)]
    pub announce: bool,
}

/// A process that has its settings and its log and hears when it is to stop.
pub struct Begun {
    /// Which part it is.
    pub part: Part,
    /// From the environment and the file.
    pub settings: Settings,
    /// For secrets and addresses.
    pub environment: Environment,
    /// Tells when to stop.
    pub stop: Stop,
    announce: bool,
}

impl ProcessFlags {
    /// Begins. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A setting can't be used, or signals can't be heard.
    pub fn begin(&self, part: Part) -> Result<Begun, NotReady> {
        let environment = Environment::of_process();
        let settings = settings(self.config.as_deref())?;
        let component = environment.component().unwrap_or_else(|| part.as_str().to_owned());
        logs::install_as(&settings.log, Some(&component)).map_err(|error| NotReady::new(error.to_string()))?;
        let stop =
            Stop::listen(self.tied).map_err(|error| NotReady::new(format!("signals can't be listened to: {error}")))?;
        raise_open_files();
        // Before the first metric is counted, or it is counted nowhere.
        metrics::install();
        Ok(Begun { part, settings, environment, stop, announce: self.announce })
    }
}

impl Begun {
    /// It is ready and answers at an address.
    pub fn ready(&self, address: std::net::SocketAddr) {
        tracing::info!(%address, pid = std::process::id(), version = card_core::VERSION, "ready");
        if self.announce {
            Announcement::of(self.part, address).make();
        }
    }
}

/// Help, the version, or what is wrong with a command line, where each belongs.
pub fn explain(error: &clap::Error) -> ExitCode {
    // A closed stdout or stderr is no reason for another exit code.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }.into()
}
