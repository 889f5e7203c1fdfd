//! The ids whose access tokens are refused before they expire: users who left, sessions that ended. In memory, since each
//! authenticated request asks; the ledger has them as well, and every process reads them from there.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;
use uuid::Uuid;

use crate::accounts::REVOKED_FOR;
use crate::ids::{SessionId, UserId};
use crate::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Revocations {
    /// With when it was revoked.
    ids: RwLock<HashMap<Uuid, Instant>>,
    heard: watch::Sender<u64>,
}

impl Revocations {
    pub(super) fn refuses(&self, user: UserId, session: SessionId) -> bool {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        !ids.is_empty() && (ids.contains_key(&user.uuid()) || ids.contains_key(&session.uuid()))
    }

    /// Takes in ids, and tells who follows if one is new.
    pub(super) fn add(&self, revoked: impl IntoIterator<Item = (Uuid, Instant)>) {
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        let before = ids.len();
        ids.extend(revoked);
        let news = ids.len() > before;
        drop(ids);
        if news {
            self.heard.send_modify(|count| *count += 1);
        }
    }

    /// Forgets what no token names any more, and says from before when.
    pub(super) fn forget(&self, now: Instant) -> Instant {
        let cutoff = now.minus(REVOKED_FOR);
        self.ids.write().unwrap_or_else(PoisonError::into_inner).retain(|_, at| *at >= cutoff);
        cutoff
    }

    /// How many ids are refused.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::LONGEST_ACCESS;

    #[test]
    fn what_is_revoked_is_refused_for_longer_than_any_token_lives() {
        let (revocations, user, session) = (Revocations::default(), UserId::new(), SessionId::new());
        let (now, mut heard) = (Instant::now(), revocations.follow());
        assert!(!revocations.refuses(user, session));
        revocations.add([(session.uuid(), now)]);
        assert!(heard.has_changed().unwrap());
        heard.mark_unchanged();
        assert!(revocations.refuses(user, session) && !revocations.refuses(user, SessionId::new()));
        revocations.add([(session.uuid(), now)]);
        assert!(!heard.has_changed().unwrap(), "that is no news");
        revocations.forget(now.plus(LONGEST_ACCESS + Duration::from_secs(3600)));
        assert!(revocations.refuses(user, session));
        revocations.forget(now.plus(REVOKED_FOR + Duration::from_secs(1)));
        assert!(!revocations.refuses(user, session));
    }
}
