//! Puts a thread behind all others.

/// From here on the calling thread runs only when nobody else wants the core, and for a tenth of a millisecond at a time.
///
/// The policy alone is not enough: it ranks a thread among its own process's, but a process as a whole (Linux groups
/// them by session or container) keeps the core for its slice of some milliseconds against others, and their requests
/// wait for a hash. With a short slice of its own the thread gives the core up at once: measured, the 99th percentile of
/// accepts beside sign-ins falls from 3.3 to 1.4 ms (docs/performance.md). Kernels before 6.12 ignore the slice; other
/// systems have neither, and the bound on threads has to do.
pub(crate) fn run_in_the_background() {
    #[cfg(target_os = "linux")]
    if let Err(error) = linux::schedule_idle() {
        tracing::warn!(%error, "the priority of hashing can't be lowered");
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    /// `struct sched_attr` of sched_setattr(2), first version.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        /// For policies of the fair class: the slice, in nanoseconds.
        runtime: u64,
        deadline: u64,
        period: u64,
    }

    const SLICE_NS: u64 = 100_000;

    #[expect(unsafe_code, reason = "no crate offers the call; it reads one struct, which outlives it")]
    pub(super) fn schedule_idle() -> io::Result<()> {
        let attributes = Attributes {
            size: size_of::<Attributes>() as u32,
            policy: libc::SCHED_IDLE as u32,
            flags: 0,
            nice: 0,
            priority: 0,
            runtime: SLICE_NS,
            deadline: 0,
            period: 0,
        };
        // SAFETY: 0 is the calling thread; the pointer is to a valid struct of the size that it says.
        let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn a_thread_may_step_back_without_being_root() {
            std::thread::spawn(|| super::schedule_idle().unwrap()).join().unwrap();
        }
    }
}
