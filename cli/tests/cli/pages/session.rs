//! One shell that runs a page's commands as its reader would type them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use card_core::testing::Database;

use super::console::{self, Run};
use crate::sandbox::{Sandbox, free_port};

/// Ports that pages name: each session has others in their place, so that pages run side by side.
const PORTS: [&str; 4] = ["7471", "7555", "7500", "8443"];

pub(super) struct Session {
    // Ends first: a shell has no work left when the sandbox goes.
    shell: Child,
    stdin: ChildStdin,
    sandbox: Sandbox,
    ports: Vec<(&'static str, String)>,
    services: Option<Database>,
    number: usize,
}

struct Printed {
    code: i32,
    text: String,
}

/// Runs a page and says all that is not as it says.
pub(super) fn run(path: &str) {
    let page = super::read(path);
    let commands = console::commands(&page).unwrap_or_else(|why| panic!("{path}: {why}"));
    let mut session = Session::new(commands.iter().any(|command| command.run == Run::WithServices));
    for command in &commands {
        let runs = match command.run {
            Run::Always => true,
            Run::WithServices => session.services.is_some(),
            Run::Never => false,
        };
        if !runs {
            continue;
        }
        let printed = session.run(&command.text);
        let told = |why: &str| -> ! {
            panic!("{path}:{}: {why}\n$ {}\n{}\n(exit code {})", command.line, command.text, printed.text, printed.code)
        };
        if let Some(line) = console::difference(&command.shown, &printed.text) {
            told(&format!("this line was not printed: {line}"));
        }
        let fails = command.shown.iter().any(|line| line.starts_with("error[") || line.contains("(exit "));
        if !fails && printed.code != 0 {
            told("it failed, and the page shows no error");
        }
        for line in &command.shown {
            if let Some(code) = line.split("(exit ").nth(1).and_then(|rest| rest.split(')').next()?.parse::<i32>().ok())
            {
                // `&` ends with 0 before the command does.
                let background = command.text.contains('&');
                if !background && printed.code != code {
                    told(&format!("the page says exit {code}"));
                }
            }
        }
    }
}

impl Session {
    fn new(wants_services: bool) -> Self {
        let sandbox = Sandbox::new();
        let services =
            (wants_services && std::env::var_os("CARDCTL_TEST_DATABASE_URL").is_some()).then(Database::create);
        let programs = sandbox.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        link(&programs);
        let path = format!("{}:{}:/usr/sbin", programs.display(), std::env::var("PATH").unwrap_or_default());
        let ports = PORTS.map(|port| (port, free_port().to_string())).to_vec();
        copy_examples(&sandbox, &ports);
        let mut command = sandbox.program("bash", &["--norc"]);
        command.env("PATH", path).env("CARDCTL_SERVER_PORT", "0").env("COLUMNS", "120");
        if let Some(database) = &services {
            command
                .env("DATABASE", database.url())
                .env("REDIS", database.redis())
                .env("CARDCTL_DELIVERY_PREFIX", database.prefix());
        }
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let stdin = shell.stdin.take().unwrap();
        Self { shell, stdin, sandbox, ports, services, number: 0 }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(format!("{name}.{}", self.number))
    }

    fn run(&mut self, text: &str) -> Printed {
        self.number += 1;
        let text = self.ports.iter().fold(text.to_owned(), |text, (port, ours)| text.replace(port, ours));
        let [script, out, code] = ["script", "out", "code"].map(|name| self.file(name));
        std::fs::write(&script, text).unwrap();
        // In the shell itself, as typed: variables, directories and jobs stay for what follows.
        writeln!(
            self.stdin,
            "eval \"$(cat {})\" >{} 2>&1 </dev/null; echo $? >{}.part; mv {}.part {}",
            script.display(),
            out.display(),
            code.display(),
            code.display(),
            code.display()
        )
        .unwrap();
        self.stdin.flush().unwrap();
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let printed = || std::fs::read_to_string(&out).unwrap_or_default();
            if let Ok(code) = std::fs::read_to_string(&code) {
                let text = self.ports.iter().fold(printed(), |text, (port, ours)| text.replace(ours, port));
                return Printed { code: code.trim().parse().unwrap(), text };
            }
            let ended = self.shell.try_wait().unwrap();
            assert!(ended.is_none(), "the shell ended: {ended:?}\n{}", printed());
            assert!(Instant::now() < deadline, "it does not end:\n{}", printed());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// The files that pages name, where their readers have them, with this session's ports.
fn copy_examples(sandbox: &Sandbox, ports: &[(&str, String)]) {
    let (from, to) = (super::root().join("docs/examples"), sandbox.work().join("docs/examples"));
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let copy = to.join(entry.file_name());
        // With its permissions.
        std::fs::copy(entry.path(), &copy).unwrap();
        let text = std::fs::read_to_string(&copy).unwrap();
        std::fs::write(&copy, ports.iter().fold(text, |text, (port, ours)| text.replace(port, ours))).unwrap();
    }
}

/// The programs of a release, as one that is built knows them.
fn link(programs: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let cardctl = env!("CARGO_BIN_EXE_cardctl");
    std::os::unix::fs::symlink(cardctl, programs.join("cardctl")).unwrap();
    // The same code as the binary of that name, which this test does not build.
    let server = programs.join("card-server");
    std::fs::write(&server, format!("#!/bin/sh\nexec {cardctl} card-server \"$@\"\n")).unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
}
