use super::*;
use crate::catalog::Linkage;
use crate::digest::Digest;

/// An image that nobody built.
pub(super) fn image() -> Image {
    Image {
        component: "server".into(),
        name: "card-server".into(),
        repository: crate::Repository::default(),
        platform: "linux/amd64".parse().unwrap(),
        manifest_digest: Digest::of(b"manifest"),
        manifest_size: 8,
        config_digest: Digest::of(b"config"),
        layer_digest: Digest::of(b"layer"),
        diff_id: Digest::of(b"tar"),
        size: 1,
        unpacked: 1,
        linkage: Linkage::Static,
        binary_digest: Digest::of(b"binary"),
        archive: "/nowhere/card-server.tar".into(),
        archive_digest: Digest::of(b"archive"),
        sbom: "/nowhere/card-server.cdx.json".into(),
        encoding: String::new(),
    }
}

#[test]
fn what_a_runtime_said_is_in_the_error() {
    let ended =
        Ended { well: true, how: "exit status: 0".into(), stdout: String::new(), stderr: "no space left".into() };
    let runtime = Runtime::Minikube { profile: Some("two".into()) };
    let error = not_loaded(&image(), &runtime, &ended, &Presence::Absent);
    assert!(error.message.contains("but does not have it"), "{error}");
    assert_eq!(error.evidence, ["no space left"]);
    assert_eq!(error.fix.as_deref(), Some("minikube -p two logs --problems, then try again"));
}
