//! Use cases of Strongroom, one file each.
//!
//! The command line, the HTTP API and every other entry point call these use cases. A [`Caller`] is
//! authenticated and has the permission that it needs. The use cases check which user's data it
//! reads or changes.
//!
//! - `login/`: initiate, complete, connect from a terminal, device flow, MCP servers
//! - `token/`: the live token, single-flight refresh, refresh ahead of expiry
//! - `credentials/`: create, list, get, delete
//! - `transfer/`: import and export
//! - `providers/`: the catalogue as the settings extend it
//! - `admin/`: users, API keys, audit log, revocation queue, housekeeping, scheduled backups and
//!   verification
//! - `vault/`: the vault file and its keys

mod access_token;
mod admin;
mod authenticate;
mod caller;
mod client_metadata;
mod clients;
mod credentials;
mod error;
mod installation;
mod login;
mod parts;
mod providers;
mod proxy_ca;
mod sendable;
mod sending;
mod token;
mod transfer;
mod unmatched;
mod vault;
mod vault_admin;

pub use admin::{
    ApprovalList, ApprovalState, ApprovalView, BackupStatus, EffectName, ExplainRequest, ExplainedMethod, ExplainedUrl,
    FreeDisk, GrantExplanation, GrantFilter, GrantList, GrantView, RevocationList, UselessLimit, WaitingRevocation,
    backup_name, backup_status,
};
pub use caller::{Administrator, ApprovalReader, Authenticated, Caller};
pub use client_metadata::{ClientMetadata, PublishedKeys, prepare_signing_key};
pub use credentials::{
    CreateRequest, CreateResponse, CredentialBase, CredentialDetail, CredentialList, CredentialSummary, DEFAULT_LIMIT,
    DeleteResponse, GivenSecret, NewSecret, NoBaseUrl, ServiceRequest, ShownBeside, ShownError, UserCredential,
    service_account,
};
pub use error::{Error, MemberFault};
pub use installation::{Installation, StartError};
pub use login::{
    CompleteRequest, CompleteResponse, DeviceInitiateRequest, DeviceInitiateResponse, DevicePoll, DevicePollRequest,
    DeviceWaiting, FurtherCredential, InitiateRequest, InitiateResponse, callback_path,
};
pub use parts::Broker;
pub use providers::{
    ChildVariables, EndpointCheck, Placement, ProviderDetail, ProviderFilter, ProviderInfo, ProviderPage,
    ProviderReport, ProviderRow, UnknownProvider,
};
pub use proxy_ca::{ProxyCa, set_dates_and_serial};
pub use sendable::{SendableCredential, SendablePage};
pub use sending::{BoundCredential, SecretToSend};
pub use token::{DEFAULT_MIN_TTL, LiveSecret, UsableSecret};
pub use transfer::{ExportError, ExportReport, ExportedCredential, ImportOptions, ImportReport, ImportedItem};
pub use unmatched::KeyHosts;
pub use vault::{
    Exposure, NewMasterKey, NewVault, RekeyPlan, RekeyRequest, Rekeyed, Restored, RotationReport, ShortPassphrase,
    UnlockError, VaultReport, is_served, master_key,
};
pub use vault_admin::VaultAdmin;

// The fault of an input in `Error::Inputs`.
pub use crate::catalog::input::InputFault;
// The host of a host-scoped credential, and the parts of a grant.
pub use crate::policy::{AllowTerms, Approval, Effect, HostPattern, MethodRule, PathPattern, Rate};
// Types of the vault in the requests and the answers of the use cases.
pub use crate::vault::{
    Actor, ApiKey, ApiKeyUpdate, AuditContext, AuditEntry, AuditFilter, BackupContents, BackupError, CredentialPage,
    CredentialSecret, CredentialUpdate, DeniedRequest, Existing, ExportFault, HeadFit, KeyHolder, KeyLimits, KeySlot,
    MasterKey, MasterKeyError, NewApiKey, NewExpiry, NewGrant, OpenMode, OwnClient, ProxiedRequest, Renewal, Repair,
    SecretUpdate, SlotAdded, SlotRemoved, StoreError, TooManyLimits, Unmatched, UpdateRefused, UserPattern, VaultError,
    Verification, audit_actions, check_files,
};
