//! Administration: the revocation queue, and the work that a server does by the clock.

mod housekeeping;
mod revocations;
mod scheduled_backup;
mod scheduled_verification;

pub use revocations::{RevocationList, WaitingRevocation};
pub use scheduled_backup::{BackupStatus, backup_name, backup_status};
