//! Settle, retry, give up: one outcome, one effect.

use super::*;
use crate::cards::{CardStatus, Network};
use crate::engine::{Retried, Settled};
use crate::tasks::{Effect, Status, TaskFilter};
use crate::time::Instant;

fn card(last4: &str) -> Outcome {
    let effect = Effect::Card { card_ref: format!("ref-{last4}"), last4: last4.into(), network: Network::Visa };
    Outcome::Succeeded { result: raw(&last4), effect: Some(effect) }
}

pub(crate) async fn a_settle_is_final_and_durable(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    assert_eq!(engine.settle(&claim.lease, claim.started_at, done()).await.unwrap(), Settled::Applied);
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
    engine.settle(&claim.lease, claim.started_at, card("1111")).await.unwrap();
    let before = engine.last_event().await.unwrap();
    let other = Outcome::Declined { error: failed() };
    assert_eq!(engine.settle(&claim.lease, claim.started_at, other).await.unwrap(), Settled::AlreadyFinal);
    assert_eq!(engine.settle(&claim.lease, claim.started_at, card("2222")).await.unwrap(), Settled::AlreadyFinal);
    let again = engine.retry_at(&claim.lease, claim.started_at, Instant::now(), failed(), true).await.unwrap();
    assert_eq!(again, Settled::AlreadyFinal);
    assert_eq!(engine.give_up(&claim.lease, claim.started_at, failed()).await.unwrap(), Settled::AlreadyFinal);
    assert_eq!(engine.last_event().await.unwrap(), before);
    let cards = bed.store().accounts.cards(owner).await.unwrap();
    assert_eq!(cards.iter().map(|card| card.last4.as_str()).collect::<Vec<_>>(), ["1111"]);
}

pub(crate) async fn concurrent_settles_take_effect_once(bed: impl Testbed) {
    let owner = UserId::new();
    accepted(&*bed.store().engine, replacement(owner)).await;
    let claim = claim_one(&*bed.store().engine).await;
    let settles = (0..32).map(|number| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move {
            engine.settle(&claim.lease, claim.started_at, card(&format!("{number:04}"))).await.unwrap()
        })
    });
    let mut applied = 0;
    for settle in settles.collect::<Vec<_>>() {
        applied += u32::from(settle.await.unwrap() == Settled::Applied);
    }
    assert_eq!(applied, 1);
    assert_eq!(bed.store().accounts.cards(owner).await.unwrap().len(), 1);
}

pub(crate) async fn a_settle_counts_even_when_the_delivery_forgot_the_lease(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let first = claim_one(engine).await;
    bed.forget().await;
    let second = claim_one(engine).await;
    assert_eq!(engine.settle(&first.lease, first.started_at, done()).await.unwrap(), Settled::Applied);
    assert_eq!(engine.settle(&second.lease, second.started_at, done()).await.unwrap(), Settled::AlreadyFinal);
    assert_eq!(engine.extend(&[second.lease], Duration::from_secs(1)).await.unwrap(), [second.lease]);
}

pub(crate) async fn a_lost_lease_cannot_retry_or_give_up(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let first = claim_for(engine, Duration::from_millis(50)).await;
    let second = claim_one(engine).await;
    let far = Instant::now().plus(Duration::from_secs(3600));
    let retry = engine.retry_at(&first.lease, first.started_at, far, failed(), true).await.unwrap();
    let give_up = engine.give_up(&first.lease, first.started_at, failed()).await.unwrap();
    assert_eq!((retry, give_up), (Settled::LostLease, Settled::LostLease));
    assert_eq!(engine.settle(&second.lease, second.started_at, done()).await.unwrap(), Settled::Applied);
}

pub(crate) async fn a_card_is_issued_and_the_old_one_blocked(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    for last4 in ["1111", "2222", "3333"] {
        accepted(engine, replacement(owner)).await;
        let claim = claim_one(engine).await;
        engine.settle(&claim.lease, claim.started_at, card(last4)).await.unwrap();
    }
    let cards = bed.store().accounts.cards(owner).await.unwrap();
    let shown: Vec<_> = cards.iter().map(|card| (card.last4.as_str(), card.status)).collect();
    assert_eq!(shown, [("3333", CardStatus::Active), ("2222", CardStatus::Blocked), ("1111", CardStatus::Blocked)]);
    assert_eq!(cards[0].replaces, Some(cards[1].id));
    assert_eq!(cards[2].replaces, None);
}

pub(crate) async fn a_decline_keeps_its_reason(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    let task = accepted(engine, replacement(owner)).await;
    let claim = claim_one(engine).await;
    engine.settle(&claim.lease, claim.started_at, Outcome::Declined { error: failed() }).await.unwrap();
    let task = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((task.status, task.error), (Status::Declined, Some(failed())));
    assert!(bed.store().accounts.cards(owner).await.unwrap().is_empty());
}

pub(crate) async fn a_retry_is_handed_out_when_due_and_not_before(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    let due = Instant::now().plus(Duration::from_millis(600));
    let ended = engine.retry_at(&claim.lease, claim.started_at, due, failed(), true).await.unwrap();
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
    engine.retry_at(&claim.lease, claim.started_at, due, failed(), true).await.unwrap();
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
    engine.retry_at(&claim.lease, claim.started_at, Instant::now(), failed(), false).await.unwrap();
    assert_eq!(engine.last_event().await.unwrap(), events);
    assert_eq!(claim_one(engine).await.attempt, 1);
    assert!(engine.attempts(task.id).await.unwrap().is_empty());
}

pub(crate) async fn a_task_that_was_given_up_is_a_dead_letter(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    let claim = claim_one(engine).await;
    engine.give_up(&claim.lease, claim.started_at, failed()).await.unwrap();
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
    engine.give_up(&claim.lease, claim.started_at, failed()).await.unwrap();
    let Retried::Queued(queued) = engine.retry_dead(task.id).await.unwrap() else { panic!("not queued") };
    assert_eq!((queued.status, queued.attempts, queued.error), (Status::Queued, 0, None));
    assert!(matches!(engine.retry_dead(task.id).await.unwrap(), Retried::NotDead), "twice is once");
    let claim = claim_one(engine).await;
    assert_eq!(claim.attempt, 1);
    engine.settle(&claim.lease, claim.started_at, done()).await.unwrap();
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
    engine.give_up(&claim.lease, claim.started_at, failed()).await.unwrap();
    let newer = accepted(engine, replacement(owner)).await;
    let Retried::Exclusive { open } = engine.retry_dead(dead.id).await.unwrap() else { panic!("not refused") };
    assert_eq!(open, newer.id);
}

pub(crate) async fn a_discarded_dead_letter_keeps_its_reason(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let task = accepted(engine, add()).await;
    assert!(!engine.discard(task.id, "too early".into()).await.unwrap());
    let claim = claim_one(engine).await;
    engine.give_up(&claim.lease, claim.started_at, failed()).await.unwrap();
    assert!(engine.discard(task.id, "bureau lost it".into()).await.unwrap());
    assert!(!engine.discard(task.id, "again".into()).await.unwrap());
    let task = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!(task.status, Status::Dead);
    assert!(task.error.unwrap().message.contains("bureau lost it"));
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
    engine.retry_at(&claim.lease, claim.started_at, Instant::now(), error.clone(), true).await.unwrap();
    assert_eq!(engine.attempts(task).await.unwrap()[0].error, Some(kept.clone()));
    let claim = claim_one(engine).await;
    engine.give_up(&claim.lease, claim.started_at, error.clone()).await.unwrap();
    assert_eq!(engine.get(task).await.unwrap().unwrap().error, Some(kept.clone()));
    assert!(engine.discard(task, odd.into()).await.unwrap());
    let shown = engine.get(task).await.unwrap().unwrap().error.unwrap();
    assert!(!shown.to_string().contains('\0'), "{shown}");

    let task = accepted(engine, add()).await.id;
    let claim = claim_one(engine).await;
    engine.settle(&claim.lease, claim.started_at, Outcome::Declined { error }).await.unwrap();
    assert_eq!(engine.get(task).await.unwrap().unwrap().error, Some(kept));

    let owner = UserId::new();
    let task = accepted(engine, replacement(owner)).await.id;
    let claim = claim_one(engine).await;
    let effect = Effect::Card { card_ref: "ref\x00".into(), last4: "1\x003".into(), network: Network::Visa };
    let outcome = Outcome::Succeeded { result: raw(&serde_json::json!({"odd": odd})), effect: Some(effect) };
    engine.settle(&claim.lease, claim.started_at, outcome).await.unwrap();
    assert_eq!(bed.store().accounts.cards(owner).await.unwrap()[0].last4, "1\u{fffd}3");
    let result = engine.get(task).await.unwrap().unwrap().result.unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(result.get()).unwrap()["odd"], odd);
}
