//! Authenticates and authorises a request: its API key or access token, the permission, and the
//! user that it acts for. All of this happens before a byte of the body is read.

use http::{HeaderMap, HeaderValue, header};

use super::auth_rate_limit::FailedAttempts;
use super::problem::{self, Problem};
use super::request::context::{RequestContext, RequestHead};
use crate::broker::{Actor, Administrator, ApprovalReader, AuditContext, Authenticated, Broker, Caller, KeyHolder};
use crate::id::{ApiKeyId, UserId};
use crate::permission::{Permission, Permissions};

/// Header in which a service key names its user.
pub(crate) const USER_HEADER: &str = "strongroom-user";

/// A party that a route acts for, once the permission of the route was checked.
pub(crate) trait Authorize: Sized + Send + 'static {
    /// Returns the party, or the problem that keeps the request from it.
    fn authorize(authenticated: &Authenticated, needed: Permission, head: &RequestHead) -> Result<Self, Problem>;
}

impl Authorize for Caller {
    /// One user: the one of the key or token, or the one that a service key names.
    fn authorize(authenticated: &Authenticated, needed: Permission, head: &RequestHead) -> Result<Self, Problem> {
        authenticated.require(needed)?;
        let user = user(&authenticated.holder, &head.headers)?;
        let who = authenticated.audit_context(&head.context);
        let (limits, state) = (authenticated.limits.clone(), authenticated.state.clone());
        Ok(Self { user, who, limits, expires_at: authenticated.expires_at, state })
    }
}

impl Authorize for Administrator {
    /// All users that the key may act for; a service key may name one of them.
    fn authorize(authenticated: &Authenticated, needed: Permission, head: &RequestHead) -> Result<Self, Problem> {
        authenticated.require(needed)?;
        let holder = match &authenticated.holder {
            all @ KeyHolder::Service { .. } if !head.headers.contains_key(USER_HEADER) => all.clone(),
            holder => KeyHolder::User(user(holder, &head.headers)?),
        };
        Ok(Self { holder, who: authenticated.audit_context(&head.context), limits: authenticated.limits.clone() })
    }
}

impl Authorize for ApprovalReader {
    /// An administrator, or an API key without this permission, which may read its own requests.
    fn authorize(authenticated: &Authenticated, needed: Permission, head: &RequestHead) -> Result<Self, Problem> {
        let administrator = if authenticated.permissions.contains(needed) {
            Some(Administrator::authorize(authenticated, needed, head)?)
        } else {
            None
        };
        Ok(Self { administrator, key: authenticated.api_key() })
    }
}

impl Authenticated {
    /// Returns the id of the API key, if the request was authenticated by one.
    pub(crate) fn api_key(&self) -> Option<ApiKeyId> {
        match self.actor {
            Actor::ApiKey(id) => Some(id),
            _ => None,
        }
    }

    /// Returns the name of the party that takes a share of the server's resources: the API key, or
    /// the user of an access token.
    pub(crate) fn share_name(&self) -> String {
        match &self.holder {
            KeyHolder::User(user) => share_name(&self.actor, user),
            KeyHolder::Service { .. } => self.actor.to_string(),
        }
    }

    /// Returns the actor, address and request id for the audit log.
    pub(crate) fn audit_context(&self, context: &RequestContext) -> AuditContext {
        AuditContext { actor: self.actor.clone(), address: context.address, request_id: Some(context.id) }
    }

    /// Returns the user that the request is about, for the audit row of a denied one: the user that
    /// it names, else the user of the key or token.
    pub(crate) fn intended_user(&self, headers: &HeaderMap) -> Option<UserId> {
        match (headers.get(USER_HEADER), &self.holder) {
            (Some(named), _) => named.to_str().ok()?.parse().ok(),
            (None, KeyHolder::User(user)) => Some(user.clone()),
            (None, KeyHolder::Service { .. }) => None,
        }
    }

    fn require(&self, needed: Permission) -> Result<(), Problem> {
        if self.permissions.contains(needed) {
            return Ok(());
        }
        let missing: Permissions = [needed].into_iter().collect();
        let detail = format!("Missing required permission(s): {missing}");
        Err(Problem::new(&problem::PERMISSION_MISSING, detail))
    }
}

impl Caller {
    /// Returns the name of the party that takes a share of the server's resources.
    pub(crate) fn share_name(&self) -> String {
        share_name(&self.who.actor, &self.user)
    }
}

/// An API key has one share. All access tokens of an issuer are one actor, so that each of its
/// users has a share.
fn share_name(actor: &Actor, user: &UserId) -> String {
    match actor {
        Actor::AccessToken(_) => format!("{actor} {user}"),
        _ => actor.to_string(),
    }
}

/// Checks the API key or access token of a request.
///
/// Unknown, malformed, revoked and expired ones all get the same answer. An address that presented
/// too many of them gets 429 instead; a valid one passes from there too.
pub(crate) async fn authenticate(
    broker: &Broker,
    failed_attempts: &FailedAttempts,
    head: &RequestHead,
) -> Result<Authenticated, Problem> {
    let found = match presented(&head.headers) {
        Presented::ApiKey(key) => broker.authenticate_key(key)?,
        Presented::Bearer(text) => broker.authenticate_bearer(text).await?,
        Presented::Unreadable => None,
        Presented::Nothing => {
            let detail = "Missing authentication. Provide API key or access token.";
            let challenge = HeaderValue::from_static("Bearer");
            return Err(
                Problem::new(&problem::MISSING_AUTHENTICATION, detail).header(header::WWW_AUTHENTICATE, challenge)
            );
        }
    };
    if let Some(authenticated) = found {
        return Ok(authenticated);
    }
    if let Err(wait) = failed_attempts.count(head.context.address) {
        let detail = "Too many requests with an invalid API key from this address.";
        return Err(Problem::new(&problem::RATE_LIMITED, detail).retry_after(wait));
    }
    // RFC 6750 §3.1.
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    Err(Problem::new(&problem::INVALID_API_KEY, "Invalid API key").header(header::WWW_AUTHENTICATE, challenge))
}

#[derive(Debug, PartialEq, Eq)]
enum Presented<'h> {
    Nothing,
    /// Two values, or bytes that are not ASCII.
    Unreadable,
    /// The value of `X-API-Key`.
    ApiKey(&'h str),
    /// A bearer: an API key or an access token.
    Bearer(&'h str),
}

/// Reads `X-API-Key`, and `Authorization: Bearer` only if that header is absent or empty. The
/// scheme may be in any case (RFC 9110 §11.1).
fn presented(headers: &HeaderMap) -> Presented<'_> {
    let given = |name: &str| -> Vec<&HeaderValue> {
        headers.get_all(name).iter().filter(|value| !value.as_bytes().trim_ascii().is_empty()).collect()
    };
    let own = given("x-api-key");
    if !own.is_empty() {
        return single(&own, |value| Some(Presented::ApiKey(value)));
    }
    single(&given("authorization"), |value| {
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(Presented::Bearer(token))
    })
}

fn single<'h>(values: &[&'h HeaderValue], read: impl Fn(&'h str) -> Option<Presented<'h>>) -> Presented<'h> {
    match values {
        [] => Presented::Nothing,
        [value] => match value.to_str() {
            Ok(text) => read(text.trim()).unwrap_or(Presented::Nothing),
            Err(_) => Presented::Unreadable,
        },
        _ => Presented::Unreadable,
    }
}

/// Returns the user of a key or token of one user, or the user that a service key names in its
/// header.
fn user(holder: &KeyHolder, headers: &HeaderMap) -> Result<UserId, Problem> {
    let mut named = headers.get_all(USER_HEADER).iter();
    let (first, more) = (named.next(), named.next().is_some());
    match (holder, first) {
        (KeyHolder::User(user), None) => Ok(user.clone()),
        (KeyHolder::User(_), Some(_)) => {
            let detail = "This API key or token belongs to one user: the header Strongroom-User is for service keys.";
            Err(Problem::new(&problem::USER_NOT_NAMEABLE, detail))
        }
        (KeyHolder::Service { .. }, None) => {
            let detail = "A service key must name the user it acts for in the header Strongroom-User.";
            Err(Problem::new(&problem::USER_REQUIRED, detail))
        }
        (KeyHolder::Service { .. }, Some(value)) => {
            let user = value.to_str().ok().filter(|_| !more).and_then(|text| text.parse::<UserId>().ok());
            let malformed = || {
                let detail = "The header Strongroom-User must hold one user id: 1 to 255 visible ASCII characters, without spaces and *";
                Problem::new(&problem::USER_MALFORMED, detail)
            };
            let user = user.ok_or_else(malformed)?;
            if holder.acts_for(&user) {
                Ok(user)
            } else {
                Err(Problem::new(&problem::USER_NOT_ALLOWED, "This API key may not act for this user."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn x_api_key_takes_precedence() {
        let seen = |lines: &[_]| format!("{:?}", presented(&headers(lines)));
        assert_eq!(seen(&[]), "Nothing");
        assert_eq!(seen(&[("x-api-key", "a"), ("authorization", "Bearer b")]), "ApiKey(\"a\")");
        assert_eq!(seen(&[("x-api-key", " "), ("authorization", "bEARER  b ")]), "Bearer(\"b\")");
        assert_eq!(seen(&[("x-api-key", "")]), "Nothing");
        assert_eq!(seen(&[("authorization", "Basic b")]), "Nothing");
        assert_eq!(seen(&[("authorization", "Bearer ")]), "Nothing");
        assert_eq!(seen(&[("authorization", "Bearer")]), "Nothing");
        assert_eq!(seen(&[("x-api-key", "a"), ("x-api-key", "b")]), "Unreadable");
    }

    #[test]
    fn only_service_keys_name_their_user() {
        let own = KeyHolder::User("me".parse().unwrap());
        let team = KeyHolder::Service { users: vec!["team-*".parse().unwrap()] };
        let outcome = |holder, lines: &[_]| match user(holder, &headers(lines)) {
            Ok(user) => user.to_string(),
            Err(problem) => problem.kind().uri.to_owned(),
        };
        assert_eq!(outcome(&own, &[]), "me");
        assert_eq!(outcome(&own, &[(USER_HEADER, "me")]), "/problems/user-not-nameable");
        assert_eq!(outcome(&team, &[]), "/problems/user-required");
        assert_eq!(outcome(&team, &[(USER_HEADER, "team-1")]), "team-1");
        assert_eq!(outcome(&team, &[(USER_HEADER, "other")]), "/problems/user-not-allowed");
        assert_eq!(outcome(&team, &[(USER_HEADER, "team 1")]), "/problems/user-malformed");
        assert_eq!(outcome(&team, &[(USER_HEADER, "team-1"), (USER_HEADER, "team-2")]), "/problems/user-malformed");
    }
}
