//! What we make of the manifests is what `kubectl kustomize` makes of them, and what we write is what it reads.
//!
//! Needs a kubectl of 1.27 or newer. Without one there is nothing to compare with: in CI that is a failure, elsewhere it is
//! said.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use card_manifests::{
    Bounds, Embedded, Files, NodePort, Overlay, Provision, Scale, Values, build, in_apply_order, render, to_yaml,
    validate,
};
use serde_json::Value;

const DIGEST: &str = "sha256:3333333333333333333333333333333333333333333333333333333333333333";

/// The manifests in a directory, for kubectl and for us.
struct Place(tempfile::TempDir);

impl Files for Place {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        fs::read_to_string(self.0.path().join(name)).ok().map(Cow::Owned)
    }
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in Embedded::all() {
            place.write(name, text);
        }
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What kubectl makes of a directory.
    fn kustomized(&self, directory: &str) -> Vec<Value> {
        let output =
            Command::new(kubectl().unwrap()).arg("kustomize").arg(self.path().join(directory)).output().unwrap();
        assert!(output.status.success(), "{directory}: {}", String::from_utf8_lossy(&output.stderr));
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap();
        in_apply_order(&mut objects);
        objects
    }
}

fn kubectl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|directory| directory.join("kubectl")).find(|program| program.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "there is no kubectl to compare with");
    found
}

/// Object by object, so that a difference can be read.
fn assert_same(ours: &[Value], theirs: &[Value], what: &str) {
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    let names = |objects: &[Value]| objects.iter().map(name).collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{what}");
    for (our, their) in ours.iter().zip(theirs) {
        assert_eq!(our, their, "{what}: {}", name(our));
    }
}

#[test]
fn every_overlay_is_what_kubectl_makes_of_it() {
    if kubectl().is_none() {
        return;
    }
    let place = Place::new();
    for overlay in Overlay::ALL {
        let directory = format!("overlays/{overlay}");
        let ours = build(&place, &directory).unwrap();
        assert!(ours.len() > 15);
        assert_same(&ours, &place.kustomized(&directory), &directory);
        assert_same(&build(&Embedded, &directory).unwrap(), &ours, "what is compiled in");
    }
}

#[test]
fn an_overlay_of_ones_own_is_what_kubectl_makes_of_it() {
    if kubectl().is_none() {
        return;
    }
    let place = Place::new();
    let all =
        ["external-postgres", "external-redis", "prometheus", "ingress", "node-port", "server-hpa", "worker-keda"];
    for (overlay, components) in [
        ("small", &all[2..]),
        ("medium", &["worker-keda", "ingress"][..]),
        ("small", &["worker-keda", "worker-purchase"]),
        ("small", &["server-keda"]),
        ("large", &["worker-hpa"]),
        ("../base", &all),
        ("minikube", &["front-card-replacer", "front-shop", "front-shop-management"]),
        ("ha", &["front-buy-list", "front-buy-list-management"]),
    ] {
        let list: String = components.iter().map(|name| format!("  - ../../components/{name}\n")).collect();
        let mine = format!(
            "namespace: other\nresources:\n  - ../{overlay}\ncomponents:\n{list}labels:\n  - includeTemplates: true\n    pairs: \
             {{team: cards}}\nimages:\n  - name: card-server\n    newName: r.example:5000/cards/card-server\n    digest: {DIGEST}\n  \
             - name: card-worker\n    newTag: \"1.2\"\nconfigMapGenerator:\n  - name: card-settings\n    behavior: merge\n    \
             literals:\n      - CARDCTL_WORKER_CONCURRENCY=32\n      - CARDCTL_LOG_LEVEL=info,a=<b>&\"c\"\npatches:\n  - patch: |\n      \
             apiVersion: apps/v1\n      kind: Deployment\n      metadata:\n        name: worker\n      spec:\n        template:\n          \
             spec:\n            priorityClassName: low\n            containers:\n              - name: worker\n                \
             env:\n                  - name: NEW\n                    value: \"1\"\n                volumeMounts:\n                  \
             - name: secrets\n                    mountPath: /run/secrets/card\n                    readOnly: null\n"
        );
        place.write("overlays/mine/kustomization.yaml", &mine);
        let ours = build(&place, "overlays/mine").unwrap();
        assert_same(&ours, &place.kustomized("overlays/mine"), &format!("{overlay} with {components:?}"));
        let wrong: Vec<_> = validate(&ours).into_iter().filter(|finding| finding.rule != "pinned-image").collect();
        assert!(wrong.is_empty(), "{overlay} with {components:?}: {wrong:#?}");
    }
}

#[test]
fn values_are_what_a_kustomization_would_say() {
    if kubectl().is_none() {
        return;
    }
    let place = Place::new();
    place.write(
        "overlays/mine/kustomization.yaml",
        &format!(
            "namespace: two\nresources:\n  - ../medium\ncomponents:\n  - ../../components/worker-hpa\n  - ../../components/node-port\n\
             labels:\n  - includeTemplates: true\n    pairs:\n      app.kubernetes.io/instance: second\n      \
             app.kubernetes.io/part-of: cardctl\n      app.kubernetes.io/managed-by: cardctl\nimages:\n  - name: card-server\n    \
             newName: a/card-server\n    digest: {DIGEST}\n  - name: card-worker\n    newName: a/card-worker\n    newTag: \"7\"\n\
             configMapGenerator:\n  - name: card-settings\n    behavior: merge\n    literals:\n      - CARDCTL_LOG_LEVEL=debug\n\
             patches:\n  - patch: |\n      apiVersion: autoscaling/v2\n      kind: HorizontalPodAutoscaler\n      metadata:\n        \
             name: worker\n      spec:\n        minReplicas: 2\n        maxReplicas: 5\n"
        ),
    );
    let mut values = Values::new(Overlay::Medium);
    (values.namespace, values.instance) = ("two".into(), "second".into());
    values.workers = Some(Scale::Cpu(Bounds { min: 2, max: 5 }));
    values.node_port = Some(NodePort::Any);
    values.database = Some(Provision::Bundled);
    values.images = [("card-server", format!("a/card-server@{DIGEST}")), ("card-worker", "a/card-worker:7".to_owned())]
        .map(|(name, image)| (name.to_owned(), image))
        .into();
    values.settings.insert("log.level".into(), "debug".into());
    assert_same(&render(&values).unwrap(), &place.kustomized("overlays/mine"), "values");
}

#[test]
fn what_we_write_is_what_kubectl_reads() {
    if kubectl().is_none() {
        return;
    }
    let place = Place::new();
    for overlay in Overlay::ALL {
        let objects = build(&Embedded, &format!("overlays/{overlay}")).unwrap();
        place.write("written/objects.yaml", &to_yaml(&objects));
        place.write("written/kustomization.yaml", "resources:\n  - objects.yaml\n");
        assert_same(&objects, &place.kustomized("written"), overlay.name());
    }
}
