//! The file: created for its owner only, locked for one server, checked for its modes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::store::error::StoreError;

/// Creates the file, empty and with mode 0600 whatever the umask is, and returns its resolved path.
pub(crate) fn create(path: &Path) -> Result<PathBuf, StoreError> {
    let path = resolve_folder(path)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(StoreError::AlreadyExists(path)),
        Err(error) => return Err(refused("cannot create", &path, &error)),
    }
    sync_folder(&path)?;
    Ok(path)
}

/// Removes a file whose creation failed.
pub(crate) fn remove_unfinished(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        // A file that cannot be removed stays; the error that led here is the one to report.
        let _ = fs::remove_file(beside(path, suffix));
    }
}

/// Returns the temporary path of a file that will be renamed to `target`: hidden, in the same
/// folder.
pub(crate) fn partial(target: &Path, unique: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{unique}.part"))
}

/// Fails if a vault or a journal of one exists at this path: SQLite would apply an old journal to
/// the new file.
pub(crate) fn must_be_free(target: &Path) -> Result<(), StoreError> {
    let target = resolve_folder(target)?;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = beside(&target, suffix);
        match fs::symlink_metadata(&path) {
            Ok(_) => return Err(StoreError::AlreadyExists(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused("cannot look at", &path, &error)),
        }
    }
    Ok(())
}

/// Syncs a file.
pub(crate) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| refused("cannot sync", path, &error))
}

/// Renames a file in its folder without replacing another one, and syncs the folder.
pub(crate) fn rename_to_free(path: &Path, target: &Path) -> Result<(), StoreError> {
    let target = resolve_folder(target)?;
    rename_no_replace(path, &target).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::AlreadyExists(target.clone()),
        _ => refused("cannot rename to", &target, &error),
    })?;
    sync_folder(&target)
}

/// Renames without replacing; by a hard link if the file system has no such rename.
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        result => Ok(result?),
    }
}

/// Resolves the links in the path of the folder. SQLite refuses links anywhere in a path
/// (`SQLITE_OPEN_NOFOLLOW`), and only the file itself must not be one.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let path = resolve_folder(path)?;
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => has_one_name(&path, &found).map(|()| path),
        Ok(_) => Err(StoreError::NotAVault(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NotFound(path)),
        Err(error) => Err(refused("cannot open", &path, &error)),
    }
}

/// Checks that no other process has a vault at this path under another name.
fn has_one_name(path: &Path, found: &fs::Metadata) -> Result<(), StoreError> {
    if found.nlink() > 1 {
        return Err(StoreError::HardLinked { path: path.to_owned(), names: found.nlink() });
    }
    if is_mounted(path) { Err(StoreError::MountedAlone(path.to_owned())) } else { Ok(()) }
}

/// Returns true if the file itself is mounted, as for a container. Its log is then in another
/// folder than that of the file on the host.
#[cfg(target_os = "linux")]
fn is_mounted(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mounted(_: &Path) -> bool {
    false
}

/// Takes the lock of a path at which a vault is to be created. A server that still has a moved
/// file of this path open holds it.
pub(crate) fn lock_new(target: &Path) -> Result<File, StoreError> {
    let target = resolve_folder(target)?;
    must_be_free(&target)?;
    lock(&target)
}

/// Takes the lock of the server. It is held as long as the returned file is open.
pub(crate) fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = beside(path, ".lock");
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(&lock_path)
        .map_err(|error| refused("cannot open", &lock_path, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked(path.to_owned())),
        Err(error) => Err(refused("cannot lock", &lock_path, &error.into())),
    }
}

/// Checks modes and owners of a vault's files and folder without opening them, and returns a
/// sentence for each fault. A missing file is skipped.
pub fn check(path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    let path = resolve_folder(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    if let Ok(found) = fs::metadata(folder)
        && found.mode() & 0o077 != 0
    {
        let mode = found.mode() & 0o7777;
        warnings.push(format!("the folder {} has mode {mode:04o}: run `chmod 0700` on it", folder.display()));
    }
    let own = rustix::process::geteuid().as_raw();
    for suffix in ["", "-wal", "-shm", ".lock", ".ballast"] {
        let path = beside(&path, suffix);
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.mode() & 0o177 != 0 {
            let mode = found.mode() & 0o7777;
            warnings.push(format!("the file {} has mode {mode:04o}: run `chmod 0600` on it", path.display()));
        }
        if found.uid() != own {
            warnings.push(format!("the file {} belongs to user {}, who can read it", path.display(), found.uid()));
        }
    }
    warnings
}

/// Returns the folder of a file; the current one if the path has none.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn resolve_folder(path: &Path) -> Result<PathBuf, StoreError> {
    let Some(name) = path.file_name() else { return Err(StoreError::NotAVault(path.to_owned())) };
    match fs::canonicalize(folder_of(path)) {
        Ok(folder) => Ok(folder.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NotFound(path.to_owned())),
        Err(error) => Err(refused("cannot open the folder of", path, &error)),
    }
}

/// Syncs the folder of a file: only then its name is on disk.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| refused("cannot sync", folder, &error))
}

/// Returns the path of a file beside the vault: its name with a suffix.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn refused(what: &'static str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::File { what, path: path.to_owned(), kind: error.kind() }
}
