//! Seals and opens: master key, keyring, record, credential, state, API key, audit.

mod api_key;
mod checked_text;
mod error;
mod face;
mod hex;
mod host_pattern;
mod keys;
mod master_key;
mod material;
mod pending;
mod revocation;
mod summary;
mod who;

pub use api_key::{ApiKey, Holder, NewApiKey, UserPattern, UserPatternError};
pub use error::VaultError;
pub use face::{Mode, Vault, VaultStatus};
pub use host_pattern::{HostPattern, HostPatternError};
pub use master_key::{MasterKey, MasterKeyError};
pub use material::{Material, Tokens};
pub use pending::{Flow, PendingAuthorization};
pub use revocation::{Deleted, QueuedRevocation, Revocation, RevocationId};
pub use summary::{NewCredential, Page, Status, Summary, User};
pub use who::{Actor, Who};
