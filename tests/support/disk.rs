//! A disk that can fail under the real binary: power cuts, syncs that fail, a kill at any call that changes a file.
//!
//! `shim/disk.c` is compiled once and LD_PRELOADed; it stands between the program and one folder. It keeps an *image*,
//! what was synced, and a page of shared memory says at which call what is to happen.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Files that are not the program's own, or that no disk keeps.
fn is_apart(name: &str) -> bool {
    name.ends_with("-shm") || name == "server.log"
}

/// A call that changes files; the values are those of `enum kind` in the shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Create = 1,
    Write = 2,
    Sync = 4,
    Truncate = 8,
    Rename = 16,
    Unlink = 32,
    SyncFolder = 64,
}

impl Call {
    pub const ALL: [Self; 7] =
        [Self::Create, Self::Write, Self::Sync, Self::Truncate, Self::Rename, Self::Unlink, Self::SyncFolder];

    /// As the shim writes it into a trace.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Truncate => "truncate",
            Self::Rename => "rename",
            Self::Unlink => "unlink",
            Self::SyncFolder => "sync-folder",
        }
    }
}

/// Event at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The power goes, or the process is killed, before the call is done; from then on nothing becomes durable.
    Before = 1,
    /// The same, as soon as the call is done.
    After = 2,
    /// The call fails with EIO.
    Fails = 3,
    /// This call and every later one of its kind fail with EIO.
    FailsForEver = 4,
}

/// Fate of unsynced writes at a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Nothing.
    Lost,
    /// Some sectors of them, by chance: a disk writes what it likes in the order that it likes.
    Torn(u64),
}

/// The folder of an installation, and what is durable of it.
pub struct Disk {
    folder: PathBuf,
    image: tempfile::TempDir,
    /// A sync of a file whose path ends so reports success and makes nothing durable. Empty: every sync works.
    pub ignores_syncs_of: &'static str,
}

/// Offsets into `struct control`.
const COUNTDOWN: u64 = 0;
const KINDS: u64 = 8;
const ACTION: u64 = 16;
const ERROR: u64 = 24;
const FIRED: u64 = 32;
const TRACE: u64 = 48;
const FILE: u64 = 56;
const CALL: u64 = 120;

const EIO: u64 = 5;

impl Disk {
    /// Everything that is in the folder now is durable.
    pub fn under(folder: &Path) -> Self {
        let folder = folder.canonicalize().expect("the folder is there");
        // Beside it, because files that lose their names are kept alive by links.
        let beside = folder.parent().expect("a temporary folder has a parent");
        let disk =
            Self { image: tempfile::tempdir_in(beside).expect("a folder for the image"), folder, ignores_syncs_of: "" };
        disk.settle();
        disk
    }

    /// The environment of a process on this disk.
    pub fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", shim()),
            ("DISK_FOLDER", self.folder.clone()),
            ("DISK_IMAGE", self.image.path().to_owned()),
            ("DISK_IGNORES_SYNCS_OF", self.ignores_syncs_of.into()),
        ]
    }

    /// Everything in the folder becomes durable, and nothing is to happen: only while no process runs on the disk.
    pub fn settle(&self) {
        for entry in fs::read_dir(self.image.path()).expect("the image can be listed") {
            fs::remove_file(entry.expect("an entry").path()).expect("the image is ours");
        }
        fs::write(self.image("control"), [0; 4096]).expect("the image can be written");
        self.settle_folder(".");
    }

    fn settle_folder(&self, name: &str) {
        let mut names = String::new();
        for entry in fs::read_dir(self.folder.join(name)).expect("the folder can be listed") {
            let entry = entry.expect("an entry");
            let file = entry.file_name().into_string().expect("names are text");
            let found = entry.metadata().expect("it is there");
            if found.is_dir() {
                self.settle_folder(&if name == "." { file } else { format!("{name}/{file}") });
            } else if found.is_file() && !is_apart(&file) {
                fs::copy(entry.path(), self.image(&format!("i{}", found.ino()))).expect("it can be copied");
                writeln!(names, "{} {file}", found.ino()).expect("writing to a string cannot fail");
            }
        }
        fs::write(self.image(&format!("n{}", name.replace('/', "%"))), names).expect("the image can be written");
    }

    /// At the `count`-th call from now that is one of `calls` on a file whose path ends with `file`, the event happens.
    pub fn arm(&self, event: Event, calls: &[Call], file: &str, count: u32) {
        self.put(COUNTDOWN, 0);
        let mut name = [0; 64];
        name[..file.len()].copy_from_slice(file.as_bytes());
        self.control().write_all_at(&name, FILE).expect("the image can be written");
        self.put(KINDS, calls.iter().fold(0, |kinds, call| kinds | *call as u64));
        self.put(ACTION, event as u64);
        self.put(ERROR, EIO);
        self.put(FIRED, 0);
        self.put(COUNTDOWN, u64::from(count));
    }

    /// Nothing is to happen any more; whether it had happened.
    pub fn disarm(&self) -> bool {
        self.put(COUNTDOWN, 0);
        self.put(KINDS, 0);
        self.fired() > 0
    }

    /// Number of times that the event happened.
    pub fn fired(&self) -> u64 {
        let mut bytes = [0; 8];
        self.control().read_exact_at(&mut bytes, FIRED).expect("the image can be read");
        u64::from_ne_bytes(bytes)
    }

    /// The call at which it happened first, as in a trace.
    pub fn call(&self) -> String {
        let mut bytes = [0; 128];
        self.control().read_exact_at(&mut bytes, CALL).expect("the image can be read");
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// Notes every call from now on.
    pub fn begin_trace(&self) {
        let _ = fs::remove_file(self.image("trace"));
        self.put(TRACE, 1);
    }

    /// Returns true if this call is in the trace.
    pub fn has_traced(&self, call: &str) -> bool {
        fs::read_to_string(self.image("trace")).is_ok_and(|trace| trace.lines().any(|line| line == call))
    }

    /// The calls since, as `sync strongroom.db-wal`.
    pub fn end_trace(&self) -> Vec<String> {
        self.put(TRACE, 0);
        let trace = fs::read_to_string(self.image("trace")).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }

    /// The power comes back: the folder is what was durable. Only when no process runs on the disk any more.
    pub fn power_up(&self, unsynced: Unsynced) {
        let mut survivors = Vec::new();
        for entry in fs::read_dir(self.image.path()).expect("the image can be listed") {
            let name = entry.expect("an entry").file_name().into_string().expect("names are text");
            let Some(folder) = name.strip_prefix('n') else { continue };
            let folder = folder.replace('%', "/");
            let list = fs::read_to_string(self.image(&name)).expect("a list of names");
            for line in list.lines() {
                let (inode, file) = line.split_once(' ').expect("inode and name");
                let synced = fs::read(self.image(&format!("i{inode}"))).unwrap_or_default();
                let path = self.folder.join(&folder).join(file);
                let bytes = match unsynced {
                    Unsynced::Lost => synced,
                    Unsynced::Torn(seed) => torn(&synced, &self.real(inode, &path), seed),
                };
                survivors.push((path, bytes));
            }
        }
        forget(&self.folder);
        for (path, bytes) in survivors {
            fs::write(&path, bytes).expect("the folder can be written");
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
        }
        self.settle();
    }

    /// The kernel's content of a file, synced or not.
    fn real(&self, inode: &str, path: &Path) -> Vec<u8> {
        let here = fs::metadata(path).is_ok_and(|found| found.ino().to_string() == inode);
        let path = if here { path.to_owned() } else { self.image(&format!("g{inode}")) };
        fs::read(path).unwrap_or_default()
    }

    fn image(&self, name: &str) -> PathBuf {
        self.image.path().join(name)
    }

    fn control(&self) -> fs::File {
        fs::OpenOptions::new().read(true).write(true).open(self.image("control")).expect("the image can be written")
    }

    fn put(&self, offset: u64, value: u64) {
        self.control().write_all_at(&value.to_ne_bytes(), offset).expect("the image can be written");
    }
}

/// Of each sector that differs, one of the two, by chance; and by chance one of the two lengths.
fn torn(synced: &[u8], real: &[u8], seed: u64) -> Vec<u8> {
    const SECTOR: usize = 512;
    let mut chance = super::chance::Chance::new(seed);
    let mut bytes = if chance.below(2) == 0 { synced.to_owned() } else { real.to_owned() };
    for at in (0..bytes.len()).step_by(SECTOR) {
        let from = if chance.below(2) == 0 { synced } else { real };
        let end = (at + SECTOR).min(bytes.len()).min(from.len());
        if at < end {
            bytes[at..end].copy_from_slice(&from[at..end]);
        }
    }
    bytes
}

/// Removes every file but those apart; folders stay.
fn forget(folder: &Path) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            forget(&path);
        } else if path.file_name().is_none_or(|name| name != "server.log") {
            fs::remove_file(path).expect("the folder is ours");
        }
    }
}

/// The shim, compiled once for each binary of tests.
fn shim() -> PathBuf {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/shim/disk.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(folder).expect("a folder for what tests make");
        let library = folder.join(format!("disk-{}.so", std::process::id()));
        // SQLite is compiled by the same compiler, so it is there.
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&library, &source])
            .output()
            .expect("the C compiler runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        library
    })
    .clone()
}
