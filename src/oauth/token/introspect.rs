//! Introspection (RFC 7662): when a token ends, where no answer told it.

use http::{HeaderMap, Method};
use serde_json::Value;

use super::grant::Grant;
use super::response::{believed, sent_at};
use crate::catalog::entry::{Body, Introspect, OAuth};
use crate::egress::{Egress, Outgoing};
use crate::json;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::{self, Unbuildable};

/// Asks when the access token ends, where the grant does not know and the entry says how to ask. Whatever fails, the grant is
/// as good as before: the end stays unknown.
pub(in crate::oauth) async fn learn_end(egress: &Egress, entry: &OAuth, client: &Client, grant: &mut Grant) {
    let Some(how) = entry.introspect.as_ref().filter(|_| grant.expires_in.is_none()) else { return };
    let Ok(request) = introspection_request(how, entry, client, grant) else { return };
    let Ok(answer) = egress.send(request).await else { return };
    if !answer.status.is_success() {
        return;
    }
    let Some(members) = json::parse(&answer.body) else { return };
    if members.get("active") != Some(&Value::Bool(true)) {
        return;
    }
    // Measured against the provider's own clock, as every absolute time.
    let now = sent_at(&answer);
    let end = members.get("exp").and_then(Value::as_f64);
    grant.expires_in = end.zip(now).and_then(|(end, now)| believed(end - now));
}

/// RFC 7662 §2.1. The token authenticates nothing here: the client does.
fn introspection_request(
    how: &Introspect,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
) -> Result<Outgoing, Unbuildable> {
    let (mut headers, mut parameters) = (HeaderMap::new(), Parameters::default());
    parameters.set("token", grant.access_token.expose());
    parameters.set("token_type_hint", "access_token");
    client.authenticate(how.auth.unwrap_or(entry.token_auth), entry, &mut headers, &mut parameters)?;
    parameters.rename(&entry.rename);
    request::accept_json(&mut headers);
    let body = request::body(Body::Form, &parameters, &mut headers);
    let url = how.url.url().ok_or(Unbuildable::Url)?.clone();
    Ok(Outgoing { method: Method::POST, url, headers, body })
}
