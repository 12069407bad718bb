//! The catalogue entry of a sandbox.

use super::endpoint::SandboxEndpoint;
use super::options::RefreshTokens;
use super::state::authorization_server::AuthorizationServer;
use crate::catalog::entry::{RevocationEnds, TokenAuth};
use crate::duration;

/// Returns the entry of a running sandbox. Nothing in it needs escaping, because the base URL is an
/// address and a port.
pub(super) fn toml(server: &AuthorizationServer) -> String {
    let url = |endpoint: SandboxEndpoint| format!("{}{}", server.base_url, endpoint.path());
    let behaviour = server.behaviour();
    let ends = match behaviour.revocation_ends {
        RevocationEnds::Grant => "grant",
        RevocationEnds::Token => "token",
    };
    let token_auth = match server.first_client().token_auth.first() {
        Some(TokenAuth::Basic) => "basic",
        Some(TokenAuth::BasicRaw) => "basic_raw",
        Some(TokenAuth::Post) => "post",
        Some(TokenAuth::PrivateKeyJwt) => "private_key_jwt",
        Some(TokenAuth::ClientSecretJwt) => "client_secret_jwt",
        Some(TokenAuth::None) | None => "none",
    };
    format!(
        r#"display_name = "Sandbox"
category = "developer-tools"

[oauth]
authorize_url = "{authorize}"
token_url = "{token}"
device_authorization_url = "{device}"
issuer = "{issuer}"
announces_iss = {announces_iss}
default_scopes = ["profile"]
grants = ["authorization_code", "client_credentials"]
token_auth = "{token_auth}"

[oauth.identity]
url = "{userinfo}"
username = "/preferred_username"
title = "/name"
account = "/sub"

[oauth.revoke]
url = "{revoke}"
ends = "{ends}"

[oauth.refresh]
rotates = {rotates}
lifetime = "{lifetime}"

[api_key]
"#,
        authorize = url(SandboxEndpoint::Authorize),
        token = url(SandboxEndpoint::Token),
        device = url(SandboxEndpoint::DeviceAuthorization),
        issuer = server.base_url,
        announces_iss = behaviour.announces_iss,
        userinfo = url(SandboxEndpoint::Userinfo),
        revoke = url(SandboxEndpoint::Revoke),
        rotates = behaviour.refresh_tokens == RefreshTokens::Rotating,
        lifetime = duration::show(behaviour.refresh_token_lifetime),
    )
}
