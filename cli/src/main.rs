//! `cardctl`: composes and nothing else.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, which keep some 20 MB resident that nobody uses. What is started from here
    // inherits it. A kernel that does not know the call only costs the memory.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
    cardctl::program::run(std::env::args_os().collect())
}
