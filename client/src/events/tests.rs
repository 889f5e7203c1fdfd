//! Faults that a real server does not make on request: a stream cut in the middle of an event, repetitions, garbage.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;

use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use card_core::ids::UserId;
use card_core::problem::{Code, Problem};
use card_core::tasks::{Priority, Status};
use card_kinds::add;
use proptest::prelude::*;

use super::*;

/// One answer to `GET /api/v1/events`.
enum Script {
    /// An event stream that sends this and ends.
    Ends(String),
    /// An event stream that sends this and stays open.
    Stays(String),
    /// A problem.
    Refuses(Code),
}

#[derive(Default)]
struct Stage {
    scripts: Mutex<VecDeque<Script>>,
    /// Where each request asked to resume: by its header, and by its query.
    asked_from: Mutex<Vec<Option<String>>>,
    queries: Mutex<Vec<String>>,
}

fn hello(from: &str) -> String {
    format!("event: hello\ndata: {{\"from\":{from}}}\n\n")
}

impl Stage {
    fn answer(&self, headers: &HeaderMap, query: Option<String>) -> Response {
        let from = headers.get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
        self.asked_from.lock().unwrap().push(from.clone());
        self.queries.lock().unwrap().push(query.unwrap_or_default());
        let stream = |body: Body| ([("content-type", "text/event-stream")], body).into_response();
        // As the server does, unless the script has a beginning of its own.
        let begun = |text: String| match &from {
            Some(from) if !text.starts_with("event: hello") => hello(from) + &text,
            _ => text,
        };
        match self.scripts.lock().unwrap().pop_front() {
            Some(Script::Ends(text)) => stream(Body::from(begun(text))),
            Some(Script::Stays(text)) => {
                let first = futures::stream::iter([Ok::<_, Infallible>(Bytes::from(begun(text)))]);
                stream(Body::from_stream(first.chain(futures::stream::pending())))
            }
            Some(Script::Refuses(code)) => {
                let problem = Problem {
                    kind: String::new(),
                    title: code.title().to_owned(),
                    status: code.status(),
                    detail: "said the stage".to_owned(),
                    instance: "/api/v1/events".to_owned(),
                    code,
                    request_id: String::new(),
                    errors: Vec::new(),
                    open_task: None,
                    task_status: None,
                };
                let status = StatusCode::from_u16(code.status()).unwrap();
                (status, serde_json::to_string(&problem).unwrap()).into_response()
            }
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
}

async fn stage(scripts: impl IntoIterator<Item = Script>) -> (Arc<Stage>, Client) {
    let stage = Arc::new(Stage { scripts: Mutex::new(scripts.into_iter().collect()), ..Stage::default() });
    let answering = Arc::clone(&stage);
    let route =
        get(move |headers: HeaderMap, RawQuery(query): RawQuery| async move { answering.answer(&headers, query) });
    let app = axum::Router::new().route("/api/v1/events", route);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (stage, Client::new(&url, Some(Token::new("operator"))).unwrap())
}

async fn open(client: &Client, patience: Duration) -> Result<Events, StreamLost> {
    Events::open(client, Scope::All, Follower::Operator, Some(0), patience).await
}

fn task(status: Status) -> String {
    serde_json::to_string(&Task {
        id: TaskId::new(),
        kind: add::KIND,
        owner: Some(UserId::new()),
        run: None,
        status,
        attempts: 0,
        priority: Priority::Normal,
        accepted_at: card_core::time::Instant::now(),
        due_at: None,
        started_at: None,
        settled_at: None,
        result: None,
        error: None,
    })
    .unwrap()
}

fn durable(id: u64) -> String {
    format!("id: {id}\nevent: state\ndata: {}\n\n", task(Status::Queued))
}

fn transient() -> String {
    format!("event: state\ndata: {}\n\n", task(Status::Running))
}

/// What is handed out up to and with the durable event `last`: its number, `-` for transient, `R`, `G`.
async fn until(events: &mut Events, last: u64) -> String {
    let mut seen = String::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(10), events.next()).await.expect("nothing came").unwrap() {
            Notice::State { seq: Some(seq), .. } => {
                seen += &format!("{seq} ");
                if seq == last {
                    return seen.trim_end().to_owned();
                }
            }
            Notice::State { seq: None, .. } => seen += "- ",
            Notice::Reconnected => seen += "R ",
            Notice::Gap => seen += "G ",
        }
    }
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_stream_cut_in_the_middle_of_an_event_goes_on_with_no_gap_and_no_duplicate() {
    let half = durable(3);
    let scripts = [
        Script::Ends(durable(1) + &durable(2) + &half[..half.len() / 2]),
        // A careless server repeats the last one.
        Script::Stays(durable(2) + &durable(3) + &durable(4)),
    ];
    let (stage, client) = stage(scripts).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 4).await, "1 2 R 3 4");
    let asked = stage.asked_from.lock().unwrap().clone();
    assert_eq!(asked, [Some("0".to_owned()), Some("2".to_owned())]);
    assert_eq!((events.cursor(), events.reconnects()), (Some(4), 1));
}

#[tokio::test]
async fn a_state_that_is_not_durable_does_not_move_the_cursor() {
    let text = transient() + &durable(5) + &transient() + ": keep-alive\n\n" + &durable(9);
    let (_, client) = stage([Script::Ends(text), Script::Stays(transient() + &durable(10))]).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 9).await, "- 5 - 9");
    assert_eq!(until(&mut events, 10).await, "R - 10");
}

#[tokio::test]
async fn a_reset_is_a_gap_and_the_stream_goes_on_from_there() {
    let reset = "event: reset\ndata: {\"from\":70}\n\n".to_owned();
    let (_, client) = stage([Script::Stays(durable(3) + &reset + &durable(71))]).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 71).await, "3 G 71");
}

#[tokio::test]
async fn who_follows_from_now_on_goes_on_from_there_after_a_cut() {
    let hello = "event: hello\ndata: {\"from\":41}\n\n".to_owned();
    let (stage, client) = stage([Script::Ends(hello), Script::Stays(durable(42))]).await;
    let mut events = Events::open(&client, Scope::All, Follower::Operator, None, LONG).await.unwrap();
    assert_eq!(until(&mut events, 42).await, "R 42");
    assert_eq!(*stage.asked_from.lock().unwrap(), [None, Some("41".to_owned())]);
}

#[tokio::test]
async fn where_to_go_on_is_said_in_the_query_as_well() {
    let (stage, client) = stage([Script::Ends(durable(5)), Script::Stays(durable(6))]).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 6).await, "5 R 6");
    assert_eq!(*stage.queries.lock().unwrap(), ["from=0", "from=5"]);
}

/// As from a gateway that drops what says where to go on.
#[tokio::test]
async fn a_stream_that_comes_back_somewhere_else_has_a_gap() {
    let scripts = [Script::Ends(durable(5)), Script::Stays(hello("9") + &durable(10))];
    let (_, client) = stage(scripts).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 10).await, "5 R G 10");
    // From before is none: it is told again what it has seen.
    let again = hello("3") + &durable(4) + &durable(5) + &durable(6);
    let (_, client) = stage([Script::Ends(durable(5)), Script::Stays(again)]).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 6).await, "5 R 6");
}

#[tokio::test]
async fn a_stream_that_is_cut_again_and_again_and_begins_where_it_should_is_not_lost() {
    let quiet = (0..4).map(|_| Script::Ends(": connected\n\n".to_owned()));
    let (_, client) = stage(quiet.chain([Script::Stays(durable(1))])).await;
    // Less than what the connections between take together.
    let mut events = open(&client, Duration::from_millis(20)).await.unwrap();
    let seen = until(&mut events, 1).await;
    assert_eq!(seen, "R R R R 1");
}

#[tokio::test]
async fn a_cut_on_purpose_reconnects_from_the_cursor() {
    let (stage, client) = stage([Script::Stays(durable(1)), Script::Stays(durable(2))]).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 1).await, "1");
    events.scissors().cut();
    assert_eq!(until(&mut events, 2).await, "R 2");
    assert_eq!(stage.asked_from.lock().unwrap()[1], Some("1".to_owned()));
}

#[tokio::test]
async fn an_overloaded_server_is_tried_again_and_a_refusal_is_not() {
    let (_, client) = stage([Script::Refuses(Code::Overloaded), Script::Stays(durable(1))]).await;
    let mut events = open(&client, LONG).await.unwrap();
    assert_eq!(until(&mut events, 1).await, "1");
    let (stage, client) = stage([Script::Refuses(Code::Forbidden), Script::Stays(durable(1))]).await;
    let lost = open(&client, LONG).await.err().unwrap();
    assert_eq!(lost.refusal.unwrap().code(), Some(Code::Forbidden));
    assert_eq!(stage.asked_from.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_stream_that_stays_away_is_lost_and_says_where_to_go_on() {
    let (_, client) = stage([Script::Ends(durable(8))]).await;
    let mut events = open(&client, Duration::from_millis(300)).await.unwrap();
    assert_eq!(until(&mut events, 8).await, "8");
    let lost = tokio::time::timeout(LONG, events.next()).await.unwrap().unwrap_err();
    assert_eq!(lost.cursor, Some(8));
    assert!(lost.attempts > 1, "{lost}");
}

#[tokio::test]
async fn a_server_that_only_sends_garbage_does_not_keep_the_follower_for_ever() {
    let garbage = || Script::Ends("id: x\nevent: state\ndata: {}\n\n".to_owned());
    let (_, client) = stage((0..1000).map(|_| garbage())).await;
    let mut events = open(&client, Duration::from_millis(300)).await.unwrap();
    let ended = tokio::time::timeout(LONG, async {
        loop {
            match events.next().await {
                Ok(Notice::Reconnected) => {}
                other => return other,
            }
        }
    });
    let lost = ended.await.unwrap().unwrap_err();
    assert!(lost.detail.contains("not a number"), "{lost}");
}

#[tokio::test]
async fn text_that_is_no_event_stream_is_refused() {
    let app = axum::Router::new().route("/api/v1/events", get(|| async { "<html>" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = Client::new(&url, Some(Token::new("operator"))).unwrap();
    let lost = open(&client, Duration::from_millis(100)).await.err().unwrap();
    assert!(lost.detail.contains("not an event stream"), "{lost}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_quietly_is_noticed() {
    let silent = futures::stream::pending::<Result<Bytes, Infallible>>();
    let begun = Instant::now();
    let frame = Box::pin(frames(silent)).next().await;
    assert!(matches!(frame, Some(Err(Broken::Silent))), "{frame:?}");
    assert_eq!(begun.elapsed(), frames::SILENCE_LIMIT);
}

#[tokio::test]
async fn an_event_without_an_end_does_not_fill_the_memory() {
    let endless = futures::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 * 1024])));
    let frame = Box::pin(frames(endless)).next().await;
    assert!(matches!(frame, Some(Err(Broken::Foreign(_)))), "{frame:?}");
}

/// The frames of some chunks, until the first error.
fn read(chunks: Vec<Vec<u8>>) -> Vec<String> {
    let chunks = chunks.into_iter().map(Ok::<_, Infallible>);
    let mut frames = Box::pin(frames(futures::stream::iter(chunks)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut seen = Vec::new();
        while let Some(frame) = frames.next().await {
            let broken = frame.is_err();
            seen.push(format!("{frame:?}"));
            if broken {
                break;
            }
        }
        seen
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let _ = read(chunks);
    }

    #[test]
    fn no_text_that_looks_like_events_makes_the_parser_panic(
        text in "((id|event|data|retry|:)?:? ?(state|reset|[0-9]{0,25}|\\{.{0,20}\\}|\\PC{0,10})?(\r\n|\n|\r)){0,30}",
    ) {
        let _ = read(vec![text.into_bytes()]);
    }

    /// How the network cuts the bytes up makes no difference.
    #[test]
    fn chunks_do_not_matter(cuts in proptest::collection::vec(0_usize..2000, 0..12)) {
        let text = format!("{}: hello ü\n\n{}{}event: later\ndata: 1\n\n", durable(1), transient(), durable(2));
        let bytes = text.into_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % bytes.len()).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect();
        prop_assert_eq!(read(chunks), read(vec![bytes]));
    }
}
