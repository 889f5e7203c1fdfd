//! What is ours in the cluster: an ApplySet, whose parent is a ConfigMap in the namespace of the platform, named as its
//! [`Owner`](crate::Owner) says.
//!
//! Each member has a label with the id of the set, and the parent names the kinds of the members: the union of old and
//! new before an apply, what is left after a prune. So at every moment everything that is ours is found, whatever was
//! killed where; and if the parent is lost, by the label alone.
//!
//! The format is that of `kubectl apply --applyset`.

mod error;
mod members;
mod parent;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use self::error::InventoryError;
pub use self::members::Member;
pub use self::parent::Parent;
use crate::cluster::{Call, Cluster, Kind};

/// On each member.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
const ID: &str = "applyset.kubernetes.io/id";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";

/// Which platform is applied, by which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The instance, such as `default`.
    pub instance: String,
    /// Of cardctl, such as `0.1.0`.
    pub version: String,
}

/// The inventory of a namespace.
pub struct Inventory<'a> {
    cluster: &'a Cluster,
    id: String,
    parent: Option<Parent>,
}

impl<'a> Inventory<'a> {
    /// Reads it; there may be none.
    ///
    /// # Errors
    /// There is a ConfigMap of that name which is not ours; or the cluster can't be asked.
    pub async fn open(cluster: &'a Cluster) -> Result<Self, InventoryError> {
        let mut inventory = Self { cluster, id: cluster.owner().inventory(cluster.namespace()), parent: None };
        inventory.read().await?;
        Ok(inventory)
    }

    async fn read(&mut self) -> Result<(), InventoryError> {
        let call = Call::get(&Kind::config_maps(), Some(self.cluster.namespace()), self.cluster.owner().parent());
        self.parent = match self.cluster.find(call).await? {
            None => None,
            Some(object) if object["metadata"]["labels"][ID] == self.id.as_str() => {
                Some(Parent::of(&object, self.cluster.owner()))
            }
            Some(_) => return Err(InventoryError::NotOurs { namespace: self.cluster.namespace().to_owned() }),
        };
        Ok(())
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What its parent says; None if there is none.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        self.parent.as_ref()
    }

    pub(crate) fn of_instance(&self, release: &Release) -> Result<(), InventoryError> {
        match &self.parent {
            Some(parent) if parent.instance != release.instance => Err(InventoryError::OtherInstance {
                namespace: self.cluster.namespace().to_owned(),
                found: parent.instance.clone(),
                asked: release.instance.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Names the kinds and namespaces of what is there and of what comes, which is no namespace itself.
    pub(crate) async fn widen(
        &mut self,
        release: &Release,
        coming: impl Iterator<Item = (String, &Option<String>)>,
        members: &[Member],
    ) -> Result<(), InventoryError> {
        let (mut kinds, mut namespaces) =
            places(members.iter().map(|member| (member.group_kind(), &member.object.namespace)));
        let coming = places(coming);
        kinds.extend(coming.0);
        namespaces.extend(coming.1);
        self.change(release, |parent| {
            parent.kinds.extend(kinds.iter().cloned());
            parent.namespaces.extend(namespaces.iter().cloned());
        })
        .await
    }

    /// Also the kind of something that is made besides the objects.
    pub(crate) async fn widen_by(&mut self, release: &Release, kind: &str) -> Result<(), InventoryError> {
        self.change(release, |parent| {
            parent.kinds.insert(kind.to_owned());
        })
        .await
    }

    /// Names what is left, and no more.
    pub(crate) async fn narrow(&mut self, release: &Release, left: &[Member]) -> Result<(), InventoryError> {
        let (kinds, namespaces) = places(left.iter().map(|member| (member.group_kind(), &member.object.namespace)));
        self.change(release, |parent| {
            parent.kinds.clone_from(&kinds);
            parent.namespaces.clone_from(&namespaces);
        })
        .await
    }

    /// Reads, changes, writes; again if somebody else wrote meanwhile.
    async fn change(&mut self, release: &Release, change: impl Fn(&mut Parent)) -> Result<(), InventoryError> {
        let home = self.cluster.namespace().to_owned();
        let kind = Kind::config_maps();
        let owner = self.cluster.owner();
        let mut last = None;
        for _ in 0..5 {
            let mut parent = self.parent.clone().unwrap_or_else(|| Parent::new(release));
            change(&mut parent);
            parent.namespaces.remove(&home);
            parent.version.clone_from(&release.version);
            let call = match &self.parent {
                Some(before) if *before == parent => return Ok(()),
                Some(before) => {
                    let mut patch = parent.document(&self.id, owner);
                    patch["metadata"]["resourceVersion"] = json!(before.resource_version);
                    Call::merge(&kind, Some(&home), owner.parent(), &patch, owner)
                }
                None => Call::create(&kind, Some(&home), &parent.document(&self.id, owner), owner),
            };
            match self.cluster.write(call).await {
                Ok(answer) => {
                    self.parent = Some(Parent::of(&answer.body, owner));
                    return Ok(());
                }
                Err(error) if error.is_conflict() || error.is_not_found() => {
                    last = Some(error);
                    self.read().await?;
                    self.of_instance(release)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The loop ends here only with an error.
        last.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Deletes the parent: the last step of a down.
    pub(crate) async fn close(&mut self) -> Result<(), InventoryError> {
        let Some(parent) = self.parent.take() else { return Ok(()) };
        let home = self.cluster.namespace();
        let call =
            Call::delete(&Kind::config_maps(), Some(home), self.cluster.owner().parent(), &parent.uid, "Background");
        match self.cluster.write(call).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

type Places = (BTreeSet<String>, BTreeSet<String>);

fn places<'a>(objects: impl Iterator<Item = (String, &'a Option<String>)>) -> Places {
    let mut places = Places::default();
    for (kind, namespace) in objects {
        places.0.insert(kind);
        places.1.extend(namespace.clone());
    }
    places
}

/// The labels of what is made besides the objects.
pub(crate) fn labels(cluster: &Cluster, release: &Release) -> Value {
    let mut labels = cluster.owner().labels(&release.instance);
    labels[PART_OF] = json!(cluster.owner().inventory(cluster.namespace()));
    labels
}
