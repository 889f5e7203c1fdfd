//! What has the label of the set.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::{Inventory, InventoryError, PART_OF};
use crate::ObjectRef;
use crate::cluster::{Call, ClusterError, Kind, Kinds};
use crate::owner::Owner;
use crate::stage::stage;

/// At once.
const CONCURRENCY: usize = 8;

/// An object that is ours.
#[derive(Debug, Clone)]
pub struct Member {
    pub object: ObjectRef,
    /// Which one of that name.
    pub uid: String,
    pub(crate) metadata: Value,
    pub(crate) kept: bool,
    pub(crate) kind: Kind,
}

impl Member {
    fn of(kind: &Kind, mut item: Value, owner: &Owner) -> Option<Self> {
        let metadata = item["metadata"].take();
        let text = |name: &str| metadata[name].as_str().map(ToOwned::to_owned);
        let object = ObjectRef {
            group: kind.group.clone(),
            version: kind.version.clone(),
            kind: kind.kind.clone(),
            namespace: text("namespace"),
            name: text("name")?,
        };
        let kept = kind.kind == "PersistentVolumeClaim" || !metadata["annotations"][owner.keep()].is_null();
        Some(Self { object, uid: text("uid")?, metadata, kept, kind: kind.clone() })
    }

    /// Whether it is that object, in whatever version of the API.
    pub(crate) fn is(&self, other: &ObjectRef) -> bool {
        let Self { object, .. } = self;
        object.kind == other.kind
            && object.name == other.name
            && object.group == other.group
            && object.namespace == other.namespace
    }

    /// Whether only a purge deletes it: volumes, and what is marked so.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.kept
    }

    /// What holds it back from going.
    #[must_use]
    pub fn finalizers(&self) -> Vec<String> {
        let finalizers = self.metadata["finalizers"].as_array().into_iter().flatten();
        finalizers.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    }

    pub(crate) fn group_kind(&self) -> String {
        self.kind.group_kind()
    }
}

impl Inventory<'_> {
    /// Everything that is ours, in the order in which it was applied. Without a parent every kind is looked through.
    pub(crate) async fn members(&self, kinds: &Kinds) -> Result<Vec<Member>, InventoryError> {
        let home = self.cluster.namespace();
        let mut places: Vec<(Kind, Option<String>)> = Vec::new();
        match &self.parent {
            Some(parent) => {
                let silent = |name: &String| kinds.silent(name.split_once('.').map_or("", |(_, group)| group));
                if let Some(error) = parent.kinds.iter().find_map(silent) {
                    return Err(error.clone().into());
                }
                // A kind that is not served any more has no objects any more.
                for kind in parent.kinds.iter().filter_map(|name| kinds.group_kind(name)) {
                    if kind.namespaced {
                        let namespaces = std::iter::once(home).chain(parent.namespaces.iter().map(String::as_str));
                        places.extend(namespaces.map(|namespace| (kind.clone(), Some(namespace.to_owned()))));
                    } else {
                        places.push((kind.clone(), None));
                    }
                }
            }
            None => places.extend(kinds.deletable().map(|kind| (kind.clone(), None))),
        }
        let lists = stream::iter(places).map(|(kind, namespace)| self.labelled(kind, namespace));
        let lists: Vec<Vec<Member>> = lists.buffered(CONCURRENCY).try_collect().await?;
        let mut members: Vec<Member> = lists.into_iter().flatten().collect();
        members.sort_by(|a, b| (stage(&a.object.kind), &a.object).cmp(&(stage(&b.object.kind), &b.object)));
        Ok(members)
    }

    async fn labelled(&self, kind: Kind, namespace: Option<String>) -> Result<Vec<Member>, ClusterError> {
        let call = |namespace: Option<&str>| {
            Call::list(&kind, namespace).query("labelSelector", &format!("{PART_OF}={}", self.id)).only_metadata()
        };
        let items = match self.cluster.list(call(namespace.as_deref())).await {
            // Who may not look everywhere looks at home; who may not look there either has put nothing there.
            Err(ClusterError::Forbidden { .. }) if self.parent.is_none() && kind.namespaced => {
                match self.cluster.list(call(Some(self.cluster.namespace()))).await {
                    Err(ClusterError::Forbidden { .. }) => Vec::new(),
                    items => items?,
                }
            }
            Err(ClusterError::Forbidden { .. }) if self.parent.is_none() => Vec::new(),
            // A kind that can't be listed just now, where any kind might have been ours.
            Err(ClusterError::Refused { code: 404 | 405 | 503, .. }) if self.parent.is_none() => Vec::new(),
            items => items?,
        };
        Ok(items.into_iter().filter_map(|item| Member::of(&kind, item, self.cluster.owner())).collect())
    }
}
