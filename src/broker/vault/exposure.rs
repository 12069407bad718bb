//! Files and folders of an installation that other users of the machine can change.
//!
//! A user who can write the vault's folder can put a log beside the vault, which SQLite applies. A
//! user who can write a key or the configuration controls the server. A folder with the sticky bit,
//! like `/tmp`, protects the files in it from other users, but not from new files beside them.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::broker::installation::Installation;
use crate::vault::folder_of;

const BY_EVERYONE: u32 = 0o002;
const BY_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// A path that others can change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposure {
    /// True if every user can change it; else its group can.
    pub by_everyone: bool,
    /// The path, without links.
    pub path: PathBuf,
    mode: u32,
    is_sticky_folder: bool,
}

impl Exposure {
    /// Returns the sentence for the operator.
    pub fn message(&self) -> String {
        let who = if self.by_everyone { "every user of this machine" } else { "its group" };
        format!("{} has mode {:04o}, so {who} can change it", self.path.display(), self.mode)
    }

    /// Returns the command that ends it.
    pub fn fix(&self) -> String {
        let path = self.path.display();
        match (self.is_sticky_folder, self.by_everyone) {
            (true, _) => format!("move the vault from {path} to a folder of its own, with mode 0700"),
            (false, true) => format!("chmod o-w {path}"),
            (false, false) => format!("chmod g-w {path}"),
        }
    }
}

impl Installation {
    /// Returns the files and folders of this installation that others can change: vault,
    /// configuration, master key, secrets, TLS files and epoch file, each with its folder. Those
    /// that everyone can change come last.
    pub fn exposures(&self) -> Vec<Exposure> {
        let mut found = BTreeSet::new();
        let vault = &self.config.vault.path;
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut path = vault.clone().into_os_string();
            path.push(suffix);
            found.extend(exposure(Path::new(&path), false));
        }
        found.extend(exposure(folder_of(vault), true));
        for file in self.config.files() {
            found.extend(exposure(file, false));
            found.extend(exposure(folder_of(file), false));
            // The file may be a link, into a folder of others.
            if let Ok(real) = file.canonicalize() {
                found.extend(exposure(folder_of(&real), false));
            }
        }
        found.into_iter().collect()
    }
}

/// Returns the exposure of a path. A missing path has none.
fn exposure(path: &Path, is_vault_folder: bool) -> Option<Exposure> {
    let path = path.canonicalize().ok()?;
    let found = path.metadata().ok()?;
    let mode = found.mode() & 0o7777;
    let is_sticky_folder = found.is_dir() && mode & STICKY != 0;
    if mode & (BY_EVERYONE | BY_GROUP) == 0 || (is_sticky_folder && !is_vault_folder) {
        return None;
    }
    Some(Exposure { by_everyone: mode & BY_EVERYONE != 0, path, mode, is_sticky_folder })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn exposure_follows_mode_and_sticky_bit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "").unwrap();
        let of = |path: &Path, mode, is_vault_folder| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            exposure(path, is_vault_folder).map(|found| (found.by_everyone, found.fix()))
        };
        let told = |path: &Path, what: &str| format!("{what} {}", path.canonicalize().unwrap().display());
        for mode in [0o400, 0o600, 0o644, 0o1755] {
            assert_eq!(of(&file, mode, false), None, "{mode:o}");
        }
        assert_eq!(of(&file, 0o664, false), Some((false, told(&file, "chmod g-w"))));
        assert_eq!(of(&file, 0o1666, false), Some((true, told(&file, "chmod o-w"))));
        assert_eq!(of(folder.path(), 0o777, false), Some((true, told(folder.path(), "chmod o-w"))));
        assert_eq!(of(folder.path(), 0o1777, false), None);
        let (by_everyone, fix) = of(folder.path(), 0o1777, true).unwrap();
        assert!(by_everyone && fix.contains("folder of its own"), "{fix}");
        assert_eq!(exposure(&folder.path().join("none"), false), None);
    }

    #[test]
    fn link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("f"), folder.path().join("l"));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(exposure(&link, false).is_some_and(|found| found.path == file.canonicalize().unwrap()));
    }
}
