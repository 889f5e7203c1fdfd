//! Files that are odd, as we read them and as `kubectl` does: the same objects, or refused.
//!
//! Needs a kubectl. Without one there is nothing to compare with: in CI that is a failure, elsewhere it is said.

use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use serde_json::Value;

fn kubectl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|directory| directory.join("kubectl")).find(|program| program.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "there is no kubectl to compare with");
    found
}

/// What kubectl makes of a file, without a cluster; none if it refuses any of it. It marks what it saw.
fn theirs(kubectl: &PathBuf, file: &std::path::Path) -> Option<Vec<Value>> {
    let mut command = Command::new(kubectl);
    command.args(["annotate", "--local", "--overwrite", "-o", "json", "seen=1", "-f"]).arg(file);
    let output = command.env("KUBECONFIG", "/nowhere").output().unwrap();
    if !output.status.success() {
        return None;
    }
    let objects = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let mut objects: Vec<Value> = objects.collect::<Result<_, _>>().unwrap();
    for object in &mut objects {
        let metadata = object["metadata"].as_object_mut().unwrap();
        let annotations = metadata["annotations"].as_object_mut().unwrap();
        annotations.remove("seen");
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    Some(objects)
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

fn with(data: &str) -> Vec<u8> {
    format!("{CONFIG}data: {data}\n").into_bytes()
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
}

fn json(name: &str) -> String {
    format!("{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"{name}\"}}}}")
}

/// Each with whether we read it. What we refuse although kubectl takes it is what would be read in two ways, or dropped.
fn corpus() -> Vec<(&'static str, Vec<u8>, bool)> {
    let two = format!("{CONFIG}---\n{}", CONFIG.replace("name: a", "name: b"));
    let mut all = vec![
        ("usual", two.clone().into_bytes(), true),
        ("windows", two.replace('\n', "\r\n").into_bytes(), true),
        ("mark", format!("\u{feff}{two}").into_bytes(), true),
        ("a mark in the middle", two.replace("---\n", "---\n\u{feff}").into_bytes(), true),
        ("UTF-16", utf16(&two, u16::to_le_bytes), true),
        ("UTF-16 the other way", utf16(&two, u16::to_be_bytes), true),
        ("JSON in UTF-16", utf16(&json("a"), u16::to_le_bytes), true),
        ("JSON after JSON", format!("{}{}\n{}", json("a"), json("b"), json("c")).into_bytes(), true),
        ("JSON with spaces", format!(" \n\t{}\n\n{}", json("a"), json("b")).into_bytes(), true),
        ("JSON after YAML", format!("{CONFIG}---\n{}", json("b")).into_bytes(), true),
        ("a comment at the mark", two.replace("---\n", "--- # b\n").into_bytes(), true),
        ("spaces at the mark", two.replace("---\n", "---   \n").into_bytes(), true),
        ("a longer mark", two.replace("---\n", "----\n").into_bytes(), false),
        ("an object at the mark", format!("--- {}\n---\n{CONFIG}", json("b")).into_bytes(), true),
        ("dots and a mark", two.replace("---\n", "...\n---\n").into_bytes(), true),
        ("dots alone", two.replace("---\n", "...\n").into_bytes(), false),
        ("no UTF-8", [CONFIG.as_bytes(), b"data: {a: \"\xe9\"}\n"].concat(), false),
        ("a zero", [CONFIG.as_bytes(), b"data: {a: \"x\0y\"}\n"].concat(), false),
        (
            "a list",
            format!("apiVersion: v1\nkind: List\nitems:\n- {}\n- {}\n", json("a"), json("b")).into_bytes(),
            true,
        ),
        ("a list of a kind", b"apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n".to_vec(), true),
        (
            "a list of anything without kinds",
            b"apiVersion: v1\nkind: List\nitems:\n- metadata: {name: a}\n".to_vec(),
            false,
        ),
        ("a list of numbers", b"apiVersion: v1\nkind: List\nitems: [1]\n".to_vec(), false),
        ("a list of a mapping", b"apiVersion: v1\nkind: List\nitems: {a: b}\n".to_vec(), false),
        ("twice the same key", with("{a: x, a: y}"), false),
        ("a tab", format!("{CONFIG}data:\n\ta: b\n").into_bytes(), false),
        ("a tab between", format!("{CONFIG}data:\t{{a: b}}\n").into_bytes(), true),
        ("an alias", format!("{CONFIG}x: &x {{p: q}}\ndata: *x\n").into_bytes(), true),
        ("a merge", format!("{CONFIG}x: &x {{p: q}}\ndata: {{<<: *x, r: s}}\n").into_bytes(), true),
        ("a merge afterwards", format!("{CONFIG}x: &x {{p: q}}\ndata: {{p: t, <<: *x}}\n").into_bytes(), false),
    ];
    for (data, read) in [
        ("{y: x}", false),
        ("{0755: x}", false),
        ("{1_0: x}", false),
        ("{~: x}", false),
        ("{1: x}", true),
        ("{1.5: x}", true),
        ("{a: no}", false),
        ("{a: 0755}", false),
        ("{a: 0o17}", true),
        ("{a: 0x1F}", true),
        ("{a: 0b1}", false),
        ("{a: 1_000}", false),
        ("{a: .inf}", false),
        ("{a: 1e3, b: 1.0, c: 0.5, d: -0, e: +1, f: 12:30, g: 2020-01-01}", true),
        ("{a: ~, b: null, c: '', d: !!str no, e: !!binary aGk=, f: ! 12, g: !foo bar}", true),
        ("{a: !!int x}", false),
        ("{? [a] : b}", false),
        ("{a: \"\\x41\\u0042\"}", true),
        ("\n  a: |+\n    x\n\n  b: >-\n    p\n    q\n  c: |2\n      x", true),
        ("\n  \"y\": 'no'\n  '0755': \"0755\"", true),
    ] {
        all.push((data, with(data), read));
    }
    all
}

#[test]
fn what_we_read_is_what_kubectl_reads() {
    let Some(kubectl) = kubectl() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut differences = Vec::new();
    for (name, bytes, is_read) in corpus() {
        let file = directory.path().join("x.yaml");
        std::fs::write(&file, bytes).unwrap();
        let ours = card_manifests::load(&file);
        if ours.is_ok() != is_read {
            differences.push(format!("{name}: {ours:?}"));
        }
        let Ok(ours) = ours else { continue };
        let theirs = theirs(&kubectl, &file);
        // It refuses what is on the line of a mark, which nobody else does.
        if theirs.is_none() && name == "an object at the mark" {
            continue;
        }
        if theirs.as_ref() != Some(&ours) {
            differences.push(format!("{name}: we {ours:?}, kubectl {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{0,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            pointers(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| pointers(value, format!("{at}/{index}"), found));
        }
        _ => {}
    }
    found.push(at);
}

/// What we render ourselves, all kinds of it.
fn rendered() -> Vec<Value> {
    let mut values = card_manifests::Values::new(card_manifests::Overlay::Medium);
    for name in ["card-server", "card-worker"] {
        values.images.insert(name.to_owned(), format!("cardctl/{name}:sha-000000000000"));
    }
    values.ingress = Some(card_manifests::Ingress { host: "cards.example.com".to_owned(), tls: true, class: None });
    card_manifests::render(&values).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_field_of_any_type_is_looked_at_without_a_panic(
        which in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
        value in any_json(),
    ) {
        let mut objects = rendered();
        let object = which.get_mut(&mut objects);
        let mut places = Vec::new();
        pointers(object, String::new(), &mut places);
        let place: &String = at.get(&places[..]);
        *object.pointer_mut(place).unwrap() = value;
        let _ = card_manifests::validate(&objects);
        let _ = card_manifests::unpinned(&objects);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("all.yaml"), card_manifests::to_yaml(&objects)).unwrap();
        let _ = card_manifests::load(directory.path());
        let more = "namespace: mine\nresources: [all.yaml]\nlabels: [{pairs: {a: b}, includeTemplates: true}]\n\
                    images: [{name: card-server, newTag: x}]\nconfigMapGenerator: [{name: g, literals: [a=b]}]\n";
        std::fs::write(directory.path().join("kustomization.yaml"), more).unwrap();
        if let Ok(mut built) = card_manifests::load(directory.path()) {
            card_manifests::in_apply_order(&mut built);
            let _ = card_manifests::validate(&built);
        }
    }

    #[test]
    fn any_bytes_in_it_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..12),
        at in any::<proptest::sample::Index>(),
    ) {
        let mut text = card_manifests::to_yaml(&rendered()).into_bytes();
        text.truncate(4000);
        let at = at.index(text.len());
        text.splice(at..(at + bytes.len() / 2).min(text.len()), bytes);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.yaml");
        std::fs::write(&file, text).unwrap();
        if let Ok(objects) = card_manifests::load(&file) {
            let _ = card_manifests::validate(&objects);
        }
    }
}
