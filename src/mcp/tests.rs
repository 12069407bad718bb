//! The protocol, with tools that send nothing.

use std::sync::Mutex;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{McpAnswer, ToolError, ToolRequest, ToolResponse, Tools, answer};
use crate::broker::{ApprovalView, CredentialPage, SendablePage};

const ID: &str = "3f2b8c1e-0000-4000-8000-000000000000";

/// Tools that note requests and answer with a fixed body.
#[derive(Default)]
struct NotingTools {
    noted: Mutex<Vec<ToolRequest>>,
    body: Vec<u8>,
    truncated: bool,
}

impl Tools for NotingTools {
    fn list(&self, page: CredentialPage) -> Result<SendablePage, ToolError> {
        assert!(page.limit.is_some_and(|limit| limit <= 100));
        Ok(SendablePage { credentials: Vec::new(), next_after: Some(ID.parse().unwrap()) })
    }

    async fn send(&self, request: ToolRequest) -> Result<ToolResponse, ToolError> {
        self.noted.lock().unwrap().push(request);
        let headers = HeaderMap::from_iter([
            (http::header::SET_COOKIE, HeaderValue::from_static("a=b")),
            (http::header::ETAG, HeaderValue::from_static("\"1\"")),
        ]);
        Ok(ToolResponse { status: StatusCode::OK, headers, body: self.body.clone(), truncated: self.truncated })
    }

    async fn approval(&self, _id: &str) -> Result<ApprovalView, ToolError> {
        Err(ToolError(json!({"type": "/problems/not-granted"})))
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    lines.iter().map(line).collect()
}

async fn post(tools: &NotingTools, lines: &[(&'static str, &str)], body: &str) -> (u16, Value) {
    match answer(tools, &headers(lines), body.as_bytes()).await {
        McpAnswer::Accepted => (202, Value::Null),
        McpAnswer::Json { status, body } => (status.as_u16(), serde_json::from_slice(&body).unwrap()),
    }
}

async fn legacy(message: Value) -> (u16, Value) {
    post(&NotingTools::default(), &[], &message.to_string()).await
}

fn modern(method: &str, mut params: Value) -> String {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

/// Calls a tool; returns its text as JSON, and true if it is an error.
async fn call(tools: &NotingTools, name: &str, arguments: Value) -> (Value, bool) {
    let params = json!({"name": name, "arguments": arguments});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let (status, response) = post(tools, &[], &message.to_string()).await;
    assert_eq!(status, 200, "{response}");
    let result = &response["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{response}"));
    (serde_json::from_str(text).unwrap(), result["isError"].as_bool().unwrap())
}

#[tokio::test]
async fn malformed_messages_are_json_rpc_errors() {
    for (body, code, id) in [
        ("{", -32700, Value::Null),
        ("", -32700, Value::Null),
        ("\u{feff}{}", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, Value::Null),
        ("1", -32600, Value::Null),
        (r#"{"id":1,"method":"ping"}"#, -32600, json!(1)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, -32600, json!("a")),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600, Value::Null),
        (r#"["2.0",1,"ping",{}]"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32602, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, -32602, json!(1)),
    ] {
        let (status, response) = post(&NotingTools::default(), &[], body).await;
        assert_eq!((status, response["error"]["code"].as_i64(), &response["id"]), (400, Some(code), &id), "{body}");
    }
}

#[tokio::test]
async fn members_that_nobody_reads_are_not_built() {
    // A value would refuse both: a lone surrogate, and a number that is too large.
    let junk = r#"{"a":["\ud800",1e999]}"#;
    let message = format!(
        r#"{{"junk":{junk},"jsonrpc":"2.0","id":1,"method":"ping","params":{{"junk":{junk},"_meta":{{"x":{junk}}}}}}}"#
    );
    let (status, response) = post(&NotingTools::default(), &[], &message).await;
    assert_eq!((status, &response["result"]), (200, &json!({})), "{response}");
    // Reading ends at the first member too many: the number behind it is not seen.
    let mut many: Vec<String> = (0..65).map(|number| format!("\"h{number}\":\"v\"")).collect();
    many.push("\"last\":1".to_owned());
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"http_get","arguments":{{"credential":"{ID}","path":"/","query":{{{}}}}}}}}}"#,
        many.join(",")
    );
    let (_, response) = post(&NotingTools::default(), &[], &message).await;
    assert!(response["result"]["content"][0]["text"].as_str().unwrap().contains("64 members"), "{response}");
}

#[tokio::test]
async fn initialize_is_answered_without_a_session() {
    for (asked, given) in
        [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2024-11-05", "2025-11-25"), ("", "2025-11-25")]
    {
        let params = json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
        let (status, response) =
            legacy(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        assert_eq!((status, &response["result"]["protocolVersion"]), (200, &json!(given)));
        assert_eq!(response["result"]["serverInfo"]["name"], "strongroom");
        assert!(response["result"]["resultType"].is_null());
    }
    assert_eq!(legacy(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await.0, 202);
    assert_eq!(legacy(json!({"jsonrpc": "2.0", "id": "p", "method": "ping"})).await.1["result"], json!({}));
    let (status, response) = legacy(json!({"jsonrpc": "2.0", "id": 1, "method": "resources/list"})).await;
    assert_eq!((status, &response["error"]["code"]), (200, &json!(-32601)));
}

#[tokio::test]
async fn modern_results_carry_type_and_cache() {
    let tools = NotingTools::default();
    let lines = |method| [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    for method in ["server/discover", "tools/list"] {
        let (status, response) = post(&tools, &lines(method), &modern(method, json!({}))).await;
        let result = &response["result"];
        assert_eq!((status, &result["resultType"], &response["id"]), (200, &json!("complete"), &json!(7)));
        assert_eq!(result["cacheScope"], "private");
        assert!(result["ttlMs"].is_u64());
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "strongroom");
    }
    for method in ["initialize", "ping", "resources/list", "subscriptions/listen"] {
        let (status, response) = post(&tools, &lines(method), &modern(method, json!({}))).await;
        assert_eq!((status, &response["error"]["code"]), (404, &json!(-32601)), "{method}");
    }
}

#[tokio::test]
async fn headers_must_agree_with_the_body() {
    let tools = NotingTools::default();
    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "tools/call");
    let body = modern("tools/call", json!({"name": "list_credentials"}));
    for lines in [
        &[][..],
        &[version],
        &[version, method],
        &[method, ("mcp-name", "list_credentials")],
        &[("mcp-protocol-version", "2025-11-25"), method, ("mcp-name", "list_credentials")],
        &[version, ("mcp-method", "tools/list"), ("mcp-name", "list_credentials")],
        &[version, method, ("mcp-name", "http_get")],
        &[version, method, ("mcp-name", "=?base64?!!?=")],
    ] {
        let (status, response) = post(&tools, lines, &body).await;
        assert_eq!((status, &response["error"]["code"]), (400, &json!(-32020)), "{lines:?}");
        assert_eq!(response["id"], 7);
    }
    for name in ["list_credentials", "=?base64?bGlzdF9jcmVkZW50aWFscw==?="] {
        let (status, response) = post(&tools, &[version, method, ("mcp-name", name)], &body).await;
        assert_eq!((status, &response["result"]["isError"]), (200, &json!(false)), "{response}");
    }
}

#[tokio::test]
async fn unsupported_version_lists_the_supported_ones() {
    let body = modern("tools/list", json!({})).replace("2026-07-28", "1900-01-01");
    let lines = [("mcp-protocol-version", "1900-01-01"), ("mcp-method", "tools/list")];
    let without_meta = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
    for body in [&body, without_meta] {
        let (status, response) = post(&NotingTools::default(), &lines, body).await;
        assert_eq!((status, &response["error"]["code"]), (400, &json!(-32022)));
        let data = json!({"supported": ["2026-07-28", "2025-11-25", "2025-06-18"], "requested": "1900-01-01"});
        assert_eq!(response["error"]["data"], data);
    }
    // A modern request has its members in `_meta`.
    let lines = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let (status, response) = post(&NotingTools::default(), &lines, without_meta).await;
    assert_eq!((status, &response["error"]["code"]), (400, &json!(-32602)));
}

#[tokio::test]
async fn schemas_are_strict() {
    let (_, response) = legacy(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await;
    let tools = response["result"]["tools"].as_array().unwrap().clone();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["list_credentials", "http_get", "http_send", "approval_status"]);
    for tool in &tools {
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
        assert_eq!(tool["annotations"]["readOnlyHint"], tool["name"] != "http_send");
        for property in tool["inputSchema"]["properties"].as_object().unwrap().values() {
            let is_bounded = ["maxLength", "maximum", "maxProperties"].iter().any(|bound| property[bound].is_u64());
            assert!(is_bounded, "{property}");
        }
    }
}

#[tokio::test]
async fn faults_of_arguments_are_tool_errors() {
    let tools = NotingTools::default();
    let many: Value =
        (0..65).map(|number| (format!("h{number}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    for (tool, arguments, fault) in [
        ("list_credentials", json!({"limit": 0}), "limit"),
        ("list_credentials", json!({"limit": 101}), "limit"),
        ("list_credentials", json!({"after": "x"}), "after"),
        ("list_credentials", json!({"user": "bob"}), "Extra inputs are not permitted"),
        ("http_get", json!({"path": "/"}), "credential"),
        ("http_get", json!({"credential": "x", "path": "/"}), "credential"),
        ("http_get", json!({"credential": ID}), "either path or url"),
        ("http_get", json!({"credential": ID, "path": "/", "url": "https://a.example/"}), "either path or url"),
        ("http_get", json!({"credential": ID, "url": "ftp://a.example/"}), "url"),
        ("http_get", json!({"credential": ID, "url": "https://me:you@a.example/"}), "url"),
        ("http_get", json!({"credential": ID, "path": "x".repeat(8193)}), "path"),
        ("http_get", json!({"credential": ID, "path": "/", "headers": many}), "headers"),
        ("http_get", json!({"credential": ID, "path": "/", "headers": {"A b": "c"}}), "headers"),
        ("http_get", json!({"credential": ID, "path": "/", "headers": {"A": "b\r\nC: d"}}), "headers"),
        ("http_get", json!({"credential": ID, "path": "/", "query": {"a": "x".repeat(8193)}}), "query"),
        ("http_get", json!({"credential": ID, "path": "/", "method": "DELETE"}), "Extra inputs are not permitted"),
        ("http_send", json!({"credential": ID, "path": "/"}), "method"),
        ("http_send", json!({"credential": ID, "path": "/", "method": "post"}), "method"),
        ("http_send", json!({"credential": ID, "path": "/", "method": "A B"}), "method"),
        ("http_send", json!({"credential": ID, "path": "/", "method": "PUT", "body": "x".repeat(524_289)}), "body"),
        ("approval_status", json!({}), "approval_id"),
        ("approval_status", json!({"approval_id": 1}), "string"),
        ("http_get", json!({}), "credential: Field required; path: Value error, give either path or url"),
        (
            "http_send",
            json!({"credential": 1, "method": "post", "url": "nope", "headers": {"A b": ""}}),
            "credential: Input should be a valid string; method: Value error, use a method such as POST, in upper case; \
             headers: Value error, 'A b' is not a valid header; url: Value error, a whole URL is needed",
        ),
        ("list_credentials", json!({"limit": 0, "after": "x"}), "100; after: Value error, use the `next`"),
        ("http_get", json!([ID, "/"]), "object"),
        ("http_get", json!("x"), "object"),
    ] {
        let (problem, is_error) = call(&tools, tool, arguments).await;
        assert!(is_error && problem["type"] == "/problems/invalid-request", "{tool}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(fault), "{fault}: {problem}");
    }
    assert!(tools.noted.lock().unwrap().is_empty());
    let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_token"}});
    assert_eq!(legacy(unknown).await.1["error"]["code"], -32602);
}

#[tokio::test]
async fn request_is_built_as_described() {
    let tools = NotingTools::default();
    let headers =
        json!({"Accept": "a/b", "Host": "evil.example", "Content-Length": "1", "Transfer-Encoding": "chunked"});
    let arguments = json!({"credential": ID, "path": "user/repos?a=1", "query": {"q": "a b&c"}, "headers": headers});
    call(&tools, "http_get", arguments).await;
    let arguments =
        json!({"credential": ID, "url": "https://api.example/x?y", "method": "PATCH", "body": " {\"a\": 1.50}"});
    call(&tools, "http_send", arguments).await;
    call(&tools, "http_send", json!({"credential": ID, "path": "/", "method": "POST", "body": "plain"})).await;
    let noted = tools.noted.lock().unwrap();
    let [get, patch, post] = &noted[..] else { panic!("{noted:?}") };
    assert_eq!((get.target.as_str(), &get.authority, get.reads_only), ("/user/repos?a=1&q=a%20b%26c", &None, true));
    assert_eq!(get.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["accept"]);
    assert_eq!((patch.target.as_str(), patch.authority.as_deref()), ("/x?y", Some("api.example")));
    assert_eq!((patch.method.as_str(), &patch.body[..]), ("PATCH", &b" {\"a\": 1.50}"[..]));
    assert_eq!(patch.headers["content-type"], "application/json");
    assert!(!patch.reads_only && post.headers.is_empty());
}

#[tokio::test]
async fn body_is_text_or_base64() {
    for (body, truncated, member, shown) in [
        (&b"h\xc3\xa9"[..], false, "body", "h\u{e9}"),
        (b"h\xc3", true, "body", "h"),
        (b"h\xc3", false, "body_base64", "aMM="),
        (b"\xff\xfe", true, "body_base64", "//4="),
        (b"a\0b", false, "body_base64", "YQBi"),
    ] {
        let tools = NotingTools { body: body.to_vec(), truncated, ..NotingTools::default() };
        let (result, is_error) = call(&tools, "http_get", json!({"credential": ID, "path": "/"})).await;
        assert!(!is_error);
        assert_eq!((&result[member], &result["truncated"]), (&json!(shown), &json!(truncated)), "{result}");
        assert_eq!(result["headers"], json!({"etag": "\"1\""}));
    }
}
