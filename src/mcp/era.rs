//! The revision of the protocol that a request speaks.
//!
//! Since 2026-07-28 each request says its revision in `_meta`, and repeats it with its method and
//! the name of its tool in headers, which must agree. Earlier clients open with `initialize`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::message::{ClientMessage, RpcError, code, text};

/// The revision without a handshake.
pub(super) const MODERN: &str = "2026-07-28";

/// The revisions with `initialize`, the newest first.
pub(super) const LEGACY: [&str; 2] = ["2025-11-25", "2025-06-18"];

/// Beginning of the members of `_meta` that the protocol reserves.
const META: &str = "io.modelcontextprotocol/";

/// The rules for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Each request carries its revision.
    Modern,
    /// The client sent `initialize`, or sends it now.
    Legacy,
}

/// Returns all revisions.
pub(super) fn supported() -> Vec<&'static str> {
    [MODERN].into_iter().chain(LEGACY).collect()
}

/// Determines the rules of a request, and checks its headers against its body.
pub(super) fn determine(message: &ClientMessage<'_>, headers: &HeaderMap) -> Result<Era, RpcError> {
    let meta = message.params.meta();
    let header = single(headers, "mcp-protocol-version")?;
    let Some(version) = meta.protocol_version else {
        return match header {
            None => Ok(Era::Legacy),
            Some(version) if LEGACY.contains(&version.as_str()) => Ok(Era::Legacy),
            Some(version) if version == MODERN && message.method != "initialize" => Err(missing("protocolVersion")),
            // Of `initialize` the body counts: it negotiates the revision.
            Some(_) if message.method == "initialize" => Ok(Era::Legacy),
            Some(version) => Err(unsupported(&version)),
        };
    };
    let version = text(version).ok_or_else(|| missing("protocolVersion"))?;
    agree("MCP-Protocol-Version", header.as_deref(), &version)?;
    if LEGACY.contains(&version.as_str()) {
        return Ok(Era::Legacy);
    }
    if version != MODERN {
        return Err(unsupported(&version));
    }
    agree("Mcp-Method", single(headers, "mcp-method")?.as_deref(), &message.method)?;
    if message.method == "tools/call" {
        let name = message.params.name().unwrap_or_default();
        let header = single(headers, "mcp-name")?.map(|text| decoded(&text)).transpose()?;
        agree("Mcp-Name", header.as_deref(), &name)?;
    }
    if !meta.client_capabilities.is_some_and(|capabilities| capabilities.get().starts_with('{')) {
        return Err(missing("clientCapabilities"));
    }
    Ok(Era::Modern)
}

fn agree(name: &str, header: Option<&str>, body: &str) -> Result<(), RpcError> {
    match header {
        Some(header) if header == body => Ok(()),
        Some(_) => Err(mismatch(format!("Header mismatch: {name} is not the value in the body"))),
        None => Err(mismatch(format!("Header mismatch: {name} is missing"))),
    }
}

/// Returns the value of a header that may be there once.
fn single(headers: &HeaderMap, name: &str) -> Result<Option<String>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let (first, more) = (values.next(), values.next().is_some());
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    match first.map(text) {
        None => Ok(None),
        Some(Some(text)) if !more => Ok(Some(text)),
        _ => Err(mismatch(format!("Header mismatch: {name} is there twice, or is not ASCII"))),
    }
}

/// Decodes a value that the client had to encode for a header.
fn decoded(text: &str) -> Result<String, RpcError> {
    let Some(encoded) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(text.to_owned());
    };
    let bytes = STANDARD.decode(encoded).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| mismatch("Header mismatch: Mcp-Name is not valid base64".to_owned()))
}

/// Returns the headers with which a client repeats parts of a message since revision 2026-07-28.
pub(crate) fn mirrored(message: &ClientMessage<'_>) -> HeaderMap {
    let Some(version) = message.params.meta().protocol_version.and_then(text) else { return HeaderMap::new() };
    let lines = [
        ("mcp-protocol-version", Some(version)),
        ("mcp-method", Some(message.method.clone())),
        ("mcp-name", message.params.name()),
    ];
    let encoded = |text: String| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.starts_with("=?");
        let text = if is_plain { text } else { format!("=?base64?{}?=", STANDARD.encode(text)) };
        HeaderValue::from_str(&text).ok()
    };
    let line = |(name, text): (&'static str, Option<String>)| Some((HeaderName::from_static(name), encoded(text?)?));
    lines.into_iter().filter_map(line).collect()
}

fn mismatch(message: String) -> RpcError {
    RpcError::bad_request(code::HEADER_MISMATCH, message)
}

fn missing(name: &str) -> RpcError {
    RpcError::bad_request(code::INVALID_PARAMS, format!("\"_meta\" lacks \"{META}{name}\""))
}

fn unsupported(version: &str) -> RpcError {
    let requested: String = version.chars().take(64).collect();
    let data = json!({"supported": supported(), "requested": requested});
    let error = RpcError::bad_request(code::UNSUPPORTED_VERSION, "Unsupported protocol version");
    RpcError { data: Some(data), ..error }
}
