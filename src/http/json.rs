//! A good answer: its JSON, and where a list goes on.

use std::io;
use std::marker::PhantomData;

use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use warp::reply::Response;
use zeroize::Zeroizing;

use super::problem::{self, Problem};

/// What a route answers with, for OpenAPI: one object, or a list of them.
pub(crate) trait Shape: Send + 'static {
    /// The name of the object's schema, and the schema.
    fn schema(components: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema>;
}

/// One object.
pub(crate) struct One<T>(PhantomData<fn() -> T>);

/// A list of objects.
pub(crate) struct Many<T>(PhantomData<fn() -> T>);

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

/// The answer of a route whose body is of the shape `R`.
pub(crate) struct Answer<R> {
    body: Bytes,
    link: Option<HeaderValue>,
    damaged: Option<HeaderValue>,
    of: PhantomData<fn() -> R>,
}

impl<R> Answer<R> {
    /// `body` as JSON. Lists may be given as slices.
    pub(crate) fn json(body: &(impl Serialize + ?Sized)) -> Result<Self, Problem> {
        let failed = |_| Problem::new(&problem::INTERNAL, "The answer could not be written.");
        Ok(Self::raw(serde_json::to_vec(body).map_err(failed)?.into()))
    }

    /// The same for a body that carries a secret: the bytes are wiped when the answer has gone out.
    pub(crate) fn secret(body: &impl Serialize) -> Result<Self, Problem> {
        let failed = |_| Problem::new(&problem::INTERNAL, "The answer could not be written.");
        // Written twice: a buffer that is too small moves, and leaves a copy behind.
        let mut length = Length(0);
        serde_json::to_writer(&mut length, body).map_err(failed)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *bytes, body).map_err(failed)?;
        Ok(Self::raw(Bytes::from_owner(bytes)))
    }

    /// JSON that is written already.
    pub(crate) fn raw(body: Bytes) -> Self {
        Self { body, link: None, damaged: None, of: PhantomData }
    }

    /// The same, with where the list goes on (RFC 8288).
    #[must_use]
    pub(crate) fn next(mut self, target: Option<String>) -> Self {
        self.link = target.and_then(|target| HeaderValue::from_str(&format!("<{target}>; rel=\"next\"")).ok());
        self
    }

    /// The same, with how many things are left out because they are damaged.
    #[must_use]
    pub(crate) fn without(mut self, damaged: usize) -> Self {
        self.damaged = (damaged > 0).then(|| damaged.into());
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(link) = self.link {
            response.headers_mut().insert(header::LINK, link);
        }
        if let Some(damaged) = self.damaged {
            response.headers_mut().insert("strongroom-damaged", damaged);
        }
        response
    }
}

/// Counts what is written.
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
