//! Administration: users, API keys, audit log, rotation, the revocation queue, and the work that a server does by
//! the clock.

mod api_keys;
mod audit;
mod housekeeping;
mod revocations;
mod rotation;
mod scheduled_backup;
mod scheduled_verification;
mod users;

pub use revocations::{RevocationList, WaitingRevocation};
pub use rotation::RotationReport;
pub use scheduled_backup::{BackupStatus, backup_name, backup_status};
pub use users::{RemovedCredential, UserRemoval};
