//! `docs/reference/commands`: a page for each command, which begins with its help. `UPDATE_PAGES=1` with this test writes
//! the help into the pages; what stands below it is written by hand and stays.

use std::fmt::Write as _;

use super::root;
use crate::sandbox::Sandbox;

const FOLDER: &str = "docs/reference/commands";
const UPDATE: &str = "UPDATE_PAGES=1 with this test writes it";

/// The commands that are shown, each with its subcommands as they are typed.
fn shown() -> Vec<(String, Vec<String>)> {
    let visible = |command: &clap::Command| -> Vec<String> {
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        shown.map(|command| command.get_name().to_owned()).collect()
    };
    let program = cardctl::args::command();
    let mut all = Vec::new();
    for name in visible(&program) {
        let under = visible(program.find_subcommand(&name).unwrap());
        all.push((name.clone(), under.into_iter().map(|under| format!("{name} {under}")).collect()));
    }
    all
}

/// A command's help without the options that every command has.
fn help(sandbox: &Sandbox, command: &str) -> String {
    let arguments: Vec<&str> = ["help"].into_iter().chain(command.split(' ')).collect();
    let help = sandbox.expect(0, &arguments).stdout;
    help.split("\nGlobal options:").next().unwrap().trim_end().to_owned()
}

fn begin(command: &str) -> String {
    format!("<!-- cardctl help {command} -->")
}

const END: &str = "<!-- end of help -->";

fn block(sandbox: &Sandbox, command: &str) -> String {
    format!("{}\n```text\n{}\n```\n{END}", begin(command), help(sandbox, command))
}

/// The page with the help of these commands as it is now.
fn renewed(sandbox: &Sandbox, page: &str, command: &str, under: &[String]) -> String {
    let mut page =
        if page.is_empty() { format!("# `cardctl {command}`\n\n{}\n{END}\n", begin(command)) } else { page.to_owned() };
    for one in [command.to_owned()].iter().chain(under) {
        if !page.contains(&begin(one)) {
            // Writing to a String can't fail.
            let _ = write!(page, "\n## `cardctl {one}`\n\n{}\n{END}\n", begin(one));
        }
        let (before, rest) = page.split_once(&begin(one)).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        page = format!("{before}{}{after}", block(sandbox, one));
    }
    page
}

/// The first line of a command's help.
fn summary(sandbox: &Sandbox, command: &str) -> String {
    help(sandbox, command).lines().next().unwrap().to_owned()
}

fn index(sandbox: &Sandbox, commands: &[(String, Vec<String>)]) -> String {
    let mut page = String::from(
        "# Commands\n\nOne page for each command; it begins with what `cardctl COMMAND --help` prints. What all commands share \
         (options, settings,\nJSON, errors) is in [cli.md](../cli.md).\n\n| command | does |\n|---|---|\n",
    );
    for (command, under) in commands {
        let _ = writeln!(page, "| [`{command}`]({command}.md) | {} |", summary(sandbox, command));
        for one in under {
            let anchor = format!("cardctl-{}", one.replace(' ', "-"));
            let _ = writeln!(page, "| [`{one}`]({command}.md#{anchor}) | {} |", summary(sandbox, one));
        }
    }
    page
}

#[test]
fn each_command_has_a_page_with_its_help() {
    let sandbox = Sandbox::new();
    let commands = shown();
    let mut pages = vec![("README".to_owned(), index(&sandbox, &commands))];
    for (command, under) in &commands {
        let written = std::fs::read_to_string(root().join(FOLDER).join(format!("{command}.md"))).unwrap_or_default();
        pages.push((command.clone(), renewed(&sandbox, &written, command, under)));
    }
    for (name, page) in &pages {
        let path = root().join(FOLDER).join(format!("{name}.md"));
        if std::env::var_os("UPDATE_PAGES").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == *page, "{} is not what the program says: {UPDATE}", path.display());
    }
    let mut files: Vec<String> = std::fs::read_dir(root().join(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".md", ""))
        .collect();
    let mut names: Vec<String> = pages.into_iter().map(|(name, _)| name).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names, "a page for each command, and no other");
}
