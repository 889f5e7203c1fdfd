use card_kinds::{add, replacement};
use proptest::prelude::*;

use super::*;

fn written(accepted: usize) -> (tempfile::TempDir, PathBuf, RunId, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let run = RunId::new();
    let ledger = Ledger::create(Some(&path), &run, 7, true).unwrap();
    for _ in 0..accepted {
        ledger.accepted(TaskId::new(), UserId::new(), replacement::KIND).unwrap();
    }
    ledger.unanswered("k-1").unwrap();
    ledger.flush().unwrap();
    (dir, path, run, ledger)
}

#[test]
fn what_was_written_is_what_is_read() {
    let (_dir, path, run, ledger) = written(1000);
    assert_eq!(Expectation::read(&path).unwrap(), (run, ledger.expectation()));
    assert_eq!((ledger.len(), ledger.expectation().unanswered), (1000, 1));
}

#[test]
fn one_id_as_the_answer_to_two_orders_is_remembered() {
    let (_dir, path, _, ledger) = written(0);
    let (task, user) = (TaskId::new(), UserId::new());
    ledger.accepted(task, user, add::KIND).unwrap();
    ledger.accepted(task, user, add::KIND).unwrap();
    ledger.flush().unwrap();
    assert_eq!(Expectation::read(&path).unwrap().1.accepted[&task], 2);
}

#[test]
fn a_bad_line_that_is_not_the_last_is_an_error_with_its_number() {
    let (_dir, path, _, _) = written(2);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines[1] = r#"{"type":"accepted","task":"tsk_"#;
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let error = Expectation::read(&path).unwrap_err().to_string();
    assert!(error.contains("journal.jsonl:2: "), "{error}");
}

#[test]
fn a_file_that_does_not_name_its_run_first_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    for text in ["", "\n", "{}\n", r#"{"type":"unanswered","key":"k","at":"2026-01-01T00:00:00Z"}"#] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(Expectation::read(&path), Err(LedgerError::Line { line: 1, .. })), "{text}");
    }
}

proptest! {
    /// Whatever the length at which a kill tore the file, what is read is a prefix of what was written.
    #[test]
    fn a_torn_file_gives_a_prefix(cut in 0.0..1.0_f64) {
        let (_dir, path, _, ledger) = written(20);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let length = first + ((whole.len() - first) as f64 * cut) as usize;
        std::fs::write(&path, &whole[..length]).unwrap();
        let (_, read) = Expectation::read(&path).unwrap();
        let lines = whole[first..length].iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(read.accepted.len() as u64 + read.unanswered, lines as u64);
        let written = ledger.expectation();
        prop_assert!(read.accepted.keys().all(|task| written.accepted.contains_key(task)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        std::fs::write(&path, bytes).unwrap();
        let _ = Expectation::read(&path);
    }
}
