use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// Files of a test.
struct Some(BTreeMap<&'static str, String>);

impl Files for Some {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name).map(|text| Cow::Borrowed(text.as_str()))
    }
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n        - name: a\n          image: card-server\n          args: [x, w]\n          env:\n            - {name: A, value: \"1\"}\n        - name: b\n          image: r.example:5000/other:1\n";

fn built(kustomization: &str) -> Result<Vec<Value>, String> {
    let files = Some(BTreeMap::from([
        ("top/kustomization.yaml", kustomization.to_owned()),
        ("top/d.yaml", DEPLOYMENT.to_owned()),
        ("top/bad.yaml", "kind: ConfigMap\nmetadata:\n  name: x\n---\nkind: Widget\nmetadata: {name: w}\n".to_owned()),
        ("top/file.txt", "a\n".to_owned()),
        ("plain/kustomization.yaml", "resources: []\n".to_owned()),
    ]));
    build(&files, "top").map_err(|error| error.to_string())
}

fn patched(patch: &str) -> Result<Value, String> {
    let patch: String = patch.lines().map(|line| format!("      {line}\n")).collect();
    let head = "      apiVersion: apps/v1\n      kind: Deployment\n      metadata: {name: d}\n";
    built(&format!("resources: [d.yaml]\npatches:\n  - patch: |\n{head}{patch}")).map(|mut objects| objects.remove(0))
}

#[test]
fn what_is_not_supported_is_an_error_and_never_ignored() {
    for (kustomization, reason) in [
        ("namePrefix: x-\n", "top/kustomization.yaml:1: unknown field"),
        ("resources: [d.yaml]\npatches:\n  - path: p.yaml\n", "top/kustomization.yaml:3: unknown field"),
        ("patchesStrategicMerge: []\n", "unknown field"),
        ("labels:\n  - pairs: {a: b}\n    includeSelectors: true\n", "top/kustomization.yaml:3: unknown field"),
        ("images:\n  - name: x\n    tagSuffix: z\n", "unknown field"),
        ("configMapGenerator:\n  - name: c\n    behavior: replace\n", "unknown variant"),
        ("kind: Other\n", "top/kustomization.yaml: kind Other is not supported"),
        ("apiVersion: v1\n", "apiVersion v1 is not supported"),
        ("components: [../plain]\n", "../plain is not a Component"),
        ("resources: [nothing.yaml]\n", "top/kustomization.yaml: there is no top/nothing.yaml"),
        ("resources: [../../etc]\n", "../../etc leads out of the manifests"),
        ("resources: [bad.yaml]\n", "top/bad.yaml:5: kind Widget is not known here"),
        ("resources: [d.yaml, d.yaml]\n", "top/d.yaml:1: deployment/d is given twice"),
        ("configMapGenerator:\n  - name: c\n    literals: [\"A='b'\"]\n", "quotes around a value are not supported"),
        ("configMapGenerator:\n  - name: c\n    literals: [A]\n", "A is not KEY=value"),
        ("configMapGenerator:\n  - name: c\n    behavior: merge\n", "there is no configmap/c to merge with"),
        ("configMapGenerator:\n  - name: c\n    files: [none.txt]\n", "there is no none.txt"),
        ("a: [\n", "top/kustomization.yaml:1: "),
    ] {
        let error = built(kustomization).unwrap_err();
        assert!(error.contains(reason), "{kustomization}: {error}");
    }
    let gone = build(&Some(BTreeMap::new()), "top").unwrap_err().to_string();
    assert_eq!(gone, "top: there is no top/kustomization.yaml");
}

#[test]
fn a_patch_merges_maps_and_known_lists_and_removes_with_null() {
    let object = patched(
        "spec:\n  replicas: null\n  paused: null\n  template:\n    spec:\n      containers:\n        - name: a\n          args: [z]\n          \
         env:\n            - {name: B, value: \"2\"}\n            - {name: A, value: \"3\"}\n        - name: b\n          $patch: delete\n        \
         - name: c\n          image: i\n          x: null\n",
    )
    .unwrap();
    assert_eq!(
        object["spec"],
        json!({"template": {"spec": {"containers": [
            {"name": "a", "image": "card-server", "args": ["z"], "env": [
                {"name": "B", "value": "2"}, {"name": "A", "value": "3"}]},
            {"name": "c", "image": "i"},
        ]}}})
    );
}

#[test]
fn a_patch_that_could_mean_two_things_is_refused() {
    for (patch, reason) in [
        ("spec:\n  unheard: [{a: 1}]\n  template:\n    spec:\n      containers:\n        - image: x\n", "has no name"),
        ("spec:\n  $retainKeys: [a]\n", "$retainKeys is not supported"),
        (
            "spec:\n  template:\n    spec:\n      containers:\n        - name: new\n          $patch: replace\n",
            "$patch is not supported",
        ),
    ] {
        let error = patched(patch).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let stranger =
        "patches:\n  - patch: |\n      apiVersion: apps/v1\n      kind: Deployment\n      metadata: {name: x}\n";
    assert!(built(stranger).unwrap_err().contains("there is no deployment/x for a patch"));
    let group = "resources: [d.yaml]\npatches:\n  - patch: |\n      apiVersion: v1\n      kind: Deployment\n      metadata: {name: d}\n";
    assert!(built(group).unwrap_err().contains("there is no deployment/d"), "another group is another kind");
}

#[test]
fn images_are_changed_by_name_whatever_they_were_tagged() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let objects = built(&format!(
        "resources: [d.yaml]\nimages:\n  - {{name: card-server, newName: a/b, newTag: \"1\", digest: \"{digest}\"}}\n  \
         - {{name: \"r.example:5000/other\", newTag: \"2\"}}\n  - {{name: card, newTag: \"3\"}}\n"
    ))
    .unwrap();
    let images: Vec<_> = images(&mut objects[0].clone()).into_iter().map(|image| image.clone()).collect();
    assert_eq!(images, [format!("a/b:1@{digest}"), "r.example:5000/other:2".to_owned()]);
}

#[test]
fn a_change_of_a_config_map_is_another_name() {
    let name = |literals: &str| {
        let objects =
            built(&format!("configMapGenerator:\n  - {{name: c, literals: [{literals}], files: [file.txt]}}\n"))
                .unwrap();
        assert_eq!(objects[0]["data"]["file.txt"], "a\n");
        objects[0]["metadata"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name("A=1"), name("A=1"));
    assert_ne!(name("A=1"), name("A=2"));
    assert_eq!(name("A=1").len(), "c-".len() + 10);
}
