//! Use cases of the vault file: create, open, status, verify, repair, back up, restore, and its keys.

mod backup;
mod create;
mod exposure;
mod key_file;
mod master_key;
mod open;
pub(super) mod passphrase;
mod rekey;
mod repair;
mod restore;
mod rotation;
mod slots;
mod status;

pub use create::NewVault;
pub use exposure::Exposure;
pub use key_file::NewMasterKey;
pub use master_key::{UnlockError, master_key};
pub use open::is_served;
pub use passphrase::ShortPassphrase;
pub use rekey::{RekeyPlan, RekeyRequest, Rekeyed};
pub use restore::Restored;
pub use rotation::RotationReport;
pub use status::VaultReport;
