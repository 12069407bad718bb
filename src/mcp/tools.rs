//! The tools: list the credentials, read with one, send anything else with one, ask for an approval.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::arguments::{self, ToolRequest};
use super::response::{ToolError, ToolResponse};
use crate::broker::{ApprovalView, CredentialPage, SendablePage};

/// The tools of one authenticated caller.
pub trait Tools: Sync {
    /// Returns a page of the credentials that the caller can send requests with.
    fn list(&self, page: CredentialPage) -> Result<SendablePage, ToolError>;

    /// Sends a request with a credential.
    fn send(&self, request: ToolRequest) -> impl Future<Output = Result<ToolResponse, ToolError>> + Send;

    /// Returns a request of this caller that needs the approval of a person.
    fn approval(&self, id: &str) -> impl Future<Output = Result<ApprovalView, ToolError>> + Send;
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
        {
            "name": "approval_status",
            "title": "Get the state of an approval",
            "description": "If http_get or http_send is refused with /problems/approval-pending, a person has to approve the \
                request. This tool tells the status: pending, approved or denied. Once it is approved, call http_get or \
                http_send again with the same arguments.",
            "inputSchema": arguments::approval_schema(),
            "annotations": {"readOnlyHint": true, "openWorldHint": false},
        },
    ])
}

/// Calls a tool. Returns its text, and true if that is an error; `None` if there is no such tool.
pub(super) async fn call(tools: &impl Tools, name: &str, arguments: &RawValue) -> Option<(String, bool)> {
    let called = match name {
        "list_credentials" => arguments::page(arguments).and_then(|page| tools.list(page)).map(|page| listed(&page)),
        "http_get" => sent(tools, arguments::get(arguments)).await,
        "http_send" => sent(tools, arguments::send(arguments)).await,
        "approval_status" => approval(tools, arguments::approval(arguments)).await,
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

async fn approval(tools: &impl Tools, id: Result<String, ToolError>) -> Result<String, ToolError> {
    let ApprovalView { id, status, credential, method, url, created_at, expires_at, .. } = tools.approval(&id?).await?;
    let shown = json!({"approval_id": id.to_string(), "status": status, "credential": credential.to_string(),
        "method": method, "url": url, "created_at": created_at, "expires_at": expires_at});
    Ok(shown.to_string())
}

fn listed(page: &SendablePage) -> String {
    let mut list = json!({"credentials": page.credentials});
    if let Some(next) = &page.next_after {
        list["next"] = json!(next.to_string());
    }
    list.to_string()
}
