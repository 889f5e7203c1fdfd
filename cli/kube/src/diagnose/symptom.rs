//! What the last lines of a log say about the end of a program, in the words that programs of this world use.

use super::Reason;

const SYMPTOMS: &[(&[&str], Reason)] = &[
    (&["exec format error"], Reason::WrongArchitecture),
    (
        &["password authentication failed", "no password supplied", "wrongpass", "noauth authentication required"],
        Reason::DatabasePassword,
    ),
    // Postgres and Redis say it of a right there; a file's has no "for" and no "to".
    (
        &[
            "permission denied for ",
            "permission denied to ",
            "must be owner of ",
            "must be superuser",
            "noperm",
            "this role lacks rights",
            "this role may not",
        ],
        Reason::DatabaseRight,
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

/// What only a line of the end tells: earlier ones are what a program's entrypoint met and went on from, such as a `chmod` of a
/// directory that is as it should be.
const AT_THE_END: usize = 3;

/// Exit codes that stand for a signal, from 1 to the last real-time one; 255 is what a program says that exited unexpectedly.
const SIGNALLED: std::ops::RangeInclusive<i64> = 129..=192;

/// What the end of a container was, by its log and its exit code; and the line that says so.
pub(super) fn told(lines: &[String], container: &str, exit_code: Option<i64>) -> (Reason, String) {
    let migrating = container.contains("migrat");
    let said: Vec<&String> = lines.iter().filter(|line| !line.trim().is_empty()).collect();
    let last = said.last().map(|line| (*line).clone());
    match telling(&said) {
        Some((Some(reason), line)) => (if migrating { migration(reason) } else { reason }, line),
        Some((None, line)) => (if migrating { Reason::MigrationFailed } else { Reason::CrashLoop }, line),
        None if migrating => (Reason::MigrationFailed, last.unwrap_or_else(|| ended(exit_code))),
        None if exit_code == Some(NOT_FOUND) => (Reason::EntrypointNotFound, last.unwrap_or_else(|| ended(exit_code))),
        None => (Reason::CrashLoop, last.unwrap_or_else(|| ended(exit_code))),
    }
}

/// The line that tells why, and the reason if it is a known one. The last that says itself that it is fatal wins, whether
/// it is known or not; without such a line, the newest that says something known.
fn telling(lines: &[&String]) -> Option<(Option<Reason>, String)> {
    let has = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    let mut newest = None;
    let mut unknown = None;
    for (from_end, line) in lines.iter().rev().enumerate() {
        let small = line.to_lowercase();
        let symptom = SYMPTOMS.iter().find(|(words, _)| has(&small, words)).map(|(_, reason)| *reason);
        let fatal = has(&small, &["fatal", "panic"]);
        match symptom {
            Some(reason) if fatal => return Some((Some(reason), (*line).clone())),
            // Whatever is older than a fatal line that nobody knows is not why it ended.
            None if fatal && newest.is_none() => {
                unknown.get_or_insert_with(|| (*line).clone());
            }
            Some(reason) if newest.is_none() && unknown.is_none() => {
                let is_weak = reason == Reason::PermissionDenied && !small.contains("error");
                if !is_weak || from_end < AT_THE_END {
                    newest = Some((Some(reason), (*line).clone()));
                }
            }
            _ => {}
        }
    }
    newest.or_else(|| unknown.map(|line| (None, line)))
}

fn ended(exit_code: Option<i64>) -> String {
    match exit_code {
        Some(0) => "it exited without an error, but should keep running".to_owned(),
        Some(code) if SIGNALLED.contains(&code) => format!("it was killed by signal {}", code - 128),
        Some(code) => format!("it exited with code {code}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str], exit_code: i64) -> (Reason, String) {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        told(&lines, "postgres", Some(exit_code))
    }

    const ENTRYPOINT: &str = "chmod: changing permissions of '/var/run/postgresql': Operation not permitted";

    #[test]
    fn a_fatal_line_wins_over_a_suspicious_one_before_it() {
        let full = "PANIC:  could not write to file \"pg_wal/xlogtemp.29\": No space left on device";
        assert_eq!(of(&[ENTRYPOINT, "LOG:  starting PostgreSQL 17", full], 1), (Reason::CrashLoop, full.to_owned()));
        let locale = "FATAL:  database locale is incompatible with operating system";
        assert_eq!(of(&[ENTRYPOINT, locale, "LOG:  database system is shut down"], 1).1, locale);
        let password = "FATAL:  password authentication failed for user \"card\"";
        assert_eq!(of(&[ENTRYPOINT, password, "LOG:  shutting down"], 1).0, Reason::DatabasePassword);
    }

    #[test]
    fn what_an_entrypoint_went_on_from_is_not_why_it_ended() {
        let later =
            ["LOG:  starting PostgreSQL 17", "LOG:  listening on IPv4", "LOG:  ready", "LOG:  checkpoint starting"];
        let lines: Vec<&str> = std::iter::once(ENTRYPOINT).chain(later).collect();
        assert_eq!(of(&lines, 137).0, Reason::CrashLoop);
        // At the end it is, and so it is where it says that it is an error.
        assert_eq!(of(&["starting", ENTRYPOINT], 1).0, Reason::PermissionDenied);
        let error = "initdb: error: could not access directory \"/data\": Permission denied";
        assert_eq!(of(&[error, "a", "b", "c", "d"], 1).0, Reason::PermissionDenied);
    }

    #[test]
    fn a_right_in_the_database_is_not_one_of_the_container() {
        for line in [
            "ERROR:  permission denied for table tasks",
            "error: the ledger refused: permission denied for schema ledger (42501)",
            "Error: permission denied to create extension \"citext\"",
            "ERROR: must be owner of table tasks",
            "Error: this role lacks rights on the ledger: INSERT on tasks",
            "NOPERM User card has no permissions to run the 'eval' command",
        ] {
            assert_eq!(of(&[line], 1), (Reason::DatabaseRight, line.to_owned()));
        }
        for line in [
            "could not open file \"/data/PG_VERSION\": Permission denied",
            "bind: permission denied",
            "exec /bin/card-server: permission denied",
        ] {
            assert_eq!(of(&[line], 1).0, Reason::PermissionDenied, "{line}");
        }
    }

    #[test]
    fn what_is_known_is_found_where_nothing_is_fatal() {
        let refused = "Error: connect ECONNREFUSED: connection refused";
        assert_eq!(of(&[refused, "closing", "bye"], 1), (Reason::DependencyUnreachable, refused.to_owned()));
    }

    #[test]
    fn an_exit_code_is_a_signal_only_where_there_is_such_a_signal() {
        assert_eq!(ended(Some(137)), "it was killed by signal 9");
        assert_eq!(ended(Some(255)), "it exited with code 255");
        assert_eq!(ended(Some(128)), "it exited with code 128");
    }
}
