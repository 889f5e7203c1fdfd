//! Trouble with images as the command line says it.

use card_images::{ErrorKind, ImageError};

use crate::failure::Failure;
use card_core::exit::Exit;

/// The same trouble, with how the program ends.
#[must_use]
pub fn failure(error: ImageError) -> Failure {
    let exit = match error.kind {
        ErrorKind::Usage => Exit::Usage,
        ErrorKind::Environment | ErrorKind::Build => Exit::NotReady,
        ErrorKind::Unknown => Exit::Unknown,
        ErrorKind::Different => Exit::Differences,
        ErrorKind::Internal => Exit::Internal,
    };
    let failure = Failure::new(error.code, exit, error.message);
    let failure = error.evidence.into_iter().fold(failure, Failure::evidence);
    match error.fix {
        Some(fix) => failure.fix(fix),
        None => failure,
    }
}
