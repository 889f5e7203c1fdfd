use std::os::unix::fs::PermissionsExt;

use super::*;

const D1: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const D2: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn images(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(called, reference)| ((*called).to_owned(), (*reference).to_owned())).collect()
}

/// The file after it was pinned, and again, which must change nothing.
fn pinned(text: &str, pairs: &[(&str, &str)]) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kustomization.yaml");
    fs::write(&file, text).unwrap();
    let outcome = pin(directory.path(), &images(pairs), true);
    let after = fs::read_to_string(&file).unwrap();
    match outcome {
        Ok(done) => {
            assert_eq!(done.changed, after != text);
            assert!(!pin(directory.path(), &images(pairs), true).unwrap().changed, "a second time changes nothing");
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
            Ok(after)
        }
        Err(error) => {
            assert_eq!(after, text, "the file is unchanged");
            Err(error.to_string().replace(&directory.path().display().to_string(), ""))
        }
    }
}

#[test]
fn a_kustomization_without_images_gets_them() {
    let text = "# ours\nresources:\n  - ../base # all\n";
    let server = format!("ghcr.io/a/card-server:1.2@{D1}");
    assert_eq!(
        pinned(text, &[("card-server", &server), ("worker", &format!("ghcr.io/a/card-worker@{D2}"))]).unwrap(),
        format!(
            "{text}images:\n  - name: card-server\n    newName: ghcr.io/a/card-server\n    newTag: \"1.2\"\n    digest: {D1}\n  \
             - name: card-worker\n    newName: ghcr.io/a/card-worker\n    digest: {D2}\n"
        )
    );
}

#[test]
fn only_what_is_meant_is_changed() {
    let text = format!(
        "images:\n# the server\n- name: card-server # here\n  newTag: '1.0'\n  # by the release\n  digest: {D1}\n\n- name: other\n  \
         newTag: \"7\"\n\n# what follows\nresources:\n- ../base\npatches: []\n"
    );
    assert_eq!(
        pinned(&text, &[("server", &format!("r.example:5000/card-server@{D2}")), ("card-worker", &format!("w@{D1}"))])
            .unwrap(),
        format!(
            "images:\n# the server\n- name: card-server # here\n  # by the release\n  digest: {D2}\n  newName: \
             r.example:5000/card-server\n\n- name: other\n  newTag: \"7\"\n- name: card-worker\n  newName: w\n  digest: {D1}\n\n\
             # what follows\nresources:\n- ../base\npatches: []\n"
        )
    );
    for empty in ["images: []\n", "images:\n"] {
        assert!(
            pinned(empty, &[("redis", &format!("r@{D1}"))])
                .unwrap()
                .starts_with("images:\n  - name: docker.io/library/redis\n")
        );
    }
}

#[test]
fn what_can_not_be_changed_safely_is_left_alone() {
    let server = format!("a@{D1}");
    for (text, reason) in [
        ("images: [{name: card-server}]\n", "/kustomization.yaml:1: images is written in one line"),
        ("images:\n  - newTag: a\n    name: card-server\n", "/kustomization.yaml:2: an entry of images does not begin"),
        ("images:\n  - {name: card-server, newTag: a}\n", "/kustomization.yaml:1: its images can't be edited"),
        ("- a\n", "/kustomization.yaml:1: this is not a kustomization"),
        ("a: [\n", "/kustomization.yaml:1: "),
    ] {
        let error = pinned(text, &[("card-server", &server)]).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn a_reference_that_may_mean_something_else_tomorrow_is_refused() {
    for (called, reference, reason) in [
        ("card-server", "a:1.2", "it has no digest"),
        ("card-server", "A B", "it is not an image reference"),
        ("card-sever", "a@sha256:1", "there is no such image"),
    ] {
        let error = pinned("", &[(called, reference)]).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let nowhere = pin(Path::new("/nowhere"), &[], true).unwrap_err().to_string();
    assert_eq!(nowhere, "/nowhere: there is no kustomization.yaml");
}

#[test]
fn a_look_writes_nothing_and_a_write_keeps_the_files_mode() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kustomization.yml");
    fs::write(&file, "resources: []\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let wanted = images(&[("card-server", &format!("a@{D1}"))]);
    assert!(pin(directory.path(), &wanted, false).unwrap().changed);
    assert_eq!(fs::read_to_string(&file).unwrap(), "resources: []\n");
    assert!(pin(directory.path(), &wanted, true).unwrap().changed);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}
