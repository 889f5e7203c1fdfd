//! Room on the disk.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::engine::{EngineError, ErrorKind};

/// Less than this is as good as full: a ping's own small write may still fit where an accept does not.
const LEAST: u64 = 8 * 1024 * 1024;

/// Whether there is room for more than the next few writes on the disk that holds a file or directory.
///
/// # Errors
/// `DiskFull` if there is not. What can't be found out is no error: the write that follows shows it.
pub fn check(path: &Path) -> Result<(), EngineError> {
    let Ok(disk) = statvfs(path) else { return Ok(()) };
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    if free >= LEAST {
        return Ok(());
    }
    Err(EngineError::new(ErrorKind::DiskFull, format!("the disk is full: {} KiB are left", free / 1024)))
}
