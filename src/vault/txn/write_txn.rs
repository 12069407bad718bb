//! One change to the vault, as one job of the writer: the rows that it writes, its audit rows, and
//! the manifest.
//!
//! The manifest is loaded once per SQLite transaction and handed from job to job; the last job
//! seals and writes it (`manifest.rs`). If a job fails, its changes to the manifest are rolled back
//! together with its rows.

use super::audit_context::{Actor, AuditContext};
use super::audit_row::{self, Action, Subject};
use super::manifest::Manifest;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::Tx;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;

/// A running change. If it adds, removes and records nothing, nothing is written.
pub(crate) struct WriteTxn<'t> {
    pub(crate) tx: &'t Tx<'t>,
    pub(crate) keyring: &'t Keyring,
    pub(crate) now: UnixTime,
    pub(crate) random: Random,
    who: &'t AuditContext,
    manifest: Manifest,
    changed: bool,
    /// Revisions of a credential's metadata and secret that were written since the last audit row.
    written: (Option<i64>, Option<i64>),
}

impl<'t> WriteTxn<'t> {
    /// Takes the manifest from the job before, or loads it and checks its seal.
    pub(crate) fn open(
        tx: &'t Tx<'t>,
        keyring: &'t Keyring,
        who: &'t AuditContext,
        now: UnixTime,
        random: Random,
    ) -> Result<Self, VaultError> {
        let manifest = Manifest::find(tx, keyring)?;
        Ok(Self { tx, keyring, now, random, who, manifest, changed: false, written: (None, None) })
    }

    /// Seals encoded fields under the current data key, bound to `aad`.
    pub(crate) fn seal(&self, aad: &RecordAad<'_>, fields: &[u8]) -> Result<Vec<u8>, VaultError> {
        record::seal(self.keyring, aad, fields, self.random)
    }

    /// Returns the actor of the change.
    pub(crate) fn actor(&self) -> &Actor {
        &self.who.actor
    }

    /// Counts a record that was written.
    pub(crate) fn added(&mut self, aad: &RecordAad<'_>, sealed: &[u8]) -> Result<(), VaultError> {
        self.manifest.records.add(&record::item(self.keyring, aad, sealed)?);
        self.changed = true;
        match aad.table {
            "credential" => self.written.0 = Some(aad.revision),
            "credential_secret" => self.written.1 = Some(aad.revision),
            _ => {}
        }
        Ok(())
    }

    /// Takes a record out of the count that was deleted or is about to be replaced.
    pub(crate) fn removed(&mut self, aad: &RecordAad<'_>, sealed: &[u8]) -> Result<(), VaultError> {
        self.manifest.records.remove(&record::item(self.keyring, aad, sealed)?);
        self.changed = true;
        Ok(())
    }

    /// The manifest, as far as it was changed.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest, to be changed.
    pub(crate) fn manifest_mut(&mut self) -> &mut Manifest {
        self.changed = true;
        &mut self.manifest
    }

    /// Appends an audit row. The row of a written credential names the revisions: a later
    /// verification compares them with the rows, and detects an older credential that was put back.
    pub(crate) fn record(&mut self, action: Action, mut subject: Subject<'_>) -> Result<(), VaultError> {
        self.changed = true;
        if let (Some(metadata), secret) = std::mem::take(&mut self.written)
            && subject.credential.is_some()
        {
            subject.revisions = Some((metadata, secret));
        }
        audit_row::append(self.tx, self.keyring, &mut self.manifest, self.now, action, subject, self.who)
    }

    /// Returns true if there is something to write.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Leaves the manifest to be written at the end of the transaction. Returns the new epoch; `None`
    /// if nothing was changed.
    pub(crate) fn close(self) -> Option<i64> {
        let keyring = self.keyring;
        self.close_under(keyring)
    }

    /// Closes after a change of the keyring: the manifest is the first record under the new one.
    pub(crate) fn close_under(mut self, keyring: &Keyring) -> Option<i64> {
        if !self.changed {
            return None;
        }
        self.manifest.epoch += 1;
        self.manifest.leave(self.tx, keyring, self.random);
        Some(self.manifest.epoch)
    }
}
