//! A place to make images in, of a program that is small and real.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use card_images::{Component, Platform, Recipe, Store};

pub(crate) struct Workshop {
    dir: tempfile::TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----\nof a test\n").unwrap();
        let workshop = Self { dir };
        std::fs::write(workshop.binary(), program()).unwrap();
        workshop
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn binary(&self) -> PathBuf {
        self.path().join("card-server")
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(self.path().join("images"))
    }

    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            certificates: Some(self.path().join("ca.pem")),
            ..Recipe::new(Component::ALL[0], self.binary(), Platform::host().unwrap())
        }
    }
}

/// A static program, compiled once for all tests of this process.
fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (source, out) = (dir.path().join("x.c"), dir.path().join("x"));
        // Large enough for several pieces of an upload, and not to be compressed away.
        std::fs::write(&source, "void _start(void) { for (;;); }\n").unwrap();
        let built = Command::new("cc").args(["-nostdlib", "-static", "-o"]).arg(&out).arg(&source).status().unwrap();
        assert!(built.success());
        let mut bytes = std::fs::read(out).unwrap();
        let mut state = 1_u64;
        bytes.extend((0..3 << 20).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        }));
        bytes
    })
}
