//! What a binary says of itself: its processor, its loader, the libraries it asks for.

use std::path::Path;

use goblin::elf::Elf;
use goblin::elf::header::{ET_DYN, ET_EXEC};

use crate::error::{ErrorKind, ImageError};
use crate::platform::Architecture;

/// What is read of an ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) architecture: Option<Architecture>,
    /// `PT_INTERP`: the loader. None in a static program and in a library.
    pub(crate) interpreter: Option<String>,
    /// `DT_NEEDED`, in order.
    pub(crate) needed: Vec<String>,
    /// `DT_RPATH`, which counts only without a `DT_RUNPATH`, and for what its libraries need as well.
    pub(crate) rpath: Vec<String>,
    /// `DT_RUNPATH`.
    pub(crate) runpath: Vec<String>,
    is_program: bool,
}

impl Object {
    /// Reads it.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ImageError> {
        let refused = |why: &dyn std::fmt::Display| {
            ImageError::new("not-elf", ErrorKind::Environment, format!("{} is not an ELF file", path.display()))
                .evidence(why)
                .fix("name the directory with binaries that were built for Linux")
        };
        // goblin reads the magic last in some paths; a script deserves a better word than its complaint.
        if !bytes.starts_with(b"\x7fELF") {
            let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).escape_debug().to_string();
            return Err(refused(&format!("it begins with {begin:?}")));
        }
        let elf = Elf::parse(bytes).map_err(|error| refused(&error))?;
        let split = |paths: &[&str]| paths.iter().flat_map(|path| path.split(':')).map(str::to_owned).collect();
        Ok(Self {
            architecture: Architecture::of_machine(elf.header.e_machine).filter(|_| elf.is_64 && elf.little_endian),
            interpreter: elf.interpreter.map(str::to_owned),
            needed: elf.libraries.iter().map(|&name| name.to_owned()).collect(),
            rpath: if elf.runpaths.is_empty() { split(&elf.rpaths) } else { Vec::new() },
            runpath: split(&elf.runpaths),
            is_program: elf.entry != 0 && matches!(elf.header.e_type, ET_EXEC | ET_DYN),
        })
    }

    /// Reads what must be a program for this processor.
    pub(crate) fn program(path: &Path, bytes: &[u8], wanted: Architecture) -> Result<Self, ImageError> {
        let object = Self::parse(path, bytes)?;
        if object.architecture != Some(wanted) {
            let found = object.architecture.map_or("another processor", Architecture::name);
            return Err(ImageError::new(
                "wrong-architecture",
                ErrorKind::Environment,
                format!("{} is built for {found}, not for {}", path.display(), wanted.name()),
            )
            .fix("set --platform to that of the binaries, or build them for this one"));
        }
        // A library with a loader of its own (libc.so.6) is a program; one that needs others and names no loader is not.
        if !object.is_program || (object.interpreter.is_none() && !object.needed.is_empty()) {
            return Err(ImageError::new(
                "not-a-program",
                ErrorKind::Environment,
                format!("{} is a library or an object file, not a program", path.display()),
            ));
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn this_test_is_a_program_for_this_machine() {
        let host = crate::Platform::host().unwrap().architecture;
        let object = Object::program(Path::new("own"), &own(), host).unwrap();
        assert!(object.interpreter.is_some_and(|loader| loader.starts_with('/')));
        assert!(object.needed.iter().any(|name| name.starts_with("libc.")), "{:?}", object.needed);
    }

    #[test]
    fn a_program_for_another_processor_is_refused() {
        let host = crate::Platform::host().unwrap().architecture;
        let other = Architecture::ALL.into_iter().find(|architecture| *architecture != host).unwrap();
        assert_eq!(Object::program(Path::new("own"), &own(), other).unwrap_err().code, "wrong-architecture");
    }

    #[test]
    fn a_script_is_not_an_elf_file() {
        let error = Object::parse(Path::new("x"), b"#!/bin/sh\necho").unwrap_err();
        assert_eq!(error.code, "not-elf");
        assert!(error.to_string().contains("#!/bin/sh"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..512), magic: bool) {
            if magic && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(b"\x7fELF");
            }
            let _ = Object::parse(Path::new("any"), &bytes);
        }

        #[test]
        fn a_program_that_is_cut_off_is_read_or_refused(keep in 0_usize..4096) {
            let own = own();
            let _ = Object::parse(Path::new("cut"), &own[..keep.min(own.len())]);
        }
    }
}
