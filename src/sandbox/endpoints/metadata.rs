//! The metadata document (RFC 8414).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::catalog::entry::TokenAuth;
use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::options::RefreshTokens;
use crate::sandbox::state::authorization_server::AuthorizationServer;

impl AuthorizationServer {
    /// Returns the document of `/.well-known/oauth-authorization-server`.
    pub(in crate::sandbox) fn metadata(&self) -> Value {
        let behaviour = self.behaviour();
        let url = |endpoint: SandboxEndpoint| format!("{}{}", self.base_url, endpoint.path());
        let methods: BTreeSet<&str> =
            self.clients.iter().flat_map(|client| &client.token_auth).map(|way| method_name(*way)).collect();
        let mut grant_types =
            vec!["authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"];
        if behaviour.refresh_tokens != RefreshTokens::Absent {
            grant_types.push("refresh_token");
        }
        json!({
            "issuer": self.base_url,
            "authorization_endpoint": url(SandboxEndpoint::Authorize),
            "token_endpoint": url(SandboxEndpoint::Token),
            "device_authorization_endpoint": url(SandboxEndpoint::DeviceAuthorization),
            "userinfo_endpoint": url(SandboxEndpoint::Userinfo),
            "revocation_endpoint": url(SandboxEndpoint::Revoke),
            "introspection_endpoint": url(SandboxEndpoint::Introspect),
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
}

/// Returns the registered name of a client authentication method (RFC 7591 §2).
fn method_name(way: TokenAuth) -> &'static str {
    match way {
        TokenAuth::Basic | TokenAuth::BasicRaw => "client_secret_basic",
        TokenAuth::Post => "client_secret_post",
        TokenAuth::PrivateKeyJwt => "private_key_jwt",
        TokenAuth::ClientSecretJwt => "client_secret_jwt",
        TokenAuth::None => "none",
    }
}
