//! The door: routes, requests, answers.
//!
//! A connection comes in by a [`Listener`], is let in by [`serve`] within the [`Limits`], and speaks HTTP/1.1 over a wire
//! that keeps time. A request gets an id, goes to its route, shows its key, and only then is its body read. [`routes`] is the
//! table of all there is; [`problem`] the table of all that can go wrong.

mod app;
mod auth;
mod auth_rate_limit;
mod client_address;
mod denial_audit;
mod error_mapping;
mod json;
mod limits;
mod load_shed;
mod openapi;
mod permits;
pub mod problem;
mod request;
pub mod routes;
mod secret_response;
mod server;

#[cfg(any(test, fuzzing))]
pub(crate) use request::parsers;

pub use app::{App, Settings};
pub use limits::Limits;
pub use routes::route::Route;
pub use server::listener::{ListenError, Listener};
pub use server::serve;
pub use server::tls::{Tls, TlsError};
