//! Response that carries a secret, with one shape for each kind of credential.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::LiveSecret;
use crate::clock::UnixTime;

/// Response of the token route. This is the only type by which a secret is written into JSON.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = LiveSecret)]
pub(crate) enum SecretResponse<'s> {
    /// Secret of an oauth2 credential.
    #[schema(title = "LiveAccessToken")]
    Token {
        access_token: &'s str,
        token_type: &'s str,
        #[schema(value_type = Option<i64>, required = true)]
        expires_at: Option<UnixTime>,
        scopes: &'s [String],
    },
    /// Secret of an api_key credential.
    #[schema(title = "LiveApiKey")]
    ApiKey { api_key: &'s str },
    /// Secret of a user_password credential.
    #[schema(title = "LiveUserPassword")]
    UserPassword { username: &'s str, password: &'s str },
    /// Secret of a host_scoped credential.
    #[schema(title = "LiveHeaders")]
    Headers { headers: BTreeMap<&'s str, &'s str> },
}

impl<'s> From<&'s LiveSecret> for SecretResponse<'s> {
    fn from(secret: &'s LiveSecret) -> Self {
        match secret {
            LiveSecret::Token { access_token, token_type, expires_at, scopes } => {
                Self::Token { access_token: access_token.expose(), token_type, expires_at: *expires_at, scopes }
            }
            LiveSecret::ApiKey(key) => Self::ApiKey { api_key: key.expose() },
            LiveSecret::UserPassword { username, password } => {
                Self::UserPassword { username: username.expose(), password: password.expose() }
            }
            LiveSecret::Headers(headers) => {
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
                Self::Headers { headers }
            }
        }
    }
}
