//! The binaries of the source tree, built by cargo so that they fit into an image.

mod toolchain;
mod tree;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

pub use self::tree::{source_tree, workspace_crates};
use crate::catalog::Linkage;
use crate::component::Component;
use crate::error::{ErrorKind, ImageError};
use crate::group::{self, Group};
use crate::platform::Platform;

/// The last lines of a build that failed are where its trouble is.
const TAIL: usize = 20;

/// What to build.
#[derive(Debug, Clone)]
pub struct Order {
    /// The source tree.
    pub source: PathBuf,
    /// Whose binaries.
    pub components: Vec<Component>,
    /// What they are to run on.
    pub platform: Platform,
    /// cargo's name of that; none: GNU Linux on that processor.
    pub target: Option<String>,
    /// How they find their libraries.
    pub linkage: Linkage,
    /// cargo's profile.
    pub profile: String,
}

/// A message of cargo's, of those that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Order {
    /// cargo's name of what is built for.
    #[must_use]
    pub fn triple(&self) -> String {
        let gnu = || format!("{}-unknown-linux-gnu", self.platform.architecture.triple());
        self.target.clone().unwrap_or_else(gnu)
    }

    /// Beside the ordinary builds, which it does not disturb.
    #[must_use]
    pub fn target_directory(source: &Path) -> PathBuf {
        source.join("target/images/build")
    }
}

/// Builds, and tells each line that cargo says. Dropped before the end, cargo ends with it.
///
/// # Errors
/// A compiler, a linker or a library is missing, or the build fails.
pub async fn compile(
    order: &Order,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<BTreeMap<String, PathBuf>, ImageError> {
    let triple = order.triple();
    if !triple.starts_with(order.platform.architecture.triple()) || !triple.contains("linux") {
        return Err(ImageError::new(
            "platform",
            ErrorKind::Usage,
            format!("the target {triple} is not {}", order.platform),
        )
        .fix("leave out --target or --platform"));
    }
    let extra = toolchain::environment(&triple, order.linkage).await?;
    let cargo = toolchain::cargo();
    let mut command = group::command(&cargo);
    command
        .current_dir(&order.source)
        .args(["build", "--locked", "--message-format", "json-render-diagnostics", "--target", &triple])
        .args(["--profile", &order.profile])
        .arg("--target-dir")
        .arg(Order::target_directory(&order.source))
        .args(order.components.iter().flat_map(|component| ["-p", component.name, "--bin", component.name]))
        // What is not in the file is not sent, loaded and unpacked; a release keeps its names elsewhere.
        .env(format!("CARGO_PROFILE_{}_STRIP", order.profile.to_uppercase().replace('-', "_")), "symbols")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(order, &triple))
        .env_remove("RUSTFLAGS")
        .envs(extra)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| group::not_started(&cargo, &error))?;
    let mut group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut binaries = BTreeMap::new();
    let mut said = Vec::new();
    let read = each_line(stdout, |text| binaries.extend(binary(text)));
    let tell = each_line(stderr, |text| {
        line(text);
        said.push(text.to_owned());
    });
    tokio::join!(read, tell);
    let status = child.wait().await.map_err(|error| group::not_started(&cargo, &error))?;
    group.has_ended();
    if !status.success() {
        let error = ImageError::new("build-failed", ErrorKind::Build, format!("cargo build failed: {status}"));
        let said = said.join("\n");
        return Err(group::tail(&said, TAIL).into_iter().fold(error, ImageError::evidence));
    }
    match order.components.iter().find(|component| !binaries.contains_key(component.name)) {
        None => Ok(binaries),
        Some(component) => Err(ImageError::internal(format!("cargo built no {}", component.name))),
    }
}

fn binary(line: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    (message.reason == "compiler-artifact").then_some((message.target?.name, message.executable?))
}

async fn each_line(from: Option<impl AsyncRead + Unpin>, mut each: impl FnMut(&str)) {
    let Some(from) = from else { return };
    let mut reader = BufReader::new(from);
    let mut bytes = Vec::new();
    // Not as text: one byte that is none must not end the reading, and with it cargo.
    while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(length) if length > 0) {
        each(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
}

/// The user's own flags, then ours: static if asked, and no path of this machine in messages of panics.
fn flags(order: &Order, triple: &str) -> OsString {
    let set = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let own = set("CARGO_ENCODED_RUSTFLAGS").or_else(|| {
        let flags = set("RUSTFLAGS")?;
        Some(flags.split_whitespace().collect::<Vec<_>>().join("\x1f"))
    });
    let mut flags: Vec<String> = own.into_iter().collect();
    if triple.contains("musl") || order.linkage == Linkage::Static {
        let sign = if order.linkage == Linkage::Static { '+' } else { '-' };
        flags.push(format!("-Ctarget-feature={sign}crt-static"));
    }
    let home = set("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cargo")));
    let paths = [(Some(order.source.clone()), "/source"), (home, "/cargo")];
    for (path, name) in paths.into_iter().filter_map(|(path, name)| Some((path?, name))) {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    flags.join("\x1f").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_found_in_what_cargo_says() {
        let line =
            r#"{"reason":"compiler-artifact","target":{"name":"cardctl"},"executable":"/t/cardctl","fresh":true}"#;
        assert_eq!(binary(line), Some(("cardctl".into(), "/t/cardctl".into())));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"cardctl"},"executable":null}"#;
        for other in [library, r#"{"reason":"build-finished","success":true}"#, "noise", ""] {
            assert_eq!(binary(other), None, "{other}");
        }
    }
}
