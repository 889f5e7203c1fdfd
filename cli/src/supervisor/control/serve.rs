//! The supervisor's side.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use card_core::process::Part;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::super::autoscale::Autoscaler;
use super::super::fleet::Fleet;
use super::super::{SERVERS_MAX, WORKERS_MAX};
use super::{Answer, Ask, Line, State, VERSION};
use crate::failure::Failure;
use crate::instance::{Paths, ShortPath};
use card_core::exit::Exit;

/// Longer lines are no questions of ours.
const LONGEST: u64 = 4096;

/// Listens until it is dropped. For who holds the instance's lock: a socket that is there is a dead one's.
pub(in super::super) fn serve(
    paths: &Paths,
    fleet: Arc<Fleet>,
    autoscaler: Option<Arc<Autoscaler>>,
) -> io::Result<AbortOnDropHandle<()>> {
    match std::fs::remove_file(paths.control()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(ShortPath::of(&paths.control())?.path())?;
    // Until here the directory, which is 0700, kept others out.
    std::fs::set_permissions(paths.control(), Permissions::from_mode(0o600))?;
    let host = Arc::new(Host { fleet, autoscaler });
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        let mut talks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let host = Arc::clone(&host);
                        talks.spawn(async move {
                            // Who asks and goes away needs no answer.
                            let _ = host.talk(stream).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the control socket can't be accepted");
                        // Out of file descriptors: without a pause this would spin.
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    }
                },
                Some(_ended) = talks.join_next(), if !talks.is_empty() => {}
            }
        }
    })))
}

struct Host {
    fleet: Arc<Fleet>,
    autoscaler: Option<Arc<Autoscaler>>,
}

impl Host {
    async fn talk(&self, stream: UnixStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if (&mut stream).take(LONGEST).read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let answer = match serde_json::from_str::<Line<Ask>>(&line) {
                Ok(Line { v: VERSION, content }) => self.answer(content),
                _ => refused(&Failure::new("control", Exit::Usage, "unknown request")),
            };
            let mut line = serde_json::to_string(&Line { v: VERSION, content: answer })?;
            line.push('\n');
            stream.write_all(line.as_bytes()).await?;
        }
    }

    fn answer(&self, ask: Ask) -> Answer {
        if let Ask::Scale { workers, servers } = ask {
            if let Err(failure) = self.may_scale(workers, servers) {
                return refused(&failure);
            }
            for (part, wanted) in [(Part::Server, servers), (Part::Worker, workers)] {
                if let Some(wanted) = wanted {
                    tracing::info!(part = part.as_str(), from = self.fleet.staying(part).len(), to = wanted, "scaling");
                    self.fleet.scale(part, wanted);
                }
            }
        }
        Answer::State(Box::new(State {
            servers: self.fleet.staying(Part::Server).len(),
            workers: self.fleet.staying(Part::Worker).len(),
            children: self.fleet.children(),
            autoscale: self.autoscaler.as_ref().map(|autoscaler| autoscaler.view()),
        }))
    }

    fn may_scale(&self, workers: Option<usize>, servers: Option<usize>) -> Result<(), Failure> {
        if let (Some(_), Some(autoscaler)) = (workers, &self.autoscaler) {
            let view = autoscaler.view();
            return Err(Failure::new(
                "autoscaled",
                Exit::NotReady,
                format!("workers are managed by the autoscaler ({}..{})", view.min, view.max),
            )
            .fix("restart without --autoscale, or with other bounds: up --restart")
            .left("nothing was changed"));
        }
        let within = |wanted: Option<usize>, max| wanted.is_none_or(|wanted| (1..=max).contains(&wanted));
        if !within(workers, WORKERS_MAX) || !within(servers, SERVERS_MAX) {
            let message = format!("must be 1 to {WORKERS_MAX} workers and 1 to {SERVERS_MAX} servers");
            return Err(Failure::new("usage", Exit::Usage, message));
        }
        Ok(())
    }
}

fn refused(failure: &Failure) -> Answer {
    Answer::Refused(failure.document().error)
}
