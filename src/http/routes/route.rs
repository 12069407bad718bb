//! Descriptor of a route: the method, pattern, permission and handler from which filters, `Allow`,
//! OpenAPI and the permission test come.

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, header};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use warp::Reply as _;
use warp::reply::Response;

use crate::broker::{Authenticated, Caller};
use crate::egress;
use crate::http::app::App;
use crate::http::auth::{self, Authorize};
use crate::http::denial_audit::Denial;
use crate::http::json::{JsonReply, Shape};
use crate::http::load_shed::{Cost, Permit};
use crate::http::problem::{self, Problem, ProblemType};
use crate::http::request::body;
use crate::http::request::context::{ApiRequest, BodyStream, Outcome, RequestHead};
use crate::http::request::json_body::{self, FromBody};
use crate::http::request::path_params::PathParams;
use crate::permission::Permission;

/// One route.
pub struct Route {
    /// Method; `GET` answers `HEAD` too.
    pub method: Method,
    /// Pattern of the path without the base path: `/v1/integrations/{provider}/credentials`.
    pub pattern: &'static str,
    /// Permission that the API key must have; `None` if the route needs no key.
    pub permission: Option<Permission>,
    /// Summary of one line.
    pub summary: &'static str,
    /// Status of a successful response.
    pub success: StatusCode,
    pub(crate) cost: Cost,
    pub(crate) query: Query,
    /// Problems beyond those that follow from the other columns.
    pub(crate) problems: &'static [&'static [&'static ProblemType]],
    /// Called only to describe the API.
    pub(crate) shapes: fn() -> Shapes,
    pub(crate) run: fn(Exchange) -> Running,
}

/// Parameters in the query of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// None.
    Empty,
    /// `limit` and `after` of a list.
    Page,
    /// `key`, `limit` and `after` of the list of grants.
    Grants,
    /// `configured`, `q`, `limit` and `after` of the list of providers.
    Providers,
    /// `min_ttl` of a token.
    MinTtl,
}

/// Defines the descriptor of a route, with its handler.
macro_rules! route {
    ($name:ident: $method:ident $pattern:literal, $permission:expr, $success:ident, $cost:ident, $query:ident,
     $problems:expr, $summary:literal, $handler:ident) => {
        pub(crate) static $name: $crate::http::routes::route::Route = $crate::http::routes::route::Route {
            method: http::Method::$method,
            pattern: $pattern,
            permission: $permission,
            summary: $summary,
            success: http::StatusCode::$success,
            cost: $crate::http::load_shed::Cost::$cost,
            query: $crate::http::routes::route::Query::$query,
            problems: &$problems,
            shapes: || $crate::http::routes::route::Handler::shapes(&$handler),
            run: |exchange| $crate::http::routes::route::Handler::run(&$handler, exchange),
        };
    };
}

pub(crate) use route;

type Running = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// A request on its way to the handler of its route.
pub(crate) struct Exchange {
    app: App,
    route: &'static Route,
    /// `None` if the route needs no key.
    authenticated: Option<Arc<Authenticated>>,
    head: Arc<RequestHead>,
    params: Arc<PathParams>,
    body: BodyStream,
}

impl Exchange {
    /// Checks the permission of the route and the user that the request is for.
    fn authorize<C: Authorize>(&self) -> Result<C, Problem> {
        let (Some(permission), Some(authenticated)) = (self.route.permission, &self.authenticated) else {
            return Err(Problem::new(&problem::INTERNAL, "The route has no permission."));
        };
        C::authorize(authenticated, permission, &self.head)
    }

    async fn read_body<B: FromBody>(&mut self) -> Result<B, Problem> {
        // The body stays in its key's share until it is parsed.
        let mut share = self.app.body_budget.share(self.share_name());
        let (announced, limits) = (self.head.context.body_length, &self.app.settings.limits);
        let bytes = body::read(&mut self.body, announced, &mut share, limits).await?;
        let content_type = self.head.headers.get(header::CONTENT_TYPE);
        json_body::parse(content_type, &bytes).map_err(Problem::faults)
    }

    /// Takes the permit of a request that has arrived as a whole.
    fn authorized<C>(self, caller: C) -> Result<Authorized<C>, Problem> {
        let permit = self.app.load_shed.acquire(self.route.cost, self.params.get(0), || self.share_name())?;
        Ok(Authorized { app: self.app, caller, head: self.head, params: self.params, permit })
    }

    /// Returns the name of the party that takes a share of the server's resources.
    fn share_name(&self) -> String {
        self.authenticated.as_ref().map(|authenticated| authenticated.share_name()).unwrap_or_default()
    }
}

/// A request that may be carried out, on behalf of the party `C`.
pub(crate) struct Authorized<C = Caller> {
    pub(crate) app: App,
    pub(crate) caller: C,
    head: Arc<RequestHead>,
    params: Arc<PathParams>,
    permit: Permit,
}

impl<C> Authorized<C> {
    /// Returns the path parameter with that number, percent-decoded.
    pub(crate) fn param(&self, index: usize) -> &str {
        self.params.get(index)
    }

    /// Returns the headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Takes a permit of the provider in the path. If none is free, `sends` tells if the request
    /// needs it.
    pub(crate) fn acquire_provider(&mut self, sends: impl FnOnce(&Self) -> bool) -> Result<(), Problem> {
        let mut permit = std::mem::take(&mut self.permit);
        let acquired = self.app.load_shed.acquire_provider(&mut permit, self.param(0), || sends(self));
        self.permit = permit;
        acquired
    }

    /// Returns the query without its question mark.
    pub(crate) fn query(&self) -> &str {
        &self.head.query
    }
}

/// Argument of a handler, read from a request in the order of the contract.
pub(crate) trait FromExchange: Sized + Send + 'static {
    /// Returns the name and the schema of the body, for OpenAPI.
    fn body() -> Option<(&'static str, RefOr<Schema>)> {
        None
    }

    /// Reads the argument.
    fn read(exchange: Exchange) -> impl Future<Output = Result<Self, Problem>> + Send;
}

/// A route that needs no key.
impl FromExchange for App {
    async fn read(exchange: Exchange) -> Result<Self, Problem> {
        Ok(exchange.app)
    }
}

/// A route without a body.
impl<C: Authorize> FromExchange for Authorized<C> {
    async fn read(exchange: Exchange) -> Result<Self, Problem> {
        let caller = exchange.authorize()?;
        exchange.authorized(caller)
    }
}

/// A route with a body.
impl<C: Authorize, B: FromBody> FromExchange for (Authorized<C>, B) {
    fn body() -> Option<(&'static str, RefOr<Schema>)> {
        B::schema()
    }

    async fn read(mut exchange: Exchange) -> Result<Self, Problem> {
        let caller = exchange.authorize()?;
        let body = exchange.read_body().await?;
        Ok((exchange.authorized(caller)?, body))
    }
}

/// An asynchronous function that carries out a route.
pub(crate) trait Handler<A> {
    /// Returns the types of the bodies, for OpenAPI.
    fn shapes(&self) -> Shapes;

    /// Reads the argument and calls the function.
    fn run(&self, exchange: Exchange) -> Running;
}

impl<H, A, R, F> Handler<A> for H
where
    H: Fn(A) -> F + Copy + Send + 'static,
    A: FromExchange,
    R: Shape,
    F: Future<Output = Result<JsonReply<R>, Problem>> + Send + 'static,
{
    fn shapes(&self) -> Shapes {
        let mut components = Vec::new();
        let response = R::schema(&mut components);
        Shapes { request: A::body(), response, media_type: R::MEDIA_TYPE, components }
    }

    fn run(&self, exchange: Exchange) -> Running {
        let handler = *self;
        Box::pin(async move {
            let argument = A::read(exchange).await?;
            Ok(handler(argument).await?.into_response())
        })
    }
}

/// Types of a route for OpenAPI.
pub(crate) struct Shapes {
    pub(crate) request: Option<(&'static str, RefOr<Schema>)>,
    pub(crate) response: RefOr<Schema>,
    pub(crate) media_type: &'static str,
    /// Schemas that the two refer to, by name.
    pub(crate) components: Vec<(String, RefOr<Schema>)>,
}

impl Route {
    /// Returns a path that matches the pattern, for tests: the value of each parameter is its own
    /// name.
    pub fn example_path(&self) -> String {
        self.pattern.replace(['{', '}'], "")
    }

    /// Answers a request for this route.
    pub(crate) async fn answer(&'static self, app: App, request: ApiRequest) -> Response {
        let mut outcome = Outcome { pattern: self.pattern, api_key: None, provider: None, cause: None };
        let mut response = match self.carry_out(app, request, &mut outcome).await {
            Ok(mut response) => {
                if response.status().is_success() {
                    *response.status_mut() = self.success;
                }
                response
            }
            Err(problem) => problem.into_response(),
        };
        response.extensions_mut().insert(outcome);
        response
    }

    /// Checks in the order of the contract: load (503), key or token (401), permission (403), user
    /// (400, 403), body (422). A denied request of an authenticated caller leaves an audit row.
    async fn carry_out(
        &'static self,
        app: App,
        request: ApiRequest,
        outcome: &mut Outcome,
    ) -> Result<Response, Problem> {
        let ApiRequest { head, body } = request;
        let path = head.path.as_str();
        let params = PathParams::of(self.pattern, path.strip_prefix(app.settings.base_path.as_str()).unwrap_or(path));
        app.load_shed.check(self.cost, params.get(0))?;
        let (head, params) = (Arc::new(head), Arc::new(params));
        let mut exchange = Exchange {
            app: app.clone(),
            route: self,
            authenticated: None,
            head: head.clone(),
            params: params.clone(),
            body,
        };
        if self.permission.is_none() {
            return (self.run)(exchange).await;
        }
        let authenticated = Arc::new(auth::authenticate(&app.broker, &app.failed_attempts, &head).await?);
        outcome.api_key = authenticated.api_key();
        exchange.authenticated = Some(authenticated.clone());
        let running = (self.run)(exchange);
        let result = if self.cost == Cost::Cheap {
            // It looks up no name.
            running.await
        } else {
            let user = authenticated.intended_user(&head.headers);
            let owner = user.map_or_else(|| authenticated.share_name(), |user| egress::owner(&user));
            egress::on_behalf_of(owner, running).await
        };
        if let Err(problem) = &result {
            outcome.cause = problem.logged_cause().map(str::to_owned);
            if outcome.cause.is_some() {
                // Not the caller's text: only a name of the catalogue.
                outcome.provider = app.broker.provider(params.get(0)).ok().map(|known| known.name.clone());
            }
            let denial = Denial {
                problem: problem.kind(),
                method: &self.method,
                pattern: self.pattern,
                permission: self.permission,
                authenticated: &authenticated,
                head: &head,
                params: &params,
                refused: None,
            };
            // Boxed: rare, and larger than the rest of this future.
            Box::pin(app.denial_audit.record(&app.broker, denial)).await;
        }
        result
    }
}
