//! The HTTP API: a tree of warp filters, one file a resource, each route with its descriptor beside
//! its handler.
//!
//! Every route that needs a key is under the base path. The others (the probes, the description of
//! the API, the documents about this OAuth client) are at the root, where probes look, and under
//! the base path too, for a reverse proxy that forwards nothing else. `HEAD` is answered wherever
//! `GET` is (RFC 9110 §9.1): the server turns it into `GET` before warp sees it.

mod approvals;
mod callback;
mod credentials;
mod endpoint;
mod grants;
mod oauth;
mod providers;
mod proxy;
mod public_keys;
mod revocations;
pub(crate) mod route;
mod status;
mod table;

use std::convert::Infallible;

use warp::filters::BoxedFilter;
use warp::path;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

pub(crate) use self::callback::callback_page;
pub use self::callback::curl_config;
use self::endpoint::{endpoint, param};
pub use self::table::table;
use super::problem::{self, Problem};

/// The whole API, below this base path.
pub(crate) fn api(base_path: &str) -> BoxedFilter<(Response,)> {
    let base = base(base_path);
    let credentials = path("credentials").and(
        endpoint([&credentials::LIST_OF_PROVIDER, &credentials::CREATE])
            .or(param().and(
                endpoint([&credentials::GET, &credentials::UPDATE, &credentials::DELETE])
                    .or(path("token").and(endpoint([&credentials::TOKEN])))
                    .unify()
                    .or(path("refresh").and(endpoint([&credentials::REFRESH])))
                    .unify(),
            ))
            .unify(),
    );
    let oauth = path("oauth").and(
        path("initiate")
            .and(endpoint([&oauth::INITIATE]))
            .or(path("complete").and(endpoint([&oauth::COMPLETE])))
            .unify()
            .or(path!("device" / "initiate" / ..).and(endpoint([&oauth::DEVICE_INITIATE])))
            .unify()
            .or(path!("device" / "poll" / ..).and(endpoint([&oauth::DEVICE_POLL])))
            .unify(),
    );
    let integrations = path("integrations").and(
        path("providers")
            .and(endpoint([&providers::LIST]))
            .or(path("credentials").and(endpoint([&credentials::LIST])))
            .unify()
            .or(param().and(credentials.or(oauth).unify()))
            .unify()
            // Last: `/providers/credentials` is a list of a provider, though of none that exists.
            .or(path("providers").and(param()).and(endpoint([&providers::SHOW])))
            .unify(),
    );
    let grants = path("grants").and(
        endpoint([&grants::LIST, &grants::CREATE])
            .or(path("explain").and(endpoint([&grants::EXPLAIN])))
            .unify()
            .or(param().and(endpoint([&grants::GET, &grants::REMOVE])))
            .unify(),
    );
    let approvals = path("approvals").and(
        endpoint([&approvals::LIST])
            .or(param().and(
                endpoint([&approvals::GET])
                    .or(path("approve").and(endpoint([&approvals::APPROVE])))
                    .unify()
                    .or(path("deny").and(endpoint([&approvals::DENY])))
                    .unify(),
            ))
            .unify(),
    );
    let v1 = path("v1").and(
        integrations
            .or(path("revocations").and(endpoint([&revocations::LIST])))
            .unify()
            .or(grants)
            .unify()
            .or(approvals)
            .unify()
            .or(path("proxy").and(proxy()))
            .unify(),
    );
    let open = path("healthz")
        .and(endpoint([&status::HEALTHZ]))
        .or(path("readyz").and(endpoint([&status::READYZ])))
        .unify()
        .or(path("openapi.json").and(endpoint([&table::OPENAPI])))
        .unify()
        .or(path!("v1" / "oauth" / "jwks.json" / ..).and(endpoint([&public_keys::JWKS])))
        .unify()
        .or(path!("v1" / "oauth" / "client.json" / ..).and(endpoint([&public_keys::CLIENT])))
        .unify();
    base.clone().and(v1.or(open).unify()).or(open).unify().recover(not_found).unify().boxed()
}

/// The routes that describe the proxy.
fn proxy() -> impl Filter<Extract = (Response,), Error = Rejection> + Copy {
    let ca = path("ca.pem").and(endpoint([&proxy::CA]));
    path("destinations").and(endpoint([&proxy::DESTINATIONS])).or(ca).unify()
}

/// Matches the base path, which may be empty.
fn base(base_path: &str) -> BoxedFilter<()> {
    let segments = base_path.split('/').filter(|segment| !segment.is_empty());
    segments.fold(warp::any().boxed(), |base, segment| base.and(path(segment.to_owned())).boxed())
}

/// Answers the only rejection that there is. Its text is not looked at.
async fn not_found(_: Rejection) -> Result<Response, Infallible> {
    Ok(Problem::new(&problem::NOT_FOUND, "Not Found").into_response())
}
