//! What an entry of a stream says of a task: all that a claim needs, so that claiming reads no ledger. Fixed-width,
//! big-endian; a hundred bytes for most tasks, which is what Redis' memory goes by.

use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::rows::Identity;
use super::QueueId;
use crate::engine::KnownKind;
pub(in super::super) use crate::engine::identity::Ready;
use crate::engine::rows::{priority_code, priority_of};
use crate::ids::{TaskId, UserId};
use crate::tasks::Priority;
use crate::time::Instant;

/// Of a task for which nothing was asked besides what it does ...
const PLAIN: u8 = 1;
/// ... and of the others: what was asked comes after the head.
const ASKED: u8 = 2;

impl Ready {
    /// Where it waits.
    pub(in super::super) fn queue(&self) -> QueueId {
        QueueId::new(self.identity.kind.code, self.identity.priority)
    }

    pub(super) fn pack(&self) -> Vec<u8> {
        self.pack_with(self.payload.get())
    }

    /// For those who only want to know which task it is.
    pub(in super::super) fn pack_without_payload(&self) -> Vec<u8> {
        self.pack_with("null")
    }

    fn pack_with(&self, payload: &str) -> Vec<u8> {
        let run = self.identity.run.as_ref().map_or("", |run| run.as_str());
        let mut bytes = self.pack_head();
        if bytes[0] == ASKED {
            bytes.push(priority_code(self.identity.priority));
            bytes.extend(self.identity.due_at.map_or(0, Instant::micros).to_be_bytes());
        }
        // A run's name has at most 64 bytes.
        bytes.push(u8::try_from(run.len()).unwrap_or(0));
        bytes.extend(run.as_bytes());
        bytes.extend(payload.as_bytes());
        bytes
    }

    /// The first bytes, of fixed length: which task it is, and in which state. The scripts read the id from them.
    pub(super) fn pack_head(&self) -> Vec<u8> {
        let Identity { seq, id, owner, accepted_at, .. } = &self.identity;
        let mut bytes = Vec::with_capacity(128);
        let is_plain = self.identity.priority == Priority::Normal && self.identity.due_at.is_none();
        bytes.push(if is_plain { PLAIN } else { ASKED });
        bytes.extend(seq.to_be_bytes());
        bytes.extend(id.uuid().as_bytes());
        bytes.extend(owner.map_or(Uuid::nil(), |owner| owner.uuid()).as_bytes());
        bytes.extend(accepted_at.micros().to_be_bytes());
        bytes.extend(self.due_at.micros().to_be_bytes());
        bytes.extend(self.attempts.to_be_bytes());
        bytes
    }

    /// None for what another version wrote or something else spoilt: the sweep will offer the task again.
    pub(in super::super) fn unpack(kind: KnownKind, bytes: &[u8]) -> Option<Self> {
        let (version, mut rest) = bytes.split_first().filter(|(version, _)| matches!(**version, PLAIN | ASKED))?;
        let seq = i64::from_be_bytes(take(&mut rest)?);
        let id = Uuid::from_bytes(take(&mut rest)?);
        let owner = Uuid::from_bytes(take(&mut rest)?);
        let accepted_at = Instant::from_micros(i64::from_be_bytes(take(&mut rest)?));
        let due_at = Instant::from_micros(i64::from_be_bytes(take(&mut rest)?));
        let attempts = u32::from_be_bytes(take(&mut rest)?);
        let (mut priority, mut asked) = (Priority::Normal, None);
        if *version == ASKED {
            let [code] = take(&mut rest)?;
            let due = i64::from_be_bytes(take(&mut rest)?);
            (priority, asked) = (priority_of(code.into()), (due != 0).then(|| Instant::from_micros(due)));
        }
        let [length] = take(&mut rest)?;
        let (run, payload) = rest.split_at_checked(usize::from(length))?;
        let run = if run.is_empty() { None } else { Some(std::str::from_utf8(run).ok()?.parse().ok()?) };
        let payload = RawValue::from_string(String::from_utf8(payload.to_vec()).ok()?).ok()?;
        let owner = (!owner.is_nil()).then(|| UserId::from_uuid(owner));
        let identity =
            Identity { seq, id: TaskId::from_uuid(id), kind, owner, run, accepted_at, priority, due_at: asked };
        Some(Self { identity, payload, attempts, due_at })
    }
}

/// The next bytes, if there are so many.
pub(in super::super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tasks::Kind;

    const ADD: KnownKind = KnownKind { code: 1, kind: Kind::new("add"), has_effect: false };

    proptest! {
        #[test]
        fn a_task_survives_packing(seq in 0_i64.., run in "[a-z]{0,64}", owned: bool, attempts: u32, x: i64, asked: Option<u32>,
                                     priority in proptest::sample::select(&Priority::ALL)) {
            let identity = Identity {
                seq,
                id: TaskId::new(),
                kind: ADD,
                owner: owned.then(UserId::new),
                run: run.parse().ok(),
                accepted_at: Instant::from_micros(seq),
                priority,
                due_at: asked.map(|asked| Instant::from_micros(i64::from(asked) + 1)),
            };
            let payload = RawValue::from_string(format!("{{\"x\":{x}}}")).unwrap();
            let ready = Ready { identity, payload, attempts, due_at: Instant::from_micros(x) };
            let again = Ready::unpack(ADD, &ready.pack()).unwrap();
            prop_assert_eq!(&again.identity, &ready.identity);
            prop_assert_eq!(again.payload.get(), ready.payload.get());
            prop_assert_eq!((again.attempts, again.due_at), (ready.attempts, ready.due_at));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Ready::unpack(ADD, &bytes);
        }
    }
}
