//! Failure of a command: exit code, message and advice.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::broker::{self, BackupError, Exposure, StartError, StoreError, UnknownProvider, UnlockError, VaultError};
use crate::config::ConfigErrors;
use crate::http::ListenError;
use crate::visible::printable;

/// Exit codes of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// The reader of the output has gone away.
    Closed = 0,
    Failed = 1,
    Configuration = 2,
    WrongKey = 3,
    Damaged = 4,
}

/// Failure of a command. Its text never contains a secret.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    message: String,
    advice: Option<String>,
}

impl Failure {
    /// Builds a general failure (exit code 1).
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { code: Code::Failed, message: message.into(), advice: None }
    }

    /// Builds a usage or configuration failure (exit code 2).
    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self { code: Code::Configuration, message: message.into(), advice: None }
    }

    /// Builds a damage failure (exit code 4): the vault was changed by something other than
    /// Strongroom.
    pub(super) fn damaged(message: impl Into<String>) -> Self {
        let advice = "keep the file unchanged, and restore a backup beside it";
        Self { code: Code::Damaged, message: message.into(), advice: Some(advice.to_owned()) }
    }

    /// Sets the advice: the next step for the operator.
    #[must_use]
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Replaces the message; the exit code stays.
    #[must_use]
    pub(super) fn say(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Returns true if the master key does not open the vault.
    pub(super) fn is_wrong_key(&self) -> bool {
        self.code == Code::WrongKey
    }

    /// Returns message and advice.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        (&self.message, self.advice.as_deref())
    }

    /// Builds the failure of a write to standard output.
    pub(super) fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { code: Code::Closed, message: String::new(), advice: None },
            _ => Self::new(format!("cannot write the output: {error}")),
        }
    }

    /// Prints the failure to standard error and returns its exit code.
    pub fn report(&self) -> ExitCode {
        if self.code != Code::Closed {
            // If standard error is closed too, the exit code remains.
            let _ = writeln!(io::stderr().lock(), "{}", printable(&self.to_string()));
        }
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  {}", advice.replace('\n', "\n  ")),
            None => Ok(()),
        }
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        let count = errors.0.len();
        let message = match count {
            1 => "the configuration has one fault".to_owned(),
            _ => format!("the configuration has {count} faults"),
        };
        Self::configuration(message).advise(errors.to_string())
    }
}

impl From<broker::Error> for Failure {
    fn from(error: broker::Error) -> Self {
        match error {
            broker::Error::Vault(error) => error.into(),
            error @ broker::Error::ApprovalNotFound => {
                Self::new(error.to_string()).advise("`strongroom approval list` lists all requests")
            }
            error @ broker::Error::GrantNotFound => {
                Self::new(error.to_string()).advise("`strongroom grant list` lists all grants")
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Vault(error) => error.into(),
            StartError::Egress(_) => {
                Self::configuration(error.to_string()).advise("check the file in the configuration")
            }
        }
    }
}

impl From<UnknownProvider> for Failure {
    fn from(error: UnknownProvider) -> Self {
        let list = || "`strongroom provider list` lists all providers".to_owned();
        Self::new(error.to_string()).advise(error.fix().unwrap_or_else(list))
    }
}

impl From<UnlockError> for Failure {
    fn from(error: UnlockError) -> Self {
        let (code, advice) = match error {
            UnlockError::Vault(error) => return error.into(),
            UnlockError::MasterKey(_) => {
                (Code::WrongKey, "use the text that `strongroom init` wrote, from your copy of the key file")
            }
            UnlockError::Unreadable { .. } => (
                Code::Configuration,
                "check vault.master_key or vault.passphrase in the configuration; `strongroom init` creates a vault with its key",
            ),
            UnlockError::KeyMissing { .. } => {
                (Code::Configuration, "restore the key file, or name another vault with --vault")
            }
            UnlockError::NotReplaceable => {
                (Code::Configuration, "name the new one: --key-file FILE or --passphrase prompt")
            }
            UnlockError::OwnSlot(_) => (
                Code::Failed,
                "change vault.master_key or vault.passphrase first, or give --own; otherwise the next start fails",
            ),
            UnlockError::NoSlot(_) => (Code::Failed, "`strongroom vault slot list` lists all slots"),
            UnlockError::SlotGone => (Code::Failed, "nothing was changed; run the command again"),
            UnlockError::ShortPassphrase(_) => (
                Code::Failed,
                "nothing was changed; choose a longer passphrase, because an attacker with the file can try passphrases",
            ),
            UnlockError::WorldWritable(ref open) => {
                let fixes: Vec<_> = open.iter().map(Exposure::fix).collect();
                return Self::configuration(error.to_string()).advise(fixes.join("\n"));
            }
            UnlockError::Unchanged => (Code::Failed, "give another file or passphrase"),
        };
        Self { code, message: error.to_string(), advice: Some(advice.to_owned()) }
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Address { .. } => Self::new(error.to_string()).advise(
                "set server.listen (for dev: --listen) to a free address of this machine; port 0 takes a free port",
            ),
            ListenError::Tls(_) => Self::configuration(error.to_string())
                .advise("check server.tls.certificate and server.tls.key in the configuration"),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let code = match &error {
            VaultError::WrongKey { .. } => Code::WrongKey,
            damage if damage.is_damage() => Code::Damaged,
            _ => Code::Failed,
        };
        Self { code, message: error.to_string(), advice: advice_on(&error).map(str::to_owned) }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let advice = match error {
            BackupError::Vault(error @ VaultError::WrongKey { .. }) => {
                return Self::from(error)
                    .advise("set vault.master_key or vault.passphrase to the one of the backup's time");
            }
            BackupError::Vault(VaultError::File { .. }) | BackupError::Io { .. } => {
                "check the folder, its owner and mode, and the disk space; no partial file was left"
            }
            BackupError::Vault(error) => return error.into(),
            BackupError::NotABackup(_) => "name a file that `strongroom vault backup` wrote",
            BackupError::NewerFormat { .. } => "install that version of Strongroom or a newer one",
            BackupError::Damaged(_) | BackupError::CutOff => "use another copy of this backup, or an older one",
            BackupError::AlreadyExists(_) => "name another file, or give --force to replace this one",
            BackupError::NotReplaceable(_) => "name another file; --force replaces only an earlier backup",
            BackupError::GivenUp => "run the command again",
        };
        let code = if error.is_damage() { Code::Damaged } else { Code::Failed };
        Self { code, message: error.to_string(), advice: Some(advice.to_owned()) }
    }
}

/// Tables whose damaged rows `vault repair` can erase.
const ERASABLE: [&str; 7] = [
    "credential",
    "credential_secret",
    "pending_authorization",
    "revocation",
    "client_registration",
    "signing_key",
    "approval",
];

fn advice_on(error: &VaultError) -> Option<&'static str> {
    Some(match error {
        VaultError::WrongKey { .. } => {
            "set vault.master_key or vault.passphrase to one of them, or name another vault with --vault"
        }
        VaultError::Rollback { .. } => {
            "restore the newest vault with its -wal and -shm files. If the older vault is intended (a restored backup), start once with --accept-rollback; credentials and keys deleted since may exist again"
        }
        VaultError::EpochFile { .. } => {
            "check that vault.epoch_file is the file of this vault. If the right file is lost, remove this one and start once with --accept-rollback; Strongroom then cannot tell if this vault is the newest"
        }
        VaultError::NoEpochFile(_) => {
            "check that its disk is mounted and that vault.epoch_file names it, or restore it. If it is lost and you know that this is the newest vault, start once with --accept-rollback"
        }
        VaultError::DamagedRow { table, .. } if ERASABLE.contains(table) => {
            "bring back a backup, or erase the damaged rows: `strongroom vault repair`"
        }
        VaultError::DamagedKeyring(_) | VaultError::DamagedRow { .. } | VaultError::DoesNotHold { .. } => {
            "keep the file unchanged, and restore a backup beside it"
        }
        VaultError::DamagedLeft(_) => {
            "erase the damaged credentials with `strongroom vault repair`, then run `strongroom user remove` again"
        }
        VaultError::TooManySlots(_) => "remove an unused slot first: `strongroom vault slot remove SLOT`",
        VaultError::Contended => "try again",
        VaultError::Store(error) => return advice_on_store(error),
        _ => return None,
    })
}

fn advice_on_store(error: &StoreError) -> Option<&'static str> {
    Some(match error {
        StoreError::NotFound(_) => "create one with `strongroom init`, or name it with --vault FILE or vault.path",
        StoreError::AlreadyExists(_) => "name another file with --vault, or move this one away",
        StoreError::NotAVault(_) => "name the vault with --vault FILE or vault.path, or restore a backup",
        StoreError::Unreleased(_) => "export its credentials with that version, and import them into a new vault",
        StoreError::NewerFormat { .. } => "install that version of Strongroom or a newer one",
        StoreError::HardLinked { .. } => {
            "two servers could open it at once. With no server running, give this name a file of its own: `cp -p FILE FILE.new && mv FILE.new FILE`. Make copies with `strongroom vault backup`"
        }
        StoreError::MountedAlone(_) => "mount the folder of the vault, not the file",
        StoreError::Locked(_) => {
            "stop the other server first, even if its files were moved away; commands such as `strongroom key list` work beside it"
        }
        StoreError::Full => "free disk space; reading and deleting still work",
        StoreError::ReadOnly(_) => "check owner, mode and file system of the file and its folder",
        StoreError::Busy => "try again",
        _ => return None,
    })
}
