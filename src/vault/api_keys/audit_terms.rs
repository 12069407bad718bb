//! The limits and grants of an API key, and the changes of one, as their audit rows name them: fixed
//! words, ids, names of providers, and the hosts, methods and paths of grants.

use super::api_key::{ApiKey, KeyHolder};
use super::unmatched::Unmatched;
use crate::permission::Permission;
use crate::policy::{Approval, KeyGrant};

/// Returns the limits of a new key for its audit row; empty for a key without limits.
pub(super) fn limit_terms(key: &ApiKey) -> String {
    let providers = (!key.limits.providers().is_empty()).then(|| provider_terms(key));
    let credentials = (!key.limits.credentials().is_empty()).then(|| credential_terms(key));
    let unmatched = (key.unmatched != Unmatched::default()).then(|| unmatched_terms(key));
    providers.into_iter().chain(credentials).chain(unmatched).collect::<Vec<_>>().join(" ")
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
        (before.unmatched != after.unmatched).then(|| unmatched_terms(after)),
        (before.expires_at != after.expires_at).then(|| format!("expires:{}", expires())),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(" ")
}

/// Returns a grant with its effect and its terms, for the audit row. What it does not limit is left
/// out.
pub(super) fn grant_terms(grant: &KeyGrant) -> String {
    let allow = grant.allowance().copied().unwrap_or_default();
    let named = |word, items: Vec<String>| (!items.is_empty()).then(|| list(word, items));
    let effect = if grant.is_deny() { "deny" } else { "allow" };
    [
        Some(format!("grant:{} {effect}", grant.id)),
        named("providers", texts(&grant.providers)),
        named("credentials", texts(&grant.credentials)),
        named("hosts", texts(&grant.hosts)),
        named("methods", texts(&grant.methods)),
        named("paths", texts(&grant.paths)),
        allow.rate.map(|rate| format!("rate:{rate}")),
        allow.expires.map(|at| format!("expires:{at}")),
        (allow.approval == Approval::Always).then(|| "approval:always".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(" ")
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn provider_terms(key: &ApiKey) -> String {
    list("providers", key.limits.providers())
}

fn credential_terms(key: &ApiKey) -> String {
    list("credentials", key.limits.credentials())
}

fn unmatched_terms(key: &ApiKey) -> String {
    format!("unmatched:{}", key.unmatched.name())
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
