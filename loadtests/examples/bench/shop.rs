//! The shop: purchases beside additions, and reads of a history with and without the cache.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::accepts::{SCRIPT, token_file};
use crate::given::{Engine, Given};
use crate::platform::{Platform, ms, percentile};
use crate::{Failed, hello, report, wrk};

const READ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bench/read.lua");
const ADD: &str = r#"{"kind":"add","payload":{"x":20,"y":22}}"#;
const PURCHASE: &str = r#"{"kind":"purchase","payload":{"price":"12.50","item":"a kettle"}}"#;
const OFF: [(&str, &str); 1] = [("CARDCTL_SERVER_CACHE_LIMIT", "0")];

/// Accepts and whole cycle of purchases against those of additions, by turns, each on a platform of its own.
pub(crate) async fn purchases(given: Given) -> Result<(), Failed> {
    let (mut accepts, mut cycles) = (Vec::new(), Vec::new());
    for round in 1..=given.pick(3, 1) {
        let (added, bought) = (cycle(given, ADD).await?, cycle(given, PURCHASE).await?);
        report!(
            "round {round}: additions {:.0}/s accepted, {:.0}/s whole cycle; purchases {:.0}/s, {:.0}/s",
            added.0,
            added.1,
            bought.0,
            bought.1
        );
        accepts.push(bought.0 / added.0);
        cycles.push(bought.1 / added.1);
    }
    for (what, ratios) in [("accepts", &mut accepts), ("whole cycle", &mut cycles)] {
        ratios.sort_by(f64::total_cmp);
        report!("{what}: purchases at {:.0} % of additions (median)", 100.0 * ratios[ratios.len() / 2]);
    }
    Ok(())
}

/// Accepts a second while wrk sends, and tasks a second from the first to the last that is settled.
async fn cycle(given: Given, body: &str) -> Result<(f64, f64), Failed> {
    let platform = given.platform().await?;
    let tokens = token_file(&platform, given.pick(20_000, 2_000)).await?;
    let tokens = tokens.path().to_string_lossy().into_owned();
    let begun = Instant::now();
    let sent = wrk::run(&platform.url, 256, given.pick(8, 2), &[SCRIPT, &tokens, "/api/v1/tasks", body]).await?;
    loop {
        let stats = platform.client.stats().await?;
        if stats.settled_total == stats.accepted_total {
            let rate = stats.settled_total as f64 / begun.elapsed().as_secs_f64();
            platform.stop().await?;
            return Ok((sent.rate, rate));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn start(given: Given, variables: &[(&str, &str)]) -> Result<Platform, Failed> {
    match given.engine {
        Engine::Embedded => Platform::start_with(variables).await,
        Engine::Cluster => Platform::on_cluster(1, 1, variables).await,
    }
}

/// What one user reads, and how.
struct Reader<'a> {
    platform: &'a Platform,
    http: reqwest::Client,
    token: String,
}

impl<'a> Reader<'a> {
    /// A user who has bought so much.
    async fn with(platform: &'a Platform, count: u64) -> Result<Self, Failed> {
        let token = platform.tokens(1).await?.remove(0);
        let reader = Self { platform, http: card_http::local().build()?, token };
        let mut file = tempfile::NamedTempFile::new()?;
        writeln!(file, "{}", reader.token)?;
        let path = file.path().to_string_lossy().into_owned();
        loop {
            let stats = platform.client.stats().await?;
            if stats.settled_total >= count && stats.settled_total == stats.accepted_total {
                return Ok(reader);
            }
            if stats.accepted_total < count {
                let seconds = if count < 10_000 { 1 } else { 5 };
                wrk::run(&platform.url, 64, seconds, &[SCRIPT, &path, "/api/v1/tasks", PURCHASE]).await?;
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response, Failed> {
        let request = self.http.get(format!("{}/api/v1{path}", self.platform.url)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?)
    }

    /// Reads with 64 connections: a second, and processor time of the server for each.
    async fn rate(&self, seconds: u32, tag: &str, min: &str) -> Result<(f64, Duration), Failed> {
        let before = self.platform.processor()?;
        let url = format!("{}/api/v1/purchases", self.platform.url);
        let read = wrk::run(&url, 64, seconds, &[READ, &self.token, tag, min]).await?;
        if read.refused > 0 {
            return Err(format!("{} of {} reads were refused", read.refused, read.requests).into());
        }
        let used = self.platform.processor()?.saturating_sub(before);
        Ok((read.rate, used / u32::try_from(read.requests.max(1)).unwrap_or(u32::MAX)))
    }
}

/// Pages out of a long history, 304 against 200, and the cache against a server that answers the same bytes from memory.
pub(crate) async fn reads(given: Given) -> Result<(), Failed> {
    let off = start(given, &OFF).await?;
    let long = Reader::with(&off, given.pick(500_000, 20_000)).await?;
    let summary: serde_json::Value = long.get("/purchases/summary").await?.json().await?;
    let time = |name: &str| summary[name].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (first, last) = time("first_at").zip(time("last_at")).ok_or("the summary has times")?;
    let (mut pages, mut sums) = (Vec::new(), Vec::new());
    for number in 0..given.pick(2_000, 100) {
        let at = first.as_microsecond()
            + (last.as_microsecond() - first.as_microsecond()) * (number * 7_919 % 2_000) / 2_000;
        let to = jiff::Timestamp::from_microsecond(at)?;
        let begun = Instant::now();
        long.get(&format!("/purchases?to={to}")).await?.bytes().await?;
        pages.push(begun.elapsed());
        if number % 100 == 0 {
            let begun = Instant::now();
            long.get("/purchases/summary").await?.bytes().await?;
            sums.push(begun.elapsed());
        }
    }
    pages.sort_unstable();
    sums.sort_unstable();
    report!(
        "cache off, one owner with {}: a page of 50 p50 {}, p95 {}; the summary of all p50 {}",
        summary["count"],
        ms(percentile(&pages, 0.5)),
        ms(percentile(&pages, 0.95)),
        ms(percentile(&sums, 0.5))
    );

    let on = start(given, &[]).await?;
    let short = Reader::with(&on, 100).await?;
    let answer = short.get("/purchases").await?;
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (tag, sequence) = (header("etag"), header("x-sequence"));
    let mut body = tempfile::NamedTempFile::new()?;
    let bytes = answer.bytes().await?;
    body.write_all(&bytes)?;
    let (_child, plain) = hello::start_with(Some(body.path())).await?;
    let own = long.get("/purchases").await?.headers()["etag"].to_str()?.to_owned();
    let seconds = given.pick(5, 1);
    let (mut ratios, mut costs) = (Vec::new(), Vec::new());
    for round in 1..=given.pick(3, 1) {
        let same = wrk::run(&plain, 64, seconds, &[]).await?.rate;
        let (now, _) = short.rate(seconds, "", "").await?;
        let (known, _) = short.rate(seconds, "", &sequence).await?;
        let (unchanged, _) = short.rate(seconds, &tag, &sequence).await?;
        let (uncached, whole) = long.rate(seconds, "", "").await?;
        let (uncached_unchanged, nothing) = long.rate(seconds, &own, "").await?;
        report!(
            "round {round}: {} bytes from memory {same:.0}/s; cached {now:.0}/s, with x-min-sequence {known:.0}/s = {:.0} %, 304 {unchanged:.0}/s; \
             cache off {uncached:.0}/s, 304 {uncached_unchanged:.0}/s; {:.0} against {:.0} us of processor",
            bytes.len(),
            100.0 * known / same,
            whole.as_secs_f64() * 1e6,
            nothing.as_secs_f64() * 1e6,
        );
        ratios.push(known / same);
        costs.push(nothing.as_secs_f64() / whole.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    costs.sort_by(f64::total_cmp);
    report!(
        "cached reads at {:.0} % of the same bytes from memory; a 304 costs {:.0} % of a 200, cache off (medians)",
        100.0 * ratios[ratios.len() / 2],
        100.0 * costs[costs.len() / 2]
    );
    on.stop().await?;
    off.stop().await
}
