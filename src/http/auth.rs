//! Who calls: the API key, what it may do, and for whom. All of this before a byte of the body is read.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Uri, header};

use super::app::App;
use super::problem::{self, Problem};
use super::routes::pattern::Params;
use super::server::service::Arrival;
use crate::broker::{Administrator, Caller, TokenHolder};
use crate::id::{ApiKeyId, UserId};
use crate::permission::{Permission, Permissions};
use crate::vault::{Actor, ApiKey, AuditContext, KeyHolder};

/// The header in which a service key names its user.
pub(crate) const USER_HEADER: &str = "strongroom-user";

/// A request that reached its route, without its body.
pub(crate) struct Head {
    pub(crate) arrival: Arrival,
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
}

impl Head {
    /// The query, without its question mark.
    pub(crate) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

/// What is asked, by whom, before the body is read.
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) head: Arc<Head>,
}

impl Call {
    /// The value of the place with that number in the path.
    pub(crate) fn place(&self, index: usize) -> &str {
        self.head.params.get(index)
    }
}

/// The same of a route for who administers.
pub(crate) struct AdminCall {
    pub(crate) administrator: Administrator,
    pub(crate) head: Arc<Head>,
}

/// What the request proves: who acts, for whom, and what they may do.
pub(crate) struct Proof {
    holder: KeyHolder,
    permissions: Permissions,
    actor: Actor,
}

impl Proof {
    /// The API key's id, where it was one.
    pub(crate) fn key(&self) -> Option<ApiKeyId> {
        match self.actor {
            Actor::ApiKey(id) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn who(&self, arrival: Arrival) -> AuditContext {
        AuditContext { actor: self.actor.clone(), address: arrival.address, request_id: Some(arrival.id) }
    }

    fn permit(&self, needed: Permission) -> Result<(), Problem> {
        if self.permissions.contains(needed) {
            return Ok(());
        }
        let missing: Permissions = [needed].into_iter().collect();
        let detail = format!("Missing required permission(s): {missing}");
        Err(Problem::new(&problem::PERMISSION_MISSING, detail))
    }
}

impl From<Arc<ApiKey>> for Proof {
    fn from(key: Arc<ApiKey>) -> Self {
        Self { holder: key.holder.clone(), permissions: key.permissions, actor: Actor::ApiKey(key.id) }
    }
}

impl From<TokenHolder> for Proof {
    /// A token is one user's, as most API keys are.
    fn from(token: TokenHolder) -> Self {
        Self {
            holder: KeyHolder::User(token.user),
            permissions: token.permissions,
            actor: Actor::AccessToken(token.issuer),
        }
    }
}

/// Looks at the API key or access token that the request presents. Unknown, malformed, revoked and expired ones get one and
/// the same answer; from an address that presented too many of those it is 429, and a right one passes all the same.
pub(crate) async fn authenticate(app: &App, head: &Head) -> Result<Proof, Problem> {
    let proved = match presented(&head.headers) {
        Presented::Key(key) => app.vault().authenticate(key)?.map(Proof::from),
        Presented::Bearer(token) => match app.vault().authenticate(token)? {
            Some(key) => Some(key.into()),
            None => Box::pin(app.broker().access_token(token)).await.map(Proof::from),
        },
        Presented::Unreadable => None,
        Presented::Nothing => {
            let detail = "Missing authentication. Provide API key or access token.";
            let challenge = HeaderValue::from_static("Bearer");
            return Err(
                Problem::new(&problem::MISSING_AUTHENTICATION, detail).header(header::WWW_AUTHENTICATE, challenge)
            );
        }
    };
    if let Some(proof) = proved {
        return Ok(proof);
    }
    if let Err(wait) = app.failed_attempts().count(head.arrival.address) {
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
    /// Two different keys, or bytes that no key has.
    Unreadable,
    /// In the header that is for API keys alone.
    Key(&'h str),
    /// An API key, or an access token.
    Bearer(&'h str),
}

/// `X-API-Key` first and, where it is given, alone; an empty one counts as absent. Then `Authorization: Bearer`, the
/// scheme in any case (RFC 9110 §11.1).
fn presented(headers: &HeaderMap) -> Presented<'_> {
    let given = |name: &str| -> Vec<&HeaderValue> {
        headers.get_all(name).iter().filter(|value| !value.as_bytes().trim_ascii().is_empty()).collect()
    };
    let own = given("x-api-key");
    if !own.is_empty() {
        return single(&own, |value| Some(Presented::Key(value)));
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

/// Whether the caller may do this, and for whom it does it.
pub(crate) fn authorize(proof: &Proof, needed: Permission, head: &Head) -> Result<Caller, Problem> {
    proof.permit(needed)?;
    Ok(Caller { user: user(&proof.holder, &head.headers)?, who: proof.who(head.arrival) })
}

/// Whether the caller may administer, and whose things: those of the users that it may act for, of whom a service key may
/// name one.
pub(crate) fn administer(proof: &Proof, needed: Permission, head: &Head) -> Result<Administrator, Problem> {
    proof.permit(needed)?;
    let holder = match &proof.holder {
        all @ KeyHolder::Service { .. } if !head.headers.contains_key(USER_HEADER) => all.clone(),
        holder => KeyHolder::User(user(holder, &head.headers)?),
    };
    Ok(Administrator { holder, who: proof.who(head.arrival) })
}

/// For whom a request that may be refused asks: the user that it names, else the one of its key or token.
pub(crate) fn asked_for(proof: &Proof, headers: &HeaderMap) -> Option<UserId> {
    match (headers.get(USER_HEADER), &proof.holder) {
        (Some(named), _) => named.to_str().ok()?.parse().ok(),
        (None, KeyHolder::User(user)) => Some(user.clone()),
        (None, KeyHolder::Service { .. }) => None,
    }
}

/// The user of a key or a token of one user; for a service key the one that the request names.
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
                let detail = "The header Strongroom-User must hold one user id: 1 to 128 characters from A–Z a–z 0–9 . _ - @ : |";
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
    fn x_api_key_comes_first_and_alone() {
        let seen = |lines: &[_]| format!("{:?}", presented(&headers(lines)));
        assert_eq!(seen(&[]), "Nothing");
        assert_eq!(seen(&[("x-api-key", "a"), ("authorization", "Bearer b")]), "Key(\"a\")");
        assert_eq!(seen(&[("x-api-key", " "), ("authorization", "bEARER  b ")]), "Bearer(\"b\")");
        assert_eq!(seen(&[("x-api-key", "")]), "Nothing");
        assert_eq!(seen(&[("authorization", "Basic b")]), "Nothing");
        assert_eq!(seen(&[("authorization", "Bearer ")]), "Nothing");
        assert_eq!(seen(&[("authorization", "Bearer")]), "Nothing");
        assert_eq!(seen(&[("x-api-key", "a"), ("x-api-key", "b")]), "Unreadable");
    }

    #[test]
    fn a_service_key_names_its_user_and_no_other_key_does() {
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
