//! Connect: the code flow with Strongroom's own command as the one that is called back (RFC 8252 §7.3).
//!
//! It differs from the code flow of an application in two things: the redirect URI is a loopback port that this process
//! listens on, so no configured origin has to allow it; and its states are marked as [`LoginFlow::Connect`], so that no
//! application can complete what it did not begin, nor the command what an application began.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::complete::{CompleteRequest, CompleteResponse};
use super::initiate::{InitiateRequest, InitiateResponse};
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::secret::Secret;
use crate::vault::LoginFlow;

/// What the command asks for.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    /// Where this process listens for the callback; a loopback address.
    pub listening: SocketAddr,
    /// The scopes to ask for; none means the provider's defaults.
    pub scopes: Vec<String>,
    /// The scopes of further tokens, by the names that the entry has for them.
    pub further_scopes: BTreeMap<String, Vec<String>>,
    /// What the provider's URLs need to know.
    pub inputs: BTreeMap<String, String>,
    /// The credential to reconnect, which keeps its id.
    pub credential_id: Option<String>,
    /// Whether that credential may become one of another account.
    pub allow_account_change: bool,
    /// How long the command waits for the browser.
    pub within: Duration,
}

/// How much longer than the command waits its state lives, so that it can be taken away at the end, and a browser that
/// comes in the last second is not too late.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// The path of the callback: one for each provider, so that one server cannot pass for another (RFC 9700 §4.4.2.2).
pub fn callback_path(provider: &str) -> String {
    format!("/callback/{provider}")
}

impl Broker {
    /// Begins a login whose callback comes to `request.listening`.
    pub async fn begin_connect(
        &self,
        caller: &Caller,
        provider: &str,
        request: ConnectRequest,
    ) -> Result<InitiateResponse, Error> {
        debug_assert!(request.listening.ip().is_loopback(), "the command binds loopback addresses alone");
        let within = request.within + AFTERWARDS;
        let request = InitiateRequest {
            callback_url: format!("http://{}{}", request.listening, callback_path(provider)),
            scopes: request.scopes,
            further_scopes: request.further_scopes,
            state_metadata: serde_json::Map::new(),
            inputs: request.inputs,
            credential_id: request.credential_id,
            allow_account_change: request.allow_account_change,
        };
        self.begin(caller, provider, request, LoginFlow::Connect, within).await
    }

    /// Ends it with what came to the callback.
    pub async fn finish_connect(
        &self,
        caller: &Caller,
        provider: &str,
        request: CompleteRequest,
    ) -> Result<CompleteResponse, Error> {
        let pending = self.take(caller, provider, &request.state_token).await?;
        if pending.flow != LoginFlow::Connect {
            return Err(Error::StateInvalid);
        }
        self.finish(caller, provider, pending, request).await
    }

    /// Forgets a login that nobody will come back to.
    pub async fn abandon_connect(&self, caller: &Caller, provider: &str, state: &Secret) -> Result<(), Error> {
        match self.take(caller, provider, state).await {
            // Expired, or taken already: it is gone either way.
            Ok(_) | Err(Error::StateInvalid) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
