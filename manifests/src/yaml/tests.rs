use proptest::prelude::*;
use serde_json::json;

use super::*;

fn texts(text: &str) -> Vec<(usize, Value)> {
    documents(text).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn documents_are_told_apart_and_know_their_lines() {
    let text = "# a\na: 1\n---\n\n# nothing\n---\n# b\n\nb: 2\n...\n---\nc: |\n  ---\n  x\n";
    assert_eq!(texts(text), [(2, json!({"a": 1})), (9, json!({"b": 2})), (12, json!({"c": "---\nx\n"}))]);
    assert_eq!(texts(""), []);
    assert_eq!(texts("---\n---\n"), []);
}

#[test]
fn what_two_versions_of_yaml_read_differently_is_refused_with_its_line() {
    for (text, line) in [
        ("a: 1\nb: no\n", 2),
        ("a:\n  - yes\n", 2),
        ("on: 1\n", 1),
        ("mode: 0440 # octal\n", 1),
        ("x: 1\n---\na: 1\nb: Off\n", 4),
        ("a: {b: 1,\n  y: 2}\n", 2),
        ("0755: x\n", 1),
        ("a: 1_000\n", 1),
        ("a: [{no: 1}]\n", 1),
    ] {
        let error = documents(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error:?}");
        assert!(error.message.contains("YAML 1.1"), "{error:?}");
    }
    for text in ["a: \"no\"\n", "a: |\n  no\n", "a: 'off'\n", "a: note\n", "a: 0\n", "# no\n", "a: 0.5\n", "'y': 1\n"] {
        assert!(documents(text).is_ok(), "{text}");
    }
}

#[test]
fn a_mistake_is_named_with_its_line_in_the_whole_text() {
    let error = documents("a: 1\n---\nb: 1\nb: 2\n").unwrap_err();
    assert_eq!(error.line, 4, "{error:?}");
    assert!(error.message.contains("duplicate"), "{error:?}");
    assert_eq!(documents("a: [1\n").unwrap_err().line, 1);
}

#[test]
fn objects_are_written_with_what_they_are_first() {
    let object = json!({"spec": {"b": [1, {"name": "x", "a": []}, [true]], "empty": {}, "text": "a\n b\n"},
        "kind": "K", "metadata": {"labels": {"on": "no"}, "name": "m"}, "apiVersion": "v1"});
    assert_eq!(
        to_yaml(&[object, json!({"a": null})]),
        "apiVersion: v1\nkind: K\nmetadata:\n  name: m\n  labels:\n    \"on\": \"no\"\nspec:\n  b:\n    - 1\n    - name: x\n      a: []\n    - - true\n  empty: {}\n  text: |\n    a\n     b\n---\na: null\n"
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "[a-z0-9:. #'\"-]{0,12}",
        "[ -~\n\t]{0,20}",
        "(yes|No|~|null|1e3|0x1|0o7|1_0|=|<<|\\.inf|12:30)"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_as_it_was(value in any_value()) {
        let object = json!({"value": value});
        let text = to_yaml(std::slice::from_ref(&object));
        let read = documents(&text);
        prop_assert!(read.is_ok(), "{:?}\n{}", read, text);
        prop_assert_eq!(&read.unwrap()[0].1, &object, "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|\n){0,200}") {
        let _ = documents(&text);
    }
}
