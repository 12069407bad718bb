//! A new master key for the vault: a key file or a passphrase.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::failure::Failure;
use crate::cli::secret_input;
use crate::random::Random;
use crate::vault::MasterKey;

/// Source of a passphrase.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum PassphraseFrom {
    /// Ask on the terminal
    Prompt,
    /// Read the first line of standard input
    Stdin,
}

impl PassphraseFrom {
    /// Reads the passphrase; an empty one is an error.
    pub(in crate::cli) fn read(self) -> Result<MasterKey, Failure> {
        let passphrase = match self {
            Self::Prompt => secret_input::ask_twice("Passphrase of the vault")?,
            Self::Stdin => secret_input::first_line()?,
        };
        if passphrase.is_empty() {
            return Err(Failure::new("the passphrase is empty").advise("nothing was changed; run the command again"));
        }
        Ok(MasterKey::Passphrase(passphrase))
    }
}

/// The new master key
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct NewMaster {
    /// Key file; a new key is generated if the file does not exist
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key_file: Option<PathBuf>,
    /// Passphrase
    #[arg(long, value_name = "FROM")]
    pub(in crate::cli) passphrase: Option<PassphraseFrom>,
}

impl NewMaster {
    /// Reads or generates the master key; `None` if no option was given.
    pub(in crate::cli) fn read(&self) -> Result<Option<MasterKey>, Failure> {
        match (&self.key_file, self.passphrase) {
            (Some(file), _) => read_or_make(file).map(Some),
            (None, Some(from)) => from.read().map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Returns true if a key file would be created.
    pub(in crate::cli) fn makes_a_file(&self) -> bool {
        self.key_file.as_ref().is_some_and(|file| file.symlink_metadata().is_err())
    }

    /// Returns true if no option was given.
    pub(in crate::cli) fn is_unsaid(&self) -> bool {
        self.key_file.is_none() && self.passphrase.is_none()
    }

    /// Returns the setting that the configuration needs from now on.
    pub(in crate::cli) fn setting(&self) -> String {
        match (&self.key_file, self.passphrase) {
            (Some(file), _) => format!("master_key = {{ file = {:?} }}", file.display().to_string()),
            (None, Some(PassphraseFrom::Stdin)) => "passphrase = \"stdin\"".to_owned(),
            (None, _) => "passphrase = \"prompt\"".to_owned(),
        }
    }
}

/// Reads the key file, or creates it with a new key. The file is on disk when this returns.
pub(in crate::cli) fn read_or_make(file: &Path) -> Result<MasterKey, Failure> {
    if file.symlink_metadata().is_ok() {
        let master = MasterKey::parse_file_text(secret_input::from_file(file)?.expose())?;
        // The process that wrote it may have been killed before the sync. A vault must not depend
        // on an unsynced key.
        let synced = File::open(file).and_then(|file| file.sync_all()).and_then(|()| sync_folder(file));
        synced.map_err(|error| Failure::new(format!("{} cannot be synced: {error}", file.display())))?;
        return Ok(master);
    }
    let master = MasterKey::generate(Random);
    let text = master.to_file_text().expect("a generated key is no passphrase");
    write_new(file, text.expose(), 0o400).map_err(|error| cannot_be_made(file, &error))?;
    Ok(master)
}

/// Writes a new file, on disk when this returns. An existing file is an error.
pub(in crate::cli) fn write_new(path: &Path, text: &str, permissions: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(permissions).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
    if written.is_err() {
        // A file that cannot be removed is named at the next attempt.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Syncs the folder: only then is the name of a new file on disk.
pub(in crate::cli) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Builds the failure to create a file.
pub(in crate::cli) fn cannot_be_made(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot create {}: {error}", path.display()))
}
