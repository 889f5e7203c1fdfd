//! What is wrong on the side of the load: a machine that can't send, a generator that stands still, a measured time that is
//! none. It is inconclusive, whatever was promised, and never the platform's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use card_core::testing::Nginx;
use cardctl::instance::{Paths, Process};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{Ended, Sandbox, eventually};

/// A load test that runs beside the test.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let all =
            [&["loadtest", "run", "--ramp", "0s", "--settle", "0s", "--progress", "plain", "-o", "json"], arguments];
        let mut command = sandbox.command(&all.concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("steady") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended before the load: {said}");
        }
        Self { child, stderr }
    }

    fn ends(mut self) -> (Option<i32>, Value) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        let run = Ended::of(self.child.wait_with_output().unwrap());
        (run.code, run.json())
    }
}

/// Stops a process for two and a half seconds: that is the fault.
fn stops(process: &Process) {
    process.signal(Signal::SIGSTOP).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    process.signal(Signal::SIGCONT).unwrap();
}

fn reasons(document: &Value) -> String {
    document["validity"]["reasons"].to_string()
}

#[test]
fn a_machine_without_descriptors_blames_itself() {
    let sandbox = Sandbox::new();
    let address: SocketAddr = sandbox.up().url.trim_start_matches("http://").parse().unwrap();
    // It keeps requests waiting, a second and more with as many users as that: each takes a connection all that time.
    let slow = format!("location = /api/v1/tasks {{ limit_req zone=slow burst=1000; proxy_pass http://{address}; }}");
    let nginx = Nginx::start(address, "limit_req_zone $server_port zone=slow:1m rate=100r/s;", &slow);
    let token = std::fs::read_to_string(Paths::operator_token(&sandbox.record().data_dir)).unwrap();
    let script = format!(
        "ulimit -n 80; exec $CARDCTL -t http://{} loadtest run -u 120 -d 3s --ramp 0s --settle 0s -o json",
        nginx.address()
    );
    let mut command = sandbox.program("bash", &["-c", &script]);
    let run = Ended::of(command.env("CARDCTL_OPERATOR_TOKEN", token.trim()).output().unwrap());
    let document = run.json();
    assert_eq!(run.code, Some(11), "{document}");
    assert!(reasons(&document).contains("this machine could not send"), "{}", document["validity"]);
    assert!(reasons(&document).contains("too many open files"), "{}", document["validity"]);
    assert!(document["validity"]["by_lack"]["local-files"].as_u64().unwrap() > 0, "{}", document["validity"]);
    assert_eq!(
        (&document["errors"]["rate"], document["errors"]["by_code"].to_string()),
        (&0.0.into(), "{}".to_owned())
    );
    // It was known before.
    let warned = run.stderr.lines().any(|line| line.contains("80 files") && line.contains("ulimit -n"));
    assert!(warned, "{}", run.stderr);
    // What is shut out softly is let in.
    let script = script.replace("ulimit -n 80", "ulimit -Sn 80");
    let mut command = sandbox.program("bash", &["-c", &script]);
    let run = Ended::of(command.env("CARDCTL_OPERATOR_TOKEN", token.trim()).output().unwrap());
    assert_eq!(run.json()["validity"]["unsent"], 0, "{}", run.stderr);
}

#[test]
fn a_name_that_can_not_be_looked_up_is_no_platform_that_is_away() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["-t", "http://nowhere.invalid:7400", "loadtest", "run", "smoke", "-o", "json"]);
    let run = Ended::of(
        command.env("CARDCTL_OPERATOR_TOKEN", "x").env("CARDCTL_PLAIN_HTTP", "nowhere.invalid").output().unwrap(),
    );
    assert_eq!((run.code, &run.json()["error"]["code"]), (Some(4), &"name-lookup".into()), "{}", run.stderr);
    assert!(run.stderr.contains("resolv.conf"), "{}", run.stderr);
}

#[test]
fn a_generator_that_stands_still_blames_nobody_else_and_is_not_green() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let load = ["-u", "3", "--think", "200ms", "--min-samples", "1"];
    let before = Running::start(&sandbox, &[&load[..], &["-d", "4s", "--out", "before"]].concat());
    // On a busy machine it says nothing, which is no matter here.
    assert!(matches!(before.ends().0, Some(0 | 11)));
    // A bound and a baseline that the stop breaks: neither is the platform's.
    let promised = ["--slo", "e2e.max<1s", "--slo", "e2e.p95<1s", "--slo", "accepted>=12/s"];
    let against = ["-d", "8s", "--baseline", "before/result.json", "--fail-on", "p99,throughput"];
    let running = Running::start(&sandbox, &[&load[..], &promised, &against].concat());
    stops(&Process::of(running.child.id()).unwrap());
    let (code, document) = running.ends();
    assert_eq!(code, Some(11), "{}", document["validity"]);
    let stood_still = document["validity"]["stood_still_s"].as_f64().unwrap();
    assert!(stood_still > 2.0, "{}", document["validity"]);
    assert!(reasons(&document).contains("the generator was stalled for"), "{}", document["validity"]);
    let verdicts: Vec<_> = document["slo"].as_array().unwrap().iter().map(|slo| &slo["verdict"]).collect();
    assert!(verdicts.iter().all(|verdict| **verdict != "fail"), "{}", document["slo"]);
    assert_eq!(document["regression"]["verdict"], "inconclusive");
    assert_eq!(document["correctness"]["verdict"], "pass");
}

#[test]
fn a_rule_does_not_end_a_load_because_its_generator_stood_still() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let rules = ["--abort-on", "e2e.p95>1s", "--abort-on", "accepted<1/s for 2s"];
    let running = Running::start(&sandbox, &[&["-u", "3", "-d", "5s", "--think", "50ms"][..], &rules].concat());
    stops(&Process::of(running.child.id()).unwrap());
    let (code, document) = running.ends();
    assert_eq!((code, &document["ended_early"]), (Some(11), &Value::Null), "{}", document["validity"]);
}

#[test]
fn one_of_several_generators_that_stands_still_is_named() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let load = ["-u", "6", "-d", "7s", "--think", "100ms", "--generators", "2", "--min-samples", "1"];
    let running = Running::start(&sandbox, &[&load[..], &["--slo", "e2e.max<1s"]].concat());
    let mut second = None;
    eventually("the second generator runs", || {
        second = sandbox.processes().into_iter().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
                .ends_with(&[b"2".to_vec(), Vec::new()])
        });
        second.is_some()
    });
    stops(&Process::of(second.unwrap()).unwrap());
    let (code, document) = running.ends();
    assert_eq!(code, Some(11), "{}", document["validity"]);
    assert!(reasons(&document).contains("generator 2: the generator was stalled for"), "{}", document["validity"]);
}

/// A control group whose processes get a twentieth of a processor.
struct Group(PathBuf);

impl Group {
    /// None where control groups can't be made: by who is not root, or where version 2 has no processor to give.
    fn make() -> Option<Self> {
        let name = format!("cardctl-test-{}", std::process::id());
        let write = |file: PathBuf, text: &str| std::fs::write(file, text).ok();
        let group = [("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "5000"), ("/sys/fs/cgroup", "cpu.max", "5000 100000")]
            .into_iter()
            .find_map(|(root, file, quota)| {
                let group = Self(Path::new(root).join(&name));
                std::fs::create_dir(&group.0).ok()?;
                // Where it is there, it is one of the processor; else it can be asked for.
                if !group.0.join(file).exists() {
                    write(Path::new(root).join("cgroup.subtree_control"), "+cpu")?;
                }
                write(group.0.join(file), quota).map(|()| group)
            });
        if group.is_none() {
            // Visible with --nocapture.
            let _ = writeln!(std::io::stderr(), "skipped: this machine lets no control group with a quota be made");
        }
        group
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_generator_whose_quota_runs_out_blames_nobody_else_and_is_not_green() {
    let Some(group) = Group::make() else { return };
    let sandbox = Sandbox::new();
    sandbox.up();
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec $CARDCTL loadtest run -u 20 -d 3s --ramp 0s --settle 0s --min-samples 1 \
         --slo 'accept.p95<1us' -o json",
        group.0.display()
    );
    let run = Ended::of(sandbox.program("bash", &["-c", &script]).output().unwrap());
    let document = run.json();
    assert_eq!(run.code, Some(11), "{}", document["validity"]);
    assert!(document["validity"]["throttled"].as_f64().unwrap() > 0.05, "{}", document["validity"]);
    assert!(reasons(&document).contains("CPU quota periods"), "{}", document["validity"]);
    assert_eq!(document["slo"].as_array().unwrap().last().unwrap()["verdict"], "inconclusive", "{}", document["slo"]);
    assert_eq!(document["correctness"]["verdict"], "pass");
}

#[test]
fn a_measured_time_in_which_no_rate_can_be_told_is_not_green() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let load = ["loadtest", "run", "-u", "20", "-d", "100ms", "--ramp", "0s", "--settle", "0s", "--min-samples", "1"];
    let document = sandbox.expect(11, &[&load[..], &["-o", "json"]].concat()).json();
    assert!(reasons(&document).contains("the measured time was too short to compute rates"), "{document}");
}

#[test]
fn two_load_tests_do_not_write_to_one_directory() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let running = Running::start(&sandbox, &["-u", "2", "-d", "4s", "--think", "10ms", "--out", "out"]);
    let second = sandbox.expect(3, &["loadtest", "run", "-u", "2", "-d", "1s", "--out", "out", "-o", "json"]);
    assert_eq!(second.json()["error"]["code"], "reports");
    assert!(second.stderr.contains("another load test is writing to out"), "{}", second.stderr);
    let (code, document) = running.ends();
    assert!(matches!(code, Some(0 | 11)), "{}", document["validity"]);
    let journal = std::fs::read_to_string(sandbox.work().join("out/journal.jsonl")).unwrap();
    let accepted = journal.lines().filter(|line| line.contains("\"accepted\"")).count() as u64;
    assert_eq!(document["correctness"]["accepted"].as_u64(), Some(accepted));
    // One after the other is no matter.
    let after =
        sandbox.run(&["loadtest", "run", "-u", "2", "-d", "1s", "--ramp", "0s", "--settle", "0s", "--out", "out"]);
    assert!(matches!(after.code, Some(0 | 11)), "{}", after.stderr);
}

#[test]
fn a_forgotten_sign_of_percent_is_asked_about_and_a_weaker_promise_is_said() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for (arguments, meant) in [
        (["--slo", "errors<1"], "errors<1%"),
        (["--slo", "dead<=1"], "dead<=1%"),
        (["--abort-on", "errors>=1 for 2s"], "errors>=1%"),
        (["--slo", "e2e.p95<2"], "2ms"),
        (["--tolerance", "10"], "10%"),
        (["--max-degradation", "10"], "10%"),
    ] {
        let refused = sandbox.expect(2, &[&["loadtest", "run"], &arguments[..]].concat());
        assert!(refused.stderr.contains(meant), "{arguments:?}: {}", refused.stderr);
    }
    let load = ["loadtest", "run", "-u", "2", "-d", "1s", "--ramp", "0s", "--settle", "0s", "-o", "json"];
    let said = sandbox.expect(0, &[&load[..], &["--slo", "errors<0.5"]].concat());
    let note = "errors<0.5 (< 50%) replaced the default errors<1%, which is stricter";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    assert!(said.json()["validity"]["notes"].to_string().contains(note), "{}", said.stdout);
    // Of two, both are judged.
    let both = sandbox.expect(7, &[&load[..], &["--slo", "e2e.p50<1us", "--slo", "e2e.p50<1m"]].concat()).json();
    let judged: Vec<_> = both["slo"].as_array().unwrap().iter().map(|slo| slo["expr"].as_str().unwrap()).collect();
    assert_eq!(judged, ["errors<1%", "dead<1%", "e2e.p50<1us", "e2e.p50<1m"]);
}

#[test]
fn what_only_this_program_starts_is_offered_nowhere() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.expect(0, &["completions", shell]).stdout;
        // As a word of its own; some shells show what commands do, too.
        let words = || script.split(|letter: char| !letter.is_alphanumeric());
        let offered = |word: &str| words().filter(|other| *other == word).count();
        assert_eq!((offered("compare") > 0, offered("generate")), (true, 0), "{shell}");
    }
    sandbox.expect(0, &["man", "pages"]);
    let pages = std::fs::read_dir(sandbox.work().join("pages")).unwrap();
    let names: Vec<_> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name.contains("compare")) && !names.iter().any(|name| name.contains("generate")));
}
