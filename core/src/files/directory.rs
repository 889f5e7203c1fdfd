//! Directories of ours: walked from what is there already to the innermost, each opened once and looked at before the next.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, mkdirat};

use super::distrust::{Distrust, me};

const OTHERS_MAY_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Makes `base/names…`, for its owner only. What there was of `base` may be anybody's, as long as not everybody may write it;
/// what is made of it, and all of `names`, is ours alone or refused.
///
/// # Errors
/// It can't be made, or what is there is not to be trusted ([`Distrust`]).
pub fn make(base: &Path, names: &[&OsStr]) -> io::Result<()> {
    walk(base, names, true).map(drop)
}

/// Whether `base/names…` is there.
///
/// # Errors
/// It is, and is not to be trusted ([`Distrust`]); or it can't be looked at.
pub fn find(base: &Path, names: &[&OsStr]) -> io::Result<bool> {
    walk(base, names, false)
}

/// Looks at a directory that is there and at all above it: others must not be able to put something else in the place of
/// what lies in it.
///
/// # Errors
/// They can ([`Distrust`]).
pub fn above(path: &Path) -> io::Result<()> {
    let path = path.canonicalize()?;
    for directory in path.ancestors() {
        let mode = std::fs::metadata(directory)?.mode();
        if mode & 0o002 != 0 && mode & STICKY == 0 {
            let fix = format!("chmod o-w {}, or choose another directory", directory.display());
            return Err(Distrust::refuse(directory, "can be written by everybody", fix));
        }
    }
    Ok(())
}

fn walk(base: &Path, names: &[&OsStr], makes: bool) -> io::Result<bool> {
    let there = base.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    above(there)?;
    let missing = base.strip_prefix(there).unwrap_or(Path::new(""));
    let steps: Vec<OsString> = missing.iter().chain(names.iter().copied()).map(OsStr::to_owned).collect();
    let mut at = there.to_owned();
    let mut here = open(&there.canonicalize()?, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    for name in steps {
        at.push(&name);
        here = match step(&here, &name, &at) {
            Ok(next) => {
                check(&next, &at, makes)?;
                next
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if !makes => return Ok(false),
            Err(_) => {
                match mkdirat(&here, name.as_os_str(), Mode::S_IRWXU) {
                    // Another process of ours was faster, or somebody else was: that is looked at now.
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let next = step(&here, &name, &at)?;
                check(&next, &at, true)?;
                next
            }
        };
    }
    Ok(true)
}

fn step(from: &OwnedFd, name: &OsStr, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(from, name, flags, Mode::empty()).map_err(|error| match error {
        // Which of the two a link is depends on the kernel.
        Errno::ELOOP | Errno::ENOTDIR if path.is_symlink() => Distrust::link(path),
        error => error.into(),
    })
}

/// Whether it is ours; `tightens` takes the right to read it from others.
fn check(directory: &OwnedFd, path: &Path, tightens: bool) -> io::Result<()> {
    let stat: FileStat = fstat(directory)?;
    if stat.st_uid != me() {
        return Err(Distrust::foreign(path, stat.st_uid));
    }
    let mode = stat.st_mode & !SFlag::S_IFMT.bits();
    if mode & OTHERS_MAY_WRITE != 0 {
        let what = format!("can be written by others (mode {:o})", mode & 0o777);
        return Err(Distrust::refuse(path, what, format!("chmod 700 {}, if all in it is yours", path.display())));
    }
    if tightens && mode & 0o777 != 0o700 {
        fchmod(directory, Mode::S_IRWXU)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn distrust(result: io::Result<impl std::fmt::Debug>) -> String {
        let error = result.unwrap_err();
        Distrust::of(&error).unwrap_or_else(|| panic!("{error}")).what.clone()
    }

    #[test]
    fn what_is_made_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["cardctl".as_ref(), "default".as_ref()];
        let base = dir.path().join("state/home");
        assert!(!find(&base, &names).unwrap());
        make(&base, &names).unwrap();
        assert!(find(&base, &names).unwrap());
        for path in ["state", "state/home", "state/home/cardctl", "state/home/cardctl/default"] {
            assert_eq!(mode(&dir.path().join(path)), 0o700, "{path}");
        }
        let inner = base.join("cardctl/default");
        chmod(&inner, 0o755);
        make(&base, &names).unwrap();
        assert_eq!(mode(&inner), 0o700);
    }

    #[test]
    fn what_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["cardctl".as_ref()];
        make(dir.path(), &names).unwrap();
        let ours = dir.path().join("cardctl");
        for writable in [0o770, 0o702, 0o777] {
            chmod(&ours, writable);
            assert!(distrust(find(dir.path(), &names)).starts_with("can be written by others"));
            assert!(distrust(make(dir.path(), &names)).starts_with("can be written by others"));
        }
        chmod(&ours, 0o700);
        chmod(dir.path(), 0o777);
        assert_eq!(distrust(make(dir.path(), &names)), "can be written by everybody");
        chmod(dir.path(), 0o1777);
        make(dir.path(), &names).unwrap();
    }

    #[test]
    fn a_link_leads_to_the_base_and_nowhere_below() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["cardctl".as_ref()];
        std::fs::create_dir(dir.path().join("real")).unwrap();
        symlink(dir.path().join("real"), dir.path().join("base")).unwrap();
        make(&dir.path().join("base"), &names).unwrap();
        assert!(dir.path().join("real/cardctl").is_dir());
        let elsewhere = dir.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        symlink(dir.path().join("real"), elsewhere.join("cardctl")).unwrap();
        assert!(distrust(make(&elsewhere, &names)).starts_with("is a symbolic link"));
        assert!(distrust(find(&elsewhere, &names)).starts_with("is a symbolic link"));
    }
}
