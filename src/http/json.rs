//! Successful responses: JSON, and one certificate.

use std::io;
use std::marker::PhantomData;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use warp::Reply;
use warp::reply::Response;
use zeroize::Zeroizing;

use super::problem::{self, Problem};
use crate::broker::{CredentialPage, DEFAULT_LIMIT, ProviderPage};
use crate::id::CredentialId;

/// Shape of a response body for OpenAPI: one object, or a list of objects.
pub(crate) trait Shape: Send + 'static {
    /// Media type of the body.
    const MEDIA_TYPE: &'static str = "application/json";

    /// Returns the schema, and adds the named schemas that it refers to.
    fn schema(components: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema>;
}

/// One object.
pub(crate) struct One<T>(PhantomData<fn() -> T>);

/// A list of objects.
pub(crate) struct Many<T>(PhantomData<fn() -> T>);

/// A certificate.
pub(crate) struct Pem;

impl Shape for Pem {
    // Generators of clients do not accept `application/x-pem-file`.
    const MEDIA_TYPE: &'static str = "text/plain";

    fn schema(_: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

impl<T: ToSchema + 'static> Shape for One<T> {
    fn schema(components: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
        components.push((T::name().into_owned(), T::schema()));
        T::schemas(components);
        Ref::from_schema_name(T::name()).into()
    }
}

impl<T: ToSchema + 'static> Shape for Many<T> {
    fn schema(components: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
        ArrayBuilder::new().items(One::<T>::schema(components)).into()
    }
}

/// Response with a JSON body of the shape `R`.
pub(crate) struct JsonReply<R> {
    body: Bytes,
    status: StatusCode,
    headers: HeaderMap,
    of: PhantomData<fn() -> R>,
}

impl<R> JsonReply<R> {
    /// Writes `body` as JSON. A list may be given as a slice.
    pub(crate) fn json(body: &(impl Serialize + ?Sized)) -> Result<Self, Problem> {
        let failed = |_| Problem::new(&problem::INTERNAL, "The response could not be written.");
        Ok(Self::raw(serde_json::to_vec(body).map_err(failed)?.into()))
    }

    /// Writes a body that carries a secret: its bytes are wiped when the response has been sent.
    pub(crate) fn secret(body: &impl Serialize) -> Result<Self, Problem> {
        let failed = |_| Problem::new(&problem::INTERNAL, "The response could not be written.");
        // Written twice: a buffer that grows moves, and leaves a copy of the secret behind.
        let mut length = Length(0);
        serde_json::to_writer(&mut length, body).map_err(failed)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *bytes, body).map_err(failed)?;
        Ok(Self::raw(Bytes::from_owner(bytes)))
    }

    /// Takes a body that is JSON already.
    pub(crate) fn raw(body: Bytes) -> Self {
        Self { body, status: StatusCode::OK, headers: HeaderMap::new(), of: PhantomData }
    }

    /// Takes a list that the caller may keep, and compares it with the caller's copy (RFC 9110
    /// §13.1.2).
    pub(crate) fn cached(page: ProviderPage, request: &HeaderMap) -> Self {
        let items = |name: HeaderName| {
            let values = request.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).map(str::trim)
        };
        let is_known = |tag: &str| tag == "*" || tag.trim_start_matches("W/") == page.etag.trim_start_matches("W/");
        let is_gzip = |coding: &str| match coding.split_once(';') {
            Some((name, weight)) => name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0"),
            None => coding == "gzip",
        };
        let mut headers = HeaderMap::from_iter([
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ]);
        headers.extend(HeaderValue::from_str(&page.etag).ok().map(|etag| (header::ETAG, etag)));
        if items(header::IF_NONE_MATCH).any(is_known) {
            return Self { status: StatusCode::NOT_MODIFIED, headers, ..Self::raw(Bytes::new()) };
        }
        let body = match page.gzip.filter(|_| items(header::ACCEPT_ENCODING).any(is_gzip)) {
            Some(gzip) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                gzip
            }
            None => page.json,
        };
        Self { headers, ..Self::raw(body) }
    }

    /// Adds the URL of the next page, if there is one, as a `Link` (RFC 8288).
    #[must_use]
    pub(crate) fn next(mut self, target: Option<String>) -> Self {
        let link = target.and_then(|target| HeaderValue::from_str(&format!("<{target}>; rel=\"next\"")).ok());
        self.headers.extend(link.map(|link| (header::LINK, link)));
        self
    }

    /// Adds the number of damaged entries that a list leaves out.
    #[must_use]
    pub(crate) fn damaged(mut self, damaged: usize) -> Self {
        if damaged > 0 {
            self.headers.insert("strongroom-damaged", damaged.into());
        }
        self
    }
}

impl<R: Shape> Reply for JsonReply<R> {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(R::MEDIA_TYPE));
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Returns the URL of the next page of a list, if it has one.
pub(crate) fn next_page(path: &str, page: CredentialPage, after: Option<CredentialId>) -> Option<String> {
    Some(format!("{path}?limit={}&after={}", page.limit.unwrap_or(DEFAULT_LIMIT), after?))
}

/// Counts the bytes that are written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
