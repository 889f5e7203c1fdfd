//! Looks at a platform once, whatever state it is in.

use card_client::Client;

use super::document::{Api, Document, State};
use super::kubernetes::Place;
use crate::client;
use crate::context::{Context, Endpoint, Target, endpoint};
use crate::failure::Failure;
use crate::instance::{Local, Phase, Record, is_held};
use crate::kubernetes::{Deployment, Kind, connect};
use crate::supervisor::control::{Ask, Control};

pub(super) struct Observer<'a> {
    context: &'a Context,
    target: Target,
    client: Option<Client>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(context: &'a Context) -> Result<Self, Failure> {
        Ok(Self { context, target: context.target()?, client: None })
    }

    pub(super) async fn look(&mut self) -> Document {
        match &self.target {
            Target::Url(url) => {
                let mut document = self.blank(url.clone());
                document.instance = None;
                document.url = Some(url.clone());
                match self.context.endpoint().await {
                    Ok(endpoint) => self.ask(&endpoint, document).await,
                    Err(Failure { message, fix, .. }) => {
                        document.detail = Some(fix.map_or_else(|| message.clone(), |fix| format!("{message}; {fix}")));
                        document
                    }
                }
            }
            Target::Kubernetes(kind) => self.look_there(*kind).await,
            Target::Local(local) => self.look_here(*local).await,
        }
    }

    async fn look_there(&mut self, kind: Kind) -> Document {
        let mut document = self.blank(kind.name().to_owned());
        let cluster = match connect(kind, self.context).await {
            Ok(cluster) => cluster,
            Err(Failure { message, fix, .. }) => {
                // Whoever is told that it can't be reached wants to know what helps.
                document.detail = Some(fix.map_or_else(|| message.clone(), |fix| format!("{message}; {fix}")));
                return document;
            }
        };
        let deployed = Deployment::load(&self.context.instance);
        document.state_dir = Some(self.context.instance.dir.clone());
        document.fronts = deployed.as_ref().map(Deployment::fronts);
        document.version = deployed.as_ref().map(|deployed| deployed.version.clone());
        let (place, unseen) = Place::look(&cluster, deployed.as_ref(), &self.context.instance.name).await;
        let (is_empty, serves, missing) = (place.is_empty(), place.serves(), place.missing());
        document.kubernetes = Some(place);
        if is_empty {
            // Where it may not be looked, something may run.
            document.state = if unseen.is_some() { State::Unreachable } else { State::Down };
            document.detail = unseen;
            return document;
        }
        // A port that leads to no pod would be waited for.
        if !serves {
            document.state = State::Starting;
            document.detail = missing;
            return document;
        }
        let mut document = match self.context.endpoint().await {
            Ok(endpoint) => {
                document.url = Some(endpoint.base_url.clone());
                self.ask(&endpoint, document).await
            }
            Err(failure) => {
                document.detail = Some(failure.message);
                document
            }
        };
        if let Some(missing) = missing {
            // Pods are there and on their way: that is no platform that can't be reached.
            document.state = State::Starting;
            document.detail = Some(missing);
        }
        document
    }

    async fn look_here(&mut self, local: Local) -> Document {
        let paths = &self.context.instance;
        let mut document = self.blank(local.name().to_owned());
        let Some(record) = Record::running(paths) else {
            document.state = if is_held(paths).unwrap_or(false) { State::Starting } else { State::Down };
            document.detail = Some(format!("looked for {}", paths.record().display()));
            return document;
        };
        record.target.name().clone_into(&mut document.target);
        document.url = Some(record.url.clone());
        document.fronts = Some(record.fronts());
        document.pid = Some(record.process.pid);
        document.state_dir = Some(record.data_dir.clone());
        document.version = Some(record.version.clone());
        if record.target == Local::Processes {
            self.ask_supervisor(&record, &mut document).await;
        }
        match (record.phase, endpoint(&record)) {
            (Phase::Starting, _) => {
                document.state = State::Starting;
                document
            }
            (phase, Ok(endpoint)) => {
                let mut document = self.ask(&endpoint, document).await.with_children_in_mind();
                if phase == Phase::Stopping {
                    document.state = State::Stopping;
                }
                document
            }
            (_, Err(failure)) => {
                document.detail = Some(failure.message);
                document
            }
        }
    }

    /// What the supervisor does not say stays unknown: whether the platform works is told by its API.
    async fn ask_supervisor(&self, record: &Record, document: &mut Document) {
        document.cluster.clone_from(&record.cluster);
        let Ok(mut control) = Control::connect(&self.context.instance).await else { return };
        if let Ok(state) = control.ask(Ask::State).await {
            document.processes = Some(state.children.into_iter().map(Into::into).collect());
            document.autoscale = state.autoscale;
        }
    }

    async fn ask(&mut self, endpoint: &Endpoint, mut document: Document) -> Document {
        let same = self.client.take().filter(|client| client.url() == endpoint.base_url);
        let client = match same.map_or_else(|| client::to(&endpoint.base_url, endpoint), Ok) {
            Ok(client) => client,
            Err(error) => {
                document.detail = Some(error.to_string());
                return document;
            }
        };
        match client.ready().await {
            Ok(readiness) => {
                document.up = true;
                document.api = Api { ready: readiness.ready };
                document.state = if readiness.ready { State::Ready } else { State::Starting };
                if !readiness.ready {
                    document.detail = Some(readiness.detail.to_string());
                }
                self.ask_for_stats(&client, &mut document).await;
            }
            Err(error) => document.detail = Some(error.to_string()),
        }
        self.client = Some(client);
        document
    }

    async fn ask_for_stats(&self, client: &Client, document: &mut Document) {
        if !client.is_operator() {
            document.detail =
                Some("queue and workers need CARDCTL_OPERATOR_TOKEN or CARDCTL_OPERATOR_TOKEN_FILE".to_owned());
            return;
        }
        match client.stats().await {
            Ok(stats) => {
                if stats.workers.is_empty() && document.state == State::Ready {
                    document.state = State::Starting;
                    document.detail = Some("no worker is alive".to_owned());
                }
                document.with_stats(stats);
            }
            Err(error) => {
                document.state = State::Unreachable;
                document.detail = Some(error.to_string());
            }
        }
    }

    fn blank(&self, target: String) -> Document {
        Document {
            instance: Some(self.context.instance.name.clone()),
            target,
            url: None,
            fronts: None,
            up: false,
            state: State::Unreachable,
            detail: None,
            pid: None,
            state_dir: None,
            api: Api { ready: false },
            workers: None,
            queue: None,
            accepted_total: None,
            settled_total: None,
            version: None,
            cluster: None,
            processes: None,
            autoscale: None,
            kubernetes: None,
        }
    }
}
