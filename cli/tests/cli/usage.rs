use crate::sandbox::Sandbox;

#[test]
fn an_unknown_command_suggests_one() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["statsu"]));
}

#[test]
fn another_tools_command_suggests_ours() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["start"]));
}

#[test]
fn an_unknown_flag_suggests_one() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["up", "--detatch"]));
}

#[test]
fn another_tools_flag_suggests_ours() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["down", "--volumes"]));
}

#[test]
fn an_unknown_value_names_what_is_possible() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["status", "--wait", "--for", "redy"]));
}

#[test]
fn a_usage_error_is_a_document_too() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["up", "--prot", "1", "-o", "json"]));
}

#[test]
fn a_target_of_a_later_release_says_so() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["--target", "podman", "status"]));
}

#[test]
fn a_bad_instance_name_is_refused() {
    let ended = Sandbox::new().expect(2, &["--instance", "../x", "up", "-d"]);
    assert!(ended.stderr.contains("instance"), "{}", ended.stderr);
}

#[test]
fn the_background_process_is_not_a_command() {
    let ended = Sandbox::new().expect(2, &["serve-embedded"]);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
