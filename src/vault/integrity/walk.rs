//! Walk through every sealed record, with its associated data. Rotation seals the records again,
//! and verification opens them. A new table with sealed records is added here for both.

use zeroize::Zeroizing;

use crate::store::{
    ApprovalRow, PendingRow, RegistrationRow, RevocationRow, SigningKeyRow, UserRow, View, WholeCredential,
};
use crate::vault::approvals::approval;
use crate::vault::credentials::credential_record::{metadata_aad, open_summary, secret_aad};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::logins::pending_login;
use crate::vault::revocations::queued_revocation;
use crate::vault::{hex, registrations, signing_keys, users};

/// A table with sealed records. The two records of a credential are visited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealedTable {
    User,
    Credential,
    Pending,
    Revocation,
    Registration,
    SigningKey,
    Approval,
}

/// The tables in the order of the walk.
pub(crate) const TABLES: [SealedTable; 7] = [
    SealedTable::User,
    SealedTable::Credential,
    SealedTable::Pending,
    SealedTable::Revocation,
    SealedTable::Registration,
    SealedTable::SigningKey,
    SealedTable::Approval,
];

/// The row after which a walk continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    user: String,
    row: String,
}

/// One record, and the result of opening it.
pub(crate) struct Visited<'a> {
    pub(crate) place: RecordAad<'a>,
    pub(crate) sealed: &'a [u8],
    pub(crate) opened: Result<Zeroizing<Vec<u8>>, VaultError>,
}

/// A record, or a missing secret.
pub(crate) enum Seen<'a> {
    Record(Box<Visited<'a>>),
    NoSecret { id: &'a str },
}

/// Visits up to `limit` rows of a table, after a cursor or from the first. Rows whose records are
/// all sealed under the data key `but` are skipped. Returns the cursor to continue with; `None` at
/// the end of the table.
pub(crate) fn walk(
    table: SealedTable,
    view: &View<'_>,
    keyring: &Keyring,
    after: Option<&Cursor>,
    (but, limit): (Option<u32>, u32),
    visit: &mut dyn FnMut(Seen<'_>) -> Result<(), VaultError>,
) -> Result<Option<Cursor>, VaultError> {
    let mut walk = Walk { keyring, visit, rows: 0, last: None };
    let after_row = after.map(|after| after.row.as_str());
    match table {
        SealedTable::User => {
            for row in view.sealed_rows::<UserRow>(after_row, but, limit)? {
                walk.record(users::aad(&row), row.data_key, &row.sealed)?;
                walk.row("", &row.id);
            }
        }
        SealedTable::Credential => {
            for whole in view.credentials_after(after.map(|after| (&*after.user, &*after.row)), but, limit)? {
                walk.credential(&whole, but)?;
                walk.row(&whole.row.user, &whole.row.id);
            }
        }
        SealedTable::Pending => {
            for row in view.sealed_rows::<PendingRow>(after_row, but, limit)? {
                let id = hex::write(&row.state_hash);
                walk.record(pending_login::aad(&row, &id), row.data_key, &row.sealed)?;
                walk.row("", &id);
            }
        }
        SealedTable::Revocation => {
            for row in view.sealed_rows::<RevocationRow>(after_row, but, limit)? {
                walk.record(queued_revocation::aad(&row), row.data_key, &row.sealed)?;
                walk.row("", &row.id);
            }
        }
        SealedTable::Registration => {
            for row in view.sealed_rows::<RegistrationRow>(after_row, but, limit)? {
                let id = hex::write(&row.lookup);
                walk.record(registrations::aad(&row, &id), row.data_key, &row.sealed)?;
                walk.row("", &id);
            }
        }
        SealedTable::SigningKey => {
            for row in view.sealed_rows::<SigningKeyRow>(after_row, but, limit)? {
                walk.record(signing_keys::aad(&row), row.data_key, &row.sealed)?;
                walk.row("", &row.id);
            }
        }
        SealedTable::Approval => {
            for row in view.sealed_rows::<ApprovalRow>(after_row, but, limit)? {
                walk.record(approval::aad(&row), row.data_key, &row.sealed)?;
                walk.row("", &row.id);
            }
        }
    }
    Ok(walk.last.filter(|_| walk.rows >= limit))
}

struct Walk<'w> {
    keyring: &'w Keyring,
    visit: &'w mut dyn FnMut(Seen<'_>) -> Result<(), VaultError>,
    rows: u32,
    last: Option<Cursor>,
}

impl Walk<'_> {
    fn row(&mut self, user: &str, row: &str) {
        self.rows += 1;
        self.last = Some(Cursor { user: user.to_owned(), row: row.to_owned() });
    }

    fn record(&mut self, place: RecordAad<'_>, data_key: u32, sealed: &[u8]) -> Result<(), VaultError> {
        let opened = record::open(self.keyring, &place, data_key, sealed);
        (self.visit)(Seen::Record(Box::new(Visited { place, sealed, opened })))
    }

    /// Visits both records of a credential, except one under the data key `but`. If the
    /// metadata does not open, the secret cannot open either, because its host is unknown.
    fn credential(&mut self, whole: &WholeCredential, but: Option<u32>) -> Result<(), VaultError> {
        let row = &whole.row;
        let summary = open_summary(self.keyring, row);
        if Some(row.data_key) != but {
            self.record(metadata_aad(row), row.data_key, &row.summary)?;
        }
        let Some(secret) = &whole.secret else {
            return (self.visit)(Seen::NoSecret { id: &row.id });
        };
        if Some(secret.data_key) == but {
            return Ok(());
        }
        let host = summary.as_ref().ok().and_then(|summary| summary.host.as_ref());
        let place = RecordAad { revision: secret.revision, ..secret_aad(row, host) };
        if secret.revision != row.secret_revision {
            let what = "the secret is of another revision than the summary";
            let opened = Err(VaultError::DamagedRow { table: place.table, id: row.id.clone(), what });
            return (self.visit)(Seen::Record(Box::new(Visited { place, sealed: &secret.secret, opened })));
        }
        self.record(place, secret.data_key, &secret.secret)
    }
}
