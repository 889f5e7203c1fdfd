//! Lines of real pods.

use std::time::Duration;

use card_kube::logs::{Line, LogItem, LogOptions, logs};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use tokio::time::timeout;

use crate::place::{Place, deployment, shell};

const PATIENCE: Duration = Duration::from_secs(60);

async fn next(
    lines: &mut (impl futures::Stream<Item = Result<LogItem, card_kube::logs::LogError>> + Unpin),
) -> Option<Line> {
    loop {
        match timeout(PATIENCE, lines.next()).await.expect("a line in time")?.unwrap() {
            LogItem::Line(line) => return Some(line),
            LogItem::Notice(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_go_on_through_restarts_and_new_pods_and_none_comes_twice() {
    let Some(place) = Place::new("logs", json!({})).await else { return };
    // Ten lines, then it ends and is started again.
    let script = "i=0; while [ $i -lt 10 ]; do echo $(hostname) run $$ line $i; i=$((i+1)); done; sleep 1";
    place.apply(deployment("web", shell(script), json!({}))).await;
    let options = LogOptions { components: vec!["web".to_owned()], follow: true, ..LogOptions::default() };
    let mut lines = logs(place.client.clone(), &place.namespace, options);
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let line = next(&mut lines).await.unwrap();
        assert!(line.component == "web" && line.container == "main" && line.time.is_some(), "{line:?}");
        seen.push(line);
    }
    let first_pod = seen[0].pod.clone();
    let numbers: Vec<String> = seen.iter().map(|line| line.text.rsplit(' ').next().unwrap().to_owned()).collect();
    let expected: Vec<String> = (0..10).chain(0..10).map(|number: i32| number.to_string()).collect();
    assert_eq!(numbers, expected, "two runs of one container, each line once: {seen:#?}");

    let pods: Api<Pod> = Api::namespaced(place.client.clone(), &place.namespace);
    pods.delete(&first_pod, &DeleteParams::default()).await.unwrap();
    let of_new = loop {
        let line = next(&mut lines).await.unwrap();
        if line.pod != first_pod {
            break line;
        }
    };
    assert!(of_new.text.ends_with("line 0"), "a pod that comes is followed from its beginning: {of_new:?}");
    drop(lines);

    // Not following, it ends; and by its tail it is short.
    let options = LogOptions { tail: Some(3), ..LogOptions::default() };
    let mut lines = logs(place.client.clone(), &place.namespace, options);
    let mut count = 0;
    while next(&mut lines).await.is_some() {
        count += 1;
    }
    assert!((1..=6).contains(&count), "{count} lines of one or two pods");
    place.remove().await;
}
