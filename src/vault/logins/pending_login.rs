//! A login that was begun and not yet completed, found again by its state token alone, once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::jose::SigningKey;
use crate::secret::Secret;
use crate::store::{PendingRow, WritePriority};
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, Key};
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::open::Vault;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::write_txn::Ledger;

/// Rows erased in one transaction at most, so that cleaning up never keeps a request waiting for long.
const BATCH: u32 = 500;

/// A user's newest begun logins, which are kept whatever comes; older ones go, so that a key that may begin them cannot fill the
/// vault.
const MOST: u32 = 1_000;

/// How many more there can be until the older ones go, all at once: to find them is to look at every one that is there.
const MORE: u32 = 250;

/// Users of whom it is remembered how many logins they may begin until that look.
const USERS: usize = 4_096;

/// How many logins each user may begin until it is looked at how many there are. Nobody is in it at the start, and other
/// processes begin few.
#[derive(Default)]
pub(in crate::vault) struct Room(Mutex<HashMap<UserId, u32>>);

impl Room {
    /// Takes a place; `false` where none is known of.
    fn take(&self, user: &UserId) -> bool {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = room.get_mut(user).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }

    fn is(&self, user: &UserId, left: u32) {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if room.len() >= USERS {
            room.clear();
        }
        room.insert(user.clone(), left);
    }
}

/// How often a login can be written anew before its revision reaches that of the next one: a poll of a device writes it twice,
/// and none lives for longer than a day.
const WRITINGS: i64 = 1 << 20;

/// Tags of the fields in a sealed login; one that was ever used is not given another meaning.
mod tag {
    pub(super) const FLOW: u8 = 1;
    pub(super) const API_KEY_ID: u8 = 2;
    pub(super) const CLIENT_ID: u8 = 3;
    pub(super) const REDIRECT_URI: u8 = 4;
    pub(super) const CODE_VERIFIER: u8 = 5;
    pub(super) const SCOPES: u8 = 6;
    pub(super) const STATE_METADATA: u8 = 7;
    pub(super) const ISSUER: u8 = 8;
    pub(super) const RECONNECT: u8 = 9;
    pub(super) const INPUTS: u8 = 10;
    pub(super) const ANY_ACCOUNT: u8 = 11;
    pub(super) const FURTHER_SCOPES: u8 = 12;
    pub(super) const DEVICE_CODE: u8 = 20;
    pub(super) const POLL_INTERVAL: u8 = 21;
    pub(super) const NEXT_POLL_AT: u8 = 22;
    pub(super) const DPOP_KEY: u8 = 23;
}

/// What has to be remembered between the start of a login and its callback.
#[derive(Clone)]
pub struct PendingAuthorization {
    /// Who began.
    pub user: UserId,
    /// At which provider.
    pub provider: ProviderName,
    /// Through which door.
    pub flow: LoginFlow,
    /// The API key with which it was begun.
    pub api_key_id: Option<ApiKeyId>,
    /// The OAuth client in use.
    pub client_id: String,
    /// What the provider calls back.
    pub redirect_uri: String,
    /// The code verifier (RFC 7636), where the provider takes one.
    pub code_verifier: Option<Secret>,
    /// The key that the tokens will be bound to (RFC 9449), where they will be.
    pub dpop_key: Option<Arc<SigningKey>>,
    /// What was asked for.
    pub scopes: Vec<String>,
    /// The same for further tokens, by the names that the entry has for them.
    pub further_scopes: BTreeMap<String, Vec<String>>,
    /// The values that the provider's URLs were made with.
    pub inputs: BTreeMap<String, String>,
    /// What the application wants back with the answer.
    pub state_metadata: serde_json::Map<String, serde_json::Value>,
    /// The authorization server's issuer, where it is known (RFC 9207).
    pub issuer: Option<String>,
    /// The credential to connect again, instead of making a new one.
    pub reconnect: Option<CredentialId>,
    /// Whether that one may become a credential of another account.
    pub any_account: bool,
    /// What a login on another device is asked for with (RFC 8628); such a login has no redirect URI.
    pub device: Option<DevicePolling>,
    /// When it was begun.
    pub created_at: UnixTime,
    /// From when on it cannot be completed.
    pub expires_at: UnixTime,
}

/// Through which door a login was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFlow {
    /// The application takes the callback and completes.
    External,
    /// Strongroom's own connect page or command takes it.
    Connect,
    /// Nothing is called back: the provider is asked until the user has decided on another device (RFC 8628).
    Device,
}

impl LoginFlow {
    fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Connect => "connect",
            Self::Device => "device",
        }
    }
}

/// How the provider is asked about a login on another device.
#[derive(Clone)]
pub struct DevicePolling {
    /// The device code.
    pub code: Secret,
    /// How long to wait between two polls, as the provider has it now.
    pub interval: Duration,
    /// Not before this, in milliseconds since 1970: a pause is a few seconds, so whole ones would be too coarse.
    pub next_poll_at: i64,
}

impl Vault {
    /// Remembers a begun login under a keyed hash of its state token; the token itself is not kept. Of each user the newest
    /// thousand are kept.
    pub async fn put_pending(
        &self,
        state: &str,
        pending: PendingAuthorization,
        who: &AuditContext,
    ) -> Result<(), VaultError> {
        let (state, room) = (Secret::new(state), self.inner.room_for_logins.clone());
        self.change(who, move |ledger| {
            if !room.take(&pending.user) {
                let there = remove_oldest(ledger, pending.user.as_str())?;
                room.is(&pending.user, (MOST + MORE).saturating_sub(there + 1));
            }
            let data_key = ledger.keyring.current_data_key().version;
            let mut row = PendingRow {
                state_hash: state_hash(&ledger.keyring.root().index, ledger.keyring, pending.flow, state.expose()),
                user: pending.user.to_string(),
                provider: pending.provider.to_string(),
                created_at: pending.created_at.0,
                expires_at: pending.expires_at.0,
                revision: first_revision(ledger.audit_rows()),
                data_key,
                sealed: Vec::new(),
            };
            let id = hex::write(&row.state_hash);
            row.sealed = ledger.seal(&place(&row, &id), &pending.write())?;
            ledger.tx.insert_pending(&row)?;
            ledger.added(&place(&row, &id), &row.sealed)?;
            let (user, provider) = (Some(&pending.user), Some(&pending.provider));
            ledger.record(Action::LoginBegin, Subject { user, provider, ..Subject::default() })
        })
        .await
    }

    /// Takes a begun login out: once, for its own user and provider, and before it expires. In every other case it
    /// is `None`, and the login stays as it is.
    pub async fn take_pending(
        &self,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &AuditContext,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        self.take(LoginFlow::External, state, user, provider, who).await
    }

    /// The same for a login on another device, whose tokens are of another kind than states.
    pub async fn take_device(
        &self,
        token: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &AuditContext,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        self.take(LoginFlow::Device, token, user, provider, who).await
    }

    async fn take(
        &self,
        flow: LoginFlow,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &AuditContext,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        let (state, user, provider) = (Secret::new(state), user.clone(), provider.clone());
        // A code is not to be spent where what it brings could not be stored; the tokens of a device are here already.
        let priority = if flow == LoginFlow::Device { WritePriority::Critical } else { WritePriority::Normal };
        self.change_worth(priority, who, move |ledger| {
            for key in ledger.keyring.index_keys() {
                let hash = state_hash(key, ledger.keyring, flow, state.expose());
                let taken = ledger.tx.take_pending(&hash, user.as_str(), provider.as_str(), ledger.now.0)?;
                let Some(row) = taken else { continue };
                let id = hex::write(&row.state_hash);
                let bytes = record::open(ledger.keyring, &place(&row, &id), row.data_key, &row.sealed)?;
                let pending =
                    PendingAuthorization::read(&row, &user, &provider, &bytes).ok_or_else(|| damaged(&row))?;
                ledger.removed(&place(&row, &id), &row.sealed)?;
                let subject = Subject { user: Some(&user), provider: Some(&provider), ..Subject::default() };
                ledger.record(Action::LoginTake, subject)?;
                return Ok(Some(pending));
            }
            Ok(None)
        })
        .await
    }

    /// Erases the logins that expired by `now`, and says how many. One that does not open stays, for a verification to name: what
    /// it counted for is not known, and it keeps no other from being erased.
    pub async fn purge_pending(&self, now: UnixTime) -> Result<u64, VaultError> {
        let (who, mut purged, mut after) = (AuditContext::system(), 0, None::<String>);
        loop {
            let from = after.take();
            let batch = self.change(&who, move |ledger| {
                let rows = ledger.tx.expired_pending(now.0, from.as_deref(), BATCH)?;
                let last = rows.iter().rev().find_map(|(hash, _)| hash.clone());
                let next = last.filter(|_| rows.len() >= BATCH as usize);
                let mut count = 0;
                for row in rows.iter().filter_map(|(_, row)| row.as_ref().ok()) {
                    let id = hex::write(&row.state_hash);
                    let place = place(row, &id);
                    if record::open(ledger.keyring, &place, row.data_key, &row.sealed).is_ok() {
                        ledger.removed(&place, &row.sealed)?;
                        ledger.tx.delete_pending(&row.state_hash)?;
                        count += 1;
                    }
                }
                Ok((count, next))
            });
            let (count, next) = batch.await?;
            purged += count;
            match next {
                None => return Ok(purged),
                next => after = next,
            }
        }
    }
}

/// That a login opens.
pub(in crate::vault) fn check(keyring: &Keyring, row: &PendingRow) -> Result<(), VaultError> {
    let bytes = record::open(keyring, &place(row, &hex::write(&row.state_hash)), row.data_key, &row.sealed)?;
    let of = (|| Some((row.user.parse().ok()?, row.provider.parse().ok()?)))();
    let read = of.and_then(|(user, provider)| PendingAuthorization::read(row, &user, &provider, &bytes));
    read.map(|_| ()).ok_or_else(|| damaged(row))
}

/// Erases what a user began before its newest logins, and says how many are left.
fn remove_oldest(ledger: &mut Ledger<'_>, user: &str) -> Result<u32, VaultError> {
    for old in ledger.tx.take_pending_beyond(user, MOST - 1, BATCH)? {
        ledger.removed(&place(&old, &hex::write(&old.state_hash)), &old.sealed)?;
    }
    Ok(ledger.tx.count_pending_of(user)?)
}

/// The revision of a login that is begun after so many audit rows. Times are whole seconds: which of two logins of one second is
/// the newer, their revisions say.
fn first_revision(audit_rows: u64) -> i64 {
    i64::try_from(audit_rows).unwrap_or(i64::MAX).min(i64::MAX / WRITINGS - 1) * WRITINGS
}

/// Erases all begun logins: what they are found by is not known any more.
pub(in crate::vault) fn remove_all(ledger: &mut Ledger<'_>) -> Result<(), VaultError> {
    let rows = ledger.tx.take_all_pending()?;
    rows.iter().try_for_each(|row| ledger.removed(&place(row, &hex::write(&row.state_hash)), &row.sealed))
}

/// Erases all logins that a user began.
pub(in crate::vault) fn remove_of(ledger: &mut Ledger<'_>, user: &str) -> Result<(), VaultError> {
    let rows = ledger.tx.take_pending_of(user)?;
    rows.iter().try_for_each(|row| ledger.removed(&place(row, &hex::write(&row.state_hash)), &row.sealed))
}

impl PendingAuthorization {
    pub(in crate::vault) fn write(&self) -> Zeroizing<Vec<u8>> {
        let device = self.device.as_ref();
        let further_scopes =
            (!self.further_scopes.is_empty()).then(|| serde_json::json!(self.further_scopes).to_string());
        FieldWriter::new()
            .text(tag::FLOW, self.flow.name())
            .optional(tag::API_KEY_ID, self.api_key_id.map(|id| id.to_string()).as_deref())
            .text(tag::CLIENT_ID, &self.client_id)
            .text(tag::REDIRECT_URI, &self.redirect_uri)
            .optional(tag::CODE_VERIFIER, self.code_verifier.as_ref().map(Secret::expose))
            .optional_bytes(tag::DPOP_KEY, self.dpop_key.as_ref().map(|key| key.pkcs8()))
            .list(tag::SCOPES, self.scopes.iter().map(String::as_str))
            .optional(tag::FURTHER_SCOPES, further_scopes.as_deref())
            .text(tag::STATE_METADATA, &Zeroizing::new(serde_json::json!(self.state_metadata).to_string()))
            .optional(tag::ISSUER, self.issuer.as_deref())
            .text(tag::INPUTS, &serde_json::json!(self.inputs).to_string())
            .optional(tag::RECONNECT, self.reconnect.map(|id| id.to_string()).as_deref())
            .int(tag::ANY_ACCOUNT, self.any_account.then_some(1))
            .optional(tag::DEVICE_CODE, device.map(|device| device.code.expose()))
            .int(tag::POLL_INTERVAL, device.map(|device| i64::try_from(device.interval.as_secs()).unwrap_or(i64::MAX)))
            .int(tag::NEXT_POLL_AT, device.map(|device| device.next_poll_at))
            .finish()
    }

    pub(in crate::vault) fn read(
        row: &PendingRow,
        user: &UserId,
        provider: &ProviderName,
        bytes: &[u8],
    ) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        let api_key_id = fields.text(tag::API_KEY_ID).map(str::parse).transpose().ok()?;
        let reconnect = fields.text(tag::RECONNECT).map(str::parse).transpose().ok()?;
        Some(Self {
            user: user.clone(),
            provider: provider.clone(),
            flow: [LoginFlow::External, LoginFlow::Connect, LoginFlow::Device]
                .into_iter()
                .find(|flow| Some(flow.name()) == fields.text(tag::FLOW))?,
            api_key_id,
            client_id: fields.owned(tag::CLIENT_ID)?,
            redirect_uri: fields.owned(tag::REDIRECT_URI)?,
            code_verifier: fields.text(tag::CODE_VERIFIER).map(Secret::new),
            dpop_key: fields.key(tag::DPOP_KEY)?,
            scopes: fields.list(tag::SCOPES)?.into_iter().map(str::to_owned).collect(),
            further_scopes: match fields.text(tag::FURTHER_SCOPES) {
                Some(text) => serde_json::from_str(text).ok()?,
                None => BTreeMap::new(),
            },
            // A login of before there were inputs has none.
            inputs: fields.text(tag::INPUTS).map_or(Some(BTreeMap::new()), |text| serde_json::from_str(text).ok())?,
            state_metadata: serde_json::from_str(fields.text(tag::STATE_METADATA)?).ok()?,
            issuer: fields.owned(tag::ISSUER),
            reconnect,
            any_account: fields.int(tag::ANY_ACCOUNT).is_some(),
            device: match fields.text(tag::DEVICE_CODE) {
                Some(code) => Some(DevicePolling {
                    code: Secret::new(code),
                    interval: Duration::from_secs(fields.int(tag::POLL_INTERVAL)?.unsigned_abs()),
                    next_poll_at: fields.int(tag::NEXT_POLL_AT)?,
                }),
                None => None,
            },
            created_at: UnixTime(row.created_at),
            expires_at: UnixTime(row.expires_at),
        })
    }
}

/// What a login is found by. Those of the two kinds cannot be found by each other's tokens.
pub(in crate::vault) fn state_hash(key: &Key, keyring: &Keyring, flow: LoginFlow, state: &str) -> [u8; 32] {
    let kind: &[u8] = match flow {
        LoginFlow::External | LoginFlow::Connect => b"strongroom state 1",
        LoginFlow::Device => b"strongroom device 1",
    };
    keys::mac(key, [kind, keyring.vault_id(), state.as_bytes()])
}

pub(in crate::vault) fn place<'a>(row: &'a PendingRow, id: &'a str) -> RecordAad<'a> {
    RecordAad {
        table: "pending_authorization",
        column: "sealed",
        row: id,
        revision: row.revision,
        provider: &row.provider,
        user: &row.user,
        expiry: Some(row.expires_at),
        more: std::slice::from_ref(&row.created_at),
        ..RecordAad::default()
    }
}

pub(in crate::vault) fn damaged(row: &PendingRow) -> VaultError {
    let id = hex::write(&row.state_hash);
    VaultError::DamagedRow { table: "pending_authorization", id, what: "it cannot be understood" }
}
