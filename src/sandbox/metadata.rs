//! The metadata document (RFC 8414): what this server can do, as its options have it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::options::RefreshTokens;
use super::server::AuthorizationServer;
use crate::catalog::entry::TokenAuth;

/// The document for `/.well-known/oauth-authorization-server`.
pub(super) fn document(server: &AuthorizationServer) -> Value {
    let behaviour = server.behaviour();
    let url = |endpoint: Endpoint| format!("{}{}", server.base_url, endpoint.path());
    let methods: BTreeSet<&str> =
        server.clients.iter().flat_map(|client| &client.token_auth).map(|way| method_name(*way)).collect();
    let mut grant_types =
        vec!["authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"];
    if behaviour.refresh_tokens != RefreshTokens::Absent {
        grant_types.push("refresh_token");
    }
    json!({
        "issuer": server.base_url,
        "authorization_endpoint": url(Endpoint::Authorize),
        "token_endpoint": url(Endpoint::Token),
        "device_authorization_endpoint": url(Endpoint::DeviceAuthorization),
        "userinfo_endpoint": url(Endpoint::Userinfo),
        "revocation_endpoint": url(Endpoint::Revoke),
        "introspection_endpoint": url(Endpoint::Introspect),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "authorization_response_iss_parameter_supported": behaviour.announces_iss,
    })
}

/// The name that the method is registered under (RFC 7591 §2).
fn method_name(way: TokenAuth) -> &'static str {
    match way {
        TokenAuth::Basic | TokenAuth::BasicRaw => "client_secret_basic",
        TokenAuth::Post => "client_secret_post",
        TokenAuth::PrivateKeyJwt => "private_key_jwt",
        TokenAuth::ClientSecretJwt => "client_secret_jwt",
        TokenAuth::None => "none",
    }
}
