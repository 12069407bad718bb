//! Administration: users, API keys, audit log, the revocation queue, and the work that a server does by
//! the clock.

mod api_keys;
mod approvals;
mod audit;
mod explain_grants;
mod free_disk;
mod grants;
mod housekeeping;
mod registrations;
mod revocations;
pub(in crate::broker) mod scheduled_backup;
mod scheduled_verification;
mod users;

pub use api_keys::UselessLimit;
pub use approvals::{ApprovalList, ApprovalState, ApprovalView};
pub use explain_grants::{ExplainRequest, ExplainedMethod, ExplainedUrl, GrantExplanation};
pub use free_disk::FreeDisk;
pub use grants::{EffectName, GrantFilter, GrantList, GrantView};
pub use revocations::{RevocationList, WaitingRevocation};
pub use scheduled_backup::{BackupStatus, backup_name, backup_status};
