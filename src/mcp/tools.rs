//! The tools: list the credentials, read with one, send anything else with one.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::arguments::{self, ToolRequest};
use super::response::{ToolError, ToolResponse};
use crate::broker::{CredentialPage, SendablePage};

/// The tools of one authenticated caller.
pub trait Tools: Sync {
    /// Returns a page of the credentials that the caller can send requests with.
    fn list(&self, page: CredentialPage) -> Result<SendablePage, ToolError>;

    /// Sends a request with a credential.
    fn send(&self, request: ToolRequest) -> impl Future<Output = Result<ToolResponse, ToolError>> + Send;
}

/// Returns the definitions of all tools.
pub(super) fn definitions() -> Value {
    json!([
        {
            "name": "list_credentials",
            "title": "List credentials",
            "description": "Lists the accounts and keys that requests can be sent with: id, provider, title, base_url, hosts and \
                status. It never shows a secret. If `next` is in the result, give it as `after` for the next page.",
            "inputSchema": arguments::page_schema(),
            "annotations": {"readOnlyHint": true, "openWorldHint": false},
        },
        {
            "name": "http_get",
            "title": "Read with a credential",
            "description": "Sends a GET request with a credential, and returns status, headers and body. Authentication is added \
                automatically. A body of more than 1 MiB is cut (`truncated`); binary bodies are in body_base64. Redirects are \
                not followed.",
            "inputSchema": arguments::get_schema(),
            "annotations": {"readOnlyHint": true, "openWorldHint": true},
        },
        {
            "name": "http_send",
            "title": "Send with a credential",
            "description": "Sends a request with any method and a body with a credential, and returns as http_get does. It can \
                change data at the provider.",
            "inputSchema": arguments::send_schema(),
            "annotations": {"readOnlyHint": false, "destructiveHint": true, "idempotentHint": false, "openWorldHint": true},
        },
    ])
}

/// Calls a tool. Returns its text, and true if that is an error; `None` if there is no such tool.
pub(super) async fn call(tools: &impl Tools, name: &str, arguments: &RawValue) -> Option<(String, bool)> {
    let called = match name {
        "list_credentials" => arguments::page(arguments).and_then(|page| tools.list(page)).map(|page| listed(&page)),
        "http_get" => sent(tools, arguments::get(arguments)).await,
        "http_send" => sent(tools, arguments::send(arguments)).await,
        _ => return None,
    };
    Some(match called {
        Ok(text) => (text, false),
        Err(error) => (error.text(), true),
    })
}

async fn sent(tools: &impl Tools, request: Result<ToolRequest, ToolError>) -> Result<String, ToolError> {
    Ok(tools.send(request?).await?.text())
}

fn listed(page: &SendablePage) -> String {
    let mut list = json!({"credentials": page.credentials});
    if let Some(next) = &page.next_after {
        list["next"] = json!(next.to_string());
    }
    list.to_string()
}
