//! The table: every path, its permission, its handler. Permission checks, `Allow`, OpenAPI and the permission test come
//! from here.
//!
//! Everything but the probes and the API's description is under the base path. Those are at the root, where probes look,
//! and under the base path too, for a reverse proxy that forwards nothing else. `HEAD` is answered wherever `GET` is
//! (RFC 9110 §9.1).

use std::fmt::Write as _;

use http::{HeaderValue, Method, header};
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::reply::Response;

use super::App;
use super::handlers::{
    amend, client_metadata, complete, create, credential, delete, device_initiate, device_poll, healthz, initiate,
    list, list_of_provider, openapi, providers, published_keys, readyz, refresh, revocations, token,
};
use super::pattern;
use super::problem::{self, Problem};
use super::route::{Route, administered, guarded, open};
use super::service::Arrival;
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
        guarded(GET,    "/v1/integrations/{provider}/credentials/{cred_id}/token", UseIntegrations, "A secret to use now, refreshed first where need be", token),
        open("/v1/oauth/jwks.json",   "Our public keys",                             published_keys),
        open("/v1/oauth/client.json", "Our client-id metadata document",             client_metadata),
        open("/healthz",      "Whether the server runs",                             healthz),
        open("/readyz",       "Whether the server can do its work",                  readyz),
        open("/openapi.json", "This API, described in OpenAPI 3.1",                  openapi),
    ]
}

/// All routes as one warp filter. What no route takes is 404, or 405 with the methods that the path has.
pub(super) fn filter(app: &App) -> BoxedFilter<(Response,)> {
    let mut patterns: Vec<(String, Method)> = Vec::new();
    let mut filters = Vec::new();
    for route in table() {
        for prefix in prefixes(&route, app.base_path()) {
            patterns.push((format!("{prefix}{}", route.pattern), route.method.clone()));
            filters.push(route.clone().filter(app.clone(), prefix));
        }
    }
    let unmatched = warp::path::full()
        .and(warp::ext::get::<Arrival>())
        .map(move |path: FullPath, arrival: Arrival| no_route(&patterns, path.as_str()).into_response(arrival.id))
        .boxed();
    // Folded from the end, so that the first route is tried first and each filter is boxed once more: unboxed, the type of
    // the whole takes the compiler minutes.
    filters.into_iter().rev().fold(unmatched, |rest, route| route.or(rest).unify().boxed())
}

fn prefixes<'p>(route: &Route, base_path: &'p str) -> Vec<&'p str> {
    match route.permission {
        Some(_) => vec![base_path],
        None if base_path.is_empty() => vec![""],
        None => vec!["", base_path],
    }
}

fn no_route(patterns: &[(String, Method)], path: &str) -> Problem {
    let mut allow = String::new();
    for (_, method) in patterns.iter().filter(|(pattern, _)| pattern::fit(pattern, path).is_some()) {
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

    #[test]
    fn a_known_path_names_its_methods() {
        let patterns: Vec<_> = table().into_iter().map(|route| (route.pattern.to_owned(), route.method)).collect();
        assert_eq!(no_route(&patterns, "/v1/integrations").kind(), &problem::NOT_FOUND);
        assert_eq!(no_route(&patterns, "/v1/integrations/x/credentials").kind(), &problem::METHOD_NOT_ALLOWED);
    }
}
