//! One row of the route table, and how it answers.

use std::pin::Pin;
use std::sync::Arc;

use http::{Method, StatusCode};
use hyper::body::Incoming;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use warp::reply::Response;

use crate::http::app::App;
use crate::http::auth::{self, AdminCall, Call, Head, Proof};
use crate::http::denial_audit;
use crate::http::json::{Answer, Shape};
use crate::http::load_shed::{self, Needs};
use crate::http::problem::{self, Problem};
use crate::http::request::json_body::{self, FromBody, NoBody};
use crate::http::server::service::Answered;
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
    pub(crate) needs: Needs,
    /// Asked for where the API is described, and nowhere else.
    pub(crate) shapes: fn() -> Shapes,
    run: Run,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

type Guarded = dyn Fn(App, Needs, Arc<Proof>, Arc<Head>, Incoming) -> Answering + Send + Sync;

#[derive(Clone)]
enum Run {
    Open(Arc<dyn Fn(App) -> Answering + Send + Sync>),
    Guarded(Arc<Guarded>),
}

/// The types of a route, as OpenAPI wants them.
#[derive(Clone)]
pub(crate) struct Shapes {
    pub(crate) request: Option<(&'static str, RefOr<Schema>)>,
    pub(crate) response: RefOr<Schema>,
    /// The schemas that the two refer to, by name.
    pub(crate) components: Vec<(String, RefOr<Schema>)>,
}

impl Shapes {
    fn of<B: FromBody, R: Shape>() -> Self {
        let mut components = Vec::new();
        let response = R::schema(&mut components);
        Self { request: B::schema(), response, components }
    }
}

/// A route for everybody.
pub(crate) fn open<R: Shape, F>(pattern: &'static str, summary: &'static str, handler: fn(App) -> F) -> Route
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
        needs: Needs::Processor,
        shapes: Shapes::of::<NoBody, R>,
        run: Run::Open(Arc::new(run)),
    }
}

/// A route for whoever presents a key with `permission`.
pub(crate) fn guarded<B: FromBody, R: Shape, F>(
    method: Method,
    pattern: &'static str,
    permission: Permission,
    summary: &'static str,
    handler: fn(App, Call, B) -> F,
) -> Route
where
    F: Future<Output = Result<Answer<R>, Problem>> + Send + 'static,
{
    let run = move |app: App, needs: Needs, proof: Arc<Proof>, head: Arc<Head>, body: Incoming| -> Answering {
        Box::pin(async move {
            let caller = auth::authorize(&proof, permission, &head)?;
            let body = json_body::read(&head.headers, body, app.limits()).await?;
            let _place = load_shed::take_place(&app, needs, head.params.get(0))?;
            Ok(handler(app, Call { caller, head }, body).await?.into_response())
        })
    };
    let needs = if method == Method::GET { Needs::Processor } else { Needs::Waiting };
    Route {
        method,
        pattern,
        permission: Some(permission),
        summary,
        success: StatusCode::OK,
        needs,
        shapes: Shapes::of::<B, R>,
        run: Run::Guarded(Arc::new(run)),
    }
}

/// A route for whoever administers, of all the users that the key acts for: a service key need not name one.
pub(crate) fn administered<R: Shape, F>(
    method: Method,
    pattern: &'static str,
    permission: Permission,
    summary: &'static str,
    handler: fn(App, AdminCall) -> F,
) -> Route
where
    F: Future<Output = Result<Answer<R>, Problem>> + Send + 'static,
{
    let run = move |app: App, needs: Needs, proof: Arc<Proof>, head: Arc<Head>, body: Incoming| -> Answering {
        Box::pin(async move {
            let administrator = auth::administer(&proof, permission, &head)?;
            json_body::read::<NoBody>(&head.headers, body, app.limits()).await?;
            let _place = load_shed::take_place(&app, needs, head.params.get(0))?;
            Ok(handler(app, AdminCall { administrator, head }).await?.into_response())
        })
    };
    Route {
        method,
        pattern,
        permission: Some(permission),
        summary,
        success: StatusCode::OK,
        needs: Needs::Processor,
        shapes: Shapes::of::<NoBody, R>,
        run: Run::Guarded(Arc::new(run)),
    }
}

impl Route {
    /// The same, answering 201.
    #[must_use]
    pub(crate) fn created(self) -> Self {
        Self { success: StatusCode::CREATED, ..self }
    }

    /// The same, answered whatever else there is to do.
    #[must_use]
    pub(crate) fn probe(self) -> Self {
        Self { needs: Needs::Nothing, ..self }
    }

    /// The same for a GET that waits for the disk or for a provider.
    #[must_use]
    pub(crate) fn waits(self) -> Self {
        Self { needs: Needs::Waiting, ..self }
    }

    /// A path that fits the pattern, for tests: each place holds its own name.
    pub fn example_path(&self) -> String {
        self.pattern.replace(['{', '}'], "")
    }

    /// Answers a request for this route.
    pub(crate) async fn answer(&self, app: &App, head: Arc<Head>, body: Incoming) -> Answered {
        let id = head.arrival.id;
        let mut key = None;
        let mut refused = false;
        let response = match self.run(app, head, body, &mut key).await {
            Ok(mut response) => {
                *response.status_mut() = self.success;
                response
            }
            Err(problem) => {
                refused = problem.kind() == &problem::OVERLOADED;
                problem.into_response(id)
            }
        };
        Answered { response, route: Some(self.pattern), key, refused }
    }

    /// The key or token (401), what it may do (403), for whom (400, 403), then the body (422), then what was asked. What is refused to somebody who showed a key
    /// leaves an audit row.
    async fn run(
        &self,
        app: &App,
        head: Arc<Head>,
        body: Incoming,
        key: &mut Option<ApiKeyId>,
    ) -> Result<Response, Problem> {
        match &self.run {
            Run::Open(run) => run(app.clone()).await,
            Run::Guarded(run) => {
                let proof = Arc::new(auth::authenticate(app, &head).await?);
                *key = proof.key();
                let answer = run(app.clone(), self.needs, proof.clone(), head.clone(), body).await;
                if let Err(problem) = &answer {
                    Box::pin(denial_audit::record(app, self, &proof, &head, problem.kind())).await;
                }
                answer
            }
        }
    }
}
