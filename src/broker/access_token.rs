//! Access tokens (RFC 9068) of trusted OpenID providers, as an alternative to API keys.

use std::sync::Arc;

use super::caller::Authenticated;
use crate::clock::{Clock, UnixTime};
use crate::config::{Config, ToldBy, TrustedIssuer};
use crate::egress::Egress;
use crate::id::IssuerName;
use crate::jose::{self, ClaimError, Claims, ExpectedClaims, Verified};
use crate::oauth::{IssuerKeys, VerifyError};
use crate::permission::{Permission, Permissions};
use crate::vault::{Actor, CheckedState, KeyHolder};

/// Trusted issuers of the configuration, with their keys.
pub(super) struct TrustedIssuers(Vec<(IssuerName, TrustedIssuer, IssuerKeys)>);

impl TrustedIssuers {
    pub(super) fn new(config: &Config, egress: &Egress, clock: &Clock) -> Self {
        let keys = |rule: &TrustedIssuer| IssuerKeys::new(&rule.iss, egress.clone(), clock.clone());
        let issuers = config.trusted_issuers.iter().map(|(name, rule)| (name.clone(), rule.clone(), keys(rule)));
        Self(issuers.collect())
    }

    /// Returns the holder of the access token; `None` if no trusted issuer signed it or it is
    /// invalid. The log has the reason.
    pub(super) async fn holder(&self, token: &str, now: UnixTime) -> Option<Authenticated> {
        let issuer = jose::claimed_issuer(token)?;
        let (name, rule, keys) = self.0.iter().find(|(_, rule, _)| rule.iss == issuer)?;
        let outcome = match keys.verify(token, &rule.algorithms).await {
            Ok(verified) => holder(name, rule, &verified, now),
            Err(fault) => Err(fault.into()),
        };
        outcome.map_err(|error| tracing::info!(issuer = %name, %error, "rejected an access token")).ok()
    }
}

/// Reason to reject an access token. It contains nothing of the token. Callers get one answer for
/// all reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Wrong issuer, wrong audience, expired or not valid yet.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Not a JWT, or not signed by its issuer.
    #[error(transparent)]
    Unverified(#[from] VerifyError),
    /// An ID token, or a token that cannot be told apart from one.
    #[error("the token is not marked as an access token")]
    NotAnAccessToken,
    /// The claim that names the user is missing or is not a user id.
    #[error("the claim '{0}', after user_prefix, is not a user id: 1 to 255 visible ASCII characters without *")]
    User(String),
}

/// Reads a token whose signature was verified.
pub(super) fn holder(
    name: &IssuerName,
    rule: &TrustedIssuer,
    token: &Verified,
    now: UnixTime,
) -> Result<Authenticated, Refused> {
    let claims = &token.claims;
    let is_for = |audience: &String| ExpectedClaims { issuer: &rule.iss, audience, now }.check(claims);
    let checked: Vec<Result<(), ClaimError>> = rule.audience.iter().map(is_for).collect();
    if !checked.contains(&Ok(())) {
        return Err(checked.into_iter().find_map(Result::err).unwrap_or(ClaimError::Audience).into());
    }
    let is_access_token = match &rule.told_by {
        ToldBy::Type => token.kind.as_deref() == Some("at+jwt"),
        ToldBy::Claim(claim, value) => claims.0.get(claim).and_then(serde_json::Value::as_str) == Some(value),
    };
    if !is_access_token {
        return Err(Refused::NotAnAccessToken);
    }
    let user = claims.0.get(&rule.user_claim).and_then(serde_json::Value::as_str).filter(|user| !user.is_empty());
    let user = user.and_then(|user| format!("{}{user}", rule.user_prefix).parse().ok());
    let user = user.ok_or_else(|| Refused::User(rule.user_claim.clone()))?;
    Ok(Authenticated {
        holder: KeyHolder::User(user),
        permissions: permissions(rule, claims),
        limits: Arc::default(),
        actor: Actor::AccessToken(name.clone()),
        expires_at: claims.time("exp")?.map(UnixTime),
        state: CheckedState::default(),
    })
}

/// Returns the permissions that the configuration gives to every token of the issuer, and those
/// that the token's own claim names or maps to. Unknown values are ignored.
fn permissions(rule: &TrustedIssuer, claims: &Claims) -> Permissions {
    let values: Vec<&str> = match claims.0.get(&rule.permissions_claim) {
        Some(serde_json::Value::String(text)) => text.split(' ').collect(),
        Some(serde_json::Value::Array(list)) => list.iter().filter_map(serde_json::Value::as_str).collect(),
        _ => Vec::new(),
    };
    let named = values.iter().filter_map(|value| value.parse::<Permission>().ok());
    let mapped = values.iter().filter_map(|value| rule.claim_permissions.get(*value)).flat_map(|some| some.iter());
    rule.permissions.iter().chain(named).chain(mapped).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::jose::Algorithm;

    fn rule(more: &str) -> TrustedIssuer {
        let text = format!(
            "[trusted_issuers.corp]\nissuer = \"https://login.example.com\"\naudience = [\"vault\", \"urn:vault\"]\n{more}"
        );
        let mut config = Config::from_toml(&text, std::path::Path::new("/nowhere")).unwrap();
        config.trusted_issuers.remove(&"corp".parse().unwrap()).unwrap()
    }

    fn token(kind: &str, change: &Value) -> Verified {
        let mut claims = json!({"iss": "https://login.example.com", "aud": "vault", "sub": "ann", "exp": 2000});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let Value::Object(claims) = claims else { unreachable!("an object was written") };
        Verified { kind: Some(kind.to_owned()), algorithm: Algorithm::Es256, claims: Claims(claims) }
    }

    fn read(more: &str, kind: &str, change: &Value) -> Result<Authenticated, Refused> {
        holder(&"corp".parse().unwrap(), &rule(more), &token(kind, change), UnixTime(1000))
    }

    #[test]
    fn token_names_its_user() {
        let user = |name: &str| KeyHolder::User(name.parse().unwrap());
        let found = read("", "at+jwt", &json!({"scope": "openid READ_INTEGRATIONS profile"})).unwrap();
        assert_eq!((found.holder, found.permissions.to_string().as_str()), (user("ann"), "READ_INTEGRATIONS"));
        assert_eq!(found.actor, Actor::AccessToken("corp".parse().unwrap()));
        let of_several = json!({"aud": ["others", "urn:vault"]});
        assert!(read("", "at+jwt", &of_several).unwrap().permissions.is_empty());
        let other = read("user_claim = \"oid\"\nuser_prefix = \"corp|\"", "at+jwt", &json!({"oid": "7"})).unwrap();
        assert_eq!(other.holder, user("corp|7"));
        let base64 = "q+Zr/8==~".to_owned() + &"x".repeat(246);
        assert_eq!(read("", "at+jwt", &json!({"sub": base64})).unwrap().holder, user(&base64));
        let too_long = read("user_prefix = \"corp|\"", "at+jwt", &json!({"sub": base64}));
        assert_eq!(too_long.unwrap_err(), Refused::User("sub".into()), "it is not cut");
    }

    #[test]
    fn permissions_come_from_configuration_and_claims() {
        let more = "permissions = [\"READ_INTEGRATIONS\"]\npermissions_claim = \"roles\"\n\
                    claim_permissions = [\"vault user=USE_INTEGRATIONS\", \"boss=ADMIN\"]";
        let permissions =
            |roles: Value| read(more, "at+jwt", &json!({"roles": roles})).unwrap().permissions.to_string();
        assert_eq!(
            permissions(json!(["vault user", "DELETE_INTEGRATIONS", "x", 1])),
            "READ_INTEGRATIONS, DELETE_INTEGRATIONS, USE_INTEGRATIONS"
        );
        assert_eq!(permissions(json!("boss admin")), "READ_INTEGRATIONS, ADMIN");
        assert_eq!(permissions(json!({"boss": true})), "READ_INTEGRATIONS");
    }

    #[test]
    fn foreign_tokens_and_id_tokens_are_rejected() {
        let at = "at+jwt";
        for (kind, change, refused) in [
            (at, json!({"iss": "https://login.example.com/"}), Refused::Claim(ClaimError::Issuer)),
            (at, json!({"aud": "vault2"}), Refused::Claim(ClaimError::Audience)),
            (at, json!({"aud": []}), Refused::Claim(ClaimError::Malformed("aud"))),
            (at, json!({"exp": 900}), Refused::Claim(ClaimError::Expired)),
            (at, json!({"exp": null}), Refused::Claim(ClaimError::Malformed("exp"))),
            (at, json!({"nbf": 1500}), Refused::Claim(ClaimError::NotYet)),
            (at, json!({"sub": "a b"}), Refused::User("sub".into())),
            (at, json!({"sub": ""}), Refused::User("sub".into())),
            (at, json!({"sub": "x".repeat(256)}), Refused::User("sub".into())),
            (at, json!({"sub": "a*"}), Refused::User("sub".into())),
            (at, json!({"sub": "jürgen"}), Refused::User("sub".into())),
            (at, json!({"sub": 1}), Refused::User("sub".into())),
            ("jwt", json!({}), Refused::NotAnAccessToken),
            ("id_token", json!({"nonce": "n"}), Refused::NotAnAccessToken),
        ] {
            assert_eq!(read("", kind, &change).unwrap_err(), refused, "{kind} {change}");
        }
        let told = "access_token_claim = \"token_use=access\"";
        assert!(read(told, "jwt", &json!({"token_use": "access"})).is_ok());
        for id_token in [json!({"token_use": "id"}), json!({"token_use": true}), json!({})] {
            assert_eq!(read(told, at, &id_token).unwrap_err(), Refused::NotAnAccessToken, "{id_token}");
        }
    }
}
