//! What every engine must hold, as tests that run the same for each.
//!
//! [`engine_conformance!`](crate::engine_conformance) expands all of them for one [`Testbed`]. A case that is written
//! and not listed in the macro is dead code, which the lints refuse: no engine can leave one out.

mod accepting;
mod accounts;
mod ending;
mod histories;
mod leasing;
mod operating;
mod options;
mod reading;

use std::future::Future;
use std::time::Duration;

use serde_json::value::{RawValue, to_raw_value};

use super::{Accepted, Claim, ClaimRequest, Engine, EventFilter, KnownKind, Retried, Store, TaskEvent};
use crate::ids::{RunId, TaskId, UserId, WorkerId};
use crate::tasks::{Effect, End, Idempotency, Kind, NewTask, Outcome, Priority, Task, TaskError};

pub(crate) use self::accepting::*;
pub(crate) use self::accounts::*;
pub(crate) use self::ending::*;
pub(crate) use self::histories::*;
pub(crate) use self::leasing::*;
pub(crate) use self::operating::*;
pub(crate) use self::options::*;
pub(crate) use self::reading::*;

/// Without an effect.
pub(crate) const ADD: Kind = Kind::new("add");
/// With an effect that takes the place of the one before.
pub(crate) const REPLACEMENT: Kind = Kind::new("replacement");
/// With effects that stay beside each other, under the last code that there is.
pub(crate) const KEEPSAKE: Kind = Kind::new("keepsake");

/// What a [`Testbed`] opens its store with. The engines know of no kind but those that they are given.
pub(crate) const KINDS: [KnownKind; 3] = [
    KnownKind { code: 0, kind: REPLACEMENT, has_effect: true },
    KnownKind { code: 1, kind: ADD, has_effect: false },
    KnownKind { code: 255, kind: KEEPSAKE, has_effect: true },
];

pub(crate) fn all_kinds() -> Vec<Kind> {
    KINDS.map(|known| known.kind).to_vec()
}

/// An engine with a store of its own, made for one test.
pub(crate) trait Testbed: Sized + Send + Sync {
    /// A new, empty store.
    fn new() -> impl Future<Output = Self> + Send;

    fn store(&self) -> &Store;

    /// Closes the engine and opens it again on the same data: all that is in memory is lost.
    fn restart(self) -> impl Future<Output = Self> + Send;

    /// Makes the delivery lose everything at once, as a wiped Redis does.
    fn forget(&self) -> impl Future<Output = ()> + Send;
}

/// Expands every conformance case as a test of this testbed.
macro_rules! engine_conformance {
    ($bed:ty) => {
        $crate::engine::conformance::engine_conformance! { @cases $bed:
            an_accepted_task_survives_a_restart
            the_same_key_and_request_get_the_first_answer
            the_same_key_with_another_request_is_refused
            a_key_belongs_to_its_owner
            concurrent_accepts_with_one_key_make_one_task
            of_64_concurrent_exclusive_accepts_one_wins
            exclusivity_ends_when_the_task_is_final
            an_idempotent_replay_comes_before_exclusivity
            a_key_that_no_store_could_hold_is_refused
            a_dropped_accept_leaves_no_half
            a_claim_hands_out_the_oldest_first
            a_claim_hands_each_task_to_one_worker
            a_claim_takes_only_the_kinds_it_asks_for
            a_waiting_claim_wakes_when_work_arrives
            a_claim_takes_of_a_kind_no_more_than_there_is_room_for
            a_wait_ends_when_the_worker_would_ask_for_something_else
            an_expired_lease_is_handed_out_again
            an_extended_lease_is_not
            an_expired_lease_that_was_taken_is_lost
            a_claimed_task_comes_back_after_a_restart
            what_the_delivery_forgot_comes_back
            more_than_the_delivery_holds_is_handed_out_in_full
            a_kind_that_nobody_claims_holds_no_other_up
            every_waiting_claimer_hears_of_its_kind
            a_settle_is_final_and_durable
            a_second_settle_changes_nothing_and_is_told
            concurrent_settles_take_effect_once
            a_settle_counts_even_when_the_delivery_forgot_the_lease
            a_lost_lease_cannot_retry_or_give_up
            an_effect_takes_the_place_of_the_one_before
            effects_without_a_slot_stay_beside_each_other
            effects_of_one_slot_in_one_batch_follow_each_other
            a_history_pages_newest_first_and_misses_none
            a_history_is_of_the_times_that_were_asked_for
            sums_are_exact_however_large
            a_version_is_the_place_of_what_came_last
            the_log_says_whose_effects_have_changed
            what_is_forgotten_says_nothing_and_still_counts
            a_kind_that_nobody_has_brought_is_refused_by_name
            each_kind_is_counted_by_itself
            a_decline_keeps_its_reason
            what_others_say_is_kept_whatever_is_in_it
            a_retry_is_handed_out_when_due_and_not_before
            a_retry_due_later_survives_a_restart
            an_attempt_that_was_not_made_does_not_count
            a_task_that_was_given_up_is_a_dead_letter
            a_dead_letter_can_be_retried_with_its_history
            a_retry_of_a_dead_letter_respects_exclusivity
            a_discarded_dead_letter_keeps_its_reason
            events_come_in_commit_order_without_gaps
            a_reader_that_resumes_misses_nothing
            filters_let_through_what_they_mean
            a_reader_beside_writers_never_skips
            wake_ups_come_for_what_was_subscribed
            a_running_task_is_announced_and_shown
            lists_page_newest_first
            lists_filter
            a_foreign_cursor_is_refused
            a_paused_queue_accepts_and_hands_out_nothing
            a_pause_survives_a_restart
            stats_count_what_is_there
            the_scaling_signal_follows_the_backlog
            a_cancelled_task_is_final_whatever_it_was_and_has_no_effect
            what_is_final_is_not_cancelled
            of_a_cancel_and_a_settle_at_once_one_takes_effect
            what_is_due_later_waits_for_its_time_and_survives_a_restart
            many_that_are_due_at_the_very_same_time_are_all_handed_out
            of_what_waits_each_priority_has_its_share
            a_priority_survives_what_delivery_forgets
            a_cleaned_run_leaves_nothing_and_the_rest_untouched
            a_settle_of_a_cleaned_task_is_told
            a_clean_up_leaves_people_alone
            what_a_person_ordered_under_a_run_stays_when_both_are_gone
            the_audit_counts_effects
            registration_is_unique_whatever_the_case
            a_name_that_nobody_can_have_is_nobodys
            a_refresh_token_works_once
            a_session_takes_one_row_however_often_it_is_refreshed
            a_session_ends_for_good_however_often_it_is_refreshed
            sessions_are_listed_and_ended_one_by_one
            one_user_has_so_many_sessions_and_no_more
            tokens_are_made_only_for_a_user_who_is_there
            of_a_sign_in_and_a_deletion_at_once_no_token_is_left
            a_deleted_user_is_refused_at_once_and_after_a_restart
            a_revocation_is_announced
            a_new_password_ends_the_other_sessions_and_sign_ins_with_the_old_one
            each_budget_of_sign_ins_has_its_end
            a_used_up_budget_survives_a_restart
            a_refused_sign_in_uses_up_nothing
            a_sign_in_that_worked_counts_for_nothing
            many_sign_ins_at_once_are_no_way_around_a_budget
            strangers_do_not_lock_an_owner_out
            a_closed_engine_refuses_politely
            the_engine_answers_a_ping
        }
    };
    (@cases $bed:ty: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let bed = <$bed as $crate::engine::conformance::Testbed>::new().await;
                let case = $crate::engine::conformance::$case(bed);
                let minute = std::time::Duration::from_secs(60);
                tokio::time::timeout(minute, case).await.expect("the case ends within a minute");
            }
        )*
    };
}
pub(crate) use engine_conformance;

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

pub(crate) fn add() -> NewTask {
    NewTask {
        id: TaskId::new(),
        kind: ADD,
        owner: None,
        run: None,
        payload: raw(&serde_json::json!({"x": 2, "y": 3})),
        exclusive: None,
        idempotency: None,
        priority: Priority::Normal,
        due_at: None,
    }
}

pub(crate) fn add_in(run: &RunId) -> NewTask {
    NewTask { run: Some(run.clone()), ..add() }
}

pub(crate) fn replacement(owner: UserId) -> NewTask {
    NewTask {
        kind: REPLACEMENT,
        owner: Some(owner),
        payload: RawValue::from_string(r#"{"reason":"lost"}"#.into()).unwrap(),
        exclusive: Some(format!("replacement:{owner}")),
        ..add()
    }
}

pub(crate) async fn accepted(engine: &dyn Engine, new: NewTask) -> Task {
    match engine.accept(new).await.unwrap() {
        Accepted::New(task, _) => task,
        other => panic!("not new: {other:?}"),
    }
}

pub(crate) fn request(worker: WorkerId) -> ClaimRequest {
    ClaimRequest {
        worker,
        host: "here".into(),
        kinds: all_kinds(),
        max: 100,
        lease: Duration::from_secs(30),
        wait: Duration::from_secs(10),
        most: std::collections::BTreeMap::new(),
        enough: None,
    }
}

/// Claims exactly one task, waiting for it.
pub(crate) async fn claim_one(engine: &dyn Engine) -> Claim {
    claim_for(engine, Duration::from_secs(30)).await
}

pub(crate) async fn claim_for(engine: &dyn Engine, lease: Duration) -> Claim {
    let request = ClaimRequest { max: 1, lease, ..request(WorkerId::new()) };
    engine.claim(&request).await.unwrap().pop().expect("a task within ten seconds")
}

pub(crate) async fn claim_nothing(engine: &dyn Engine, wait: Duration) {
    let claims = engine.claim(&ClaimRequest { wait, ..request(WorkerId::new()) }).await.unwrap();
    assert!(claims.is_empty(), "{claims:?}");
}

pub(crate) fn done() -> Outcome {
    Outcome::Succeeded { result: raw(&serde_json::json!({"sum": 5})), effect: None }
}

/// What a replacement leaves: a card with a number, in place of the one before.
pub(crate) fn card(number: &str) -> Outcome {
    let effect = Effect { slot: Some("card".into()), data: raw(&number) };
    Outcome::Succeeded { result: raw(&number), effect: Some(effect) }
}

/// The numbers of an owner's cards, newest first, and which are active.
pub(crate) async fn cards(engine: &dyn Engine, owner: UserId) -> Vec<(String, bool)> {
    let effects = engine.effects_of(owner, REPLACEMENT).await.unwrap();
    effects.iter().map(|one| (serde_json::from_str(one.data.get()).unwrap(), one.is_active)).collect()
}

pub(crate) fn failed() -> TaskError {
    TaskError { code: "issuer-unavailable".into(), message: "the issuer answered 503".into() }
}

/// All events of a filter after a place, page by page.
pub(crate) async fn all_events(
    engine: &dyn Engine,
    filter: &EventFilter,
    mut after: u64,
    page: usize,
) -> Vec<TaskEvent> {
    let mut events = Vec::new();
    loop {
        let read = engine.events_after(filter, after, page).await.unwrap();
        assert!(!read.reset);
        if read.events.is_empty() && read.cursor == after {
            return events;
        }
        assert!(read.cursor >= after);
        after = read.cursor;
        events.extend(read.events);
    }
}
