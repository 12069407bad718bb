//! The vault: everything confidential, sealed in one SQLite file.
//!
//! [`Vault`] opens the file and gives out handles: `credentials()`, `logins()`, `api_keys()`,
//! `audit()` and others. Every change is one job of the store's writer, with its audit row and the
//! manifest in the same transaction (`txn/`). Each record is sealed (`crypto/record.rs`) under a
//! key of the keyring, which the master key opens through a key slot.
//!
//! Imports point one way: `crypto` → `txn` → one folder for each kind of row → `audit` →
//! `integrity` → `backup`, `rotation` → `transfer` → `open.rs`.

mod api_keys;
mod approvals;
mod audit;
mod backup;
mod credentials;
mod crypto;
mod error;
mod hex;
mod integrity;
mod logins;
mod open;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod proxy_ca;
mod registrations;
mod revocations;
mod rotation;
mod secrets;
mod shrink;
mod signing_keys;
mod standby;
mod status;
#[cfg(test)]
mod tests;
mod transfer;
mod txn;
mod user_removal;
mod users;

pub(crate) use crate::store::CheckedState;
pub use crate::store::{AuditFilter, AuditRow, StoreError, check_files, folder_of};
pub use api_keys::api_key::{ApiKey, KeyHolder, NewApiKey, UserPattern, UserPatternError};
pub use api_keys::key_grants::{GrantRefused, KeyGrants, NewGrant};
pub use api_keys::limits::{KeyLimits, TooManyLimits};
pub use api_keys::unmatched::{NeedsProxyPermission, Unmatched};
pub use api_keys::update::{ApiKeyUpdate, UpdateRefused};
pub use approvals::approval::{ApprovalRequest, ApprovalStatus, RequestToApprove};
pub use approvals::store::{ApprovalAnswer, ApprovalDecision, ApprovalPage, Approvals};
pub use audit::chain::AuditFault;
pub use audit::log::{AuditEntry, AuditVerdict};
pub use audit::signed_head::{HeadFault, HeadFit, SignedRows};
pub use backup::entries::BackupContents;
pub use backup::error::BackupError;
pub use backup::head::{BackupHead, head_of, is_backup};
pub use backup::new_file::{Existing, remove_abandoned};
pub use backup::restore::{BackupSource, RestoredVault, Restorer};
pub use backup::write::{BackupStop, MadeBackup};
pub use credentials::delete::DeletedCredential;
pub use credentials::keep_login::{KeptLogin, LoginRefusal, LoginTerms, NewLogin};
pub use credentials::metadata::{
    AdditionalToken, CredentialMetadata, CredentialPage, CredentialStatus, Exportable, NewCredential,
};
pub use credentials::quota::{Quota, QuotaLimit};
pub(crate) use credentials::read::Credentials;
pub use credentials::read::SecretUse;
pub use credentials::refresh::{RefreshEnd, RefreshFailure, RefreshStart, RefreshTerms, RefreshTicket, Refreshed};
pub use credentials::refresh_state::{LastError, RefreshState};
pub use credentials::shared_grant::RevocationScope;
pub use credentials::store::{ReplaceOutcome, Replacement};
pub use credentials::update_credential::{CredentialUpdate, NewExpiry, SecretUpdate, UpdateOutcome};
pub use crypto::key_encoding::MasterKeyError;
pub use crypto::master_key::MasterKey;
pub use error::VaultError;
pub use integrity::findings::{IntegrityFinding, Verification};
pub use integrity::repair::Repair;
pub use logins::device_poll::PollTurn;
pub use logins::pending_login::{DevicePolling, LoginFlow, PendingAuthorization};
pub use logins::store::MissedLogin;
pub use open::{OpenMode, OpenOptions, Vault};
pub use proxy_ca::SealedCa;
pub use registrations::{ClientManagement, ClientRegistration, RegisteredAt};
pub use revocations::queue::{GivenUp, RetryBounds, RevocationQueue};
pub use revocations::queued_revocation::{QueuedRevocation, RevocationId};
pub use rotation::data_key::{RotationBegun, RotationEnd, RotationPlace};
pub use rotation::key_slots::{KeySlot, SlotAdded, SlotKind, SlotRemoved};
pub use secrets::credential_secret::{CredentialSecret, ReplacedTokens, Tokens};
pub use secrets::renewal::{OwnClient, Renewal, ServiceAccount};
pub use status::{KeyVersion, VaultStatus};
#[cfg(any(test, fuzzing))]
pub(crate) use transfer::export_file::holds as export_holds;
pub use transfer::export_file::{ExportFault, ExportWriter, read_export};
pub use transfer::import::{ExportedPage, ImportOutcome, Importer};
pub use transfer::import_candidate::ImportCandidate;
pub use transfer::transferred_credential::TransferredCredential;
pub use txn::audit_context::{Actor, AuditContext, DeniedRequest, ProxiedRequest};
pub use txn::audit_row::audit_actions;
pub use txn::manifest::{RestoreMark, SealedRows};
pub use user_removal::RemovedUser;
pub use users::{KnownUser, LogPosition};
