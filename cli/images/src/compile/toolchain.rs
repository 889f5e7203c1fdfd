//! Whether this machine can build for a target, said before cargo says it at the end of minutes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalog::Linkage;
use crate::error::{ErrorKind, ImageError};
use crate::group;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn cargo() -> String {
    std::env::var("CARGO").ok().filter(|cargo| !cargo.is_empty()).unwrap_or_else(|| "cargo".to_owned())
}

/// What cargo's environment needs beside what it has, for this target.
pub(super) async fn environment(triple: &str, linkage: Linkage) -> Result<Vec<(String, String)>, ImageError> {
    standard_library(triple).await?;
    let host = rustc(&["--print", "host-tuple"]).await?;
    if triple == host {
        if linkage == Linkage::Static && triple.ends_with("gnu") {
            static_libc("cc", triple).await?;
        }
        return Ok(Vec::new());
    }
    let architecture = triple.split('-').next().unwrap_or_default();
    let same_processor = host.starts_with(architecture) && host.contains("linux");
    let variable = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace(['-', '.'], "_"));
    if std::env::var_os(&variable).is_some() || (same_processor && triple.ends_with("musl")) {
        return Ok(Vec::new());
    }
    let kind = if triple.ends_with("musl") { "musl" } else { "gnu" };
    let linker = format!("{architecture}-linux-{kind}-gcc");
    if on_path(&linker).is_none() {
        return Err(ImageError::new(
            "no-linker",
            ErrorKind::Environment,
            format!("there is no linker for {triple} on this machine"),
        )
        .evidence(format!("neither {variable} is set nor {linker} on PATH"))
        .fix(format!(
            "apt install gcc-{}-linux-gnu, or set {variable} and CC_{}, or build on such a machine and give the \
             binaries: cardctl images build --binaries DIR",
            architecture.replace('_', "-"),
            triple.replace('-', "_")
        )));
    }
    if linkage == Linkage::Static && kind == "gnu" {
        static_libc(&linker, triple).await?;
    }
    let compiler = format!("CC_{}", triple.replace('-', "_"));
    let unset = |(name, value): (String, String)| std::env::var_os(&name).is_none().then_some((name, value));
    Ok([(variable, linker.clone()), (compiler, linker)].into_iter().filter_map(unset).collect())
}

/// rustc ends well for a target whose library it does not have: only the directory tells.
async fn standard_library(triple: &str) -> Result<(), ImageError> {
    let missing = || {
        ImageError::new(
            "no-target",
            ErrorKind::Environment,
            format!("the standard library of Rust for {triple} is not installed"),
        )
        .fix(format!("rustup target add {triple}"))
    };
    let ended = run("rustc", &["--print", "target-libdir", "--target", triple]).await?;
    if !ended.well {
        return Err(group::tail(&ended.stderr, 3).into_iter().fold(missing(), ImageError::evidence));
    }
    let dir = PathBuf::from(ended.stdout.trim());
    let is_std = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libstd-");
    let found = std::fs::read_dir(&dir).is_ok_and(|entries| entries.flatten().any(is_std));
    if found { Ok(()) } else { Err(missing().evidence(format!("{} has none", dir.display()))) }
}

/// Some systems have the C library for static programs in a package of its own.
async fn static_libc(compiler: &str, triple: &str) -> Result<(), ImageError> {
    let ended = run(compiler, &["-print-file-name=libc.a"]).await?;
    // A compiler that does not have the file gives the name back as it was.
    if ended.well && Path::new(ended.stdout.trim()).is_absolute() {
        return Ok(());
    }
    Err(ImageError::new(
        "no-static-libc",
        ErrorKind::Environment,
        format!("{compiler} has no libc.a, which a static program for {triple} is linked with"),
    )
    .fix("install it (dnf install glibc-static, apt install libc6-dev), or use --linkage dynamic"))
}

async fn rustc(arguments: &[&str]) -> Result<String, ImageError> {
    let ended = run("rustc", arguments).await?;
    if ended.well {
        return Ok(ended.stdout.trim().to_owned());
    }
    let error = ImageError::new("rustc", ErrorKind::Environment, format!("rustc does not answer: {}", ended.how));
    Err(group::tail(&ended.stderr, 3).into_iter().fold(error, ImageError::evidence))
}

async fn run(program: &str, arguments: &[&str]) -> Result<group::Ended, ImageError> {
    let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
    group::run(program, &arguments, None, PATIENCE).await
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}
