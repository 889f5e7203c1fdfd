//! The program as it is run in a cluster, against a real platform.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use card_core::engine::sqlite;
use card_core::ids::RunId;
use card_core::settings::Settings;
use card_loadtests::plan::{Plan, Stage, presets};
use card_loadtests::result::Verdict;
use card_loadtests::shard::wire::{Assembly, Line, read};
use card_loadtests::shard::{Assignment, Shard, VERSION, merge};
use card_server::Secrets;
use card_server::platform::{Platform, PlatformOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const OPERATOR: &str = "op_0123456789abcdef0123456789abcdef";

/// A platform in this process, for a program in another.
struct Lab {
    runtime: Runtime,
    platform: Platform,
    dir: TempDir,
}

impl Lab {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        card_core::files::replace(&dir.path().join("operator-token"), format!("{OPERATOR}\n").as_bytes()).unwrap();
        let mut settings = Settings::default();
        settings.issuer.latency_p50 = Duration::from_millis(1);
        settings.issuer.latency_p99 = Duration::from_millis(2);
        let platform = runtime.block_on(async {
            let store =
                sqlite::open(&dir.path().join("cards.db"), &settings.ledger, &card_kinds::Registry::default().known())
                    .await
                    .unwrap();
            let options = PlatformOptions {
                kinds: card_kinds::Registry::default(),
                store,
                settings,
                secrets: Secrets { signing_key: vec![7; 32], operator_token: OPERATOR.to_owned() },
                listener: std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap(),
                fronts: Vec::new(),
                issuer_listener: None,
                workers: 1,
                host: "test".to_owned(),
            };
            Platform::start(options).await.unwrap()
        });
        Self { runtime, platform, dir }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Four users at once, of two generators, so long.
    fn assignment(&self, length: Duration) -> String {
        let plan = Plan {
            stages: vec![Stage { to: 4.0, over: Duration::ZERO }, Stage { to: 4.0, over: length }],
            warm_up: Duration::ZERO,
            settle: Duration::from_millis(50),
            drain: Duration::from_secs(20),
            min_samples: 1,
            ..presets::custom()
        };
        let ledgers = Some(self.dir().to_owned());
        let assignment = Assignment {
            v: VERSION,
            run: RunId::new(),
            seed: 7,
            target: "test".to_owned(),
            plan,
            generators: 2,
            ledgers,
        };
        serde_json::to_string(&assignment).unwrap()
    }

    fn generator(&self, assignment: &str, index: u64) -> Child {
        let mut command = program();
        command.args(["--target", &format!("http://{}", self.platform.address()), "--assignment", assignment]);
        command.env("CARDCTL_OPERATOR_TOKEN_FILE", self.dir().join("operator-token"));
        command.env("JOB_COMPLETION_INDEX", index.to_string());
        command.spawn().unwrap()
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_card-generator"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn shard(output: &Output) -> Shard {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*err), (Some(0), ""), "{out}");
    let mut assembly = Assembly::default();
    for line in out.lines() {
        if let Line::Shard(piece) = read(line).unwrap_or_else(|| panic!("{line}")) {
            assembly.take(piece);
        }
    }
    assembly.open().unwrap()
}

#[test]
fn a_variable_that_is_set_to_nothing_counts_as_unset() {
    let ended = |variables: &[&str]| {
        let mut command = program();
        command.args(["--target", "http://127.0.0.1:1", "--index", "0"]);
        let output = command.envs(variables.iter().map(|name| (name, ""))).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = ended(&[]);
    assert!(code == Some(2) && told.contains("--assignment"), "{told}");
    let empty =
        ["CARDCTL_ASSIGNMENT", "CARDCTL_TARGET", "JOB_COMPLETION_INDEX", "SSL_CERT_FILE", "TOKIO_WORKER_THREADS"];
    assert_eq!(ended(&empty), (code, told));
}

#[test]
fn two_of_them_make_one_load_that_is_audited() {
    let lab = Lab::start();
    let assignment = lab.assignment(Duration::from_secs(1));
    let generators = [0, 1].map(|index| lab.generator(&assignment, index));
    let shards = generators.map(|child| shard(&child.wait_with_output().unwrap()));
    let sent: Vec<u64> = shards.iter().map(|shard| shard.correctness.accepted).collect();
    assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
    let report = merge(shards.into(), &[], None).unwrap();
    let correctness = &report.correctness;
    assert_eq!((correctness.verdict, correctness.accepted), (Verdict::Pass, sent.iter().sum()));
    for (number, sent) in (1..).zip(sent) {
        let journal = std::fs::read_to_string(lab.dir().join(format!("journal-{number}.jsonl"))).unwrap();
        assert_eq!(journal.matches(r#""type":"accepted""#).count() as u64, sent);
    }
    lab.runtime.block_on(lab.platform.stop());
}

#[test]
fn told_to_end_they_audit_what_was_accepted_and_end_well() {
    let lab = Lab::start();
    let assignment = lab.assignment(Duration::from_secs(600));
    let mut generators = [0, 1].map(|index| lab.generator(&assignment, index));
    // As a kubelet does, in the middle: when the first one has told that something was accepted.
    let mut first = BufReader::new(generators[0].stdout.take().unwrap());
    let mut told = String::new();
    loop {
        let begins = told.len();
        assert_ne!(first.read_line(&mut told).unwrap(), 0, "it ended early: {told}");
        match read(&told[begins..]) {
            Some(Line::Progress(progress)) if progress.accepted > 0 => break,
            _ => {}
        }
    }
    for child in &generators {
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    }
    std::io::Read::read_to_string(&mut first, &mut told).unwrap();
    let [one, other] = generators.map(|child| child.wait_with_output().unwrap());
    let shards = [shard(&Output { stdout: told.into_bytes(), ..one }), shard(&other)];
    for shard in &shards {
        assert_eq!(shard.ended_early.as_deref(), Some("interrupted"));
        assert_eq!(shard.correctness.verdict, Verdict::Pass);
    }
    assert!(shards[0].correctness.accepted > 0);
}

#[test]
fn what_can_not_be_done_is_said_in_a_line_and_by_the_exit_code() {
    let lab = Lab::start();
    let assignment = lab.assignment(Duration::from_secs(1));
    let token = lab.dir().join("operator-token");
    let nowhere = lab.dir().join("nowhere").to_string_lossy().into_owned();
    let there = format!("http://{}", lab.platform.address());
    let at = |target: &str, assignment: &str, index: &str, token: &Path| {
        let mut command = program();
        command.args(["--target", target, "--assignment", assignment, "--index", index]);
        let output = command.env("CARDCTL_OPERATOR_TOKEN_FILE", token).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.starts_with("error: ") && told.lines().count() == 1, "{told}");
        let code = output.status.code().unwrap();
        assert!(code == 1 || output.stdout.is_empty(), "nothing had begun");
        (code, told)
    };
    let given = |assignment: &str, index: &str, token: &Path| at(&there, assignment, index, token);
    let other = assignment.replacen(&format!("\"v\":{VERSION}"), "\"v\":99", 1);
    let unwritable = assignment.replacen(&*lab.dir().to_string_lossy(), &nowhere, 1);
    for ((code, told), (exit, words)) in [
        (given("{}", "0", &token), (2, "not an assignment")),
        (given(&assignment, "2", &token), (2, "no generator 3 of 2")),
        (given(&assignment, &u64::MAX.to_string(), &token), (2, "no generator")),
        (given(&other, "0", &token), (3, "of the same version")),
        (given(&assignment, "0", Path::new("/nowhere/token")), (3, "CARDCTL_OPERATOR_TOKEN_FILE: /nowhere/token")),
        (at("nowhere", &assignment, "0", &token), (3, "--target: ")),
        (at("http://198.51.100.7:7400", &assignment, "0", &token), (3, "CARDCTL_PLAIN_HTTP=198.51.100.7")),
        (at("http://127.0.0.1:1", &assignment, "0", &token), (1, "127.0.0.1:1")),
        (given(&unwritable, "0", &token), (1, "the journal of accepted tasks can't be written")),
    ] {
        assert_eq!((code, told.contains(words)), (exit, true), "{told}");
    }
    let output = program().output().unwrap();
    assert_eq!(output.status.code(), Some(2), "without anything");
    let output = program().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && help.contains("CARDCTL_OPERATOR_TOKEN_FILE") && help.contains("Exit codes"),
        "{help}"
    );
}
