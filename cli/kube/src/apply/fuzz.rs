//! Manifests that nobody meant, through what `apply` and `diff` do.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{autoscaler, cluster, config, deployment, release};
use super::{ApplyOptions, apply};
use crate::testing::{ApiServer, any_json, changed};

fn documents() -> Vec<Value> {
    let mut labelled = config("labelled", "1");
    labelled["metadata"]["labels"] = json!({"a": "b"});
    labelled["metadata"]["annotations"] = json!({"a": "b"});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
        "spec": {"group": "g", "names": {"kind": "K", "plural": "ks"}, "scope": "Namespaced"}});
    vec![labelled, deployment("server", Some(2)), autoscaler("server"), crd]
}

fn through(objects: &[Value]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = ApiServer::new();
        let cluster = cluster(&server).await;
        let _ = crate::diff::diff(&cluster, objects).await;
        for dry_run in [true, false] {
            let options = ApplyOptions { dry_run, ..ApplyOptions::default() };
            let _ = tokio::time::timeout(
                std::time::Duration::from_millis(500),
                apply(&cluster, objects, &release(), &options, &|_| {}),
            )
            .await;
        }
        let _ = crate::diff::diff(&cluster, objects).await;
        let _ = crate::prune::preview(&cluster, objects).await;
    });
}

#[test]
fn labels_that_are_a_list_are_named() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = ApiServer::new();
        let cluster = cluster(&server).await;
        for field in ["labels", "annotations"] {
            for value in [json!([]), json!("a"), json!({"a": 1}), json!(7)] {
                let mut object = config("a", "1");
                object["metadata"][field] = value;
                let error = super::tests::run(&cluster, &[object.clone()]).await.unwrap_err().to_string();
                let wanted = format!(
                    "object 0, configmap/a, can't be applied: metadata.{field} is not a mapping of text to text"
                );
                assert_eq!(error, wanted);
                assert_eq!(crate::diff::diff(&cluster, &[object]).await.unwrap_err().to_string(), wanted);
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_field_of_any_type_is_applied_or_refused(
        which in 0_usize..4,
        changes in proptest::collection::vec((any::<u64>(), any_json()), 1..4),
    ) {
        let mut objects = documents();
        objects[which] = changed(objects[which].clone(), &changes);
        through(&objects);
    }
}
