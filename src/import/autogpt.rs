//! AutoGPT Platform: the column `integrations` of its table `User`. It holds a Fernet token for
//! each user with `{"credentials": […], "managed_credentials": {…}, "oauth_states": […]}`. Pending
//! logins are ignored.

use serde_json::Value;

use super::document::{self, SecretDocument, secret, text, time};
use super::fernet::FernetKey;
use super::item::{FileError, Item, ItemError, ItemSecret, ItemTokens, Members, scopes, shown, token};
use crate::secret::Secret;

const FORM: FileError =
    FileError("in AutoGPT's format: one `integrations` value, or rows of `id, integrations` in JSON or CSV");

/// Beginning of a Fernet token: version 0x80 and a time before the year 2106.
const BEGINS: &str = "gAAAAA";

/// The column of one user.
struct Row {
    user: Option<String>,
    sealed: String,
}

pub(super) fn items(bytes: &[u8], key: &FernetKey) -> Result<Vec<Item>, FileError> {
    let rows = rows(bytes).ok_or(FORM)?;
    let filled = rows.iter().filter(|row| !row.sealed.trim().is_empty());
    Ok(filled.flat_map(|row| of_user(row, key)).collect())
}

fn rows(bytes: &[u8]) -> Option<Vec<Row>> {
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim();
    if text.starts_with(['{', '[']) {
        return SecretDocument::all(text.as_bytes(), "rows")?.iter().map(row_of_json).collect();
    }
    if text.starts_with(BEGINS) && !text.contains(|c: char| c == ',' || c.is_whitespace()) {
        return Some(vec![Row { user: None, sealed: text.to_owned() }]);
    }
    rows_of_csv(text)
}

fn row_of_json(row: &SecretDocument) -> Option<Row> {
    let user = ["id", "userId", "user_id"].iter().find_map(|name| document::id(row.value(), name));
    let sealed = match row.value().get("integrations")? {
        Value::String(sealed) => sealed.clone(),
        Value::Null => String::new(),
        _ => return None,
    };
    Some(Row { user, sealed })
}

/// Reads CSV with a header that names the columns, or without one and the id first.
fn rows_of_csv(text: &str) -> Option<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let records = reader.records().collect::<Result<Vec<_>, _>>().ok()?;
    let (first, _) = records.split_first()?;
    let column = |names: &[&str]| first.iter().position(|cell| names.contains(&cell.trim()));
    let (user, sealed, from) = match column(&["integrations"]) {
        Some(sealed) => (column(&["id", "userId", "user_id"]), sealed, 1),
        None if first.get(1)?.starts_with(BEGINS) => (Some(0), 1, 0),
        None => return None,
    };
    let row = |record: &csv::StringRecord| {
        let user = user.and_then(|at| record.get(at)).filter(|id| !id.is_empty()).map(str::to_owned);
        Some(Row { user, sealed: record.get(sealed)?.to_owned() })
    };
    records.iter().skip(from).map(row).collect()
}

fn of_user(row: &Row, key: &FernetKey) -> Vec<Item> {
    let whole = |why| {
        let origin = format!("autogpt:{}", row.user.as_deref().unwrap_or_default());
        vec![Item::new(origin, "integrations", row.user.clone(), "").with(Err(why))]
    };
    let Some(opened) = key.open(&row.sealed) else { return whole(ItemError::DoesNotOpen) };
    let Some(document) = SecretDocument::parse(&opened) else { return whole(ItemError::Member("the JSON in it")) };
    of_opened(document.value(), row.user.as_deref()).unwrap_or_else(whole)
}

/// Reads the decrypted column.
pub(super) fn of_opened(opened: &Value, user: Option<&str>) -> Result<Vec<Item>, ItemError> {
    let none = Vec::new();
    let credentials = match opened.get("credentials") {
        None | Some(Value::Null) => &none,
        Some(Value::Array(credentials)) => credentials,
        Some(_) => return Err(ItemError::Member("credentials")),
    };
    let mut items: Vec<Item> = credentials.iter().map(|one| item(one, user)).collect();
    let managed = document::object(opened, "managed_credentials");
    for (name, _) in managed.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let item = Item::new(format!("autogpt:managed:{name}"), name, user.map(str::to_owned), "");
        items.push(item.with(Err(ItemError::Managed)));
    }
    Ok(items)
}

fn item(value: &Value, user: Option<&str>) -> Item {
    let id = text(value, "id").unwrap_or_default();
    let provider = text(value, "provider").unwrap_or_default();
    let title = text(value, "title").unwrap_or_default();
    Item::new(format!("autogpt:{id}"), id, user.map(str::to_owned), title)
        .called(provider, vec![provider.to_owned()])
        .with(found(value, id))
}

fn found(value: &Value, id: &str) -> Result<ItemSecret, ItemError> {
    if id.is_empty() {
        return Err(ItemError::Member("id"));
    }
    if value.get("is_managed").and_then(Value::as_bool) == Some(true) {
        return Err(ItemError::Managed);
    }
    let needed = |name: &'static str| secret(value, name).ok_or(ItemError::Member(name));
    Ok(match text(value, "type").ok_or(ItemError::Member("type"))? {
        "oauth2" => ItemSecret::OAuth2(Box::new(tokens(value)?)),
        "api_key" => ItemSecret::ApiKey { parts: vec![needed("api_key")?], expires_at: time(value, "expires_at") },
        "user_password" => ItemSecret::UserPassword { username: needed("username")?, password: needed("password")? },
        "host_scoped" => {
            let headers = document::object(value, "headers").ok_or(ItemError::Member("headers"))?;
            let header = |(name, value): (&String, &Value)| Some((name.clone(), Secret::new(value.as_str()?)));
            let headers = headers.iter().map(header).collect::<Option<_>>().ok_or(ItemError::Member("headers"))?;
            ItemSecret::HostScoped { host: text(value, "host").map(str::to_owned), headers }
        }
        other => return Err(ItemError::of_kind(other)),
    })
}

fn tokens(value: &Value) -> Result<ItemTokens, ItemError> {
    let access_token = token(text(value, "access_token"), "access_token")?.ok_or(ItemError::NeverConnected)?;
    let granted = value.get("scopes").and_then(Value::as_array);
    Ok(ItemTokens {
        access_token,
        refresh_token: token(text(value, "refresh_token"), "refresh_token")?,
        token_type: None,
        scopes: scopes(granted.into_iter().flatten().filter_map(Value::as_str)),
        username: text(value, "username").map(shown),
        client_id: None,
        own_client: None,
        expires_at: time(value, "access_token_expires_at"),
        refresh_expires_at: time(value, "refresh_token_expires_at"),
        values: std::collections::BTreeMap::new(),
        members: Members(document::object(value, "metadata").cloned().unwrap_or_default()),
    })
}
