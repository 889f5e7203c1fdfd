//! What an owner's effects come to: pages, times, sums and versions.

use super::*;
use crate::engine::ErrorKind;
use crate::tasks::{History, StoredEffect};
use crate::time::Instant;

fn keepsake(owner: UserId) -> NewTask {
    NewTask { kind: KEEPSAKE, owner: Some(owner), ..add() }
}

fn worth(amount: i64) -> Outcome {
    let effect = Effect { slot: None, data: raw(&serde_json::json!({ "amount": amount })) };
    Outcome::Succeeded { result: raw(&amount), effect: Some(effect) }
}

/// Leaves effects worth these amounts, in this order.
async fn leave(engine: &dyn Engine, owner: UserId, amounts: &[i64]) -> Vec<TaskId> {
    let mut tasks = Vec::new();
    for amount in amounts {
        tasks.push(accepted(engine, keepsake(owner)).await.id);
        let claim = claim_one(engine).await;
        engine.end(&claim.lease, claim.started_at, End::Settle(worth(*amount))).await.unwrap();
    }
    tasks
}

const fn whole(owner: UserId) -> History {
    History { owner, kind: KEEPSAKE, from: None, to: None }
}

fn amounts(items: &[StoredEffect]) -> Vec<i64> {
    let amount = |one: &StoredEffect| {
        serde_json::from_str::<serde_json::Value>(one.data.get()).unwrap()["amount"].as_i64().unwrap()
    };
    items.iter().map(amount).collect()
}

pub(crate) async fn a_history_pages_newest_first_and_misses_none(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let (owner, other) = (UserId::new(), UserId::new());
    let tasks = leave(engine, owner, &[1, 2, 3, 4, 5]).await;
    leave(engine, other, &[70]).await;
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    for left in [3, 1, 0] {
        let page = engine.history(&whole(owner), cursor.as_deref(), 2).await.unwrap();
        assert_eq!((page.items.len(), page.next.is_some()), (if left == 0 { 1 } else { 2 }, left > 0));
        // What comes meanwhile is newer than all that follows.
        if seen.is_empty() {
            leave(engine, owner, &[6]).await;
        }
        seen.extend(amounts(&page.items));
        cursor = page.next;
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    let first = engine.history(&whole(owner), None, 1000).await.unwrap();
    assert_eq!(amounts(&first.items), [6, 5, 4, 3, 2, 1]);
    assert!(first.next.is_none());
    assert_eq!(first.items[1].task, tasks[4]);
    assert_eq!(engine.effect(tasks[4]).await.unwrap().unwrap().seq, first.items[1].seq);
    assert!(engine.effect(TaskId::new()).await.unwrap().is_none());
    for odd in ["", "x", "1", "1.x", "-", "1.2.3"] {
        let error = engine.history(&whole(owner), Some(odd), 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{odd}");
    }
    let none = engine.history(&whole(UserId::new()), None, 10).await.unwrap();
    assert_eq!((none.items.len(), none.next, none.version), (0, None, 0));
}

pub(crate) async fn a_history_is_of_the_times_that_were_asked_for(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    leave(engine, owner, &[1, 2, 3, 4]).await;
    let all = engine.history(&whole(owner), None, 10).await.unwrap().items;
    let at = |amount: usize| Some(all[4 - amount].at);
    for (from, to, wanted) in [
        (at(2), None, vec![4, 3, 2]),
        (None, at(3), vec![2, 1]),
        (at(2), at(4), vec![3, 2]),
        (at(2), at(2), vec![]),
        (Some(Instant::from_micros(0)), Some(Instant::from_micros(1)), vec![]),
    ] {
        let history = History { from, to, ..whole(owner) };
        let page = engine.history(&history, None, 10).await.unwrap();
        assert_eq!(amounts(&page.items), wanted);
        assert_eq!(page.version, all[0].seq, "whatever was asked for");
        let summary = engine.history_summary(&history).await.unwrap();
        assert_eq!((summary.count, summary.total), (wanted.len() as u64, i128::from(wanted.iter().sum::<i64>())));
        let ends = (wanted.last().and_then(|one| at(*one as usize)), wanted.first().and_then(|one| at(*one as usize)));
        assert_eq!((summary.first_at, summary.last_at), ends);
        // From within the range the pages go on to its beginning and no further.
        if let [_, second, ..] = &page.items[..] {
            let cut = engine.history(&history, None, 1).await.unwrap();
            let next = engine.history(&history, cut.next.as_deref(), 1).await.unwrap();
            assert_eq!(next.items[0].seq, second.seq);
        }
    }
}

/// A sum of the largest amounts does not fit into 64 bits.
pub(crate) async fn sums_are_exact_however_large(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    let most = 100_000_000_000_000_000;
    leave(engine, owner, &[most; 100]).await;
    leave(engine, owner, &[1, 2, most - 1]).await;
    let summary = engine.history_summary(&whole(owner)).await.unwrap();
    assert_eq!((summary.count, summary.total), (103, 101 * i128::from(most) + 2));
    // What looks like an amount, and what only JSON can say.
    for data in [
        serde_json::json!({"item": "\"amount\":5,", "amount": 7}),
        serde_json::json!({"item": "\u{0}\\\"amount\":5}"}),
        serde_json::json!({"amount": "5"}),
        serde_json::json!({"amount": null}),
        serde_json::json!("amount"),
    ] {
        let owner = UserId::new();
        accepted(engine, keepsake(owner)).await;
        let claim = claim_one(engine).await;
        let effect = Effect { slot: None, data: raw(&data) };
        let outcome = Outcome::Succeeded { result: raw(&1), effect: Some(effect) };
        engine.end(&claim.lease, claim.started_at, End::Settle(outcome)).await.unwrap();
        let amount = i128::from(data["amount"].as_i64().unwrap_or(0));
        let summary = engine.history_summary(&whole(owner)).await.unwrap();
        assert_eq!((summary.count, summary.total), (1, amount), "{data}");
        assert_eq!(engine.history(&whole(owner), None, 1).await.unwrap().items[0].data.get(), data.to_string());
    }
}

pub(crate) async fn a_version_is_the_place_of_what_came_last(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    assert_eq!(engine.history_version(owner, KEEPSAKE).await.unwrap(), 0);
    let mut versions = vec![0];
    for _ in 0..3 {
        leave(engine, owner, &[1]).await;
        let version = engine.history_version(owner, KEEPSAKE).await.unwrap();
        assert_eq!(version, i64::try_from(engine.last_event().await.unwrap()).unwrap());
        assert_eq!(engine.history(&whole(owner), None, 1).await.unwrap().version, version);
        assert_eq!(engine.history_summary(&whole(owner)).await.unwrap().version, version);
        // Neither another's nor one of another kind moves it.
        leave(engine, UserId::new(), &[1]).await;
        accepted(engine, replacement(owner)).await;
        let claim = claim_one(engine).await;
        engine.end(&claim.lease, claim.started_at, End::Settle(card("1111"))).await.unwrap();
        assert_eq!(engine.history_version(owner, KEEPSAKE).await.unwrap(), version);
        versions.push(version);
    }
    assert!(versions.is_sorted() && versions.windows(2).all(|two| two[0] < two[1]), "{versions:?}");
    let bed = bed.restart().await;
    assert_eq!(Some(&bed.store().engine.history_version(owner, KEEPSAKE).await.unwrap()), versions.last());
}

/// All changes after a place in the log, page by page.
async fn changes(engine: &dyn Engine, mut after: u64, limit: usize) -> (Vec<(UserId, Kind, u64)>, u64) {
    let mut all = Vec::new();
    loop {
        let page = engine.effects_after(after, limit).await.unwrap();
        assert!(!page.reset);
        all.extend(page.changes);
        if page.cursor == after {
            return (all, after);
        }
        after = page.cursor;
    }
}

pub(crate) async fn the_log_says_whose_effects_have_changed(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    assert_eq!(changes(engine, 0, 10).await, (vec![], 0));
    let (ada, bob) = (UserId::new(), UserId::new());
    let mut wanted = Vec::new();
    for owner in [ada, bob, ada] {
        leave(engine, owner, &[1]).await;
        wanted.push((owner, KEEPSAKE, engine.last_event().await.unwrap()));
        // What has no effect, and what did not succeed, changes none.
        accepted(engine, NewTask { owner: Some(owner), ..add() }).await;
        accepted(engine, keepsake(owner)).await;
        for claim in [claim_one(engine).await, claim_one(engine).await] {
            let end = if claim.kind == ADD { End::Settle(done()) } else { End::GiveUp(failed()) };
            engine.end(&claim.lease, claim.started_at, end).await.unwrap();
        }
    }
    accepted(engine, replacement(bob)).await;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(card("1111"))).await.unwrap();
    let last = engine.last_event().await.unwrap();
    wanted.push((bob, REPLACEMENT, last));
    for limit in [1, 2, 1000] {
        assert_eq!(changes(engine, 0, limit).await, (wanted.clone(), last));
    }
    assert_eq!(changes(engine, wanted[1].2, 10).await, (wanted[2..].to_vec(), last));
    assert_eq!(changes(engine, last, 10).await, (vec![], last));
}

pub(crate) async fn what_is_forgotten_says_nothing_and_still_counts(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let (owner, other, run) = (UserId::new(), UserId::new(), RunId::new());
    leave(engine, other, &[9]).await;
    for amount in 0..3 {
        accepted(engine, NewTask { run: Some(run.clone()), ..keepsake(owner) }).await;
        let claim = claim_one(engine).await;
        engine.end(&claim.lease, claim.started_at, End::Settle(worth(amount))).await.unwrap();
    }
    let before = engine.history(&whole(owner), None, 10).await.unwrap().items;
    assert_eq!(engine.forget(owner, KEEPSAKE).await.unwrap(), 3);
    assert_eq!(engine.forget(owner, KEEPSAKE).await.unwrap(), 0);
    let bed = bed.restart().await;
    let engine = &*bed.store().engine;
    assert!(engine.history(&whole(owner), None, 10).await.unwrap().items.is_empty());
    assert_eq!(engine.history_summary(&whole(owner)).await.unwrap().count, 0);
    let one = engine.effect(before[0].task).await.unwrap().unwrap();
    assert_eq!((one.owner, one.data.get()), (None, "{}"));
    assert_eq!(engine.history_summary(&whole(other)).await.unwrap().total, 9);
    let audit = engine.effects(&run, None, 10).await.unwrap().items;
    assert!(audit.len() == 3 && audit.iter().all(|task| (task.effects, task.finals) == (1, 1)), "{audit:?}");
}
