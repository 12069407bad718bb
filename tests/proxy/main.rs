//! The proxy: requests that are sent with a credential which the caller never sees.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]
#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod entry_points;
mod flood;
mod forward;
mod framing;
mod grants;
mod hosts;
mod mcp;
mod origin;
mod outgoing;
mod path_proxy;
mod streams;
mod tokens;
mod unchanged;
mod unmatched;
