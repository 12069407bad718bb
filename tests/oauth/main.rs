//! OAuth: logins, refreshes, revocations, client authentication, and attacks on them.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]
#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod client_authentication;
mod dpop;
mod further_tokens;
mod login;
mod mcp;
mod published_keys;
mod refresh;
mod revocations;
mod service;
