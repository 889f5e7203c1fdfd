use crate::masked::masked;
use crate::sandbox::Sandbox;

#[test]
fn pause_stats_resume() {
    let sandbox = Sandbox::new();
    sandbox.up();
    insta::assert_snapshot!("pause", sandbox.transcript(&["queue", "pause"]));
    sandbox.expect(0, &["submit", "-c", "2"]);
    let stats = sandbox.expect(0, &["queue", "stats", "-o", "json"]).json();
    assert_eq!((&stats["queue"]["ready"], &stats["queue"]["paused"]), (&2.into(), &true.into()));
    let text = masked(&sandbox.expect(0, &["queue", "stats"]).stdout);
    assert!(text.starts_with("ready  2\nrunning  0\n") && text.contains("paused  no tasks are processed"), "{text}");
    insta::assert_snapshot!("resume", sandbox.transcript(&["queue", "resume"]));
}

#[test]
fn a_run_is_cleaned_up() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["submit", "-c", "2", "--run", "r", "-w"]);
    insta::assert_snapshot!("clean", sandbox.transcript(&["users", "clean", "--run", "r"]));
    insta::assert_snapshot!("clean_again", sandbox.transcript(&["users", "clean", "--run", "r"]));
}
