//! The catalogue entry of a sandbox.

use super::behaviour::{Behaviour, RefreshTokens};
use super::endpoint::SandboxEndpoint;
use crate::catalog::entry::RevocationEnds;
use crate::duration;

/// Returns the entry of a sandbox at `base_url`. Nothing in it needs escaping, because the base URL
/// is an address and a port.
pub(super) fn toml(base_url: &str, behaviour: &Behaviour) -> String {
    let url = |endpoint: SandboxEndpoint| format!("{base_url}{}", endpoint.route().1);
    let ends = match behaviour.revocation_ends {
        RevocationEnds::Grant => "grant",
        RevocationEnds::Token => "token",
    };
    format!(
        r#"display_name = "Sandbox"
category = "developer-tools"
env = {{ SANDBOX_TOKEN = "{{placeholder}}", SANDBOX_API_URL = "{{proxy}}" }}

[oauth]
authorize_url = "{authorize}"
token_url = "{token}"
device_authorization_url = "{device}"
issuer = "{base_url}"
api_base_url = "{base_url}"
announces_iss = true
default_scopes = ["profile"]
grants = ["authorization_code", "client_credentials"]
token_auth = "basic"

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
        userinfo = url(SandboxEndpoint::Userinfo),
        revoke = url(SandboxEndpoint::Revoke),
        rotates = behaviour.refresh_tokens == RefreshTokens::Rotating,
        lifetime = duration::show(behaviour.refresh_token_lifetime),
    )
}
