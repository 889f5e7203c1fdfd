//! What a person sees: real commands in a terminal of 80 by 24 and of 120 by 40, shown by a terminal emulator. No line breaks in
//! the middle of a word, ids are whole, and a window that is resized keeps no copy of what was drawn before.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use rustix::termios::tcsetwinsize;

use crate::sandbox::Sandbox;

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];
/// Lines above the screen that the emulator keeps.
const SCROLLBACK: usize = 2000;

/// A terminal with a program in it.
struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    keys: File,
    child: Child,
}

impl Terminal {
    fn run(sandbox: &Sandbox, (columns, rows): (u16, u16), arguments: &[&str]) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        // A session of its own makes it the controlling terminal: the kernel tells it of a new size.
        let program = [&["--ctty", "--wait", env!("CARGO_BIN_EXE_cardctl")], arguments].concat();
        let mut command = sandbox.program("setsid", &program);
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        drop((command, pty.slave));
        let keys = File::from(pty.master);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, SCROLLBACK)));
        let (mut output, shown) = (keys.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Its end is an error: the other side of a terminal is closed.
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..length]);
            }
        });
        Self { screen, keys, child }
    }

    fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(
            &self.keys,
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 },
        )
        .unwrap();
        self.screen.lock().unwrap().screen_mut().set_size(rows, columns);
    }

    fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(&self.contents()) {
            assert!(Instant::now() < deadline, "it never came to be: {what}\n{}", self.contents());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the program to end. Every line there was, as it stood on the screen; each with whether it runs on in the next.
    fn end(&mut self) -> (Option<i32>, Vec<(String, bool)>) {
        let code = self.child.wait().unwrap().code();
        // What the kernel still has for the reader comes at once.
        let mut before = None;
        self.until("all of it is read", |now| before.replace(now.to_owned()).as_deref() == Some(now));
        let mut parser = self.screen.lock().unwrap();
        let screen = parser.screen_mut();
        let (rows, columns) = screen.size();
        screen.set_scrollback(usize::MAX);
        let above = screen.scrollback();
        let mut lines = Vec::new();
        for offset in (0..=above).rev() {
            screen.set_scrollback(offset);
            // The first row of each position, and all of the last.
            let shown: Vec<_> = screen.rows(0, columns).collect();
            let count = if offset == 0 { rows } else { 1 };
            for row in 0..count {
                lines.push((shown[usize::from(row)].clone(), screen.row_wrapped(row)));
            }
        }
        (code, lines)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No line runs on in the next in the middle of a word. A path or an address may: it has no place to break, and is copied whole.
fn assert_no_broken_word(what: &str, lines: &[(String, bool)]) {
    for pair in lines.windows(2) {
        let [(line, runs_on), (next, _)] = pair else { continue };
        let (before, after) = (line.chars().last().unwrap_or(' '), next.chars().next().unwrap_or(' '));
        if !runs_on || before == ' ' || after == ' ' {
            continue;
        }
        let word = line.rsplit(' ').next().unwrap_or_default();
        let has_no_break = word.contains('/') || next.split(' ').next().unwrap_or_default().contains('/');
        assert!(has_no_break, "{what}: {line:?} goes on with {next:?}\n{}", text(lines));
    }
}

fn text(lines: &[(String, bool)]) -> String {
    lines.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>().join("\n")
}

/// Ids as they stand on the screen: with all of their digits, or not at all.
fn ids(what: &str, lines: &[(String, bool)]) -> Vec<String> {
    let shown = text(lines);
    let ids: Vec<_> = shown
        .split(|letter: char| letter.is_whitespace())
        .filter(|word| word.starts_with("tsk_") || word.starts_with("run_"))
        .map(ToOwned::to_owned)
        .collect();
    for id in &ids {
        // A run is named without the dashes of a task.
        let length = if id.starts_with("tsk_") { 40 } else { 36 };
        assert_eq!(id.trim_end_matches([',', ';', ':']).len(), length, "{what}: {id}\n{shown}");
    }
    ids
}

fn look(sandbox: &Sandbox, size: (u16, u16), arguments: &[&str]) -> (Option<i32>, Vec<(String, bool)>) {
    let mut terminal = Terminal::run(sandbox, size, arguments);
    let (code, lines) = terminal.end();
    let what = format!("{arguments:?} at {size:?}");
    assert_no_broken_word(&what, &lines);
    ids(&what, &lines);
    (code, lines)
}

#[test]
fn every_command_of_the_first_minutes_fits_the_terminal() {
    for size in SIZES {
        let sandbox = Sandbox::new();
        let (code, lines) = look(&sandbox, size, &["demo", "--seed", "7"]);
        assert_eq!(code, Some(0), "{}", text(&lines));
        assert!(text(&lines).contains("nothing lost, duplicated or stuck"), "{}", text(&lines));
        for (expected, arguments) in [
            (0, &["up", "-d"][..]),
            (0, &["status"]),
            (0, &["submit", "-c", "30", "-w"]),
            (0, &["doctor"]),
            (0, &["queue", "stats"]),
            (0, &["config", "show"]),
            (0, &["loadtest", "run", "-u", "10", "-d", "2s", "--ramp", "0s"]),
            (4, &["-t", "http://127.0.0.1:1", "status"]),
            (4, &["--instance", "another", "submit"]),
            (2, &["loadtest", "run", "--slo", "e2e.p59<2s"]),
        ] {
            let (code, lines) = look(&sandbox, size, arguments);
            // A busy machine may make a load inconclusive.
            let is_load = arguments.starts_with(&["loadtest", "run", "-u"]) && code == Some(11);
            assert!(code == Some(expected) || is_load, "{arguments:?}: {code:?}\n{}", text(&lines));
        }
        let (_, lines) = look(&sandbox, size, &["tasks", "list"]);
        assert!(ids("tasks list", &lines).len() > 10, "{}", text(&lines));
        // The hint is a command that can be pasted: it is one, and gives the next page.
        let (_, lines) = look(&sandbox, size, &["tasks", "list", "--kind", "replacement", "--limit", "2"]);
        let shown = text(&lines);
        let hint = shown.split("more: ").nth(1).unwrap_or_else(|| panic!("{shown}"));
        let hint = hint.replace("\\\n", " ");
        let words: Vec<_> = hint.lines().next().unwrap().split_whitespace().skip(1).collect();
        assert!(words.contains(&"--kind") && words.contains(&"--limit"), "{words:?}");
        sandbox.expect(0, &words);
        look(&sandbox, size, &["down"]);
    }
}

#[test]
fn a_smoke_test_fits_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for size in SIZES {
        let (code, lines) = look(&sandbox, size, &["smoke", "--load", "2u/1s"]);
        assert_eq!(code, Some(0), "{}", text(&lines));
    }
}

#[test]
fn help_fits_the_terminal() {
    let sandbox = Sandbox::new();
    for arguments in [&["--help"][..], &["up", "--help"], &["loadtest", "run", "--help"], &["help", "exit-codes"]] {
        look(&sandbox, (80, 40), arguments);
    }
}

#[test]
fn a_resized_window_keeps_no_copy_of_what_was_drawn() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["queue", "pause"]);
    for arguments in [&["submit", "-c", "30", "-w", "--run", "wide"][..], &["watch", "--run", "wide"]] {
        let mut terminal = Terminal::run(&sandbox, (120, 40), arguments);
        terminal.until("the table is drawn", |shown| shown.contains("STATUS"));
        for (columns, rows) in [(80, 30), (100, 24), (60, 24), (120, 40)] {
            terminal.resize(columns, rows);
            let ticks = || terminal.contents().lines().find(|line| line.contains('─')).map(str::to_owned);
            let before = ticks();
            terminal.until("it is drawn again", |_| ticks() != before);
            // Between clearing and drawing there is none for a moment, and never more than one.
            terminal.until(&format!("one table at {columns} columns"), |shown| {
                let tables = shown.matches("STATUS").count();
                assert!(tables <= 1, "{columns} columns\n{shown}");
                tables == 1
            });
        }
        terminal.keys.write_all(b"\x03").unwrap();
        terminal.end();
    }
    sandbox.expect(0, &["queue", "resume"]);
}

#[test]
fn only_yes_means_yes() {
    let sandbox = Sandbox::new();
    sandbox.up();
    for answer in ["y\n", "Yes please\n", "\n"] {
        let mut terminal = Terminal::run(&sandbox, SIZES[0], &["down", "--purge"]);
        terminal.until("it asks", |shown| shown.contains("continue:"));
        terminal.keys.write_all(answer.as_bytes()).unwrap();
        assert_eq!(terminal.end().0, Some(3), "{answer:?}");
        assert!(sandbox.paths().dir.exists());
    }
    let mut terminal = Terminal::run(&sandbox, SIZES[0], &["down", "--purge"]);
    terminal.until("it asks", |shown| shown.contains("continue:"));
    terminal.keys.write_all(b"yes\n").unwrap();
    assert_eq!(terminal.end().0, Some(0));
    assert!(!sandbox.paths().dir.exists());
}
