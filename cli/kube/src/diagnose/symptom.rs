//! What the last lines of a log say about the end of a program, in the words that programs of this world use.

use super::Reason;

const SYMPTOMS: &[(&[&str], Reason)] = &[
    (&["exec format error"], Reason::WrongArchitecture),
    (
        &["password authentication failed", "no password supplied", "wrongpass", "noauth authentication required"],
        Reason::DatabasePassword,
    ),
    (&["of a newer version", "newer than this"], Reason::MigrationSchemaNewer),
    (&["read-only file system", "erofs"], Reason::ReadOnlyFileSystem),
    (&["address already in use", "address in use", "eaddrinuse"], Reason::AddressInUse),
    (
        &[
            "connection refused",
            "no route to host",
            "network is unreachable",
            "could not translate host name",
            "failed to lookup address",
            "name or service not known",
            "temporary failure in name resolution",
            "name does not resolve",
            "no such host",
            "bad address",
            "can't connect",
            "connection timed out",
            "connection to postgres is broken",
        ],
        Reason::DependencyUnreachable,
    ),
    (&["permission denied", "operation not permitted", "eacces"], Reason::PermissionDenied),
];

/// Exit codes that shells give for a program that is not there.
const NOT_FOUND: i64 = 127;

/// What the end of a container was, by its log and its exit code; and the line that says so.
pub(super) fn told(lines: &[String], container: &str, exit_code: Option<i64>) -> (Reason, String) {
    let migrating = container.contains("migrat");
    // The newest line that says something known is the nearest to the end.
    let known = lines.iter().rev().find_map(|line| {
        let small = line.to_lowercase();
        let symptom = SYMPTOMS.iter().find(|(words, _)| words.iter().any(|word| small.contains(word)));
        symptom.map(|(_, reason)| (*reason, line.clone()))
    });
    let last = lines.iter().rev().find(|line| !line.trim().is_empty()).cloned();
    match known {
        Some((reason, line)) => (if migrating { migration(reason) } else { reason }, line),
        None if migrating => (Reason::MigrationFailed, last.unwrap_or_else(|| ended(exit_code))),
        None if exit_code == Some(NOT_FOUND) => (Reason::EntrypointNotFound, last.unwrap_or_else(|| ended(exit_code))),
        None => (Reason::CrashLoop, last.unwrap_or_else(|| ended(exit_code))),
    }
}

fn ended(exit_code: Option<i64>) -> String {
    match exit_code {
        Some(0) => "it ended without an error; it should keep running".to_owned(),
        Some(code) if code > 128 => format!("it ended by signal {}", code - 128),
        Some(code) => format!("it ended with exit code {code} and said nothing"),
        None => "it ended".to_owned(),
    }
}

fn migration(reason: Reason) -> Reason {
    match reason {
        Reason::DatabasePassword => Reason::MigrationPassword,
        Reason::DependencyUnreachable => Reason::MigrationUnreachable,
        other => other,
    }
}
