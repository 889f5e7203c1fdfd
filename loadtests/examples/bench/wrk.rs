//! Runs wrk and reads what it prints.

use std::time::Duration;

use tokio::process::Command;

use crate::Failed;

#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Answers that were not 2xx or 3xx.
    pub(crate) refused: u64,
}

/// Two threads, so many connections, so many seconds.
pub(crate) async fn run(url: &str, connections: u32, seconds: u32, script: &[&str]) -> Result<Measured, Failed> {
    let threads = connections.min(2).to_string();
    let mut command = Command::new("wrk");
    command.args(["-t", &threads, "-c", &connections.to_string(), "-d", &format!("{seconds}s"), "--latency"]);
    if let [file, arguments @ ..] = script {
        command.args(["-s", file, url, "--"]).args(arguments).arg(&threads);
    } else {
        command.arg(url);
    }
    let output = command.output().await.map_err(|error| format!("wrk (Debian package wrk): {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    read(&text).ok_or_else(|| format!("wrk said:\n{text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

fn read(text: &str) -> Option<Measured> {
    let after =
        |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label).map(|rest| rest.trim().to_owned()));
    let requests = text.lines().find(|line| line.contains(" requests in "))?.split_whitespace().next()?.parse().ok()?;
    Some(Measured {
        requests,
        rate: after("Requests/sec:")?.parse().ok()?,
        p50: latency(&after("50%")?)?,
        p99: latency(&after("99%")?)?,
        refused: after("Non-2xx or 3xx responses:").map_or(Some(0), |count| count.parse().ok())?,
    })
}

fn latency(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let seconds = text[..unit].parse::<f64>().ok()?
        * match &text[unit..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            _ => return None,
        };
    Some(Duration::from_secs_f64(seconds))
}
