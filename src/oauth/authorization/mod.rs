//! The authorization request and its callback (RFC 6749 §4.1, RFC 7636, RFC 9126, RFC 9207).

pub mod callback;
pub(in crate::oauth) mod pkce;
pub(in crate::oauth) mod push;
pub(in crate::oauth) mod request;
pub(in crate::oauth) mod state;

pub use pkce::CodeVerifier;
pub use push::{Pushed, push};
pub use request::AuthorizationRequest;
pub use state::{Nonce, StateToken};
