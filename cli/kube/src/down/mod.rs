//! Takes away what is ours, and nothing else.
//!
//! In the reverse of the order in which it came: what makes pods goes, and ends its pods, before what they depend on.
//! Volumes and secrets stay unless they are purged, and with them the inventory and the namespace. A namespace goes only
//! if we made it and nobody else has anything in it.
//!
//! Called again after it was killed, or when there is nothing, it does what is left.

mod claims;
mod home;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

pub use self::home::Home;
use crate::ObjectRef;
use crate::cluster::{Cluster, ClusterError};
use crate::inventory::{Inventory, InventoryError, Member, Release};
use crate::remove::{self, Held, OnRemoval};
use crate::stage::{LAST, has_pods, stage};

/// How to take it down.
#[derive(Debug, Clone)]
pub struct DownOptions {
    /// Also volumes and secrets: what was stored is lost.
    pub purge: bool,
    /// For everything to be gone.
    pub timeout: Duration,
}

/// What a down did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// What it deleted, in that order. Empty: there was nothing to do.
    pub deleted: Vec<ObjectRef>,
    /// What it left for the next time: volumes and secrets.
    pub kept: Vec<ObjectRef>,
    /// What became of the namespace.
    pub home: Home,
}

/// Why a down ended early. Calling it again goes on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DownError {
    #[error("not gone after {} s: {}", after.as_secs(), listed(held))]
    StillThere { held: Vec<Held>, after: Duration },
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

fn listed(held: &[Held]) -> String {
    let one = |held: &Held| match held.finalizers.as_slice() {
        [] => held.object.to_string(),
        finalizers => format!("{} (held by {})", held.object, finalizers.join(", ")),
    };
    held.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl DownError {
    /// What helps.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::StillThere { held, .. } => {
                let held = held.first()?;
                let namespace = held.object.namespace.as_ref().map(|name| format!(" -n {name}")).unwrap_or_default();
                Some(format!("see what holds it: `kubectl describe {}{namespace}`; then again", held.object))
            }
            Self::Inventory(error) => error.fix(),
            Self::Cluster(error) => error.fix(),
        }
    }
}

/// Takes down the instance in the cluster's namespace.
///
/// # Errors
/// See [`DownError`]; what is left is still in the inventory.
pub async fn down(
    cluster: &Cluster,
    release: &Release,
    options: &DownOptions,
    event: OnRemoval<'_>,
) -> Result<Down, DownError> {
    let deadline = Instant::now() + options.timeout;
    let kinds = cluster.kinds().await?;
    let mut inventory = Inventory::open(cluster).await?;
    inventory.of_instance(release)?;
    let mut deleted = Vec::new();
    let mut kept;
    // What was made while we looked is found the next time round.
    loop {
        let members = inventory.members(&kinds).await?;
        if claims::adopt(cluster, &mut inventory, release, &members).await? {
            continue;
        }
        let (keep, go): (Vec<Member>, Vec<Member>) =
            members.into_iter().partition(|member| member.is_kept() && !options.purge);
        kept = keep.into_iter().map(|member| member.object).collect::<Vec<_>>();
        if go.is_empty() {
            break;
        }
        for level in (0..=LAST).rev() {
            let of_level: Vec<&Member> = go.iter().filter(|member| stage(&member.object.kind) == level).collect();
            for (pods, propagation) in [(true, "Foreground"), (false, "Background")] {
                let part: Vec<&Member> =
                    of_level.iter().copied().filter(|member| has_pods(&member.object.kind) == pods).collect();
                remove::delete(cluster, &part, propagation, event).await?;
                let held = remove::wait(cluster, &part, deadline, event).await?;
                if !held.is_empty() {
                    return Err(DownError::StillThere { held, after: options.timeout });
                }
                deleted.extend(part.into_iter().map(|member| member.object.clone()));
            }
        }
    }
    if kept.is_empty() {
        inventory.close().await?;
    } else {
        let left = inventory.members(&kinds).await?;
        inventory.narrow(release, &left).await?;
    }
    let home = home::leave(cluster, release, &kinds, &kept, deadline, event).await?;
    Ok(Down { deleted, kept, home })
}
