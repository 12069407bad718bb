//! One row of the route table, and the warp filter that it becomes.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, Method, StatusCode};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::reply::Response;

use super::App;
use super::answer::{Answer, Shape};
use super::body::{self, BodyStream, FromBody, NoBody};
use super::call::{self, AdminCall, Call, Proof, Received};
use super::pattern;
use super::problem::Problem;
use super::refusals::{self, Asked};
use super::service::{Arrival, Handled};
use crate::id::ApiKeyId;
use crate::permission::Permission;

/// Everything that is known of one route; OpenAPI, the `Allow` header and the permission test come from it too.
#[derive(Clone)]
pub struct Route {
    /// The method; `GET` answers `HEAD` too.
    pub method: Method,
    /// The pattern of its path, without the base path: `/v1/integrations/{provider}/credentials`.
    pub pattern: &'static str,
    /// The permission that the API key must have; nothing where no key is needed.
    pub permission: Option<Permission>,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The status of a good answer.
    pub success: StatusCode,
    pub(super) shapes: Shapes,
    run: Run,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

#[derive(Clone)]
enum Run {
    Open(Arc<dyn Fn(App) -> Answering + Send + Sync>),
    Guarded(Arc<dyn Fn(App, Proof, Received) -> Answering + Send + Sync>),
}

/// The types of a route, as OpenAPI wants them.
#[derive(Clone)]
pub(super) struct Shapes {
    pub(super) request: Option<(&'static str, RefOr<Schema>)>,
    pub(super) response: RefOr<Schema>,
    /// The schemas that the two refer to, by name.
    pub(super) components: Vec<(String, RefOr<Schema>)>,
}

impl Shapes {
    fn of<B: FromBody, R: Shape>() -> Self {
        let mut components = Vec::new();
        let response = R::schema(&mut components);
        Self { request: B::schema(), response, components }
    }
}

/// A route for everybody.
pub(super) fn open<R: Shape, F>(pattern: &'static str, summary: &'static str, handler: fn(App) -> F) -> Route
where
    F: Future<Output = Result<Answer<R>, Problem>> + Send + 'static,
{
    let run = move |app: App| -> Answering {
        let answer = handler(app);
        Box::pin(async move { Ok(answer.await?.into_response()) })
    };
    Route {
        method: Method::GET,
        pattern,
        permission: None,
        summary,
        success: StatusCode::OK,
        shapes: Shapes::of::<NoBody, R>(),
        run: Run::Open(Arc::new(run)),
    }
}

/// A route for whoever presents a key with `permission`.
pub(super) fn guarded<B: FromBody, R: Shape, F>(
    method: Method,
    pattern: &'static str,
    permission: Permission,
    summary: &'static str,
    handler: fn(App, Call, B) -> F,
) -> Route
where
    F: Future<Output = Result<Answer<R>, Problem>> + Send + 'static,
{
    let run = move |app: App, proof: Proof, received: Received| -> Answering {
        Box::pin(async move {
            let Received { arrival, headers, params, query, body } = received;
            let caller = call::authorize(&proof, permission, arrival, &headers)?;
            let body = body::read(&headers, body, app.limits()).await?;
            Ok(handler(app, Call { caller, params, query }, body).await?.into_response())
        })
    };
    Route {
        method,
        pattern,
        permission: Some(permission),
        summary,
        success: StatusCode::OK,
        shapes: Shapes::of::<B, R>(),
        run: Run::Guarded(Arc::new(run)),
    }
}

/// A route for whoever administers, of all the users that the key acts for: a service key need not name one.
pub(super) fn administered<R: Shape, F>(
    method: Method,
    pattern: &'static str,
    permission: Permission,
    summary: &'static str,
    handler: fn(App, AdminCall) -> F,
) -> Route
where
    F: Future<Output = Result<Answer<R>, Problem>> + Send + 'static,
{
    let run = move |app: App, proof: Proof, received: Received| -> Answering {
        Box::pin(async move {
            let Received { arrival, headers, query, body, .. } = received;
            let administrator = call::administer(&proof, permission, arrival, &headers)?;
            body::read::<NoBody>(&headers, body, app.limits()).await?;
            Ok(handler(app, AdminCall { administrator, query }).await?.into_response())
        })
    };
    Route {
        method,
        pattern,
        permission: Some(permission),
        summary,
        success: StatusCode::OK,
        shapes: Shapes::of::<NoBody, R>(),
        run: Run::Guarded(Arc::new(run)),
    }
}

impl Route {
    /// The same, answering 201.
    #[must_use]
    pub(super) fn created(self) -> Self {
        Self { success: StatusCode::CREATED, ..self }
    }

    /// A path that fits the pattern, for tests: each place holds its own name.
    pub fn example_path(&self) -> String {
        self.pattern.replace(['{', '}'], "")
    }

    /// The warp filter: the path first, then the method, for the other way round an unknown path becomes a 405.
    pub(super) fn filter(self, app: App, prefix: &str) -> BoxedFilter<(Response,)> {
        let pattern = format!("{prefix}{}", self.pattern);
        let method = self.method.clone();
        let route = Arc::new(self);
        warp::path::full()
            .and_then(move |path: FullPath| {
                ready(pattern::fit(&pattern, path.as_str()).ok_or_else(warp::reject::not_found))
            })
            .and(only(method))
            .and(request())
            .then(move |params, arrival, headers, query, body| {
                let (route, app) = (route.clone(), app.clone());
                async move { route.answer(app, Received { arrival, headers, params, query, body }).await }
            })
            .boxed()
    }

    async fn answer(&self, app: App, received: Received) -> Response {
        let id = received.arrival.id;
        let mut key = None;
        let mut response = match self.run(app, received, &mut key).await {
            Ok(mut response) => {
                *response.status_mut() = self.success;
                response
            }
            Err(problem) => problem.into_response(id),
        };
        response.extensions_mut().insert(Handled { route: self.pattern, key });
        response
    }

    /// The key or token (401), what it may do (403), for whom (400, 403), then the body (422), then what was asked. What is refused to somebody who showed a key
    /// leaves an audit row.
    async fn run(&self, app: App, received: Received, key: &mut Option<ApiKeyId>) -> Result<Response, Problem> {
        match &self.run {
            Run::Open(run) => run(app).await,
            Run::Guarded(run) => {
                let proof = call::authenticate(&app, received.arrival, &received.headers).await?;
                *key = proof.key();
                let asked = Asked::of(self, &proof, received.arrival, &received.headers, &received.params);
                let answer = run(app.clone(), proof, received).await;
                if let Err(problem) = &answer {
                    refusals::record(&app, self, asked, problem.kind()).await;
                }
                answer
            }
        }
    }
}

/// The method, without a word about which others there are: that comes from the table.
fn only(method: Method) -> impl warp::Filter<Extract = (), Error = warp::Rejection> + Clone {
    let right = move |sent: Method| {
        let right = sent == method;
        async move { if right { Ok(()) } else { Err(warp::reject::not_found()) } }
    };
    warp::method().and_then(right).untuple_one()
}

type Parts = (Arrival, HeaderMap, String, BodyStream);

/// What every handler gets of a request; nothing is read of the body yet.
fn request() -> BoxedFilter<Parts> {
    let no_query = warp::any().map(String::new);
    warp::ext::get::<Arrival>()
        .and(warp::header::headers_cloned())
        .and(warp::query::raw().or(no_query).unify())
        .and(warp::body::stream().map(boxed))
        .boxed()
}

fn boxed<B: bytes::Buf>(stream: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> BodyStream {
    Box::pin(stream.map(|piece| piece.map(|mut piece| piece.copy_to_bytes(piece.remaining()))))
}
