//! Place of a secret in a request to the provider, as its entry describes it.

use crate::catalog::Entry;
use crate::catalog::entry::{AccessTokenPlace, OAuth, Place};
use crate::kind::Kind;

/// Place of a secret in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Part of the request that carries it: `header`, `query`, `basic`, `path` or `body`; absent if
    /// it is not known.
    pub place: Option<&'static str>,
    /// Name of the header, the query parameter or the member.
    pub name: Option<String>,
    /// Text before the secret, for example `Bearer `.
    pub prefix: Option<String>,
}

impl Placement {
    /// Returns the place of an access token: the entry's, else `Authorization` with the type of the
    /// token (RFC 6750 §2.1).
    pub(in crate::broker) fn of_token(oauth: Option<&OAuth>, token_type: &str) -> Self {
        if let Some(own) = oauth.and_then(|oauth| oauth.access_token.as_ref()) {
            let place = match own.place {
                AccessTokenPlace::Header => Place::Header,
                AccessTokenPlace::Query => Place::Query,
            };
            return Self { place: Some(place.name()), name: Some(own.name.clone()), prefix: own.prefix.clone() };
        }
        let scheme = if token_type.eq_ignore_ascii_case("bearer") { "Bearer" } else { token_type };
        let (name, prefix) = (Some("Authorization".to_owned()), Some(format!("{scheme} ")));
        Self { place: Some(Place::Header.name()), name, prefix }
    }

    /// Returns the place of a secret that a user entered.
    pub(in crate::broker) fn of_secret(entry: &Entry, kind: Kind) -> Self {
        match (kind, &entry.api_key, &entry.user_password) {
            (Kind::ApiKey, Some(key), _) => {
                Self { place: key.place.map(Place::name), name: key.name.clone(), prefix: key.prefix.clone() }
            }
            // HTTP Basic (RFC 7617) is for URLs: mail servers have their own protocols.
            (Kind::UserPassword, _, Some(password)) if password.base_url.is_some() => {
                Self { place: Some(Place::Basic.name()), ..Self::default() }
            }
            (Kind::HostScoped, ..) => Self { place: Some(Place::Header.name()), ..Self::default() },
            _ => Self::default(),
        }
    }
}
