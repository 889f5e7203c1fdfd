use crate::sandbox::Sandbox;

#[test]
fn exit_codes_have_a_page() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["help", "exit-codes"]));
}

#[test]
fn help_leads_with_examples() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.transcript(&["up", "--help"]));
    insta::assert_snapshot!(sandbox.transcript(&["help", "down"]));
}

#[test]
fn help_of_a_command_is_the_same_both_ways() {
    let sandbox = Sandbox::new();
    assert_eq!(
        sandbox.expect(0, &["help", "config", "show"]).stdout,
        sandbox.expect(0, &["config", "show", "--help"]).stdout
    );
}

#[test]
fn nothing_of_a_later_release_shows() {
    let sandbox = Sandbox::new();
    let mut pages = vec![sandbox.expect(0, &["--help"]).stdout];
    for command in ["up", "down", "status", "logs"] {
        pages.push(sandbox.expect(0, &[command, "--help"]).stdout);
    }
    for later in ["podman", "serve-embedded", "card-worker"] {
        assert!(!pages.iter().any(|page| page.contains(later)), "{later}");
    }
}

#[test]
fn an_unknown_topic_names_the_nearest() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["help", "exit-code"]));
}

#[test]
fn no_arguments_at_all_is_a_usage_error_with_help() {
    let ended = Sandbox::new().expect(2, &[]);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("Examples:"), "{}", ended.stderr);
}

#[test]
fn completions_name_the_commands() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.expect(0, &["completions", shell]).stdout;
        for command in ["status", "down", "--purge", "exit-codes"].iter().filter(|word| **word != "exit-codes") {
            assert!(script.contains(command.trim_start_matches('-')), "{shell}: {command}");
        }
        assert!(!script.contains("serve-embedded"), "{shell}");
    }
}

/// What bash offers for the last word of a line, with the script in force.
fn offered_by_bash(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let script = sandbox.work().join("completion");
    std::fs::write(&script, sandbox.expect(0, &["completions", "bash"]).stdout).unwrap();
    std::fs::write(sandbox.work().join("a-file-of-mine"), "").unwrap();
    let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "source {}; COMP_WORDS=({}); COMP_CWORD={}; _cardctl cardctl {} {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let output = sandbox.program("bash", &["-c", &ask]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).filter(|word| !word.is_empty()).collect()
}

#[test]
fn bash_offers_the_values_of_what_has_a_few_and_files_only_where_a_file_is_meant() {
    let sandbox = Sandbox::new();
    assert_eq!(offered_by_bash(&sandbox, "cardctl submit --kind "), ["replacement", "add", "purchase"]);
    assert_eq!(offered_by_bash(&sandbox, "cardctl tasks list --status d"), ["declined", "dead"]);
    assert_eq!(offered_by_bash(&sandbox, "cardctl tasks list -o j"), ["json", "jsonl"]);
    assert_eq!(offered_by_bash(&sandbox, "cardctl -t em"), ["embedded"]);
    for line in ["cardctl watch --run ", "cardctl submit --seed ", "cardctl --instance a", "cardctl dlq list --error "]
    {
        let offered = offered_by_bash(&sandbox, line);
        assert!(!offered.iter().any(|word| word.contains("file")), "{line}: {offered:?}");
    }
    assert_eq!(offered_by_bash(&sandbox, "cardctl loadtest run --baseline a"), ["a-file-of-mine"]);
    assert!(!offered_by_bash(&sandbox, "cardctl loadtest ").contains(&"generate".to_owned()));
}

#[test]
fn a_bash_completion_script_is_valid_bash() {
    let sandbox = Sandbox::new();
    let script = sandbox.expect(0, &["completions", "bash"]).stdout;
    let path = sandbox.work().join("completion");
    std::fs::write(&path, script).unwrap();
    assert!(sandbox.program("bash", &["-n", path.to_str().unwrap()]).status().unwrap().success());
}

#[test]
fn manual_pages_are_written() {
    let sandbox = Sandbox::new();
    let document = sandbox.expect(0, &["man", "pages", "-o", "json"]).json();
    let pages = std::fs::read_dir(sandbox.work().join("pages")).unwrap().count();
    assert_eq!(document["pages"], pages);
    let page = std::fs::read_to_string(sandbox.work().join("pages/cardctl-up.1")).unwrap();
    assert!(page.contains("Examples"), "{page}");
}

#[test]
fn the_version_is_the_same_everywhere() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.expect(0, &["version"]).stdout, sandbox.expect(0, &["--version"]).stdout);
    assert_eq!(sandbox.expect(0, &["version", "-o", "json"]).json()["version"], card_core::VERSION);
}

#[test]
fn help_and_version_work_in_a_broken_environment() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.work().join("cardctl.toml"), "this is not TOML").unwrap();
    for arguments in [&["version"][..], &["help", "up"], &["completions", "bash"]] {
        let mut command = sandbox.command(arguments);
        let output = command.env_remove("HOME").env_remove("XDG_STATE_HOME").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
    sandbox.expect(2, &["status"]);
}
