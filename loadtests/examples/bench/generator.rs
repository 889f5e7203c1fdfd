//! What a request costs the generator: ours (journey, ledger, event stream, meters) against goose by itself with one
//! shared client, both against the same platform, each in a process of its own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use card_client::{Client, Token};
use card_core::ids::RunId;
use card_loadtests::plan::{Journey, Mix, Plan, Stage, Think, presets};
use card_loadtests::run::{Setup, carry_out};
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseMethod, GooseRequest, GooseUser, Scenario, Transaction};
use goose::{GooseAttack, trigger_killswitch};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::platform::Platform;
use crate::{Failed, report};

const SECONDS: u64 = 8;
const ROUNDS: usize = 3;

pub(crate) async fn run() -> Result<(), Failed> {
    for users in [50, 1000] {
        for _ in 0..ROUNDS {
            let platform = Platform::start().await?;
            let tokens = platform.tokens(users).await?.join("\n");
            let ours = side(&platform, "ours", users, Duration::ZERO, "").await?;
            let flat_out = side(&platform, "bare", users, Duration::ZERO, &tokens).await?;
            // Ours waits for the end of what it asked for, so it asks more slowly; and what a request costs rises as
            // there is less to do at once. Goose rests as long as it takes to be as slow.
            #[expect(clippy::cast_precision_loss, reason = "a number of users")]
            let rest = Duration::from_secs_f64((users as f64 / ours.rate - users as f64 / flat_out.rate).max(0.0));
            let bare = side(&platform, "bare", users, rest, &tokens).await?;
            report!(
                "{users} users: goose alone {:.1} µs a request at {:.0}/s, ours {:.1} µs at {:.0}/s: {:+.0} %; goose flat \
                 out {:.1} µs at {:.0}/s",
                bare.cost,
                bare.rate,
                ours.cost,
                ours.rate,
                (ours.cost / bare.cost - 1.0) * 100.0,
                flat_out.cost,
                flat_out.rate,
            );
            platform.stop().await?;
        }
    }
    let platform = Platform::start().await?;
    let many = side(&platform, "ours", 5000, Duration::from_secs(1), "").await?;
    report!(
        "5000 users, 1 s of rest: {:.0} MB at most, {:.0}/s, {:.2} s beyond the plan's time",
        many.resident,
        many.rate,
        many.beyond
    );
    platform.stop().await
}

/// What one process found.
struct Side {
    cost: f64,
    rate: f64,
    resident: f64,
    beyond: f64,
}

async fn side(platform: &Platform, which: &str, users: usize, rest: Duration, input: &str) -> Result<Side, Failed> {
    let mut child = tokio::process::Command::new(std::env::current_exe()?)
        .args(["generate", which, &platform.url, &users.to_string(), &rest.as_micros().to_string()])
        .env("OPERATOR", &platform.token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("stdin")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let text = String::from_utf8(output.stdout)?;
    // Goose by itself says on stdout how far it is.
    let last = text.trim().lines().last().unwrap_or_default();
    let figures: Vec<f64> = last.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    match figures.as_slice() {
        [cost, rate, resident, beyond] => Ok(Side { cost: *cost, rate: *rate, resident: *resident, beyond: *beyond }),
        _ => Err(format!("{which} said {text:?}").into()),
    }
}

/// One side, in its own process: says microseconds of processor a request, requests a second, MB, seconds beyond.
pub(crate) async fn generate(arguments: &[String]) -> Result<(), Failed> {
    let [which, url, users, rest] = arguments else { return Err("bare|ours URL USERS REST".into()) };
    let (users, rest) = (users.parse()?, Duration::from_micros(rest.parse()?));
    let (before, begun) = (processor()?, Instant::now());
    let (requests, took) = match which.as_str() {
        "bare" => bare(url, users, rest, std::io::read_to_string(std::io::stdin())?).await?,
        _ => ours(url, users, rest).await?,
    };
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    let requests = requests as f64;
    let cost = (processor()? - before).as_secs_f64() * 1e6 / requests;
    let peak = std::fs::read_to_string("/proc/self/status")?;
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("VmHWM")?;
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0;
    let beyond = begun.elapsed().as_secs_f64() - took.as_secs_f64();
    report!("{cost} {} {peak} {beyond}", requests / took.as_secs_f64());
    Ok(())
}

async fn ours(url: &str, users: usize, rest: Duration) -> Result<(u64, Duration), Failed> {
    let duration = Duration::from_secs(SECONDS);
    let folder = tempfile::tempdir()?;
    #[expect(clippy::cast_precision_loss, reason = "a number of users")]
    let to = users as f64;
    let plan = Plan {
        stages: vec![Stage { to, over: Duration::ZERO }, Stage { to, over: duration }],
        warm_up: Duration::ZERO,
        think: Think { min: rest, max: rest },
        journey: Mix::only(Journey::ADD),
        settle: Duration::ZERO,
        ..presets::custom()
    };
    let setup = Setup {
        client: Client::new(url, Some(Token::new(std::env::var("OPERATOR")?)))?,
        target: url.to_owned(),
        run: RunId::new(),
        seed: 1,
        plan,
        ledger: Some(folder.path().join("journal.jsonl")),
    };
    let report = carry_out(&setup, &tokio::sync::watch::Sender::default(), &Default::default()).await?;
    if report.correctness.lost + report.correctness.duplicate + report.correctness.stuck > 0 {
        return Err(format!("{:?}", report.correctness).into());
    }
    Ok((report.correctness.accepted, duration))
}

/// As goose's own documentation has it, with every setting that makes it cheaper and still counts requests.
async fn bare(url: &str, users: usize, rest: Duration, tokens: String) -> Result<(u64, Duration), Failed> {
    let tokens: Arc<Vec<String>> = Arc::new(tokens.lines().map(ToOwned::to_owned).collect());
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(url.to_owned());
    configuration.users = Some(users);
    configuration.increase_rate = Some("1000000".to_owned());
    configuration.no_telnet = true;
    configuration.no_print_metrics = true;
    configuration.no_transaction_metrics = true;
    configuration.no_scenario_metrics = true;
    configuration.no_gzip = true;
    configuration.no_reset_metrics = true;
    configuration.quiet = 2;
    let ask = Transaction::new(Arc::new(move |user: &mut GooseUser| {
        let tokens = Arc::clone(&tokens);
        Box::pin(async move {
            let token = &tokens[user.weighted_users_index % tokens.len()];
            let builder = user
                .get_request_builder(&GooseMethod::Post, "/api/v1/tasks")?
                .bearer_auth(token)
                .json(&json!({"kind": "add", "payload": {"x": 1, "y": 2}}));
            let request =
                GooseRequest::builder().set_request_builder(builder).name("add").expect_status_code(202).build();
            let answer = user.request(request).await?;
            // A body that is not read costs the connection.
            if let Ok(response) = answer.response {
                let _ = response.bytes().await;
            }
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
            Ok(())
        })
    }));
    let attack = GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies().gzip(false))?
        .register_scenario(Scenario::new("add").register_transaction(ask));
    let begun = Instant::now();
    tokio::spawn(async {
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        trigger_killswitch("the time is up");
    });
    let metrics = attack.execute().await?;
    let requests: usize = metrics.requests.values().map(|request| request.success_count).sum();
    Ok((requests as u64, begun.elapsed()))
}

fn processor() -> Result<Duration, Failed> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}
