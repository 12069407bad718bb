//! The metadata document (RFC 8414).

use serde_json::{Value, json};

use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::state::authorization_server::AuthorizationServer;

impl AuthorizationServer {
    /// `GET /.well-known/oauth-authorization-server`.
    pub(in crate::sandbox) fn metadata(&self) -> Value {
        let url = |endpoint: SandboxEndpoint| format!("{}{}", self.base_url, endpoint.route().1);
        json!({
            "issuer": self.base_url,
            "authorization_endpoint": url(SandboxEndpoint::Authorize),
            "token_endpoint": url(SandboxEndpoint::Token),
            "device_authorization_endpoint": url(SandboxEndpoint::DeviceAuthorization),
            "userinfo_endpoint": url(SandboxEndpoint::Userinfo),
            "revocation_endpoint": url(SandboxEndpoint::Revoke),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        })
    }
}
