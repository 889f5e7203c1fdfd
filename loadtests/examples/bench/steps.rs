//! The promise of a predecessor, held: 10, 100, 1,000 and 2,000 users who rest a second, and nobody waits longer.

use crate::platform::Platform;
use crate::{Failed, report};

pub(crate) async fn run() -> Result<(), Failed> {
    let platform = Platform::start().await?;
    let arguments = [
        "loadtest",
        "run",
        "--steps",
        "10,100,1000,2000",
        "-d",
        "15s",
        "--ramp",
        "3s",
        "--think",
        "1s",
        "--slo",
        "accept.p95<500ms",
        "--max-degradation",
        "10%",
        "-o",
        "json",
    ];
    let output = platform.command(&arguments)?.output().await?;
    let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    for step in found["steps"].as_array().ok_or("steps")? {
        report!(
            "{} users: accept p50 {:.2} p95 {:.2} ms ({:+.0} %), e2e p95 {:.1} ms, {:.0}/s: {}",
            step["users"],
            step["accept_p50"].as_f64().unwrap_or_default(),
            step["accept_p95"].as_f64().unwrap_or_default(),
            step["degradation"].as_f64().unwrap_or_default() * 100.0,
            step["e2e_p95"].as_f64().unwrap_or_default(),
            step["rates"]["accepted"].as_f64().unwrap_or_default(),
            step["verdict"].as_str().unwrap_or_default(),
        );
    }
    report!("verdict {}, exit {}; accepted {}", found["verdict"], found["exit"], found["correctness"]["accepted"]);
    platform.stop().await
}
