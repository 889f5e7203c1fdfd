//! Settle, retry, give up: one outcome, one effect.

use super::*;
use crate::engine::{ErrorKind, Retried, Settled};
use crate::tasks::{Status, TaskFilter};
use crate::time::Instant;

pub(crate) async fn a_settle_is_final_and_durable(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    assert_eq!(engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap(), Settled::Applied);
    let bed = bed.restart().await;
    let engine = &*bed.store().engine;
    let task = engine.get(claim.lease.task).await.unwrap().unwrap();
    assert_eq!((task.status, task.attempts, task.started_at), (Status::Succeeded, 1, Some(claim.started_at)));
    assert!(task.settled_at.unwrap() >= task.accepted_at);
    assert_eq!(task.result.unwrap().get(), r#"{"sum":5}"#);
    claim_nothing(engine, Duration::from_millis(1500)).await;
}

pub(crate) async fn a_second_settle_changes_nothing_and_is_told(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    accepted(engine, replacement(owner)).await;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(card("1111"))).await.unwrap();
    let before = engine.last_event().await.unwrap();
    let other = Outcome::Declined { error: failed() };
    assert_eq!(engine.end(&claim.lease, claim.started_at, End::Settle(other)).await.unwrap(), Settled::AlreadyFinal);
    assert_eq!(
        engine.end(&claim.lease, claim.started_at, End::Settle(card("2222"))).await.unwrap(),
        Settled::AlreadyFinal
    );
    let again = engine
        .end(&claim.lease, claim.started_at, End::RetryAt { due: Instant::now(), error: failed(), counts: true })
        .await
        .unwrap();
    assert_eq!(again, Settled::AlreadyFinal);
    assert_eq!(engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap(), Settled::AlreadyFinal);
    assert_eq!(engine.last_event().await.unwrap(), before);
    assert_eq!(cards(engine, owner).await, [("1111".into(), true)]);
}

pub(crate) async fn concurrent_settles_take_effect_once(bed: impl Testbed) {
    let owner = UserId::new();
    accepted(&*bed.store().engine, replacement(owner)).await;
    let claim = claim_one(&*bed.store().engine).await;
    let settles = (0..32).map(|number| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move {
            engine.end(&claim.lease, claim.started_at, End::Settle(card(&format!("{number:04}")))).await.unwrap()
        })
    });
    let mut applied = 0;
    for settle in settles.collect::<Vec<_>>() {
        applied += u32::from(settle.await.unwrap() == Settled::Applied);
    }
    assert_eq!(applied, 1);
    assert_eq!(cards(&*bed.store().engine, owner).await.len(), 1);
}

pub(crate) async fn a_settle_counts_even_when_the_delivery_forgot_the_lease(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let first = claim_one(engine).await;
    bed.forget().await;
    let second = claim_one(engine).await;
    assert_eq!(engine.end(&first.lease, first.started_at, End::Settle(done())).await.unwrap(), Settled::Applied);
    assert_eq!(engine.end(&second.lease, second.started_at, End::Settle(done())).await.unwrap(), Settled::AlreadyFinal);
    assert_eq!(engine.extend(&[second.lease], Duration::from_secs(1)).await.unwrap(), [second.lease]);
}

pub(crate) async fn a_lost_lease_cannot_retry_or_give_up(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let first = claim_for(engine, Duration::from_millis(50)).await;
    let second = claim_one(engine).await;
    let far = Instant::now().plus(Duration::from_secs(3600));
    let retry = engine
        .end(&first.lease, first.started_at, End::RetryAt { due: far, error: failed(), counts: true })
        .await
        .unwrap();
    let give_up = engine.end(&first.lease, first.started_at, End::GiveUp(failed())).await.unwrap();
    assert_eq!((retry, give_up), (Settled::LostLease, Settled::LostLease));
    assert_eq!(engine.end(&second.lease, second.started_at, End::Settle(done())).await.unwrap(), Settled::Applied);
}

pub(crate) async fn an_effect_takes_the_place_of_the_one_before(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let (owner, mut tasks) = (UserId::new(), Vec::new());
    for number in ["1111", "2222", "3333"] {
        tasks.insert(0, accepted(engine, replacement(owner)).await.id);
        let claim = claim_one(engine).await;
        engine.end(&claim.lease, claim.started_at, End::Settle(card(number))).await.unwrap();
    }
    let shown = [("3333".into(), true), ("2222".into(), false), ("1111".into(), false)];
    assert_eq!(cards(engine, owner).await, shown);
    let bed = bed.restart().await;
    let effects = bed.store().engine.effects_of(owner, REPLACEMENT).await.unwrap();
    assert_eq!(effects.iter().map(|one| one.task).collect::<Vec<_>>(), tasks);
    let replaced: Vec<_> = effects.iter().map(|one| one.replaces).collect();
    assert_eq!(replaced, [Some(effects[1].id), Some(effects[2].id), None]);
    assert!(bed.store().engine.effects_of(UserId::new(), REPLACEMENT).await.unwrap().is_empty());
    assert!(bed.store().engine.effects_of(owner, KEEPSAKE).await.unwrap().is_empty());
}

/// Accepts tasks, claims them all, and settles them at once.
async fn settle_at_once(bed: &impl Testbed, tasks: Vec<NewTask>, outcome: impl Fn(usize) -> Outcome) {
    let count = tasks.len();
    for task in tasks {
        accepted(&*bed.store().engine, task).await;
    }
    let mut claims = Vec::new();
    while claims.len() < count {
        claims.extend(bed.store().engine.claim(&request(WorkerId::new())).await.unwrap());
    }
    let settles: Vec<_> = claims
        .into_iter()
        .enumerate()
        .map(|(at, claim)| {
            let (engine, outcome) = (bed.store().engine.clone(), outcome(at));
            tokio::spawn(async move { engine.end(&claim.lease, claim.started_at, End::Settle(outcome)).await.unwrap() })
        })
        .collect();
    for settle in settles {
        assert_eq!(settle.await.unwrap(), Settled::Applied);
    }
}

pub(crate) async fn effects_without_a_slot_stay_beside_each_other(bed: impl Testbed) {
    let owner = UserId::new();
    let keepsake = || NewTask { kind: KEEPSAKE, owner: Some(owner), ..add() };
    settle_at_once(&bed, (0..40).map(|_| keepsake()).collect(), |at| Outcome::Succeeded {
        result: raw(&at),
        effect: Some(Effect { slot: None, data: raw(&at) }),
    })
    .await;
    let effects = bed.store().engine.effects_of(owner, KEEPSAKE).await.unwrap();
    assert_eq!(effects.len(), 40);
    assert!(effects.iter().all(|one| one.is_active && one.replaces.is_none() && one.owner == Some(owner)));
}

/// Nothing but the seam keeps a kind from having several open at once.
pub(crate) async fn effects_of_one_slot_in_one_batch_follow_each_other(bed: impl Testbed) {
    let owners = [UserId::new(), UserId::new(), UserId::new()];
    let tasks = (0..30).map(|at| NewTask { exclusive: None, ..replacement(owners[at % 3]) }).collect();
    settle_at_once(&bed, tasks, |at| card(&format!("{at:04}"))).await;
    for owner in owners {
        let effects = bed.store().engine.effects_of(owner, REPLACEMENT).await.unwrap();
        assert_eq!(effects.len(), 10);
        assert_eq!(effects.iter().filter(|one| one.is_active).count(), 1);
        // Each but the first replaced another one.
        let replaced: std::collections::HashSet<_> = effects.iter().filter_map(|one| one.replaces).collect();
        assert_eq!(replaced.len(), 9);
        assert!(effects.iter().all(|one| one.is_active != replaced.contains(&one.id)));
    }
}

pub(crate) async fn a_kind_that_nobody_has_brought_is_refused_by_name(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let before = engine.last_event().await.unwrap();
    let error = engine.accept(NewTask { kind: Kind::new("unheard-of"), ..add() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("unheard-of"), "{error}");
    assert_eq!(engine.last_event().await.unwrap(), before);
    let filter = TaskFilter { kind: Some(Kind::new("unheard-of")), ..TaskFilter::default() };
    assert!(engine.list(&filter, None, 10).await.unwrap().items.is_empty());
    assert_eq!(engine.kinds().await.unwrap(), all_kinds());
}

/// A kind that the counters forget is how the log once lost tasks: the next ones got the same places.
pub(crate) async fn each_kind_is_counted_by_itself(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let counted = async || {
        let stats = engine.stats().await.unwrap();
        let by_kind: Vec<_> = all_kinds().iter().map(|kind| stats.by_kind[kind].backlog).collect();
        (stats.accepted_total, stats.settled_total, stats.queue.dead, by_kind)
    };
    for (kind, open) in [(KEEPSAKE, [0, 0, 1]), (KEEPSAKE, [0, 0, 2]), (ADD, [0, 1, 2]), (REPLACEMENT, [1, 1, 2])] {
        let before = engine.last_event().await.unwrap();
        accepted(engine, NewTask { kind, ..add() }).await;
        assert!(engine.last_event().await.unwrap() > before, "{kind} took a place of its own");
        let (accepted, settled, _, by_kind) = counted().await;
        assert_eq!((by_kind, accepted), (open.to_vec(), open.iter().sum::<u64>()));
        assert_eq!(settled, 0);
    }
    let only = ClaimRequest { kinds: vec![KEEPSAKE], ..request(WorkerId::new()) };
    let mut claims = Vec::new();
    while claims.len() < 2 {
        claims.extend(engine.claim(&only).await.unwrap());
    }
    let kept = Outcome::Succeeded { result: raw(&1), effect: Some(Effect { slot: None, data: raw(&1) }) };
    engine.end(&claims[0].lease, claims[0].started_at, End::Settle(kept)).await.unwrap();
    assert_eq!(counted().await, (4, 1, 0, vec![1, 1, 1]));
    engine.end(&claims[1].lease, claims[1].started_at, End::GiveUp(failed())).await.unwrap();
    assert_eq!(counted().await, (4, 2, 1, vec![1, 1, 0]));
    let dead = engine.stats().await.unwrap().by_kind;
    assert_eq!(all_kinds().iter().map(|kind| dead[kind].dead).collect::<Vec<_>>(), [0, 0, 1]);
    engine.retry_dead(claims[1].lease.task).await.unwrap();
    assert_eq!(counted().await, (4, 1, 0, vec![1, 1, 1]));
    let bed = bed.restart().await;
    let stats = bed.store().engine.stats().await.unwrap();
    assert_eq!(all_kinds().iter().map(|kind| stats.by_kind[kind].backlog).collect::<Vec<_>>(), [1, 1, 1]);
}

pub(crate) async fn a_decline_keeps_its_reason(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    let task = accepted(engine, replacement(owner)).await;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(Outcome::Declined { error: failed() })).await.unwrap();
    let task = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((task.status, task.error), (Status::Declined, Some(failed())));
    assert!(cards(engine, owner).await.is_empty());
}

pub(crate) async fn a_retry_is_handed_out_when_due_and_not_before(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    let due = Instant::now().plus(Duration::from_millis(600));
    let ended =
        engine.end(&claim.lease, claim.started_at, End::RetryAt { due, error: failed(), counts: true }).await.unwrap();
    assert_eq!(ended, Settled::Applied);
    let waiting = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((waiting.status, waiting.attempts, waiting.error), (Status::Retrying, 1, Some(failed())));
    assert_eq!(waiting.settled_at, None);
    let again = claim_one(engine).await;
    assert!(Instant::now() >= due, "not before it is due");
    assert!(Instant::now().since(due) < Duration::from_secs(2), "within two seconds of it");
    assert_eq!((again.lease.task, again.attempt), (task.id, 2));
}

pub(crate) async fn a_retry_due_later_survives_a_restart(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    let due = Instant::now().plus(Duration::from_millis(700));
    engine.end(&claim.lease, claim.started_at, End::RetryAt { due, error: failed(), counts: true }).await.unwrap();
    let bed = bed.restart().await;
    let again = claim_one(&*bed.store().engine).await;
    assert!(Instant::now() >= due);
    assert_eq!(again.attempt, 2);
}

pub(crate) async fn an_attempt_that_was_not_made_does_not_count(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    let events = engine.last_event().await.unwrap();
    engine
        .end(&claim.lease, claim.started_at, End::RetryAt { due: Instant::now(), error: failed(), counts: false })
        .await
        .unwrap();
    assert_eq!(engine.last_event().await.unwrap(), events);
    assert_eq!(claim_one(engine).await.attempt, 1);
    assert!(engine.attempts(task.id).await.unwrap().is_empty());
}

pub(crate) async fn a_task_that_was_given_up_is_a_dead_letter(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    let dead = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((dead.status, dead.error), (Status::Dead, Some(failed())));
    assert_eq!(engine.stats().await.unwrap().queue.dead, 1);
    let filter = TaskFilter { status: Some(Status::Dead), ..TaskFilter::default() };
    assert_eq!(engine.list(&filter, None, 10).await.unwrap().items.len(), 1);
    claim_nothing(engine, Duration::from_millis(50)).await;
}

pub(crate) async fn a_dead_letter_can_be_retried_with_its_history(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    assert!(matches!(engine.retry_dead(task.id).await.unwrap(), Retried::NotDead));
    assert!(matches!(engine.retry_dead(TaskId::new()).await.unwrap(), Retried::NotFound));
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    let Retried::Queued(queued) = engine.retry_dead(task.id).await.unwrap() else { panic!("not queued") };
    assert_eq!((queued.status, queued.attempts, queued.error), (Status::Queued, 0, None));
    assert!(matches!(engine.retry_dead(task.id).await.unwrap(), Retried::NotDead), "twice is once");
    let claim = claim_one(engine).await;
    assert_eq!(claim.attempt, 1);
    engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    let history = engine.attempts(task.id).await.unwrap();
    let shown: Vec<_> = history.iter().map(|attempt| (attempt.number, attempt.status, attempt.error.clone())).collect();
    assert_eq!(shown, [(1, Status::Dead, Some(failed())), (2, Status::Succeeded, None)]);
    assert_eq!(engine.get(task.id).await.unwrap().unwrap().error, None);
    let stats = engine.stats().await.unwrap();
    assert_eq!((stats.queue.dead, stats.settled_total), (0, 1));
}

pub(crate) async fn a_retry_of_a_dead_letter_respects_exclusivity(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    let dead = accepted(engine, replacement(owner)).await;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    let newer = accepted(engine, replacement(owner)).await;
    let Retried::Exclusive { open } = engine.retry_dead(dead.id).await.unwrap() else { panic!("not refused") };
    assert_eq!(open, newer.id);
}

pub(crate) async fn a_discarded_dead_letter_keeps_its_reason(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    assert!(!engine.discard(task.id, "too early".into()).await.unwrap());
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    assert!(engine.discard(task.id, "issuer lost it".into()).await.unwrap());
    assert!(!engine.discard(task.id, "again".into()).await.unwrap());
    let task = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!(task.status, Status::Dead);
    assert!(task.error.unwrap().message.contains("issuer lost it"));
    assert_eq!(engine.stats().await.unwrap().queue.dead, 0);
    assert!(matches!(engine.retry_dead(task.id).await.unwrap(), Retried::NotDead));
}

pub(crate) async fn what_others_say_is_kept_whatever_is_in_it(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let odd = "\0, \u{1b}[31m, \u{feff}, \u{10ffff} and '; DROP TABLE tasks; --";
    let error = TaskError { code: "odd\0code".into(), message: odd.into() };
    let kept = TaskError { code: "odd\u{fffd}code".into(), message: odd.replace('\0', "\u{fffd}") };

    let task = accepted(engine, add()).await.id;
    let claim = claim_one(engine).await;
    engine
        .end(&claim.lease, claim.started_at, End::RetryAt { due: Instant::now(), error: error.clone(), counts: true })
        .await
        .unwrap();
    assert_eq!(engine.attempts(task).await.unwrap()[0].error, Some(kept.clone()));
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(error.clone())).await.unwrap();
    assert_eq!(engine.get(task).await.unwrap().unwrap().error, Some(kept.clone()));
    assert!(engine.discard(task, odd.into()).await.unwrap());
    let shown = engine.get(task).await.unwrap().unwrap().error.unwrap();
    assert!(!shown.to_string().contains('\0'), "{shown}");

    let task = accepted(engine, add()).await.id;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(Outcome::Declined { error })).await.unwrap();
    assert_eq!(engine.get(task).await.unwrap().unwrap().error, Some(kept));

    let owner = UserId::new();
    let task = accepted(engine, replacement(owner)).await.id;
    let claim = claim_one(engine).await;
    let effect = Effect { slot: Some("a\0b".into()), data: raw(&odd) };
    let outcome = Outcome::Succeeded { result: raw(&serde_json::json!({"odd": odd})), effect: Some(effect) };
    engine.end(&claim.lease, claim.started_at, End::Settle(outcome)).await.unwrap();
    let effect = &engine.effects_of(owner, REPLACEMENT).await.unwrap()[0];
    assert_eq!(effect.slot.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(serde_json::from_str::<String>(effect.data.get()).unwrap(), odd);
    let result = engine.get(task).await.unwrap().unwrap().result.unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(result.get()).unwrap()["odd"], odd);
}
