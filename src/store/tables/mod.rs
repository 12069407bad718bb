//! The SQL statements: one file for each table, and the scans over all sealed records.

mod api_key;
mod approval;
mod audit;
mod counts;
mod credential;
mod erasable;
mod keyring;
mod manifest;
mod pending;
mod registration;
mod revocation;
mod scan;
mod signing_key;
mod statement;
mod usage;
mod user;

pub(crate) use api_key::ApiKeyRow;
pub(crate) use approval::{ApprovalRow, ReadApproval};
pub use audit::{AuditFilter, AuditRow};
pub(crate) use credential::{CredentialRow, SecretRow};
pub(crate) use erasable::{ERASABLE, Erasable, RowKey};
pub(crate) use keyring::{KeyRow, SlotRow, VaultRow};
pub(crate) use manifest::ManifestRow;
pub(crate) use pending::PendingRow;
pub(crate) use registration::RegistrationRow;
pub(crate) use revocation::{GiveUp, ReadRevocation, RevocationRow};
pub(crate) use scan::{RecordKey, WholeCredential};
pub(crate) use signing_key::SigningKeyRow;
pub(crate) use usage::{Usage, bytes};
pub(crate) use user::UserRow;
