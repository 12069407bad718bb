//! The table: every path, its permission, its handler. Permission checks, `Allow`, OpenAPI and the permission test come
//! from here.
//!
//! Everything but the probes and the API's description is under the base path. Those are at the root, where probes look,
//! and under the base path too, for a reverse proxy that forwards nothing else. `HEAD` is answered wherever `GET` is
//! (RFC 9110 §9.1).

mod handlers;
pub(crate) mod pattern;
pub(crate) mod route;

use std::fmt::Write as _;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, header};
use hyper::body::Incoming;

use self::handlers::{
    amend, client_metadata, complete, create, credential, delete, device_initiate, device_poll, healthz, initiate,
    list, list_of_provider, openapi, providers, published_keys, readyz, refresh, revocations, token,
};
use self::pattern::Params;
use self::route::{Route, administered, guarded, open};
use super::app::App;
use super::auth::Head;
use super::load_shed::{self, Needs};
use super::problem::{self, Problem};
use super::server::service::{Answered, Arrival};
use crate::permission::Permission::{Admin, DeleteIntegrations, ManageIntegrations, ReadIntegrations, UseIntegrations};

/// Every route, in the order in which OpenAPI lists them.
#[rustfmt::skip]
pub fn table() -> Vec<Route> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    vec![
        guarded(GET,    "/v1/integrations/providers",                        ReadIntegrations,   "List the providers",                      providers),
        guarded(POST,   "/v1/integrations/{provider}/oauth/initiate",        ManageIntegrations, "Begin to connect an account",             initiate),
        guarded(POST,   "/v1/integrations/{provider}/oauth/complete",        ManageIntegrations, "Finish connecting an account",            complete),
        guarded(POST,   "/v1/integrations/{provider}/oauth/device/initiate", ManageIntegrations, "Begin to connect an account from another device", device_initiate),
        guarded(POST,   "/v1/integrations/{provider}/oauth/device/poll",     ManageIntegrations, "Ask whether the user has decided",        device_poll),
        guarded(GET,    "/v1/integrations/credentials",                      ReadIntegrations,   "List the credentials",                    list),
        guarded(GET,    "/v1/integrations/{provider}/credentials",           ReadIntegrations,   "List the credentials of one provider",    list_of_provider),
        guarded(POST,   "/v1/integrations/{provider}/credentials",           ManageIntegrations, "Store a credential",                      create).created(),
        guarded(DELETE, "/v1/integrations/{provider}/credentials/{cred_id}", DeleteIntegrations, "Delete a credential, and revoke it",      delete),
        administered(GET, "/v1/revocations",                                 Admin,              "List the revocations that wait",          revocations),
        guarded(GET,    "/v1/integrations/{provider}/credentials/{cred_id}", ReadIntegrations,   "One credential, and how it stands",       credential),
        guarded(PATCH,  "/v1/integrations/{provider}/credentials/{cred_id}", ManageIntegrations, "Give a credential another title or secret", amend),
        guarded(POST,   "/v1/integrations/{provider}/credentials/{cred_id}/refresh", ManageIntegrations, "Refresh an access token now",     refresh),
        guarded(GET,    "/v1/integrations/{provider}/credentials/{cred_id}/token", UseIntegrations, "A secret to use now, refreshed first where need be", token).waits(),
        open("/v1/oauth/jwks.json",   "Our public keys",                             published_keys),
        open("/v1/oauth/client.json", "Our client-id metadata document",             client_metadata),
        open("/healthz",      "Whether the server runs",                             healthz).probe(),
        open("/readyz",       "Whether the server can do its work",                  readyz).probe(),
        open("/openapi.json", "This API, described in OpenAPI 3.1",                  openapi),
    ]
}

/// The routes of one server, each under every prefix that it has, by the number of their segments: a path is looked up among
/// the few that are as long as it is.
pub(crate) struct Routes {
    app: App,
    by_length: Vec<Vec<(String, Arc<Route>)>>,
}

impl Routes {
    pub(crate) fn new(app: App) -> Self {
        let mut by_length: Vec<Vec<_>> = Vec::new();
        for route in table().into_iter().map(Arc::new) {
            for prefix in prefixes(&route, app.base_path()) {
                let pattern = format!("{prefix}{}", route.pattern);
                let length = pattern::length(&pattern);
                by_length.resize_with(by_length.len().max(length + 1), Vec::new);
                by_length[length].push((pattern, route.clone()));
            }
        }
        Self { app, by_length }
    }

    /// Answers a request whose body is still to come, if it is let in. What no route takes is 404, or 405 with the methods that
    /// the path has.
    pub(crate) async fn answer(self: Arc<Self>, request: Parts, body: Incoming, arrival: Arrival) -> Answered {
        let found = self.find(&request.method, request.uri.path());
        let (needs, provider) = match &found {
            Ok((route, params)) => (route.needs, params.get(0)),
            Err(_) => (Needs::Processor, ""),
        };
        let entered = load_shed::enter(&self.app, needs, provider, arrival).await;
        match (found, entered) {
            (Ok((route, params)), Ok(())) => {
                let head = Head { arrival, params, headers: request.headers, uri: request.uri };
                route.answer(&self.app, Arc::new(head), body).await
            }
            (Err(problem), Ok(())) => Answered::bare(problem.into_response(arrival.id)),
            (found, Err(problem)) => {
                let route = found.ok().map(|(route, _)| route.pattern);
                Answered { route, refused: true, ..Answered::bare(problem.into_response(arrival.id)) }
            }
        }
    }

    fn find(&self, method: &Method, path: &str) -> Result<(&Arc<Route>, Params), Problem> {
        // GET and HEAD are one thing (RFC 9110 §9.3.2); hyper leaves out the body.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let path = pattern::without_slash(path);
        let as_long = self.by_length.get(pattern::length(path)).map_or(&[][..], Vec::as_slice);
        let fits = |(pattern, _): &&(String, Arc<Route>)| pattern::fits(pattern, path);
        match as_long.iter().filter(|(_, route)| route.method == *method).find(fits) {
            Some((pattern, route)) => Ok((route, Params::of(pattern, path))),
            None => Err(no_route(as_long.iter().filter(fits).map(|(_, route)| &route.method))),
        }
    }
}

fn prefixes<'p>(route: &Route, base_path: &'p str) -> Vec<&'p str> {
    match route.permission {
        Some(_) => vec![base_path],
        None if base_path.is_empty() => vec![""],
        None => vec!["", base_path],
    }
}

/// The answer where the path has these methods, none of which was asked for.
fn no_route<'m>(methods: impl Iterator<Item = &'m Method>) -> Problem {
    let mut allow = String::new();
    for method in methods {
        let separator = if allow.is_empty() { "" } else { ", " };
        let head = if *method == Method::GET { ", HEAD" } else { "" };
        write!(allow, "{separator}{method}{head}").expect("writing to a string cannot fail");
    }
    if allow.is_empty() {
        return Problem::new(&problem::NOT_FOUND, "Not Found");
    }
    let value = HeaderValue::from_str(&allow).expect("the names of methods are ASCII");
    Problem::new(&problem::METHOD_NOT_ALLOWED, "Method Not Allowed").header(header::ALLOW, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_public_anyway_is_for_everybody() {
        let free: Vec<_> =
            table().into_iter().filter(|route| route.permission.is_none()).map(|route| route.pattern).collect();
        assert_eq!(free, ["/v1/oauth/jwks.json", "/v1/oauth/client.json", "/healthz", "/readyz", "/openapi.json"]);
    }
}
