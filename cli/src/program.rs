//! From the command line to the exit code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use card_core::files::Distrust;
use card_core::process::{is_ignored, without_empty_variables};
use card_core::settings::{Layers, Resolved, SettingsError};
use card_http::PlainHttp;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::args::{self, Cli, Global, State};
use crate::context::{Context, Target, issuer_of_environment, parse_target};
use crate::failure::Failure;
use crate::instance::{Paths, detached, state_directory};
use crate::output::{Choices, Printer};
use crate::project::Sources;
use crate::usage;
use card_core::exit::Exit;

/// A command has so long after a signal to end in its own way, before it is cut off.
const OWN_END: Duration = Duration::from_millis(500);

/// Runs the program.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    without_empty_variables();
    if let Some(other) = other_program(&arguments) {
        return other;
    }
    let cli = match args::parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error, &arguments).into(),
    };
    let choices =
        Choices { format: cli.global.output.format(), color: cli.global.color, progress: cli.global.progress };
    let printer = Arc::new(Printer::new(choices));
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the runtime can't start: {error}")))
        .and_then(|runtime| {
            let outcome = runtime.block_on(async {
                let context = context(&cli, Arc::clone(&printer))?;
                let left = cli.command.left_when_cut_off();
                tokio::select! {
                    biased;
                    outcome = cli.command.run(&context) => outcome,
                    failure = cut_off(&context, left) => Err(failure),
                }
            });
            // What still runs (a blocking read of a terminal, an abandoned connection) must not hold the program.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            printer.failure(&failure);
            failure.exit
        }
    }
    .into()
}

/// The other programs that this one is, by their names as the first argument: the background process, and what a supervisor
/// starts. Not commands: nobody is meant to type them.
fn other_program(arguments: &[OsString]) -> Option<ExitCode> {
    let rest = || arguments.iter().skip(1).cloned();
    match arguments.get(1)?.to_str()? {
        detached::MARK => Some(detached::main()),
        detached::BECOME => Some(detached::become_another(rest().skip(1))),
        "card-server" => {
            detached::let_go();
            Some(card_server::program::main(rest()))
        }
        "card-worker" => {
            detached::let_go();
            Some(card_worker::program::main(rest()))
        }
        _ => None,
    }
}

fn context(cli: &Cli, printer: Arc<Printer>) -> Result<Context, Failure> {
    let needed = cli.command.needs_platform();
    let mut sources = Sources::of_process();
    let ignored = sources.doubt();
    let read = match settings(&sources, &cli.global) {
        Err(_) if !needed => Layers::built_in().resolve(),
        read => read,
    };
    if needed {
        for ignored in ignored {
            printer.say(format!("{} is ignored: {}", ignored.path.display(), ignored.why));
        }
    }
    let settings = read.map_err(|error| {
        let exit = if matches!(&error, SettingsError::Read { .. }) { Exit::NotReady } else { Exit::Usage };
        let usual = "cardctl config path lists the files; docs/operations.md explains the settings";
        Failure::new("settings", exit, error.to_string()).fix(error.fix().unwrap_or(usual))
    })?;
    let plain_http = match &cli.global.plain_http {
        Some(hosts) => hosts.clone(),
        None if needed => plain_http_of_environment()?,
        None => PlainHttp::nowhere(),
    };
    let instance = instance(&settings, cli.command.state(), &printer)?;
    let stop = CancellationToken::new();
    let signal = Arc::new(OnceLock::new());
    listen(&stop, &signal).map_err(|error| Failure::internal(format!("signals can't be listened to: {error}")))?;
    let reader_gone = CancellationToken::new();
    let ends_then = cli.command.only_tells().then(|| stop.clone());
    let (watching, gone) = (Arc::clone(&printer), reader_gone.clone());
    tokio::spawn(async move {
        watching.reader_gone().await;
        gone.cancel();
        if let Some(stop) = ends_then {
            stop.cancel();
        }
    });
    let interactive = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    Ok(Context {
        settings,
        sources,
        printer,
        instance,
        stop,
        issuer_url: if needed { issuer_of_environment()? } else { None },
        plain_http,
        plain_http_flag: cli.global.plain_http.is_some(),
        yes: cli.global.yes,
        interactive,
        cluster: OnceCell::new(),
        signal,
        reader_gone,
    })
}

/// A command that does not end by itself after the signal: it waits for an answer, and has nothing to put in order.
async fn cut_off(context: &Context, left: Option<&'static str>) -> Failure {
    let Some(left) = left else { return std::future::pending().await };
    context.stop.cancelled().await;
    tokio::time::sleep(OWN_END).await;
    let failure = context.interruption();
    if left.is_empty() { failure } else { failure.left(left) }
}

/// Where the instance keeps what. Nothing in it is believed before it was looked at.
fn instance(settings: &Resolved, state: State, printer: &Printer) -> Result<Paths, Failure> {
    let name = &settings.settings.instance;
    // What runs at an address has no state here, whatever lies in the directory.
    let elsewhere = matches!(parse_target(&settings.settings.target), Ok(Target::Url(_)));
    let found = Paths::of(name, |name| std::env::var_os(name));
    match (found, state) {
        (Some(paths), State::Shown) => Ok(paths),
        (_, State::Unused) => Ok(Paths::nowhere(name)),
        (Some(paths), State::Used) => match paths.check() {
            Ok(strange) => {
                for error in strange {
                    let fix = Distrust::of(&error).map(|distrust| format!("; fix: {}", distrust.fix));
                    printer.say(format!("{error}: it is not used{}", fix.unwrap_or_default()));
                }
                Ok(paths)
            }
            Err(_) if elsewhere => Ok(Paths::nowhere(name)),
            Err(error) => Err(state_directory(&paths, &error)),
        },
        (None, State::Shown) => Ok(Paths::nowhere(name)),
        (None, State::Used) if elsewhere => Ok(Paths::nowhere(name)),
        (None, State::Used) => Err(Failure::new("state-directory", Exit::NotReady, "there is no state directory")
            .evidence("neither XDG_STATE_HOME nor HOME is set to an absolute path")
            .fix("export XDG_STATE_HOME=/a/directory/of/yours")),
    }
}

fn settings(sources: &Sources, global: &Global) -> Result<Resolved, SettingsError> {
    let mut layers = Layers::built_in();
    for file in sources.all() {
        layers.file(file)?;
    }
    layers.environment(variables())?;
    let flags = [
        ("instance", &global.instance, "--instance"),
        ("target", &global.target, "--target"),
        ("kube.context", &global.context, "--context"),
        ("kube.namespace", &global.namespace, "--namespace"),
        ("kube.allow", &global.allow_context, "--allow-context"),
    ];
    for (key, value, flag) in flags {
        if let Some(value) = value {
            layers.flag(key, value, flag)?;
        }
    }
    layers.resolve()
}

/// Consent is the user's: a flag or a variable, no setting, since a project's file could give it.
fn plain_http_of_environment() -> Result<PlainHttp, Failure> {
    const NAME: &str = "CARDCTL_PLAIN_HTTP";
    std::env::var(NAME).unwrap_or_default().parse().map_err(|error| {
        Failure::new("usage", Exit::Usage, format!("${NAME} {error}")).fix(format!("correct {NAME}, or unset it"))
    })
}

/// The variables of the environment that are text; the others can't be settings of ours.
fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The first signal asks the command to end; the second ends the program. A closed terminal (SIGHUP) asks as well, and
/// never more than that: the shell and the kernel each tell of it.
///
/// SIGINT is taken through `ctrlc` because the load generator asks for it there: who asks first keeps it, and had we asked
/// tokio, it would be taken away from us without a word.
fn listen(stop: &CancellationToken, first: &Arc<OnceLock<Signal>>) -> std::io::Result<()> {
    let (stop, first) = (stop.clone(), Arc::clone(first));
    let heard = move |signal| {
        if stop.is_cancelled() {
            if signal == Signal::SIGHUP {
                return;
            }
            let exit = if signal == Signal::SIGTERM { Exit::Terminated } else { Exit::Interrupted };
            std::process::exit(i32::from(exit as u8));
        }
        let _ = first.set(signal);
        stop.cancel();
    };
    let interrupted = heard.clone();
    ctrlc::set_handler(move || interrupted(Signal::SIGINT)).map_err(std::io::Error::other)?;
    let mut kinds = vec![(SignalKind::terminate(), Signal::SIGTERM)];
    // nohup(1) and the like say that the program is to outlive its terminal.
    if !is_ignored(Signal::SIGHUP) {
        kinds.push((SignalKind::hangup(), Signal::SIGHUP));
    }
    for (kind, number) in kinds {
        let (mut signal, heard) = (signal(kind)?, heard.clone());
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                heard(number);
            }
        });
    }
    Ok(())
}
