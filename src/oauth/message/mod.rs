//! Parts that all requests to a provider and all of its responses share.

pub(in crate::oauth) mod error;
pub(in crate::oauth) mod parameters;
pub(in crate::oauth) mod reasons;
pub(in crate::oauth) mod request;
pub(in crate::oauth) mod retry_after;
pub(in crate::oauth) mod sanitize;
pub(in crate::oauth) mod scope;

pub use error::{BuildError, ErrorResponse, InvalidResponse, OAuthError};
pub use retry_after::RetryAfter;
