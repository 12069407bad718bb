//! n8n: what `export:credentials --decrypted` writes, a list of `{id, name, type, data}`.
//!
//! n8n has a type of credential for each service and each way to log in there, each with members of its own; `names/n8n.toml` says
//! which member is which secret. What has `oauthTokenData` is OAuth, whatever the type.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::document::{self, Document, secret, text, time};
use super::names::{self, Made, N8nTable};
use super::{FileFault, Found, FoundTokens, Item, Members, NotTaken, scopes, token};
use crate::clock::UnixTime;
use crate::secret::Secret;

const FORM: FileFault = FileFault::Form("n8n's: a JSON list of credentials, each with its id, name, type and data");

pub(super) fn items(bytes: &[u8]) -> Result<Vec<Item>, FileFault> {
    let documents = Document::all(bytes, "credentials").ok_or(FORM)?;
    let is_credential = |one: &Document| text(one.value(), "type").is_some() && one.value().get("data").is_some();
    if !documents.iter().all(is_credential) {
        return Err(FORM);
    }
    let table = names::n8n_table();
    Ok(documents.iter().map(|one| item(one.value(), &table)).collect())
}

fn item(value: &Value, table: &N8nTable) -> Item {
    let kind = text(value, "type").unwrap_or_default();
    let id = document::id(value, "id").unwrap_or_default();
    // Ids are small numbers in an old n8n: two of them have the same, made at different times.
    let made_at = text(value, "createdAt").map_or_else(String::new, |at| format!("@{at}"));
    let names = names::of_n8n(kind, table).into_iter().chain(Some(id.clone()).filter(|id| !id.is_empty())).collect();
    let title = text(value, "name").unwrap_or_default();
    Item::new(format!("n8n:{kind}/{id}{made_at}"), &id, None, title).called(kind, names).with(found(value, kind, table))
}

fn found(value: &Value, kind: &str, table: &N8nTable) -> Result<Found, NotTaken> {
    let data = match value.get("data") {
        Some(data @ Value::Object(_)) => data,
        Some(Value::String(_)) => return Err(NotTaken::Encrypted),
        _ => return Err(NotTaken::Member("data")),
    };
    if document::object(data, "oauthTokenData").is_some() || data.get("accessTokenUrl").is_some() {
        return tokens(data, time(value, "updatedAt")).map(|tokens| Found::OAuth2(Box::new(tokens)));
    }
    let how = table.types.get(kind);
    if how.is_some_and(|how| how.made == Made::OAuth2) || kind.ends_with("OAuth2Api") || kind.ends_with("OAuth2") {
        return Err(NotTaken::NeverConnected);
    }
    match how {
        Some(how) => as_the_table_says(data, how),
        None => lone_key(data, &table.key_members)
            .map(|key| Found::ApiKey { parts: vec![key], expires_at: None })
            .ok_or_else(|| NotTaken::of_kind(kind)),
    }
}

fn as_the_table_says(data: &Value, how: &names::N8nType) -> Result<Found, NotTaken> {
    let parts = || how.members.iter().map(|name| secret(data, name)).collect::<Option<Vec<_>>>();
    let parts = parts().ok_or(NotTaken::Member("one of its secrets"))?;
    Ok(match (how.made, &parts[..]) {
        (Made::ApiKey, _) => Found::ApiKey { parts, expires_at: None },
        (Made::UserPassword, [username, password]) => {
            Found::UserPassword { username: username.clone(), password: password.clone() }
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
        _ => return Err(NotTaken::Member("one of its secrets")),
    })
}

/// A header goes to one host; the file says which where the credential was restricted to one.
fn header(data: &Value, name: &str, value: Secret) -> Found {
    let only = text(data, "allowedHttpRequestDomains") == Some("domains");
    let host = text(data, "allowedDomains").map(str::trim).filter(|host| only && !host.contains([',', ' ']));
    Found::HostScoped { host: host.map(str::to_owned), headers: BTreeMap::from([(name.to_owned(), value)]) }
}

/// The key of a type that the table does not know, where there is no doubt which member it is.
fn lone_key(data: &Value, members: &[String]) -> Option<Secret> {
    let mut keys = members.iter().filter_map(|name| secret(data, name));
    let key = keys.next()?;
    keys.next().is_none().then_some(key)
}

fn tokens(data: &Value, changed_at: Option<UnixTime>) -> Result<FoundTokens, NotTaken> {
    let answer = document::object(data, "oauthTokenData").cloned().map(Members).unwrap_or_default();
    let member = |name: &str| answer.0.get(name).and_then(Value::as_str);
    let access_token = token(member("access_token"), "access_token")?.ok_or(NotTaken::NeverConnected)?;
    let refresh_token = token(member("refresh_token"), "refresh_token")?;
    let by_itself = text(data, "grantType") == Some("clientCredentials");
    let lifetime = answer.0.get("expires_in").and_then(|life| life.as_i64().or_else(|| life.as_str()?.parse().ok()));
    // n8n does not keep when a token came. It was there when the credential last changed; what can be refreshed is, at
    // its first use, and what cannot is believed for as long as it may last.
    let renewable = refresh_token.is_some() || by_itself;
    let expires_at =
        changed_at.zip(lifetime).map(|(at, life)| if renewable { at } else { UnixTime(at.0.saturating_add(life)) });
    Ok(FoundTokens {
        access_token,
        refresh_token,
        token_type: member("token_type").map(super::shown),
        scopes: scopes(member("scope").or_else(|| text(data, "scope"))),
        username: None,
        client_id: text(data, "clientId").map(str::to_owned),
        own_client: if by_itself { secret(data, "clientSecret") } else { None },
        expires_at,
        refresh_expires_at: None,
        values: strings(data),
        members: answer,
    })
}

/// What may be a value for a URL: a subdomain, a shop, a region.
fn strings(data: &Value) -> BTreeMap<String, String> {
    const VALUES: [&str; 10] =
        ["subdomain", "shopSubdomain", "domain", "host", "server", "url", "region", "environment", "account", "tenant"];
    VALUES.iter().filter_map(|name| Some(((*name).to_owned(), text(data, name)?.to_owned()))).collect()
}
