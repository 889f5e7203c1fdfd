//! Users, their sessions, the budgets of sign-ins, and what becomes of all of it.

use std::sync::Arc;

use super::*;
use crate::accounts::{
    Accounts, Admission, NewSession, REVOKED_FOR, RefreshBounds, RefreshHashes, Refreshed, Registered,
    SESSIONS_PER_USER, SignInAttempt, SignInLimits, User,
};
use crate::engine::ErrorKind;
use crate::ids::SessionId;
use crate::time::Instant;

const DAY: Duration = Duration::from_secs(86_400);
const LIMITS: SignInLimits = SignInLimits { pair: 3, account: 5, network: 8 };

pub(super) fn user(name: &str) -> User {
    User { id: UserId::new(), username: name.into(), created_at: Instant::now() }
}

async fn registered(accounts: &dyn Accounts, name: &str) -> User {
    let user = user(name);
    assert_eq!(accounts.register(user.clone(), "hash".into()).await.unwrap(), Registered::Created);
    user
}

/// A refresh token of a family.
pub(crate) fn refresh(family: u8, token: u8) -> RefreshHashes {
    RefreshHashes { token: [token; 32], family: [family; 32] }
}

/// A session of a user whose password's hash is `hash`.
pub(crate) fn session(owner: &User, refresh: RefreshHashes) -> NewSession {
    let now = Instant::now();
    NewSession {
        id: SessionId::new(),
        user: owner.id,
        password_hash: "hash".into(),
        refresh,
        created_at: now,
        expires_at: now.plus(DAY * 30),
        network: "192.0.2.1".into(),
        address: "192.0.2.1".into(),
        agent: Some("curl/8".into()),
    }
}

pub(crate) fn bounds(now: Instant) -> RefreshBounds {
    RefreshBounds { now, token: DAY * 30, session: DAY * 90 }
}

pub(crate) async fn registration_is_unique_whatever_the_case(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "Ada").await;
    assert_eq!(accounts.register(user("aDA"), "other".into()).await.unwrap(), Registered::UsernameTaken);
    let found = accounts.credentials("ADA").await.unwrap().unwrap();
    assert_eq!((found.user, found.password_hash.as_deref()), (ada.id, Some("hash")));
    assert!(accounts.credentials("nobody").await.unwrap().is_none());
    let taken = accounts.register_synthetic(RunId::new(), vec![user("new"), user("ada")]).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Invalid);
    assert!(accounts.credentials("new").await.unwrap().is_none(), "all or none");
}

pub(crate) async fn a_name_that_nobody_can_have_is_nobodys(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    accounts.register(user("kevin"), "hash".into()).await.unwrap();
    // The Kelvin sign, a NUL, letters of other alphabets, more than any name has.
    for name in ["\u{212a}evin", "kevin\0", "", "\u{131}stanbul", "ke vin", &"k".repeat(300)] {
        assert!(accounts.credentials(name).await.unwrap().is_none(), "{name:?}");
        let error = accounts.register(user(name), "hash".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
        let error = accounts.register_synthetic(RunId::new(), vec![user(name)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
    }
}

pub(crate) async fn a_refresh_token_works_once(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let (now, new) = (Instant::now(), session(&ada, refresh(1, 1)));
    let id = new.id;
    assert!(accounts.open_session(new.clone()).await.unwrap());
    let rotated = Refreshed::Rotated { user: ada.id, session: id, ends_at: new.created_at.plus(DAY * 90) };
    assert_eq!(accounts.refresh_session(refresh(1, 1), refresh(1, 2), bounds(now)).await.unwrap(), rotated);
    assert_eq!(accounts.session_of([2; 32]).await.unwrap(), Some((ada.id, id)));
    assert_eq!(
        accounts.refresh_session(refresh(9, 9), refresh(9, 8), bounds(now)).await.unwrap(),
        Refreshed::Unknown,
        "nobody's token ends nothing"
    );
    assert!(!accounts.is_revoked(ada.id, id).await.unwrap());
    assert_eq!(accounts.refresh_session(refresh(1, 1), refresh(1, 3), bounds(now)).await.unwrap(), Refreshed::Reused);
    assert!(accounts.is_revoked(ada.id, id).await.unwrap(), "access tokens of the copy's session are refused too");
    assert_eq!(accounts.refresh_session(refresh(1, 2), refresh(1, 4), bounds(now)).await.unwrap(), Refreshed::Unknown);
    let short = NewSession { expires_at: now, ..session(&ada, refresh(5, 5)) };
    assert!(accounts.open_session(short).await.unwrap());
    let expired = accounts.refresh_session(refresh(5, 5), refresh(5, 6), bounds(now)).await.unwrap();
    assert_eq!(expired, Refreshed::Unknown, "expired");
}

pub(crate) async fn a_session_takes_one_row_however_often_it_is_refreshed(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let (now, new) = (Instant::now(), session(&ada, refresh(1, 0)));
    assert!(accounts.open_session(new).await.unwrap());
    for token in 0..50 {
        let refreshed = accounts.refresh_session(refresh(1, token), refresh(1, token + 1), bounds(now)).await.unwrap();
        assert!(matches!(refreshed, Refreshed::Rotated { .. }), "{refreshed:?}");
    }
    assert_eq!(accounts.sessions(ada.id).await.unwrap().len(), 1);
    let kept = async |token: u8| accounts.session_of([token; 32]).await.unwrap().is_some();
    assert!(kept(50).await && !kept(49).await && !kept(0).await);
    assert_eq!(
        accounts.refresh_session(refresh(1, 7), refresh(1, 99), bounds(now)).await.unwrap(),
        Refreshed::Reused,
        "a token that was spent long ago is still known to be a copy"
    );
    assert!(!kept(50).await);
}

pub(crate) async fn a_session_ends_for_good_however_often_it_is_refreshed(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let new = session(&ada, refresh(1, 0));
    let (id, mut now) = (new.id, new.created_at);
    assert!(accounts.open_session(new).await.unwrap());
    for days in [20, 40, 60, 80] {
        now = now.plus(DAY * 20);
        let token = days / 20;
        let refreshed = accounts.refresh_session(refresh(1, token - 1), refresh(1, token), bounds(now)).await.unwrap();
        assert!(matches!(refreshed, Refreshed::Rotated { .. }), "day {days}: {refreshed:?}");
    }
    let over = bounds(now.plus(DAY * 10));
    assert_eq!(accounts.refresh_session(refresh(1, 4), refresh(1, 5), over).await.unwrap(), Refreshed::Unknown);
    // Also one whose end has come because the setting was lowered.
    let shorter = RefreshBounds { session: DAY * 60, ..bounds(now) };
    assert_eq!(accounts.refresh_session(refresh(1, 4), refresh(1, 5), shorter).await.unwrap(), Refreshed::Unknown);
    assert!(accounts.is_revoked(ada.id, id).await.unwrap());
    assert!(accounts.sessions(ada.id).await.unwrap().is_empty());
}

pub(crate) async fn sessions_are_listed_and_ended_one_by_one(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let (ada, bob) = (registered(accounts, "ada").await, registered(accounts, "bob").await);
    let (one, other) = (session(&ada, refresh(1, 1)), session(&ada, refresh(2, 2)));
    let (one_id, other_id) = (one.id, other.id);
    for new in [one, other] {
        assert!(accounts.open_session(new).await.unwrap());
    }
    let later = bounds(Instant::now().plus(DAY));
    accounts.refresh_session(refresh(1, 1), refresh(1, 3), later).await.unwrap();
    let listed = accounts.sessions(ada.id).await.unwrap();
    assert_eq!(listed.iter().map(|session| session.id).collect::<Vec<_>>(), [one_id, other_id], "used last, first");
    assert_eq!((listed[0].address.as_deref(), listed[0].agent.as_deref()), (Some("192.0.2.1"), Some("curl/8")));
    assert!(listed[0].last_used_at > listed[0].created_at && listed[1].last_used_at == listed[1].created_at);
    assert!(!accounts.end_session(bob.id, other_id).await.unwrap(), "somebody else's");
    assert!(!accounts.is_revoked(ada.id, other_id).await.unwrap());
    assert!(accounts.end_session(ada.id, other_id).await.unwrap());
    assert!(!accounts.end_session(ada.id, other_id).await.unwrap());
    assert!(accounts.is_revoked(ada.id, other_id).await.unwrap());
    assert_eq!(accounts.session_of([2; 32]).await.unwrap(), None);
    assert_eq!(accounts.sessions(ada.id).await.unwrap().len(), 1);
    accounts.close_session(one_id).await.unwrap();
    accounts.close_session(one_id).await.unwrap();
    assert!(accounts.is_revoked(ada.id, one_id).await.unwrap());
    assert_eq!(accounts.session_of([3; 32]).await.unwrap(), None);
}

pub(crate) async fn one_user_has_so_many_sessions_and_no_more(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let mut ids = Vec::new();
    for number in 0..=SESSIONS_PER_USER {
        let hash = [number as u8; 32];
        let at = Instant::now().plus(Duration::from_millis(number as u64));
        let new = NewSession { created_at: at, ..session(&ada, RefreshHashes { token: hash, family: hash }) };
        ids.push(new.id);
        assert!(accounts.open_session(new).await.unwrap());
    }
    assert_eq!(accounts.sessions(ada.id).await.unwrap().len(), SESSIONS_PER_USER);
    assert!(accounts.is_revoked(ada.id, ids[0]).await.unwrap(), "the one that was used longest ago ended");
    assert!(!accounts.is_revoked(ada.id, ids[1]).await.unwrap());
}

pub(crate) async fn tokens_are_made_only_for_a_user_who_is_there(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let before = session(&ada, refresh(1, 1));
    let before_id = before.id;
    assert!(accounts.open_session(before).await.unwrap());
    // A sign-in has verified the password by now.
    let under_way = session(&ada, refresh(2, 2));
    assert!(accounts.delete_user(ada.id).await.unwrap());
    assert!(!accounts.open_session(under_way.clone()).await.unwrap());
    assert_eq!(accounts.session_of([2; 32]).await.unwrap(), None);
    for hashes in [refresh(1, 1), refresh(2, 2)] {
        let refreshed = accounts.refresh_session(hashes, refresh(3, 3), bounds(Instant::now())).await.unwrap();
        assert_eq!(refreshed, Refreshed::Unknown);
    }
    assert!(accounts.sessions(ada.id).await.unwrap().is_empty());
    assert!(accounts.is_revoked(ada.id, before_id).await.unwrap());
    let stranger = session(&user("eve"), refresh(4, 4));
    assert!(!accounts.open_session(stranger).await.unwrap(), "nobody was ever registered");
}

pub(crate) async fn of_a_sign_in_and_a_deletion_at_once_no_token_is_left(bed: impl Testbed) {
    for round in 0..20_u8 {
        let accounts = Arc::clone(&bed.store().accounts);
        let ada = registered(&*accounts, &format!("ada-{round}")).await;
        let hashes = refresh(100 + round, 100 + round);
        let open = tokio::spawn({
            let (accounts, new) = (Arc::clone(&accounts), session(&ada, hashes));
            async move { accounts.open_session(new).await.unwrap() }
        });
        let refreshed = tokio::spawn({
            let accounts = Arc::clone(&accounts);
            async move { accounts.refresh_session(hashes, refresh(100 + round, 50), bounds(Instant::now())).await }
        });
        assert!(accounts.delete_user(ada.id).await.unwrap());
        let _ = (open.await.unwrap(), refreshed.await.unwrap());
        for token in [100 + round, 50] {
            assert_eq!(accounts.session_of([token; 32]).await.unwrap(), None, "round {round}");
        }
        assert!(accounts.sessions(ada.id).await.unwrap().is_empty());
    }
}

pub(crate) async fn a_deleted_user_is_refused_at_once_and_after_a_restart(bed: impl Testbed) {
    let accounts = bed.store().accounts.clone();
    let (ada, id) = (registered(&*accounts, "ada").await, SessionId::new());
    assert!(!accounts.is_revoked(ada.id, id).await.unwrap());
    assert!(accounts.delete_user(ada.id).await.unwrap());
    assert!(accounts.is_revoked(ada.id, id).await.unwrap());
    assert!(!accounts.delete_user(ada.id).await.unwrap());
    drop(accounts);
    let bed = bed.restart().await;
    let accounts = &*bed.store().accounts;
    assert!(accounts.is_revoked(ada.id, id).await.unwrap());
    registered(accounts, "ada").await;
    assert!(REVOKED_FOR > crate::accounts::LONGEST_ACCESS + Duration::from_secs(3600));
}

pub(crate) async fn a_revocation_is_announced(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let mut heard = accounts.revocations();
    heard.mark_unchanged();
    accounts.close_session(SessionId::new()).await.unwrap();
    assert!(heard.has_changed().unwrap());
    heard.mark_unchanged();
    accounts.delete_user(ada.id).await.unwrap();
    assert!(heard.has_changed().unwrap());
}

pub(crate) async fn a_new_password_ends_the_other_sessions_and_sign_ins_with_the_old_one(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let (mine, other) = (session(&ada, refresh(1, 1)), session(&ada, refresh(2, 2)));
    let (mine_id, other_id) = (mine.id, other.id);
    for new in [mine, other] {
        assert!(accounts.open_session(new).await.unwrap());
    }
    let under_way = session(&ada, refresh(3, 3));
    let change = async |old: &str, new: &str| {
        accounts.change_password(ada.id, old.to_owned(), new.to_owned(), mine_id).await.unwrap()
    };
    assert!(!change("wrong", "new").await);
    assert_eq!(accounts.sessions(ada.id).await.unwrap().len(), 2);
    assert!(change("hash", "new").await);
    assert_eq!(accounts.password_hash(ada.id).await.unwrap().as_deref(), Some("new"));
    assert!(!accounts.open_session(under_way).await.unwrap(), "the old password was verified, and is none any more");
    let left: Vec<_> = accounts.sessions(ada.id).await.unwrap().into_iter().map(|session| session.id).collect();
    assert_eq!(left, [mine_id]);
    assert!(accounts.is_revoked(ada.id, other_id).await.unwrap());
    assert!(!accounts.is_revoked(ada.id, mine_id).await.unwrap());
    assert!(!change("hash", "newer").await);
}

fn attempt(name: &str, user: Option<UserId>, network: &str) -> SignInAttempt {
    SignInAttempt { name: name.into(), user, network: network.into() }
}

async fn admitted(accounts: &dyn Accounts, attempt: SignInAttempt) -> bool {
    match accounts.admit_sign_in(attempt, LIMITS).await.unwrap() {
        Admission::Admitted(_) => true,
        Admission::Refused { wait } => {
            assert!(wait > Duration::ZERO && wait <= Duration::from_secs(60), "{wait:?}");
            false
        }
    }
}

pub(crate) async fn each_budget_of_sign_ins_has_its_end(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let mut tried = 0;
    for _ in 0..5 {
        tried += u32::from(admitted(accounts, attempt("ada", None, "net-1")).await);
    }
    assert_eq!(tried, LIMITS.pair, "for one name from one network");
    for network in 2..20 {
        tried += u32::from(admitted(accounts, attempt("ada", None, &format!("net-{network}"))).await);
    }
    assert_eq!(tried, LIMITS.account, "for one name from anywhere");
    let mut tried = 0;
    for name in 0..60 {
        tried += u32::from(admitted(accounts, attempt(&format!("name-{name}"), None, "net-50")).await);
    }
    assert_eq!(tried, LIMITS.network, "for any name from one network");
    assert!(admitted(accounts, attempt("bob", None, "net-60")).await, "others are not affected");
    drop(bed.restart().await);
}

pub(crate) async fn a_used_up_budget_survives_a_restart(bed: impl Testbed) {
    for _ in 0..LIMITS.pair {
        assert!(admitted(&*bed.store().accounts, attempt("ada", None, "net")).await);
    }
    let bed = bed.restart().await;
    assert!(!admitted(&*bed.store().accounts, attempt("ada", None, "net")).await);
}

pub(crate) async fn a_refused_sign_in_uses_up_nothing(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    for _ in 0..20 {
        admitted(accounts, attempt("ada", None, "net-1")).await;
    }
    let left = LIMITS.network - LIMITS.pair;
    for name in 0..left {
        assert!(admitted(accounts, attempt(&format!("name-{name}"), None, "net-1")).await);
    }
}

pub(crate) async fn a_sign_in_that_worked_counts_for_nothing(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    for _ in 0..20 {
        let admission = accounts.admit_sign_in(attempt("ada", None, "net"), LIMITS).await.unwrap();
        let Admission::Admitted(counted) = admission else { panic!("{admission:?}") };
        accounts.forgive_sign_in(counted).await.unwrap();
    }
}

pub(crate) async fn many_sign_ins_at_once_are_no_way_around_a_budget(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let attempts = (0..30).map(|_| admitted(accounts, attempt("ada", None, "net")));
    let admitted = futures::future::join_all(attempts).await.into_iter().filter(|admitted| *admitted).count();
    assert_eq!(admitted, LIMITS.pair as usize);
}

pub(crate) async fn strangers_do_not_lock_an_owner_out(bed: impl Testbed) {
    let accounts = &*bed.store().accounts;
    let ada = registered(accounts, "ada").await;
    let new = NewSession { network: "home".into(), ..session(&ada, refresh(1, 1)) };
    assert!(accounts.open_session(new).await.unwrap());
    for network in 0..20 {
        admitted(accounts, attempt("ada", Some(ada.id), &format!("net-{network}"))).await;
    }
    for name in 0..20 {
        admitted(accounts, attempt(&format!("name-{name}"), None, "home")).await;
    }
    assert!(!admitted(accounts, attempt("ada", Some(ada.id), "elsewhere")).await);
    assert!(!admitted(accounts, attempt("bob", None, "home")).await);
    for _ in 0..LIMITS.pair {
        assert!(admitted(accounts, attempt("ada", Some(ada.id), "home")).await, "from where she signed in before");
    }
    assert!(!admitted(accounts, attempt("ada", Some(ada.id), "home")).await, "and no more often than that");
}
