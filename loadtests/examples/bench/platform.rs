//! A platform of our own: the built `cardctl`, a temporary state directory, a free port.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use card_client::{Client, Token};
use card_core::ids::RunId;
use tokio::process::Command;

use crate::Failed;
use crate::cluster::Services;

pub(crate) struct Platform {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) pid: u32,
    pub(crate) ready: Duration,
    state: tempfile::TempDir,
    /// After the platform: they end when it is down.
    pub(crate) services: Option<Services>,
}

/// The binary beside this one.
pub(crate) fn binary() -> Result<PathBuf, Failed> {
    let me = std::env::current_exe()?;
    let folder = me.parent().and_then(|folder| folder.parent()).ok_or("this program lies in target/…/examples")?;
    let binary = folder.join("cardctl");
    if binary.exists() {
        Ok(binary)
    } else {
        Err(format!("{} is missing: cargo build --profile dist", binary.display()).into())
    }
}

pub(crate) fn free_port() -> Result<u16, Failed> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Platform {
    pub(crate) async fn start() -> Result<Self, Failed> {
        Self::start_with(&[]).await
    }

    /// With more variables in its environment.
    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Result<Self, Failed> {
        Self::start_as(&[], variables).await
    }

    /// With more arguments of `up` as well.
    pub(crate) async fn start_as(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self, Failed> {
        let state = tempfile::tempdir()?;
        let begun = Instant::now();
        let output = command(&state)?
            .envs(variables.iter().copied())
            .args(["up", "-d", "-o", "json", "--port", &free_port()?.to_string()])
            .args(arguments)
            .output()
            .await?;
        let ready = begun.elapsed();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let up: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let url = up["url"].as_str().ok_or("up names its url")?.to_owned();
        let pid = up["pid"].as_u64().and_then(|pid| pid.try_into().ok()).ok_or("up names its pid")?;
        let folder = up["state_dir"].as_str().ok_or("up names its state_dir")?;
        let token = std::fs::read_to_string(PathBuf::from(folder).join("operator-token"))?.trim().to_owned();
        let client = Client::new(&url, Some(Token::new(token.as_str())))?;
        Ok(Self { client, url, token, pid, ready, state, services: None })
    }

    /// `cardctl` with these arguments, meaning this platform.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Command, Failed> {
        let mut command = command(&self.state)?;
        command.args(arguments);
        Ok(command)
    }

    pub(crate) async fn stop(self) -> Result<(), Failed> {
        let status = command(&self.state)?.args(["down"]).stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
        if status.success() { Ok(()) } else { Err("down failed".into()) }
    }

    /// Tokens of unique generated users, for wrk.
    pub(crate) async fn tokens(&self, count: usize) -> Result<Vec<String>, Failed> {
        let (http, run) = (card_http::local().build()?, RunId::new());
        let mut tokens = Vec::new();
        while tokens.len() < count {
            let batch =
                serde_json::json!({"run": run, "from": tokens.len(), "count": (count - tokens.len()).min(10_000)});
            let request =
                http.post(format!("{}/api/v1/synthetic-users", self.url)).bearer_auth(&self.token).json(&batch);
            let made: serde_json::Value = request.send().await?.error_for_status()?.json().await?;
            let made = made["users"].as_array().ok_or("users")?;
            tokens.extend(made.iter().filter_map(|user| user["access_token"].as_str().map(str::to_owned)));
        }
        Ok(tokens)
    }

    /// Memory in use, in MB.
    pub(crate) fn resident(&self) -> Result<f64, Failed> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    /// Processor time used so far.
    pub(crate) fn processor(&self) -> Result<Duration, Failed> {
        processor(self.pid)
    }
}

/// Processor time that a process has used so far.
pub(crate) fn processor(pid: u32) -> Result<Duration, Failed> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime, fields 14 and 15, in ticks of 10 ms.
    let ticks: u64 = fields.get(11..13).ok_or("stat")?.iter().map(|text| text.parse::<u64>().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * 10))
}

impl Drop for Platform {
    fn drop(&mut self) {
        // A benchmark that failed half-way leaves no process behind; after `stop` there is none.
        if let Ok(mut down) = command(&self.state) {
            let _ = down.as_std_mut().args(["down"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

fn command(state: &tempfile::TempDir) -> Result<Command, Failed> {
    let mut command = Command::new(binary()?);
    command.env("XDG_STATE_HOME", state.path()).env("XDG_CONFIG_HOME", state.path()).current_dir(state.path());
    Ok(command)
}

/// The value below which this share of the sorted samples lies.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}
