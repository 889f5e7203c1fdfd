//! What the streams have brought so far.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::watching::{Change, Watch};
use crate::ObjectRef;
use crate::diagnose::{LogTail, Recorded};

/// Differences of less are the whole seconds of the header that tells.
const SAME_CLOCK_MS: i64 = 1500;

#[derive(Default)]
struct Shelf {
    objects: HashMap<String, Arc<Value>>,
    /// What is being listed anew; it takes the place of the rest when it is complete.
    listing: Option<HashMap<String, Arc<Value>>>,
    synced: bool,
    broken: bool,
    needed: bool,
}

pub(super) struct Gathered {
    shelves: Vec<Shelf>,
    plan: Vec<Watch>,
    tails: BTreeMap<String, Option<LogTail>>,
    lost: Option<String>,
    ahead: SignedDuration,
}

impl Gathered {
    pub(super) fn new(plan: &[Watch]) -> Self {
        let shelves = plan.iter().map(|watch| Shelf { needed: watch.needed, ..Shelf::default() }).collect();
        Self { shelves, plan: plan.to_vec(), tails: BTreeMap::new(), lost: None, ahead: SignedDuration::ZERO }
    }

    pub(super) fn take(&mut self, change: Change) {
        match change {
            Change::Begins(index) => self.shelves[index].listing = Some(HashMap::new()),
            Change::Listed(index, object) => {
                self.shelves[index].listing.get_or_insert_default().insert(name(&object), object);
            }
            Change::Synced(index) => {
                let shelf = &mut self.shelves[index];
                shelf.objects = shelf.listing.take().unwrap_or_default();
                (shelf.synced, shelf.broken) = (true, false);
            }
            Change::Put(index, object) => {
                self.shelves[index].broken = false;
                self.shelves[index].objects.insert(name(&object), object);
            }
            Change::Gone(index, object) => {
                self.shelves[index].objects.remove(&name(&object));
            }
            Change::Broken(index) => self.shelves[index].broken = true,
            Change::Pulse(Ok(ahead)) => {
                self.lost = None;
                let ahead = ahead.filter(|ahead| ahead.abs() > SAME_CLOCK_MS).unwrap_or(0);
                self.ahead = SignedDuration::from_millis(ahead);
            }
            Change::Pulse(Err(why)) => self.lost = Some(why),
            Change::Tail(key, tail) => {
                self.tails.insert(key, tail);
            }
            Change::Refused(_) => {}
        }
    }

    /// Whether everything that is needed was listed, so that what is not here is not there.
    pub(super) fn is_complete(&self) -> bool {
        self.shelves.iter().all(|shelf| shelf.synced || (shelf.broken && !shelf.needed))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    pub(super) fn lost(&self) -> Option<&String> {
        self.lost.as_ref()
    }

    /// The cluster's time for one of ours.
    pub(super) fn cluster_time(&self, ours: Timestamp) -> Timestamp {
        ours.checked_add(self.ahead).unwrap_or(ours)
    }

    pub(super) fn get(&self, object: &ObjectRef) -> Option<&Arc<Value>> {
        let of = |watch: &Watch| {
            watch.group == object.group && watch.kind == object.kind && watch.namespace == object.namespace
        };
        let index = self.plan.iter().position(of)?;
        self.shelves[index].objects.get(&object.name)
    }

    pub(super) fn has_tail(&self, key: &str) -> bool {
        self.tails.contains_key(key)
    }

    pub(super) fn recorded(&self) -> Recorded {
        let objects = self.shelves.iter().flat_map(|shelf| shelf.objects.values().cloned()).collect();
        Recorded { objects, logs: self.tails.values().flatten().cloned().collect() }
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}
