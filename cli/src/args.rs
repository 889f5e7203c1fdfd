//! The command line.

use card_http::PlainHttp;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Color, Format, ProgressChoice};
use card_core::exit::Exit;

/// Runs, drives and proves the card replacement platform.
#[derive(Debug, Parser)]
#[command(
    name = "cardctl",
    version = card_core::VERSION,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND",
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cardctl demo                        take a first look: start, 20 requests, a short load test
  cardctl up -d                       start the platform and return when it is ready
  cardctl submit -c 20 -w             submit 20 requests by unique users and watch them
  cardctl loadtest run smoke          run a load test and audit every accepted request
  cardctl status                      show components, queue and workers
  cardctl down                        stop the platform and keep its data

Exit codes: cardctl help exit-codes";

/// Examples come first: they are what help is opened for.
const HELP: &str = "\
{before-help}{about-with-newline}
{usage-heading} {usage}{after-help}

{all-args}
";

/// The command line as it is shown and completed.
#[must_use]
pub fn command() -> clap::Command {
    with_examples_first(Cli::command())
}

fn with_examples_first(command: clap::Command) -> clap::Command {
    let command = if command.get_after_help().is_some() { command.help_template(HELP) } else { command };
    command.mut_subcommands(with_examples_first)
}

/// Reads a command line.
///
/// # Errors
/// It is not one, or help or the version is asked for.
pub fn parse(arguments: &[std::ffi::OsString]) -> Result<Cli, clap::Error> {
    let matches = command().mut_subcommand("loadtest", commands::loadtest::with_generate);
    let matches = matches.try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// `-o`. Every command has the formats of the [`Printer`](crate::output::Printer); a command that can write Markdown says
/// so with an argument of its own by this name, which then stands in for the global one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// Text for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON object a line, as they come.
    Jsonl,
    /// For people, on a page.
    #[value(skip)]
    Markdown,
}

impl Output {
    /// The format of it.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::Text | Self::Markdown => Format::Text,
            Self::Json => Format::Json,
            Self::Jsonl => Format::Jsonl,
        }
    }
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Output format: text, json (one document) or jsonl (a stream) [default: text]
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub output: Output,
    /// Use colour: auto, always or never [default: auto]
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub color: Color,
    /// Progress on stderr: auto, bar, plain (lines) or none [default: auto]
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "HOW",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub progress: ProgressChoice,
    /// Name of the local instance [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    pub instance: Option<String>,
    /// Target: embedded, processes, minikube, kube, or the URL of a running server [default: embedded]
    #[arg(short, long, global = true, value_name = "TARGET")]
    pub target: Option<String>,
    /// Kubeconfig context to use with -t kube [default: kube.context, or the context the instance was deployed to]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubernetes namespace [default: cardctl, or cardctl-INSTANCE]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Allow changes to this context although its cluster is not on this machine
    #[arg(long, global = true, value_name = "NAME")]
    pub allow_context: Option<String>,
    /// Hosts that may receive tokens over plain HTTP, if you trust the network to them [default: this machine only]
    #[arg(long, global = true, value_name = "HOST,…")]
    pub plain_http: Option<PlainHttp>,
    /// Skip confirmation prompts
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Up(commands::up::UpArgs),
    Down(commands::down::DownArgs),
    Status(commands::status::StatusArgs),
    Logs(commands::logs::LogsArgs),
    Scale(commands::scale::ScaleArgs),
    Env(commands::env::EnvArgs),
    Doctor(commands::doctor::DoctorArgs),
    Submit(commands::submit::SubmitArgs),
    Watch(commands::watch::WatchArgs),
    Tasks(commands::tasks::TasksArgs),
    Dlq(commands::dlq::DlqArgs),
    Purchases(commands::purchases::PurchasesArgs),
    Queue(commands::queue::QueueArgs),
    Users(commands::users::UsersArgs),
    Loadtest(commands::loadtest::LoadtestArgs),
    Smoke(commands::smoke::SmokeArgs),
    Demo(commands::demo::DemoArgs),
    Images(commands::images::ImagesArgs),
    Manifests(commands::manifests::ManifestsArgs),
    Config(commands::config::ConfigArgs),
    Completions(commands::completions::CompletionsArgs),
    Man(commands::man::ManArgs),
    Version(commands::version::VersionArgs),
    Help(commands::help::HelpArgs),
}

/// What a command has to do with the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Unused,
    /// It names it.
    Shown,
    /// It reads or writes what lies there.
    Used,
}

impl Command {
    /// Whether it has to do with a platform. The others work whatever the settings and the environment are like.
    #[must_use]
    pub const fn needs_platform(&self) -> bool {
        !matches!(self, Self::Completions(_) | Self::Man(_) | Self::Version(_) | Self::Help(_))
    }

    /// Whether all it does is tell what it reads, and that may take long: then it ends, with 0, as soon as nobody reads its
    /// stdout any more. Others have work to do besides and find out when they write.
    #[must_use]
    pub const fn only_tells(&self) -> bool {
        matches!(self, Self::Watch(_) | Self::Status(_) | Self::Logs(_))
    }

    /// What may be left behind if a signal cuts it off in the middle; empty if nothing. None for a command that takes signals
    /// as its own business, since it has something to put in order or to say: drain, audit, clean up, how to go on.
    #[must_use]
    pub const fn left_when_cut_off(&self) -> Option<&'static str> {
        match self {
            Self::Up(_) | Self::Down(_) | Self::Scale(_) | Self::Submit(_) => None,
            Self::Dlq(args) if args.writes() => None,
            Self::Tasks(args) if args.says_how_far_it_came() => None,
            Self::Purchases(args) if args.buys() => None,
            Self::Loadtest(_) | Self::Smoke(_) | Self::Demo(_) | Self::Images(_) => None,
            Self::Tasks(_) | Self::Queue(_) | Self::Users(_) | Self::Manifests(_) => {
                Some("the command may have taken effect, partly or completely; it is safe to run it again")
            }
            _ => Some(""),
        }
    }

    /// What it has to do with the state directory.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::Completions(_) | Self::Man(_) | Self::Version(_) | Self::Help(_) => State::Unused,
            Self::Config(_) => State::Shown,
            _ => State::Used,
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Whatever the command says.
    pub async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Up(args) => commands::up::run(args, context).await,
            Self::Down(args) => commands::down::run(args, context).await,
            Self::Status(args) => commands::status::run(args, context).await,
            Self::Logs(args) => commands::logs::run(args, context).await,
            Self::Scale(args) => commands::scale::run(args, context).await,
            Self::Env(args) => commands::env::run(args, context).await,
            Self::Doctor(args) => commands::doctor::run(args, context).await,
            Self::Submit(args) => commands::submit::run(args, context).await,
            Self::Watch(args) => commands::watch::run(args, context).await,
            Self::Tasks(args) => commands::tasks::run(args, context).await,
            Self::Dlq(args) => commands::dlq::run(args, context).await,
            Self::Purchases(args) => commands::purchases::run(args, context).await,
            Self::Queue(args) => commands::queue::run(args, context).await,
            Self::Users(args) => commands::users::run(args, context).await,
            Self::Loadtest(args) => commands::loadtest::run(args, context).await,
            Self::Smoke(args) => commands::smoke::run(args, context).await,
            Self::Demo(args) => commands::demo::run(args, context).await,
            Self::Images(args) => commands::images::run(args, context).await,
            Self::Manifests(args) => commands::manifests::run(args, context).await,
            Self::Config(args) => commands::config::run(args, context).await,
            Self::Completions(args) => commands::completions::run(args, context).await,
            Self::Man(args) => commands::man::run(args, context).await,
            Self::Version(args) => commands::version::run(args, context).await,
            Self::Help(args) => commands::help::run(args, context).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &clap::Command, visit: &mut impl FnMut(&clap::Command)) {
        visit(command);
        command.get_subcommands().for_each(|inner| each(inner, visit));
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_example_is_a_command_line() {
        let mut examples = 0;
        each(&command(), &mut |command| {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in text.lines().filter_map(|line| line.strip_prefix("  cardctl ")) {
                let words = line.split("  ").next().unwrap_or_default();
                let arguments = std::iter::once("cardctl")
                    .chain(words.split_whitespace())
                    .map(|word| word.trim_matches('\'').into());
                let arguments: Vec<_> = arguments.collect();
                parse(&arguments).unwrap_or_else(|error| panic!("{line}: {error}"));
                examples += 1;
            }
        });
        assert!(examples > 10, "{examples}");
    }

    #[test]
    fn every_command_has_an_example() {
        let root = command();
        for command in root.get_subcommands().filter(|command| command.get_name() != "version") {
            assert!(command.get_after_help().is_some(), "{}", command.get_name());
        }
    }
}
