//! `up --open`: the page in the user's browser. The platform is up either way, so a browser that does not come is only said.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::context::Context;

/// A launcher ends at once, while a browser itself runs on: what has not failed by then is left alone.
const LAUNCH: Duration = Duration::from_secs(2);

/// Opens it.
pub(super) async fn open(page: &str, context: &Context) {
    let opened = match commands(page, |name| std::env::var_os(name)) {
        Ok(commands) => first_of(&commands, context).await,
        Err(reason) => Err(reason.to_owned()),
    };
    if let Err(reason) = opened {
        context.printer.say(format!("the page was not opened: {reason}; go to {page}"));
    }
}

/// Commands to try until one works: those of BROWSER, each with the address in place of `%s` or at its end, or else
/// the desktop's own.
fn commands(page: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<Vec<Vec<String>>, &'static str> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("BROWSER") {
        let list = variable("BROWSER").unwrap_or_default().into_string().map_err(|_| "BROWSER is not UTF-8")?;
        let commands: Vec<_> = list.split(':').filter_map(|command| with(page, command)).collect();
        return if commands.is_empty() { Err("BROWSER names no program") } else { Ok(commands) };
    }
    let own = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    if !cfg!(target_os = "macos") && !is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY") {
        return Err("there is no desktop here (DISPLAY, WAYLAND_DISPLAY and BROWSER are not set)");
    }
    Ok(vec![vec![own.to_owned(), page.to_owned()]])
}

fn with(page: &str, command: &str) -> Option<Vec<String>> {
    let mut words: Vec<_> = command.split_whitespace().map(|word| word.replace("%s", page)).collect();
    if words.is_empty() {
        return None;
    }
    if !command.contains("%s") {
        words.push(page.to_owned());
    }
    Some(words)
}

async fn first_of(commands: &[Vec<String>], context: &Context) -> Result<(), String> {
    let mut reasons = Vec::new();
    for command in commands {
        match launch(command, context).await {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join(", "))
}

async fn launch(command: &[String], context: &Context) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut launched = Command::new(program);
    launched.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C ends the platform, not the browser, which needs none of the secrets that may be set.
    launched.process_group(0);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARDCTL_")) {
        launched.env_remove(name);
    }
    let mut child = launched.spawn().map_err(|error| format!("{program} can't be run: {error}"))?;
    tokio::select! {
        ended = child.wait() => match ended {
            Ok(status) if !status.success() => Err(format!("{program} failed ({status})")),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{program} can't be watched: {error}")),
        },
        () = tokio::time::sleep(LAUNCH) => Ok(()),
        () = context.stop.cancelled() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "http://127.0.0.1:7400/";

    fn found(variables: &[(&str, &str)]) -> Result<Vec<Vec<String>>, &'static str> {
        commands(PAGE, |name| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn browser_is_a_list_of_commands_with_a_place_for_the_address() {
        assert_eq!(found(&[("BROWSER", "firefox")]).unwrap(), [["firefox", PAGE]]);
        let several = found(&[("BROWSER", "firefox --new-tab %s::open=%s -x"), ("DISPLAY", ":0")]).unwrap();
        let place = format!("open={PAGE}");
        assert_eq!(several, [vec!["firefox", "--new-tab", PAGE], vec![&*place, "-x"]]);
        assert_eq!(found(&[("BROWSER", " : ")]), Err("BROWSER names no program"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_desktop_has_a_launcher_of_its_own_and_without_one_there_is_none() {
        assert_eq!(found(&[("DISPLAY", ":0")]).unwrap(), [["xdg-open", PAGE]]);
        assert_eq!(found(&[("WAYLAND_DISPLAY", "wayland-0"), ("BROWSER", "")]).unwrap(), [["xdg-open", PAGE]]);
        assert!(found(&[("DISPLAY", "")]).unwrap_err().contains("no desktop"));
    }
}
