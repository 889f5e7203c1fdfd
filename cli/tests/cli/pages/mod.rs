//! The pages for people, held against the program: their commands are run, their lists compared, their links followed.

mod codes;
mod commands;
mod console;
mod links;
mod lists;
mod session;

use std::path::{Path, PathBuf};

/// One test for each page with commands, so that they run side by side.
macro_rules! pages_with_commands {
    ($($name:ident = $path:literal;)*) => {
        $(#[test] fn $name() { session::run($path); })*
        const RUN: &[&str] = &[$($path),*];
    };
}

pages_with_commands! {
    the_readme = "README.md";
    getting_started = "docs/getting-started.md";
    a_client = "docs/guides/client.md";
    an_issuer = "docs/guides/issuer.md";
    systemd = "docs/guides/systemd.md";
    tls = "docs/guides/tls.md";
    backup = "docs/guides/backup.md";
    upgrade = "docs/guides/upgrade.md";
    postgres_and_redis = "docs/guides/postgres-redis.md";
    ci = "docs/guides/ci.md";
    load_tests = "docs/guides/loadtest.md";
    kubernetes = "docs/kubernetes.md";
    drills = "docs/operations/drills.md";
}

#[test]
fn each_page_with_commands_is_run() {
    let with_commands = |path: &String| {
        let commands = console::commands(&read(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
        commands.iter().any(|command| command.run != console::Run::Never)
    };
    let found: Vec<String> = pages().into_iter().filter(with_commands).collect();
    let mut run = RUN.to_vec();
    run.sort_unstable();
    assert_eq!(found, run, "add the page to pages_with_commands");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all pages from the root, sorted.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap().map(Result::unwrap) {
        add(&mut found, &entry.path());
    }
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                add(&mut found, &entry.path());
            }
        }
    }
    found.sort();
    found
}

fn add(found: &mut Vec<String>, path: &Path) {
    if path.extension().is_some_and(|extension| extension == "md") {
        found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
    }
}

/// The lines of the section that a heading begins, up to the next of the same level or above.
fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let ends = |line: &&str| {
        let marks = line.bytes().take_while(|byte| *byte == b'#').count();
        marks == 0 || marks > level
    };
    let lines: Vec<&str> = page.lines().skip_while(|line| *line != heading).skip(1).take_while(ends).collect();
    assert!(!lines.is_empty(), "there is no section {heading}");
    lines
}

/// The cells of a page's tables, row by row, without their heads.
fn rows<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Vec<String>> {
    let lines: Vec<&str> = lines.into_iter().collect();
    let is_row = |line: &str| line.starts_with('|');
    let is_rule = |line: &str| is_row(line) && line.chars().all(|letter| "|-: ".contains(letter));
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        if is_row(line) && !is_rule(line) && !is_head {
            // A bar inside of a cell is written `\|`.
            let line = line.trim().trim_matches('|').replace("\\|", "\u{1}");
            rows.push(line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect());
        }
    }
    rows
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Says both what the page lacks and what the program does not have.
fn assert_same(page: &str, mut on_page: Vec<String>, mut in_program: Vec<String>) {
    for list in [&mut on_page, &mut in_program] {
        list.sort();
        list.dedup();
    }
    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        of.iter().filter(|one| !from.contains(one)).cloned().collect()
    };
    let (lacks, invents) = (missing(&on_page, &in_program), missing(&in_program, &on_page));
    assert!(
        lacks.is_empty() && invents.is_empty(),
        "{page} lacks {lacks:#?}\n{page} has, and the program has not {invents:#?}"
    );
}
