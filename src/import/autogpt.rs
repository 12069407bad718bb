//! AutoGPT Platform: the column `integrations` of its table `User`. It holds a Fernet token for
//! each user with `{"credentials": […], "managed_credentials": {…}, "oauth_states": […]}`. Pending
//! logins are ignored.

use serde_json::Value;

use super::document::{self, SecretDocument, secret, text, time};
use super::entries::{Allowance, Collector, MAX_VALUES, measure_object};
use super::fernet::FernetKey;
use super::item::{FileError, Item, ItemError, ItemSecret, ItemTokens, Members, scopes, shown, token};
use crate::secret::Secret;

const FORM: FileError =
    FileError::Form("in AutoGPT's format: one `integrations` value, or rows of `id, integrations` in JSON or CSV");

/// Beginning of a Fernet token: version 0x80 and a time before the year 2106.
const BEGINS: &str = "gAAAAA";

/// The column of one user.
struct Row {
    user: Option<String>,
    sealed: String,
}

pub(super) fn items(bytes: &[u8], key: &FernetKey, allowance: &mut Allowance) -> Result<Vec<Item>, FileError> {
    let text = bytes.trim_ascii();
    let mut collector = Collector::new(allowance);
    if text.starts_with(BEGINS.as_bytes()) && !text.iter().any(|c| *c == b',' || c.is_ascii_whitespace()) {
        let sealed = String::from_utf8_lossy(text).into_owned();
        collector.add(None, Ok(of_user(&Row { user: None, sealed }, key)))?;
    } else if text.starts_with(b"{") || text.starts_with(b"[") {
        collector.add_json(bytes, "rows", |row| Some(of_user(&row_of_json(row)?, key)))?;
    } else {
        for (line, row) in csv_rows(text).ok_or(FORM)? {
            let row = row.ok_or(ItemError::Foreign);
            collector.add(Some(line), row.map(|row| of_user(&row, key)))?;
        }
    }
    collector.finish(FORM)
}

fn row_of_json(row: &Value) -> Option<Row> {
    let user = ["id", "userId", "user_id"].iter().find_map(|name| document::id(row, name));
    let sealed = match row.get("integrations")? {
        Value::String(sealed) => sealed.clone(),
        Value::Null => String::new(),
        _ => return None,
    };
    Some(Row { user, sealed })
}

/// Reads CSV with a header that names the columns, or without one and the id first. A row that
/// has no such column is `None`.
fn csv_rows(text: &[u8]) -> Option<Vec<(usize, Option<Row>)>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut first = csv::StringRecord::new();
    if !reader.read_record(&mut first).ok()? {
        return None;
    }
    let column = |names: &[&str]| first.iter().position(|cell| names.contains(&cell.trim()));
    let (user, sealed) = match column(&["integrations"]) {
        Some(sealed) => (column(&["id", "userId", "user_id"]), sealed),
        None if first.get(1)?.starts_with(BEGINS) => (Some(0), 1),
        None => return None,
    };
    let row = |record: &csv::StringRecord| {
        let user = user.and_then(|at| record.get(at)).filter(|id| !id.is_empty()).map(str::to_owned);
        Some(Row { user, sealed: record.get(sealed)?.to_owned() })
    };
    let line = |record: &csv::StringRecord| record.position().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
    let mut rows = Vec::new();
    if column(&["integrations"]).is_none() {
        rows.push((line(&first), row(&first)));
    }
    for record in reader.records() {
        rows.push(match record {
            Ok(record) => (line(&record), row(&record)),
            Err(error) => (error.position().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1)), None),
        });
    }
    Some(rows)
}

fn of_user(row: &Row, key: &FernetKey) -> Vec<Item> {
    if row.sealed.trim().is_empty() {
        return Vec::new();
    }
    let whole = |why| {
        let origin = format!("autogpt:{}", row.user.as_deref().unwrap_or_default());
        vec![Item::new(origin, "integrations", row.user.clone(), "").with(Err(why))]
    };
    let Some(opened) = key.open(&row.sealed) else { return whole(ItemError::DoesNotOpen) };
    // Its values are bounded before they are built.
    let is_bounded = measure_object(opened.trim_ascii()).is_some_and(|(_, values)| values <= MAX_VALUES);
    let document = if is_bounded { SecretDocument::parse(&opened) } else { None };
    let Some(document) = document else { return whole(ItemError::Member("the JSON in it")) };
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
        "api_key" => ItemSecret::ApiKey { parts: vec![needed("api_key")?], expires_at: time(value, "expires_at")? },
        "user_password" => ItemSecret::UserPassword { username: needed("username")?, password: needed("password")? },
        "host_scoped" => {
            let headers = document::object(value, "headers").ok_or(ItemError::Member("headers"))?;
            let header = |(name, value): (&String, &Value)| Some((name.clone(), Secret::trimmed(value.as_str()?)?));
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
        expires_at: time(value, "access_token_expires_at")?,
        refresh_expires_at: time(value, "refresh_token_expires_at")?,
        values: std::collections::BTreeMap::new(),
        members: Members(document::object(value, "metadata").cloned().unwrap_or_default()),
    })
}
