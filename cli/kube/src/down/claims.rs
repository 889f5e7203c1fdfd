//! The volumes of stateful sets.
//!
//! Their controller makes the claims, so they lack our label, and what they belong to is known only as long as the set is
//! there. So they get the label before it goes.

use serde_json::{Value, json};

use super::DownError;
use crate::cluster::{Call, Cluster, ClusterError, Kind};
use crate::inventory::{Inventory, Member, PART_OF, Release};

/// Puts the label on claims that lack it; whether there were any.
pub(super) async fn adopt(
    cluster: &Cluster,
    inventory: &mut Inventory<'_>,
    release: &Release,
    members: &[Member],
) -> Result<bool, DownError> {
    let sets: Vec<&Member> = members.iter().filter(|member| member.group_kind() == "StatefulSet.apps").collect();
    let mut adopted = false;
    for set in sets {
        let (namespace, name) = (set.object.namespace.as_deref(), &set.object.name);
        let Some(set) = cluster.find(Call::get(&set.kind, namespace, name)).await? else { continue };
        let templates = set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
        let prefixes: Vec<String> = templates
            .filter_map(|template| template["metadata"]["name"].as_str())
            .map(|template| format!("{template}-{name}-"))
            .collect();
        if prefixes.is_empty() {
            continue;
        }
        for claim in cluster.list(Call::list(&Kind::claims(), namespace).only_metadata()).await? {
            let Some(claim_name) = claim["metadata"]["name"].as_str() else { continue };
            let labelled = claim["metadata"]["labels"][PART_OF] == inventory.id();
            if labelled || !prefixes.iter().any(|prefix| is_claim(claim_name, prefix)) {
                continue;
            }
            // First the kind, then the label: as for everything else.
            inventory.widen_by(release, "PersistentVolumeClaim").await?;
            let patch = label(inventory.id());
            match cluster.write(Call::merge(&Kind::claims(), namespace, claim_name, &patch, cluster.owner())).await {
                Ok(_) => adopted = true,
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(ClusterError::into(error)),
            }
        }
    }
    Ok(adopted)
}

fn label(id: &str) -> Value {
    json!({"metadata": {"labels": {PART_OF: id}}})
}

/// `data-postgres-0` for the prefix `data-postgres-`.
fn is_claim(name: &str, prefix: &str) -> bool {
    let ordinal = name.strip_prefix(prefix).unwrap_or_default();
    !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit())
}
