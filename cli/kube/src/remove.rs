//! Deletes members of the inventory, exactly those, and waits until they are gone.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use crate::ObjectRef;
use crate::cluster::{Call, Cluster, ClusterError};
use crate::inventory::Member;

const CONCURRENCY: usize = 8;
pub(crate) const POLL: Duration = Duration::from_millis(250);
/// After so long it is said what holds an object.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a removal tells as it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It was told to go.
    Deleting(ObjectRef),
    /// It is gone.
    Gone(ObjectRef),
    /// It should be gone and is not: these finalizers hold it. None: its pods still end.
    Held(ObjectRef, Vec<String>),
}

/// An object that did not go in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub object: ObjectRef,
    /// What holds it.
    pub finalizers: Vec<String>,
}

pub(crate) type OnRemoval<'a> = &'a (dyn Fn(&Removal) + Send + Sync);

/// Tells them all to go; those that are gone already, or were replaced by others, are passed over.
pub(crate) async fn delete(
    cluster: &Cluster,
    members: &[&Member],
    propagation: &str,
    event: OnRemoval<'_>,
) -> Result<(), ClusterError> {
    let deletions = stream::iter(members.iter().copied()).map(|member| async move {
        event(&Removal::Deleting(member.object.clone()));
        let ObjectRef { namespace, name, .. } = &member.object;
        let call = Call::delete(&member.kind, namespace.as_deref(), name, &member.uid, propagation);
        match cluster.write(call).await {
            Ok(_) => Ok(()),
            // 409: another object of that name, by the precondition.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    });
    deletions.buffer_unordered(CONCURRENCY).try_collect().await
}

/// Waits until each is gone; answers what is still there at the deadline.
pub(crate) async fn wait(
    cluster: &Cluster,
    members: &[&Member],
    deadline: Instant,
    event: OnRemoval<'_>,
) -> Result<Vec<Held>, ClusterError> {
    let began = Instant::now();
    let mut left: Vec<&Member> = members.to_vec();
    let mut said = false;
    loop {
        let looks = stream::iter(left).map(|member| async move {
            let ObjectRef { namespace, name, .. } = &member.object;
            let live = cluster.find(Call::get(&member.kind, namespace.as_deref(), name).only_metadata()).await?;
            let same = live.filter(|live| live["metadata"]["uid"] == member.uid.as_str());
            Ok::<_, ClusterError>((member, same))
        });
        let looks: Vec<_> = looks.buffered(CONCURRENCY).try_collect().await?;
        let mut held = Vec::new();
        left = Vec::new();
        for (member, live) in looks {
            match live {
                None => event(&Removal::Gone(member.object.clone())),
                Some(mut live) => {
                    let now = Member { metadata: live["metadata"].take(), ..member.clone() };
                    held.push(Held { object: member.object.clone(), finalizers: now.finalizers() });
                    left.push(member);
                }
            }
        }
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(held);
        }
        if !said && began.elapsed() >= PATIENCE {
            said = true;
            held.iter().for_each(|held| event(&Removal::Held(held.object.clone(), held.finalizers.clone())));
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + POLL)).await;
    }
}
