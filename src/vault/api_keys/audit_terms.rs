//! The limits of an API key, and the changes of one, as their audit rows name them: fixed words, ids
//! and names of providers.

use super::api_key::{ApiKey, KeyHolder};
use crate::permission::Permission;

/// Returns the limits of a new key for its audit row; empty for a key without limits.
pub(super) fn limit_terms(key: &ApiKey) -> String {
    let providers = (!key.limits.providers().is_empty()).then(|| provider_terms(key));
    let credentials = (!key.limits.credentials().is_empty()).then(|| credential_terms(key));
    providers.into_iter().chain(credentials).collect::<Vec<_>>().join(" ")
}

/// Returns what changed, for the audit row. Names are the operator's text and are left out.
pub(super) fn changed_terms(before: &ApiKey, after: &ApiKey) -> String {
    let expires = || after.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let permissions = || list("permissions", after.permissions.iter().map(Permission::name));
    [
        (before.name != after.name).then(|| "name".to_owned()),
        (before.holder != after.holder).then(|| user_terms(&after.holder)),
        (before.permissions != after.permissions).then(permissions),
        (before.limits.providers() != after.limits.providers()).then(|| provider_terms(after)),
        (before.limits.credentials() != after.limits.credentials()).then(|| credential_terms(after)),
        (before.grants.grants_only != after.grants.grants_only)
            .then(|| format!("grants-only:{}", after.grants.grants_only)),
        (before.expires_at != after.expires_at).then(|| format!("expires:{}", expires())),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(" ")
}

fn provider_terms(key: &ApiKey) -> String {
    list("providers", key.limits.providers())
}

fn credential_terms(key: &ApiKey) -> String {
    list("credentials", key.limits.credentials())
}

fn user_terms(holder: &KeyHolder) -> String {
    match holder {
        KeyHolder::User(user) => list("users", [user]),
        KeyHolder::Service { users } => list("users", users),
    }
}

fn list<T: ToString>(word: &str, items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("{word}:{}", if items.is_empty() { "all".to_owned() } else { items.join(",") })
}
