//! A server's process: started, signalled and ended by its id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::waiting::lock;

/// Killed and waited for when it is dropped.
pub(super) struct Process {
    child: Mutex<Child>,
    /// Its thread lives until this is dropped.
    _keeper: mpsc::Sender<()>,
}

impl Process {
    /// Starts a command whose output goes into a file.
    pub(super) fn start(mut command: Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("a log in the temporary directory");
        let errors = output.try_clone().expect("a descriptor");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let (started, child) = mpsc::channel();
        let (keeper, ended) = mpsc::channel::<()>();
        // The kernel sends the signal of `tied` when the *thread* that started the child ends. So it is one of its own,
        // which lives as long as the child may, and not a caller's, which may be a pool's and end when it is idle.
        thread::spawn(move || {
            let _ = started.send(command.spawn().map_err(|error| format!("can't run {command:?}: {error}")));
            let _ = ended.recv();
        });
        let child = child.recv().expect("the thread sends before it ends");
        Self { child: Mutex::new(child.unwrap_or_else(|error| panic!("{error}"))), _keeper: keeper }
    }

    pub(super) fn id(&self) -> u32 {
        lock(&self.child).id()
    }

    pub(super) fn ended(&self) -> bool {
        !matches!(lock(&self.child).try_wait(), Ok(None))
    }

    /// Sends a signal, unless the process has ended: then its id may be another's.
    pub(super) fn signal(&self, signal: Signal) {
        let mut child = lock(&self.child);
        if let (Ok(None), Ok(id)) = (child.try_wait(), i32::try_from(child.id())) {
            // It can only fail because the process ended this moment: nobody but us collects it.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }

    /// Asks it to end, and kills it if it does not.
    pub(super) fn end(self, signal: Signal, within: Duration) {
        self.signal(signal);
        // One that is stopped would never see it.
        self.signal(Signal::SIGCONT);
        let begun = Instant::now();
        while !self.ended() && begun.elapsed() < within {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A command that gets this signal when the process that starts it is gone, however that ended.
pub(super) fn tied(program: &Path, signal: &str) -> Command {
    /// Part of util-linux. Without it, a test that is killed leaves its servers behind.
    static SETPRIV: LazyLock<bool> = LazyLock::new(|| {
        let tried = Command::new("setpriv").args(["--pdeathsig", "KILL", "true"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    });
    if !*SETPRIV {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]).arg(program);
    command
}

/// Where a program is: in `PATH`.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// The last lines of a log, for a panic's message.
pub(super) fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A temporary directory for a server's data.
pub(super) fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("card-test-").tempdir().expect("a temporary directory")
}
