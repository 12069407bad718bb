//! Arguments of tools: their schemas, their bounds, and the request that they describe.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message;
use super::response::ToolError;
use crate::broker::CredentialPage;
use crate::id::CredentialId;
use crate::policy::Destination;

/// Largest body of a response in bytes; the rest is cut.
pub const MAX_BODY: usize = 1024 * 1024;

/// Largest body of a request, in characters as in its schema.
const MAX_REQUEST_BODY: usize = 512 * 1024;

/// Largest path, URL, header or query parameter, in characters.
const MAX_TEXT: usize = 8_192;

/// Most headers, and most query parameters.
const MAX_MEMBERS: usize = 64;

/// Longest method, in characters.
const MAX_METHOD: usize = 32;

/// Largest page of credentials.
const MAX_PAGE: u32 = 100;

/// Entries of a page if the caller gives no limit.
const DEFAULT_PAGE: u32 = 50;

/// Characters of a query parameter that are escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Headers that belong to the connection to the provider. Those of a caller are dropped.
const OF_CONNECTION: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::ACCEPT_ENCODING,
];

/// A request that a tool sends with a credential.
#[derive(Debug)]
pub struct ToolRequest {
    /// The credential.
    pub credential: CredentialId,
    /// The host, if the caller gave a URL; else that of the credential.
    pub authority: Option<String>,
    /// The method.
    pub method: Method,
    /// Path and query; below the base URL if there is no host.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// True if the tool is only for requests that change nothing.
    pub reads_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArguments {
    limit: Option<u32>,
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetArguments {
    credential: String,
    path: Option<String>,
    url: Option<String>,
    #[serde(default)]
    query: Members,
    #[serde(default)]
    headers: Members,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendArguments {
    credential: String,
    method: String,
    path: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: Members,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalArguments {
    approval_id: String,
}

/// Headers or query parameters. Reading ends when there are too many.
#[derive(Default)]
struct Members(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let (mut members, mut length) = (BTreeMap::new(), 0);
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            length += 1;
            let is_long = |text: &str| text.chars().count() > MAX_TEXT;
            if length > MAX_MEMBERS || is_long(&name) || is_long(&value) {
                let fault = format!("query, headers: use {MAX_MEMBERS} members of {MAX_TEXT} characters at most");
                return Err(A::Error::custom(fault));
            }
            members.insert(name, value);
        }
        Ok(Members(members))
    }
}

/// Reads the arguments of `list_credentials`.
pub(super) fn page(arguments: &RawValue) -> Result<CredentialPage, ToolError> {
    let ListArguments { limit, after } = read(arguments)?;
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > MAX_PAGE {
        return Err(ToolError::arguments(format!("limit: use a number from 1 to {MAX_PAGE}")));
    }
    let id = |text: String| text.parse().map_err(|_| ToolError::arguments("after: use the `next` of the last page"));
    Ok(CredentialPage { limit: Some(limit), after: after.map(id).transpose()? })
}

/// Reads the arguments of `http_get`.
pub(super) fn get(arguments: &RawValue) -> Result<ToolRequest, ToolError> {
    let GetArguments { credential, path, url, query, headers } = read(arguments)?;
    let credential = credential_id(&credential)?;
    let (authority, mut target) = place(path, url)?;
    for (name, value) in &query.0 {
        let separator = if target.contains('?') { '&' } else { '?' };
        let escaped = [name, value].map(|text| utf8_percent_encode(text, ESCAPED).to_string());
        target.push(separator);
        target.push_str(&escaped.join("="));
    }
    let headers = header_map(&headers)?;
    Ok(ToolRequest {
        credential,
        authority,
        method: Method::GET,
        target,
        headers,
        body: Bytes::new(),
        reads_only: true,
    })
}

/// Reads the arguments of `http_send`.
pub(super) fn send(arguments: &RawValue) -> Result<ToolRequest, ToolError> {
    let SendArguments { credential, method, path, url, headers, body } = read(arguments)?;
    let credential = credential_id(&credential)?;
    let is_method = method.len() <= MAX_METHOD && !method.bytes().any(|byte| byte.is_ascii_lowercase());
    let method = Method::from_bytes(method.as_bytes()).ok().filter(|_| is_method);
    let method = method.ok_or_else(|| ToolError::arguments("method: use a method such as POST, in upper case"))?;
    if body.chars().count() > MAX_REQUEST_BODY {
        return Err(ToolError::arguments(format!("body: it has more than {MAX_REQUEST_BODY} characters")));
    }
    let (authority, target) = place(path, url)?;
    let mut headers = header_map(&headers)?;
    if !headers.contains_key(header::CONTENT_TYPE) && is_json(&body) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(ToolRequest { credential, authority, method, target, headers, body: body.into(), reads_only: false })
}

/// Reads the arguments of `approval_status`.
pub(super) fn approval(arguments: &RawValue) -> Result<String, ToolError> {
    read(arguments).map(|ApprovalArguments { approval_id }| approval_id)
}

fn read<'a, T: Deserialize<'a>>(arguments: &'a RawValue) -> Result<T, ToolError> {
    message::object(arguments).map_err(|error| ToolError::arguments(error.to_string()))
}

fn credential_id(text: &str) -> Result<CredentialId, ToolError> {
    text.parse().map_err(|_| ToolError::arguments("credential: use an id of list_credentials"))
}

/// Returns the host, if there is a URL, and the path with the query.
fn place(path: Option<String>, url: Option<String>) -> Result<(Option<String>, String), ToolError> {
    let too_long = |text: &str| text.chars().count() > MAX_TEXT;
    match (path, url) {
        (Some(path), None) if too_long(&path) => Err(ToolError::arguments("path: it is too long")),
        (Some(path), None) if path.starts_with('/') => Ok((None, path)),
        (Some(path), None) => Ok((None, format!("/{path}"))),
        (None, Some(url)) if too_long(&url) => Err(ToolError::arguments("url: it is too long")),
        (None, Some(url)) => {
            let parsed = Destination::parse_absolute(&url);
            let (host, target) = parsed.map_err(|error| ToolError::arguments(format!("url: {error}")))?;
            Ok((Some(host.authority()), target))
        }
        _ => Err(ToolError::arguments("give either path or url")),
    }
}

fn header_map(given: &Members) -> Result<HeaderMap, ToolError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &given.0 {
        let fault = |()| ToolError::arguments(format!("headers: '{}' is not a valid header", name.escape_debug()));
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ()).map_err(fault)?;
        let value = HeaderValue::from_str(value).map_err(|_| ()).map_err(fault)?;
        if !OF_CONNECTION.contains(&parsed) {
            headers.insert(parsed, value);
        }
    }
    Ok(headers)
}

/// Returns true for an object or a list: other JSON may be plain text.
fn is_json(body: &str) -> bool {
    body.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

/// The schema of the arguments of `list_credentials`.
pub(super) fn page_schema() -> Value {
    schema(
        &json!({
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
            "after": {"type": "string", "maxLength": 64, "description": "The `next` of the last page."},
        }),
        &[],
    )
}

/// The schema of the arguments of `http_get`.
pub(super) fn get_schema() -> Value {
    let mut properties = place_properties();
    properties["query"] = members("Parameters that are added to the query.");
    schema(&properties, &["credential"])
}

/// The schema of the arguments of `http_send`.
pub(super) fn send_schema() -> Value {
    let mut properties = place_properties();
    properties["method"] = json!({"type": "string", "pattern": "^[A-Z][A-Z-]*$", "maxLength": MAX_METHOD,
        "description": "POST, PUT, PATCH, DELETE, …"});
    properties["body"] = json!({"type": "string", "maxLength": MAX_REQUEST_BODY,
        "description": "The body as text. A JSON object or list gets its content type automatically."});
    schema(&properties, &["credential", "method"])
}

/// The schema of the arguments of `approval_status`.
pub(super) fn approval_schema() -> Value {
    let description = "The `approval_id` of the refusal.";
    schema(&json!({"approval_id": {"type": "string", "maxLength": 64, "description": description}}), &["approval_id"])
}

fn place_properties() -> Value {
    json!({
        "credential": {"type": "string", "maxLength": 64, "description": "The id of a credential, from list_credentials."},
        "path": {"type": "string", "maxLength": MAX_TEXT,
            "description": "Path below the credential's base_url, with an optional query. Give either path or url."},
        "url": {"type": "string", "maxLength": MAX_TEXT,
            "description": "Complete URL at one of the credential's hosts. Give either path or url."},
        "headers": members("Headers. Authentication is added; headers for it, and of the connection, are ignored."),
    })
}

fn members(description: &str) -> Value {
    json!({"type": "object", "maxProperties": MAX_MEMBERS, "description": description,
        "additionalProperties": {"type": "string", "maxLength": MAX_TEXT}})
}

fn schema(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}
