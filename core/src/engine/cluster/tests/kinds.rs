//! From the schemas that landed before to the present one, with tasks in every state; and processes of the versions before,
//! which go on meanwhile with the functions that they know.

use sqlx::migrate::Migrator;
use uuid::Uuid;

use super::*;
use crate::engine::conformance::{ADD, REPLACEMENT, add, card, cards, claim_one};
use crate::ids::UserId;
use crate::tasks::TaskFilter;

/// Accepts as the version before does: tasks of the two kinds that it knows.
async fn accept_as_before(connection: &mut PgConnection, tasks: &[(Uuid, i16, Option<Uuid>)]) {
    let (mut ids, mut kinds, mut owners, mut payloads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, kind, owner) in tasks {
        ids.push(*id);
        kinds.push(*kind);
        owners.push(*owner);
        payloads.push("{}");
    }
    let none = vec![None::<String>; tasks.len()];
    let runs = vec!["before"; tasks.len()];
    sqlx::query("SELECT * FROM accept_tasks($1, $2, $3, $4, $5, $6, $7, $8, false)")
        .bind(&ids)
        .bind(&kinds)
        .bind(&owners)
        .bind(&runs)
        .bind(&payloads)
        .bind(&none)
        .bind(&none)
        .bind(vec![None::<Vec<u8>>; tasks.len()])
        .fetch_all(&mut *connection)
        .await
        .unwrap();
}

/// Ends attempts as the version before does: 3 retry in an hour, 4 succeeded, 5 declined, 6 dead; with the last digits of a
/// card, or none.
async fn end_as_before(connection: &mut PgConnection, ends: &[(Uuid, i16, Option<&str>)]) {
    let ids: Vec<_> = ends.iter().map(|end| end.0).collect();
    let outcomes: Vec<_> = ends.iter().map(|end| end.1).collect();
    let last4s: Vec<_> = ends.iter().map(|end| end.2).collect();
    let refs: Vec<_> = last4s.iter().map(|last4| last4.map(|last4| format!("iss_{last4}"))).collect();
    let networks: Vec<_> = last4s.iter().map(|last4| last4.map(|_| 2_i16)).collect();
    let cards: Vec<_> = last4s.iter().map(|last4| last4.map(|_| Uuid::now_v7())).collect();
    let errors: Vec<_> = outcomes.iter().map(|outcome| (*outcome != 4).then_some("a-code")).collect();
    let results: Vec<_> = outcomes.iter().map(|outcome| (*outcome == 4).then_some("{}")).collect();
    sqlx::query("SELECT * FROM end_attempts($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, false)")
        .bind(&ids)
        .bind(&outcomes)
        .bind(vec![1_i64; ends.len()])
        .bind(vec![3_600_000_000_i64; ends.len()])
        .bind(vec![true; ends.len()])
        .bind(&results)
        .bind(&errors)
        .bind(&cards)
        .bind(&refs)
        .bind(&last4s)
        .bind(&networks)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
}

/// What the version before shows of a user's cards.
async fn cards_as_before(connection: &mut PgConnection, owner: UserId) -> Vec<(String, i16, bool, Option<Uuid>)> {
    let cards = "SELECT last4, network, active, replaces FROM cards WHERE owner = $1 ORDER BY issued_at DESC, id DESC";
    sqlx::query_as(cards).bind(owner.uuid()).fetch_all(connection).await.unwrap()
}

async fn books(connection: &mut PgConnection) -> (i64, i64, i64, i64, Vec<i64>) {
    let latest = "SELECT last_seq, accepted, settled, dead, open FROM books ORDER BY page DESC LIMIT 1";
    sqlx::query_as(latest).fetch_one(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_version_before_keeps_all_and_its_processes_go_on() {
    goes_on(7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_one_of_the_version_before_that() {
    goes_on(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_one_of_two_versions_before_that() {
    goes_on(5).await;
}

/// From a schema on.
async fn goes_on(before: i64) {
    let database = Database::create();
    let mut old = PgConnection::connect(database.url()).await.unwrap();
    let all = sqlx::migrate!("./migrations");
    let before: Vec<_> = all.iter().filter(|migration| migration.version <= before).cloned().collect();
    Migrator { migrations: before.into(), ..Migrator::DEFAULT }.run_direct(None, &mut old, false).await.unwrap();
    let today = "SELECT ensure_days((ledger_now() / 86400000000)::integer, (ledger_now() / 86400000000)::integer + 1)";
    sqlx::query(today).execute(&mut old).await.unwrap();
    // Two tasks of each kind in every state: queued, retrying, succeeded, declined, dead.
    let (ada, bob) = (UserId::new(), UserId::new());
    let ids: Vec<Uuid> = (0..20).map(|_| TaskId::new().uuid()).collect();
    let owner = |at: usize| Some(if at % 4 < 2 { ada.uuid() } else { bob.uuid() });
    let tasks: Vec<_> = ids.iter().enumerate().map(|(at, id)| (*id, i16::from(at % 2 == 1), owner(at))).collect();
    accept_as_before(&mut old, &tasks).await;
    let states = [3, 4, 5, 6];
    for (state, chunk) in states.iter().zip(ids[4..].chunks(4)) {
        for (at, id) in chunk.iter().enumerate() {
            let card = (*state == 4 && at % 2 == 0).then_some(["1111", "2222"][at / 2]);
            end_as_before(&mut old, &[(*id, *state, card)]).await;
        }
    }
    let totals = books(&mut old).await;
    let shown = cards_as_before(&mut old, ada).await;
    assert_eq!(shown.len(), 1);
    // A running process has prepared what it reads: that must not change its shape.
    let read = "SELECT * FROM events WHERE task = $1 ORDER BY seq DESC LIMIT 1";
    sqlx::query(read).bind(ids[0]).fetch_one(&mut old).await.unwrap();

    let bed = start(database).await;
    assert_eq!(books(&mut old).await, totals, "nothing was counted anew");
    let stats = bed.engine.stats().await.unwrap();
    assert_eq!((stats.accepted_total, stats.settled_total, stats.queue.dead), (20, 12, 4));
    let backlog = |kind| stats.by_kind[&kind].backlog;
    assert_eq!((backlog(REPLACEMENT), backlog(ADD)), (2, 2), "beside two of each that are put off");
    let listed = bed.engine.list(&TaskFilter::default(), None, 100).await.unwrap().items;
    for status in [Status::Queued, Status::Retrying, Status::Succeeded, Status::Declined, Status::Dead] {
        assert_eq!(listed.iter().filter(|task| task.status == status).count(), 4, "{status}");
    }
    let audit = bed.engine.effects(&"before".parse().unwrap(), None, 100).await.unwrap().items;
    assert!(audit.iter().all(|task| task.effects == u32::from(task.status == Status::Succeeded)), "{audit:?}");
    let [first] = &bed.engine.effects_of(ada, REPLACEMENT).await.unwrap()[..] else { panic!("one card") };
    let data: serde_json::Value = serde_json::from_str(first.data.get()).unwrap();
    let wanted = serde_json::json!({"card_ref": "iss_1111", "last4": "1111", "network": "amex"});
    assert_eq!((data, first.slot.as_deref(), first.is_active), (wanted, Some("card"), true));

    // A process of the version before reads the cards where they were, and goes on with the functions that it knows.
    assert_eq!(cards_as_before(&mut old, ada).await, shown);
    sqlx::query(read).bind(ids[0]).fetch_one(&mut old).await.unwrap();
    let later: Vec<Uuid> = (0..2).map(|_| TaskId::new().uuid()).collect();
    accept_as_before(&mut old, &[(later[0], 0, Some(ada.uuid())), (later[1], 1, None)]).await;
    end_as_before(&mut old, &[(later[0], 4, Some("3333")), (later[1], 4, None)]).await;
    let shown = cards_as_before(&mut old, ada).await;
    assert_eq!(
        shown.iter().map(|card| (card.0.as_str(), card.1, card.2)).collect::<Vec<_>>(),
        [("3333", 2, true), ("1111", 2, false)]
    );
    assert_eq!(shown[0].3, Some(first.id));
    let version = bed.engine.history_version(ada, REPLACEMENT).await.unwrap();
    assert!(version > first.seq && first.seq > 0, "what either version settles has its place in the log");
    let effects = bed.engine.effects_of(ada, REPLACEMENT).await.unwrap();
    assert_eq!(
        effects.iter().map(|one| (one.task.uuid(), one.is_active)).collect::<Vec<_>>(),
        [(later[0], true), (first.task.uuid(), false)]
    );
    // And the other way round: what this version settles, the other one shows.
    let claim = claim_one(&*bed.engine).await;
    assert_eq!(claim.kind, REPLACEMENT, "the oldest");
    let issued = crate::tasks::Outcome::Succeeded {
        result: claim.payload.clone(),
        effect: Some(crate::tasks::Effect {
            slot: Some("card".into()),
            data: serde_json::value::to_raw_value(
                &serde_json::json!({"card_ref": "iss_4444", "last4": "4444", "network": "mastercard"}),
            )
            .unwrap(),
        }),
    };
    bed.engine.end(&claim.lease, claim.started_at, End::Settle(issued)).await.unwrap();
    let shown = cards_as_before(&mut old, claim.owner.unwrap()).await;
    assert_eq!((shown[0].0.as_str(), shown[0].1, shown[0].2), ("4444", 1, true));
    assert_eq!(shown.iter().filter(|card| card.2).count(), 1);
}

/// The six lines of SQL that once gave three tasks one place in the log: kinds that the functions did not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_no_program_knows_is_counted_all_the_same() {
    let bed = Bed::new().await;
    let mut connection = PgConnection::connect(bed.address.database.as_str()).await.unwrap();
    for kind in [2_i16, 2, 200] {
        let id = TaskId::new().uuid();
        accept_as_before(&mut connection, &[(id, kind, None)]).await;
    }
    let (last, accepted, settled, dead, open) = books(&mut connection).await;
    assert_eq!((last, accepted, settled, dead), (3, 3, 0, 0));
    assert_eq!((open.len(), open[2], open[200], open.iter().sum::<i64>()), (201, 2, 1, 3));
    let places: Vec<i64> =
        sqlx::query_scalar("SELECT seq FROM tasks ORDER BY id").fetch_all(&mut connection).await.unwrap();
    assert_eq!(places, [1, 2, 3]);
    bed.engine.accept(add()).await.unwrap();
    assert_eq!(books(&mut connection).await.0, 4);
}

/// What others bring while we run is known by its name as soon as there is a task of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_brings_is_listed_streamed_swept_and_not_claimed() {
    let bed = Bed::new().await;
    let newer = KnownKind { code: 9, kind: crate::tasks::Kind::new("newer"), has_effect: true };
    let with = [&KINDS[..], &[newer]].concat();
    let other = Arc::new(open_engine(&bed.address, &bed.settings, &with).await.unwrap());
    let task = match other.accept(NewTask { kind: newer.kind, owner: Some(UserId::new()), ..add() }).await.unwrap() {
        Accepted::New(task, _) => task.id,
        unexpected => panic!("{unexpected:?}"),
    };
    assert_eq!(bed.engine.get(task).await.unwrap().unwrap().kind, newer.kind);
    let events = bed.engine.events_after(&EventFilter::default(), 0, 10).await.unwrap().events;
    assert_eq!(events.iter().map(|event| event.task.kind).collect::<Vec<_>>(), [newer.kind]);
    assert_eq!(bed.engine.stats().await.unwrap().by_kind[&newer.kind].backlog, 1);
    assert!(bed.engine.kinds().await.unwrap().contains(&newer.kind));
    crate::engine::conformance::claim_nothing(&*bed.engine, Duration::from_millis(500)).await;
    // The newer process loses Redis and is gone; an older one sweeps for it.
    other.close().await;
    bed.forget().await;
    let again = Arc::new(open_engine(&bed.address, &bed.settings, &with).await.unwrap());
    let only = ClaimRequest { kinds: vec![newer.kind], ..request(WorkerId::new()) };
    let claims = again.claim(&only).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.lease.task).collect::<Vec<_>>(), [task]);
    again.end(&claims[0].lease, claims[0].started_at, End::Settle(card("1"))).await.unwrap();
    assert!(cards(&*again, claims[0].owner.unwrap()).await.is_empty(), "of another kind");
    again.close().await;
}
