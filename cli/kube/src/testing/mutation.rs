//! Documents with single places changed, for tests that throw anything at what reads them.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Any value, small; often one that is nearly right.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,8}".prop_map(Value::from),
        "(|-|/|a/b|127\\.0\\.0\\.1:1|https://|http://\\[::1\\]|\u{0}|\n|é|x{300})".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z.]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Each change puts a value at one of the places that there are, by its number.
pub(crate) fn changed(mut document: Value, changes: &[(u64, Value)]) -> Value {
    for (number, value) in changes {
        let mut places = Vec::new();
        pointers(&document, String::new(), &mut places);
        let place = usize::try_from(*number).unwrap_or(usize::MAX) % places.len();
        if let Some(there) = document.pointer_mut(&places[place]) {
            *there = value.clone();
        }
    }
    document
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
