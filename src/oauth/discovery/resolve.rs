//! Completes an entry with the authorization server's metadata. Values of the entry always win.

use super::metadata::{DiscoveryError, Metadata};
use crate::catalog::entry::{Identity, OAuth, Revoke, TokenAuth};
use crate::catalog::template::Template;
use crate::catalog::value::Endpoint;
use crate::jose::Algorithm;
use crate::oauth::client_auth::client::Client;

/// Returns the entry, with endpoints and methods of the metadata in place of missing ones.
///
/// # Errors
/// [`DiscoveryError::Missing`] if neither names an endpoint.
pub fn resolve(entry: &OAuth, metadata: &Metadata, client: &Client) -> Result<OAuth, DiscoveryError> {
    let mut entry = entry.clone();
    let url = |own: &Template, found: &Option<Endpoint>, name| match found {
        _ if !own.is_absent() => Ok(own.clone()),
        Some(found) => Ok(found.into()),
        None => Err(DiscoveryError::Missing(name)),
    };
    // The document's form of the issuer is the one that callbacks and ID tokens name.
    if entry.issuer.is_some() {
        entry.issuer = Some(metadata.issuer.clone());
    }
    entry.authorize_url = url(&entry.authorize_url, &metadata.authorization_endpoint, "authorization_endpoint")?;
    entry.token_url = url(&entry.token_url, &metadata.token_endpoint, "token_endpoint")?;
    let device = metadata.device_authorization_endpoint.as_ref();
    entry.device_authorization_url = entry.device_authorization_url.or_else(|| device.map(Template::from));
    entry.announces_iss |= metadata.authorization_response_iss_parameter_supported;
    let pushes = entry.par || metadata.require_pushed_authorization_requests;
    if pushes && entry.par_url.is_none() {
        let found = &metadata.pushed_authorization_request_endpoint;
        let found = found.as_ref().ok_or(DiscoveryError::Missing("pushed_authorization_request_endpoint"))?;
        entry.par_url = Some(found.into());
    }
    let userinfo = metadata.userinfo_endpoint.as_ref().map(Template::from);
    match (&mut entry.identity, userinfo) {
        (None, userinfo) => entry.identity = Some(Identity::openid(userinfo)),
        (Some(own), Some(userinfo)) if own.url.is_absent() => own.url = userinfo,
        _ => {}
    }
    let methods = &metadata.code_challenge_methods_supported;
    entry.pkce &= methods.is_empty() || methods.iter().any(|method| method == "S256");
    entry.token_auth = token_auth(&entry, metadata, client);
    entry.revoke = entry.revoke.take().or_else(|| revoke(metadata, entry.token_auth));
    if entry.token_auth == TokenAuth::PrivateKeyJwt && entry.token_auth_alg.is_none() {
        let announced = &metadata.token_endpoint_auth_signing_alg_values_supported;
        let known = client.algorithms().iter().copied();
        entry.token_auth_alg =
            known.into_iter().find(|one: &Algorithm| announced.iter().any(|name| name == one.name()));
    }
    Ok(entry)
}

fn revoke(metadata: &Metadata, token_auth: TokenAuth) -> Option<Revoke> {
    let mut revoke = Revoke::at(metadata.revocation_endpoint.as_ref()?.into());
    let methods = &metadata.revocation_endpoint_auth_methods_supported;
    let takes = |way: TokenAuth| methods.iter().any(|name| way.method_name() == Some(name.as_str()));
    // The Python SDK of MCP requires the member of public clients too. An empty secret may be sent
    // (RFC 6749 §2.3.1).
    if token_auth == TokenAuth::None && takes(TokenAuth::Post) && !takes(TokenAuth::None) {
        revoke.params.insert("client_secret".to_owned(), String::new());
    }
    Some(revoke)
}

/// Returns the client authentication: the entry's if it is not the default or the server accepts
/// it, or else the safest one that the server accepts and the client can use. A server that
/// announces none accepts `client_secret_basic` (RFC 8414 §2).
fn token_auth(entry: &OAuth, metadata: &Metadata, client: &Client) -> TokenAuth {
    let announced = &metadata.token_endpoint_auth_methods_supported;
    let accepts = |way: TokenAuth| announced.iter().any(|name| way.method_name() == Some(name.as_str()));
    let is_explicit = entry.token_auth != TokenAuth::default();
    if is_explicit || announced.is_empty() || (accepts(TokenAuth::Basic) && client.can(TokenAuth::Basic)) {
        return entry.token_auth;
    }
    let ways =
        [TokenAuth::PrivateKeyJwt, TokenAuth::Basic, TokenAuth::Post, TokenAuth::ClientSecretJwt, TokenAuth::None];
    ways.into_iter().find(|way| accepts(*way) && client.can(*way)).unwrap_or(entry.token_auth)
}
