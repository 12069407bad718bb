//! Strongroom keeps other services' credentials for applications and AI agents, in one binary and one file.
//!
//! The map, from the door inwards; nothing points back (ARCHITECTURE.md draws it and walks one request through it):
//!
//! - [`cli`] and [`http`] are the two doors: what a person types, and what a program asks.
//! - [`broker`] is what Strongroom does, one file a use case: initiate, complete, create, list, delete.
//! - [`oauth`] is an OAuth client that knows the RFCs and no provider's name; [`catalog`] is what a provider is, as data;
//!   [`vault`] seals and opens: master key, keyring, sealed record, credential, state, API key, audit.
//! - [`store`] is SQLite: the writer, the readers, the migrations. It moves sealed bytes and holds no key.
//! - [`egress`] is the only way out to the network.
//! - [`import`] reads the files of other programs: bytes in, typed credentials out.
//! - [`jose`] signs and verifies JWTs: a leaf that the doors and the OAuth client share.
//! - [`config`] reads the settings, and [`sandbox`] is a small real authorization server to try all of this with.
//! - [`clock`], [`random`], [`id`], [`secret`], [`permission`], [`kind`] and [`duration`] are the words that all of it is written in.

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
pub mod oauth;
pub mod permission;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
pub mod random;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod validation;
pub mod vault;
