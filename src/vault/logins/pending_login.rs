//! A pending login: its data, and the sealed row that is found by the state token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::jose::SigningKey;
use crate::secret::Secret;
use crate::store::PendingRow;
use crate::vault::credentials::metadata::Exportable;
use crate::vault::crypto::fields::{Value as _, as_json, fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::users::LogPosition;

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
    /// The result of the discovery at an MCP server.
    pub discovery: Option<String>,
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
    /// Permission to give the tokens out.
    pub exportable: Exportable,
    /// The state of a login on another device (RFC 8628), which has no redirect URI.
    pub device: Option<DevicePolling>,
    /// End of the audit log at the start. A user that was removed after it gets no credential.
    pub begun_at: Option<LogPosition>,
    /// Time of the start.
    pub created_at: UnixTime,
    /// Time from which it cannot be completed.
    pub expires_at: UnixTime,
}

/// The flow of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginFlow {
    /// The application receives the callback and completes the login.
    External,
    /// Strongroom's connect page or command receives the callback.
    Connect,
    /// No callback: the provider is polled until the user has decided on another device (RFC
    /// 8628).
    Device,
}

as_json!(LoginFlow);

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

fields! {
    PendingAuthorization {
        1 user,
        2 provider,
        3 flow,
        4 api_key_id,
        5 client_id,
        6 redirect_uri,
        7 code_verifier,
        8 dpop_key,
        9 scopes,
        10 further_scopes,
        11 inputs,
        12 state_metadata,
        13 issuer,
        14 reconnect,
        15 any_account,
        16 device,
        17 created_at,
        18 expires_at,
        19 discovery,
        20 begun_at,
        21 exportable,
    }
}

fields! {
    DevicePolling {
        1 code,
        2 interval,
        3 next_poll_at,
    }
}

/// Opens a login.
pub(crate) fn open(keyring: &Keyring, row: &PendingRow) -> Result<PendingAuthorization, VaultError> {
    let bytes = record::open(keyring, &aad(row, &hex::write(&row.state_hash)), row.data_key, &row.sealed)?;
    PendingAuthorization::read(&bytes).ok_or_else(|| damaged(row))
}

/// Hashes a token for the lookup. The two kinds of login have separate tokens.
pub(crate) fn state_hash(keyring: &Keyring, flow: LoginFlow, state: &str) -> [u8; 32] {
    let kind: &[u8] = match flow {
        LoginFlow::External | LoginFlow::Connect => b"strongroom state 1",
        LoginFlow::Device => b"strongroom device 1",
    };
    keys::mac(&keyring.root.index, [kind, &keyring.vault_id, state.as_bytes()])
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
        more: [row.created_at, 0, 0],
        ..RecordAad::default()
    }
}

pub(crate) fn damaged(row: &PendingRow) -> VaultError {
    let id = hex::write(&row.state_hash);
    VaultError::DamagedRow { table: "pending_authorization", id, what: "it cannot be understood" }
}
