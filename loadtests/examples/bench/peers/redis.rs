//! A Redis for one measurement: empty, on a free port, with the durability most people run it with.

use std::process::Command;
use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

use super::program::Program;
use crate::Failed;
use crate::platform::free_port;

const START: Duration = Duration::from_secs(10);
/// The cores are busy: an answer may take its time.
const ANSWER: Duration = Duration::from_secs(10);

/// A command that answers with a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) database: u8,
    pub(super) command: &'static [&'static str],
}

pub(super) struct Redis {
    pub(super) port: u16,
    program: Program,
    pub(super) folder: tempfile::TempDir,
}

impl Redis {
    pub(super) async fn start() -> Result<Self, Failed> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec", "--dir"])
            .arg(folder.path());
        let program = Program::start("redis-server (Debian package)", &mut command, folder.path().join("redis.log"))?;
        let mut redis = Self { port, program, folder };
        let deadline = Instant::now() + START;
        while redis.connect(0).await.is_err() {
            redis.check()?;
            if Instant::now() > deadline {
                return Err(format!("redis-server did not answer within {START:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(redis)
    }

    pub(super) fn check(&mut self) -> Result<(), Failed> {
        self.program.check()
    }

    pub(super) async fn count(&self, count: Count) -> Result<u64, Failed> {
        let mut command = redis::Cmd::new();
        for word in count.command {
            command.arg(*word);
        }
        Ok(command.query_async(&mut self.connect(count.database).await?).await?)
    }

    /// A few a second at most: not worth keeping.
    async fn connect(&self, database: u8) -> Result<MultiplexedConnection, Failed> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/{database}", self.port))?;
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
        Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
    }
}
