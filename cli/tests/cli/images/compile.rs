//! Images of what cargo builds first.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::sandbox::eventually;

/// A source tree by its looks, with a cargo and a rustc that do what a test needs.
fn tree(yard: &Yard, cargo: &str, target_libdir: &str) -> PathBuf {
    let dir = yard.at("tree");
    for (path, text) in [
        ("Cargo.lock", "version = 4\n[[package]]\nname = 'cardctl'\nversion = '1.0.0'\n"),
        ("cli/Cargo.toml", "name = \"cardctl\"\n"),
        ("server/Cargo.toml", "name = \"card-server\"\n"),
    ] {
        std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        std::fs::write(dir.join(path), text).unwrap();
    }
    yard.stand_in("cargo", cargo);
    let arch = std::env::consts::ARCH;
    yard.stand_in(
        "rustc",
        &format!("case \"$*\" in *host-tuple*) echo {arch}-unknown-linux-gnu ;; *) {target_libdir} ;; esac"),
    );
    std::fs::create_dir(yard.at("libdir")).unwrap();
    std::fs::write(yard.at("libdir/libstd-0.rlib"), "").unwrap();
    dir
}

const HAS_STD: &str = "echo \"$PWD/libdir\"";

fn in_tree(yard: &Yard, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = yard.command(arguments);
    command.current_dir(dir);
    command
}

#[test]
fn in_the_source_tree_cargo_builds_first_and_its_crates_are_listed() {
    let yard = Yard::new();
    let metadata = r#"{"packages":[{"id":"c","name":"card-generator","version":"1.0.0","license":"MIT"}],"resolve":{"nodes":[{"id":"c","deps":[]}]}}"#;
    let cargo = format!(
        r#"case "$1" in
          metadata) echo '{metadata}' ;;
          build)
            echo "$@" >said; env | grep -E '^CARGO_(ENCODED|PROFILE)' >>said
            echo '   Compiling card-generator v1.0.0' >&2
            echo '{{"reason":"compiler-artifact","target":{{"name":"card-generator"}},"executable":"'$PWD'/bin/card-generator"}}' ;;
        esac"#
    );
    let dir = tree(&yard, &cargo, HAS_STD);
    let arguments = ["images", "build", "generator", "--certificates", "../ca.pem", "-o", "json"];
    let ended = Ended::of(in_tree(&yard, &dir, &arguments).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("Compiling card-generator"), "{}", ended.stderr);
    let said = std::fs::read_to_string(yard.at("said")).unwrap();
    for part in ["--locked", "--target x86_64-unknown-linux-gnu", "+crt-static", "CARGO_PROFILE_DIST_STRIP=symbols"] {
        assert!(said.contains(&part.replace("x86_64", std::env::consts::ARCH)), "{part}: {said}");
    }
    let sbom = std::fs::read_to_string(dir.join("target/images/card-generator.cdx.json")).unwrap();
    assert!(sbom.contains("pkg:cargo/card-generator@1.0.0"), "{sbom}");
}

#[test]
fn a_build_that_fails_shows_its_last_lines() {
    let yard = Yard::new();
    let dir = tree(&yard, "echo 'error[E0425]: of a test' >&2; exit 101", HAS_STD);
    let ended = Ended::of(in_tree(&yard, &dir, &["images", "build", "-o", "json"]).output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let error = &ended.json()["error"];
    assert_eq!(
        (error["code"].as_str(), error["evidence"][0].as_str()),
        (Some("build-failed"), Some("error[E0425]: of a test"))
    );
}

#[test]
fn a_target_without_its_library_says_how_to_get_it() {
    let yard = Yard::new();
    let dir = tree(&yard, "exit 1", "echo /nowhere");
    let arguments = ["images", "build", "--platform", "linux/arm64", "-o", "json"];
    let ended = Ended::of(in_tree(&yard, &dir, &arguments).output().unwrap());
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.json()["error"]["fix"], "rustup target add aarch64-unknown-linux-gnu");
}

#[test]
fn an_interrupted_build_takes_cargo_with_it() {
    let yard = Yard::new();
    let dir = tree(&yard, "echo $$ >pid.new; mv pid.new pid; exec sleep 60", HAS_STD);
    let mut child = in_tree(&yard, &dir, &["images", "build"]).spawn().unwrap();
    eventually("cargo runs", || yard.at("pid").exists());
    let cargo: i32 = std::fs::read_to_string(yard.at("pid")).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    eventually("cargo is gone", || kill(Pid::from_raw(cargo), None).is_err());
}
