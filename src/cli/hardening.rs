//! Process hardening at every start.

/// Sets umask 0077, disables core files and, on Linux, makes the process not dumpable (`prctl(2)`,
/// `PR_SET_DUMPABLE`), so that processes of the same user cannot read its memory. Failures are
/// ignored here and reported by `doctor`.
pub fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};

    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
}
