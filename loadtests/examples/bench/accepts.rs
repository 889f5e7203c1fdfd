//! Durable accepts over HTTP against an axum hello-world, same machine, same run, alternating.

use std::io::Write;

use crate::platform::{Platform, ms};
use crate::{Failed, hello, report, wrk};

pub(crate) const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bench/accept.lua");
const SECONDS: u32 = 8;
const ROUNDS: usize = 3;
/// More than can be used up in one round.
const USERS: usize = 900_000;

pub(crate) async fn run() -> Result<(), Failed> {
    let (_child, hello) = hello::start().await?;
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let plain = wrk::run(&hello, 512, SECONDS, &[]).await?;
        let platform = Platform::start().await?;
        // Accepting alone: what is measured is the accept, not what workers do beside it.
        platform.client.set_paused(true).await?;
        let tokens = token_file(&platform, USERS).await?;
        let tokens = tokens.path().to_string_lossy().into_owned();
        let script = [SCRIPT, &tokens, "/api/v1/replacements", r#"{"reason":"lost"}"#];
        let accepts = wrk::run(&platform.url, 512, SECONDS, &script).await?;
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
    report!("durable accepts / hello-world: {:.1} % (median of {ROUNDS})", 100.0 * ratios[ROUNDS / 2]);

    let platform = Platform::start().await?;
    platform.client.set_paused(true).await?;
    let tokens = token_file(&platform, 40_000).await?;
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
    Ok(file)
}
