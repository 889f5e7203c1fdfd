//! Files and directories of ours, and those that somebody names to us: who may have written them, and who may read them.
//!
//! Everything that the platform keeps goes through here, so that three rules hold in one place:
//!
//! 1. **What we make is for its owner alone**, whatever the umask: directories 0700, files 0600, made new (`O_EXCL`) and
//!    never through a symbolic link.
//! 2. **What we find is used only if it is ours**: a directory of ours is refused if it is a symbolic link, somebody
//!    else's, or can be written by others; so is everything above it that everybody may write, unless it is sticky. A file of
//!    ours is refused if it is a link or somebody else's: as root as well, who could read it.
//! 3. **A secret that others can read is none**, and is refused.
//!
//! It does not say what the files are for, and deletes nothing.

mod directory;
mod distrust;
mod file;
mod named;

pub use self::directory::{above, find, make};
pub use self::distrust::Distrust;
pub use self::file::{check, create, open, open_or_create, read, read_secret, replace};
pub use self::named::{believe, check_named_secret, read_named_secret};
