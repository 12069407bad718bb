//! The device authorization grant (RFC 8628): the client's endpoint, and the page on which the user
//! types the code and decides.

use http::HeaderMap;
use serde_json::{Value, json};

use super::page;
use crate::sandbox::client::authenticate;
use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::message::decision::Decision;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::message::reply::Reply;
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::devices::DEVICE_CODE_LIFETIME;

impl AuthorizationServer {
    /// `POST /device_authorization` (RFC 8628 §3.1).
    pub(in crate::sandbox) fn begin_device(&self, headers: &HeaderMap, form: &Form) -> Result<Value, EndpointError> {
        authenticate(&self.client_secret, headers, form)?;
        let interval = self.grants().behaviour.device_interval;
        let (device_code, user_code) = self.devices().begin(form.scopes_or_default()?, interval);
        let page = format!("{}{}", self.base_url, SandboxEndpoint::Device.route().1);
        Ok(json!({
            "device_code": device_code.expose(),
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": DEVICE_CODE_LIFETIME.as_secs(),
            "interval": interval.as_secs(),
        }))
    }

    /// `GET /device`: asks for the code; with a code, shows the request; with `sandbox_decision`
    /// too, decides at once. An error is a sentence for the error page.
    pub(in crate::sandbox) fn device(&self, query: &Form) -> Result<Reply, &'static str> {
        let Some(code) = query.once("user_code") else { return Ok(page::ask_for_code(self.random)) };
        let undecided = self.devices().undecided(code);
        let scopes = undecided.ok_or("No request has this code; it may have expired.")?;
        match query.once("sandbox_decision") {
            None => Ok(page::device_decision(&scopes, code, self.random)),
            Some(decision) => self.conclude_device(code, Decision::read(decision, query, "sandbox_user")?),
        }
    }

    /// `POST /device/decision`: handles the page's form.
    pub(in crate::sandbox) fn decide_device(&self, form: &Form) -> Result<Reply, &'static str> {
        let decision = Decision::read(form.once("decision").unwrap_or_default(), form, "user")?;
        self.conclude_device(form.once("user_code").unwrap_or_default(), decision)
    }

    fn conclude_device(&self, code: &str, decision: Decision) -> Result<Reply, &'static str> {
        if !self.devices().decide(code, decision) {
            return Err("This code was already used, or has expired.");
        }
        Ok(page::device_decided(self.random))
    }
}
