//! What every start does first: nobody else reads this process's memory, its core, or a file that it makes.

/// Files are made for their owner alone, no core is dumped, and (on Linux) other processes of the same user cannot
/// look into this one (`prctl(2)`, `PR_SET_DUMPABLE`). What the system refuses is left as it is: `doctor` tells.
pub fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};

    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
}
