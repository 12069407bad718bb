//! Credentials: two sealed records each, of which lists open the summary alone.

use super::VaultError;
use super::audit::{Action, Subject};
use super::fields::{FieldWriter, Fields};
use super::host_pattern::HostPattern;
use super::keyring::Keyring;
use super::ledger::Ledger;
use super::material::Material;
use super::open::Vault;
use super::record::{self, Place};
use super::summary::{NewCredential, Page, Status, Summary};
use super::users;
use super::who::Who;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;
use crate::store::{CredentialRow, SecretRow};

/// Tags of the fields in a sealed summary; one that was ever used is not given another meaning.
mod tag {
    pub(super) const TITLE: u8 = 1;
    pub(super) const SCOPES: u8 = 2;
    pub(super) const USERNAME: u8 = 3;
    pub(super) const HOST: u8 = 4;
    pub(super) const ACCOUNT: u8 = 5;
    pub(super) const CLIENT_ID: u8 = 6;
}

impl Vault {
    /// Stores a credential; the user comes into being with the first.
    pub async fn insert_credential(&self, new: NewCredential, who: &Who) -> Result<Summary, VaultError> {
        let id = self.inner.ids.credential();
        self.change(who, move |ledger| {
            users::ensure(ledger, &new.user)?;
            let summary = summary_of(id, &new, ledger.now, ledger.now);
            let (row, secret) = seal_both(ledger, &summary, &new.material, (1, 1))?;
            ledger.tx.insert_credential(&row, &secret)?;
            ledger.added(&summary_place(&row, &more(&row)), &row.summary)?;
            ledger.added(&secret_place(&row, summary.host.as_ref()), &secret.secret)?;
            ledger.record(Action::CredentialCreate, subject(&summary))?;
            Ok(summary)
        })
        .await
    }

    /// Gives a credential a new secret with all that goes with it, and makes it active again; `None` where the user
    /// has none of that id, provider and kind.
    pub async fn replace_credential(
        &self,
        id: &CredentialId,
        new: NewCredential,
        who: &Who,
    ) -> Result<Option<Summary>, VaultError> {
        let id = *id;
        self.change(who, move |ledger| {
            let Some(old) = ledger.tx.credential(new.user.as_str(), &id.to_string())? else { return Ok(None) };
            if old.provider != new.provider.as_str() || old.kind != new.material.kind().name() {
                return Ok(None);
            }
            let before = open_summary(ledger.keyring, &old)?;
            let old_secret = secret_of(ledger, &old)?;
            let mut summary = summary_of(id, &new, before.created_at, ledger.now);
            summary.last_used_at = before.last_used_at;
            let revisions = (old.revision + 1, old.secret_revision + 1);
            let (row, secret) = seal_both(ledger, &summary, &new.material, revisions)?;
            ledger.removed(&summary_place(&old, &more(&old)), &old.summary)?;
            ledger.removed(&secret_place(&old, before.host.as_ref()), &old_secret.secret)?;
            ledger.tx.update_credential(&row)?;
            ledger.tx.update_secret(&row.user, &row.id, &secret)?;
            ledger.added(&summary_place(&row, &more(&row)), &row.summary)?;
            ledger.added(&secret_place(&row, summary.host.as_ref()), &secret.secret)?;
            ledger.record(Action::CredentialReplace, subject(&summary))?;
            Ok(Some(summary))
        })
        .await
    }

    /// Gives a credential a new title; the secret is not touched.
    pub async fn retitle_credential(
        &self,
        user: &UserId,
        id: &CredentialId,
        title: &str,
        who: &Who,
    ) -> Result<Option<Summary>, VaultError> {
        let (user, id, title) = (user.clone(), *id, title.to_owned());
        self.change(who, move |ledger| {
            let Some(old) = ledger.tx.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
            let mut summary = open_summary(ledger.keyring, &old)?;
            summary.title.clone_from(&title);
            summary.updated_at = ledger.now;
            let mut row = CredentialRow { updated_at: ledger.now.0, revision: old.revision + 1, ..old.clone() };
            row.summary = ledger.seal(&summary_place(&row, &more(&row)), &write_summary(&summary))?;
            ledger.removed(&summary_place(&old, &more(&old)), &old.summary)?;
            ledger.tx.update_credential(&row)?;
            ledger.added(&summary_place(&row, &more(&row)), &row.summary)?;
            ledger.record(Action::CredentialRetitle, subject(&summary))?;
            Ok(Some(summary))
        })
        .await
    }

    /// One credential of a user, without its secret.
    pub fn credential(&self, user: &UserId, id: &CredentialId) -> Result<Option<Summary>, VaultError> {
        self.look(|view, keyring| {
            let row = view.credential(user.as_str(), &id.to_string())?;
            row.map(|row| open_summary(keyring, &row)).transpose()
        })
    }

    /// A user's credentials without their secrets, oldest first.
    pub fn list(&self, user: &UserId, provider: Option<&ProviderName>, page: Page) -> Result<Vec<Summary>, VaultError> {
        let after = page.after.map_or_else(String::new, |id| id.to_string());
        self.look(|view, keyring| {
            let rows = view.credentials(user.as_str(), provider.map(ProviderName::as_str), &after, page.limit)?;
            rows.iter().map(|row| open_summary(keyring, row)).collect()
        })
    }

    /// A credential with its secret. That it was read is in the audit log, on disk, before this returns.
    pub async fn material(
        &self,
        user: &UserId,
        id: &CredentialId,
        who: &Who,
    ) -> Result<Option<(Summary, Material)>, VaultError> {
        let (user, id) = (user.clone(), *id);
        self.change(who, move |ledger| {
            let Some(row) = ledger.tx.credential(user.as_str(), &id.to_string())? else { return Ok(None) };
            let mut summary = open_summary(ledger.keyring, &row)?;
            let material = open_secret(ledger, &row, &summary)?;
            summary.last_used_at = Some(ledger.now);
            ledger.tx.touch_credential(&row.user, &row.id, ledger.now.0)?;
            ledger.record(Action::CredentialRead, subject(&summary))?;
            Ok(Some((summary, material)))
        })
        .await
    }
}

/// What an audit row says about a credential.
pub(super) fn subject(summary: &Summary) -> Subject<'_> {
    Subject {
        user: Some(&summary.user),
        provider: Some(&summary.provider),
        credential: Some(&summary.id),
        ..Subject::default()
    }
}

/// Opens a summary in its place.
pub(super) fn open_summary(keyring: &Keyring, row: &CredentialRow) -> Result<Summary, VaultError> {
    let bytes = record::open(keyring, &summary_place(row, &more(row)), row.data_key, &row.summary)?;
    read_summary(row, &bytes).ok_or_else(|| damaged("credential", row, "the summary cannot be understood"))
}

/// Reads and opens the secret that belongs to a summary.
pub(super) fn open_secret(ledger: &Ledger<'_>, row: &CredentialRow, summary: &Summary) -> Result<Material, VaultError> {
    let secret = secret_of(ledger, row)?;
    let place = secret_place(row, summary.host.as_ref());
    let bytes = record::open(ledger.keyring, &place, secret.data_key, &secret.secret)?;
    Material::read(summary.kind, summary.host.as_ref(), &bytes)
        .ok_or_else(|| damaged("credential_secret", row, "the secret cannot be understood"))
}

/// Erases both records of a credential.
pub(super) fn erase(
    ledger: &mut Ledger<'_>,
    row: &CredentialRow,
    host: Option<&HostPattern>,
) -> Result<(), VaultError> {
    let secret = secret_of(ledger, row)?;
    ledger.removed(&summary_place(row, &more(row)), &row.summary)?;
    ledger.removed(&secret_place(row, host), &secret.secret)?;
    ledger.tx.delete_credential(&row.user, &row.id)?;
    Ok(())
}

/// The secret's row, which has to be of the revision that the summary names: an older one was put back.
fn secret_of(ledger: &Ledger<'_>, row: &CredentialRow) -> Result<SecretRow, VaultError> {
    let secret = ledger.tx.secret(&row.user, &row.id)?;
    let secret = secret.ok_or_else(|| damaged("credential_secret", row, "the secret is missing"))?;
    if secret.revision == row.secret_revision {
        Ok(secret)
    } else {
        Err(damaged("credential_secret", row, "the secret is of another revision than the summary"))
    }
}

fn summary_of(id: CredentialId, new: &NewCredential, created_at: UnixTime, updated_at: UnixTime) -> Summary {
    let host = if let Material::HostScoped { host, .. } = &new.material { Some(host.clone()) } else { None };
    Summary {
        id,
        user: new.user.clone(),
        provider: new.provider.clone(),
        kind: new.material.kind(),
        title: new.title.clone(),
        scopes: new.scopes.clone(),
        username: new.username.clone(),
        host,
        account: new.account.clone(),
        client_id: new.client_id.clone(),
        created_at,
        updated_at,
        expires_at: new.expires_at,
        last_used_at: None,
        status: Status::Active,
    }
}

/// Seals summary and secret with the revisions given (summary's, secret's).
fn seal_both(
    ledger: &Ledger<'_>,
    summary: &Summary,
    material: &Material,
    (revision, secret_revision): (i64, i64),
) -> Result<(CredentialRow, SecretRow), VaultError> {
    let data_key = ledger.keyring.current_data_key().version;
    let mut row = CredentialRow {
        user: summary.user.to_string(),
        id: summary.id.to_string(),
        provider: summary.provider.to_string(),
        kind: summary.kind.name().to_owned(),
        status: summary.status.name().to_owned(),
        in_doubt: None,
        created_at: summary.created_at.0,
        updated_at: summary.updated_at.0,
        expires_at: summary.expires_at.map(|at| at.0),
        last_used_at: summary.last_used_at.map(|at| at.0),
        revision,
        secret_revision,
        data_key,
        summary: Vec::new(),
    };
    row.summary = ledger.seal(&summary_place(&row, &more(&row)), &write_summary(summary))?;
    let secret = ledger.seal(&secret_place(&row, summary.host.as_ref()), &material.write())?;
    Ok((row, SecretRow { revision: secret_revision, data_key, secret }))
}

fn write_summary(summary: &Summary) -> zeroize::Zeroizing<Vec<u8>> {
    let mut fields = FieldWriter::new().text(tag::TITLE, &summary.title);
    if let Some(scopes) = &summary.scopes {
        fields = fields.list(tag::SCOPES, scopes.iter().map(String::as_str));
    }
    fields
        .optional(tag::USERNAME, summary.username.as_deref())
        .optional(tag::HOST, summary.host.as_ref().map(HostPattern::as_given))
        .optional(tag::ACCOUNT, summary.account.as_deref())
        .optional(tag::CLIENT_ID, summary.client_id.as_deref())
        .finish()
}

fn read_summary(row: &CredentialRow, bytes: &[u8]) -> Option<Summary> {
    let fields = Fields::read(bytes)?;
    let host = match fields.text(tag::HOST) {
        Some(given) => Some(given.parse().ok()?),
        None => None,
    };
    Some(Summary {
        id: row.id.parse().ok()?,
        user: row.user.parse().ok()?,
        provider: row.provider.parse().ok()?,
        kind: row.kind.parse::<Kind>().ok()?,
        title: fields.owned(tag::TITLE)?,
        scopes: fields.list(tag::SCOPES).map(|scopes| scopes.into_iter().map(str::to_owned).collect()),
        username: fields.owned(tag::USERNAME),
        host,
        account: fields.owned(tag::ACCOUNT),
        client_id: fields.owned(tag::CLIENT_ID),
        created_at: UnixTime(row.created_at),
        updated_at: UnixTime(row.updated_at),
        expires_at: row.expires_at.map(UnixTime),
        last_used_at: row.last_used_at.map(UnixTime),
        status: Status::from_name(&row.status)?,
    })
}

/// What a summary is bound to beside the usual: its times, and which revision of the secret it goes with.
fn more(row: &CredentialRow) -> [i64; 3] {
    [row.created_at, row.updated_at, row.secret_revision]
}

fn summary_place<'a>(row: &'a CredentialRow, more: &'a [i64; 3]) -> Place<'a> {
    Place {
        table: "credential",
        column: "summary",
        row: &row.id,
        revision: row.revision,
        kind: &row.kind,
        provider: &row.provider,
        user: &row.user,
        status: &row.status,
        in_doubt: row.in_doubt,
        expiry: row.expires_at,
        host: None,
        more,
    }
}

fn secret_place<'a>(row: &'a CredentialRow, host: Option<&'a HostPattern>) -> Place<'a> {
    Place {
        table: "credential_secret",
        column: "secret",
        revision: row.secret_revision,
        host,
        more: &[],
        ..summary_place(row, &[0; 3])
    }
}

fn damaged(table: &'static str, row: &CredentialRow, what: &'static str) -> VaultError {
    VaultError::DamagedRow { table, id: row.id.clone(), what }
}
