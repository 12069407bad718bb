//! The HTTP API: server, routes, authentication, problems, OpenAPI.
//!
//! [`serve`] accepts connections on each [`Listener`] within the [`Limits`]; hyper parses requests
//! and warp routes them. A handler runs after the load, the key, the permission and the body of the
//! request were checked, in this order. [`routes`] is the whole API on one screen; [`problem`] is
//! the table of all error responses.

mod app;
mod auth;
mod auth_rate_limit;
mod body_budget;
mod client_address;
mod denial_audit;
mod error_mapping;
mod forward;
mod json;
mod limits;
mod load_shed;
mod mcp;
mod openapi;
pub mod problem;
mod proxy;
mod request;
pub mod routes;
mod schema_limits;
mod secret_rate;
mod secret_response;
mod server;

#[cfg(any(test, fuzzing))]
pub(crate) use request::parsers;

pub use app::{App, CallbackPage, Settings};
pub use limits::Limits;
pub use routes::curl_config;
pub use routes::route::Route;
pub(crate) use secret_response::SecretResponse;
pub use server::listener::{ListenError, Listener};
pub use server::serve;
pub use server::tls::{Tls, TlsError};
