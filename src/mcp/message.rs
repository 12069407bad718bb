//! JSON-RPC 2.0 messages: one request or notification in, one response out.
//!
//! A message is read without a copy: members that are not read are skipped, and the arguments of a
//! tool stay text until that tool reads them.

use http::StatusCode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Largest message in bytes. The largest body that a tool sends has 6 MiB if each of its characters
/// is escaped as two surrogates; 2 MiB are left for the rest.
pub(crate) const MAX_MESSAGE: usize = 8 << 20;

/// Longest id of a request, as JSON, in bytes.
const MAX_ID: usize = 1_024;

/// Codes of JSON-RPC and MCP errors.
pub(super) mod code {
    pub(in crate::mcp) const PARSE: i32 = -32_700;
    pub(in crate::mcp) const INVALID_REQUEST: i32 = -32_600;
    pub(in crate::mcp) const METHOD_NOT_FOUND: i32 = -32_601;
    pub(in crate::mcp) const INVALID_PARAMS: i32 = -32_602;
    pub(in crate::mcp) const INTERNAL: i32 = -32_603;
    pub(in crate::mcp) const HEADER_MISMATCH: i32 = -32_020;
    pub(in crate::mcp) const UNSUPPORTED_VERSION: i32 = -32_022;
}

/// A request or a notification of a client.
#[derive(Debug)]
pub(crate) struct ClientMessage<'m> {
    /// A text or an integer; `None` for a notification.
    pub(crate) id: Option<Value>,
    pub(crate) method: String,
    pub(super) params: Params<'m>,
}

/// A member that may be absent. `null` is a value.
type Member<'m> = Option<&'m RawValue>;

/// The parameters of all methods.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Params<'m> {
    #[serde(borrow, rename = "_meta", deserialize_with = "member")]
    meta: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    name: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    arguments: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    cursor: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    protocol_version: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    request_id: Member<'m>,
}

/// The members of `_meta` that the protocol reserves.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Meta<'m> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion", deserialize_with = "member")]
    pub(super) protocol_version: Member<'m>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities", deserialize_with = "member")]
    pub(super) client_capabilities: Member<'m>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'m> {
    #[serde(borrow, deserialize_with = "member")]
    jsonrpc: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    id: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    method: Member<'m>,
    #[serde(borrow, deserialize_with = "member")]
    params: Member<'m>,
}

/// Reads a member, also if it is `null`.
fn member<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Member<'de>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl<'m> Params<'m> {
    /// Returns the members of `_meta`; none if it is not an object.
    pub(super) fn meta(&self) -> Meta<'m> {
        self.meta.and_then(|meta| object(meta).ok()).unwrap_or_default()
    }

    /// Returns the name of the tool.
    pub(super) fn name(&self) -> Option<String> {
        self.name.and_then(text)
    }

    /// Returns the arguments of the tool; an empty object if the client gives no arguments.
    pub(super) fn arguments(&self) -> &'m RawValue {
        self.arguments.filter(|arguments| arguments.get() != "null").unwrap_or(empty())
    }

    /// Returns true if the client wants another page than the first.
    pub(super) fn has_cursor(&self) -> bool {
        self.cursor.is_some_and(|cursor| cursor.get() != "null")
    }

    /// Returns the revision that the client asks for in `initialize`.
    pub(super) fn protocol_version(&self) -> Option<String> {
        self.protocol_version.and_then(text)
    }
}

impl ClientMessage<'_> {
    /// Returns the id of the request that this notification cancels.
    pub(crate) fn cancels(&self) -> Option<Value> {
        let is_notice = self.id.is_none() && self.method == "notifications/cancelled";
        self.params.request_id.filter(|_| is_notice).and_then(request_id)
    }
}

/// Reads an object. A list of the members in their order is refused, which serde would take.
pub(super) fn object<'m, T: Deserialize<'m>>(raw: &'m RawValue) -> serde_json::Result<T> {
    if raw.get().starts_with('{') {
        serde_json::from_str(raw.get())
    } else {
        Err(serde_json::Error::custom("use a JSON object"))
    }
}

/// Returns a member that is a text.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn empty() -> &'static RawValue {
    serde_json::from_str("{}").expect("an object")
}

fn request_id(raw: &RawValue) -> Option<Value> {
    let id: Value = Some(raw.get()).filter(|id| id.len() <= MAX_ID).and_then(|id| serde_json::from_str(id).ok())?;
    (id.is_string() || id.is_i64() || id.is_u64()).then_some(id)
}

/// A JSON-RPC error, with the status of its HTTP response.
#[derive(Debug)]
pub(crate) struct RpcError {
    pub(super) status: StatusCode,
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    /// An error of the request itself, with status 400.
    pub(super) fn bad_request(code: i32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into(), data: None }
    }

    /// An error of a message that is not a valid request.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::bad_request(code::INVALID_REQUEST, message)
    }

    /// An error of which the request is not the cause.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..Self::bad_request(code::INTERNAL, message) }
    }

    /// Writes the response. The id is left out if it could not be read.
    pub(crate) fn response(self, id: Option<Value>) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = self.data {
            error["data"] = data;
        }
        let mut response = json!({"jsonrpc": "2.0", "error": error});
        if let Some(id) = id {
            response["id"] = id;
        }
        response
    }
}

/// Reads a message.
///
/// # Errors
/// The error, with the id of the request as far as it can be read.
pub(crate) fn parse(body: &[u8]) -> Result<ClientMessage<'_>, (RpcError, Option<Value>)> {
    let raw: &RawValue = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        (RpcError::bad_request(code::PARSE, format!("The body is not JSON: see {place}")), None)
    })?;
    if raw.get().starts_with('[') {
        return Err((RpcError::invalid("Send one message in each request: batches are not served"), None));
    }
    let envelope = object(raw).map_err(|_| (RpcError::invalid("A message is a JSON object without duplicates"), None));
    let Envelope { jsonrpc, id, method, params } = envelope?;
    let id = match id.map(request_id) {
        None => None,
        Some(Some(id)) => Some(id),
        Some(None) => {
            let bounds = format!("The id of a request is an integer, or a text of {MAX_ID} bytes at most");
            return Err((RpcError::invalid(bounds), None));
        }
    };
    if jsonrpc.and_then(text).as_deref() != Some("2.0") {
        return Err((RpcError::invalid("\"jsonrpc\" must be \"2.0\""), id));
    }
    let Some(method) = method.and_then(text) else {
        return Err((RpcError::invalid("Only requests and notifications are accepted: \"method\" is missing"), id));
    };
    let Ok(params) = params.map(object).transpose() else {
        let fault = "\"params\" must be an object without duplicates";
        return Err((RpcError::bad_request(code::INVALID_PARAMS, fault), id));
    };
    Ok(ClientMessage { id, method, params: params.unwrap_or_default() })
}
