//! Rollback protection: compares the vault's epoch with the epoch file when the vault is opened.

use crate::vault::error::VaultError;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::epoch_file::{EpochFile, Known};
use crate::vault::txn::manifest::Manifest;

/// Compares the vault's epoch with `known`, which was read from the epoch file before the vault was
/// opened, and writes the file. The first time, the vault records that an epoch file exists, so
/// that a missing file is an error later.
///
/// # Errors
/// If the vault is older than the file says, or the file is gone, and `accept` is false.
pub(crate) fn check(
    core: &VaultCore,
    file: &EpochFile,
    known: &Known,
    manifest: &Manifest,
    accept: bool,
) -> Result<(), VaultError> {
    let keyring = core.keyring();
    let (found, path) = (manifest.epoch, || file.path().to_owned());
    let epoch = match file.believe(known, &keyring)? {
        Some(known) if known > found && accept => accept_rollback(core, known)?,
        Some(known) if known > found => {
            return Err(VaultError::Rollback { found, known, epoch_file: path() });
        }
        None if manifest.epoch_file && accept => accept_rollback(core, found)?,
        None if manifest.epoch_file => return Err(VaultError::NoEpochFile(path())),
        _ => found,
    };
    file.write(epoch, &keyring)?;
    if manifest.epoch_file {
        return Ok(());
    }
    // The file comes first: if the process is killed between the two writes, a file that the vault
    // does not know about is harmless, and a vault that misses its file would not open.
    let recorded = core.write_now(|txn| {
        txn.manifest_mut().epoch_file = true;
        Ok(())
    });
    match recorded {
        Ok(epoch) => file.write(epoch, &keyring),
        // The next start records it.
        Err(error) if error.cannot_write() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Continues with an older copy of the vault. Its next epoch is greater than every epoch before, so
/// that the newer copy is rejected from now on.
fn accept_rollback(core: &VaultCore, known: i64) -> Result<i64, VaultError> {
    core.write_now(move |txn| {
        let manifest = txn.manifest_mut();
        manifest.epoch = manifest.epoch.max(known);
        txn.record(Action::VaultRollback, Subject::default())
    })
}
