//! The other side: commands that ask a supervisor.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Answer, Ask, Line, State, VERSION};
use crate::failure::Shape;
use crate::instance::{Paths, ShortPath};

/// It answers from memory.
const LIMIT: Duration = Duration::from_secs(5);

/// A connection to a supervisor.
#[derive(Debug)]
pub struct Control(BufReader<UnixStream>);

/// How asking went.
#[derive(Debug, thiserror::Error)]
pub enum Asked {
    /// Nobody answers, or not as agreed.
    #[error("the supervisor does not answer: {0}")]
    Silent(#[from] io::Error),
    /// It does not do that.
    #[error("{}", .0.message)]
    Refused(Box<Shape>),
}

impl Control {
    /// Connects to the supervisor of an instance.
    ///
    /// # Errors
    /// There is none.
    pub async fn connect(paths: &Paths) -> io::Result<Self> {
        let path = ShortPath::of(&paths.control())?;
        Ok(Self(BufReader::new(UnixStream::connect(path.path()).await?)))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// See [`Asked`].
    pub async fn ask(&mut self, ask: Ask) -> Result<State, Asked> {
        let answer =
            timeout(LIMIT, self.exchange(ask)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        match answer {
            Answer::State(state) => Ok(*state),
            Answer::Refused(shape) => Err(Asked::Refused(Box::new(shape))),
        }
    }

    async fn exchange(&mut self, ask: Ask) -> io::Result<Answer> {
        let mut line = serde_json::to_string(&Line { v: VERSION, content: ask })?;
        line.push('\n');
        self.0.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        if self.0.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str::<Line<Answer>>(&answer)?.content)
    }
}
