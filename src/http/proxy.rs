//! The path proxy: `ANY /v1/proxy/{cred_id}/{path}`, and `{cred_id}@{host}` for another host of the
//! credential. It is called before warp, which would drop the trailers.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::BodyExt as _;
use warp::Reply as _;

use super::app::App;
use super::auth::{self, Authorize as _};
use super::denial_audit::Denial;
use super::problem::{self, Problem};
use super::request::context::{Outcome, RequestContext, RequestHead};
use super::request::path_params::PathParams;
use super::server::request_body::RequestBody;
use super::server::service::{DirectAnswer, DirectApi, DirectPaths};
use crate::broker::{Authenticated, Caller};
use crate::egress::{self, BoxError};
use crate::permission::Permission;
use crate::proxy::{Proxy, ProxyRequest, RefusedRequest, StreamedBody};

/// Beginning of the path, below the base path.
const PREFIX: &str = "/v1/proxy/";

/// The pattern, for the log and the audit log.
const PATTERN: &str = "/v1/proxy/{cred_id}/{path}";

/// Beginning of every API key.
pub(super) const KEY_PREFIX: &str = "srk_";

/// Paths that describe the proxy itself, and are routes of the API. No id of a credential reads like
/// them.
const DESCRIPTIONS: [&str; 2] = ["ca.pem", "destinations"];

/// Returns the paths of the proxy, and its service.
pub(crate) fn api(app: App) -> (DirectPaths, DirectApi) {
    let proxy = app.proxy.clone();
    let prefix = format!("{}{PREFIX}", app.settings.base_path);
    let answer = move |request: Request<RequestBody>, context| {
        let (app, proxy) = (app.clone(), proxy.clone());
        let answer: std::pin::Pin<Box<dyn Future<Output = DirectAnswer> + Send>> =
            Box::pin(async move { answer(&app, &proxy, request, context).await });
        answer
    };
    let is_description = |rest: &str| DESCRIPTIONS.contains(&rest.strip_suffix('/').unwrap_or(rest));
    let paths = move |path: &str| path.strip_prefix(&prefix).is_some_and(|rest| !is_description(rest));
    (Box::new(paths), Box::new(answer))
}

async fn answer(app: &App, proxy: &Proxy, request: Request<RequestBody>, context: RequestContext) -> DirectAnswer {
    let mut outcome = Outcome { pattern: PATTERN, api_key: None, provider: None, cause: None };
    let (parts, body) = request.into_parts();
    let answered = carry_out(app, proxy, parts, body, context, &mut outcome).await;
    answer_with(answered, outcome)
}

/// Returns the answer of an entry point, with its facts for the log.
pub(super) fn answer_with(
    answered: Result<http::Response<StreamedBody>, Problem>,
    mut outcome: Outcome,
) -> DirectAnswer {
    match answered {
        Ok(mut response) => {
            response.extensions_mut().insert(outcome);
            DirectAnswer::Origin(response)
        }
        Err(problem) => {
            outcome.cause = problem.logged_cause().map(str::to_owned);
            let mut response = problem.into_response();
            response.extensions_mut().insert(outcome);
            DirectAnswer::Own(response)
        }
    }
}

/// Checks in the order of the contract: key or token (401), permission (403), user (400, 403); then
/// the pipeline.
async fn carry_out(
    app: &App,
    proxy: &Proxy,
    mut parts: Parts,
    body: RequestBody,
    context: RequestContext,
    outcome: &mut Outcome,
) -> Result<http::Response<StreamedBody>, Problem> {
    let presented = take_key(&mut parts.headers);
    let path = parts.uri.path().strip_prefix(app.settings.base_path.as_str()).unwrap_or_default().to_owned();
    let place = Place::parse(&path, parts.uri.query());
    let mut headers = parts.headers.clone();
    if let Some(key) = presented {
        headers.remove(header::AUTHORIZATION);
        headers.insert("x-api-key", key);
    }
    let head = RequestHead { context, method: parts.method.clone(), path, query: String::new(), headers };
    let authenticated = Arc::new(auth::authenticate(&app.broker, &app.failed_attempts, &head).await?);
    outcome.api_key = authenticated.api_key();
    let prepare = |caller: &Caller| {
        let place = place.ok_or_else(|| Problem::new(&problem::NOT_FOUND, "Not Found"))?;
        // Each request leaves an audit row, as each answer with a secret does.
        app.secret_rate.count(&caller.share_name(), &caller.user)?;
        let credential = place.credential.parse();
        Ok(ProxyRequest {
            caller: caller.clone(),
            share: app.share_of(caller),
            credential: credential
                .map_err(|_| Problem::new(&problem::CREDENTIAL_NOT_FOUND, "Credentials not found"))?,
            authority: place.authority,
            scheme: None,
            method: parts.method,
            target: place.target,
            headers: parts.headers,
            upgrade: parts.extensions.remove(),
            extensions: parts.extensions,
            body: body.map_err(|error: hyper::Error| -> BoxError { Box::new(error) }).boxed_unsync(),
        })
    };
    let asking = Asking { head: &head, authenticated: &authenticated, pattern: PATTERN };
    send(app, proxy, asking, prepare, outcome).await
}

/// An authenticated request of an entry point.
#[derive(Clone, Copy)]
pub(super) struct Asking<'r> {
    pub(super) head: &'r RequestHead,
    pub(super) authenticated: &'r Authenticated,
    /// Pattern of the entry point, for the log and the audit log.
    pub(super) pattern: &'static str,
}

/// Sends the request that `prepare` returns through the pipeline, if the caller has the permission.
/// A refusal leaves an audit row.
pub(super) async fn send(
    app: &App,
    proxy: &Proxy,
    asking: Asking<'_>,
    prepare: impl FnOnce(&Caller) -> Result<ProxyRequest, Problem>,
    outcome: &mut Outcome,
) -> Result<http::Response<StreamedBody>, Problem> {
    let Asking { head, authenticated, .. } = asking;
    outcome.api_key = authenticated.api_key();
    let user = authenticated.intended_user(&head.headers);
    let owner = user.map_or_else(|| authenticated.share_name(), |user| egress::owner(&user));
    // Boxed: it is large, and warp's requests do not need the room.
    let sending = Box::pin(async {
        let prepared = Caller::authorize(authenticated, Permission::ProxyIntegrations, head)
            .and_then(|caller| prepare(&caller))
            .map_err(|problem| (problem, RefusedRequest::default()))?;
        proxy.send(prepared).await.map_err(|refusal| (refusal.error.into(), refusal.request))
    });
    let (problem, refused): (Problem, RefusedRequest) = match egress::on_behalf_of(owner, sending).await {
        Ok(response) => return Ok(response),
        Err(refusal) => refusal,
    };
    outcome.provider.clone_from(&refused.provider);
    Err(refused_with_row(app, asking, problem, refused).await)
}

/// Writes the audit row of a refused request, and returns its problem.
pub(super) async fn refused_with_row(
    app: &App,
    asking: Asking<'_>,
    problem: Problem,
    refused: RefusedRequest,
) -> Problem {
    let Asking { head, authenticated, pattern } = asking;
    let denial = Denial {
        problem: problem.kind(),
        method: &head.method,
        pattern,
        permission: Some(Permission::ProxyIntegrations),
        authenticated,
        head,
        params: &PathParams::of(pattern, &head.path),
        refused: Some(refused),
    };
    app.denial_audit.record(&app.broker, denial).await;
    problem
}

/// The parts of a path of the proxy, as they were sent.
struct Place {
    credential: String,
    authority: Option<String>,
    /// Path and query for the provider.
    target: String,
}

impl Place {
    fn parse(path: &str, query: Option<&str>) -> Option<Self> {
        let rest = path.strip_prefix(PREFIX)?;
        let (selection, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (credential, authority) = match selection.split_once('@') {
            Some((credential, authority)) => (credential, Some(authority.to_owned())),
            None => (selection, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        Some(Self { credential: credential.to_owned(), authority, target })
    }
}

/// Takes our API key out of the headers: the first of `X-API-Key`, `Authorization` and all others,
/// because SDKs of a provider can set only that provider's own header. Whatever other header holds
/// one is removed too: the provider must not get it.
fn take_key(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut found: Vec<(HeaderName, HeaderValue)> =
        headers.iter().filter_map(|(name, value)| Some((name.clone(), key_in(value)?))).collect();
    let rank = |name: &HeaderName| match name.as_str() {
        "x-api-key" => 0,
        "authorization" => 1,
        _ => 2,
    };
    found.sort_by_key(|(name, _)| rank(name));
    for (name, _) in &found {
        headers.remove(name);
    }
    let (_, key) = found.into_iter().next()?;
    headers.remove("x-api-key");
    Some(key)
}

/// Returns our API key in a header value: alone, after a word such as `Bearer`, or as the user name or
/// the password of HTTP Basic.
fn key_in(value: &HeaderValue) -> Option<HeaderValue> {
    let text = value.to_str().ok()?.trim();
    let word = text.rsplit(' ').next()?;
    let is_key = |text: &str| text.starts_with(KEY_PREFIX) && text.len() <= 256;
    if is_key(word) {
        return HeaderValue::from_str(word).ok();
    }
    let encoded = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))?.1;
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    pair.split(':').find(|half| is_key(half)).and_then(|key| HeaderValue::from_str(key).ok())
}
