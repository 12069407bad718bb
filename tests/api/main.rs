//! The HTTP API: routes, errors, limits, authentication and permissions.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]
#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

#[path = "../support/mod.rs"]
mod support;

mod approvals;
mod bad_input;
mod canaries;
mod contract_errors;
mod contract_models;
mod exportable;
mod grants;
mod key_limits;
mod limits;
mod overload;
mod permissions;
mod quotas;
mod server;
mod trusted_issuers;
