//! Options that name a new master key: a key file or a passphrase.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::broker::NewMasterKey;
use crate::cli::failure::Failure;
use crate::cli::secret_input::{self, FROM_FILE};
use crate::secret::Secret;

/// Source of a passphrase.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum PassphraseFrom {
    /// Ask on the terminal
    Prompt,
    /// Read the first line of standard input
    Stdin,
}

impl PassphraseFrom {
    /// Reads the passphrase.
    pub(in crate::cli) fn read(self) -> Result<Secret, Failure> {
        match self {
            Self::Prompt => secret_input::ask_twice("New passphrase of the vault", FROM_FILE),
            Self::Stdin => secret_input::first_line(),
        }
    }

    /// Returns the setting that reads the passphrase at each start.
    pub(in crate::cli) fn setting(self) -> &'static str {
        match self {
            Self::Prompt => "passphrase = \"prompt\"",
            Self::Stdin => "passphrase = \"stdin\"",
        }
    }
}

/// The new master key
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct NewMasterArgs {
    /// Key file; a new key is generated if the file does not exist
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key_file: Option<PathBuf>,
    /// Passphrase
    #[arg(long, value_name = "FROM")]
    passphrase: Option<PassphraseFrom>,
}

impl NewMasterArgs {
    /// Returns true if an option was given.
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.key_file.is_some() || self.passphrase.is_some()
    }

    /// Returns the new master key; `None` if no option was given.
    pub(in crate::cli) fn read(&self) -> Result<Option<NewMasterKey>, Failure> {
        Ok(match (&self.key_file, self.passphrase) {
            (Some(file), _) => Some(NewMasterKey::File(file.clone())),
            (None, Some(from)) => Some(NewMasterKey::Passphrase(from.read()?)),
            (None, None) => None,
        })
    }

    /// Returns the setting that the configuration needs from now on.
    pub(in crate::cli) fn setting(&self) -> String {
        match &self.key_file {
            Some(file) => format!("master_key = {{ file = {:?} }}", file.display().to_string()),
            None => self.passphrase.unwrap_or(PassphraseFrom::Prompt).setting().to_owned(),
        }
    }
}
