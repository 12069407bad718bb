//! Pending logins: stored under a hash of their state token, taken once.

pub(in crate::vault) mod device_poll;
pub(in crate::vault) mod pending_login;
pub(in crate::vault) mod store;
