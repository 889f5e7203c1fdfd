//! What the words after a part's name ask for: on which engine, and whether it is only to be tried.

use crate::Failed;
use crate::platform::Platform;

/// What the platform is to stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// One process on one SQLite file.
    Embedded,
    /// Processes on a Postgres and a Redis of their own.
    Cluster,
}

impl Engine {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    pub(crate) engine: Engine,
    is_quick: bool,
}

impl Given {
    /// `[cluster] [quick]`.
    pub(crate) fn read(words: &[String]) -> Result<Self, Failed> {
        let mut given = Self { engine: Engine::Embedded, is_quick: false };
        for word in words {
            match word.as_str() {
                "embedded" => given.engine = Engine::Embedded,
                "cluster" => given.engine = Engine::Cluster,
                "quick" => given.is_quick = true,
                other => return Err(format!("{other:?} is not one of: embedded, cluster, quick").into()),
            }
        }
        Ok(given)
    }

    /// Quick is for trying the code: its figures say nothing.
    pub(crate) fn pick<T>(self, measured: T, quick: T) -> T {
        if self.is_quick { quick } else { measured }
    }

    /// A platform with one worker and, on the cluster, one server.
    pub(crate) async fn platform(self) -> Result<Platform, Failed> {
        match self.engine {
            Engine::Embedded => Platform::start().await,
            Engine::Cluster => Platform::on_cluster(1, 1, &[]).await,
        }
    }
}
