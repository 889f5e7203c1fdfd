//! Reads an event stream as a client does.

use std::collections::VecDeque;

use card_core::tasks::Task;
use reqwest::{RequestBuilder, Response};

use crate::app::PATIENCE;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<u64>,
    pub(crate) kind: String,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn task(&self) -> Task {
        serde_json::from_str(&self.data).unwrap()
    }

    /// Of a `hello` or a `reset`.
    pub(crate) fn from(&self) -> u64 {
        serde_json::from_str::<serde_json::Value>(&self.data).unwrap()["from"].as_u64().unwrap()
    }
}

pub(crate) struct EventStream {
    response: Response,
    text: String,
    events: VecDeque<Event>,
    pub(crate) comments: Vec<String>,
}

impl EventStream {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.url());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), events: VecDeque::new(), comments: Vec::new() }
    }

    /// The next event; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("an event, or the end")
    }

    /// The next `event: state`.
    pub(crate) async fn state(&mut self) -> Option<Event> {
        loop {
            let event = self.next().await?;
            if event.kind == "state" {
                return Some(event);
            }
        }
    }

    async fn read(&mut self) -> Option<Event> {
        while self.events.is_empty() {
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block, &mut self.comments);
                self.text = rest.to_owned();
                self.events.extend(event);
            }
        }
        self.events.pop_front()
    }
}

fn parse(block: &str, comments: &mut Vec<String>) -> Option<Event> {
    let mut event = Event { id: None, kind: String::new(), data: String::new() };
    for line in block.lines() {
        match line.split_once(": ").unwrap() {
            ("", comment) => comments.push(comment.to_owned()),
            ("id", id) => event.id = Some(id.parse().unwrap()),
            ("event", kind) => event.kind = kind.to_owned(),
            ("data", data) => event.data = data.to_owned(),
            (field, _) => panic!("{field}"),
        }
    }
    (!event.kind.is_empty()).then_some(event)
}
