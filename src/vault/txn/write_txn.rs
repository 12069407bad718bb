//! One change to the vault, by one job of the writer: what it adds, removes and records, and the manifest that says so.
//!
//! The manifest is found, changed and left to the next job of the transaction here; with the last it is sealed and written
//! (`manifest.rs`). What a job that fails changed of it is undone with its rows, and no copy outlives the transaction.

use super::audit_context::AuditContext;
use super::audit_row::{self, Action, Subject};
use super::manifest::{Manifest, RestoreMark, Tally};
use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::Tx;
use crate::vault::api_keys::api_key_cache;
use crate::vault::audit::prune;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::integrity::verify::{self, Verification};

/// A change that is under way. One that adds, removes or records nothing writes nothing.
pub(in crate::vault) struct Ledger<'t> {
    pub(in crate::vault) tx: &'t Tx<'t>,
    pub(in crate::vault) keyring: &'t Keyring,
    pub(in crate::vault) now: UnixTime,
    pub(in crate::vault) random: Random,
    who: &'t AuditContext,
    manifest: Manifest,
    changed: bool,
    /// Revisions of a credential's summary and secret that were written since the last audit row.
    written: (Option<i64>, Option<i64>),
}

impl<'t> Ledger<'t> {
    /// Finds the manifest; where no job of the transaction did before, its seal is checked.
    pub(in crate::vault) fn open(
        tx: &'t Tx<'t>,
        keyring: &'t Keyring,
        who: &'t AuditContext,
        now: UnixTime,
        random: Random,
    ) -> Result<Self, VaultError> {
        let manifest = Manifest::find(tx, keyring)?;
        Ok(Self { tx, keyring, now, random, who, manifest, changed: false, written: (None, None) })
    }

    /// Seals fields for their place under the current data key.
    pub(in crate::vault) fn seal(&self, place: &RecordAad<'_>, fields: &[u8]) -> Result<Vec<u8>, VaultError> {
        record::seal(self.keyring, place, fields, self.random)
    }

    /// Counts a record that is now there.
    pub(in crate::vault) fn added(&mut self, place: &RecordAad<'_>, sealed: &[u8]) -> Result<(), VaultError> {
        self.manifest.records.add(&record::item(self.keyring, place, sealed)?);
        self.changed = true;
        match place.table {
            "credential" => self.written.0 = Some(place.revision),
            "credential_secret" => self.written.1 = Some(place.revision),
            _ => {}
        }
        Ok(())
    }

    /// Takes a record that is gone, or about to be replaced, out of the count.
    pub(in crate::vault) fn removed(&mut self, place: &RecordAad<'_>, sealed: &[u8]) -> Result<(), VaultError> {
        self.manifest.records.remove(&record::item(self.keyring, place, sealed)?);
        self.changed = true;
        Ok(())
    }

    /// Whether this is what the manifest counts.
    pub(in crate::vault) fn count_is(&self, counted: Tally) -> bool {
        self.manifest.records == counted
    }

    /// Returns the number of records that the manifest counts.
    pub(in crate::vault) fn records_due(&self) -> u64 {
        self.manifest.records.count
    }

    /// Takes what was counted again for the truth.
    pub(in crate::vault) fn take_count(&mut self, counted: Tally) {
        self.manifest.records = counted;
        self.changed = true;
    }

    /// Names what does not hold of the API keys and of the audit log.
    pub(in crate::vault) fn verify_others(&self, report: &mut Verification) {
        if api_key_cache::recount(self.tx, self.keyring, report) != self.manifest.api_keys {
            report.found("api_key", "*", "they are not those that the manifest knows");
        }
        verify::log(self.tx, self.keyring, &self.manifest, report);
    }

    /// The count of API keys, to be changed.
    pub(in crate::vault) fn api_keys(&mut self) -> &mut Tally {
        self.changed = true;
        &mut self.manifest.api_keys
    }

    /// How many audit rows were ever written: what is counted so goes up with every change that is recorded.
    pub(in crate::vault) fn audit_rows(&self) -> u64 {
        self.manifest.audit_length
    }

    /// How often the vault was restored: tokens that come now are of the time since.
    pub(in crate::vault) fn restores(&self) -> u32 {
        self.manifest.restores
    }

    /// The mark of a restore, to be set or taken away.
    pub(in crate::vault) fn restored(&mut self) -> (&mut u32, &mut Option<RestoreMark>) {
        self.changed = true;
        (&mut self.manifest.restores, &mut self.manifest.restored)
    }

    /// Whether the epoch is known in a file outside, to be changed.
    pub(in crate::vault) fn epoch_file(&mut self) -> &mut bool {
        self.changed = true;
        &mut self.manifest.epoch_file
    }

    /// Writes an audit row. Of a credential that was written it says the revisions: from them it is seen later whether
    /// what is there is what was written last.
    pub(in crate::vault) fn record(&mut self, action: Action, mut subject: Subject<'_>) -> Result<(), VaultError> {
        self.changed = true;
        if let (Some(summary), secret) = std::mem::take(&mut self.written)
            && subject.credential.is_some()
        {
            subject.revisions = Some((summary, secret));
        }
        audit_row::append(self.tx, self.keyring, &mut self.manifest, self.now, action, subject, self.who)
    }

    /// Whether there is something to be written.
    pub(in crate::vault) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Goes on behind an epoch that the vault has never seen: one that was put back is to be older than all that were.
    pub(in crate::vault) fn leap_to(&mut self, epoch: i64) {
        self.manifest.epoch = self.manifest.epoch.max(epoch);
    }

    /// The epoch that [`Ledger::close`] is going to leave, if it leaves one.
    pub(in crate::vault) fn next_epoch(&self) -> Option<i64> {
        self.changed.then(|| self.manifest.epoch + 1)
    }

    /// Removes the audit rows that are older than this from the front, a batch of them at most, and says so in the log.
    pub(in crate::vault) fn prune_audit(&mut self, before: UnixTime) -> Result<u64, VaultError> {
        let Some(rows) = prune::prune(self.tx, self.keyring, &mut self.manifest, before)? else { return Ok(0) };
        self.record(Action::AuditPrune, Subject { rows: Some(rows), ..Subject::default() })?;
        Ok(rows.1 - rows.0 + 1)
    }

    /// Leaves the manifest to be written at the end of the transaction, if something was changed.
    pub(in crate::vault) fn close(self) {
        let keyring = self.keyring;
        self.close_under(keyring);
    }

    /// Closes after a change of the keyring: the manifest is the first record under the new one.
    pub(in crate::vault) fn close_under(mut self, keyring: &Keyring) {
        if self.changed {
            self.manifest.epoch += 1;
            self.manifest.leave(self.tx, keyring, self.random);
        }
    }
}
