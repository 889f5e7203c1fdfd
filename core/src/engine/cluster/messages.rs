//! What processes tell each other through Redis, as hints: which tasks the log has news of, and what is being run.

use uuid::Uuid;

use super::delivery::{Ready, take};
use crate::engine::hub::Change;
use crate::engine::kinds::Kinds;
use crate::ids::{RunId, TaskId, UserId};
use crate::time::Instant;

/// Beyond so many changes a message says only that there are many.
const NAMED: usize = 1_000;

/// The latest place in the log, and the tasks whose state changed; none if they are too many to name.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) origin: u64,
    pub(super) last: i64,
    pub(super) changes: Option<Vec<Change>>,
}

pub(super) fn logged(origin: u64, last: i64, changes: &[Change]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(17 + changes.len().min(NAMED) * 64);
    bytes.extend(origin.to_be_bytes());
    bytes.extend(last.to_be_bytes());
    bytes.push(u8::from(changes.len() <= NAMED));
    if changes.len() <= NAMED {
        for Change { task, run, owner } in changes {
            bytes.extend(task.uuid().as_bytes());
            bytes.extend(owner.map_or(Uuid::nil(), |owner| owner.uuid()).as_bytes());
            let run = run.as_ref().map_or("", RunId::as_str);
            bytes.push(u8::try_from(run.len()).unwrap_or(0));
            bytes.extend(run.as_bytes());
        }
    }
    bytes
}

/// Says that others have missed something.
pub(super) fn missed() -> Vec<u8> {
    // Nobody's, no place, and no names.
    vec![0; 17]
}

/// None for what another version wrote.
pub(super) fn read_logged(bytes: &[u8]) -> Option<Logged> {
    let mut rest = bytes;
    let origin = u64::from_be_bytes(take(&mut rest)?);
    let last = i64::from_be_bytes(take(&mut rest)?);
    let [named] = take(&mut rest)?;
    if named == 0 {
        return Some(Logged { origin, last, changes: None });
    }
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let task = TaskId::from_uuid(Uuid::from_bytes(take(&mut rest)?));
        let owner = Uuid::from_bytes(take(&mut rest)?);
        let [length] = take(&mut rest)?;
        let (run, others) = rest.split_at_checked(usize::from(length))?;
        rest = others;
        let run = if run.is_empty() { None } else { Some(RunId::kept(std::str::from_utf8(run).ok()?).ok()?) };
        changes.push(Change { task, run, owner: (!owner.is_nil()).then(|| UserId::from_uuid(owner)) });
    }
    Some(Logged { origin, last, changes: Some(changes) })
}

/// Tasks that a worker has begun.
pub(super) fn running(origin: u64, started_at: Instant, tasks: &[&Ready]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + tasks.len() * 128);
    bytes.extend(origin.to_be_bytes());
    bytes.extend(started_at.micros().to_be_bytes());
    for task in tasks {
        let packed = task.pack_without_payload();
        bytes.push(task.identity.kind.code);
        bytes.extend(u16::try_from(packed.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(packed);
    }
    bytes
}

/// Who says so, since when they run, and the tasks, without those of kinds that were not heard of yet.
pub(super) fn read_running(bytes: &[u8], kinds: &Kinds) -> Option<(u64, Instant, Vec<Ready>)> {
    let mut rest = bytes;
    let origin = u64::from_be_bytes(take(&mut rest)?);
    let started_at = Instant::from_micros(i64::from_be_bytes(take(&mut rest)?));
    let mut tasks = Vec::new();
    while !rest.is_empty() {
        let [kind] = take(&mut rest)?;
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let (packed, others) = rest.split_at_checked(length)?;
        rest = others;
        if let Some(kind) = kinds.of(kind.into()) {
            tasks.push(Ready::unpack(kind, packed)?);
        }
    }
    Some((origin, started_at, tasks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn changes_survive_the_way(count in 0_usize..50, run in "[a-z]{1,64}", last: i64) {
            let change = |number: usize| Change {
                task: TaskId::new(),
                run: number.is_multiple_of(2).then(|| run.parse().unwrap()),
                owner: number.is_multiple_of(3).then(UserId::new),
            };
            let changes: Vec<_> = (0..count).map(change).collect();
            let read = read_logged(&logged(7, last, &changes)).unwrap();
            prop_assert_eq!((read.origin, read.last), (7, last));
            let shown = |changes: &[Change]| format!("{changes:?}");
            prop_assert_eq!(shown(&read.changes.unwrap()), shown(&changes));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read_logged(&bytes);
            let _ = read_running(&bytes, &Kinds::default());
        }
    }
}
