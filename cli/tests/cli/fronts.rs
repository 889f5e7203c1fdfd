//! `up --front` on this machine, and the same in manifests.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, free_port, status_line};

#[test]
fn a_front_is_part_of_what_runs_until_it_is_restarted_without() {
    let sandbox = Sandbox::new();
    let (shop, list) = (free_port(), free_port());
    let front = |name: &str, port: u16| format!("{name}={port}");
    let (shop_flag, list_flag) = (front("shop", shop), front("buy-list", list));
    let flags = ["up", "-d", "--port", "0", "--front", &list_flag, "--front", &shop_flag];
    let up = sandbox.expect(0, &[&flags[..], &["-o", "json"]].concat()).json();
    let shop_url = format!("http://127.0.0.1:{shop}");
    assert_eq!(up["fronts"], serde_json::json!({"shop": shop_url, "buy-list": format!("http://127.0.0.1:{list}")}));
    let status = sandbox.expect(0, &["status", "-o", "json"]).json();
    assert_eq!(status["fronts"], up["fronts"]);
    let text = sandbox.expect(0, &["status"]).stdout;
    assert!(text.contains(&format!("  front    {shop_url} shop\n")), "{text}");
    assert_eq!(status_line(shop, "/-/healthy"), "HTTP/1.1 200 OK");

    // Nothing in particular is asked for, or the same again.
    for again in [&["up", "-d"][..], &flags] {
        let again = sandbox.expect(0, again).stdout;
        assert!(again.contains("already up") && again.contains(&format!("  front   {shop_url} shop\n")), "{again}");
    }
    let other = front("shop", free_port());
    let differs = sandbox.expect(3, &["up", "-d", "--front", &other]);
    assert!(differs.stderr.contains("error[configuration-differs]"), "{}", differs.stderr);
    let line = format!("fronts.shop.port: running with {shop}, requested ");
    assert!(differs.stderr.contains(&line), "{}", differs.stderr);
    let restarted = sandbox.expect(0, &["up", "-d", "--port", "0", "--restart", "--front", &list_flag, "-o", "json"]);
    assert_eq!(restarted.json()["fronts"], serde_json::json!({"buy-list": format!("http://127.0.0.1:{list}")}));
    sandbox.expect(0, &["down"]);
    sandbox.assert_nothing_runs();
}

#[test]
fn a_front_in_the_settings_is_turned_off_by_a_flag() {
    let sandbox = Sandbox::new();
    let file = format!("[fronts.shop]\nport = {}\n", free_port());
    std::fs::write(sandbox.work().join("cardctl.toml"), file).unwrap();
    let up = sandbox.expect(0, &["up", "-d", "--port", "0", "--front", "shop=0", "-o", "json"]).json();
    assert_eq!(up["fronts"], serde_json::json!({}));
}

#[test]
fn a_front_that_can_not_be_meant_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("unknown_front", sandbox.transcript(&["up", "-d", "--front", "challenge"]));
    for (flags, said) in [
        (&["--front", "shop=http"][..], "must be a number up to 65535"),
        (&["--front", "shop", "--front", "shop=9000"], "--front shop is given twice"),
        (&["--front", "shop=9000", "--front", "buy-list=9000"], "both have port 9000"),
        (&["--port", "9000", "--front", "shop=9000"], "and the API both have port 9000"),
    ] {
        let ended = sandbox.expect(2, &[&["up", "-d"][..], flags].concat());
        assert!(ended.stderr.contains(said) && ended.stderr.contains("--front"), "{}", ended.stderr);
    }
    sandbox.assert_nothing_runs();
    assert!(!sandbox.paths().dir.exists(), "nothing was made");
}

#[test]
fn manifests_have_a_service_for_a_front() {
    let sandbox = Sandbox::new();
    let digest = "sha256:4444444444444444444444444444444444444444444444444444444444444444";
    let images = ["card-server", "card-worker"].map(|name| format!("{name}=r.example/{name}@{digest}"));
    let [server, worker] = &images;
    let render = ["manifests", "render", "--image", server, "--image", worker, "-o", "json"];
    let objects = sandbox.expect(0, &[&render[..], &["--front", "card-replacer=80", "--front", "shop=0"]].concat());
    let objects = objects.json()["objects"].as_array().unwrap().clone();
    let found = |kind: &str, name: &str| {
        objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    };
    let port = &found("Service", "server-card-replacer").unwrap()["spec"]["ports"][0];
    assert_eq!((&port["port"], &port["targetPort"]), (&80.into(), &"front-5000".into()));
    assert!(found("NetworkPolicy", "server-card-replacer").is_some());
    assert!(found("Service", "server-shop").is_none(), "0 turns it off");
    for (flags, said) in [
        (["--front", "records"], "must be one of card-replacer"),
        (["--set", "fronts.shop.port=8081"], "--front turns a front on"),
    ] {
        let ended = sandbox.expect(2, &[&render[..], &flags].concat());
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
    }
}

#[test]
fn a_busy_port_of_a_front_names_its_holder_and_what_helps() {
    let sandbox = Sandbox::new();
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    let nowhere = ["--database", "postgres://card@127.0.0.1:1/cards", "--redis", "redis://127.0.0.1:1"];
    let flag = format!("buy-list={port}");
    let up = ["up", "-d", "--port", "0", "--front", &flag];
    for arguments in [up.to_vec(), [&up[..], &nowhere].concat()] {
        let ended = sandbox.expect(3, &arguments);
        let said = format!("error[port-busy]: port {port} of the front buy-list is in use");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("process {}", std::process::id())), "{}", ended.stderr);
        assert!(ended.stderr.contains("--front buy-list=PORT"), "{}", ended.stderr);
        sandbox.assert_nothing_runs();
    }
}

/// What a front said yes to is there once after kills, for clients that send again with the same key until they are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_old_clients_bought_survives_kills_and_is_there_once() {
    const CLIENTS: u64 = 4;
    let sandbox = Sandbox::new();
    let (port, list) = (free_port().to_string(), free_port());
    let front = format!("buy-list={list}");
    let up = ["up", "-d", "--port", &port, "--front", &front];
    sandbox.expect(0, &up);
    let http = card_http::local().timeout(Duration::from_secs(5)).build().unwrap();
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (http, told, over) = (http.clone(), Arc::clone(&told), Arc::clone(&over));
            tokio::spawn(async move {
                let mut number = 1_u64;
                while !over.load(Ordering::Relaxed) {
                    let body = json!({"username": "a", "userid": format!("u{client}"), "price": number});
                    let request = http.post(format!("http://127.0.0.1:{list}/buy")).json(&body);
                    match request.header("idempotency-key", number.to_string()).send().await {
                        Ok(answer) if answer.status() == 201 => {
                            told.lock().unwrap().insert((client, number));
                            number += 1;
                        }
                        // It is down, or the answer was lost.
                        _ => tokio::time::sleep(Duration::from_millis(2)).await,
                    }
                }
            })
        })
        .collect();
    for round in 1..=4 {
        let enough = || told.lock().unwrap().len() >= round * 50;
        crate::sandbox::eventually("they buy", enough);
        sandbox.record().process.signal(Signal::SIGKILL).unwrap();
        crate::sandbox::eventually("it is gone", || sandbox.processes().is_empty());
        sandbox.expect(0, &up);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let told = told.lock().unwrap().clone();
    for client in 0..CLIENTS {
        let wanted: BTreeSet<_> = told.iter().filter(|(one, _)| *one == client).map(|(_, number)| *number).collect();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let url = format!("http://127.0.0.1:{list}/getAllUserBuys/u{client}");
            let rows: Vec<Value> = http.get(url).send().await.unwrap().json().await.unwrap();
            let found: Vec<u64> =
                rows.iter().map(|row| row["price"].to_string().parse::<f64>().unwrap() as u64).collect();
            let once: BTreeSet<_> = found.iter().copied().collect();
            assert_eq!(once.len(), found.len(), "none is there twice");
            if wanted.is_subset(&once) {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "lost: {:?}", wanted.difference(&once));
            tokio::task::yield_now().await;
        }
    }
    sandbox.expect(0, &["down"]);
}
