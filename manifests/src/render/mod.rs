//! An overlay and what was said on top of it, as objects.
//!
//! What is said becomes what a kustomization on top of the overlay would say (components, namespace, images) and patches of
//! the kind that kustomizations have, so there is one way in which anything changes.

mod check;
mod patches;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::files::Embedded;
use crate::image::Image;
use crate::kinds::text;
use crate::kustomize::{self, ImageChange, Kustomization, Labels, RenderError, Resource};
use crate::values::{NodePort, Provision, Scale, Values};
use crate::yaml;

pub(crate) use self::check::seconds;

/// The name of the secret that pods read: signing-key, operator-token, database-url, redis-url, postgres-password.
pub const SECRET: &str = "card-secrets";
/// The name of the secret with the certificate of the ingress.
pub const TLS_SECRET: &str = "card-tls";
/// What `redis-url` is in the secret when Redis is bundled.
pub const BUNDLED_REDIS_URL: &str = "redis://redis:6379/0";

/// What `database-url` is in the secret when Postgres is bundled. The password must be of characters that a URL takes as they
/// are: letters, digits, `-`, `_`, `.`, `~`.
#[must_use]
pub fn bundled_database_url(password: &str) -> String {
    format!("postgres://card:{password}@postgres:5432/cards")
}

/// Makes the objects of an installation, in the order in which they are to be applied. The same values are always the same
/// objects. No secret is among them: the pods mount [`SECRET`].
///
/// # Errors
/// A value can't be used, or it is not said which image of the platform is to run.
pub fn render(values: &Values) -> Result<Vec<Value>, RenderError> {
    check::all(values)?;
    let directory = format!("overlays/{}", values.overlay);
    let mut overlay = kustomize::load(&Embedded, &directory)?;
    let added = choose(values, &mut overlay);
    let mut resources = Vec::new();
    kustomize::accumulate(&Embedded, &directory, &overlay, &mut resources)?;
    // After the overlay's own patches: one of those says how many workers there are, which an autoscaler takes back.
    kustomize::accumulate(&Embedded, "", &top(values, added)?, &mut resources)?;
    patches::all(values, &mut resources).map_err(|message| RenderError::Kustomization { file: directory, message })?;
    settings(values, &mut resources);
    let objects = kustomize::finish(resources);
    every_image_is_named(&objects)?;
    Ok(objects)
}

/// What a kustomization on top of the overlay would say.
fn top(values: &Values, components: Vec<String>) -> Result<Kustomization, RenderError> {
    let pairs = [
        ("app.kubernetes.io/part-of", "cardctl"),
        ("app.kubernetes.io/managed-by", "cardctl"),
        ("app.kubernetes.io/instance", values.instance.as_str()),
    ];
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Kustomization {
        components,
        namespace: Some(values.namespace.clone()),
        labels: vec![Labels { pairs, include_templates: true }],
        images: images(values)?,
        ..Kustomization::default()
    })
}

/// Takes components away from an overlay, with its patches for what is in them. Gives those that are to be added to it.
fn choose(values: &Values, overlay: &mut Kustomization) -> Vec<String> {
    let mut added = Vec::new();
    let mut gone: Vec<(&str, &str)> = Vec::new();
    let mut set = |name: &str, wanted: Option<bool>, objects: &[(&'static str, &'static str)]| {
        let inside = format!("../../components/{name}");
        let there = overlay.components.contains(&inside);
        match wanted {
            Some(true) if !there => added.push(format!("components/{name}")),
            Some(false) if there => {
                overlay.components.retain(|known| *known != inside);
                gone.extend(objects);
            }
            _ => {}
        }
    };
    let postgres = values.database.map(|provision| provision == Provision::Bundled);
    set("postgres", postgres, &[("StatefulSet", "postgres")]);
    set("external-postgres", postgres.map(|bundled| !bundled), &[]);
    let redis = values.redis.map(|provision| provision == Provision::Bundled);
    set("redis", redis, &[("Deployment", "redis")]);
    set("external-redis", redis.map(|bundled| !bundled), &[]);
    let servers_by_cpu = values.servers.map(|scale| matches!(scale, Scale::Cpu(_)));
    set("server-hpa", servers_by_cpu, &[("HorizontalPodAutoscaler", "server")]);
    set("worker-hpa", values.workers.map(|scale| matches!(scale, Scale::Cpu(_))), &[]);
    set("worker-keda", values.workers.map(|scale| matches!(scale, Scale::Backlog(_))), &[]);
    set("prometheus", values.prometheus, &[]);
    set("node-port", values.node_port.map(|port| port != NodePort::Off), &[]);
    set("ingress", values.ingress.as_ref().map(|_| true), &[]);
    for front in values.fronts.keys() {
        set(&format!("front-{front}"), Some(true), &[]);
    }
    overlay.patches.retain(|patch| {
        let meant = yaml::read::<Value>(&patch.patch).unwrap_or_default();
        !gone.contains(&(text(&meant, "kind"), text(&meant["metadata"], "name")))
    });
    added
}

/// The name of an image in the manifests, by what users call it.
pub(crate) fn image_name(called: &str) -> Option<&'static str> {
    Some(match called {
        "card-server" | "server" | "issuer" => "card-server",
        "card-worker" | "worker" => "card-worker",
        "postgres" => "docker.io/library/postgres",
        "redis" => "docker.io/library/redis",
        "prometheus" => "docker.io/prom/prometheus",
        _ => return None,
    })
}

fn images(values: &Values) -> Result<Vec<ImageChange>, RenderError> {
    let wrong = |message| RenderError::Value { value: "image", message };
    let mut changes: BTreeMap<&str, Image> = BTreeMap::new();
    for (called, reference) in &values.images {
        let name = image_name(called).ok_or_else(|| {
            wrong(format!(
                "there is no image {called:?}; there are card-server, card-worker, postgres, redis, prometheus"
            ))
        })?;
        let image = Image::parse(reference).ok_or_else(|| {
            wrong(format!(
                "{reference:?} is not an image reference, such as registry.example/card-server@sha256:DIGEST"
            ))
        })?;
        if let Some(other) = changes.insert(name, image.clone())
            && other != image
        {
            return Err(wrong(format!("{called} is given twice, as {other} and as {image}")));
        }
    }
    let change = |(name, image): (&str, Image)| ImageChange {
        name: name.to_owned(),
        new_name: Some(image.name),
        // With neither, the tag and digest of another image would be left.
        new_tag: image.tag.or_else(|| image.digest.is_none().then(|| "latest".to_owned())),
        digest: image.digest,
    };
    Ok(changes.into_iter().map(change).collect())
}

/// Settings as the variables that the platform reads.
fn settings(values: &Values, resources: &mut [Resource]) {
    let config = resources.iter_mut().find(|resource| resource.is("ConfigMap", "card-settings"));
    if let Some(config) = config {
        for (setting, value) in &values.settings {
            config.object["data"][variable(setting)] = value.as_str().into();
        }
    }
}

fn variable(setting: &str) -> String {
    format!("CARDCTL_{}", setting.replace(['.', '-'], "_").to_ascii_uppercase())
}

/// The names in the manifests are no references: nobody has an image by the name `card-server` alone.
fn every_image_is_named(objects: &[Value]) -> Result<(), RenderError> {
    for object in objects {
        let mut object = object.clone();
        for image in kustomize::images(&mut object) {
            if matches!(image.as_str(), "card-server" | "card-worker") {
                return Err(RenderError::NoImage { image: image.clone() });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
