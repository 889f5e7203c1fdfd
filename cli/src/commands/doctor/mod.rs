//! `cardctl doctor`: what stands in the way, and what helps.

mod cluster;
mod kubernetes;
mod machine;
mod platform;

use card_core::telemetry::mask::secrets;
use serde::Serialize;

use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::instance::{Local, Record};
use card_core::exit::Exit;

/// Check the machine, the settings and the platform
///
/// Exit code: 0 if every check passes, 3 if one fails. Warnings don't count.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl doctor                      list problems and their fixes
  cardctl doctor -t kube --context lab  check a Kubernetes cluster
  cardctl doctor -o json              print a JSON document")]
pub struct DoctorArgs {}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    fix: Option<String>,
}

#[derive(Serialize)]
struct Document {
    ok: bool,
    checks: Vec<Check>,
}

/// Whatever others say of what went wrong goes in here, so here is where secrets are taken out.
impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: secrets(&detail.into()).into_owned(), fix: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, fix: Some(secrets(&fix.into()).into_owned()), ..Self::ok(name, detail) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(name, detail, fix) }
    }
}

/// Runs it.
///
/// # Errors
/// stdout can't be written.
pub async fn run(_: DoctorArgs, context: &Context) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    if let Target::Local(asked) = context.target()? {
        let local = Record::running(&context.instance).map_or(asked, |record| record.target);
        machine::check(context, local, &mut checks);
        if local == Local::Processes {
            cluster::check(context, &mut checks).await;
        }
    }
    if let Target::Kubernetes(kind) = context.target()? {
        kubernetes::check(kind, context, &mut checks).await;
    }
    platform::check(context, &mut checks).await;
    let ok = checks.iter().all(|check| check.verdict != Verdict::Fail);
    let printer = &context.printer;
    let paint = printer.out();
    for Check { name, verdict, detail, fix } in &checks {
        let verdict = match verdict {
            Verdict::Ok => paint.good("ok  "),
            Verdict::Warn => paint.warn("warn"),
            Verdict::Fail => paint.bad("fail"),
        };
        printer.text(format!("{verdict}  {name:<17} {detail}"))?;
        if let Some(fix) = fix {
            printer.text(format!("      {:<17} {} {fix}", "", paint.bold("fix:")))?;
        }
    }
    printer.data(&Document { ok, checks })?;
    Ok(if ok { Exit::Done } else { Exit::NotReady })
}
