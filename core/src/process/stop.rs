//! How a process is told to stop: by a signal, or, if it is tied to who started it, by that one's end.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Tells when this process is asked to stop. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Stop {
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// Listens from now on. The first SIGTERM or SIGINT asks for a stop; a second one ends the process at once. A SIGHUP, which
    /// comes when a terminal is closed, asks too, and never more than that.
    ///
    /// If the process is tied, the end of its stdin asks too: who started it holds the other end, and when that one is
    /// gone, however it went, so is the end that it held. A tied process is in a session of its own: a Ctrl-C is meant
    /// for who started it, who then says what is to be done. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Signals can't be listened to, or there is no thread for stdin.
    pub fn listen(tied: bool) -> io::Result<Self> {
        let (ask, asked) = watch::channel(false);
        let signalled = Arc::new(AtomicBool::new(false));
        for (kind, code) in [(SignalKind::terminate(), TERMINATED), (SignalKind::interrupt(), INTERRUPTED)] {
            tokio::spawn(hear(signal(kind)?, code, Arc::clone(&signalled), ask.clone()));
        }
        if !is_ignored(nix::sys::signal::Signal::SIGHUP) {
            let (mut closed, ask) = (signal(SignalKind::hangup())?, ask.clone());
            tokio::spawn(async move {
                while closed.recv().await.is_some() {
                    ask.send_replace(true);
                }
            });
        }
        if tied {
            // Fails for the leader of a process group: then a Ctrl-C passes it by already.
            let _ = nix::unistd::setsid();
            std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
                until_end(&mut io::stdin().lock());
                ask.send_replace(true);
            })?;
        }
        Ok(Self { asked })
    }

    /// Waits until a stop is asked for. Cancel safe.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // Those who listen end with the runtime only.
            std::future::pending().await
        }
    }
}

/// Whether whoever started this process had it ignore a signal, as nohup(1) does with SIGHUP.
#[must_use]
pub fn is_ignored(signal: nix::sys::signal::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// As a shell says it of a process that the signal ended.
const TERMINATED: i32 = 128 + 15;
const INTERRUPTED: i32 = 128 + 2;

async fn hear(mut signal: Signal, code: i32, signalled: Arc<AtomicBool>, ask: watch::Sender<bool>) {
    while signal.recv().await.is_some() {
        // An end of stdin is no signal: who ties a process may close stdin and send SIGTERM, in either order.
        if signalled.swap(true, Ordering::AcqRel) {
            tracing::warn!("second stop signal: exiting at once");
            std::process::exit(code);
        }
        ask.send_replace(true);
    }
}

fn until_end(stdin: &mut impl Read) {
    let mut nothing = [0_u8; 64];
    loop {
        match stdin.read(&mut nothing) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
