//! One file per endpoint: each adds a method to the authorization server.

mod authorize;
mod device;
mod metadata;
pub(super) mod page;
mod token;
mod userinfo;
