//! `cardctl manifests render`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::ValuesArgs;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Render the objects of an installation
///
/// Needs no cluster; the same flags give the same text. Secrets are left out: pods mount the secret card-secrets, which
/// `cardctl up` creates.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests render --overlay minikube
  cardctl manifests render --registry ghcr.io/ada/cards --workers 2..8 --set worker.concurrency=64
  cardctl manifests render --overlay ha --ingress cards.example.com --out rendered")]
pub(super) struct RenderArgs {
    #[command(flatten)]
    values: ValuesArgs,
    /// Output directory, for one file per object and a kustomization.yaml; - for stdout [default: -]
    #[arg(long, value_name = "DIR", default_value = "-", hide_default_value = true)]
    out: PathBuf,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<&'a Path>,
    objects: &'a [Value],
}

/// What tells the files that are ours to replace and to remove.
const MARK: &str = "# Written by cardctl manifests render, which overwrites any changes.\n";

pub(super) fn run(args: RenderArgs, context: &Context) -> Result<Exit, Failure> {
    let objects = args.values.objects(context)?;
    let printer = &context.printer;
    if args.out == Path::new("-") {
        if printer.is_text() {
            printer.raw(card_manifests::to_yaml(&objects).trim_end())?;
        }
        printer.data(&Document { out: None, objects: &objects })?;
        return Ok(Exit::Done);
    }
    let files = files(&objects);
    write(&args.out, &files).map_err(|(path, error)| {
        Failure::new("output", Exit::NotReady, format!("{}: {error}", path.display()))
            .fix("set --out to a writable directory that has no other files of these names")
            .left("files written before that are kept; running it again completes them")
    })?;
    let shown = args.out.display();
    printer.text(format!("{} objects in {shown}; to apply them: kubectl apply -k {shown}", objects.len()))?;
    printer.data(&Document { out: Some(&args.out), objects: &objects })?;
    Ok(Exit::Done)
}

/// Text by file name.
fn files(objects: &[Value]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut list = String::new();
    for object in objects {
        let part = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
        let name = format!("{}-{}.yaml", part(&object["kind"]), part(&object["metadata"]["name"]));
        list.push_str(&format!("  - {name}\n"));
        files.insert(name, format!("{MARK}{}", card_manifests::to_yaml(std::slice::from_ref(object))));
    }
    let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n";
    files.insert("kustomization.yaml".to_owned(), format!("{MARK}{head}{list}"));
    files
}

/// Writes what is new and removes what is no longer there. Files that somebody else wrote are neither replaced nor removed.
fn write(directory: &Path, files: &BTreeMap<String, String>) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    fs::create_dir_all(directory).map_err(at(directory))?;
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_file() || !name.ends_with(".yaml") {
            continue;
        }
        let is_ours = fs::read_to_string(&path).map_err(at(&path))?.starts_with(MARK);
        match (is_ours, files.contains_key(&name)) {
            (true, false) => fs::remove_file(&path).map_err(at(&path))?,
            (false, true) => {
                return Err((path, std::io::Error::other("exists and was not written by cardctl manifests render")));
            }
            _ => {}
        }
    }
    for (name, text) in files {
        let path = directory.join(name);
        if fs::read_to_string(&path).is_ok_and(|known| known == *text) {
            continue;
        }
        fs::write(&path, text).map_err(at(&path))?;
    }
    Ok(())
}
