//! Strongroom stores OAuth tokens, API keys and passwords that belong to the users of an
//! application, encrypted in one SQLite file, and keeps OAuth tokens refreshed.
//!
//! The map, from the outside in. Dependencies point downwards only; ARCHITECTURE.md shows the whole
//! picture and follows one request through it.
//!
//! - [`cli`] and [`http`] are the two interfaces: the command line, and the HTTP API.
//! - [`broker`] has the use cases, one file each. `cli` and `http` call these.
//! - [`oauth`] is an OAuth client that follows the RFCs and knows no provider by name. [`catalog`]
//!   describes providers as data. [`vault`] seals and opens everything confidential: master key,
//!   keyring, credentials, pending logins, API keys, audit log, backups.
//! - [`store`] is SQLite: the writer, the readers, the schema, and every SQL statement. It holds no
//!   key.
//! - [`egress`] is the HTTP client for all outbound requests, with its limits and the address
//!   guard.
//! - [`import`] reads credential files of other programs.
//! - [`config`] reads the settings. [`validation`] collects every fault of a settings file, a
//!   catalogue entry or a request body at once.
//! - [`jose`] signs and verifies JWTs. [`logging`] writes the log.
//! - [`sandbox`] is a small authorization server, for `strongroom dev` and for tests.
//! - [`clock`], [`random`], [`id`], [`secret`], [`permission`], [`kind`] and [`duration`] are the
//!   values that all other modules use.

pub mod broker;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod duration;
pub mod egress;
mod html;
pub mod http;
pub mod id;
pub mod import;
pub mod jose;
mod json;
pub mod kind;
pub mod logging;
pub mod mcp;
pub mod oauth;
mod pem;
pub mod permission;
mod permits;
pub mod policy;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
#[cfg(any(test, fuzzing))]
mod property;
pub mod proxy;
pub mod random;
mod rate_limit;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod validation;
pub mod vault;
mod visible;
