//! One run: servers and a platform of its own, the load, a look each second.

use card_core::ids::RunId;
use card_core::testing::PostgresOptions;
use card_loadtests::moment::Moment;
use card_loadtests::run::{Setup, carry_out};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Side;
use super::plan::{BOUNDS, load, variables};
use super::sample::{Sample, Watcher};
use crate::Failed;
use crate::cluster::Services;
use crate::platform::Platform;

/// What the autoscaler follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Metric {
    Cpu,
    Backlog,
}

impl Metric {
    /// As the setting has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Backlog => "backlog",
        }
    }
}

/// The run, and the platform's version.
pub(super) async fn run(metric: Metric) -> Result<(Side, Option<String>), Failed> {
    let services = Services::start(PostgresOptions::tuned());
    let (database, redis) = (services.postgres.url("postgres"), services.redis.url());
    let bounds = format!("{}..{}", BOUNDS.0, BOUNDS.1);
    let arguments = ["-t", "processes", "--database", &database, "--redis", &redis, "--autoscale", &bounds];
    let mut variables = variables();
    variables.push(("CARDCTL_AUTOSCALE_METRIC", metric.name().to_owned()));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut platform = Platform::start_as(&arguments, &variables).await?;
    platform.services = Some(services);
    let setup = Setup {
        client: platform.client.clone(),
        target: platform.url.clone(),
        run: RunId::new(),
        seed: 1,
        plan: load(),
        ledger: None,
    };
    let moments = watch::Sender::<Moment>::default();
    let seen = moments.subscribe();
    // The end of the load is the end of its moments, and so of the looks.
    let load = async move { Ok::<_, Failed>(carry_out(&setup, &moments, &CancellationToken::new()).await?) };
    let (found, samples) = tokio::try_join!(load, watched(&platform, seen))?;
    platform.stop().await?;
    let correctness = &found.correctness;
    if correctness.lost + correctness.duplicate + correctness.stuck + correctness.unverified > 0 {
        return Err(format!("{}: {correctness:?}", metric.name()).into());
    }
    let latency = &found.e2e_intended_ms;
    let end_to_end_s = [latency.p50, latency.p95, latency.max].map(|millis| millis / 1000.0);
    let side =
        Side { metric, accepted: correctness.accepted, errors: found.errors.by_code.clone(), end_to_end_s, samples };
    Ok((side, found.platform.version.clone()))
}

async fn watched(platform: &Platform, mut seen: watch::Receiver<Moment>) -> Result<Vec<Sample>, Failed> {
    let mut watcher = Watcher::new(platform);
    let (mut samples, mut begun, mut last) = (Vec::new(), None, 0.0);
    while seen.changed().await.is_ok() {
        let second = seen.borrow_and_update().second.clone();
        let Some(second) = second.filter(|second| second.t > last) else { continue };
        last = second.t;
        let begun = *begun.get_or_insert(second.t - second.lasted);
        samples.push(watcher.look(second.t - begun, &second).await?);
    }
    Ok(samples)
}
