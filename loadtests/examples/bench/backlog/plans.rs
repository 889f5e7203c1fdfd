//! The plans that Postgres really used for the platform's statements, those inside of functions as well: it is asked to
//! log some of them (`auto_explain`, a part of Postgres), and they are read from its log.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use card_core::testing::{Postgres, PostgresOptions};

use crate::Failed;

/// Between a node and its figures.
const COST: &str = "  (cost=";
/// How much of a statement is shown.
const SHOWN: usize = 90;

/// Makes a server log the plans of one statement in fifty: the figures should not be those of its logging.
pub(super) fn logged(options: PostgresOptions) -> PostgresOptions {
    options
        .with("session_preload_libraries", "auto_explain")
        .with("auto_explain.log_min_duration", "0")
        .with("auto_explain.log_nested_statements", "on")
        .with("auto_explain.sample_rate", "0.02")
}

/// What was logged after a moment.
pub(super) struct Log {
    file: PathBuf,
    from: u64,
}

/// What was found in it.
pub(super) struct Plans {
    /// How many plans.
    pub(super) looked_at: usize,
    /// For each statement the ways to tables that its plans took.
    pub(super) ways: BTreeMap<String, BTreeSet<String>>,
    /// Of those that read all of a table or an index that grows with the backlog, one for each statement, as it was logged.
    pub(super) whole_reads: BTreeMap<String, String>,
}

impl Log {
    pub(super) fn since_now(postgres: &Postgres) -> Result<Self, Failed> {
        let file = postgres.directory().join("log");
        let from = std::fs::metadata(&file)?.len();
        Ok(Self { file, from })
    }

    pub(super) fn read(&self) -> Result<Plans, Failed> {
        let mut file = std::fs::File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Plans::of(&String::from_utf8_lossy(&bytes)))
    }
}

impl Plans {
    /// An entry is a line with `plan:` at its end and, indented by a tab, the statement and the nodes of the plan.
    fn of(text: &str) -> Self {
        let mut found = Self { looked_at: 0, ways: BTreeMap::new(), whole_reads: BTreeMap::new() };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.ends_with(" plan:") {
                let entry: Vec<&str> = std::iter::from_fn(|| lines.next_if(|line| line.starts_with('\t'))).collect();
                found.looked_at += 1;
                found.take(&entry);
            }
        }
        found
    }

    fn take(&mut self, entry: &[&str]) {
        let first = entry.iter().position(|line| line.contains(COST)).unwrap_or(entry.len());
        let (statement, plan) = entry.split_at(first);
        let statement: Vec<&str> = statement.iter().flat_map(|line| line.split_whitespace()).collect();
        let statement: String = statement.join(" ").trim_start_matches("Query Text: ").chars().take(SHOWN).collect();
        let ways: Vec<Way> = plan.iter().enumerate().filter_map(|(at, line)| Way::of(line, &plan[at + 1..])).collect();
        if ways.iter().any(Way::is_whole) {
            self.whole_reads.entry(statement.clone()).or_insert_with(|| plan.join("\n"));
        }
        // A call of a function touches no table; what is in it has plans of its own.
        if !ways.is_empty() {
            self.ways.entry(statement).or_default().extend(ways.into_iter().map(|way| way.name));
        }
    }
}

/// How a node of a plan gets at rows.
struct Way {
    /// Such as `Index Scan using tasks_pkey on tasks`. A partition's day is left out.
    name: String,
    /// Whether it looks for something, and does not take all that there is.
    is_aimed: bool,
}

impl Way {
    /// From a node's line and those after it.
    fn of(line: &str, after: &[&str]) -> Option<Self> {
        let node = line.split_once(COST)?.0.trim().trim_start_matches("->").trim();
        // What a bitmap of rows is made from says more than its use.
        if !["Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"].iter().any(|scan| node.starts_with(scan))
        {
            return None;
        }
        let mut words = Vec::new();
        for word in node.split_whitespace() {
            let is_relation = words.last().is_some_and(|word| word == "on");
            words.push(word.split('_').filter(|part| !is_day(part)).collect::<Vec<_>>().join("_"));
            if is_relation {
                // After it there is its alias.
                break;
            }
        }
        let mut details = after.iter().take_while(|line| !line.contains(COST));
        Some(Self { name: words.join(" "), is_aimed: details.any(|line| line.trim().starts_with("Index Cond:")) })
    }

    /// Of tables that are small, all may be read.
    fn is_whole(&self) -> bool {
        let grows = self.name.split_whitespace().any(|word| word.starts_with("tasks") || word.starts_with("events"));
        grows && !self.is_aimed
    }
}

fn is_day(part: &str) -> bool {
    part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_digit())
}
