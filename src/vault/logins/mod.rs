//! Pending logins: stored under a hash of their state token, taken once.

pub(crate) mod device_poll;
pub(crate) mod pending_login;
pub(crate) mod store;
