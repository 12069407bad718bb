//! Seals and opens: master key, keyring, record, credential, state, API key, audit.
//!
//! [`Vault`] is all of it: everything that is done with the data is a method of it, and each change is one job of the
//! store's writer, with its audit row and the manifest in the same job (`ledger.rs`). What is confidential is
//! sealed in a record (`record.rs`) under a key of the keyring (`keyring.rs`), which the master key opens through a
//! slot (`slot.rs`).

mod amend;
mod api_key;
mod audit;
mod backup;
mod checked_text;
mod credential_record;
mod credentials;
mod damaged;
mod delete;
mod device;
mod epoch;
mod error;
mod export_file;
mod fields;
mod hex;
mod history;
mod host_pattern;
mod import;
mod key_table;
mod keyring;
mod keyring_rows;
mod keys;
mod ledger;
mod live;
mod login;
mod manifest;
mod master_key;
mod material;
mod memory;
mod open;
mod pending;
mod portable;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod record;
mod refresh;
mod refreshing;
mod registration;
mod renewal;
mod revocation;
mod rotate;
mod signing_key;
mod slot;
mod slots;
mod status;
mod summary;
mod transactions;
mod users;
mod verify;
mod walk;
mod who;
mod xchacha;

#[cfg(test)]
mod tests;

pub use crate::store::{FileWarning, check_files};
pub use amend::{CredentialUpdate, SecretUpdate, UpdateOutcome};
pub use api_key::{ApiKey, KeyHolder, NewApiKey, UserPattern, UserPatternError};
pub use audit::{AuditEntry, AuditFault, AuditFilter, AuditVerdict, DeniedRequest, HeadFault, HeadFit, SignedRows};
pub use backup::{
    BackupContents, BackupError, BackupHead, BackupSource, BackupStop, Existing, MadeBackup, RestoredVault, Restorer,
    head_of, remove_abandoned,
};
pub use credentials::{ReplaceOutcome, Replacement};
pub use damaged::{DamagedRemoval, Repair, Rest};
pub use device::PollTurn;
pub use error::VaultError;
#[cfg(any(test, fuzzing))]
pub(crate) use export_file::holds as export_holds;
pub use export_file::{ExportFault, ExportWriter, read_export};
pub use host_pattern::{HostPattern, HostPatternError};
pub use import::{ImportCandidate, ImportOutcome};
pub use login::{KeptLogin, NewLogin};
pub use manifest::RestoreMark;
pub use master_key::{MasterKey, MasterKeyError};
pub use material::{CredentialSecret, Tokens};
pub use open::{OpenMode, OpenOptions, Vault};
pub use pending::{DevicePolling, LoginFlow, PendingAuthorization};
pub use portable::TransferredCredential;
pub use refresh::{RefreshFailure, RefreshStart, RefreshTicket, Refreshed};
pub use refreshing::{LastError, RefreshState};
pub use registration::{ClientRegistration, RegisteredAt};
pub use renewal::{OwnClient, Renewal, ServiceAccount};
pub use revocation::{
    DeletedCredential, GivenUp, QueuedRevocation, RetryBounds, RevocationId, RevocationQueue, RevocationScope,
};
pub use rotate::{RotationBegun, RotationEnd, RotationPlace};
pub use slots::{KeySlot, SlotAdded, SlotKind, SlotRemoved};
pub use status::{KeyVersion, VaultStatus};
pub use summary::{AdditionalToken, CredentialMetadata, CredentialPage, CredentialStatus, KnownUser, NewCredential};
pub use verify::{IntegrityFinding, Verification};
pub use who::{Actor, AuditContext};
