//! `cardctl up`: starts the platform or makes sure that it runs as asked.

mod banner;
mod converge;
mod foreground;
mod wrapped;

use std::ffi::OsString;
use std::time::Duration;

use card_core::settings::Origin;
use card_core::time::parse_duration;

pub use self::converge::{Converged, converge};
use crate::context::{Context, Target};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::instance::Plan;

/// Start the platform, or make sure that it runs as asked
///
/// Ready means: the API answers, a worker is alive, and one `add` task went all the way through. If the same platform
/// runs already, up says so and changes nothing. Data is kept across down.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl up                          run in the foreground until Ctrl-C
  cardctl up -d                       run in the background, return when it is ready
  cardctl up -d --port 8080           on a port of your choice
  cardctl up --ephemeral -- make e2e  around one command, with data that is thrown away")]
pub struct UpArgs {
    /// Return when it is ready and leave it running in the background
    #[arg(short, long, conflicts_with = "command")]
    pub detach: bool,
    /// Keep data in a temporary directory that is removed at the end
    #[arg(long)]
    pub ephemeral: bool,
    /// Port of the API; must be free [default: 7400 or the next free one]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Workers in the process, each with worker.concurrency steps at once [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: Option<u16>,
    /// How long to wait until it is ready
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub wait_timeout: Duration,
    /// Stop what runs and start it as asked
    #[arg(long)]
    pub restart: bool,
    /// Run this with the platform up and its address in the environment, then take the platform down
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

impl Default for UpArgs {
    fn default() -> Self {
        Self {
            detach: true,
            ephemeral: false,
            port: None,
            workers: None,
            wait_timeout: Duration::from_secs(30),
            restart: false,
            command: Vec::new(),
        }
    }
}

impl UpArgs {
    /// What the arguments mean with the settings there are.
    ///
    /// # Errors
    /// The target is not this machine.
    pub fn plan(&self, context: &Context) -> Result<Plan, Failure> {
        if let Target::Url(url) = context.target()? {
            return Err(Failure::new("usage", Exit::Usage, "up starts the platform on this machine, not at a URL")
                .evidence(format!("the target is {url}"))
                .fix("cardctl --target embedded up"));
        }
        let mut settings = context.settings.clone();
        if let Some(port) = self.port {
            settings.settings.server.port = port;
            settings.origins.insert("server.port".to_owned(), Origin::Flag("--port".to_owned()));
        }
        Ok(Plan::new(&context.instance, &settings, self.workers.map(usize::from), self.ephemeral))
    }
}

/// Runs it.
///
/// # Errors
/// What stands in the way.
pub async fn run(args: UpArgs, context: &Context) -> Result<Exit, Failure> {
    if !args.command.is_empty() {
        return wrapped::run(&args, context).await;
    }
    if !args.detach {
        return foreground::run(&args, context).await;
    }
    let converged = converge(&args, false, context).await?;
    banner::show(&converged, &format!("{} down", context.program()), context)?;
    Ok(Exit::Done)
}
