//! Building blocks of the filters: the request context, path parameters, and the end of a path with
//! its methods.

use std::convert::Infallible;
use std::fmt::Write as _;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, header};
use warp::filters::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply as _};

use super::route::Route;
use crate::http::app::App;
use crate::http::problem::{self, Problem};
use crate::http::request::context::{ApiRequest, RequestContext, RequestHead};

/// Matches one segment that is not empty. The value is taken out of the full path by the pattern of
/// the route, because what a filter extracts before an `or` does not reach the handlers behind it.
pub(crate) fn param() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::path::param().map(|_: String| ()).untuple_one()
}

/// Matches the end of the path and answers with the route of the method. Other methods get 405 with
/// `Allow`, so that a rejection always means that no route has this path.
pub(crate) fn endpoint<const N: usize>(
    routes: [&'static Route; N],
) -> impl Filter<Extract = (Response,), Error = Rejection> + Copy {
    warp::path::end().and(warp::ext::get::<App>()).and(request()).then(move |app: App, request: ApiRequest| {
        // Boxed: warp moves the futures of nested filters several times.
        Box::pin(async move {
            match routes.iter().find(|route| route.method == request.head.method) {
                Some(route) => route.answer(app, request).await,
                None => method_not_allowed(&routes),
            }
        })
    })
}

/// Extracts everything that handlers read. Nothing in it can reject a request that came through our
/// server.
fn request() -> impl Filter<Extract = (ApiRequest,), Error = Rejection> + Copy {
    warp::ext::get::<RequestContext>()
        .and(warp::method())
        .and(warp::path::full().map(|path: FullPath| path.as_str().to_owned()))
        .and(query())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .map(assemble)
}

/// Extracts the query, empty for a URL without one.
fn query() -> impl Filter<Extract = (String,), Error = Infallible> + Copy {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

fn assemble(
    context: RequestContext,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + 'static,
) -> ApiRequest {
    let body = body.map(|chunk| chunk.map(into_bytes));
    ApiRequest { head: RequestHead { context, method, path, query, headers }, body: Box::pin(body) }
}

/// Takes the chunk over; no copy, because hyper's chunks are `Bytes` already.
fn into_bytes(mut chunk: impl Buf) -> Bytes {
    chunk.copy_to_bytes(chunk.remaining())
}

/// RFC 9110 §15.5.6.
fn method_not_allowed(routes: &[&Route]) -> Response {
    let mut allow = String::new();
    for route in routes {
        let separator = if allow.is_empty() { "" } else { ", " };
        let head = if route.method == Method::GET { ", HEAD" } else { "" };
        write!(allow, "{separator}{}{head}", route.method).expect("writing to a string cannot fail");
    }
    let value = HeaderValue::from_str(&allow).expect("the names of methods are ASCII");
    Problem::new(&problem::METHOD_NOT_ALLOWED, "Method Not Allowed").header(header::ALLOW, value).into_response()
}
