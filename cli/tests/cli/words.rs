//! What people read, in the field's words: the help of every command and program, and the texts of errors, hints and log lines.

use std::path::Path;

use card_core::testing::words::{flaw_of_help, private_word};
use clap::Command;
use regex::Regex;

use crate::sandbox::Sandbox;

/// Every program with a command line of its own, but for `card-generator`, whose own tests look at it.
fn programs() -> [Command; 3] {
    [cardctl::args::command(), card_server::program::command(), card_worker::program::command()]
}

/// Each command below, by its words.
fn each(command: &Command, words: &str, visit: &mut impl FnMut(&str, &Command)) {
    let words = format!("{words} {}", command.get_name()).trim().to_owned();
    visit(&words, command);
    command.get_subcommands().for_each(|inner| each(inner, &words, visit));
}

/// A text of a command's help and where it stands.
fn texts(words: &str, command: &Command) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut add = |place: String, text: Option<String>| texts.push((place, text.unwrap_or_default()));
    add(words.to_owned(), command.get_about().map(ToString::to_string));
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        add(format!("{words} {}", argument.get_id()), argument.get_help().map(ToString::to_string));
        for value in argument.get_possible_values() {
            if let Some(help) = value.get_help() {
                add(format!("{words} {} {}", argument.get_id(), value.get_name()), Some(help.to_string()));
            }
        }
    }
    texts
}

/// Prepositions and pronouns: what begins so needs the paragraph before it.
const LEANING: [&str; 20] = [
    "At", "By", "For", "From", "In", "Into", "It", "Its", "Of", "On", "That", "Their", "These", "They", "Those", "To",
    "What", "Which", "Who", "With",
];

#[test]
fn every_text_of_help_stands_by_itself() {
    let mut flaws = Vec::new();
    let mut seen = 0;
    for program in programs() {
        each(&program, "", &mut |words, command| {
            for (place, text) in texts(words, command) {
                seen += 1;
                let flaw = if text.trim().is_empty() { Some("no text".to_owned()) } else { flaw_of_help(&text) };
                flaws.extend(flaw.map(|flaw| format!("{place}: {text:?} {flaw}")));
            }
            // Sentences of a paragraph may begin as sentences do; a paragraph says what it is about.
            for paragraph in command.get_long_about().map(ToString::to_string).unwrap_or_default().split("\n\n") {
                let first = paragraph.split_whitespace().next().unwrap_or_default();
                if LEANING.contains(&first) {
                    flaws.push(format!("{words}: {paragraph:?} begins with {first:?}"));
                }
            }
            for longer in [command.get_long_about(), command.get_after_help()].into_iter().flatten() {
                flaws.extend(private_word(&longer.to_string()).map(|flaw| format!("{words}: {flaw}")));
            }
        });
    }
    assert!(seen > 250, "{seen}");
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

/// What an option does that begins so is not done where it is left out; another has a default, and says it.
const DOES: [&str; 20] = [
    "Add", "Allow", "Build", "Check", "Compare", "Create", "Filter", "Follow", "Install", "Keep", "Maximum", "Resume",
    "Retry", "Run", "Scale", "Seed", "Stop", "Take", "Use", "Wait",
];
/// Said in the text, or what is meant is plain: a setting, an image or a reason that was not given is none.
const WITHOUT_DEFAULT: [&str; 7] = ["image", "page", "postgres url", "redis url", "reason", "setting", "slo"];

#[test]
fn an_option_says_its_default() {
    let mut silent = Vec::new();
    for program in programs() {
        each(&program, "", &mut |words, command| {
            for argument in command.get_arguments() {
                let takes_value = argument.get_action().takes_values() && !argument.is_positional();
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let says = help.contains("[default") || DOES.iter().any(|word| help.starts_with(word));
                let says = says || WITHOUT_DEFAULT.iter().any(|begin| help.to_lowercase().starts_with(begin));
                let has = !argument.get_default_values().is_empty() && !argument.is_hide_default_value_set();
                if takes_value && !argument.is_required_set() && !says && !has && !argument.is_hide_set() {
                    silent.push(format!("{words} --{}: {help}", argument.get_id()));
                }
            }
        });
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn every_example_is_a_command_line() {
    let mut examples = 0;
    for program in programs().into_iter().skip(1) {
        each(&program.clone(), "", &mut |_, command| {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let begin = format!("  {}", program.get_name());
            for line in text.lines().filter(|line| line.starts_with(&begin)) {
                let words = line.trim_start().split("  ").next().unwrap_or_default();
                program
                    .clone()
                    .try_get_matches_from(words.split(' '))
                    .unwrap_or_else(|error| panic!("{line}: {error}"));
                examples += 1;
            }
        });
    }
    // Those of cardctl itself are parsed where they are.
    assert!(examples > 8, "{examples}");
}

/// Whoever reads `cardctl help exit-codes` or a wrong command reads the same words.
#[test]
fn what_the_program_prints_has_no_private_word() {
    let sandbox = Sandbox::new();
    for arguments in [&["help", "exit-codes"][..], &["stauts"], &["status"], &["--help"], &["logs"], &["doctor"]] {
        let ended = sandbox.run(arguments);
        assert_eq!(private_word(&format!("{}{}", ended.stdout, ended.stderr)), None, "{arguments:?}");
    }
}

/// Texts with a term of the list that mean something else, and why.
const ALLOWED: [(&str, &str); 5] = [
    ("FROM books", "a table of the ledger, in SQL"),
    ("UPDATE books", "a table of the ledger, in SQL"),
    ("books WHERE", "a table of the ledger, in SQL"),
    ("doubled up to", "a load that is doubled, up to a size"),
    ("the course is over", "the message of a channel that is closed; nobody is shown it"),
];
/// Snapshots with a key of JSON that is a contract.
const CONTRACTS: [&str; 1] = ["the_job_is_one_that_kubernetes_knows_with_nothing_that_it_does_not.snap"];

/// The string literals of a source file that are sentences: what may be shown to somebody.
fn sentences(source: &str) -> Vec<String> {
    let comments = Regex::new(r"(?m)^\s*//.*$").unwrap();
    let source = comments.replace_all(source.split("#[cfg(test)]").next().unwrap_or_default(), "");
    let literal = Regex::new(r#""((?:[^"\\]|\\.|\\\n)*)""#).unwrap();
    let breaks = Regex::new(r"\\\n\s*").unwrap();
    // What is put in has a name in the source, which nobody is shown.
    let values = Regex::new(r"\{[^{}]*\}").unwrap();
    literal
        .captures_iter(&source)
        .map(|found| values.replace_all(&breaks.replace_all(&found[1], ""), "…").into_owned())
        .filter(|text| text.split_whitespace().count() >= 3)
        .collect()
}

#[test]
fn no_error_hint_or_log_line_has_a_private_word() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let packages = ["cli", "client", "core", "kinds", "loadtests", "manifests", "server", "worker"];
    let mut folders: Vec<_> = packages.into_iter().map(|package| workspace.join(package)).collect();
    let (mut found, mut seen) = (Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_ours =
                !matches!(name.as_str(), "tests" | "testing" | "conformance" | "examples" | "target" | "fixture.rs");
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if is_ours && name.ends_with(".rs") && name != "tests.rs" {
                for sentence in sentences(&std::fs::read_to_string(&path).unwrap()) {
                    seen += 1;
                    let allowed = ALLOWED.iter().any(|(part, _)| sentence.contains(part));
                    let flaw = private_word(&sentence).filter(|_| !allowed);
                    found.extend(flaw.map(|flaw| format!("{}: {sentence:?}: {flaw}", path.display())));
                }
            } else if name.ends_with(".snap") && !CONTRACTS.iter().any(|contract| name.ends_with(contract)) {
                let flaw = private_word(&std::fs::read_to_string(&path).unwrap());
                found.extend(flaw.map(|flaw| format!("{}: {flaw}", path.display())));
            }
        }
    }
    // What is shown to people is in these as it was shown.
    let snapshots = workspace.join("cli/tests/cli/snapshots");
    for entry in std::fs::read_dir(snapshots).unwrap() {
        let path = entry.unwrap().path();
        let flaw = private_word(&std::fs::read_to_string(&path).unwrap());
        found.extend(flaw.map(|flaw| format!("{}: {flaw}", path.display())));
    }
    assert!(seen > 1500, "{seen}");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
