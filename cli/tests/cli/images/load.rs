//! Images where they are to run: what a runtime says is believed only by digest.

use super::*;

#[test]
fn minikube_is_believed_only_by_digest() {
    let yard = Yard::new();
    let built = yard.build();
    yard.minikube(&built, config_id);
    let load = ["images", "load", "--into", "minikube", "--minikube-profile", "two", "-o", "json"];
    yard.expect(12, &["images", "verify", "--in", "minikube"]);
    let loaded = yard.expect(0, &load).json();
    assert_eq!(images(&loaded).iter().filter(|image| image["already"] == false).count(), 1, "the first brought all");
    yard.expect(0, &["images", "verify", "--in", "minikube"]);
    let said = std::fs::read_to_string(yard.at("said")).unwrap();
    assert!(said.contains("-p two image load /"), "{said}");
    let again = yard.expect(0, &load).json();
    assert!(images(&again).iter().all(|image| image["already"] == true));
}

#[test]
fn a_minikube_that_says_it_loaded_and_did_not_is_found_out() {
    let yard = Yard::new();
    yard.build();
    yard.stand_in("minikube", "case \"$*\" in *ls*) echo '[]' ;; *) echo 'X cache_images.go: no space' >&2 ;; esac");
    let ended = yard.expect(3, &["images", "load", "--into", "minikube", "-o", "json"]);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "not-loaded");
    assert!(error["message"].as_str().unwrap().contains("but does not have it"), "{error}");
    assert!(error["evidence"][0].as_str().unwrap().contains("no space"), "{error}");
}

#[test]
fn another_image_by_the_same_name_is_found_out() {
    let yard = Yard::new();
    let built = yard.build();
    yard.minikube(&built, |_| "ab".repeat(32));
    let ended = yard.expect(3, &["images", "load", "server", "--into", "minikube", "-o", "json"]);
    assert!(ended.json()["error"]["message"].as_str().unwrap().contains("another image"), "{}", ended.stdout);
    yard.expect(12, &["images", "verify", "server", "--in", "minikube"]);
}

#[test]
fn a_runtime_that_is_missing_or_down_is_not_ready() {
    let yard = Yard::new();
    yard.build();
    let mut command = yard.command(&["images", "load", "--into", "podman", "-o", "json"]);
    let ended = Ended::of(command.env("PATH", yard.at("path")).output().unwrap());
    assert_eq!((ended.code, ended.json()["error"]["code"].as_str()), (Some(3), Some("missing-program")));
    yard.stand_in("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    let ended = yard.expect(3, &["images", "load", "--into", "docker", "-o", "json"]);
    assert!(ended.json()["error"]["evidence"][0].as_str().unwrap().contains("Cannot connect"), "{}", ended.stdout);
}

#[test]
fn docker_and_podman_are_asked_for_the_image_afterwards() {
    let yard = Yard::new();
    let built = yard.build();
    for image in images(&built) {
        std::fs::write(yard.at(&format!("id-{}", config_id(image))), image["reference"].as_str().unwrap()).unwrap();
    }
    let script = r#"case "$1" in
      load) echo "$3" >>loaded ;;
      image)
        shift 4; name=${1##*/}
        grep -q "${name%%:*}.tar" loaded && grep -l "$1" id-* | sed 's/^id-/sha256:/'; exit 0 ;;
    esac"#;
    for program in ["docker", "podman"] {
        yard.stand_in(program, script);
        yard.expect(0, &["images", "load", "--into", program]);
        let loaded = std::fs::read_to_string(yard.at("loaded")).unwrap();
        assert!(COMPONENTS.iter().all(|name| loaded.contains(&format!("{name}.tar"))), "{loaded}");
        std::fs::remove_file(yard.at("loaded")).unwrap();
    }
}

#[test]
fn containerd_must_have_every_blob() {
    let yard = Yard::new();
    let built = yard.build();
    let row = |image: &serde_json::Value| {
        let (name, digest) = (image["reference"].as_str().unwrap(), image["digest"].as_str().unwrap());
        format!("docker.io/{name} type {digest} complete (2/2) 1 MiB/1 MiB true\n")
    };
    std::fs::write(yard.at("table"), images(&built).iter().map(row).collect::<String>()).unwrap();
    yard.stand_in("ctr", "case \"$*\" in *import*) touch loaded ;; *) [ -e loaded ] && cat table; exit 0 ;; esac");
    yard.expect(0, &["images", "load", "--into", "containerd"]);
    let table = std::fs::read_to_string(yard.at("table")).unwrap().replace("complete (2/2)", "incomplete (1/2)");
    std::fs::write(yard.at("table"), table).unwrap();
    yard.expect(12, &["images", "verify", "--in", "containerd"]);
}

#[test]
fn a_damaged_archive_is_not_loaded() {
    let yard = Yard::new();
    let built = yard.build();
    yard.minikube(&built, config_id);
    let archive = yard.images().join("card-server.tar");
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
    yard.expect(12, &["images", "load", "server", "--into", "minikube"]);
    yard.expect(12, &["images", "verify"]);
    assert!(!std::fs::read_to_string(yard.at("said")).unwrap().contains("load"));
    yard.build();
    yard.expect(0, &["images", "load", "server", "--into", "minikube"]);
}
