//! A pending login: its data, and the sealed row that is found by the state token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::jose::SigningKey;
use crate::secret::Secret;
use crate::store::PendingRow;
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, Key};
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::hex;

/// Tags of the fields in a sealed login. A tag is never reused with another meaning.
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

/// The data that is kept between the start of a login and its callback.
#[derive(Clone)]
pub struct PendingAuthorization {
    /// The user.
    pub user: UserId,
    /// The provider.
    pub provider: ProviderName,
    /// The flow.
    pub flow: LoginFlow,
    /// The API key of the request that started it.
    pub api_key_id: Option<ApiKeyId>,
    /// The OAuth client.
    pub client_id: String,
    /// The redirect URI.
    pub redirect_uri: String,
    /// The code verifier (RFC 7636), if the provider supports PKCE.
    pub code_verifier: Option<Secret>,
    /// The key that the tokens will be bound to (RFC 9449), if any.
    pub dpop_key: Option<Arc<SigningKey>>,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// The requested scopes of additional tokens, by the names that the entry gives them.
    pub further_scopes: BTreeMap<String, Vec<String>>,
    /// The inputs from which the provider's URLs were made.
    pub inputs: BTreeMap<String, String>,
    /// Metadata that the application gets back with the answer.
    pub state_metadata: serde_json::Map<String, serde_json::Value>,
    /// The authorization server's issuer, if known (RFC 9207).
    pub issuer: Option<String>,
    /// The credential to reconnect; `None` for a new one.
    pub reconnect: Option<CredentialId>,
    /// True if the reconnected credential may change to another account.
    pub any_account: bool,
    /// The state of a login on another device (RFC 8628), which has no redirect URI.
    pub device: Option<DevicePolling>,
    /// Time of the start.
    pub created_at: UnixTime,
    /// Time from which it cannot be completed.
    pub expires_at: UnixTime,
}

/// The flow of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFlow {
    /// The application receives the callback and completes the login.
    External,
    /// Strongroom's connect page or command receives the callback.
    Connect,
    /// No callback: the provider is polled until the user has decided on another device (RFC
    /// 8628).
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

/// The polling state of a login on another device.
#[derive(Clone)]
pub struct DevicePolling {
    /// The device code.
    pub code: Secret,
    /// The current interval between two polls.
    pub interval: Duration,
    /// Earliest time of the next poll, in milliseconds since 1970: an interval of a few seconds
    /// needs that precision.
    pub next_poll_at: i64,
}

/// Checks that a login opens.
pub(crate) fn check(keyring: &Keyring, row: &PendingRow) -> Result<(), VaultError> {
    let bytes = record::open(keyring, &aad(row, &hex::write(&row.state_hash)), row.data_key, &row.sealed)?;
    let of = (|| Some((row.user.parse().ok()?, row.provider.parse().ok()?)))();
    let read = of.and_then(|(user, provider)| PendingAuthorization::read(row, &user, &provider, &bytes));
    read.map(|_| ()).ok_or_else(|| damaged(row))
}

impl PendingAuthorization {
    pub(crate) fn write(&self) -> Zeroizing<Vec<u8>> {
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

    pub(crate) fn read(row: &PendingRow, user: &UserId, provider: &ProviderName, bytes: &[u8]) -> Option<Self> {
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
            // Logins from before inputs existed have none.
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

/// Hashes a token for the lookup. The two kinds of login have separate tokens.
pub(crate) fn state_hash(key: &Key, keyring: &Keyring, flow: LoginFlow, state: &str) -> [u8; 32] {
    let kind: &[u8] = match flow {
        LoginFlow::External | LoginFlow::Connect => b"strongroom state 1",
        LoginFlow::Device => b"strongroom device 1",
    };
    keys::mac(key, [kind, keyring.vault_id(), state.as_bytes()])
}

pub(crate) fn aad<'a>(row: &'a PendingRow, id: &'a str) -> RecordAad<'a> {
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

pub(crate) fn damaged(row: &PendingRow) -> VaultError {
    let id = hex::write(&row.state_hash);
    VaultError::DamagedRow { table: "pending_authorization", id, what: "it cannot be understood" }
}
