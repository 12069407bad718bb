//! Connect: the code flow with a terminal command as the application (RFC 8252 §7.3).
//!
//! It differs from an application's code flow in two ways. The redirect URI is a loopback port of
//! this process, so no configured origin needs to allow it. Its states are marked
//! [`LoginFlow::Connect`], so that an application cannot complete a login of the command, nor the
//! command a login of an application.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::complete::CompleteRequest;
use super::device::DeviceInitiateRequest;
use super::initiate::{InitiateRequest, InitiateResponse};
use super::keep::CompleteResponse;
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::oauth::callback::read_error;
use crate::secret::Secret;
use crate::vault::LoginFlow;

/// Extra lifetime of the state after the command stops waiting. The command can then delete it, and
/// a callback in the last second still succeeds.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Returns the callback path. Each provider has its own, as a mix-up defence (RFC 9700 §4.4.2.2).
pub fn callback_path(provider: &str) -> String {
    format!("/callback/{provider}")
}

impl Broker {
    /// Starts a login whose callback comes to the loopback address `listening`. The command waits
    /// for the browser as long as `within`.
    pub async fn begin_connect(
        &self,
        caller: &Caller,
        provider: &str,
        (listening, within): (SocketAddr, Duration),
        request: DeviceInitiateRequest,
    ) -> Result<InitiateResponse, Error> {
        let request = InitiateRequest {
            callback_url: format!("http://{listening}{}", callback_path(provider)),
            scopes: request.scopes,
            further_scopes: request.further_scopes,
            state_metadata: request.state_metadata,
            inputs: request.inputs,
            credential_id: request.credential_id,
            allow_account_change: request.allow_account_change,
            exportable: request.exportable,
        };
        self.begin(caller, provider, request, LoginFlow::Connect, within + AFTERWARDS).await
    }

    /// Completes the login with the parameters of the callback.
    pub async fn finish_connect(
        &self,
        caller: &Caller,
        provider: &str,
        request: CompleteRequest,
    ) -> Result<CompleteResponse, Error> {
        let pending = self.take(caller, provider, &request.state_token).await?;
        self.finish(caller, provider, pending, request).await
    }

    /// Ends a login whose provider denied it without naming it: the error has no `state`. Returns
    /// the denial.
    pub async fn deny_connect(
        &self,
        caller: &Caller,
        provider: &str,
        state: &Secret,
        params: &BTreeMap<String, String>,
    ) -> Error {
        let pending = match self.take(caller, provider, state).await {
            Ok(pending) => pending,
            Err(error) => return error,
        };
        let denied = read_error(params).map(|denied| denied.to_string()).unwrap_or_default();
        let error = Error::AuthorizationDenied(denied);
        self.record_failed_login(caller, &pending.provider, pending.reconnect, &error).await;
        error
    }

    /// Deletes a login that was given up.
    pub async fn abandon_connect(&self, caller: &Caller, provider: &str, state: &Secret) -> Result<(), Error> {
        match self.take(caller, provider, state).await {
            // Expired or already consumed: there is nothing to delete.
            Ok(_) | Err(Error::StateInvalid(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
