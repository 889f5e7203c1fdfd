//! Fields as the API names them: `.spec.template.spec.containers[name="server"].image`.

use serde_json::Value;

/// The value of a field of an object; None if it is not there, or the text is no path.
///
/// Names are written without quotes, whatever is in them (`.metadata.annotations.example.com/a.b`), so that a path means
/// something only together with an object: the longest name that fits is the one that is meant.
pub(crate) fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(object);
    }
    if let Some(rest) = path.strip_prefix('.') {
        let map = object.as_object()?;
        let fits = |name: &&String| {
            rest.strip_prefix(name.as_str()).is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
        };
        let mut names: Vec<&String> = map.keys().filter(fits).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        return names.into_iter().find_map(|name| find(&map[name], &rest[name.len()..]));
    }
    let (selector, rest) = bracket(path)?;
    let entries = object.as_array()?;
    if let Ok(index) = selector.parse::<usize>() {
        return find(entries.get(index)?, rest);
    }
    let wanted = keys(selector)?;
    let entry = entries.iter().find(|entry| {
        wanted.iter().all(|(key, value)| match key.as_str() {
            // A set: the entry itself.
            "" => *entry == value,
            // The one key that has a default.
            "protocol" if entry.get(key).is_none() => value == "TCP",
            _ => entry.get(key) == Some(value),
        })
    });
    find(entry?, rest)
}

/// `[name="a]b"].c` → `name="a]b"` and `.c`.
fn bracket(path: &str) -> Option<(&str, &str)> {
    let inside = path.strip_prefix('[')?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
    }
    None
}

/// `containerPort=80,protocol="TCP"`.
fn keys(selector: &str) -> Option<Vec<(String, Value)>> {
    let mut pairs = Vec::new();
    let mut rest = selector;
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=')?;
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<Value>();
        let parsed = values.next()?.ok()?;
        pairs.push((key.to_owned(), parsed));
        let after = &value[values.byte_offset()..];
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None if after.is_empty() => "",
            None => return None,
        };
    }
    (!pairs.is_empty()).then_some(pairs)
}

/// Whether a manager owns a field by server-side apply, by the metadata of the object; and whether somebody else does too.
/// The field is given as `managedFields` write it, `["f:spec", "f:replicas"]`.
pub(crate) fn owned(metadata: &Value, manager: &str, field: &[&str]) -> (bool, bool) {
    let (mut ours, mut others) = (false, false);
    for entry in metadata["managedFields"].as_array().into_iter().flatten() {
        let has = field.iter().try_fold(&entry["fieldsV1"], |fields, step| fields.get(step)).is_some();
        if has && entry["manager"] == manager && entry["operation"] == "Apply" {
            ours = true;
        } else if has {
            others = true;
        }
    }
    (ours, others)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_of_the_api_finds_its_value() {
        let object = json!({"metadata": {"annotations": {"a.b/c": "1", "a": "2"}}, "spec": {"containers": [
            {"name": "x", "image": "one"}, {"name": "a]b", "image": "two", "ports": [{"containerPort": 80}]}],
            "finalizers": ["f"], "rows": [7]}});
        let image = |path: &str| find(&object, path).cloned();
        assert_eq!(image(".metadata.annotations.a.b/c"), Some(json!("1")));
        assert_eq!(image(".metadata.annotations.a"), Some(json!("2")));
        assert_eq!(image(r#".spec.containers[name="x"].image"#), Some(json!("one")));
        assert_eq!(image(r#".spec.containers[name="a]b"].image"#), Some(json!("two")));
        let port = r#".spec.containers[name="a]b"].ports[containerPort=80,protocol="TCP"].containerPort"#;
        assert_eq!(image(port), Some(json!(80)));
        assert_eq!(image(r#".spec.finalizers[="f"]"#), Some(json!("f")));
        assert_eq!(image(".spec.rows[0]"), Some(json!(7)));
        assert_eq!(image(r#".spec.containers[name="y"].image"#), None);
        assert_eq!(image(".spec.none"), None);
    }

    #[test]
    fn an_owner_by_update_is_another_than_one_by_apply() {
        let entry = |manager: &str, operation: &str| json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}});
        let field = ["f:spec", "f:replicas"];
        let of = |entries: Value| owned(&json!({"managedFields": entries}), "cardctl", &field);
        assert_eq!(of(json!([entry("cardctl", "Apply")])), (true, false));
        assert_eq!(of(json!([entry("cardctl", "Update")])), (false, true));
        assert_eq!(of(json!([entry("cardctl", "Apply"), entry("kube-controller-manager", "Update")])), (true, true));
        assert_eq!(of(json!([])), (false, false));
        assert_eq!(of(json!({"no": "list"})), (false, false));
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_none(path in r#"[.\[\]="\\a-zé0-9,:]{0,40}"#) {
            let object = json!({"a": [{"a": "b"}, "é"], "é": {"a": 1}});
            let _ = find(&object, &path);
        }

        #[test]
        fn a_name_with_anything_in_it_is_found(name in r#"[^\\"]{1,12}"#, key in "[a-z.\\[/]{1,9}") {
            let object = json!({&key: [{"name": &name, "x": 1}]});
            let path = format!(".{key}[name={}].x", json!(name));
            prop_assert_eq!(find(&object, &path), Some(&json!(1)));
        }
    }
}
