//! n8n: the output of `export:credentials --decrypted`, a list of `{id, name, type, data}`.
//!
//! n8n has a credential type for each service and login method, each with its own members.
//! `names/n8n.toml` says which member is which secret. `oauthTokenData` means OAuth in every type.
//! n8n evaluates every value that begins with `=`, so such a value is never the secret itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::document::{self, text, time};
use super::entries::{Allowance, Collector};
use super::item::{FileError, Item, ItemError, ItemSecret, ItemTokens, Members, scopes, shown, token};
use super::names::{self, Made, N8nTable};
use crate::clock::UnixTime;
use crate::secret::Secret;

const FORM: FileError =
    FileError::Form("in n8n's format: credentials with id, name, type and data, in a JSON list or one after the other");

pub(super) fn items(bytes: &[u8], allowance: &mut Allowance) -> Result<Vec<Item>, FileError> {
    let table = names::n8n_table();
    let mut collector = Collector::new(allowance);
    collector.add_json(bytes, "credentials", |value| item(value, &table).map(Some))?;
    collector.finish(FORM)
}

fn item(value: &Value, table: &N8nTable) -> Option<Item> {
    let kind = text(value, "type").filter(|_| value.get("data").is_some())?;
    let id = document::id(value, "id").unwrap_or_default();
    // Old versions of n8n number their credentials, so two instances have equal ids. The creation
    // time tells them apart.
    let made_at = text(value, "createdAt").map_or_else(String::new, |at| format!("@{at}"));
    let names = names::of_n8n(kind, table).into_iter().chain(Some(id.clone()).filter(|id| !id.is_empty())).collect();
    let title = text(value, "name").unwrap_or_default();
    let item = Item::new(format!("n8n:{kind}/{id}{made_at}"), &id, None, title).called(kind, names);
    Some(item.with(found(value, kind, table)))
}

fn found(value: &Value, kind: &str, table: &N8nTable) -> Result<ItemSecret, ItemError> {
    let data = match value.get("data") {
        Some(data @ Value::Object(_)) => data,
        Some(Value::String(_)) => return Err(ItemError::Encrypted),
        _ => return Err(ItemError::Member("data")),
    };
    if document::object(data, "oauthTokenData").is_some() || data.get("accessTokenUrl").is_some() {
        return tokens(data, time(value, "updatedAt")?).map(|tokens| ItemSecret::OAuth2(Box::new(tokens)));
    }
    let how = table.types.get(kind);
    if how.is_some_and(|how| how.made == Made::OAuth2) || kind.ends_with("OAuth2Api") || kind.ends_with("OAuth2") {
        return Err(ItemError::NeverConnected);
    }
    match how {
        Some(how) => as_the_table_says(data, how),
        None => lone_key(data, &table.key_members)?
            .map(|key| ItemSecret::ApiKey { parts: vec![key], expires_at: None })
            .ok_or_else(|| ItemError::of_kind(kind)),
    }
}

fn as_the_table_says(data: &Value, how: &names::N8nType) -> Result<ItemSecret, ItemError> {
    let parts = how.members.iter().map(|name| secret(data, name)).collect::<Result<Option<Vec<_>>, _>>()?;
    let parts = parts.ok_or(ItemError::Member("one of its secrets"))?;
    Ok(match (how.made, &parts[..]) {
        (Made::ApiKey, _) => ItemSecret::ApiKey { parts, expires_at: None },
        (Made::UserPassword, [username, password]) => {
            ItemSecret::UserPassword { username: username.clone(), password: password.clone() }
        }
        (Made::Header, [name, value]) => header(data, name.expose(), value.clone()),
        (Made::Bearer, [token]) => {
            let value = Zeroizing::new(format!("Bearer {}", token.expose()));
            header(data, "Authorization", Secret::new(value.as_str()))
        }
        (Made::Basic, [username, password]) => {
            let pair = Zeroizing::new(format!("{}:{}", username.expose(), password.expose()));
            let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            header(data, "Authorization", Secret::new(value.as_str()))
        }
        _ => return Err(ItemError::Member("one of its secrets")),
    })
}

/// Returns a header for one host, which the file names if the credential was restricted to one.
fn header(data: &Value, name: &str, value: Secret) -> ItemSecret {
    let only = text(data, "allowedHttpRequestDomains") == Some("domains");
    let host = constant(data, "allowedDomains").map(str::trim).filter(|host| only && !host.contains([',', ' ']));
    ItemSecret::HostScoped { host: host.map(str::to_owned), headers: BTreeMap::from([(name.to_owned(), value)]) }
}

/// Returns the key of an unlisted type, if only one member can be it.
fn lone_key(data: &Value, members: &[String]) -> Result<Option<Secret>, ItemError> {
    let keys = members.iter().filter_map(|name| secret(data, name).transpose()).collect::<Result<Vec<_>, _>>()?;
    Ok(<[Secret; 1]>::try_from(keys).ok().map(|[key]| key))
}

/// Returns a member that is a secret. An expression is an error.
fn secret(data: &Value, name: &str) -> Result<Option<Secret>, ItemError> {
    match text(data, name) {
        Some(value) if is_expression(value) => Err(ItemError::Placeholder(name.to_owned())),
        _ => Ok(document::secret(data, name)),
    }
}

/// Returns a member that is a text and not an expression.
fn constant<'v>(data: &'v Value, name: &str) -> Option<&'v str> {
    text(data, name).filter(|value| !is_expression(value))
}

fn is_expression(value: &str) -> bool {
    value.starts_with('=')
}

fn tokens(data: &Value, changed_at: Option<UnixTime>) -> Result<ItemTokens, ItemError> {
    let answer = document::object(data, "oauthTokenData").cloned().map(Members).unwrap_or_default();
    let member = |name: &str| answer.0.get(name).and_then(Value::as_str);
    let constant_token = |name: &'static str| match member(name) {
        Some(value) if is_expression(value) => Err(ItemError::Placeholder(name.to_owned())),
        value => token(value, name),
    };
    let access_token = constant_token("access_token")?.ok_or(ItemError::NeverConnected)?;
    let refresh_token = constant_token("refresh_token")?;
    let by_itself = text(data, "grantType") == Some("clientCredentials");
    let lifetime = answer.0.get("expires_in").and_then(|life| life.as_i64().or_else(|| life.as_str()?.parse().ok()));
    // n8n does not store when a token was issued; it existed when the credential was last changed.
    // A refreshable token is refreshed at its first use, and any other counts as valid for its
    // lifetime.
    let renewable = refresh_token.is_some() || by_itself;
    let expires_at =
        changed_at.zip(lifetime).map(|(at, life)| if renewable { at } else { UnixTime(at.0.saturating_add(life)) });
    Ok(ItemTokens {
        access_token,
        refresh_token,
        token_type: member("token_type").map(shown),
        scopes: scopes(member("scope").or_else(|| constant(data, "scope"))),
        username: None,
        client_id: constant(data, "clientId").map(str::to_owned),
        own_client: if by_itself { secret(data, "clientSecret")? } else { None },
        expires_at,
        refresh_expires_at: None,
        values: strings(data),
        members: answer,
    })
}

/// Returns possible values for placeholders in URLs: a subdomain, a shop, a region.
fn strings(data: &Value) -> BTreeMap<String, String> {
    const VALUES: [&str; 10] =
        ["subdomain", "shopSubdomain", "domain", "host", "server", "url", "region", "environment", "account", "tenant"];
    VALUES.iter().filter_map(|name| Some(((*name).to_owned(), constant(data, name)?.to_owned()))).collect()
}
