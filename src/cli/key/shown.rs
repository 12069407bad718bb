//! An API key as a table, a message and JSON show it.

use serde_json::{Value, json};

use crate::broker::{ApiKey, KeyHolder, Unmatched, UserPattern};
use crate::clock::UnixTime;
use crate::id::ProviderName;

/// Describes the users that a key may act for.
pub(super) fn holder_text(holder: &KeyHolder) -> String {
    match holder {
        KeyHolder::User(user) => format!("user {user}"),
        KeyHolder::Service { users } if users.is_empty() => "any user".to_owned(),
        KeyHolder::Service { users } => {
            format!("users {}", users.iter().map(UserPattern::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Describes the limits; `None` if the key has no limits.
pub(super) fn limits_text(key: &ApiKey) -> Option<String> {
    let providers: Vec<&str> = key.limits.providers().iter().map(ProviderName::as_str).collect();
    let credentials: Vec<String> = key.limits.credentials().iter().map(ToString::to_string).collect();
    let grants = key.grants.grants_only.then(|| format!("{} grants", key.grants.grants.len()));
    let named = [("providers", providers.join(", ")), ("credentials", credentials.join(", "))];
    let texts = named.into_iter().filter(|(_, list)| !list.is_empty()).map(|(kind, list)| format!("{kind} {list}"));
    let texts: Vec<String> = texts.chain(grants).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Describes the permissions of a key with their limits, and the treatment of other hosts.
pub(super) fn rights_text(key: &ApiKey) -> String {
    let limited = limits_text(key).map(|text| format!(", limited to {text}")).unwrap_or_default();
    let tunnels = if key.unmatched == Unmatched::Tunnel { ", with tunnels to other hosts" } else { "" };
    format!("{}{limited}{tunnels}", key.permissions)
}

/// Describes the end of a key.
pub(super) fn expiry_text(expires_at: Option<UnixTime>) -> String {
    expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

/// Returns an API key as JSON, without its text.
pub(super) fn listed(key: &ApiKey, now: UnixTime) -> Value {
    let (user, users) = match &key.holder {
        KeyHolder::User(user) => (Some(user), &[][..]),
        KeyHolder::Service { users } => (None, &users[..]),
    };
    json!({
        "id": key.id,
        "name": key.name,
        "user": user,
        "service": user.is_none(),
        "users": users.iter().map(UserPattern::as_str).collect::<Vec<_>>(),
        "permissions": key.permissions.iter().collect::<Vec<_>>(),
        "providers": key.limits.providers(),
        "credentials": key.limits.credentials(),
        "grants_only": key.grants.grants_only,
        "unmatched": key.unmatched.name(),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "status": status(key, now),
    })
}

/// Returns the state in one word.
pub(super) fn status(key: &ApiKey, now: UnixTime) -> &'static str {
    match key.revoked_at {
        Some(_) => "revoked",
        None if key.is_live(now) => "active",
        None => "expired",
    }
}
