//! The pods of the Job from their first sign to their last: heard, looked after, and removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use card_kube::ObjectRef;
use card_kube::cluster::{Cluster, reason};
use card_kube::diagnose::{Circumstances, Finding, Recorded, diagnose};
use card_kube::logs::{LogItem, LogOptions, logs};
use card_loadtests::shard::wire::{self, Assembly, Line};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, LogParams, Preconditions, PropagationPolicy};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::manifest::{COMPONENT, CONTAINER, JOB_LABEL};
use super::pods::{self, At};
use crate::commands::loadtest::run::generators::Heard;

/// How often the pods are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What a pod that has ended wrote last arrives within this, or is read once more.
const LAST_LINES: Duration = Duration::from_secs(2);
/// A cluster that does not answer is asked again for so long.
const SILENCE: Duration = Duration::from_secs(60);
/// A pod that does not begin to run.
const STARTING: Duration = Duration::from_secs(120);
/// Of a pod that is not there any more, so long after it was last seen nothing more is expected.
const FORGOTTEN: Duration = Duration::from_secs(3);

/// The pods of a Job, until the last of them has ended.
pub(super) struct Following {
    cluster: Cluster,
    job: Job,
    name: String,
    generators: Vec<Generator>,
    tell: mpsc::Sender<Heard>,
    stop: CancellationToken,
    kill: CancellationToken,
    begun: Instant,
    answered: Instant,
    /// The Job is told to go.
    removed: bool,
}

/// One of them.
#[derive(Default)]
struct Generator {
    pod: Option<String>,
    seen: Option<Instant>,
    waits_for: Option<String>,
    ended: Option<(Instant, String)>,
    assembly: Assembly,
    /// A line of it was heard.
    heard: bool,
    gone: bool,
}

impl Following {
    pub(super) fn new(
        cluster: Cluster,
        job: &Job,
        generators: u64,
        tell: mpsc::Sender<Heard>,
        stop: CancellationToken,
        kill: CancellationToken,
    ) -> Self {
        let generators = (0..generators).map(|_| Generator::default()).collect();
        let (begun, name) = (Instant::now(), job.name_any());
        Self { cluster, job: job.clone(), name, generators, tell, stop, kill, begun, answered: begun, removed: false }
    }

    /// Hears them and looks after them; removes the Job at the end.
    pub(super) async fn until_all_have_ended(mut self) {
        let selector = format!("{JOB_LABEL}={}", self.name);
        let components = vec![COMPONENT.to_owned()];
        let options = LogOptions { components, selector, follow: true, ..LogOptions::default() };
        let mut lines = logs(self.cluster.client().clone(), self.cluster.namespace(), options);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (stop, kill) = (self.stop.clone(), self.kill.clone());
        let mut reading = true;
        while self.generators.iter().any(|generator| !generator.gone) {
            tokio::select! {
                line = lines.next(), if reading => match line {
                    Some(Ok(LogItem::Line(line))) => self.hear(&line.pod, line.text).await,
                    Some(Ok(LogItem::Notice(notice))) => self.say(notice).await,
                    Some(Err(error)) => self.say(error.to_string()).await,
                    None => reading = false,
                },
                _ = looks.tick() => self.look().await,
                () = stop.cancelled(), if !self.removed => self.remove(None).await,
                () = kill.cancelled() => {
                    self.remove(Some(0)).await;
                    self.all_gone("it did not finish in time").await;
                }
            }
        }
        if !self.removed {
            self.remove(None).await;
        }
    }

    async fn hear(&mut self, pod: &str, text: String) {
        let Some((number, generator)) =
            pods::number(&self.name, pod).and_then(|number| at(&mut self.generators, number))
        else {
            return;
        };
        generator.heard = true;
        if let Some(Line::Shard(piece)) = wire::read(&text) {
            generator.assembly.take(piece);
        }
        let _ = self.tell.send(Heard::Line(number, text)).await;
    }

    async fn say(&self, word: String) {
        let _ = self.tell.send(Heard::Word(word)).await;
    }

    async fn gone(&mut self, number: u64, how: String) {
        if let Some((_, generator)) = at(&mut self.generators, number)
            && !generator.gone
        {
            generator.gone = true;
            let _ = self.tell.send(Heard::Gone(number, how)).await;
        }
    }

    async fn all_gone(&mut self, how: &str) {
        for number in 1..=self.generators.len() as u64 {
            self.gone(number, how.to_owned()).await;
        }
    }

    /// Where all of them are.
    async fn look(&mut self) {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client().clone(), self.cluster.namespace());
        let listed = match pods.list(&self.of_the_job()).await {
            Ok(listed) => listed.items,
            Err(error) if self.answered.elapsed() > SILENCE => {
                self.all_gone(&format!("the status of its pod can't be read: {}", reason(&error))).await;
                return;
            }
            Err(_) => return,
        };
        self.answered = Instant::now();
        let mut starting = Vec::new();
        let mut values = Vec::new();
        for pod in listed {
            let name = pod.name_any();
            let Some((number, generator)) =
                pods::number(&self.name, &name).and_then(|number| at(&mut self.generators, number))
            else {
                continue;
            };
            let Ok(value) = serde_json::to_value(&pod) else { continue };
            (generator.pod, generator.seen) = (Some(name), Some(Instant::now()));
            match pods::at(&value) {
                At::Running => {}
                At::Ended(how) => {
                    generator.ended.get_or_insert((Instant::now(), how));
                }
                At::Starting(waits_for) => starting.push((number, waits_for)),
            }
            values.push(Arc::new(value));
        }
        self.told(&starting).await;
        if self.begun.elapsed() > LAST_LINES && (!starting.is_empty() || values.is_empty()) {
            self.diagnose(values, &starting).await;
        }
        self.settle(&pods).await;
    }

    /// Says what is waited for, once for each change.
    async fn told(&mut self, starting: &[(u64, Option<String>)]) {
        let mut news: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (number, waits_for) in starting {
            let Some((_, generator)) = at(&mut self.generators, *number) else { continue };
            // That a container is being created is what a start is.
            let waits_for = waits_for.clone().filter(|reason| reason != "ContainerCreating");
            if let Some(reason) = waits_for.filter(|reason| generator.waits_for.as_ref() != Some(reason)) {
                news.entry(reason.clone()).or_default().push(number.to_string());
                generator.waits_for = Some(reason);
            }
        }
        for (reason, numbers) in news {
            let who = if numbers.len() == 1 { "generator" } else { "generators" };
            self.say(format!("{who} {} not running yet: {reason}", numbers.join(", "))).await;
        }
    }

    /// Those that will not start are not waited for.
    async fn diagnose(&mut self, pods: Vec<Arc<Value>>, starting: &[(u64, Option<String>)]) {
        let events: Api<Event> = Api::namespaced(self.cluster.client().clone(), self.cluster.namespace());
        let mut objects = pods;
        objects.extend(serde_json::to_value(&self.job).ok().map(Arc::new));
        if let Ok(events) = events.list(&ListParams::default()).await {
            objects.extend(events.items.iter().filter_map(|event| serde_json::to_value(event).ok()).map(Arc::new));
        }
        let recorded = Recorded { objects, logs: Vec::new() };
        let now = Circumstances::at(Timestamp::now());
        let late = self.begun.elapsed() > STARTING;
        for (number, _) in starting {
            let pod = at(&mut self.generators, *number).and_then(|(_, generator)| generator.pod.clone());
            let Some(pod) = pod else { continue };
            let found = diagnose(&recorded, &self.object("", "Pod", &pod), &now);
            if let Some(finding) = found.iter().find(|finding| finding.terminal).or(found.first().filter(|_| late)) {
                self.gone(*number, in_words(finding)).await;
            } else if late {
                self.gone(*number, format!("its pod did not start within {} s", STARTING.as_secs())).await;
            }
        }
        if self.generators.iter().all(|generator| generator.seen.is_none()) {
            let found = diagnose(&recorded, &self.object("batch", "Job", &self.name), &now);
            match found.iter().find(|finding| finding.terminal).or(found.first().filter(|_| late)) {
                Some(finding) => self.all_gone(&in_words(finding)).await,
                None if late => self.all_gone("no pod was created for it").await,
                None => {}
            }
        }
    }

    fn object(&self, group: &str, kind: &str, name: &str) -> ObjectRef {
        ObjectRef {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some(self.cluster.namespace().to_owned()),
            name: name.to_owned(),
        }
    }

    /// Those that have ended are gone once their last lines are there.
    async fn settle(&mut self, pods: &Api<Pod>) {
        for number in 1..=self.generators.len() as u64 {
            let Some((_, generator)) = at(&mut self.generators, number).filter(|(_, generator)| !generator.gone) else {
                continue;
            };
            let lost = match generator.seen {
                Some(seen) => seen.elapsed() > FORGOTTEN,
                None => self.removed,
            };
            if let Some((since, how)) = generator.ended.clone() {
                if !generator.assembly.is_complete() {
                    if since.elapsed() < LAST_LINES {
                        continue;
                    }
                    self.read_again(number, pods).await;
                }
                self.gone(number, how).await;
            } else if lost {
                let how =
                    if generator.seen.is_some() { "its pod was deleted" } else { "it was stopped before it started" };
                self.gone(number, how.to_owned()).await;
            }
        }
    }

    /// What it left behind, from the log of the container that has ended; its progress was told.
    async fn read_again(&mut self, number: u64, pods: &Api<Pod>) {
        let Some(pod) = at(&mut self.generators, number).and_then(|(_, generator)| generator.pod.clone()) else {
            return;
        };
        let options =
            LogParams { container: Some(CONTAINER.to_owned()), tail_lines: Some(2000), ..LogParams::default() };
        let Ok(Ok(log)) = tokio::time::timeout(SILENCE, pods.logs(&pod, &options)).await else { return };
        let heard = at(&mut self.generators, number).is_some_and(|(_, generator)| generator.heard);
        for line in log.lines() {
            let again = match wire::read(line) {
                Some(Line::Shard(_)) => true,
                Some(Line::Progress(_)) => false,
                // What it said was told, unless nothing came through.
                None => !heard,
            };
            if again {
                self.hear(&pod, line.to_owned()).await;
            }
        }
    }

    /// Removes the Job, and its pods with it: those that run are told to end, and have their time to do it.
    async fn remove(&mut self, grace: Option<u32>) {
        self.removed = true;
        let said = match self.cluster.recheck().await {
            Err(error) => Err(error.to_string()),
            Ok(()) => self.delete(grace).await.map_err(|error| reason(&error)),
        };
        if let Err(error) = said {
            let (name, namespace) = (&self.name, self.cluster.namespace());
            self.say(format!(
                "the job could not be deleted: {error}; to delete it: kubectl delete job {name} -n {namespace}"
            ))
            .await;
        }
    }

    fn of_the_job(&self) -> ListParams {
        ListParams::default().labels(&format!("{JOB_LABEL}={}", self.name))
    }

    async fn delete(&self, grace: Option<u32>) -> Result<(), kube::Error> {
        let (client, namespace) = (self.cluster.client().clone(), self.cluster.namespace());
        let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
        let ours = Preconditions { uid: self.job.uid(), resource_version: None };
        let options = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(ours),
            ..DeleteParams::default()
        };
        let gone = |error: &kube::Error| matches!(error, kube::Error::Api(status) if status.code == 404);
        match jobs.delete(&self.name, &options).await {
            Err(error) if !gone(&error) => return Err(error),
            _ => {}
        }
        if grace.is_some() {
            let pods: Api<Pod> = Api::namespaced(client, namespace);
            let now = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
            // Listed again: a pod may have come up since the last look.
            for pod in pods.list(&self.of_the_job()).await? {
                match pods.delete(&pod.name_any(), &now).await {
                    Err(error) if !gone(&error) => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn at(generators: &mut [Generator], number: u64) -> Option<(u64, &mut Generator)> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    generators.get_mut(index).map(|generator| (number, generator))
}

fn in_words(finding: &Finding) -> String {
    let Finding { message, cause, fix, .. } = finding;
    let parts = [message, cause, fix].into_iter().filter(|part| !part.is_empty()).cloned();
    format!("its pod does not start: {}", parts.collect::<Vec<_>>().join("; "))
}
