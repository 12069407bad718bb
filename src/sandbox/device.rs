//! The device flow (RFC 8628): where a client begins it, and the page on which a person types the code and decides.

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::answer::{Answer, Refusal, json_answer};
use super::authorize::{Decision, scopes};
use super::client::authenticate;
use super::endpoint::Endpoint;
use super::form::Form;
use super::page;
use super::server::AuthorizationServer;

impl AuthorizationServer {
    /// `POST /device_authorization` (RFC 8628 §3.1).
    pub(super) fn begin_device(&self, headers: &HeaderMap, form: &Form) -> Answer {
        let begin = || {
            let client = authenticate(&self.clients, headers, form)?;
            let scopes = scopes(form).map_err(|(_, why)| Refusal::InvalidScope(why))?;
            let behaviour = self.behaviour();
            let (device_code, user_code) = self.grants().begin_device(&client.id, scopes, &behaviour);
            let page = format!("{}{}", self.base_url, Endpoint::Device.path());
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
            Ok(codes) => json_answer(StatusCode::OK, &codes),
            Err(refusal) => Refusal::answer(refusal),
        }
    }

    /// `GET /device`: the page that asks for the code; with one, what is asked under it; with `sandbox_decision` as well, what
    /// follows at once.
    pub(super) fn device(&self, query: &Form) -> Answer {
        let Some(code) = query.get("user_code").ok().flatten() else { return page::ask_for_code(self.random) };
        let Some((client, scopes)) = self.grants().asked_under(code) else {
            return page::refusal(StatusCode::BAD_REQUEST, "Nobody asks under this code; it may have expired.");
        };
        match query.get("sandbox_decision").ok().flatten() {
            None => page::device_decision(&client, &scopes, code, self.random),
            Some(decision) => self.conclude_device(code, Decision::read(decision, query.get("sandbox_user"))),
        }
    }

    /// `POST /device/decision`: the page's form.
    pub(super) fn decide_device(&self, form: &Form) -> Answer {
        let code = form.get("user_code").ok().flatten().unwrap_or_default();
        let decision = form.get("decision").ok().flatten().unwrap_or_default();
        self.conclude_device(code, Decision::read(decision, form.get("user")))
    }

    fn conclude_device(&self, code: &str, decision: Result<Decision, &'static str>) -> Answer {
        let user = match decision {
            Ok(Decision::Approve { user }) => Some(user),
            Ok(Decision::Deny) => None,
            Err(why) => return page::refusal(StatusCode::BAD_REQUEST, why),
        };
        if self.grants().decide_device(code, user) {
            page::device_decided(self.random)
        } else {
            page::refusal(StatusCode::BAD_REQUEST, "This code was decided on before, or has expired.")
        }
    }
}
