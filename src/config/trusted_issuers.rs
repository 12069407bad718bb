//! `[trusted_issuers.NAME]`: OpenID providers whose access tokens callers may present in place of
//! an API key.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::fields::bare_url;
use crate::id::{IdError, UserId};
use crate::jose::Algorithm;
use crate::permission::{Permission, Permissions};

/// An OpenID provider whose access tokens are accepted, and the permissions that they give.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The issuer as it was written: `iss` is compared with this text, not with what a URL parser
    /// makes of it.
    #[serde(rename = "issuer", deserialize_with = "issuer")]
    pub iss: String,
    /// `aud` must name one of these.
    #[serde(deserialize_with = "audience")]
    pub audience: Vec<String>,
    /// The algorithms that a token may be signed with.
    #[serde(default = "standard_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The mark by which an access token differs from an ID token.
    #[serde(default, rename = "access_token_claim", deserialize_with = "told_by")]
    pub told_by: ToldBy,
    /// The claim that names the user.
    #[serde(default = "sub", deserialize_with = "not_empty")]
    pub user_claim: String,
    /// A prefix of the user's name, so that users of two issuers are never the same.
    #[serde(default, deserialize_with = "user_prefix")]
    pub user_prefix: String,
    /// The permissions of every token of this issuer.
    #[serde(default, deserialize_with = "permissions")]
    pub permissions: Permissions,
    /// The claim that gives further permissions: a text with spaces, or a list.
    #[serde(default = "scope", deserialize_with = "not_empty")]
    pub permissions_claim: String,
    /// The permissions that a value of that claim stands for. A permission's own name always stands
    /// for it.
    #[serde(default, deserialize_with = "claim_permissions")]
    pub claim_permissions: BTreeMap<String, Permissions>,
}

/// The mark by which an access token differs from an ID token. ID tokens are not accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToldBy {
    /// By its header's `typ`: `at+jwt` (RFC 9068 §2.1).
    #[default]
    Type,
    /// By a claim with this value: `token_use = access`, for example.
    Claim(String, String),
}

fn standard_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Rs256, Algorithm::Es256]
}

fn sub() -> String {
    "sub".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}

fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Err(de::Error::invalid_length(0, &"a text")) } else { Ok(text) }
}

struct NotEmpty(String);

impl<'de> Deserialize<'de> for NotEmpty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        not_empty(deserializer).map(Self)
    }
}

fn audience<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let audience = Vec::<NotEmpty>::deserialize(deserializer)?;
    if audience.is_empty() {
        let message = "name at least one audience: a token for another service is not accepted";
        return Err(de::Error::custom(message));
    }
    Ok(audience.into_iter().map(|name| name.0).collect())
}

/// An issuer identifier (RFC 8414 §2): https, or http for loopback, which egress guards; no query,
/// no fragment.
fn issuer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let advice = "write the issuer as in the provider's metadata, such as \"https://login.example.com\"";
    bare_url(&text, advice).map_err(de::Error::custom)?;
    Ok(text)
}

fn told_by<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ToldBy, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.split_once('=').map(|(claim, value)| (claim.trim(), value.trim())) {
        Some((claim, value)) if !claim.is_empty() && !value.is_empty() => {
            Ok(ToldBy::Claim(claim.to_owned(), value.to_owned()))
        }
        _ => Err(de::Error::custom("write the claim and its value, such as \"token_use=access\"")),
    }
}

fn user_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = format!("{text}x").parse::<UserId>().is_ok();
    if good { Ok(text) } else { Err(de::Error::custom(IdError::UserId)) }
}

fn permissions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Permissions, D::Error> {
    Ok(Vec::<Permission>::deserialize(deserializer)?.into_iter().collect())
}

/// One item of `claim_permissions`: a value of the claim, and the permission that it stands for.
struct ClaimPermission(String, Permission);

impl<'de> Deserialize<'de> for ClaimPermission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.rsplit_once('=').map(|(value, name)| (value.trim(), name.trim())) {
            Some((value, name)) if !value.is_empty() => {
                Ok(Self(value.to_owned(), name.parse().map_err(de::Error::custom)?))
            }
            _ => Err(de::Error::custom(
                "write a value of the claim and the permission that it stands for, such as \
                 \"vault:read=READ_INTEGRATIONS\"",
            )),
        }
    }
}

fn claim_permissions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Permissions>, D::Error> {
    let mut by_value: BTreeMap<String, Permissions> = BTreeMap::new();
    for ClaimPermission(value, permission) in Vec::deserialize(deserializer)? {
        let known = by_value.entry(value).or_default();
        *known = known.iter().chain([permission]).collect();
    }
    Ok(by_value)
}
