//! Durable accepts over HTTP against an axum hello-world, same machine, same run, alternating.

use std::io::Write;

use crate::given::{Engine, Given};
use crate::platform::{Platform, ms};
use crate::{Failed, hello, report, wrk};

pub(crate) const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bench/accept.lua");
const ROUNDS: usize = 3;

pub(crate) async fn run(given: Given) -> Result<(), Failed> {
    let (_child, hello) = hello::start().await?;
    let (seconds, rounds) = (given.pick(8, 2), given.pick(ROUNDS, 1));
    // More than can be used up in one round: wrk ends with the last.
    let users = match given.engine {
        Engine::Embedded => given.pick(900_000, 100_000),
        Engine::Cluster => given.pick(500_000, 50_000),
    };
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let plain = wrk::run(&hello, 512, seconds, &[]).await?;
        let platform = given.platform().await?;
        // Accepting alone: what is measured is the accept, not what workers do beside it.
        platform.client.set_paused(true).await?;
        let tokens = token_file(&platform, users).await?;
        let tokens = tokens.path().to_string_lossy().into_owned();
        let script = [SCRIPT, &tokens, "/api/v1/replacements", r#"{"reason":"lost"}"#];
        let accepts = wrk::run(&platform.url, 512, seconds, &script).await?;
        let accepted = platform.client.stats().await?.accepted_total;
        ratios.push(accepts.rate / plain.rate);
        report!(
            "round {round}: hello {:.0}/s p99 {}; accepts {:.0}/s p50 {} p99 {} = {:.1} % ({} answered, {} refused, {accepted} in the ledger)",
            plain.rate,
            ms(plain.p99),
            accepts.rate,
            ms(accepts.p50),
            ms(accepts.p99),
            100.0 * accepts.rate / plain.rate,
            accepts.requests,
            accepts.refused,
        );
        if accepts.refused > 0 || accepted < accepts.requests {
            return Err("not every answer was a durable accept".into());
        }
        platform.stop().await?;
    }
    ratios.sort_by(f64::total_cmp);
    report!("durable accepts / hello-world: {:.1} % (median of {rounds})", 100.0 * ratios[rounds / 2]);

    let platform = given.platform().await?;
    platform.client.set_paused(true).await?;
    let tokens = token_file(&platform, given.pick(40_000, 10_000)).await?;
    let tokens = tokens.path().to_string_lossy().into_owned();
    let one = wrk::run(&platform.url, 1, 4, &[SCRIPT, &tokens, "/api/v1/replacements", r#"{"reason":"lost"}"#]).await?;
    report!("one client: accept p50 {}, p99 {}", ms(one.p50), ms(one.p99));
    platform.stop().await
}

/// Tokens of distinct users, one a line.
pub(crate) async fn token_file(platform: &Platform, users: usize) -> Result<tempfile::NamedTempFile, Failed> {
    let mut file = tempfile::NamedTempFile::new()?;
    for token in platform.tokens(users).await? {
        writeln!(file, "{token}")?;
    }
    file.flush()?;
    platform.rest().await?;
    Ok(file)
}
