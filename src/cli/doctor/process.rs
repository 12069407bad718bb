//! Process checks of `strongroom doctor`: memory protection of this process and of the running
//! server, core files, and swap.

use std::path::Path;

use super::findings::Findings;

/// Checks this process, and the server that has the vault open.
pub(in crate::cli) fn process(vault: Option<&Path>, findings: &mut Findings) {
    own_process(findings);
    #[cfg(target_os = "linux")]
    linux::look(vault, findings);
    #[cfg(not(target_os = "linux"))]
    let _ = vault;
}

/// Checks the protection that every command sets up for itself.
fn own_process(findings: &mut Findings) {
    use rustix::process::{Resource, getrlimit, umask};

    // The only way to read the mask is to set it.
    let mode = umask(rustix::fs::Mode::from_raw_mode(0o077)).bits();
    let core = getrlimit(Resource::Core);
    let no_core_file = core.current == Some(0) && core.maximum == Some(0);
    #[cfg(target_os = "linux")]
    let is_private = matches!(rustix::process::dumpable_behavior(), Ok(rustix::process::DumpableBehavior::NotDumpable));
    #[cfg(not(target_os = "linux"))]
    let is_private = true;
    if mode & 0o077 == 0o077 && no_core_file && is_private {
        findings.ok("new files are accessible to their owner only (umask 0077), core files are disabled, and other processes of this user cannot read this process's memory");
    } else {
        findings.advice(
            "this process lacks one of umask 0077, a core file limit of 0, and protection from PR_SET_DUMPABLE",
            "allow umask, setrlimit and prctl; something on this machine prevents it",
        );
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};

    use super::Findings;

    pub(in crate::cli) fn look(vault: Option<&Path>, findings: &mut Findings) {
        let server = vault.and_then(holder);
        if let Some(pid) = server {
            of_server(pid, findings);
        }
        swap(server, findings);
    }

    /// Returns the process that holds the server's lock. The kernel lists locks by device and
    /// inode.
    fn holder(vault: &Path) -> Option<u32> {
        let mut lock = vault.as_os_str().to_owned();
        lock.push(".lock");
        let file = fs::metadata(PathBuf::from(lock)).ok()?;
        let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
        let place = format!("{major:02x}:{minor:02x}:{}", file.ino());
        let locks = fs::read_to_string("/proc/locks").ok()?;
        // `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`
        let words = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.filter(|words| words.get(5) == Some(&place.as_str())).find_map(|words| words.get(4)?.parse().ok())
    }

    /// Checks that the running server took the same precautions.
    fn of_server(pid: u32, findings: &mut Findings) {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (limits, status) = (read("limits"), read("status"));
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
        if core.is_some_and(|core| core.split_whitespace().take(2).any(|limit| limit != "0")) {
            findings.advice(
                format!("the server (process {pid}) may write a core file with secrets"),
                "set LimitCORE=0 in its unit",
            );
        }
        // The /proc files of a process that is not dumpable belong to root.
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
        let owner = fs::metadata(format!("/proc/{pid}/environ")).map(|file| file.uid()).ok();
        if user.is_some_and(|user: u32| user != 0 && owner == Some(user)) {
            findings.advice(
                format!("other processes of its user can read the memory of the server (process {pid})"),
                "allow prctl(PR_SET_DUMPABLE) in its system call filter",
            );
        }
    }

    /// Checks if memory may be swapped out: the server's if one runs, else this process's.
    fn swap(server: Option<u32>, findings: &mut Findings) {
        // The first line is a header; every other line is a swap area.
        let areas = fs::read_to_string("/proc/swaps").unwrap_or_default();
        if areas.lines().count() <= 1 {
            return findings.ok("this machine does not swap");
        }
        let process = server.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let group = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
        let group = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let most = fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join("memory.swap.max"));
        if most.is_ok_and(|most| most.trim() == "0") {
            return findings.ok("this machine swaps, but Strongroom's memory is not swapped");
        }
        findings.advice(
            "this machine swaps, so secrets in memory may be written to disk",
            "set MemorySwapMax=0 in the unit (the packaged unit does), or encrypt the swap",
        );
    }
}
