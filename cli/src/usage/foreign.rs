//! What other tools call things, for fingers that remember those.

/// Other tools' flags, with ours in order of preference: the first that the command has is the one that is meant.
const FLAGS: &[(&[&str], &[&str])] = &[
    // k6, locust, hey, oha, wrk, ab, vegeta
    (
        &["--vus", "-u", "--users", "-c", "--concurrency", "--connections", "--clients", "--parallel", "--workers"],
        &["--users", "--concurrency", "--workers"],
    ),
    // How fast users come, not how fast requests do; where there are no users, it is the nearest.
    (
        &["--spawn-rate", "--hatch-rate", "--increase-rate", "--startup-time", "--ramp-up", "--warm-up"],
        &["--ramp", "--rate"],
    ),
    (&["-r", "-q", "--qps", "--rps", "--arrival-rate", "--throttle-requests"], &["--rate"]),
    (
        &["-z", "--duration", "-d", "--run-time", "--max-time", "--time-limit"],
        &["--duration", "--timeout", "--wait-timeout"],
    ),
    (&["--stage", "--stages", "--test-plan"], &["--steps"]),
    (&["--threshold", "--thresholds", "--sla", "--check"], &["--slo"]),
    (&["--think-time", "--wait-time", "--pacing", "--delay"], &["--think"]),
    (&["--summary-export", "--report-file", "--html", "--csv", "--out-dir", "--output-dir"], &["--out"]),
    (&["--baseline-file", "--compare"], &["--baseline"]),
    (&["--no-cleanup", "--no-teardown"], &["--keep"]),
    (&["-n", "--requests", "--iterations", "--number", "--num", "--total"], &["--count", "--limit"]),
    // docker compose, kubectl, systemctl
    (&["--background", "--daemon", "--daemonize", "-D"], &["--detach"]),
    (&["--volumes", "-v", "--delete", "--wipe", "--clean"], &["--purge", "--cleanup"]),
    (&["--force", "-f", "--assume-yes", "--no-input"], &["--yes"]),
    (&["--force-recreate", "--recreate"], &["--restart"]),
    (&["--follow", "--tail", "-F"], &["--follow", "--watch"]),
    (&["--publish", "-p", "--listen", "--bind"], &["--port"]),
    (&["--profile", "--project-name", "--name"], &["--instance"]),
    (&["--replicas", "--scale", "--instances"], &["--workers"]),
    (&["--database-url", "--db", "--postgres", "--dsn"], &["--database"]),
    (&["--redis-url", "--broker", "--broker-url"], &["--redis"]),
    (&["--url", "--host", "--server", "--base-url", "--endpoint"], &["--target"]),
    (&["--no-color", "--no-colour", "--colour"], &["--color never"]),
    (&["--json"], &["-o json"]),
    (&["--format", "--out-format"], &["--output"]),
    (&["--no-progress", "--quiet", "-q", "--silent"], &["--progress none"]),
    (&["--wait-for", "--until"], &["--for"]),
];

/// Other tools' commands, with ours.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["start", "run", "serve", "create", "install", "deploy", "launch"], "cardctl up"),
    (&["stop", "kill", "shutdown", "halt", "delete", "rm"], "cardctl down"),
    (&["destroy", "purge", "reset", "wipe", "clean"], "cardctl down --purge"),
    (&["restart", "reload"], "cardctl up --restart"),
    (&["resize", "autoscale", "replicas"], "cardctl scale"),
    (&["ps", "ls", "info", "get", "describe", "health"], "cardctl status"),
    (&["wait"], "cardctl status --wait"),
    (&["log", "tail", "journal"], "cardctl logs"),
    (&["check", "diagnose", "preflight"], "cardctl doctor"),
    (&["settings", "configure"], "cardctl config show"),
    (&["completion"], "cardctl completions"),
    (&["load", "load-test", "bench", "benchmark", "attack", "stress", "perf"], "cardctl loadtest run"),
];

/// What is meant by a flag that the command does not have.
pub(super) fn flag(given: &str, command: &clap::Command) -> Option<String> {
    let name = given.split(['=', ' ']).next()?;
    let has = |ours: &&&str| {
        let long = ours.split(' ').next().unwrap_or_default();
        let short = long.strip_prefix('-').filter(|short| short.len() == 1).and_then(|short| short.chars().next());
        let long = long.strip_prefix("--");
        command.get_arguments().any(|argument| {
            !argument.is_hide_set()
                && (long.is_some() && argument.get_long() == long || short.is_some() && argument.get_short() == short)
        })
    };
    FLAGS
        .iter()
        .filter(|(theirs, _)| theirs.contains(&name))
        .find_map(|(_, ours)| ours.iter().filter(|ours| **ours != name).find(has))
        .map(|ours| format!("did you mean {ours}?"))
}

/// What is meant by a command that there is not.
pub(super) fn command(given: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(theirs, _)| theirs.contains(&given)).map(|(_, ours)| *ours)
}
