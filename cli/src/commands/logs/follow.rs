//! Reads log files as they grow and are replaced.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::instance::Paths;

/// Lines read at once, so that a long log is not held in memory.
const BATCH: usize = 4096;

pub(super) struct Follower {
    path: PathBuf,
    /// The old log first, then the present one.
    waiting: Vec<PathBuf>,
    open: Option<BufReader<File>>,
    /// A line whose end is not written yet.
    rest: Vec<u8>,
}

impl Follower {
    pub(super) fn new(paths: &Paths) -> Self {
        Self { path: paths.log(), waiting: vec![paths.log(), paths.old_log()], open: None, rest: Vec::new() }
    }

    /// Whole lines that were not read before; none when there are no more for now.
    pub(super) fn read(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            if self.open.is_none() && !self.open_next()? {
                return Ok(lines);
            }
            let Some(reader) = &mut self.open else { return Ok(lines) };
            while lines.len() < BATCH && reader.read_until(b'\n', &mut self.rest)? > 0 {
                if self.rest.last() == Some(&b'\n') {
                    lines.extend(untorn(String::from_utf8_lossy(&self.rest).trim_end()).map(str::to_owned));
                    self.rest.clear();
                }
            }
            if lines.len() == BATCH || !self.is_replaced()? {
                return Ok(lines);
            }
            self.rest.clear();
            self.open = None;
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        let Some(path) = self.waiting.pop() else { return Ok(false) };
        match File::open(path) {
            Ok(file) => {
                self.open = Some(BufReader::new(file));
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.open_next(),
            Err(error) => Err(error),
        }
    }

    /// Whether another file is next: the present log after the old one, or a new present log.
    fn is_replaced(&mut self) -> io::Result<bool> {
        if !self.waiting.is_empty() {
            return Ok(true);
        }
        let Some(reader) = &mut self.open else { return Ok(false) };
        let here = reader.get_ref().metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(there) if there.ino() != here.ino() || there.dev() != here.dev() => {
                self.waiting.push(self.path.clone());
                Ok(true)
            }
            Ok(there) if there.len() < reader.stream_position()? => {
                reader.rewind()?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}

/// A line that a full disk cut off has the next one of another process at its end: that one is a line of its own.
fn untorn(line: &str) -> impl Iterator<Item = &str> {
    const BEGIN: &str = "{\"timestamp\":";
    let whole = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
    let is_whole = whole(line);
    let next = line.rfind(BEGIN).filter(|at| *at > 0 && !is_whole && whole(&line[*at..]));
    let (torn, rest) = line.split_at(next.unwrap_or(line.len()));
    [torn, rest].into_iter().filter(|part| !part.is_empty() || line.is_empty()).take(2 - usize::from(line.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    #[test]
    fn a_line_behind_a_torn_one_is_read() {
        let whole = r#"{"timestamp":"x","message":"why {\"timestamp\": is there"}"#;
        let torn = r#"{"timestamp":"x","mess"#;
        let lines = |text: &str| untorn(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&format!("{torn}{whole}")).last().unwrap(), whole);
        assert_eq!(lines(whole), [whole]);
        assert_eq!(lines(torn), [torn]);
        assert_eq!(lines("panicked"), ["panicked"]);
        assert_eq!(lines(""), [""]);
    }

    use super::*;

    #[test]
    fn what_is_written_and_replaced_while_reading_is_read_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { name: "x".into(), dir: dir.path().to_owned() };
        std::fs::write(paths.old_log(), "a\n").unwrap();
        std::fs::write(paths.log(), "b\nhal").unwrap();
        let mut follower = Follower::new(&paths);
        assert_eq!(follower.read().unwrap(), ["a", "b"]);
        let mut log = File::options().append(true).open(paths.log()).unwrap();
        log.write_all(b"f\n").unwrap();
        assert_eq!(follower.read().unwrap(), ["half"]);
        std::fs::rename(paths.log(), paths.old_log()).unwrap();
        std::fs::write(paths.log(), "c\n").unwrap();
        assert_eq!(follower.read().unwrap(), ["c"]);
        assert!(follower.read().unwrap().is_empty());
    }
}
