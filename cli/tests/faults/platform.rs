//! A platform of one's own: Postgres, Redis, a card issuer, and the processes that a test starts.

use std::path::PathBuf;
use std::time::Duration;

use card_client::{Client, Token};
use card_core::tasks::Stats;
use card_core::testing::{Postgres, PostgresOptions, Proxy, Redis};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::load::Load;
use crate::part::Part;

pub(crate) const OPERATOR: &str = "op_0123456789abcdef0123456789abcdef";
const SIGNING_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
const DATABASE: &str = "postgres";
/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Platform {
    issuer: Part,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    /// In front of Postgres and Redis, if they are.
    pub(crate) proxies: Vec<Proxy>,
    /// As the processes are told.
    database_url: String,
    redis_url: String,
    pub(crate) client: Client,
    /// What a failure should tell besides the logs.
    pub(crate) note: String,
    /// Bound and not listening: while no server is there, nobody else can take it.
    port: TcpSocket,
    dir: TempDir,
}

impl Platform {
    /// With an issuer whose every call takes so long.
    pub(crate) async fn start(call: Duration) -> Self {
        let (postgres, redis) = (Postgres::start(PostgresOptions::default()), Redis::start());
        let addresses = (postgres.url(DATABASE), redis.url());
        Self::of(postgres, redis, Vec::new(), addresses, call).await
    }

    /// The same, with a proxy in front of Postgres and one in front of Redis.
    pub(crate) async fn behind_proxies(call: Duration) -> Self {
        let (postgres, redis) = (Postgres::start(PostgresOptions::default()), Redis::start());
        let proxies = [postgres.address(), redis.address()].map(Proxy::start);
        let addresses = (Postgres::url_at(proxies[0].address(), DATABASE), Redis::url_at(proxies[1].address()));
        Self::of(postgres, redis, proxies.into(), addresses, call).await
    }

    async fn of(
        postgres: Postgres,
        redis: Redis,
        proxies: Vec<Proxy>,
        (database_url, redis_url): (String, String),
        call: Duration,
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("card-faults-").tempdir().unwrap();
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseport(true).unwrap();
        port.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}", port.local_addr().unwrap());
        let client = Client::new(&url, Some(Token::new(OPERATOR))).unwrap();
        let mut command = program(&dir, &["card-server", "issuer", "--address", "127.0.0.1:0"]);
        let latency = format!("{}ms", call.as_millis());
        command.env("CARDCTL_OPERATOR_TOKEN", OPERATOR);
        command.env("CARDCTL_ISSUER_LATENCY_P50", &latency).env("CARDCTL_ISSUER_LATENCY_P99", &latency);
        let issuer = Part::start(command, &dir.path().join("issuer.log")).await;
        Self { issuer, postgres, redis, proxies, database_url, redis_url, client, note: String::new(), port, dir }
    }

    /// The address of the ledger, past everything.
    pub(crate) fn ledger(&self) -> String {
        self.postgres.url(DATABASE)
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.issuer.said.address)
    }

    /// A server; any number of them share the port.
    pub(crate) async fn server(&self, name: &str) -> Part {
        self.server_with(name, &[]).await
    }

    /// A server with variables of its own.
    pub(crate) async fn server_with(&self, name: &str, variables: &[(&str, String)]) -> Part {
        let mut command = self.part(name, &["card-server", "serve", "--workers", "0", "--reuse-port"]);
        command
            .env("CARDCTL_SIGNING_KEY", SIGNING_KEY)
            .env("CARDCTL_OPERATOR_TOKEN", OPERATOR)
            .env("CARDCTL_SERVER_PORT", self.port.local_addr().unwrap().port().to_string())
            .envs(variables.iter().map(|(name, value)| (name, value)));
        Part::start(command, &self.log(name)).await
    }

    /// A worker; `GET /stats` shows its name as its host.
    pub(crate) async fn worker(&self, name: &str) -> Part {
        self.worker_with(name, &[]).await
    }

    /// A worker with variables of its own.
    pub(crate) async fn worker_with(&self, name: &str, variables: &[(&str, String)]) -> Part {
        let mut command = self.part(name, &["card-worker"]);
        command
            .env("CARDCTL_WORKER_ISSUER_URL", self.issuer())
            .envs(variables.iter().map(|(name, value)| (name, value)));
        Part::start(command, &self.log(name)).await
    }

    /// So many requests at this rate, watched to their end and audited.
    pub(crate) fn load(&self, count: u64, rate: u64) -> Load {
        self.submit(count, &["--concurrency", "64", "--rate", &format!("{rate}/s"), "-w", "--timeout", "120s"])
    }

    /// `cardctl submit` with these flags.
    pub(crate) fn submit(&self, count: u64, flags: &[&str]) -> Load {
        let mut command = self.cardctl(&["submit", "-c", &count.to_string(), "-o", "json"]);
        command.args(flags);
        Load::start(command)
    }

    /// A load test of so many users, which counts what is refused and leaves what it made.
    pub(crate) fn load_test(&self, users: u64, duration: &str) -> Load {
        let mut command = self.cardctl(&["loadtest", "run", "-u", &users.to_string(), "-d", duration, "--ramp", "0s"]);
        command.args(["--think", "50ms..350ms", "--slo", "none", "--settle", "1s", "--keep", "-o", "json"]);
        Load::start(command)
    }

    /// The program as an operator uses it from elsewhere.
    pub(crate) fn cardctl(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.dir, &["-t", self.client.url()]);
        command.args(arguments).env("CARDCTL_OPERATOR_TOKEN", OPERATOR);
        command
    }

    /// Looks at `GET /stats` until it is as wanted. What can't be looked at now is not as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Stats) -> bool) -> Stats {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = None;
        while Instant::now() < deadline {
            let stats = self.client.stats().await;
            match stats {
                Ok(stats) if wanted(&stats) => return stats,
                stats => seen = Some(stats),
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("it never came to be: {what}: {seen:?}\n{}", self.logs());
    }

    /// Waits until so many were accepted in all.
    pub(crate) async fn until_accepted(&self, count: u64) -> Stats {
        self.until(&format!("{count} are accepted"), |stats| stats.accepted_total >= count).await
    }

    /// The ends of all logs, for a panic's message.
    pub(crate) fn logs(&self) -> String {
        let mut text = format!("{}\n", self.note);
        let entries = std::fs::read_dir(self.dir.path()).unwrap().filter_map(Result::ok);
        for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "log")) {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(30)..].join("\n");
            text.push_str(&format!("── {}\n{end}\n", path.display()));
        }
        text
    }

    fn part(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = program(&self.dir, arguments);
        command
            .env("CARDCTL_DATABASE", &self.database_url)
            .env("CARDCTL_REDIS", &self.redis_url)
            .env("CARDCTL_COMPONENT", name)
            .env("HOSTNAME", name);
        command
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }
}

/// The program with nothing of this environment.
fn program(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardctl"));
    command
        .args(arguments)
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .env("TMPDIR", dir.path())
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .env("XDG_CONFIG_HOME", dir.path().join("config"));
    command
}
