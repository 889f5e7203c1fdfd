//! A gateway between the load and the platform: what it refuses, cuts and drops is never the platform's doing, and never
//! silent. nginx is real, and so is the platform behind it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use card_core::testing::{Nginx, Proxy};
use serde_json::Value;

use crate::sandbox::{Ended, Sandbox, eventually};

const ORDERS: &str = "POST /api/v1/tasks";
/// Ten a second and no more, as in nginx's own example; it answers 503 unless it is told otherwise.
const TEN_A_SECOND: &str = "limit_req_zone $server_port zone=ten:1m rate=10r/s;";

/// A platform, and the address of its API.
fn platform() -> (Sandbox, SocketAddr) {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    let address = record.url.trim_start_matches("http://").parse().unwrap();
    (sandbox, address)
}

/// The program, spoken to a gateway instead of the platform itself.
fn through(sandbox: &Sandbox, gateway: SocketAddr, arguments: &[&str]) -> Command {
    let token = std::fs::read_to_string(cardctl::instance::Paths::operator_token(&sandbox.record().data_dir)).unwrap();
    let url = format!("http://{gateway}");
    let mut command = sandbox.command(&[&["--target", &url], arguments].concat());
    command.env("CARDCTL_OPERATOR_TOKEN", token.trim());
    command
}

fn ended(mut command: Command) -> Ended {
    Ended::of(command.output().unwrap())
}

fn reasons(document: &Value) -> String {
    document["validity"]["reasons"].to_string()
}

#[test]
fn what_a_gateway_refuses_is_counted_and_no_figure_of_the_platform() {
    let (sandbox, address) = platform();
    let nginx = Nginx::start(
        address,
        TEN_A_SECOND,
        &format!("location = /api/v1/tasks {{ limit_req zone=ten; proxy_pass http://{address}; }}"),
    );
    let arguments = ["loadtest", "run", "-u", "8", "-d", "3s", "--ramp", "0s", "--settle", "0s", "--out", "out"];
    let run = ended(through(&sandbox, nginx.address(), &[&arguments[..], &["-o", "json"]].concat()));
    let document = run.json();
    // Most requests were refused: the promise about errors is missed, and the figures are not the platform's.
    assert_eq!(run.code, Some(7), "{document}");
    assert_eq!(document["validity"]["verdict"], "inconclusive");
    assert!(reasons(&document).contains("a proxy in front of the platform, mostly as http-503"), "{document}");
    let refused = nginx.passed().iter().filter(|passed| passed.request == ORDERS && !passed.upstream).count() as u64;
    assert!(refused > 10, "{refused}");
    assert_eq!(document["errors"]["by_gateway"]["http-503"].as_u64(), Some(refused), "{}", document["errors"]);
    assert_eq!(document["errors"]["by_code"]["http-503"].as_u64(), Some(refused), "each is an error");
    assert!(document["errors"]["rate"].as_f64().unwrap() > 0.3, "{}", document["errors"]);
    let told: f64 = document["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|second| second["foreign"].as_f64().unwrap() * second["lasted"].as_f64().unwrap())
        .sum();
    // But for those that were under way when the last second was over, one of each user at most.
    assert!((told - refused as f64).abs() <= 8.0, "the timeline has {told} of {refused}");
    assert_eq!(document["correctness"]["verdict"], "pass", "{}", document["correctness"]);
    for report in ["report.html", "report.md"] {
        let report = std::fs::read_to_string(sandbox.work().join("out").join(report)).unwrap();
        assert!(report.contains("http-503"), "{report}");
    }
    // Without that promise nothing is broken, and nothing is green.
    let run = ended(through(&sandbox, nginx.address(), &[&arguments[..10], &["--slo", "none"]].concat()));
    assert_eq!(run.code, Some(11), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("answered with http-503 by a gateway"), "{}", run.stdout);
}

#[test]
fn a_search_behind_a_gateway_that_limits_names_the_gateway() {
    let (sandbox, address) = platform();
    // All of the API is limited, and what comes before a load is more than one request.
    let nginx = Nginx::start(address, TEN_A_SECOND, "limit_req zone=ten burst=20 nodelay; limit_req_status 429;");
    let arguments = ["loadtest", "run", "breakpoint", "--rate", "200/s", "-d", "2s", "--ramp", "0s", "--settle", "0s"];
    let run = ended(through(&sandbox, nginx.address(), &[&arguments[..], &["-o", "json"]].concat()));
    let document = run.json();
    assert_ne!(run.code, Some(0), "{document}");
    assert_eq!(document["breakpoint"]["limit"], "gateway", "{}", document["breakpoint"]);
    let because = document["breakpoint"]["because"].as_str().unwrap();
    assert!(because.contains("mostly http-429"), "{because}");
    assert_eq!(document["validity"]["verdict"], "inconclusive");
    assert!(reasons(&document).contains("in front of the platform was the bottleneck"), "{document}");
}

#[test]
fn a_gateway_that_always_fails_gets_few_sends_of_each_key_and_is_named() {
    let (sandbox, address) = platform();
    let nginx = Nginx::start(address, "", "location = /api/v1/tasks { return 502; }");
    let arguments = ["loadtest", "run", "-u", "3", "-d", "2s", "--ramp", "0s", "--settle", "0s", "--slo", "none"];
    let run = ended(through(&sandbox, nginx.address(), &[&arguments[..], &["-o", "json"]].concat()));
    let document = run.json();
    assert_eq!(run.code, Some(11), "{document}");
    let sends = nginx.sends(ORDERS);
    assert!(!sends.is_empty() && sends.values().all(|sends| *sends <= 3), "{sends:?}");
    let all: usize = sends.values().sum();
    assert_eq!(document["errors"]["by_gateway"]["http-502"].as_u64(), Some(all as u64), "{}", document["errors"]);
    assert_eq!(document["errors"]["resent"].as_u64(), Some((all - sends.len()) as u64), "{}", document["errors"]);
    // It may have been the platform that was slow: nobody knows whether it was accepted.
    assert_eq!(document["correctness"]["unanswered"].as_u64(), Some(sends.len() as u64));

    let before = nginx.sends(ORDERS).len();
    let run = ended(through(&sandbox, nginx.address(), &["submit", "-c", "2", "-o", "json"]));
    assert_eq!((run.code, &run.json()["error"]["code"]), (Some(4), &"gateway".into()), "{}", run.stderr);
    assert!(run.stderr.contains("in front of the platform (nginx"), "{}", run.stderr);
    let sends = nginx.sends(ORDERS);
    assert_eq!(sends.len(), before + 2);
    assert!(sends.values().all(|sends| *sends <= 6), "{sends:?}");
}

#[test]
fn what_a_gateway_asks_to_wait_for_is_waited_for_and_shown() {
    let (sandbox, address) = platform();
    let nginx = Nginx::start(
        address,
        TEN_A_SECOND,
        &format!(
            "location = /api/v1/tasks {{
                limit_req zone=ten; limit_req_status 429; add_header Retry-After 1 always; proxy_pass http://{address};
            }}"
        ),
    );
    let run =
        ended(through(&sandbox, nginx.address(), &["submit", "-c", "8", "--concurrency", "8", "-w", "-o", "json"]));
    let document = run.json();
    assert_eq!((run.code, &document["succeeded"]), (Some(0), &8.into()), "{document}{}", run.stderr);
    let refused = nginx.passed().iter().filter(|passed| passed.status == 429).count() as u64;
    assert!(refused > 0);
    assert_eq!(document["resent"].as_u64(), Some(refused), "{document}");
    assert_eq!(document["by_gateway"]["http-429"].as_u64(), Some(refused), "{document}");
    assert!(run.stderr.contains("answered by a proxy in front of the platform: http-429"), "{}", run.stderr);
    // Nobody came back before the second was over: eight keys, and at most ten let through in each second.
    assert!(nginx.sends(ORDERS).values().all(|sends| *sends <= 8), "{:?}", nginx.sends(ORDERS));
}

#[test]
fn every_command_says_that_a_gateway_refused_it() {
    let (sandbox, address) = platform();
    for (status, fix) in
        [(401, "asks for a login"), (403, "asks for a login"), (429, "more slowly"), (502, "can reach it")]
    {
        let nginx = Nginx::start(address, "", &format!("location /api/ {{ return {status}; }}"));
        for arguments in [&["tasks", "list"][..], &["queue", "stats"], &["dlq", "list"]] {
            let run = ended(through(&sandbox, nginx.address(), arguments));
            assert_eq!(run.code, Some(4), "{status} {arguments:?}: {}", run.stderr);
            assert!(run.stderr.contains("error[gateway]") && run.stderr.contains(fix), "{}", run.stderr);
        }
    }
}

/// Runs a load through a gateway whose connections are cut three times while it runs.
fn with_cuts(sandbox: &Sandbox, nginx: &Nginx) -> (Option<i32>, Value) {
    let cutter = Proxy::start(nginx.address());
    let arguments = ["loadtest", "run", "-u", "6", "-d", "4s", "--ramp", "0s", "--think", "20ms", "--settle", "500ms"];
    let more = ["--slo", "none", "--out", "out", "--progress", "plain", "-o", "json"];
    let mut command = through(sandbox, cutter.address(), &[&arguments[..], &more].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("steady")), "it never got there");
    let accepted =
        || std::fs::read_to_string(sandbox.work().join("out/journal.jsonl")).unwrap_or_default().lines().count();
    for cut in 1..=3 {
        eventually("requests are accepted", || accepted() > cut * 15);
        cutter.cut_all();
    }
    said.for_each(drop);
    let output = child.wait_with_output().unwrap();
    let run = Ended::of(output);
    (run.code, run.json())
}

#[test]
fn a_gateway_that_drops_where_to_go_on_costs_no_end() {
    let (sandbox, address) = platform();
    let nginx = Nginx::start(address, "proxy_set_header Last-Event-ID '';", "");
    let (_, document) = with_cuts(&sandbox, &nginx);
    let validity = &document["validity"];
    assert!(validity["stream_reconnects"].as_u64().unwrap() > 0, "{validity}");
    assert_eq!((&validity["stream_gaps"], &validity["stream_lost"]), (&0.into(), &Value::Null), "{validity}");
    assert_eq!(document["e2e_ms"]["n"], document["accept_ms"]["n"], "every end was heard: {validity}");
    assert_eq!(document["correctness"]["verdict"], "pass", "{}", document["correctness"]);
}

#[test]
fn a_gateway_that_hides_where_to_go_on_altogether_is_an_observer_with_a_gap() {
    let (sandbox, address) = platform();
    let events =
        format!("location = /api/v1/events {{ set $args run=$arg_run&final=true; proxy_pass http://{address}; }}");
    let nginx = Nginx::start(address, "proxy_set_header Last-Event-ID '';", &events);
    let (code, document) = with_cuts(&sandbox, &nginx);
    assert_eq!(code, Some(11), "{}", document["validity"]);
    assert!(document["validity"]["stream_gaps"].as_u64().unwrap() > 0, "{}", document["validity"]);
    assert!(reasons(&document).contains("the event stream had a gap"), "{}", document["validity"]);
    assert_eq!(document["correctness"]["verdict"], "pass", "{}", document["correctness"]);
}

#[test]
fn a_platform_behind_any_address_of_this_machine_shares_it() {
    let (sandbox, address) = platform();
    let nginx = Nginx::start(address, "", "");
    let port = nginx.address().port();
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    // Reserved for documentation; nothing is sent.
    let own = socket.connect(("192.0.2.1", 9)).ok().map(|()| socket.local_addr().unwrap().ip().to_string());
    let token = std::fs::read_to_string(cardctl::instance::Paths::operator_token(&sandbox.record().data_dir)).unwrap();
    for host in ["localhost".to_owned(), "127.9.8.7".to_owned()].into_iter().chain(own) {
        let url = format!("http://{host}:{port}");
        let load = ["loadtest", "run", "-u", "2", "-d", "1s", "--ramp", "0s", "--settle", "0s", "-o", "json"];
        let mut command = sandbox.command(&[&["--target", &url], &load[..]].concat());
        command.env("CARDCTL_OPERATOR_TOKEN", token.trim()).env("CARDCTL_PLAIN_HTTP", &host);
        let run = Ended::of(command.output().unwrap());
        assert_eq!(run.json()["generator"]["shared"], true, "{host}");
    }
}
