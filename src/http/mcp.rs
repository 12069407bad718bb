//! The MCP server at `/mcp`: authenticates the caller of each message, and sends the requests of its
//! tools through the proxy. It is called before warp, as the proxy is.

use std::time::Duration;

use futures_util::stream;
use http::request::Parts;
use http::{Extensions, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use url::Url;
use warp::Reply as _;
use warp::reply::Response;

use super::app::App;
use super::auth::{self, Authorize as _};
use super::body_budget::BodyShare;
use super::denial_audit::Denial;
use super::limits::Limits;
use super::problem::{self, Problem};
use super::request::body;
use super::request::context::{Outcome, RequestContext, RequestHead};
use super::request::path_params::PathParams;
use super::server::request_body::RequestBody;
use super::server::service::{DirectAnswer, DirectApi, DirectPaths, DirectResponding};
use crate::broker::{ApprovalReader, ApprovalView, Authenticated, Caller, CredentialPage, SendablePage};
use crate::config::is_loopback;
use crate::egress::{self, BoxError};
use crate::mcp::{self, MAX_BODY, MAX_MESSAGE, McpAnswer, ToolError, ToolRequest, ToolResponse, Tools};
use crate::permission::Permission;
use crate::proxy::{Proxy, ProxyRequest, RefusedRequest, StreamedBody, method_override};

/// The path below the base path, and the pattern for the log and the audit log.
const PATTERN: &str = "/mcp";

/// Returns the path of the MCP server, and its service.
pub(crate) fn api(app: App) -> (DirectPaths, DirectApi) {
    let proxy = app.proxy.clone();
    let path = format!("{}{PATTERN}", app.settings.base_path);
    let service = move |request: Request<RequestBody>, context| -> DirectResponding {
        let (app, proxy) = (app.clone(), proxy.clone());
        Box::pin(async move { DirectAnswer::Own(answer(&app, &proxy, request, context).await) })
    };
    (Box::new(move |asked: &str| asked.strip_suffix('/').unwrap_or(asked) == path), Box::new(service))
}

async fn answer(app: &App, proxy: &Proxy, request: Request<RequestBody>, context: RequestContext) -> Response {
    let mut outcome = Outcome { pattern: PATTERN, api_key: None, provider: None, cause: None };
    let (parts, body) = request.into_parts();
    let mut response = match carry_out(app, proxy, parts, body, context, &mut outcome).await {
        Ok(response) => response,
        Err(problem) => {
            outcome.cause = problem.logged_cause().map(str::to_owned);
            problem.into_response()
        }
    };
    response.extensions_mut().insert(outcome);
    response
}

/// Checks origin, method, key (401), permission (403) and body (413), in this order.
async fn carry_out(
    app: &App,
    proxy: &Proxy,
    parts: Parts,
    body: RequestBody,
    context: RequestContext,
    outcome: &mut Outcome,
) -> Result<Response, Problem> {
    check_origin(app, &parts)?;
    if parts.method != Method::POST {
        let only = "This MCP server has no sessions and no streams: send POST.";
        let allow = HeaderValue::from_static("POST");
        return Err(Problem::new(&problem::METHOD_NOT_ALLOWED, only).header(header::ALLOW, allow));
    }
    let path = PATTERN.to_owned();
    let head = RequestHead { context, method: parts.method, path, query: String::new(), headers: parts.headers };
    let authenticated = auth::authenticate(&app.broker, &app.failed_attempts, &head).await?;
    outcome.api_key = authenticated.api_key();
    let caller = match Caller::authorize(&authenticated, Permission::ProxyIntegrations, &head) {
        Ok(caller) => caller,
        Err(problem) => {
            record_denial(app, &authenticated, &head, &problem, None).await;
            return Err(problem);
        }
    };
    let mut share = app.body_budget.share(caller.share_name());
    let mut chunks = Box::pin(data_of(body));
    let limits = Limits { body_bytes: MAX_MESSAGE, ..app.settings.limits.clone() };
    let message = body::read(&mut chunks, context.body_length, &mut share, &limits).await?;
    drop(chunks);
    let (owner, key) = (egress::owner(&caller.user), caller.share_name());
    let tools = CallerTools { app, proxy, caller, authenticated: &authenticated, head: &head };
    let answering = Box::pin(mcp::answer(&tools, &head.headers, &message));
    match egress::on_behalf_of(owner, answering).await {
        McpAnswer::Accepted => Ok(with_status(StatusCode::ACCEPTED, Response::default())),
        McpAnswer::Json { status, body } => {
            let body = app.body_budget.hold(|| key, body.into())?;
            let mut response = with_status(status, Response::new(body.into()));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
    }
}

fn with_status(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
}

/// Refuses the page of another site: a browser can be made to resolve that site's name to our
/// address (DNS rebinding).
fn check_origin(app: &App, parts: &Parts) -> Result<(), Problem> {
    let public = &app.broker.config().server.public_url;
    let is_ours = |value: &HeaderValue| {
        let Some(url) = value.to_str().ok().and_then(|text| Url::parse(text).ok()) else { return false };
        let both_local = |url: &Url| url.host().is_some_and(|host| is_loopback(&host));
        url.origin().is_tuple() && (url.origin() == public.origin() || both_local(&url) && both_local(public))
    };
    if parts.headers.get_all(header::ORIGIN).iter().all(is_ours) {
        return Ok(());
    }
    let detail = "The header Origin names another site than server.public_url.";
    Err(Problem::new(&problem::ORIGIN_NOT_ALLOWED, detail))
}

/// Returns the data of a body, without its trailers.
fn data_of(body: RequestBody) -> impl futures_util::Stream<Item = Result<bytes::Bytes, hyper::Error>> {
    stream::unfold(body, |mut body| async {
        loop {
            match body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some((Ok(data), body));
                    }
                }
                Err(error) => return Some((Err(error), body)),
            }
        }
    })
}

/// Writes the audit row of a request that was refused.
async fn record_denial(
    app: &App,
    authenticated: &Authenticated,
    head: &RequestHead,
    problem: &Problem,
    refused: Option<RefusedRequest>,
) {
    let denial = Denial {
        problem: problem.kind(),
        method: &head.method,
        pattern: PATTERN,
        permission: Some(Permission::ProxyIntegrations),
        authenticated,
        head,
        params: &PathParams::of(PATTERN, &head.path),
        refused,
    };
    app.denial_audit.record(&app.broker, denial).await;
}

/// The tools of one request.
struct CallerTools<'r> {
    app: &'r App,
    proxy: &'r Proxy,
    caller: Caller,
    authenticated: &'r Authenticated,
    head: &'r RequestHead,
}

impl Tools for CallerTools<'_> {
    fn list(&self, page: CredentialPage) -> Result<SendablePage, ToolError> {
        self.app.broker.sendable(&self.caller, page).map_err(|error| self.tool_error(&error.into()))
    }

    async fn send(&self, request: ToolRequest) -> Result<ToolResponse, ToolError> {
        let limit = self.app.settings.limits.mcp_time;
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(problem)) => Err(self.tool_error(&problem)),
            Err(_) => Err(self.tool_error(&too_slow(limit))),
        }
    }

    async fn approval(&self, id: &str) -> Result<ApprovalView, ToolError> {
        // Also an administrator's agent sees the requests of its own key alone.
        let reader = ApprovalReader { administrator: None, key: self.authenticated.api_key() };
        match self.app.broker.approval(&reader, id) {
            Ok(view) => Ok(view),
            Err(error) => Err(self.refused(error.into()).await),
        }
    }
}

impl CallerTools<'_> {
    /// Writes the audit row of a call that was refused, and the problem as its result.
    async fn refused(&self, problem: Problem) -> ToolError {
        record_denial(self.app, self.authenticated, self.head, &problem, None).await;
        self.tool_error(&problem)
    }

    async fn exchange(&self, request: ToolRequest) -> Result<ToolResponse, Problem> {
        if request.reads_only {
            self.check_reads(&request)?;
        }
        // Each request leaves an audit row, as each answer with a secret does.
        self.app.secret_rate.count(&self.caller.share_name(), &self.caller.user)?;
        let ToolRequest { credential, authority, method, target, headers, body, .. } = request;
        let body = Full::new(body).map_err(|never| -> BoxError { match never {} }).boxed_unsync();
        let caller = self.caller.clone();
        let share = self.app.share_of(&caller);
        let request = ProxyRequest {
            caller,
            share,
            credential,
            authority,
            scheme: None,
            method,
            target,
            headers,
            extensions: Extensions::new(),
            body,
            upgrade: None,
        };
        match Box::pin(self.proxy.send(request)).await {
            Ok(response) => self.read(response).await,
            Err(refusal) => {
                let problem = refusal.error.into();
                record_denial(self.app, self.authenticated, self.head, &problem, Some(refusal.request)).await;
                Err(problem)
            }
        }
    }

    /// Refuses a GET that can change something, so that a client can allow `http_get` in general.
    fn check_reads(&self, request: &ToolRequest) -> Result<(), Problem> {
        let broker = &self.app.broker;
        let query = request.target.split_once('?').map(|(_, query)| query);
        if let Some(name) = method_override(&request.headers, query) {
            let detail = format!("http_get must not override its method ({name}): use http_send.");
            return Err(Problem::new(&problem::METHOD_OVERRIDDEN, detail));
        }
        // A credential that the caller may not use is refused by the proxy.
        let Ok(summary) = broker.credential_to_send(&self.caller, &request.credential) else { return Ok(()) };
        if broker.entry(summary.provider.as_str()).is_some_and(|entry| entry.get_writes) {
            let provider = &summary.provider;
            let detail =
                format!("A GET request to {provider} can change something: use http_send with the method GET.");
            return Err(Problem::new(&problem::METHOD_NOT_ALLOWED, detail));
        }
        Ok(())
    }

    /// Reads a response up to the limit of a tool.
    async fn read(&self, response: http::Response<StreamedBody>) -> Result<ToolResponse, Problem> {
        let (parts, mut body) = response.into_parts();
        let mut share: BodyShare<'_> = self.app.body_budget.share(self.caller.share_name());
        let (mut held, mut truncated) = (Vec::new(), false);
        while let Some(frame) = body.frame().await {
            let broken = |error: BoxError| {
                let detail = "The provider's response ended early. The request was sent.";
                Problem::new(&problem::PROVIDER_UNAVAILABLE, detail).log_cause(error.to_string())
            };
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            let taken = data.len().min(MAX_BODY - held.len());
            share.grow(held.len() + taken)?;
            held.extend_from_slice(&data[..taken]);
            if taken < data.len() {
                truncated = true;
                break;
            }
        }
        Ok(ToolResponse { status: parts.status, headers: parts.headers, body: held, truncated })
    }

    /// Writes a problem as the result of a tool.
    fn tool_error(&self, problem: &Problem) -> ToolError {
        let (_, body) = problem.body(self.head.context.id);
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        body["type"] = json!(problem.kind().uri);
        body["title"] = json!(problem.kind().title);
        ToolError(body)
    }
}

fn too_slow(limit: Duration) -> Problem {
    let detail = format!(
        "The provider did not complete its response within {} s, the limit of a tool. The request may have been carried out.",
        limit.as_secs()
    );
    Problem::new(&problem::PROVIDER_TIMEOUT, detail)
}
