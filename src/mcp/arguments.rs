//! Arguments of tools: their schemas, their bounds, and the request that they describe.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message;
use super::response::ToolError;
use crate::broker::CredentialPage;
use crate::id::CredentialId;
use crate::policy::Destination;
use crate::validation::{self, Fault, Format, RequestFault};

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
    #[serde(default, deserialize_with = "page_limit")]
    limit: Option<u32>,
    #[serde(default, deserialize_with = "page_start")]
    after: Option<CredentialId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetArguments {
    #[serde(deserialize_with = "credential_id")]
    credential: CredentialId,
    path: Option<String>,
    url: Option<String>,
    #[serde(default)]
    query: Members,
    #[serde(default)]
    headers: Headers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendArguments {
    #[serde(deserialize_with = "credential_id")]
    credential: CredentialId,
    #[serde(deserialize_with = "method")]
    method: Method,
    path: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: Headers,
    #[serde(default, deserialize_with = "request_body")]
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
                let fault = format!("use {MAX_MEMBERS} members of {MAX_TEXT} characters at most");
                return Err(A::Error::custom(fault));
            }
            members.insert(name, value);
        }
        Ok(Members(members))
    }
}

/// Headers without those of the connection.
#[derive(Default)]
struct Headers(HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &Members::deserialize(deserializer)?.0 {
            let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
            let fault = || D::Error::custom(format!("'{}' is not a valid header", name.escape_debug()));
            let (name, value) = parsed.ok_or_else(fault)?;
            if !OF_CONNECTION.contains(&name) {
                headers.insert(name, value);
            }
        }
        Ok(Self(headers))
    }
}

fn page_limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let limit = Option::<u32>::deserialize(deserializer)?;
    let is_valid = limit.is_none_or(|limit| (1..=MAX_PAGE).contains(&limit));
    if is_valid { Ok(limit) } else { Err(D::Error::custom(format!("use a number from 1 to {MAX_PAGE}"))) }
}

fn page_start<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CredentialId>, D::Error> {
    let id = |text: String| text.parse().map_err(|_| D::Error::custom("use the `next` of the last page"));
    Option::<String>::deserialize(deserializer)?.map(id).transpose()
}

fn credential_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CredentialId, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("use an id of list_credentials"))
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_method = text.len() <= MAX_METHOD && !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| is_method);
    method.ok_or_else(|| D::Error::custom("use a method such as POST, in upper case"))
}

fn request_body<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let body = String::deserialize(deserializer)?;
    let is_long = body.chars().count() > MAX_REQUEST_BODY;
    if is_long { Err(D::Error::custom(format!("it has more than {MAX_REQUEST_BODY} characters"))) } else { Ok(body) }
}

/// A request of `http_get`.
#[derive(Deserialize)]
#[serde(try_from = "GetArguments")]
struct GetRequest(ToolRequest);

impl TryFrom<GetArguments> for GetRequest {
    type Error = String;

    fn try_from(arguments: GetArguments) -> Result<Self, String> {
        let GetArguments { credential, path, url, query, headers: Headers(headers) } = arguments;
        let (authority, mut target) = place(path, url)?;
        for (name, value) in &query.0 {
            let separator = if target.contains('?') { '&' } else { '?' };
            let escaped = [name, value].map(|text| utf8_percent_encode(text, ESCAPED).to_string());
            target.push(separator);
            target.push_str(&escaped.join("="));
        }
        let (method, body) = (Method::GET, Bytes::new());
        Ok(Self(ToolRequest { credential, authority, method, target, headers, body, reads_only: true }))
    }
}

/// A request of `http_send`.
#[derive(Deserialize)]
#[serde(try_from = "SendArguments")]
struct SendRequest(ToolRequest);

impl TryFrom<SendArguments> for SendRequest {
    type Error = String;

    fn try_from(arguments: SendArguments) -> Result<Self, String> {
        let SendArguments { credential, method, path, url, headers: Headers(mut headers), body } = arguments;
        let (authority, target) = place(path, url)?;
        if !headers.contains_key(header::CONTENT_TYPE) && is_json(&body) {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.into();
        Ok(Self(ToolRequest { credential, authority, method, target, headers, body, reads_only: false }))
    }
}

/// Reads the arguments of `list_credentials`.
pub(super) fn page(arguments: &RawValue) -> Result<CredentialPage, ToolError> {
    let ListArguments { limit, after } = read(arguments)?;
    Ok(CredentialPage { limit: limit.or(Some(DEFAULT_PAGE)), after })
}

/// Reads the arguments of `http_get`.
pub(super) fn get(arguments: &RawValue) -> Result<ToolRequest, ToolError> {
    read(arguments).map(|GetRequest(request)| request)
}

/// Reads the arguments of `http_send`.
pub(super) fn send(arguments: &RawValue) -> Result<ToolRequest, ToolError> {
    read(arguments).map(|SendRequest(request)| request)
}

/// Reads the arguments of `approval_status`.
pub(super) fn approval(arguments: &RawValue) -> Result<String, ToolError> {
    read(arguments).map(|ApprovalArguments { approval_id }| approval_id)
}

/// Reads arguments without a copy of the message. Only faulty ones are read again, for all faults.
fn read<T: DeserializeOwned>(arguments: &RawValue) -> Result<T, ToolError> {
    let faults = |error: serde_json::Error| {
        let detail = every_fault::<T>(arguments.get());
        ToolError::arguments(detail.unwrap_or_else(|| error.to_string().replace('\0', ": ")))
    };
    message::object(arguments).map_err(faults)
}

/// Returns the faults in the words of request bodies; `None` if only the first one is known, as of
/// very large arguments.
fn every_fault<T: DeserializeOwned>(arguments: &str) -> Option<String> {
    if validation::exceeded(arguments.as_bytes()).is_some() {
        return None;
    }
    let value: Value = serde_json::from_str(arguments).ok().filter(Value::is_object)?;
    // Numbers are numbers, as the schemas of the tools say.
    let (_, faults) = validation::read::<T>(&value, Format::Toml);
    let text = |fault: &Fault| format!("{}: {}", fault.key(), RequestFault::from(fault).msg);
    let texts: Vec<String> = faults.iter().map(text).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Returns the host, if there is a URL, and the path with the query.
fn place(path: Option<String>, url: Option<String>) -> Result<(Option<String>, String), String> {
    let too_long = |text: &str| text.chars().count() > MAX_TEXT;
    match (path, url) {
        (Some(path), None) if too_long(&path) => Err(validation::at("path", &"it is too long")),
        (Some(path), None) if path.starts_with('/') => Ok((None, path)),
        (Some(path), None) => Ok((None, format!("/{path}"))),
        (None, Some(url)) if too_long(&url) => Err(validation::at("url", &"it is too long")),
        (None, Some(url)) => {
            let parsed = Destination::parse_absolute(&url);
            let (host, target) = parsed.map_err(|error| validation::at("url", &error))?;
            Ok((Some(host.authority()), target))
        }
        (Some(_), Some(_)) => Err(validation::at("url", &"give either path or url")),
        (None, None) => Err(validation::at("path", &"give either path or url")),
    }
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
