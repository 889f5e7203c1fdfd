//! The namespace, at the end.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::DownError;
use crate::ObjectRef;
use crate::cluster::{Call, Cluster, ClusterError, Kind, Kinds};
use crate::inventory::Release;
use crate::namespace::{self, Origin};
use crate::remove::{self, Held, OnRemoval, Removal};

/// What became of the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// There was none.
    Absent,
    /// We had made it, and it is gone.
    Deleted,
    /// It was there before us, and stays.
    Found,
    /// We made it; it stays with what was kept.
    HoldsKept,
    /// We made it; it stays because of these, which are others'.
    InUse(Vec<ObjectRef>),
}

pub(super) async fn leave(
    cluster: &Cluster,
    release: &Release,
    kinds: &Kinds,
    kept: &[ObjectRef],
    deadline: Instant,
    event: OnRemoval<'_>,
) -> Result<Home, DownError> {
    let Some(found) = namespace::find(cluster).await? else { return Ok(Home::Absent) };
    let name = cluster.namespace();
    if namespace::origin(&found, cluster.owner()) == Origin::Found {
        release_fields(cluster, &found).await?;
        return Ok(Home::Found);
    }
    if kept.iter().any(|kept| kept.namespace.as_deref() == Some(name)) {
        return Ok(Home::HoldsKept);
    }
    if found["metadata"]["annotations"][cluster.owner().made_by()] != release.instance.as_str() {
        return Ok(Home::Found);
    }
    let others = others(cluster, kinds).await?;
    if !others.is_empty() {
        return Ok(Home::InUse(others));
    }
    let uid = found["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let kind = Kind::namespaces();
    let object = ObjectRef {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: name.to_owned(),
    };
    event(&Removal::Deleting(object.clone()));
    match cluster.write(Call::delete(&kind, None, name, &uid, "Background")).await {
        Ok(_) => {}
        Err(error) if error.is_not_found() || error.is_conflict() => return Ok(Home::Deleted),
        Err(error) => return Err(error.into()),
    }
    let began = Instant::now();
    loop {
        let live = namespace::find(cluster).await?.filter(|live| live["metadata"]["uid"] == uid.as_str());
        let Some(live) = live else {
            event(&Removal::Gone(object));
            return Ok(Home::Deleted);
        };
        if Instant::now() >= deadline {
            let held = Held { object, finalizers: holders(&live) };
            return Err(DownError::StillThere { held: vec![held], after: began.elapsed() });
        }
        tokio::time::sleep(remove::POLL).await;
    }
}

/// What the namespace's own status says of why it does not end.
fn holders(namespace: &Value) -> Vec<String> {
    let conditions = namespace["status"]["conditions"].as_array().into_iter().flatten();
    let held = conditions.filter(|condition| condition["status"] == "True");
    held.filter_map(|condition| condition["message"].as_str()).map(ToOwned::to_owned).collect()
}

/// What we applied to a namespace that was there before goes again.
async fn release_fields(cluster: &Cluster, found: &Value) -> Result<(), ClusterError> {
    let managers = found["metadata"]["managedFields"].as_array().into_iter().flatten();
    let manager = cluster.owner().manager();
    let ours = managers.filter(|entry| entry["manager"] == *manager && entry["operation"] == "Apply").count();
    if ours == 0 {
        return Ok(());
    }
    let name = cluster.namespace();
    let nothing =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": found["metadata"]["uid"]}});
    cluster.write(Call::apply(&Kind::namespaces(), None, name, &nothing, manager)).await.map(|_| ())
}

/// Everything in the namespace that somebody put there. What a controller made for something else goes with that, and
/// what each namespace is born with is nobody's.
async fn others(cluster: &Cluster, kinds: &Kinds) -> Result<Vec<ObjectRef>, ClusterError> {
    let namespaced: Vec<Kind> = kinds.deletable().filter(|kind| kind.namespaced).cloned().collect();
    let lists = stream::iter(namespaced).map(|kind| async move {
        let items = match cluster.list(Call::list(&kind, Some(cluster.namespace())).only_metadata()).await {
            Err(ClusterError::Refused { code: 404 | 405, .. }) => Vec::new(),
            items => items?,
        };
        Ok::<_, ClusterError>(items.into_iter().filter_map(move |item| foreign(&kind, &item)).collect::<Vec<_>>())
    });
    let lists: Vec<Vec<ObjectRef>> = lists.buffered(8).try_collect().await?;
    Ok(lists.into_iter().flatten().collect())
}

fn foreign(kind: &Kind, item: &Value) -> Option<ObjectRef> {
    let metadata = &item["metadata"];
    let name = metadata["name"].as_str()?;
    let owned = metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty());
    let ending = !metadata["deletionTimestamp"].is_null();
    let of_account = !metadata["annotations"]["kubernetes.io/service-account.name"].is_null();
    let born_with = match kind.kind.as_str() {
        "ServiceAccount" => matches!(name, "default" | "builder" | "deployer"),
        "ConfigMap" => matches!(name, "kube-root-ca.crt" | "openshift-service-ca.crt" | "istio-ca-root-cert"),
        "RoleBinding" => name.starts_with("system:"),
        "Secret" => of_account,
        // Of objects that are gone, and short-lived.
        "Event" | "Endpoints" | "EndpointSlice" | "PodMetrics" | "Lease" => true,
        _ => false,
    };
    if owned || ending || born_with {
        return None;
    }
    Some(ObjectRef {
        group: kind.group.clone(),
        version: kind.version.clone(),
        kind: kind.kind.clone(),
        namespace: metadata["namespace"].as_str().map(ToOwned::to_owned),
        name: name.to_owned(),
    })
}
