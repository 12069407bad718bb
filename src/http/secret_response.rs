//! Response that carries a secret, with one shape for each kind of credential.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::{LiveSecret, UsableSecret};
use crate::clock::UnixTime;

/// Response of the token route. This is the only type by which a secret is written into JSON.
///
/// After the secret, each variant says how a request carries it: `in` (`header`, `query`, `basic`,
/// `path` or `body`), `name` and `prefix`, and the `base_url` of the API. What is not known is null.
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
        #[serde(rename = "in")]
        #[schema(required = true)]
        place: Option<&'s str>,
        #[schema(required = true)]
        name: Option<&'s str>,
        #[schema(required = true)]
        prefix: Option<&'s str>,
        #[schema(required = true)]
        base_url: Option<&'s str>,
    },
    /// Secret of an api_key credential.
    #[schema(title = "LiveApiKey")]
    ApiKey {
        api_key: &'s str,
        #[serde(rename = "in")]
        #[schema(required = true)]
        place: Option<&'s str>,
        #[schema(required = true)]
        name: Option<&'s str>,
        #[schema(required = true)]
        prefix: Option<&'s str>,
        #[schema(required = true)]
        base_url: Option<&'s str>,
    },
    /// Secret of a user_password credential.
    #[schema(title = "LiveUserPassword")]
    UserPassword {
        username: &'s str,
        password: &'s str,
        #[serde(rename = "in")]
        #[schema(required = true)]
        place: Option<&'s str>,
        #[schema(required = true)]
        name: Option<&'s str>,
        #[schema(required = true)]
        prefix: Option<&'s str>,
        #[schema(required = true)]
        base_url: Option<&'s str>,
    },
    /// Secret of a host_scoped credential.
    #[schema(title = "LiveHeaders")]
    Headers {
        headers: BTreeMap<&'s str, &'s str>,
        #[serde(rename = "in")]
        #[schema(required = true)]
        place: Option<&'s str>,
        #[schema(required = true)]
        name: Option<&'s str>,
        #[schema(required = true)]
        prefix: Option<&'s str>,
        #[schema(required = true)]
        base_url: Option<&'s str>,
    },
}

impl<'s> From<&'s UsableSecret> for SecretResponse<'s> {
    fn from(usable: &'s UsableSecret) -> Self {
        let (sent, base_url) = (&usable.placement, usable.base_url.as_deref());
        let (place, name, prefix) = (sent.place, sent.name.as_deref(), sent.prefix.as_deref());
        match &usable.secret {
            LiveSecret::Token { access_token, token_type, expires_at, scopes } => {
                let (access_token, expires_at) = (access_token.expose(), *expires_at);
                Self::Token { access_token, token_type, expires_at, scopes, place, name, prefix, base_url }
            }
            LiveSecret::ApiKey(key) => Self::ApiKey { api_key: key.expose(), place, name, prefix, base_url },
            LiveSecret::UserPassword { username, password } => {
                let (username, password) = (username.expose(), password.expose());
                Self::UserPassword { username, password, place, name, prefix, base_url }
            }
            LiveSecret::Headers(headers) => {
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
                Self::Headers { headers, place, name, prefix, base_url }
            }
        }
    }
}
