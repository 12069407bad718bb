//! The methods of the protocol.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::era::{self, Era, LEGACY};
use super::message::{self, ClientMessage, Params, RpcError, code};
use super::tools::{self, Tools};

/// Time for which a client may keep the list of tools, in milliseconds.
const LIST_TTL_MS: u32 = 300_000;

/// Text for the model.
const INSTRUCTIONS: &str = "Send HTTP requests to the user's accounts without seeing their secrets. Call list_credentials first: it \
    names the credentials, their providers and hosts. Use http_get to read and http_send for everything else. If \
    a request needs the approval of a person, ask approval_status, and send it again once it is approved. Never ask the \
    user for a token or a password: authentication is added to each request.";

/// The answer to one HTTP request.
#[derive(Debug)]
pub enum McpAnswer {
    /// A notification was accepted: 202 without a body.
    Accepted,
    /// A JSON-RPC response.
    Json {
        /// The status of the HTTP response.
        status: StatusCode,
        /// The body.
        body: Vec<u8>,
    },
}

/// Answers one message.
pub async fn answer(tools: &impl Tools, headers: &HeaderMap, body: &[u8]) -> McpAnswer {
    let message = match message::parse(body) {
        Ok(message) => message,
        Err((error, id)) => return json_answer(error.status, &error.response(id)),
    };
    // Nothing is to be done for the notifications of clients.
    let Some(id) = message.id.clone() else { return McpAnswer::Accepted };
    match result(tools, &message, headers).await {
        Ok(result) => json_answer(StatusCode::OK, &json!({"jsonrpc": "2.0", "id": id, "result": result})),
        Err(error) => json_answer(error.status, &error.response(Some(id))),
    }
}

fn json_answer(status: StatusCode, response: &Value) -> McpAnswer {
    McpAnswer::Json { status, body: serde_json::to_vec(response).expect("texts and numbers can always be written") }
}

async fn result(tools: &impl Tools, message: &ClientMessage<'_>, headers: &HeaderMap) -> Result<Value, RpcError> {
    let era = era::determine(message, headers)?;
    let mut result = match (era, message.method.as_str()) {
        (Era::Legacy, "initialize") => initialized(&message.params)?,
        (Era::Legacy, "ping") => json!({}),
        (Era::Modern, "server/discover") => cacheable(json!({
            "supportedVersions": era::supported(),
            "capabilities": {"tools": {}},
            "instructions": INSTRUCTIONS,
        })),
        (era, "tools/list") => {
            if message.params.has_cursor() {
                return Err(invalid_params("There is one page of tools: no cursor is known"));
            }
            let list = json!({"tools": tools::definitions()});
            if era == Era::Modern { cacheable(list) } else { list }
        }
        (_, "tools/call") => call(tools, &message.params).await?,
        _ => return Err(method_not_found(era)),
    };
    if era == Era::Modern {
        result["resultType"] = json!("complete");
        result["_meta"] = json!({"io.modelcontextprotocol/serverInfo": server_info()});
    }
    Ok(result)
}

fn initialized(params: &Params<'_>) -> Result<Value, RpcError> {
    let Some(requested) = params.protocol_version() else {
        return Err(invalid_params("\"protocolVersion\" is missing"));
    };
    let version = LEGACY.into_iter().find(|version| *version == requested).unwrap_or(LEGACY[0]);
    Ok(json!({
        "protocolVersion": version,
        "capabilities": {"tools": {}},
        "serverInfo": server_info(),
        "instructions": INSTRUCTIONS,
    }))
}

async fn call(tools: &impl Tools, params: &Params<'_>) -> Result<Value, RpcError> {
    let Some(name) = params.name() else { return Err(invalid_params("\"name\" is missing")) };
    let called = tools::call(tools, &name, params.arguments()).await;
    let (text, is_error) = called.ok_or_else(|| invalid_params("There is no such tool"))?;
    Ok(json!({"content": [{"type": "text", "text": text}], "isError": is_error}))
}

fn cacheable(mut result: Value) -> Value {
    result["ttlMs"] = json!(LIST_TTL_MS);
    result["cacheScope"] = json!("private");
    result
}

fn server_info() -> Value {
    json!({"name": "strongroom", "title": "Strongroom", "version": env!("CARGO_PKG_VERSION")})
}

/// An error of the parameters. The request itself is well-formed, so that its status is 200.
fn invalid_params(message: &str) -> RpcError {
    RpcError { status: StatusCode::OK, ..RpcError::bad_request(code::INVALID_PARAMS, message) }
}

/// The status is 404 since 2026-07-28. Earlier clients expect 200 with each JSON-RPC response.
fn method_not_found(era: Era) -> RpcError {
    let status = if era == Era::Modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
    RpcError { status, ..RpcError::bad_request(code::METHOD_NOT_FOUND, "Method not found") }
}
