//! JSON-RPC 2.0 messages: one request or notification in, one response out.

use http::StatusCode;
use serde_json::{Map, Value, json};

/// Codes of JSON-RPC and MCP errors.
pub(super) mod code {
    pub(in crate::mcp) const PARSE: i32 = -32_700;
    pub(in crate::mcp) const INVALID_REQUEST: i32 = -32_600;
    pub(in crate::mcp) const METHOD_NOT_FOUND: i32 = -32_601;
    pub(in crate::mcp) const INVALID_PARAMS: i32 = -32_602;
    pub(in crate::mcp) const HEADER_MISMATCH: i32 = -32_020;
    pub(in crate::mcp) const UNSUPPORTED_VERSION: i32 = -32_022;
}

/// A request or a notification of a client.
#[derive(Debug)]
pub(super) struct ClientMessage {
    /// A text or an integer; `None` for a notification.
    pub(super) id: Option<Value>,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

/// A JSON-RPC error, with the status of its HTTP response.
#[derive(Debug)]
pub(super) struct RpcError {
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

    /// Writes the response. The id is left out if it could not be read.
    pub(super) fn response(self, id: Option<Value>) -> Value {
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

/// Reads a message. The error comes with the id of the request, as far as it can be read.
pub(super) fn parse(body: &[u8]) -> Result<ClientMessage, (RpcError, Option<Value>)> {
    let invalid = |message: &str| RpcError::bad_request(code::INVALID_REQUEST, message);
    let message = match serde_json::from_slice(body) {
        Ok(Value::Object(message)) => message,
        Ok(Value::Array(_)) => return Err((invalid("Send one message in each request: batches are not served"), None)),
        Ok(_) => return Err((invalid("A message is a JSON object"), None)),
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            return Err((RpcError::bad_request(code::PARSE, format!("The body is not JSON: see {place}")), None));
        }
    };
    let mut message: Map<String, Value> = message;
    let id = match message.remove("id") {
        None => None,
        Some(id) if id.is_string() || id.is_i64() || id.is_u64() => Some(id),
        Some(_) => return Err((invalid("The id of a request is a text or an integer"), None)),
    };
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err((invalid("\"jsonrpc\" must be \"2.0\""), id));
    }
    let Some(Value::String(method)) = message.remove("method") else {
        return Err((invalid("Only requests and notifications are accepted: \"method\" is missing"), id));
    };
    let params = match message.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err((RpcError::bad_request(code::INVALID_PARAMS, "\"params\" must be an object"), id)),
    };
    Ok(ClientMessage { id, method, params })
}
