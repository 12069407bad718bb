//! The door: routes, requests, answers.
//!
//! A connection comes in by a [`Listener`], is let in by [`serve`] within the [`Limits`], and speaks HTTP/1.1 over a wire
//! that keeps time. A request gets an id, goes to its route, shows its key, and only then is its body read. [`routes`] is the
//! table of all there is; [`problem`] the table of all that can go wrong.

mod address;
mod amendment;
mod answer;
mod app;
mod attempts;
mod body;
mod call;
mod connections;
mod fault;
mod fields;
mod handlers;
mod head;
mod limits;
mod listener;
mod live;
pub mod log;
mod log_json;
mod log_lines;
mod openapi;
mod overload;
#[cfg(any(test, fuzzing))]
pub(crate) mod parsers;
mod pattern;
pub mod problem;
mod query;
mod refusals;
mod requests;
mod route;
pub mod routes;
mod server;
mod service;
mod tls;
mod translate;
mod watch;
mod wire;

pub use app::{App, Settings};
pub use limits::Limits;
pub use listener::{ListenError, Listener};
pub use route::Route;
pub use server::serve;
pub use tls::{Tls, TlsError};
