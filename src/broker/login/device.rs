//! Device flow (RFC 8628): the user logs in on another device while the caller polls.
//!
//! The device code stays sealed in the vault; the caller polls with a token of ours. The vault
//! hands out turns in a transaction: the provider gets one request at a time, and no more often
//! than its interval allows (RFC 8628 §3.5), however many callers poll.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::connectable::Connectable;
use super::initiate::requested_scopes;
use super::keep::{CompleteResponse, Obtained};
use crate::broker::caller::Caller;
use crate::broker::error::{Error, StateFault};
use crate::broker::parts::Broker;
use crate::catalog::entry::OAuth;
use crate::catalog::input::InputFault;
use crate::clock::UnixTime;
use crate::id::ProviderName;
use crate::jose::SigningKey;
use crate::oauth::{self, Grant, PollError, StateToken};
use crate::secret::Secret;
use crate::vault::{DevicePolling, LoginFlow, PendingAuthorization, PollTurn};

/// Duration of one turn: longer than any answer takes, so that no second request runs beside it. It
/// is short enough that a killed process does not block the others for long.
const LEASE: Duration = Duration::from_secs(30);
/// Maximum duration of a login, whatever the provider says.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Maximum pause after a server error.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Parameters of a device login.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct DeviceInitiateRequest {
    /// Scopes to request; empty for the provider's defaults.
    pub scopes: Vec<String>,
    /// Scopes of additional tokens, by token name; empty for the entry's defaults.
    pub further_scopes: BTreeMap<String, Vec<String>>,
    /// Object that the client gets back at the end. It is not trusted: do not take the user from it.
    #[schema(value_type = Object)]
    pub state_metadata: Map<String, Value>,
    /// Values for the provider's URLs.
    pub inputs: BTreeMap<String, String>,
    /// Credential to reconnect; it keeps its id.
    pub credential_id: Option<String>,
    /// `false` if the tokens may never be given out: requests can be sent with them through the
    /// proxy only. A credential that is reconnected stays so.
    #[schema(required = false)]
    pub exportable: Option<bool>,
    /// True if the credential may change to another account.
    pub allow_account_change: bool,
}

/// Codes to show to the user, and the token to poll with.
#[derive(Clone, Serialize, ToSchema)]
pub struct DeviceInitiateResponse {
    /// Code that the user types.
    pub user_code: String,
    /// Page where the user types the code.
    pub verification_uri: String,
    /// Page with the code included, for a link or a QR code; `null` if the provider sends none.
    #[schema(required = true)]
    pub verification_uri_complete: Option<String>,
    /// Expiry of the codes, in Unix seconds.
    #[schema(value_type = i64)]
    pub expires_at: UnixTime,
    /// Seconds to wait between two polls.
    pub interval: u64,
    /// Token to poll with. The provider's device code is never returned.
    pub device_token: String,
}

/// Parameters of a poll.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DevicePollRequest {
    /// Token from initiate.
    #[schema(value_type = String)]
    pub device_token: Secret,
}

/// Result of a poll.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum DevicePoll {
    /// The user has not decided yet.
    Waiting(DeviceWaiting),
    /// The credential exists; the body is that of complete.
    Connected(CompleteResponse),
}

/// The user has not decided yet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeviceWaiting {
    /// `pending`, or `slow_down` if the interval has grown.
    pub status: &'static str,
    /// Seconds to wait before the next poll. An earlier poll is answered without a request to the
    /// provider.
    pub interval: u64,
}

impl DevicePoll {
    fn waiting(status: &'static str, interval: Duration) -> Self {
        Self::Waiting(DeviceWaiting { status, interval: interval.as_secs() })
    }
}

impl Broker {
    /// Starts the device flow for an application, if `oauth.device` is on. The flow is not bound to
    /// the user's browser: an attacker who makes a user type a code receives the account (RFC 8628
    /// §5.4).
    pub async fn device_initiate(
        &self,
        caller: &Caller,
        provider: &str,
        request: DeviceInitiateRequest,
    ) -> Result<DeviceInitiateResponse, Error> {
        self.check_device_flow(provider)?;
        if !self.0.config.oauth.device {
            return Err(Error::NoDeviceFlow("The device flow is not enabled (oauth.device).".to_owned()));
        }
        self.require_login(caller, provider, request.credential_id.as_deref()).await?;
        self.begin_device(caller, provider, request).await
    }

    /// Starts the device flow for the operator at a terminal.
    pub async fn begin_device(
        &self,
        caller: &Caller,
        provider: &str,
        request: DeviceInitiateRequest,
    ) -> Result<DeviceInitiateResponse, Error> {
        self.check_device_flow(provider)?;
        let connectable = self.connectable(provider).await?;
        if connectable.oauth.device_authorization_url.is_none() {
            return Err(no_device_flow(provider));
        }
        self.begin_on(caller, connectable, request).await
    }

    /// Checks that the provider's entry has the device flow or may discover it.
    fn check_device_flow(&self, provider: &str) -> Result<(), Error> {
        // An MCP server has OAuth, but that it is discovered at the server leaves out this flow.
        if self.0.catalog.get(provider).is_some_and(|known| known.entry.mcp.is_some()) {
            return Err(no_device_flow(provider));
        }
        let (_, oauth) = self.oauth_of(provider)?;
        if oauth.device_authorization_url.is_none() && !oauth.discovers() {
            return Err(no_device_flow(provider));
        }
        Ok(())
    }

    async fn begin_on(
        &self,
        caller: &Caller,
        connectable: Connectable<'_>,
        request: DeviceInitiateRequest,
    ) -> Result<DeviceInitiateResponse, Error> {
        let begun_at = Some(self.0.vault.users().now()?);
        // A reconnect may need no more room; that shows when it is stored.
        if request.credential_id.is_none() {
            self.0.vault.credentials().within(self.quota(caller)).check_room(&caller.user)?;
        }
        let reconnect = self.to_reconnect(caller, &connectable.provider.name, request.credential_id.as_deref()).await?;
        let inputs = connectable.oauth.callers_values(&request.inputs).map_err(Error::Inputs)?;
        let entry = connectable.oauth.with_values(&inputs).map_err(|fault| Error::Inputs(vec![fault]))?;
        let asked = (request.scopes.as_slice(), &request.further_scopes);
        let (scopes, further_scopes) = requested_scopes(&connectable.oauth, asked, reconnect.as_ref());
        let client = &connectable.client;
        let begun = oauth::authorize_device(&connectable.egress, &entry, client, &scopes, &further_scopes).await;
        let begun = begun.map_err(|error| Error::of_device_authorization(&error))?;

        let token = StateToken::generate(self.0.random);
        let created_at = self.0.clock.now();
        let expires_at = created_at.plus(begun.expires_in.min(LONGEST));
        let pause = i64::try_from(begun.interval.as_millis()).unwrap_or(i64::MAX);
        let exportable = self.exportable_at(&connectable.provider.name, request.exportable);
        let pending = PendingAuthorization {
            user: caller.user.clone(),
            provider: connectable.provider.name.clone(),
            flow: LoginFlow::Device,
            api_key_id: caller.api_key(),
            client_id: connectable.client.id,
            redirect_uri: String::new(),
            code_verifier: None,
            dpop_key: entry.dpop.then(|| Arc::new(SigningKey::generate())),
            scopes,
            further_scopes,
            inputs,
            discovery: None,
            state_metadata: request.state_metadata,
            issuer: connectable.oauth.issuer.clone(),
            reconnect: reconnect.map(|again| again.id),
            any_account: request.allow_account_change,
            exportable,
            device: Some(DevicePolling {
                code: begun.device_code,
                interval: begun.interval,
                next_poll_at: self.0.clock.now_millis().saturating_add(pause),
            }),
            begun_at,
            created_at,
            expires_at,
        };
        self.0.vault.logins().begin(token.expose(), pending, &caller.who).await?;
        Ok(DeviceInitiateResponse {
            user_code: begun.user_code,
            verification_uri: begun.verification_uri,
            verification_uri_complete: begun.verification_uri_complete,
            expires_at,
            interval: begun.interval.as_secs(),
            device_token: token.expose().to_owned(),
        })
    }

    /// Asks the provider if the user has decided, when it is time to. Creates the credential once.
    pub async fn device_poll(
        &self,
        caller: &Caller,
        provider: &str,
        request: DevicePollRequest,
    ) -> Result<DevicePoll, Error> {
        let token = request.device_token;
        self.require_completion(caller, provider, (LoginFlow::Device, &token)).await?;
        let name: ProviderName = provider.parse().map_err(|_| Error::StateInvalid(StateFault::Unknown))?;
        let now = self.0.clock.now_millis();
        let turn = self.0.vault.logins().begin_poll(&token, &caller.user, &name, (now, LEASE), &caller.who).await?;
        let (pending, code) = match turn {
            None => return Err(self.missed_login(caller, &name, (LoginFlow::Device, &token)).await),
            Some(PollTurn::Wait(interval)) => return Ok(DevicePoll::waiting("pending", interval)),
            Some(PollTurn::Ask(pending, code)) => (pending, code),
        };
        let mut connectable = self.connectable(provider).await?;
        connectable.client = connectable.client.with_dpop(pending.dpop_key.clone());
        let entry = connectable.oauth.with_values(&pending.inputs).map_err(gone)?;
        let asked = oauth::poll_device(&connectable.egress, &entry, &connectable.client, &code, &pending.scopes).await;
        match asked {
            Ok(grant) => {
                let reconnect = pending.reconnect;
                let connected = self.device_connected(caller, (&connectable, &entry), *pending, &token, grant).await;
                if let Err(error) = &connected {
                    self.record_failed_login(caller, &name, reconnect, error).await;
                }
                connected.map(DevicePoll::Connected)
            }
            Err(undecided) => self.undecided(caller, &pending, &token, undecided).await,
        }
    }

    /// Deletes a device login that was given up.
    pub async fn abandon_device(&self, caller: &Caller, provider: &str, token: &Secret) -> Result<(), Error> {
        let name: ProviderName = provider.parse().map_err(|_| Error::StateInvalid(StateFault::Unknown))?;
        self.0.vault.logins().take(LoginFlow::Device, token.expose(), &caller.user, &name, &caller.who).await?;
        Ok(())
    }

    async fn undecided(
        &self,
        caller: &Caller,
        pending: &PendingAuthorization,
        token: &Secret,
        undecided: PollError,
    ) -> Result<DevicePoll, Error> {
        let known = pending.device.as_ref().map_or(LEASE, |device| device.interval);
        let (status, pause, interval) = match undecided {
            PollError::Pending => ("pending", known, known),
            PollError::SlowDown => ("slow_down", oauth::slower(known), oauth::slower(known)),
            PollError::Unanswered(error) => {
                tracing::warn!(provider = %pending.provider, %error, "cannot poll the provider for a device login");
                let now = self.0.clock.now();
                let wanted = error.retry_after().map(|after| now.seconds_until(after.from(now, LONGEST_PAUSE)));
                let wanted = wanted.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
                let pause = wanted.unwrap_or_else(|| (known * 2).min(LONGEST_PAUSE)).max(known);
                ("pending", pause, known)
            }
            over => {
                let logins = self.0.vault.logins();
                logins.take(LoginFlow::Device, token.expose(), &caller.user, &pending.provider, &caller.who).await?;
                let error = match over {
                    PollError::Denied(error) => Error::AuthorizationDenied(error.to_string()),
                    PollError::Failed(error) => Error::of_grant(&error),
                    _ => Error::StateInvalid(StateFault::Expired),
                };
                self.record_failed_login(caller, &pending.provider, pending.reconnect, &error).await;
                return Err(error);
            }
        };
        let now = self.0.clock.now_millis();
        self.0
            .vault
            .logins()
            .end_poll(token, &caller.user, &pending.provider, now, (pause, interval), &caller.who)
            .await?;
        Ok(DevicePoll::waiting(status, pause))
    }

    /// Stores the tokens of an approved login. The pending login is consumed first. If it is gone,
    /// its user was removed, and the tokens are revoked.
    async fn device_connected(
        &self,
        caller: &Caller,
        (connectable, entry): (&Connectable<'_>, &OAuth),
        pending: PendingAuthorization,
        token: &Secret,
        mut grant: Grant,
    ) -> Result<CompleteResponse, Error> {
        let name = &connectable.provider.name;
        let mut values = pending.inputs.clone();
        let logins = self.0.vault.logins();
        let lost = match logins.take(LoginFlow::Device, token.expose(), &caller.user, name, &caller.who).await {
            Ok(Some(_)) => None,
            Ok(None) => Some(Error::StateInvalid(StateFault::UserRemoved)),
            // The vault cannot be written now: `keep` below holds the tokens in memory until it
            // can.
            Err(error) if error.cannot_write() => None,
            Err(error) => Some(error.into()),
        };
        if let Some(error) = lost {
            values.extend(connectable.oauth.token_values(&grant.metadata).unwrap_or_default());
            self.discard(caller, connectable, &pending, grant, values).await;
            return Err(error);
        }
        // Only now, because a turn lasts for one request only.
        oauth::complete_grant(&connectable.egress, entry, &connectable.client, &mut grant, &pending.further_scopes)
            .await;
        let identity = match self.whose(connectable, &grant, None, &mut values).await {
            Ok(identity) => identity,
            Err(error) => {
                self.discard(caller, connectable, &pending, grant, values).await;
                return Err(error);
            }
        };
        connectable.oauth.keep_values(&mut grant.metadata, values, None);
        self.keep(caller, connectable, pending, Obtained { grant, identity }).await
    }
}

fn no_device_flow(provider: &str) -> Error {
    Error::NoDeviceFlow(format!("Provider '{provider}' has no device flow"))
}

/// The entry has changed since the login started.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn gone(fault: InputFault) -> Error {
    Error::GrantRefused(format!("The provider gave no tokens: the login's {fault}"))
}
