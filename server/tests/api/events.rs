use std::collections::{HashMap, HashSet};

use card_core::problem::Code;
use card_core::tasks::Status;
use reqwest::Method;
use serde_json::json;

use crate::app::{OPERATOR, TestApp, problem};
use crate::stream::{Event, EventStream};

async fn pause(app: &TestApp, to: &str) {
    let response = app.request(Method::POST, &format!("/queue/{to}")).bearer_auth(OPERATOR).send().await.unwrap();
    assert_eq!(response.status(), 204);
}

#[tokio::test]
async fn a_tasks_stream_tells_the_present_state_each_change_and_ends() {
    let app = TestApp::start().await;
    pause(&app, "pause").await;
    let token = app.user("r").await;
    let task = app.replace(&token).await;
    let mut stream = EventStream::open(app.get(&format!("/tasks/{}/events", task.id), &token)).await;
    let first = stream.state().await.unwrap();
    assert_eq!((first.task().status, first.id.is_some()), (Status::Queued, true));
    pause(&app, "resume").await;
    let mut told = Vec::new();
    while let Some(event) = stream.state().await {
        assert_eq!(event.id.is_some(), event.task().status != Status::Running, "an id only on what is durable");
        told.push(event.task().status);
    }
    assert_eq!(told.last(), Some(&Status::Succeeded));
    assert!(told[..told.len() - 1].iter().all(|status| *status == Status::Running), "{told:?}");
}

#[tokio::test]
async fn the_stream_of_a_final_task_tells_it_and_ends() {
    let app = TestApp::start().await;
    let task = app.add(OPERATOR, "r").await;
    app.finished(task.id).await;
    let mut stream = EventStream::open(app.get(&format!("/tasks/{}/events", task.id), OPERATOR)).await;
    let only = stream.state().await.unwrap();
    assert_eq!(only.task().status, Status::Succeeded);
    assert_eq!(stream.next().await, None);
    // Resumed after the last event there is nothing left to tell.
    let resumed = app.get(&format!("/tasks/{}/events?from={}", task.id, only.id.unwrap()), OPERATOR);
    assert_eq!(EventStream::open(resumed).await.next().await, None);
    // From the beginning: every durable change, then the end.
    let mut all = EventStream::open(app.get(&format!("/tasks/{}/events?from=0", task.id), OPERATOR)).await;
    assert_eq!(all.state().await.unwrap().task().status, Status::Queued);
    assert_eq!(all.state().await.unwrap().task().status, Status::Succeeded);
    assert_eq!(all.next().await, None);
}

/// Follows a run and cuts its own stream every few events; gives everything durable that was told.
async fn follow_with_cuts(app: &TestApp, run: &str, finals: usize, by_header: bool) -> Vec<Event> {
    let hello = EventStream::open(app.get(&format!("/events?run={run}&from=0"), OPERATOR)).await.next().await.unwrap();
    assert_eq!((hello.kind.as_str(), hello.id), ("hello", None));
    let (mut told, mut at, mut done) = (Vec::<Event>::new(), hello.from(), 0);
    for cut_after in (1..=13).cycle() {
        let request = match by_header {
            true => app.get(&format!("/events?run={run}&from=0"), OPERATOR).header("last-event-id", at.to_string()),
            false => app.get(&format!("/events?run={run}&from={at}"), OPERATOR),
        };
        let mut stream = EventStream::open(request).await;
        for _ in 0..cut_after {
            let event = stream.state().await.unwrap();
            let Some(id) = event.id else { continue };
            at = id;
            done += usize::from(event.task().status.is_final());
            told.push(event);
            if done == finals {
                return told;
            }
        }
    }
    unreachable!()
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let app = TestApp::start().await;
    let submit = async {
        let mut ids = HashSet::new();
        for _ in 0..60 {
            ids.insert(app.add(OPERATOR, "run-1").await.id);
        }
        ids
    };
    let (ids, by_from, by_header) = futures::future::join3(
        submit,
        follow_with_cuts(&app, "run-1", 60, false),
        follow_with_cuts(&app, "run-1", 60, true),
    )
    .await;
    assert_eq!(by_from, by_header, "both ways of resuming tell the same");
    let mut statuses: HashMap<_, Vec<_>> = HashMap::new();
    for event in &by_from {
        statuses.entry(event.task().id).or_default().push(event.task().status);
    }
    assert_eq!(statuses.keys().copied().collect::<HashSet<_>>(), ids);
    assert!(statuses.values().all(|told| *told == [Status::Queued, Status::Succeeded]), "{statuses:?}");
    assert!(by_from.is_sorted_by(|one, next| one.id < next.id));
}

#[tokio::test]
async fn running_is_never_told_after_the_attempt_has_ended() {
    let app = TestApp::start().await;
    let mut stream = EventStream::open(app.get("/events?run=run-1", OPERATOR)).await;
    assert_eq!(stream.next().await.unwrap().kind, "hello");
    let users = app.users("u", 100).await;
    let submit = futures::future::join_all(users.iter().map(|token| {
        let request = app.post("/replacements", token, &json!({"reason": "lost"})).header("x-run-id", "run-1");
        async move { assert_eq!(request.send().await.unwrap().status(), 202) }
    }));
    let watch = async {
        let (mut latest, mut done) = (HashMap::new(), 0);
        while done < 100 {
            let task = stream.state().await.unwrap().task();
            let before = latest.insert(task.id, task.status);
            assert!(!matches!(before, Some(status) if Status::is_final(status)), "{before:?} → {}", task.status);
            assert!(task.status == Status::Queued || before.is_some(), "{} before it was queued", task.status);
            done += usize::from(task.status.is_final());
        }
    };
    futures::future::join(submit, watch).await;
}

#[tokio::test]
async fn a_stream_begins_now_and_says_where() {
    let app = TestApp::without_workers().await;
    let before = app.add(OPERATOR, "r").await;
    let mut stream = EventStream::open(app.get("/events", OPERATOR)).await;
    let hello = stream.next().await.unwrap();
    assert_eq!(stream.comments, ["connected"]);
    assert!(hello.from() >= 1);
    let after = app.add(OPERATOR, "r").await;
    let told = stream.state().await.unwrap();
    assert_eq!(told.task().id, after.id);
    assert_ne!(told.task().id, before.id);
    // Whoever was cut off before the first event resumes at the place that the stream named.
    let mut resumed = EventStream::open(app.get(&format!("/events?from={}", hello.from()), OPERATOR)).await;
    assert_eq!(resumed.state().await.unwrap(), told);
}

#[tokio::test]
async fn a_user_hears_of_its_own_tasks_alone() {
    let app = TestApp::without_workers().await;
    let users = app.users("u", 2).await;
    let (theirs, own) = (app.add(&users[0], "run-1").await, app.add(&users[1], "run-1").await);
    for query in ["from=0".to_owned(), "from=0&run=run-1".to_owned(), format!("from=0&task={},{}", theirs.id, own.id)] {
        let mut stream = EventStream::open(app.get(&format!("/events?{query}"), &users[1])).await;
        assert_eq!(stream.state().await.unwrap().task().id, own.id, "{query}");
    }
    let mut stream = EventStream::open(app.get("/events?run=run-1", &users[1])).await;
    assert_eq!(stream.next().await.unwrap().kind, "hello");
    app.add(&users[0], "run-1").await;
    let more = app.add(&users[1], "run-1").await;
    assert_eq!(stream.state().await.unwrap().task().id, more.id);
}

#[tokio::test]
async fn a_stream_follows_a_list_of_tasks() {
    let app = TestApp::start().await;
    pause(&app, "pause").await;
    let (one, _, three) = (app.add(OPERATOR, "r").await, app.add(OPERATOR, "r").await, app.add(OPERATOR, "r").await);
    let mut stream = EventStream::open(app.get(&format!("/events?task={}&task={}", one.id, three.id), OPERATOR)).await;
    assert_eq!(stream.next().await.unwrap().kind, "hello");
    pause(&app, "resume").await;
    let mut finals = HashSet::new();
    while finals.len() < 2 {
        let event = stream.state().await.unwrap();
        if event.task().status.is_final() {
            finals.insert(event.task().id);
        }
    }
    assert_eq!(finals, HashSet::from([one.id, three.id]));
}

#[tokio::test]
async fn what_is_no_place_or_no_filter_is_refused() {
    let app = TestApp::without_workers().await;
    for query in ["from=x", "from=-1", "from=1&from=2", "task=x", "task=", "run=%20", "tsak=1"] {
        assert_eq!(
            problem(app.get(&format!("/events?{query}"), OPERATOR)).await.code,
            Code::ValidationFailed,
            "{query}"
        );
    }
    let many = vec!["tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b"; 1001].join(",");
    assert!(matches!(problem(app.get(&format!("/events?task={many}"), OPERATOR)).await.status, 422 | 431));
    let problem = problem(app.get("/events", OPERATOR).header("last-event-id", "soon")).await;
    assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, "last-event-id"));
}

#[tokio::test]
async fn a_deleted_users_stream_ends() {
    let app = TestApp::without_workers().await;
    app.register("ada").await;
    let tokens: serde_json::Value = app.sign_in("ada", crate::app::PASSWORD).await.json().await.unwrap();
    let token = tokens["access_token"].as_str().unwrap();
    app.add(token, "r").await;
    let mut stream = EventStream::open(app.get("/events?from=0", token)).await;
    assert!(stream.state().await.is_some());
    assert_eq!(app.delete("/users/me", token).send().await.unwrap().status(), 204);
    assert_eq!(stream.next().await, None);
    assert_eq!(problem(app.get("/events", token)).await.code, Code::Unauthorized);
}

#[tokio::test]
async fn who_asks_for_final_states_hears_of_nothing_else_and_resumes_after_them() {
    let app = TestApp::start().await;
    let mut stream = EventStream::open(app.get("/events?run=r&final=true", OPERATOR)).await;
    assert_eq!(stream.next().await.unwrap().kind, "hello");
    let (first, second) = (app.add(OPERATOR, "r").await, app.add(OPERATOR, "r").await);
    let told = [stream.state().await.unwrap(), stream.state().await.unwrap()];
    assert!(told.iter().all(|event| event.task().status == Status::Succeeded), "{told:?}");
    let ids = HashSet::from(told.each_ref().map(|event| event.task().id));
    assert_eq!(ids, HashSet::from([first.id, second.id]));
    let after = told[0].id.unwrap();
    let mut resumed = EventStream::open(app.get(&format!("/events?run=r&final=true&from={after}"), OPERATOR)).await;
    assert_eq!(resumed.state().await.unwrap(), told[1]);
}
