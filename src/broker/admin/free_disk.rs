//! Warnings about the free space of the vault's disk.

use std::path::Path;

use crate::vault::folder_of;

/// Shares of free space, in percent, below which a warning is logged.
const LEVELS: [u64; 2] = [10, 5];

/// Free space of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeDisk {
    /// Free bytes for this process.
    pub free: u64,
    /// Size in bytes.
    pub size: u64,
}

impl FreeDisk {
    /// Asks for the disk of this file's folder; `None` if the system does not tell.
    pub fn of(file: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(folder_of(file)).ok()?;
        let (free, size) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
        (size > 0).then_some(Self { free, size })
    }

    /// Returns the free share in percent, rounded down.
    pub fn percent(self) -> u64 {
        u64::try_from(u128::from(self.free) * 100 / u128::from(self.size)).unwrap_or(100)
    }

    /// Returns true if a warning is due.
    pub fn is_low(self) -> bool {
        self.percent() < LEVELS[0]
    }
}

/// The levels of which a warning was logged.
#[derive(Debug, Default)]
pub(super) struct FreeDiskWatch {
    warned: usize,
}

impl FreeDiskWatch {
    /// Logs a warning if the free share has crossed a level since the last call.
    pub(super) fn check(&mut self, vault: &Path) {
        let Some(disk) = FreeDisk::of(vault) else { return };
        if let Some(level) = self.crossed(disk.percent()) {
            let (percent, mib) = (disk.percent(), disk.free >> 20);
            tracing::warn!(
                "less than {level} % of the vault's disk is free ({percent} %, {mib} MiB): make room, or limit the audit log with audit.retention"
            );
        }
    }

    /// Returns the level that was crossed. A level counts again after the share has been a percent
    /// above it, so that a share that moves around a level gives one warning.
    fn crossed(&mut self, percent: u64) -> Option<u64> {
        let below = LEVELS.iter().filter(|level| percent < **level).count();
        let still = LEVELS.iter().filter(|level| percent <= **level).count();
        let before = self.warned;
        self.warned = below.max(before.min(still));
        (self.warned > before).then(|| LEVELS[self.warned - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crossing_gives_one_warning() {
        let mut watch = FreeDiskWatch::default();
        let mut crossed = |percent| watch.crossed(percent);
        assert_eq!([50, 10, 9, 9, 10, 9].map(&mut crossed), [None, None, Some(10), None, None, None]);
        assert_eq!([5, 4, 5, 4, 0].map(&mut crossed), [None, Some(5), None, None, None]);
        assert_eq!([7, 4, 50, 3].map(&mut crossed), [None, Some(5), None, Some(5)]);
    }

    #[test]
    fn share_is_that_of_the_disk() {
        assert_eq!(FreeDisk { free: 99, size: 1000 }.percent(), 9);
        assert!(FreeDisk { free: 99, size: 1000 }.is_low() && !FreeDisk { free: 100, size: 1000 }.is_low());
        assert_eq!(FreeDisk { free: u64::MAX, size: u64::MAX }.percent(), 100);
        let found = FreeDisk::of(Path::new("Cargo.toml")).unwrap();
        assert!(found.free <= found.size);
    }
}
