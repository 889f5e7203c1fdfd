//! From nothing to nothing.

use card_kube::apply::{ApplyError, Outcome, Refusal};
use card_kube::diff::{DifferenceKind, diff};
use card_kube::down::Home;
use card_kube::prune;
use card_kube::secret::{self, Ensured, Values};
use serde_json::json;

use crate::place::{cluster, config, release, run, take, workload};

#[tokio::test]
async fn from_nothing_to_nothing() {
    let Some(cluster) = cluster("flow").await else { return };
    let generate = |missing: &[&str], _: &Values| {
        Values(missing.iter().map(|&key| (key.to_owned(), b"hunter2".to_vec())).collect())
    };
    let ensured = secret::ensure(&cluster, &release(), "card-secrets", &["key"], generate).await.unwrap();
    assert_eq!(ensured, Ensured::Created);
    let objects = [
        config("a", "1"),
        config("b", "1"),
        workload("Deployment", "server", 1),
        workload("StatefulSet", "postgres", 1),
    ];
    assert_eq!(run(&cluster, &objects).await.unwrap().count(Outcome::Created), 4);
    assert_eq!(run(&cluster, &objects).await.unwrap().count(Outcome::Unchanged), 4);
    assert_eq!(diff(&cluster, &objects).await.unwrap(), []);

    let wanted = [config("a", "2"), workload("Deployment", "server", 1), workload("StatefulSet", "postgres", 1)];
    let differences = diff(&cluster, &wanted).await.unwrap();
    let named: Vec<String> = differences.iter().map(|difference| difference.object.to_string()).collect();
    assert_eq!(named, ["configmap/a", "configmap/b"]);
    assert!(matches!(differences[1].kind, DifferenceKind::Removed));
    assert_eq!(run(&cluster, &wanted).await.unwrap().count(Outcome::Configured), 1);
    let stale = prune::preview(&cluster, &wanted).await.unwrap();
    let pruned = prune::prune(&cluster, &stale, &release(), &|_| {}).await.unwrap();
    assert_eq!(pruned.iter().map(ToString::to_string).collect::<Vec<_>>(), ["configmap/b"]);

    // The claim is made by the controller.
    let claims: kube::Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        kube::Api::namespaced(cluster.client().clone(), cluster.namespace());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while claims.get_opt("data-postgres-0").await.unwrap().is_none() {
        assert!(tokio::time::Instant::now() < deadline, "no claim");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    let down = take(&cluster, false).await.unwrap();
    let kept: Vec<String> = down.kept.iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["persistentvolumeclaim/data-postgres-0", "secret/card-secrets"]);
    assert_eq!(down.home, Home::HoldsKept);
    let again = take(&cluster, false).await.unwrap();
    assert!(again.deleted.is_empty());
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Deleted);
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Absent);
}

#[tokio::test]
async fn what_the_real_api_refuses_is_understood() {
    let Some(cluster) = cluster("refused").await else { return };
    run(&cluster, &[workload("Deployment", "server", 0), workload("StatefulSet", "postgres", 0)]).await.unwrap();
    let refusal = async |object| match run(&cluster, &[object]).await.unwrap_err() {
        ApplyError::Refused { mut refused, .. } => refused.remove(0).why,
        other => panic!("{other}"),
    };
    let mut misspelt = workload("Deployment", "server", 0);
    misspelt["spec"]["replica"] = json!(1);
    let why = refusal(misspelt).await;
    assert!(matches!(&why, Refusal::UnknownField { field, .. } if field == ".spec.replica"), "{why:?}");
    let mut selector = workload("Deployment", "server", 0);
    selector["spec"]["selector"]["matchLabels"]["app"] = json!("other");
    selector["spec"]["template"]["metadata"]["labels"]["app"] = json!("other");
    let why = refusal(selector).await;
    assert!(matches!(&why, Refusal::Immutable { fields, .. } if fields == &["spec.selector"]), "{why:?}");
    let mut bigger = workload("StatefulSet", "postgres", 0);
    bigger["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = json!("2Mi");
    let why = refusal(bigger).await;
    assert!(matches!(&why, Refusal::Immutable { .. }), "{why:?}");
    let mut invalid = workload("Deployment", "server", 0);
    invalid["spec"]["template"]["spec"]["containers"][0]["image"] = json!("");
    let why = refusal(invalid).await;
    assert!(matches!(&why, Refusal::Invalid { .. }), "{why:?}");
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Deleted);
}
