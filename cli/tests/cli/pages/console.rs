//! The console blocks of a page: which commands they show, and what these print.
//!
//! The info string of a block says how the test runs it, and no reader sees it:
//! - ```` ```console ````: all blocks of a page are one session of one shell, in order.
//! - ```` ```console services ````: as above, where `./test` has started a Postgres and a Redis; else it is left out.
//! - ```` ```console no-run: REASON ````: not run.
//!
//! `<!-- run: COMMAND -->` is run and not seen: what a block needs and its reader has.

use std::sync::LazyLock;

use regex::Regex;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Run {
    Always,
    WithServices,
    Never,
}

#[derive(Debug, Clone)]
pub(super) struct Command {
    /// Where it begins in the page, from 1.
    pub(super) line: usize,
    /// As typed: several lines if they are continued.
    pub(super) text: String,
    /// What the page shows below it.
    pub(super) shown: Vec<String>,
    pub(super) run: Run,
}

/// Every command of every console block, in order.
pub(super) fn commands(page: &str) -> Result<Vec<Command>, String> {
    let mut commands: Vec<Command> = Vec::new();
    let mut block: Option<(Run, usize, bool)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        let text = line.trim_start();
        match &mut block {
            None => {
                if let Some(hidden) = text.strip_prefix("<!-- run: ").and_then(|text| text.strip_suffix(" -->")) {
                    let text = hidden.to_owned();
                    commands.push(Command { line: number, text, shown: Vec::new(), run: Run::Always });
                } else if let Some(info) = text.strip_prefix("```console") {
                    let indent = line.len() - text.len();
                    block = Some((run(info.trim()).map_err(|why| format!("line {number}: {why}"))?, indent, false));
                }
            }
            Some(_) if text.starts_with("```") => block = None,
            Some((run, indent, continued)) => {
                let line = line.get(*indent..).unwrap_or_default();
                if let Some(text) = line.strip_prefix("$ ") {
                    let run = run.clone();
                    commands.push(Command { line: number, text: text.to_owned(), shown: Vec::new(), run });
                    *continued = text.ends_with('\\');
                } else if line.starts_with("# ") && *run == Run::Never {
                    // A root prompt: nothing that a test may do.
                } else {
                    let Some(command) = commands.last_mut() else {
                        return Err(format!("line {number}: a console block begins with a command"));
                    };
                    if *continued || line.starts_with("> ") {
                        command.text.push('\n');
                        command.text.push_str(line.strip_prefix("> ").unwrap_or(line));
                        *continued = line.ends_with('\\');
                    } else {
                        command.shown.push(line.to_owned());
                    }
                }
            }
        }
    }
    Ok(commands)
}

fn run(info: &str) -> Result<Run, String> {
    match info.split_once(':') {
        None if info.is_empty() => Ok(Run::Always),
        None if info == "services" => Ok(Run::WithServices),
        Some(("no-run", reason)) if !reason.trim().is_empty() => Ok(Run::Never),
        _ => Err(format!("{info:?} says nothing: no-run: REASON, or services")),
    }
}

/// Whether a command printed what the page shows: each line, in order. Ids, times, sizes, paths and numbers are only of
/// the same sort; `…` is anything; a number alone is itself, as it is an exit code or a count that the page means.
pub(super) fn difference(shown: &[String], printed: &str) -> Option<String> {
    let printed: Vec<String> = printed.lines().map(spaced).collect();
    let mut rest = printed.as_slice();
    for line in shown.iter().map(|line| spaced(line)).filter(|line| !line.is_empty() && line != "…") {
        let pattern = pattern(&line);
        match rest.iter().position(|printed| pattern.is_match(printed)) {
            Some(at) => rest = &rest[at + 1..],
            None => return Some(line),
        }
    }
    None
}

fn spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn pattern(line: &str) -> Regex {
    static LOOSE: LazyLock<Regex> = LazyLock::new(|| {
        let parts = [
            r"(?P<any>…)",
            r"(?P<time>\d{4}-\d\d-\d\dT[0-9:.]+Z)",
            r"(?P<id>(?:tsk|usr|crd|wrk|run)_[0-9a-f]{6,}[0-9a-f-]*)",
            r"(?P<path>(?:~|/home/ada)/[A-Za-z0-9._/-]+)",
            r"(?P<number>[-+−]?\d[\d.,]*(?: ?(?:ns|us|µs|ms|s|m|h|MiB|KiB|GB|MB)\b)?)",
        ];
        Regex::new(&parts.join("|")).unwrap()
    });
    if line.len() <= 3 && line.bytes().all(|byte| byte.is_ascii_digit()) {
        return Regex::new(&format!("^{line}$")).unwrap();
    }
    let mut pattern = String::from("^");
    let mut from = 0;
    for found in LOOSE.captures_iter(line) {
        let whole = found.get(0).unwrap();
        pattern.push_str(&regex::escape(&line[from..whole.start()]));
        pattern.push_str(match () {
            () if found.name("any").is_some() => ".*",
            () if found.name("number").is_some() => r"[-+−]?\d[\d.,]*(?: ?(?:ns|us|µs|ms|s|m|h|MiB|KiB|GB|MB)\b)?",
            () => r"\S+",
        });
        from = whole.end();
    }
    pattern.push_str(&regex::escape(&line[from..]));
    Regex::new(&(pattern + "$")).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_block_is_commands_and_what_they_print() {
        let page =
            "```console\n$ a \\\n    b\n> c\nout\n$ d\n```\n```console no-run: slow\n$ e\n```\n```text\n$ f\n```\n";
        let found = commands(page).unwrap();
        assert_eq!(found.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["a \\\n    b\nc", "d", "e"]);
        assert_eq!(found[0].shown, ["out"]);
        assert_eq!(found.iter().map(|one| &one.run).collect::<Vec<_>>(), [&Run::Always, &Run::Always, &Run::Never]);
        assert!(commands("```console no-run:\n$ a\n```\n").is_err());
    }

    #[test]
    fn numbers_ids_and_what_is_left_out_may_differ_and_words_may_not() {
        let shown = lines("ready in 340 ms\n…\ntsk_01a1f94d-99b4  succeeded  …");
        assert_eq!(difference(&shown, "ready in 1,34 s\nx\ntsk_01b2-11 succeeded 3 x"), None);
        assert_eq!(difference(&lines("2 tasks, 2 succeeded"), "3 tasks, 3 succeeded"), None);
        assert!(difference(&lines("2 tasks, 2 succeeded"), "2 tasks, 2 dead").is_some());
        assert!(difference(&lines("3"), "4").is_some());
        assert!(difference(&lines("a\nb"), "b\na").is_some());
    }
}
