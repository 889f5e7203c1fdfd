//! `up --open`, with a stand-in for the browser on PATH that writes down what it is called with.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::sandbox::{Ended, Sandbox, eventually};

struct Desk {
    sandbox: Sandbox,
}

impl Desk {
    /// With a browser that ends as told.
    fn new(ending: &str) -> Self {
        let desk = Self { sandbox: Sandbox::new() };
        let (dir, said) = (desk.sandbox.path().join("path"), desk.sandbox.path().join("said"));
        std::fs::create_dir(&dir).unwrap();
        for name in ["stand-in", "xdg-open"] {
            let script = format!(
                "#!/bin/sh\necho \"$0 $# $* ${{CARDCTL_LOG_LEVEL-no setting}}\" | sed 's|.*/{name} |{name} |' >>'{}'\necho noise; echo noise >&2\n{ending}\n",
                said.display()
            );
            std::fs::write(dir.join(name), script).unwrap();
            std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        desk
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        let path = format!("{}:{}", self.sandbox.path().join("path").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path);
        command
    }

    fn up(&self, browser: (&str, &str), more: &[&str]) -> Ended {
        let arguments = [&["up", "-d", "--open", "--port", "0"], more].concat();
        let ended = Ended::of(self.command(&arguments).env(browser.0, browser.1).output().unwrap());
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
        ended
    }

    /// One line for each time that it was called.
    fn said(&self) -> Vec<String> {
        let said = std::fs::read_to_string(self.sandbox.path().join("said")).unwrap_or_default();
        said.lines().map(str::to_owned).collect()
    }

    fn page(&self) -> String {
        format!("{}/", self.sandbox.record().url)
    }
}

#[test]
fn the_browser_gets_the_page_once_and_nothing_of_its_noise_is_data() {
    let desk = Desk::new("exit 0");
    let mut command = desk.command(&["up", "-d", "--open", "--port", "0", "-o", "json"]);
    command.env("BROWSER", "stand-in").env("CARDCTL_LOG_LEVEL", "debug");
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(format!("{}/", ended.json()["url"].as_str().unwrap()), desk.page());
    assert_eq!(desk.said(), [format!("stand-in 1 {} no setting", desk.page())]);
    assert!(!ended.stderr.contains("noise") && !ended.stderr.contains("not opened"), "{}", ended.stderr);
}

#[test]
fn it_is_opened_again_when_the_platform_is_up_already() {
    let desk = Desk::new("exit 0");
    desk.sandbox.up();
    desk.up(("DISPLAY", ":7"), &[]);
    assert_eq!(desk.said(), [format!("xdg-open 1 {} no setting", desk.page())]);
}

#[test]
fn a_browser_that_fails_is_only_said() {
    let desk = Desk::new("exit 3");
    let ended = desk.up(("BROWSER", "no-such-program:stand-in --new %s"), &[]);
    assert_eq!(desk.said(), [format!("stand-in 2 --new {} no setting", desk.page())]);
    let told = format!("; go to {}", desk.page());
    for part in ["the page was not opened: no-such-program can't be run", "stand-in failed", told.as_str()] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let ended = desk.up(("DISPLAY", ""), &[]);
    assert!(ended.stderr.contains("there is no desktop here"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&told) && ended.stdout.contains(&desk.page()), "{}", ended.stdout);
    assert_eq!(desk.said().len(), 1);
}

#[test]
fn a_browser_that_stays_open_keeps_nobody_waiting() {
    let desk = Desk::new("exec sleep 600");
    desk.up(("BROWSER", "stand-in"), &[]);
    assert_eq!(desk.said(), [format!("stand-in 1 {} no setting", desk.page())]);
}

#[test]
fn the_foreground_opens_it_and_ctrl_c_does_not_end_the_browser() {
    let desk = Desk::new("exec sleep 600");
    let mut command = desk.command(&["up", "--open", "--port", "0"]);
    command.env("BROWSER", "stand-in").process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut up = command.spawn().unwrap();
    eventually("opened", || desk.said().len() == 1);
    assert_eq!(desk.said(), [format!("stand-in 1 {} no setting", desk.page())]);
    // As a terminal does: all of the foreground group is told.
    killpg(Pid::from_raw(up.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert!(up.wait().unwrap().success());
    assert_eq!(desk.sandbox.processes().len(), 1, "the browser");
}
