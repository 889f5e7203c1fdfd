//! One thing that is wrong.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::ObjectRef;

/// One thing that is wrong, with its evidence and what helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is waited for and does not come up.
    pub owner: ObjectRef,
    /// Where it shows: a pod, a claim, a replica set, or the owner itself.
    pub object: ObjectRef,
    /// The container, where it is one.
    pub container: Option<String>,
    /// What is wrong.
    pub reason: Reason,
    /// In the cluster's words; one line.
    pub message: String,
    /// The event that shows it, as `Reason: message`.
    pub event: Option<String>,
    /// How the container ended.
    pub exit_code: Option<i32>,
    /// How often it has ended so.
    pub crashes: Option<u32>,
    /// The last lines of its log, without control characters. They are a program's own words and may hold anything.
    pub log_lines: Vec<String>,
    /// The likely cause, one sentence.
    pub cause: String,
    /// One command that helps or shows more.
    pub fix: String,
    /// Waiting longer will not help.
    pub terminal: bool,
    /// What has to be ready first, and is not: this may be all that is wrong.
    pub waits_for: Vec<ObjectRef>,
    /// Since when, by the cluster's clock.
    pub since: Option<Timestamp>,
    /// When it was last seen, by the cluster's clock.
    pub seen: Option<Timestamp>,
    /// What is missing or refused: an image, a secret, a node.
    pub name: Option<String>,
}

impl Finding {
    pub(super) fn new(reason: Reason, owner: &ObjectRef) -> Self {
        Self {
            owner: owner.clone(),
            object: owner.clone(),
            container: None,
            reason,
            message: String::new(),
            event: None,
            exit_code: None,
            crashes: None,
            log_lines: Vec::new(),
            cause: String::new(),
            fix: String::new(),
            terminal: false,
            waits_for: Vec::new(),
            since: None,
            seen: None,
            name: None,
        }
    }

    pub(super) fn on(self, object: ObjectRef) -> Self {
        Self { object, ..self }
    }

    /// On one line. A probe that wrote nothing leaves a colon behind.
    pub(super) fn said(self, message: impl AsRef<str>) -> Self {
        let message = message.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { message: message.trim_end_matches(':').to_owned(), ..self }
    }

    pub(super) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    pub(super) fn in_container(self, container: &str) -> Self {
        Self { container: Some(container.to_owned()), ..self }
    }

    pub(super) fn since(self, since: Option<Timestamp>) -> Self {
        Self { since: self.since.or(since), ..self }
    }

    /// With the event that shows it.
    pub(super) fn shown_by(self, event: Option<super::recorded::Event<'_>>) -> Self {
        let Some(event) = event else { return self };
        Self {
            event: Some(event.words()),
            since: self.since.or_else(|| event.first()),
            seen: self.seen.max(event.last()),
            ..self
        }
    }

    /// With cause and fix in the words of this very object.
    pub(super) fn advised(self) -> Self {
        let cause = self.filled(self.reason.cause());
        let fix = self.filled(self.reason.fix());
        Self { cause, fix, ..self }
    }

    /// Only images of ours are there to be loaded and pushed.
    fn image_help(&self, verb: &str) -> String {
        let image = self.name.as_deref().unwrap_or_default();
        let name = image.rsplit('/').next().unwrap_or_default().split([':', '@']).next().unwrap_or_default();
        match name {
            "card-server" | "card-worker" | "card-generator" => format!("cardctl images {verb}"),
            "postgres" | "redis" | "prometheus" => {
                format!(
                    "load {image} on the nodes, or use an image that they have or can pull: cardctl up --image {name}=REFERENCE"
                )
            }
            _ => format!("load {image} on the nodes, or push it to a registry that they can reach"),
        }
    }

    fn filled(&self, template: &str) -> String {
        let pod = if self.object.kind == "Pod" { self.object.to_string() } else { self.owner.to_string() };
        template
            .replace("{load}", &self.image_help("load"))
            .replace("{push}", &self.image_help("push"))
            .replace("{namespace}", self.object.namespace.as_deref().unwrap_or("default"))
            .replace("{object}", &self.object.to_string())
            .replace("{owner}", &self.owner.to_string())
            .replace("{pod}", &pod)
            .replace("{container}", self.container.as_deref().unwrap_or("main"))
            .replace("{name}", self.name.as_deref().unwrap_or("it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_with_an_image_fits_whose_it_is() {
        let owner = ObjectRef::of(&serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "x", "namespace": "n"}}));
        let owner = owner.unwrap();
        let fix =
            |image: &str| Finding::new(Reason::ImageRegistryUnreachable, &owner).named(image.to_owned()).advised().fix;
        assert_eq!(fix("cardctl/card-server:1"), "cardctl images load");
        assert!(fix("docker.io/library/postgres:17@sha256:0a").ends_with("cardctl up --image postgres=REFERENCE"));
        let keda = fix("ghcr.io/kedacore/keda:2");
        assert!(keda.contains("ghcr.io/kedacore/keda:2") && !keda.contains("cardctl"), "{keda}");
    }
}
