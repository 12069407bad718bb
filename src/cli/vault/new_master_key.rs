//! A master key that is to open the vault besides the one that does, or in its place: a key file or a passphrase.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::failure::Failure;
use crate::cli::secret_input;
use crate::random::Random;
use crate::vault::MasterKey;

/// Where a passphrase comes from.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum PassphraseFrom {
    /// Ask for it on the terminal
    Prompt,
    /// Read the first line of the standard input
    Stdin,
}

impl PassphraseFrom {
    /// Reads it; an empty one is refused.
    pub(in crate::cli) fn read(self) -> Result<MasterKey, Failure> {
        let passphrase = match self {
            Self::Prompt => secret_input::ask_twice("Passphrase of the vault")?,
            Self::Stdin => secret_input::first_line()?,
        };
        if passphrase.is_empty() {
            return Err(Failure::new("the passphrase is empty").advise("nothing was changed; try again"));
        }
        Ok(MasterKey::Passphrase(passphrase))
    }
}

/// The new master key
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct NewMaster {
    /// A key file; made with a fresh key where there is none of that name
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key_file: Option<PathBuf>,
    /// A passphrase
    #[arg(long, value_name = "FROM")]
    pub(in crate::cli) passphrase: Option<PassphraseFrom>,
}

impl NewMaster {
    /// The master key, made or read; `None` where nothing was said.
    pub(in crate::cli) fn read(&self) -> Result<Option<MasterKey>, Failure> {
        match (&self.key_file, self.passphrase) {
            (Some(file), _) => read_or_make(file).map(Some),
            (None, Some(from)) => from.read().map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Whether reading it makes a key file.
    pub(in crate::cli) fn makes_a_file(&self) -> bool {
        self.key_file.as_ref().is_some_and(|file| file.symlink_metadata().is_err())
    }

    /// Whether nothing was said.
    pub(in crate::cli) fn is_unsaid(&self) -> bool {
        self.key_file.is_none() && self.passphrase.is_none()
    }

    /// What the configuration has to say from now on.
    pub(in crate::cli) fn setting(&self) -> String {
        match (&self.key_file, self.passphrase) {
            (Some(file), _) => format!("master_key = {{ file = {:?} }}", file.display().to_string()),
            (None, Some(PassphraseFrom::Stdin)) => "passphrase = \"stdin\"".to_owned(),
            (None, _) => "passphrase = \"prompt\"".to_owned(),
        }
    }
}

/// The key that is in the file, or a fresh one that is on disk there before this returns.
pub(in crate::cli) fn read_or_make(file: &Path) -> Result<MasterKey, Failure> {
    if file.symlink_metadata().is_ok() {
        let master = MasterKey::parse_file_text(secret_input::from_file(file)?.expose())?;
        // Whoever wrote it may have been killed before it was on disk, and a vault must not rest on it until it is.
        let synced = File::open(file).and_then(|file| file.sync_all()).and_then(|()| sync_folder(file));
        synced.map_err(|error| Failure::new(format!("{} cannot be synced: {error}", file.display())))?;
        return Ok(master);
    }
    let master = MasterKey::generate(Random);
    let text = master.to_file_text().expect("a generated key is no passphrase");
    write_new(file, text.expose(), 0o400).map_err(|error| cannot_be_made(file, &error))?;
    Ok(master)
}

/// Writes a new file, on disk before this returns; never over one that is there.
pub(in crate::cli) fn write_new(path: &Path, text: &str, permissions: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(permissions).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
    if written.is_err() {
        // What cannot be taken back is seen at the next try, which names it.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// A name is on disk only when its folder is.
pub(in crate::cli) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// That a file could not be made.
pub(in crate::cli) fn cannot_be_made(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be made: {error}", path.display()))
}
