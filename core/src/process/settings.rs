//! The settings of a process: built in, then the file that it was started with, then its environment.

use std::path::Path;

use super::NotReady;
use crate::settings::{Layers, Settings, SettingsError};

/// Reads them.
///
/// # Errors
/// The file that was named is not there, or a setting can't be used.
pub fn settings(file: Option<&Path>) -> Result<Settings, NotReady> {
    // A file that is looked for may be missing; one that was named must be there.
    if let Some(file) = file.filter(|file| !file.exists()) {
        let message = format!("--config {}: no such file; without --config the default settings apply", file.display());
        return Err(NotReady::new(message));
    }
    read(file).map_err(|error| NotReady::new(error.to_string()))
}

fn read(file: Option<&Path>) -> Result<Settings, SettingsError> {
    let mut layers = Layers::built_in();
    if let Some(file) = file {
        layers.file(file)?;
    }
    // Variables that are not text can't be settings of ours.
    layers.environment(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )?;
    Ok(layers.resolve()?.settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cards.toml");
        assert!(settings(Some(&path)).unwrap_err().to_string().contains("no such file"));
        std::fs::write(&path, "[issuer]\nerror-rate = 0.25\n").unwrap();
        assert_eq!(settings(Some(&path)).unwrap().issuer.error_rate, 0.25);
    }
}
