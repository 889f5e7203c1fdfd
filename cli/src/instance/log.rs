//! The log of the background process and its children: how it is opened, and what was said since.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};

use card_core::files;

use super::Paths;

/// A log that is longer when a process starts becomes the old one.
const ROTATE_AT: u64 = 10 * 1024 * 1024;
/// Lines that are worth showing with a failure.
const LINES: usize = 5;

/// A moment of the log.
#[derive(Debug, Clone)]
pub struct LogMark {
    paths: Paths,
    at: u64,
}

/// Opens the log for writing; what is said from then on.
pub(super) fn open(paths: &Paths) -> io::Result<(File, LogMark)> {
    paths.create()?;
    let path = paths.log();
    if std::fs::metadata(&path).is_ok_and(|log| log.len() > ROTATE_AT) {
        std::fs::rename(&path, paths.old_log())?;
    }
    let log = files::open_or_create(&path, OpenOptions::new().append(true))?;
    Ok((log, LogMark::now(paths)))
}

impl LogMark {
    /// The end of the log as it is.
    #[must_use]
    pub fn now(paths: &Paths) -> Self {
        let at = std::fs::metadata(paths.log()).map_or(0, |log| log.len());
        Self { paths: paths.clone(), at }
    }

    /// The last lines since.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.last(|line| Some(line.to_owned()))
    }

    /// The last things that a child said since, and what was said without the logger: an error at the very start has
    /// no other way. Nothing if the log is not where children speak to.
    #[must_use]
    pub fn said_by(&self, child: &str) -> Vec<String> {
        self.last(|line| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(line) if line["component"] == child => {
                let message = line["message"].as_str()?.to_owned();
                Some(line["error"].as_str().map_or_else(|| message.clone(), |error| format!("{message}: {error}")))
            }
            Ok(_) => None,
            Err(_) => Some(line.to_owned()),
        })
    }

    fn last(&self, pick: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut text = Vec::new();
        let read = File::open(self.paths.log()).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.at))?;
            file.take(64 * 1024).read_to_end(&mut text)
        });
        if read.is_err() {
            return Vec::new();
        }
        let lines: Vec<_> = String::from_utf8_lossy(&text).lines().filter_map(pick).collect();
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_child_said_is_found_among_what_others_said_before_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { name: "x".into(), dir: dir.path().to_owned() };
        std::fs::write(paths.log(), "error: of yesterday\n").unwrap();
        let mark = LogMark::now(&paths);
        let said = "{\"component\":\"server-1\",\"message\":\"no room\",\"error\":\"full\"}\n\
                    {\"component\":\"server-2\",\"message\":\"well\"}\nerror: address in use\n";
        std::fs::write(paths.log(), format!("error: of yesterday\n{said}")).unwrap();
        assert_eq!(mark.said_by("server-1"), ["no room: full", "error: address in use"]);
        assert_eq!(mark.said().len(), 3);
    }
}
