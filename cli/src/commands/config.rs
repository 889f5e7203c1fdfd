//! `cardctl config`: the settings, and where each came from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::instance::flat;
use crate::project::Sources;
use card_core::exit::Exit;

/// Show the settings and their sources
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl config show                 show every setting, its value and its source
  cardctl config path                 show the settings files and the state directory")]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every setting, its value and its source
    Show,
    /// Show the settings files, lowest precedence first, and the state directory
    Path,
}

#[derive(Serialize)]
struct Shown {
    settings: BTreeMap<String, Setting>,
}

#[derive(Serialize)]
struct Setting {
    value: serde_json::Value,
    origin: String,
}

#[derive(Serialize)]
struct Places {
    files: Vec<Place>,
    state_dir: PathBuf,
}

#[derive(Serialize)]
struct Place {
    path: PathBuf,
    exists: bool,
    /// Why it is not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
}

/// Runs it.
///
/// # Errors
/// stdout can't be written.
pub async fn run(args: ConfigArgs, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Show => show(context)?,
        Command::Path => path(context)?,
    }
    Ok(Exit::Done)
}

fn show(context: &Context) -> Result<(), Failure> {
    let origin = |key: &str| context.settings.origins.get(key).map(ToString::to_string).unwrap_or_default();
    let values = flat(&context.settings.settings);
    let settings: BTreeMap<_, _> =
        values.into_iter().map(|(key, value)| (key.clone(), Setting { value, origin: origin(&key) })).collect();
    let printer = &context.printer;
    let rows = settings.iter().map(|(key, Setting { value, origin })| {
        let origin = if origin == "built in" { printer.out().dim(origin) } else { printer.out().accent(origin) };
        vec![key.clone(), value.to_string(), origin]
    });
    // All of it, whatever the terminal's height: it is there to be searched.
    printer.text(printer.list(&["setting", "value", "from"], rows.collect()))?;
    printer.data(&Shown { settings })
}

fn path(context: &Context) -> Result<(), Failure> {
    let mut sources = Sources::of_process();
    let files: Vec<PathBuf> = sources.all().map(Into::into).collect();
    let ignored = sources.doubt();
    let place = |path: PathBuf| Place {
        exists: path.is_file(),
        ignored: ignored.iter().find(|ignored| ignored.path == path).map(|ignored| ignored.why.clone()),
        path,
    };
    let files: Vec<_> = files.into_iter().map(place).collect();
    let printer = &context.printer;
    for Place { path, exists, ignored } in &files {
        let note = match (exists, ignored) {
            (false, _) => "  (not there)".to_owned(),
            (true, Some(why)) => format!("  (ignored: {why})"),
            (true, None) => String::new(),
        };
        printer.text(format!("settings  {}{note}", path.display()))?;
    }
    printer.text(format!("state     {}", context.instance.dir.display()))?;
    printer.data(&Places { files, state_dir: context.instance.dir.clone() })
}
