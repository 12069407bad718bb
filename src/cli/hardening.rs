//! Process hardening at every start.

use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::umask;

/// The umask with which this process was started.
static INHERITED: OnceLock<Mode> = OnceLock::new();

/// Sets umask 0077, disables core files and, on Linux, makes the process not dumpable (`prctl(2)`,
/// `PR_SET_DUMPABLE`), so that processes of the same user cannot read its memory. Failures are
/// ignored here and reported by `doctor`.
pub fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let _ = INHERITED.set(umask(Mode::from_raw_mode(0o077)));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
}

/// Starts a command of the user with the umask that this process was started with.
pub(super) fn with_inherited_umask<T>(start: impl FnOnce() -> T) -> T {
    let Some(inherited) = INHERITED.get() else { return start() };
    let own = umask(*inherited);
    let started = start();
    umask(own);
    started
}
