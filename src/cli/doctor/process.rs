//! What `strongroom doctor` says of processes: whether others can read the memory of this one and of the running server, and
//! whether it may come to rest on a disk.

use std::path::Path;

use super::findings::Findings;
use crate::clock::{Clock, UnixTime};

/// 2026-01-01: no clock that is right shows less.
const EARLIEST: UnixTime = UnixTime(1_767_225_600);

/// Looks at this process, and at the server that has the vault open.
pub(in crate::cli) fn process(vault: Option<&Path>, findings: &mut Findings) {
    let now = Clock::system().now();
    if now < EARLIEST {
        findings.advice(
            format!("this machine's clock says {now}"),
            "set the clock: expiry of logins and keys depends on it",
        );
    }
    own_limits(findings);
    #[cfg(target_os = "linux")]
    linux::look(vault, findings);
    #[cfg(not(target_os = "linux"))]
    let _ = vault;
}

fn own_limits(findings: &mut Findings) {
    use rustix::process::{Resource, getrlimit, umask};

    // There is no way to read it but to set it.
    let mode = umask(rustix::fs::Mode::from_raw_mode(0o077)).bits();
    if mode & 0o077 == 0o077 {
        findings.ok("files are made for their owner alone (umask 0077)");
    } else {
        findings
            .advice(format!("files are made with umask {mode:04o}"), "set umask 0077, which something here refuses");
    }
    let core = getrlimit(Resource::Core);
    if core.current == Some(0) && core.maximum == Some(0) {
        findings.ok("no core file is written");
    } else {
        findings
            .advice("a crash would write the memory, with its secrets, to disk", "set the limit for core files to 0");
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};

    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::Findings;

    pub(in crate::cli) fn look(vault: Option<&Path>, findings: &mut Findings) {
        if matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)) {
            findings.ok("no other process of this user can read the memory of this one");
        } else {
            findings.advice(
                "other processes of this user can read the memory of this one",
                "allow prctl(PR_SET_DUMPABLE), which something here refuses",
            );
        }
        let server = vault.and_then(holder);
        if let Some(pid) = server {
            of_server(pid, findings);
        }
        swap(server, findings);
    }

    /// The process that holds the lock of the server: the kernel tells it to everybody, by device and inode.
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

    /// Whether the running server took the same precautions.
    fn of_server(pid: u32, findings: &mut Findings) {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (limits, status) = (read("limits"), read("status"));
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
        if core.is_some_and(|core| core.split_whitespace().take(2).any(|limit| limit != "0")) {
            findings.advice(
                format!("the server (process {pid}) may write a core file, with its secrets"),
                "set LimitCORE=0 in its unit, and look in its log why it could not set that itself",
            );
        }
        // Where a process is not dumpable, the files of its folder in /proc belong to root.
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
        let owner = fs::metadata(format!("/proc/{pid}/environ")).map(|file| file.uid()).ok();
        if user.is_some_and(|user: u32| user != 0 && owner == Some(user)) {
            findings.advice(
                format!("other processes of its user can read the memory of the server (process {pid})"),
                "allow it prctl(PR_SET_DUMPABLE): a filter of system calls refuses it",
            );
        }
    }

    /// Whether the memory may be swapped out: of the server, where one runs, else of this process.
    fn swap(server: Option<u32>, findings: &mut Findings) {
        // The first line is a header; every other one is a swap area.
        let areas = fs::read_to_string("/proc/swaps").unwrap_or_default();
        if areas.lines().count() <= 1 {
            return findings.ok("this machine does not swap");
        }
        let process = server.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let group = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
        let group = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let most = fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join("memory.swap.max"));
        if most.is_ok_and(|most| most.trim() == "0") {
            return findings.ok("this machine swaps, and the memory of Strongroom is kept out of it");
        }
        findings.advice(
            "this machine swaps, so secrets in memory may come to rest on disk",
            "set MemorySwapMax=0 in the unit (the packaged one does), or encrypt the swap",
        );
    }
}
