//! Why a command did not do what it was asked: the exit code, what happened, and what to do next.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::broker;
use crate::config::ConfigErrors;
use crate::egress::EgressSetupError;
use crate::http::ListenError;
use crate::vault::{BackupError, MasterKeyError, VaultError};

/// The exit codes, as the contract has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// Nobody reads the output any more: nothing to complain about.
    Closed = 0,
    Failed = 1,
    Configuration = 2,
    WrongKey = 3,
    Damaged = 4,
}

/// A command's failure. Its text never holds a secret.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    message: String,
    advice: Option<String>,
}

impl Failure {
    /// It failed (exit code 1).
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { code: Code::Failed, message: message.into(), advice: None }
    }

    /// It was used or configured wrongly (exit code 2).
    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self { code: Code::Configuration, message: message.into(), advice: None }
    }

    /// The vault holds what Strongroom did not write there, or lacks what it wrote (exit code 4).
    pub(super) fn damaged(message: impl Into<String>) -> Self {
        let advice = "keep the file as it is, and bring back a backup beside it";
        Self { code: Code::Damaged, message: message.into(), advice: Some(advice.to_owned()) }
    }

    /// What to do next.
    #[must_use]
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Whether the master key does not open the vault.
    pub(super) fn is_wrong_key(&self) -> bool {
        self.code == Code::WrongKey
    }

    /// What happened, and what to do next.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        (&self.message, self.advice.as_deref())
    }

    /// The standard output could not be written.
    pub(super) fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { code: Code::Closed, message: String::new(), advice: None },
            _ => Self::new(format!("the output cannot be written: {error}")),
        }
    }

    /// Tells it on the standard error, and gives the code to exit with.
    pub fn report(&self) -> ExitCode {
        if self.code != Code::Closed {
            // Where even the standard error is closed, the exit code says it.
            let _ = writeln!(io::stderr().lock(), "{self}");
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
            1 => "the configuration has a fault".to_owned(),
            _ => format!("the configuration has {count} faults"),
        };
        Self::configuration(message).advise(errors.to_string())
    }
}

impl From<broker::Error> for Failure {
    fn from(error: broker::Error) -> Self {
        match error {
            broker::Error::Vault(error) => error.into(),
            other => Self::new(other.to_string()),
        }
    }
}

impl From<MasterKeyError> for Failure {
    fn from(error: MasterKeyError) -> Self {
        let advice = "it is the text that `strongroom init` wrote; take it from your copy of the key";
        Self { code: Code::WrongKey, message: error.to_string(), advice: Some(advice.to_owned()) }
    }
}

impl From<EgressSetupError> for Failure {
    fn from(error: EgressSetupError) -> Self {
        Self::configuration(error.to_string()).advise("look at egress.ca_certificates in the configuration")
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Address { .. } => Self::new(error.to_string()).advise(
                "set server.listen (for dev: --listen) to an address of this machine that nobody else listens on; port 0 \
                 is a free one",
            ),
            ListenError::Tls(_) => Self::configuration(error.to_string())
                .advise("look at server.tls.certificate and server.tls.key in the configuration"),
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
        let advice = match &error {
            BackupError::Vault(VaultError::WrongKey { .. }) => {
                "a backup needs the master key of its day: set vault.master_key to it"
            }
            BackupError::Vault(_) => {
                let BackupError::Vault(error) = error else { unreachable!("it was looked at") };
                return error.into();
            }
            BackupError::NotABackup(_) => "name a file that `strongroom vault backup` wrote",
            BackupError::NewerFormat { .. } => "install that Strongroom or a newer one",
            BackupError::Damaged(_) | BackupError::CutOff => "take an older backup, or another copy of this one",
            BackupError::AlreadyExists(_) => "name another file, or give --force to replace this one",
            BackupError::GivenUp => "start it again",
            BackupError::File { .. } | BackupError::Io { .. } => {
                "look at the folder, its owner and mode, and the room on its disk; nothing was left behind"
            }
        };
        let code = if error.is_damage() {
            Code::Damaged
        } else if matches!(error, BackupError::Vault(VaultError::WrongKey { .. })) {
            Code::WrongKey
        } else {
            Code::Failed
        };
        Self { code, message: error.to_string(), advice: Some(advice.to_owned()) }
    }
}

fn advice_on(error: &VaultError) -> Option<&'static str> {
    Some(match error {
        VaultError::NotFound(_) => {
            "make one with `strongroom init`, or say where it is: --vault FILE, or vault.path in the configuration"
        }
        VaultError::AlreadyExists(_) => "name another file with --vault, or move this one away",
        VaultError::NotAVault(_) => "name the vault with --vault FILE or vault.path, or bring back a backup of it",
        VaultError::WrongKey { .. } => {
            "set vault.master_key to the key of this vault, or take --vault to the vault of this key"
        }
        VaultError::Rollback { .. } => {
            "bring the newest vault back, with its -wal and -shm. Where the older one is meant (a backup that was restored), \
             start once with --accept-rollback: what was deleted and revoked since may be there again"
        }
        VaultError::EpochFile { .. } => {
            "see whether vault.epoch_file names the file of this vault. Where it is lost for good, remove it, and start once \
             with --accept-rollback: a new one is begun, and nothing tells whether this vault is the newest"
        }
        VaultError::NoEpochFile(_) => {
            "see whether its disk is mounted and vault.epoch_file names its place, or bring it back. Where it is lost for good \
             and you know by other means that this is the newest vault, start once with --accept-rollback"
        }
        VaultError::DamagedRow {
            table:
                "credential"
                | "credential_secret"
                | "pending_authorization"
                | "revocation"
                | "client_registration"
                | "signing_key",
            ..
        } => "bring back a backup, or erase the damaged rows: `strongroom vault repair`",
        VaultError::DamagedKeyring(_) | VaultError::DamagedRow { .. } | VaultError::DoesNotHold { .. } => {
            "keep the file as it is, and bring back a backup beside it"
        }
        VaultError::Unreleased(_) => "export its credentials with that version, and import them into a new vault",
        VaultError::NewerFormat { .. } => "install that Strongroom or a newer one",
        VaultError::Locked(_) => {
            "stop the other server first; short commands such as `strongroom key list` work beside it"
        }
        VaultError::Full => "make room on the disk; reading and deleting go on meanwhile",
        VaultError::ReadOnly(_) => "look at the owner and the mode of the file, its folder and its file system",
        VaultError::TooManySlots(_) => "end one that nobody needs any more first: `strongroom vault slot remove SLOT`",
        VaultError::Busy | VaultError::Contended => "try again",
        _ => return None,
    })
}
