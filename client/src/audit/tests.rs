use card_kinds::{add, replacement};
use proptest::prelude::*;

use super::*;

fn expecting(tasks: &[TaskId]) -> Expectation {
    Expectation { accepted: tasks.iter().map(|task| (*task, 1)).collect(), unanswered: 0, exclusive: true }
}

fn sound(task: TaskId, status: Status) -> EffectCount {
    EffectCount { task, kind: replacement::KIND, status, effects: u32::from(status == Status::Succeeded), finals: 1 }
}

fn tasks(count: usize) -> Vec<TaskId> {
    (0..count).map(|_| TaskId::new()).collect()
}

fn audit(expectation: Expectation, items: &[EffectCount]) -> Audit {
    let mut comparison = Comparison::new(expectation, |_| None, HashMap::new());
    comparison.page(items);
    comparison.finish(None)
}

/// One accepted task, and what the platform holds for it after `fault` was seeded.
fn with_fault(fault: impl FnOnce(&mut EffectCount)) -> Audit {
    let task = TaskId::new();
    let mut item = sound(task, Status::Succeeded);
    fault(&mut item);
    audit(expecting(&[task]), &[item])
}

#[test]
fn what_is_sound_passes_and_is_counted_by_status() {
    let tasks = tasks(4);
    let items = [Status::Succeeded, Status::Declined, Status::Dead, Status::Cancelled];
    let items: Vec<_> = tasks.iter().zip(items).map(|(task, status)| sound(*task, status)).collect();
    let audit = audit(expecting(&tasks), &items);
    assert_eq!((audit.accepted, audit.succeeded, audit.declined, audit.dead, audit.cancelled), (4, 1, 1, 1, 1));
    assert_eq!(audit.sound(), 4);
    assert_eq!((audit.verdict, audit.findings.len()), (Verdict::Pass, 0));
}

#[test]
fn an_audit_of_nothing_proves_nothing() {
    assert_eq!(audit(expecting(&[]), &[]).verdict, Verdict::Inconclusive);
}

#[test]
fn a_missing_id_is_lost_and_named() {
    let tasks = tasks(2);
    let audit = audit(expecting(&tasks), &[sound(tasks[0], Status::Succeeded)]);
    assert_eq!((audit.lost, audit.verdict), (1, Verdict::Fail));
    let found = &audit.findings[0];
    assert_eq!((found.task.as_str(), found.verdict.as_str()), (tasks[1].to_string().as_str(), Wrong::Lost.as_str()));
}

#[test]
fn two_effects_are_a_duplicate() {
    let audit = with_fault(|item| item.effects = 2);
    assert_eq!((audit.duplicate, audit.verdict), (1, Verdict::Fail));
}

#[test]
fn two_final_statuses_are_a_duplicate() {
    assert_eq!(with_fault(|item| item.finals = 2).duplicate, 1);
}

#[test]
fn an_effect_of_what_did_not_succeed_is_a_duplicate() {
    for status in [Status::Declined, Status::Dead, Status::Cancelled] {
        let audit = with_fault(|item| item.status = status);
        assert_eq!((audit.duplicate, audit.sound(), audit.verdict), (1, 0, Verdict::Fail), "{status}");
        assert!(audit.findings[0].detail.contains("with 1 effects instead of 0"), "{}", audit.findings[0].detail);
    }
}

#[test]
fn a_cancelled_task_that_was_never_announced_or_twice_is_found() {
    let cancelled = |finals| with_fault(|item| *item = EffectCount { finals, ..sound(item.task, Status::Cancelled) });
    assert_eq!((cancelled(0).lost, cancelled(1).cancelled, cancelled(2).duplicate), (1, 1, 1));
}

#[test]
fn a_success_without_its_effect_is_lost() {
    assert_eq!(with_fault(|item| item.effects = 0).lost, 1);
}

#[test]
fn an_end_that_was_never_announced_is_lost() {
    assert_eq!(with_fault(|item| item.finals = 0).lost, 1);
}

#[test]
fn what_is_not_final_is_stuck() {
    for status in [Status::Queued, Status::Running, Status::Retrying] {
        let audit = with_fault(|item| *item = EffectCount { effects: 0, finals: 0, ..sound(item.task, status) });
        assert_eq!((audit.stuck, audit.verdict), (1, Verdict::Fail), "{status}");
    }
}

#[test]
fn what_could_not_be_read_is_unverified_and_no_loss() {
    let tasks = tasks(3);
    let mut comparison = Comparison::new(expecting(&tasks), |_| None, HashMap::new());
    comparison.page(&[sound(tasks[0], Status::Succeeded)]);
    let audit = comparison.finish(Some("the second page timed out".to_owned()));
    assert_eq!((audit.succeeded, audit.unverified, audit.lost), (1, 2, 0));
    assert_eq!(audit.verdict, Verdict::Inconclusive);
}

#[test]
fn a_certain_fault_outweighs_what_is_unverified() {
    let tasks = tasks(2);
    let mut comparison = Comparison::new(expecting(&tasks), |_| None, HashMap::new());
    comparison.page(&[EffectCount { effects: 2, ..sound(tasks[0], Status::Succeeded) }]);
    assert_eq!(comparison.finish(Some("cut".to_owned())).verdict, Verdict::Fail);
}

#[test]
fn the_same_id_for_two_orders_loses_one() {
    let task = TaskId::new();
    let mut expectation = expecting(&[task]);
    expectation.accepted.insert(task, 2);
    let audit = audit(expectation, &[sound(task, Status::Succeeded)]);
    assert_eq!((audit.accepted, audit.succeeded, audit.lost), (2, 1, 1));
}

#[test]
fn a_task_that_a_lost_answer_explains_is_no_duplicate_and_one_more_is() {
    let tasks = tasks(3);
    let items: Vec<_> = tasks.iter().map(|task| sound(*task, Status::Succeeded)).collect();
    let one_unanswered = Expectation { unanswered: 1, ..expecting(&tasks[..1]) };
    assert_eq!(audit(one_unanswered.clone(), &items[..2]).verdict, Verdict::Pass);
    assert_eq!(audit(one_unanswered.clone(), &items).duplicate, 1);
    let shared = Expectation { exclusive: false, ..one_unanswered };
    assert_eq!(audit(shared, &items).verdict, Verdict::Pass, "a shared run holds the tasks of others");
}

#[test]
fn two_outcomes_of_one_task_are_a_duplicate() {
    let task = TaskId::new();
    let compare = |seen, held| {
        let mut comparison = Comparison::new(expecting(&[task]), |_| Some(seen), HashMap::new());
        comparison.page(&[sound(task, held)]);
        comparison.finish(None).duplicate
    };
    assert_eq!(compare(Status::Succeeded, Status::Declined), 1);
    assert_eq!(compare(Status::Declined, Status::Declined), 0);
    assert_eq!(compare(Status::Succeeded, Status::Cancelled), 1, "what was done can't be called off");
    assert_eq!(compare(Status::Cancelled, Status::Succeeded), 1, "what was called off must not be done");
    assert_eq!(compare(Status::Cancelled, Status::Cancelled), 0);
    assert_eq!(compare(Status::Dead, Status::Cancelled), 0, "an operator may retry a dead one and call it off");
    assert_eq!(compare(Status::Dead, Status::Succeeded), 0, "an operator may retry a dead one");
}

#[test]
fn the_same_id_on_two_pages_is_a_duplicate() {
    let task = TaskId::new();
    let item = sound(task, Status::Succeeded);
    assert_eq!(audit(expecting(&[task]), &[item.clone(), item]).duplicate, 1);
}

#[test]
fn a_million_ids_are_compared_in_seconds() {
    let tasks = tasks(1_000_000);
    let mut comparison = Comparison::new(expecting(&tasks), |_| None, HashMap::new());
    for page in tasks.chunks(1000) {
        comparison.page(&page.iter().map(|task| sound(*task, Status::Succeeded)).collect::<Vec<_>>());
    }
    let audit = comparison.finish(None);
    assert_eq!((audit.succeeded, audit.verdict), (1_000_000, Verdict::Pass));
}

fn any_status() -> impl Strategy<Value = Status> {
    proptest::sample::select(Status::ALL.to_vec())
}

proptest! {
    /// Whatever the platform holds, each accepted order ends up in exactly one box.
    #[test]
    fn every_accepted_id_is_in_one_box(
        held in proptest::collection::vec((any_status(), 0_u32..3, 0_u32..3, any::<bool>()), 0..60), complete: bool,
    ) {
        let tasks = tasks(held.len());
        let mut comparison = Comparison::new(expecting(&tasks), |_| None, HashMap::new());
        for (task, (status, effects, finals, present)) in tasks.iter().zip(&held) {
            if *present {
                comparison.page(&[EffectCount {
                    task: *task, kind: add::KIND, status: *status, effects: *effects, finals: *finals,
                }]);
            }
        }
        let audit = comparison.finish((!complete).then(|| "cut".to_owned()));
        let sound = audit.sound();
        prop_assert_eq!(sound + audit.lost + audit.duplicate + audit.stuck + audit.unverified, audit.accepted);
        prop_assert_eq!(audit.findings.len() as u64, audit.lost + audit.duplicate + audit.stuck);
        let missing = held.iter().filter(|(.., present)| !present).count() as u64;
        prop_assert_eq!(audit.unverified, if complete { 0 } else { missing });
    }
}
