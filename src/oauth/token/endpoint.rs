//! The token endpoint (RFC 6749 §3.2).

use std::collections::BTreeMap;

use super::grant::Grant;
use super::response;
use crate::catalog::entry::{Body, OAuth};
use crate::catalog::template::Template;
use crate::egress::Egress;
use crate::oauth::client_auth::client::Client;
use crate::oauth::client_auth::request::ClientRequest;
use crate::oauth::message::error::{BuildError, OAuthError};
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::add_headers;
use crate::secret::Secret;

/// Builds a token request as the entry describes it. `parameters` are the grant's own, `grant_type`
/// among them; `masked` are the grant's secrets.
pub(super) fn request<'a>(
    entry: &OAuth,
    url: &Template,
    parameters: Parameters,
    further: Vec<&'a BTreeMap<String, String>>,
    masked: Vec<&'a Secret>,
) -> Result<ClientRequest<'a>, BuildError> {
    let mut request = ClientRequest::post(url, entry, parameters)?;
    add_headers(&mut request.headers, &entry.token_headers)?;
    // `none` is a word for revocation; a token request always has a body.
    request.encoding = if entry.token_body == Body::None { Body::Form } else { entry.token_body };
    Ok(ClientRequest { further, masked, ..request })
}

/// Sends a token request. `requested` are the scopes that count as granted if the response names
/// none (RFC 6749 §5.1).
pub(super) async fn send(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    request: &ClientRequest<'_>,
    requested: &[String],
) -> Result<Grant, OAuthError> {
    let read = |response: &_, sanitizer: &_| response::read(response, entry, requested, sanitizer);
    request.send(egress, entry, client, read).await
}
