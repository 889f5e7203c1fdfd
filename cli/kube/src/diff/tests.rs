//! Against the API in memory.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::apply::tests::{autoscaler, cluster, config, deployment, run};
use crate::testing::ApiServer;

fn named(differences: &[Difference]) -> Vec<(String, &'static str)> {
    let kind = |difference: &Difference| match difference.kind {
        DifferenceKind::Added => "added",
        DifferenceKind::Removed => "removed",
        DifferenceKind::Changed(_) => "changed",
    };
    differences.iter().map(|difference| (difference.object.to_string(), kind(difference))).collect()
}

#[tokio::test]
async fn nothing_differs_after_an_apply_and_everything_before_it() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let objects = [config("a", "1"), deployment("server", Some(2))];
    let before = diff(&cluster, &objects).await.unwrap();
    assert_eq!(named(&before), [("configmap/a".to_owned(), "added"), ("deployment/server".to_owned(), "added")]);
    run(&cluster, &objects).await.unwrap();
    assert_eq!(diff(&cluster, &objects).await.unwrap(), []);
}

#[tokio::test]
async fn a_difference_has_its_field_and_both_values() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[deployment("server", Some(2)), config("gone", "1")]).await.unwrap();
    let mut wanted = deployment("server", Some(2));
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("cardctl/x:2");
    let differences = diff(&cluster, &[wanted, config("new", "1")]).await.unwrap();
    let expected = [("configmap/new", "added"), ("deployment/server", "changed"), ("configmap/gone", "removed")];
    assert_eq!(named(&differences), expected.map(|(name, kind)| (name.to_owned(), kind)));
    let DifferenceKind::Changed(changes) = &differences[1].kind else { panic!() };
    let image = FieldChange {
        field: r#".spec.template.spec.containers[name="server"].image"#.to_owned(),
        live: Some(json!("cardctl/x:1")),
        wanted: Some(json!("cardctl/x:2")),
    };
    assert_eq!(changes, &[image]);
}

#[tokio::test]
async fn a_conflict_is_a_difference_that_says_so_and_replicas_of_an_autoscaler_are_none() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[config("a", "1"), deployment("server", Some(2))]).await.unwrap();
    server.edit(("ConfigMap", Some("cards"), "a"), "somebody", "", |object| object["data"]["key"] = json!("theirs"));
    server.put(autoscaler("server"));
    server.edit(("Deployment", Some("cards"), "server"), "kube-controller-manager", "scale", |object| {
        object["spec"]["replicas"] = json!(6);
    });
    let differences = diff(&cluster, &[config("a", "1"), deployment("server", Some(2))]).await.unwrap();
    assert_eq!(named(&differences), [("configmap/a".to_owned(), "changed")]);
    assert_eq!(differences[0].conflicts[0].manager, "somebody");
    assert!(server.seen().iter().filter(|seen| seen.parameter("force").is_some()).all(|seen| !seen.writes()));
}

#[tokio::test]
async fn what_a_secret_holds_is_never_shown() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let secret =
        |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": value}});
    run(&cluster, &[secret("aHVudGVyMg==")]).await.unwrap();
    server.edit(("Secret", Some("cards"), "s"), "somebody", "", |object| object["data"]["key"] = json!("aHVudGVyMw=="));
    let differences = diff(&cluster, &[secret("aHVudGVyNA==")]).await.unwrap();
    let shown = format!("{differences:?}");
    assert!(shown.contains(".data.key") && shown.contains("(hidden)"), "{shown}");
    assert!(!shown.contains("aHVudGVy"), "{shown}");
    let refused = run(&cluster, &[secret("aHVudGVyNA==")]).await.unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("aHVudGVy"));
}

proptest! {
    #[test]
    fn equal_objects_do_not_differ_and_others_do(a in any_json(), b in any_json()) {
        let object = |spec: &Value| json!({"kind": "Any", "metadata": {"name": "x"}, "spec": spec});
        prop_assert_eq!(compare(&object(&a), &object(&a)), vec![]);
        prop_assert_eq!(compare(&object(&a), &object(&b)).is_empty(), a == b);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("(name|a|b)", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
