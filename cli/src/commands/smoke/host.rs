//! Where the proof takes place: a platform that runs, or one that is started for it and thrown away.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::ChildStdin;

use super::artifacts::Artifacts;
use crate::commands::up::{UpArgs, converge};
use crate::context::{Context, Endpoint, Target, endpoint};
use crate::failure::Failure;
use crate::instance::{Local, Paths, Record, end, grace, temporary};
use card_core::exit::Exit;
use card_core::fronts::Front;

/// Beyond the drain, for the last commit.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// A platform to look at.
pub(super) struct Host {
    pub(super) endpoint: Endpoint,
    own: Option<Own>,
}

/// A platform of one's own. It does not outlive this process: the tie ends it.
struct Own {
    record: Record,
    paths: Paths,
    _tie: Option<ChildStdin>,
    _state: TempDir,
}

impl Host {
    /// The fronts of a platform on this machine, and the URL of each. Those in a cluster can't be reached from here.
    pub(super) fn fronts(&self, context: &Context) -> BTreeMap<Front, String> {
        if let Some(own) = &self.own {
            return own.record.fronts();
        }
        let running = Record::running(&context.instance);
        let is_it = |record: &Record| record.url == self.endpoint.base_url;
        running.filter(is_it).map(|record| record.fronts()).unwrap_or_default()
    }

    /// The platform that runs, or a new one.
    pub(super) async fn find(up: bool, context: &Context) -> Result<Self, Failure> {
        if up { Self::start(context).await } else { Ok(Self { endpoint: context.endpoint().await?, own: None }) }
    }

    /// Starts one beside whatever runs: an instance of its own, in a directory of its own, on a port that is free.
    async fn start(context: &Context) -> Result<Self, Failure> {
        let target = context.target()?;
        if let Target::Url(url) = &target {
            return Err(Failure::new("usage", Exit::Usage, "--up starts a platform on this machine, not at a URL")
                .evidence(format!("the target is {url}"))
                .fix("leave out --up, or use --target embedded"));
        }
        if let Target::Kubernetes(kind) = &target {
            return Err(Failure::new("usage", Exit::Usage, "--up starts a platform on this machine, not in a cluster")
                .evidence(format!("the target is {}", kind.name()))
                .fix(format!("cardctl up -d -t {}, then cardctl smoke", kind.name())));
        }
        let state = temporary("cardctl-smoke-").map_err(|error| {
            Failure::new("state-directory", Exit::NotReady, format!("a temporary directory can't be created: {error}"))
                .fix("set TMPDIR to a directory that you can write to")
        })?;
        let paths = Paths { name: "smoke".to_owned(), dir: state.path().join("smoke") };
        let aside = Context {
            settings: context.settings.clone(),
            sources: context.sources.clone(),
            printer: context.printer.clone(),
            instance: paths.clone(),
            stop: context.stop.clone(),
            issuer_url: context.issuer_url.clone(),
            plain_http: context.plain_http.clone(),
            plain_http_flag: context.plain_http_flag,
            yes: context.yes,
            interactive: context.interactive,
            cluster: tokio::sync::OnceCell::new(),
            signal: context.signal.clone(),
            reader_gone: context.reader_gone.clone(),
        };
        // Data that lies elsewhere is cleaned up by run.
        let ephemeral = target == Target::Local(Local::Embedded);
        let args = UpArgs { ephemeral, port: Some(0), ..UpArgs::default() };
        let converged = converge(&args, true, &aside).await?;
        let own = Own { record: converged.record, paths, _tie: converged.tie, _state: state };
        match endpoint(&own.record) {
            Ok(endpoint) => Ok(Self { endpoint, own: Some(own) }),
            Err(failure) => {
                end(own.record.process, CLOSE_LIMIT).await?;
                Err(failure)
            }
        }
    }

    /// Whether nobody else uses it.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Takes down what was started and keeps its log.
    pub(super) async fn end(self, artifacts: &Artifacts, context: &Context) -> Result<(), Failure> {
        let Some(own) = self.own else { return Ok(()) };
        let grace = grace(own.record.target, context.settings.settings.server.drain_timeout);
        let ended = end(own.record.process, grace).await;
        artifacts.keep("platform.log", &own.paths.log())?;
        ended.map(drop)
    }
}
