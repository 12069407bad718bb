//! Nango: connections in the format of `GET /connection/{id}`, with `credentials`; one or many.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{self, secret, text, time};
use super::entries::{Allowance, Collector};
use super::item::{FileError, Item, ItemError, ItemSecret, ItemTokens, Members, scopes, shown, token};
use super::names;

const FORM: FileError =
    FileError::Form("in Nango's format: a connection, or several as a JSON list, line by line, or one after the other");

pub(super) fn items(bytes: &[u8], allowance: &mut Allowance) -> Result<Vec<Item>, FileError> {
    let mut collector = Collector::new(allowance);
    collector.add_json(bytes, "connections", |value| item(value).map(Some))?;
    collector.finish(FORM)
}

fn item(value: &Value) -> Option<Item> {
    let id = document::id(value, "connection_id")?;
    let key = text(value, "provider_config_key").unwrap_or_default();
    let number = document::id(value, "id").map_or_else(String::new, |number| format!("#{number}"));
    let origin = format!("nango:{key}/{id}{number}");
    let own = [text(value, "provider"), Some(key)].into_iter().flatten();
    let user = whose(value).unwrap_or_else(|| id.clone());
    Some(Item::new(origin, &id, Some(user), "").called(key, names::of_nango(own)).with(found(value)))
}

/// Returns the application's user, if the connection was made for one.
fn whose(value: &Value) -> Option<String> {
    let named = ["end_user", "endUser"].iter().find_map(|name| document::id(value.get(name)?, "id"));
    named.or_else(|| document::id(value.get("tags")?, "end_user_id"))
}

fn found(value: &Value) -> Result<ItemSecret, ItemError> {
    let Some(credentials) = value.get("credentials").filter(|credentials| credentials.is_object()) else {
        return Err(ItemError::WithoutCredentials);
    };
    let needed = |name: &'static str| secret(credentials, name).ok_or(ItemError::Member(name));
    let values = strings(value, "connection_config");
    Ok(match text(credentials, "type").ok_or(ItemError::Member("credentials.type"))? {
        "OAUTH2" => ItemSecret::OAuth2(Box::new(tokens(credentials, values, false)?)),
        "OAUTH2_CC" => ItemSecret::OAuth2(Box::new(tokens(credentials, values, true)?)),
        "API_KEY" => {
            let key = secret(credentials, "apiKey").or_else(|| secret(credentials, "api_key"));
            ItemSecret::ApiKey { parts: vec![key.ok_or(ItemError::Member("apiKey"))?], expires_at: None }
        }
        "BASIC" => ItemSecret::UserPassword { username: needed("username")?, password: needed("password")? },
        other => return Err(ItemError::of_kind(other)),
    })
}

/// Reads tokens. With client credentials, the client's secret requests the next token.
fn tokens(credentials: &Value, values: BTreeMap<String, String>, by_client: bool) -> Result<ItemTokens, ItemError> {
    let member = if by_client { "token" } else { "access_token" };
    let access_token = token(text(credentials, member), member)?.ok_or(ItemError::NeverConnected)?;
    let raw = document::object(credentials, "raw").cloned().unwrap_or_default();
    let client = if by_client { Some(credentials) } else { credentials.get("config_override") };
    let client_id = client.and_then(|client| text(client, "client_id")).map(str::to_owned);
    if by_client && client_id.is_none() {
        return Err(ItemError::Member("client_id"));
    }
    let client_secret = || secret(credentials, "client_secret").ok_or(ItemError::Member("client_secret"));
    Ok(ItemTokens {
        access_token,
        refresh_token: token(text(credentials, "refresh_token"), "refresh_token")?,
        token_type: raw.get("token_type").and_then(Value::as_str).map(shown),
        scopes: granted(raw.get("scope")),
        username: None,
        client_id,
        own_client: by_client.then(client_secret).transpose()?,
        expires_at: time(credentials, "expires_at")?,
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
