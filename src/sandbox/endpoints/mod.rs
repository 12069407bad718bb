//! One file per endpoint: each adds a method to the authorization server.

mod authorize;
mod device;
mod introspect;
mod metadata;
mod page;
mod token;
