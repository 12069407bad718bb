//! The device authorization grant (RFC 8628): the client's endpoint, and the page on which the user
//! types the code and decides.

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::authorize::{Decision, scopes};
use super::page;
use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::message::reply::{Reply, json_reply};
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::client::authenticate;

impl AuthorizationServer {
    /// `POST /device_authorization` (RFC 8628 §3.1).
    pub(in crate::sandbox) fn begin_device(&self, headers: &HeaderMap, form: &Form) -> Reply {
        let begin = || {
            let client = authenticate(&self.clients, headers, form)?;
            let scopes = scopes(form).map_err(|(_, why)| EndpointError::InvalidScope(why))?;
            let behaviour = self.behaviour();
            let (device_code, user_code) = self.devices().begin(&client.id, scopes, &behaviour);
            let page = format!("{}{}", self.base_url, SandboxEndpoint::Device.path());
            Ok(json!({
                "device_code": device_code.expose(),
                "user_code": user_code,
                "verification_uri": page,
                "verification_uri_complete": format!("{page}?user_code={user_code}"),
                "expires_in": behaviour.device_code_lifetime.as_secs(),
                "interval": behaviour.device_interval.as_secs(),
            }))
        };
        match begin() {
            Ok(codes) => json_reply(StatusCode::OK, &codes),
            Err(error) => EndpointError::reply(error),
        }
    }

    /// `GET /device`: asks for the code; with a code, shows the request; with `sandbox_decision`
    /// too, decides at once.
    pub(in crate::sandbox) fn device(&self, query: &Form) -> Reply {
        let Some(code) = query.get("user_code").ok().flatten() else { return page::ask_for_code(self.random) };
        let Some((client, scopes)) = self.devices().undecided(code) else {
            return page::error(StatusCode::BAD_REQUEST, "No request has this code; it may have expired.");
        };
        match query.get("sandbox_decision").ok().flatten() {
            None => page::device_decision(&client, &scopes, code, self.random),
            Some(decision) => self.conclude_device(code, Decision::read(decision, query.get("sandbox_user"))),
        }
    }

    /// `POST /device/decision`: handles the page's form.
    pub(in crate::sandbox) fn decide_device(&self, form: &Form) -> Reply {
        let code = form.get("user_code").ok().flatten().unwrap_or_default();
        let decision = form.get("decision").ok().flatten().unwrap_or_default();
        self.conclude_device(code, Decision::read(decision, form.get("user")))
    }

    fn conclude_device(&self, code: &str, decision: Result<Decision, &'static str>) -> Reply {
        let user = match decision {
            Ok(Decision::Approve { user }) => Some(user),
            Ok(Decision::Deny) => None,
            Err(why) => return page::error(StatusCode::BAD_REQUEST, why),
        };
        if self.devices().decide(code, user) {
            page::device_decided(self.random)
        } else {
            page::error(StatusCode::BAD_REQUEST, "This code was already used, or has expired.")
        }
    }
}
