//! What `up` asks for, and how it differs from what runs.

use std::collections::BTreeMap;

use card_core::settings::{Origin, Resolved, Settings};
use serde::{Deserialize, Serialize};

use super::{Paths, Record, Setting};

/// All that a serving process needs to know. Handed to the detached one as JSON, so that settings are read once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Where state lies.
    pub paths: Paths,
    /// The settings.
    pub settings: Settings,
    /// The same, as the record keeps them.
    pub recorded: BTreeMap<String, Setting>,
    /// Settings that somebody gave: by flag, environment or file.
    given: Vec<String>,
    /// How many workers were asked for.
    workers: Option<usize>,
    /// Data in a directory that is removed at the end.
    pub ephemeral: bool,
    /// The serving process ends when the one that started it does.
    pub attached: bool,
}

/// A setting that what runs was started with otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    pub setting: String,
    /// As it runs.
    pub running: String,
    /// As it was asked for now.
    pub asked: String,
}

const DEFAULT_WORKERS: usize = 1;

impl Plan {
    /// A plan from settings and the flags of `up`.
    #[must_use]
    pub fn new(paths: &Paths, resolved: &Resolved, workers: Option<usize>, ephemeral: bool) -> Self {
        let given = |(key, origin): (&String, &Origin)| (*origin != Origin::BuiltIn).then(|| key.clone());
        Self {
            paths: paths.clone(),
            settings: resolved.settings.clone(),
            recorded: Record::settings_of(resolved),
            given: resolved.origins.iter().filter_map(given).collect(),
            workers,
            ephemeral,
            attached: false,
        }
    }

    /// How many workers run in the process, each with `worker.concurrency` steps at once.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or(DEFAULT_WORKERS)
    }

    /// Whether the port was asked for, so that another one will not do.
    #[must_use]
    pub fn port_is_given(&self) -> bool {
        self.given.iter().any(|key| key == "server.port")
    }

    fn asks_for_a_port(&self) -> bool {
        self.port_is_given() && self.settings.server.port != 0
    }

    /// What would have to change in what runs. What was not asked for now is satisfied by whatever runs, unless it came
    /// from a file or the environment and was taken out of it since.
    #[must_use]
    pub fn differences(&self, running: &Record) -> Vec<Difference> {
        let mut differences: Vec<_> = self
            .recorded
            .iter()
            .filter_map(|(key, asked)| {
                let (is, lasting) = match running.settings.get(key) {
                    Some(setting) => (setting.value.to_string(), setting.lasting),
                    None => ("unknown to that version".to_owned(), true),
                };
                // A port that was not asked for may have become another one.
                let is = if key == "server.port" && self.asks_for_a_port() { running.port().to_string() } else { is };
                let concerned = self.given.contains(key) || lasting;
                let asked = asked.value.to_string();
                (concerned && is != asked).then(|| Difference { setting: key.clone(), running: is, asked })
            })
            .collect();
        let mut compare = |setting: &str, running: String, asked: String| {
            if running != asked {
                differences.push(Difference { setting: setting.to_owned(), running, asked });
            }
        };
        if let Some(workers) = self.workers {
            compare("workers", running.workers.to_string(), workers.to_string());
        }
        compare("version", running.version.clone(), card_core::VERSION.to_owned());
        compare("ephemeral", running.ephemeral.to_string(), self.ephemeral.to_string());
        differences
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use card_core::settings::Layers;
    use card_core::time::Instant;

    use super::super::{Phase, Process};
    use super::*;

    fn plan(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Plan {
        let mut layers = Layers::built_in();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        layers.environment(variables).unwrap();
        for (key, value) in flags {
            layers.flag(key, value, "--flag").unwrap();
        }
        let paths = Paths { name: "default".into(), dir: PathBuf::from("/nowhere") };
        Plan::new(&paths, &layers.resolve().unwrap(), None, false)
    }

    fn runs(plan: &Plan) -> Record {
        Record {
            process: Process::current(),
            phase: Phase::Serving,
            detached: true,
            url: format!("http://127.0.0.1:{}", plan.settings.server.port),
            issuer_url: None,
            engine: "sqlite".into(),
            workers: plan.workers(),
            data_dir: PathBuf::from("/nowhere"),
            ephemeral: plan.ephemeral,
            version: card_core::VERSION.into(),
            started_at: Instant::now(),
            settings: plan.recorded.clone(),
        }
    }

    fn changed(running: &Plan, asked: &Plan) -> Vec<String> {
        asked.differences(&runs(running)).into_iter().map(|difference| difference.setting).collect()
    }

    #[test]
    fn asking_for_nothing_in_particular_is_satisfied_by_what_a_flag_once_asked_for() {
        let with_port = plan(&[("server.port", "9000")], &[]);
        assert!(changed(&with_port, &plan(&[], &[])).is_empty());
        assert!(changed(&with_port, &with_port).is_empty());
    }

    #[test]
    fn another_value_is_a_difference() {
        let asked = plan(&[("server.port", "9000")], &[]);
        assert_eq!(changed(&plan(&[], &[]), &asked), ["server.port"]);
        let mut elsewhere = runs(&plan(&[], &[]));
        elsewhere.url = "http://127.0.0.1:7401".into();
        let asked_for = plan(&[("server.port", "7400")], &[]);
        assert_eq!(asked_for.differences(&elsewhere).len(), 1, "it was given another port than the one asked for now");
        assert!(plan(&[], &[]).differences(&elsewhere).is_empty());
        let asked = Plan { workers: Some(3), ephemeral: true, ..plan(&[], &[]) };
        assert_eq!(changed(&plan(&[], &[]), &asked), ["workers", "ephemeral"]);
    }

    #[test]
    fn a_setting_that_was_taken_out_of_the_environment_is_a_difference() {
        let running = plan(&[], &[("CARDCTL_LOG_LEVEL", "debug")]);
        assert_eq!(changed(&running, &plan(&[], &[])), ["log.level"]);
    }
}
