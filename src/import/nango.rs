//! Nango: connections as `GET /connection/{id}` gives them, with `credentials` in them, one or many.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{self, Document, secret, text, time};
use super::names;
use super::{FileFault, Found, FoundTokens, Item, Members, NotTaken, scopes, token};

const FORM: FileFault = FileFault::Form("Nango's: neither a connection, nor several as a JSON list or line by line");

pub(super) fn items(bytes: &[u8]) -> Result<Vec<Item>, FileFault> {
    let documents = Document::all(bytes, "connections").ok_or(FORM)?;
    let is_connection = |one: &Document| document::id(one.value(), "connection_id").is_some();
    if !documents.iter().all(is_connection) {
        return Err(FORM);
    }
    Ok(documents.iter().map(|one| item(one.value())).collect())
}

fn item(value: &Value) -> Item {
    let id = document::id(value, "connection_id").unwrap_or_default();
    let key = text(value, "provider_config_key").unwrap_or_default();
    let number = document::id(value, "id").map_or_else(String::new, |number| format!("#{number}"));
    let origin = format!("nango:{key}/{id}{number}");
    let own = [text(value, "provider"), Some(key)].into_iter().flatten();
    let user = whose(value).unwrap_or_else(|| id.clone());
    Item::new(origin, &id, Some(user), "").called(key, names::of_nango(own)).with(found(value))
}

/// The application's own user, where the connection was made for one.
fn whose(value: &Value) -> Option<String> {
    let named = ["end_user", "endUser"].iter().find_map(|name| document::id(value.get(name)?, "id"));
    named.or_else(|| document::id(value.get("tags")?, "end_user_id"))
}

fn found(value: &Value) -> Result<Found, NotTaken> {
    let Some(credentials) = value.get("credentials").filter(|credentials| credentials.is_object()) else {
        return Err(NotTaken::WithoutCredentials);
    };
    let needed = |name: &'static str| secret(credentials, name).ok_or(NotTaken::Member(name));
    let values = strings(value, "connection_config");
    Ok(match text(credentials, "type").ok_or(NotTaken::Member("credentials.type"))? {
        "OAUTH2" => Found::OAuth2(Box::new(tokens(credentials, values)?)),
        "OAUTH2_CC" => Found::OAuth2(Box::new(client_credentials(credentials, values)?)),
        "API_KEY" => {
            let key = secret(credentials, "apiKey").or_else(|| secret(credentials, "api_key"));
            Found::ApiKey { parts: vec![key.ok_or(NotTaken::Member("apiKey"))?], expires_at: None }
        }
        "BASIC" => Found::UserPassword { username: needed("username")?, password: needed("password")? },
        other => return Err(NotTaken::of_kind(other)),
    })
}

fn tokens(credentials: &Value, values: BTreeMap<String, String>) -> Result<FoundTokens, NotTaken> {
    let access_token = token(text(credentials, "access_token"), "access_token")?.ok_or(NotTaken::NeverConnected)?;
    let raw = document::object(credentials, "raw").cloned().unwrap_or_default();
    let client = credentials.get("config_override").and_then(|client| text(client, "client_id"));
    Ok(FoundTokens {
        access_token,
        refresh_token: token(text(credentials, "refresh_token"), "refresh_token")?,
        token_type: raw.get("token_type").and_then(Value::as_str).map(super::shown),
        scopes: granted(raw.get("scope")),
        username: None,
        client_id: client.map(str::to_owned),
        own_client: None,
        expires_at: time(credentials, "expires_at"),
        refresh_expires_at: None,
        values,
        members: Members(raw),
    })
}

/// A client that asks for itself: its secret is what the next token is asked for with.
fn client_credentials(credentials: &Value, values: BTreeMap<String, String>) -> Result<FoundTokens, NotTaken> {
    let access_token = token(text(credentials, "token"), "token")?.ok_or(NotTaken::NeverConnected)?;
    let client_id = text(credentials, "client_id").ok_or(NotTaken::Member("client_id"))?;
    let raw = document::object(credentials, "raw").cloned().unwrap_or_default();
    Ok(FoundTokens {
        access_token,
        refresh_token: None,
        token_type: raw.get("token_type").and_then(Value::as_str).map(super::shown),
        scopes: granted(raw.get("scope")),
        username: None,
        client_id: Some(client_id.to_owned()),
        own_client: Some(secret(credentials, "client_secret").ok_or(NotTaken::Member("client_secret"))?),
        expires_at: time(credentials, "expires_at"),
        refresh_expires_at: None,
        values,
        members: Members(raw),
    })
}

fn granted(scope: Option<&Value>) -> Vec<String> {
    match scope {
        Some(Value::String(text)) => scopes([text.as_str()]),
        Some(Value::Array(list)) => scopes(list.iter().filter_map(Value::as_str)),
        _ => Vec::new(),
    }
}

fn strings(value: &Value, name: &str) -> BTreeMap<String, String> {
    let members = document::object(value, name).into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}
