//! What more workers and servers bring: card replacements whose call of the issuer takes 200 ms, by so many users that the
//! workers are always busy. A worker of `worker.concurrency` N can do N / 0.2 s a second, whatever its CPU does; the curve
//! bends when the cores are full.

use std::time::Duration;

use card_client::{Client, Token};
use card_core::ids::RunId;
use card_loadtests::plan::{Journey, Mix, Model, Plan, Stage, presets};
use card_loadtests::result::{Phase, Report, Verdict};
use card_loadtests::run::{Setup, carry_out};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::given::Given;
use crate::platform::Platform;
use crate::{Failed, report};

const LATENCY: &str = "200ms";
const RAMP: Duration = Duration::from_secs(3);
/// Servers and workers. The first is what the others are held against.
const POINTS: [(usize, usize); 6] = [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (2, 4)];

pub(crate) async fn run(given: Given) -> Result<(), Failed> {
    report!(
        "{:>8}{:>10}{:>12}{:>14}{:>18}{:>16}{:>14}",
        "servers",
        "workers",
        "steps each",
        "completed/s",
        "share of linear",
        "machine's CPU",
        "generator's"
    );
    // At first workers are the limit, then the machine.
    for concurrency in given.pick(&[32, 256][..], &[32][..]) {
        curve(*concurrency, given).await?;
    }
    Ok(())
}

async fn curve(concurrency: usize, given: Given) -> Result<(), Failed> {
    let steps = concurrency.to_string();
    let variables = [
        ("CARDCTL_WORKER_CONCURRENCY", steps.as_str()),
        ("CARDCTL_ISSUER_LATENCY_P50", LATENCY),
        ("CARDCTL_ISSUER_LATENCY_P99", LATENCY),
    ];
    let platform = Platform::on_cluster(1, 1, &variables).await?;
    let mut one = None;
    for (servers, workers) in given.pick(&POINTS[..], &POINTS[..2]) {
        platform.scale(*servers, *workers).await?;
        let found = load(&platform, plan(workers * concurrency, given)).await?;
        let rate = found.rates.completed;
        let steady = || found.timeline.iter().filter(|second| second.phase == Phase::Steady);
        let machine = mean(steady().filter_map(|second| second.machine_cpu));
        let generator = mean(steady().map(|second| second.generator_cpu));
        let linear = *one.get_or_insert(rate) * *workers as f64;
        report!(
            "{servers:>8}{workers:>10}{concurrency:>12}{rate:>14.0}{:>16.0} %{:>14.0} %{:>12.0} %",
            100.0 * rate / linear,
            100.0 * machine,
            100.0 * generator
        );
        if found.correctness.verdict != Verdict::Pass {
            return Err(format!("the audit says otherwise: {:?}", found.correctness).into());
        }
    }
    platform.stop().await
}

/// Half as many users again as there are steps: when one is done, the next waits already.
fn plan(steps: usize, given: Given) -> Plan {
    let users = steps as f64 * 1.5;
    let steady = Duration::from_secs(given.pick(15, 5));
    Plan {
        model: Model::Closed,
        stages: vec![Stage { to: users, over: RAMP }, Stage { to: users, over: steady }],
        warm_up: RAMP,
        journey: Mix::only(Journey::SUBMIT),
        ..presets::custom()
    }
}

/// With connections of its own, so that they are spread over the servers there are now.
async fn load(platform: &Platform, plan: Plan) -> Result<Report, Failed> {
    let client = Client::new(&platform.url, Some(Token::new(platform.token.as_str())))?;
    let setup = Setup { client, target: platform.url.clone(), run: RunId::new(), seed: 1, plan, ledger: None };
    let moments = watch::Sender::default();
    Ok(carry_out(&setup, &moments, &CancellationToken::new()).await?)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}
