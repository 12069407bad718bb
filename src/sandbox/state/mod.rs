//! Grants and logins of the authorization server.

pub(super) mod authorization_server;
pub(super) mod devices;
pub(super) mod grants;
mod ttl_map;
