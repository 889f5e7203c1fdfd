use std::process::Command;

use super::*;
use crate::Platform;

/// A small system of its own: programs and libraries without a C library, a loader that is none.
struct System {
    dir: tempfile::TempDir,
}

impl System {
    fn new() -> Self {
        let system = Self { dir: tempfile::tempdir().unwrap() };
        system.put("lib/ld-of-a-test.so", b"loader");
        system
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn cc(&self, path: &str, source: &str, arguments: &[&str]) {
        self.put("source.c", source.as_bytes());
        let out = self.root().join(path);
        std::fs::create_dir_all(out.parent().unwrap()).unwrap();
        let mut cc = Command::new("cc");
        // Kept even if nothing of it is used: what counts is what is asked for.
        cc.current_dir(self.root()).args(["-nostdlib", "-Wl,--no-as-needed", "source.c", "-o"]).arg(out);
        assert!(cc.args(arguments).status().unwrap().success(), "{arguments:?}");
    }

    fn library(&self, path: &str, needs: &[&str]) {
        self.cc(path, "int one(void) { return 1; }", &[&["-shared"], needs].concat());
    }

    fn program(&self, path: &str, needs: &[&str]) {
        let loader = ["-Wl,--dynamic-linker,/lib/ld-of-a-test.so", "-Wl,--allow-shlib-undefined"];
        self.cc(path, "void _start(void) { for (;;); }", &[&loader, needs].concat());
    }

    fn closure(&self, program: &str) -> Result<Closure, ImageError> {
        let architecture = Platform::host().unwrap().architecture;
        let path = self.root().join(program);
        let object = Object::program(&path, &std::fs::read(&path).unwrap(), architecture)?;
        Search::new(self.root(), architecture).closure(&path, Path::new("/usr/local/bin/x"), object)
    }
}

fn paths(closure: &Closure) -> Vec<&str> {
    closure.files.keys().map(|path| path.to_str().unwrap()).collect()
}

#[test]
fn libraries_of_libraries_and_the_loader_are_found_once() {
    let system = System::new();
    system.library("usr/lib/libtwo.so", &["-Wl,-soname,libtwo.so"]);
    system.library("lib/libone.so", &["-Lusr/lib", "-l:libtwo.so", "-Wl,-soname,libone.so"]);
    system.program("x", &["-Llib", "-Lusr/lib", "-l:libone.so", "-l:libtwo.so"]);
    let closure = system.closure("x").unwrap();
    assert_eq!(paths(&closure), ["/lib/ld-of-a-test.so", "/lib/libone.so", "/usr/lib/libtwo.so"]);
    assert!(closure.directories.is_empty(), "the loader looks there by itself: {:?}", closure.directories);
}

#[test]
fn what_lies_relative_to_the_program_keeps_its_place_relative_to_it() {
    let system = System::new();
    system.library("app/lib/libone.so", &["-Wl,-soname,libone.so"]);
    system.program("app/bin/x", &["-Lapp/lib", "-l:libone.so", "-Wl,-rpath,$ORIGIN/../lib"]);
    let closure = system.closure("app/bin/x").unwrap();
    assert_eq!(paths(&closure), ["/lib/ld-of-a-test.so", "/usr/local/lib/libone.so"]);
}

#[test]
fn the_old_rpath_counts_for_what_libraries_need_as_well() {
    let system = System::new();
    system.library("opt/libtwo.so", &["-Wl,-soname,libtwo.so"]);
    system.library("opt/libone.so", &["-Lopt", "-l:libtwo.so", "-Wl,-soname,libone.so"]);
    system.program("x", &["-Lopt", "-l:libone.so", "-Wl,-rpath,/opt", "-Wl,--disable-new-dtags"]);
    let closure = system.closure("x").unwrap();
    assert_eq!(paths(&closure), ["/lib/ld-of-a-test.so", "/opt/libone.so", "/opt/libtwo.so"]);
    // The new one does not.
    system.program("y", &["-Lopt", "-l:libone.so", "-Wl,-rpath,/opt", "-Wl,--enable-new-dtags"]);
    assert_eq!(system.closure("y").unwrap_err().code, "missing-library");
}

#[test]
fn a_directory_that_only_this_system_adds_is_said_to_the_loader_in_the_image() {
    let system = System::new();
    system.library("opt/cards/libone.so", &["-Wl,-soname,libone.so"]);
    system.program("x", &["-Lopt/cards", "-l:libone.so"]);
    assert_eq!(system.closure("x").unwrap_err().code, "missing-library");
    system.put("etc/ld.so.conf", b"# of a test\ninclude /etc/ld.so.conf.d/*.conf\n");
    system.put("etc/ld.so.conf.d/cards.conf", b"/opt/cards # here\n");
    system.put("etc/ld.so.conf.d/cards.txt", b"/elsewhere\n");
    let closure = system.closure("x").unwrap();
    assert_eq!(paths(&closure), ["/lib/ld-of-a-test.so", "/opt/cards/libone.so"]);
    assert_eq!(closure.directories, BTreeSet::from([PathBuf::from("/opt/cards")]));
}

#[test]
fn a_configuration_that_includes_itself_ends() {
    let system = System::new();
    system.put("etc/ld.so.conf", b"include /etc/ld.so.conf\n/opt\n");
    let search = Search::new(system.root(), Platform::host().unwrap().architecture);
    assert!(!search.configured.is_empty());
}

#[test]
fn a_missing_library_is_named_with_who_needs_it() {
    let system = System::new();
    system.library("lib/libtwo.so", &["-Wl,-soname,libtwo.so"]);
    system.library("lib/libone.so", &["-Llib", "-l:libtwo.so", "-Wl,-soname,libone.so"]);
    system.program("x", &["-Llib", "-l:libone.so"]);
    std::fs::remove_file(system.root().join("lib/libtwo.so")).unwrap();
    let error = system.closure("x").unwrap_err();
    assert_eq!(error.message, "libtwo.so, which libone.so needs, is not on this machine");
    assert!(error.evidence[0].contains("/usr/lib"), "{error}");
    std::fs::remove_file(system.root().join("lib/ld-of-a-test.so")).unwrap();
    let error = system.closure("x").unwrap_err();
    assert!(error.message.starts_with("/lib/ld-of-a-test.so, which "), "{error}");
}

#[test]
fn a_library_for_another_processor_is_passed_over() {
    let system = System::new();
    system.library("usr/lib/libone.so", &["-Wl,-soname,libone.so"]);
    system.program("x", &["-Lusr/lib", "-l:libone.so"]);
    let mut other = std::fs::read(system.root().join("usr/lib/libone.so")).unwrap();
    // e_machine: RISC-V.
    other[18..20].copy_from_slice(&243_u16.to_le_bytes());
    system.put("lib/libone.so", &other);
    assert_eq!(paths(&system.closure("x").unwrap()), ["/lib/ld-of-a-test.so", "/usr/lib/libone.so"]);
}

#[test]
fn a_library_that_is_asked_for_by_its_path_is_at_that_path() {
    let system = System::new();
    system.library("odd/libone.so", &["-Wl,-soname,/odd/libone.so"]);
    system.program("x", &["odd/libone.so"]);
    assert_eq!(paths(&system.closure("x").unwrap()), ["/lib/ld-of-a-test.so", "/odd/libone.so"]);
}

#[test]
fn a_library_is_not_a_program() {
    let system = System::new();
    system.library("lib/libtwo.so", &[]);
    system.library("lib/libone.so", &["-Llib", "-l:libtwo.so"]);
    assert_eq!(system.closure("lib/libone.so").unwrap_err().code, "not-a-program");
}
