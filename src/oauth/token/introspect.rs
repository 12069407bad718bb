//! Token introspection (RFC 7662), to find an expiry that the token response left out.

use serde_json::Value;

use super::grant::Grant;
use super::lifetime::{plausible, sent_at};
use crate::catalog::entry::{Introspect, OAuth};
use crate::egress::{Egress, EgressResponse};
use crate::json;
use crate::oauth::client_auth::client::Client;
use crate::oauth::client_auth::request::ClientRequest;
use crate::oauth::message::error::OAuthError;
use crate::oauth::message::parameters::Parameters;

/// Sets the lifetime of the access token, if the grant has none and the entry describes
/// introspection. On any failure the grant stays as it is.
pub(super) async fn find_expiry(egress: &Egress, entry: &OAuth, client: &Client, grant: &mut Grant) {
    let Some(how) = entry.introspect.as_ref().filter(|_| grant.expires_in.is_none()) else { return };
    let Ok(request) = request(how, entry, grant) else { return };
    // The client's authentication is all that this request proves (§2.1), so it carries no DPoP
    // proof.
    let client = client.clone().with_dpop(None);
    let read = |response: &EgressResponse, _: &_| -> Result<_, OAuthError> {
        let members = Some(response).filter(|response| response.status.is_success());
        let members = members.and_then(|response| json::parse(&response.body));
        let active = members.filter(|members| members.get("active") == Some(&Value::Bool(true)));
        // Relative to the provider's own clock, as every absolute time.
        let end = active.and_then(|members| members.get("exp")?.as_f64());
        Ok(end.zip(sent_at(response)).and_then(|(end, now)| plausible(end - now)))
    };
    grant.expires_in = request.send(egress, entry, &client, read).await.unwrap_or_default();
}

fn request<'a>(how: &Introspect, entry: &OAuth, grant: &Grant) -> Result<ClientRequest<'a>, OAuthError> {
    let mut parameters = Parameters::default();
    parameters.set("token", grant.access_token.expose());
    parameters.set("token_type_hint", "access_token");
    let request = ClientRequest::post(&how.url, entry, parameters)?;
    Ok(ClientRequest { auth: Some(how.auth.unwrap_or(entry.token_auth)), ..request })
}
