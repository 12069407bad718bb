//! Stored credentials: the sealed records, lists, and every change of a credential.

pub(crate) mod credential_record;
pub(crate) mod delete;
pub(crate) mod keep_login;
pub(crate) mod metadata;
pub(crate) mod quota;
pub(crate) mod quota_check;
pub(crate) mod read;
pub(crate) mod refresh;
pub(crate) mod refresh_state;
pub(crate) mod shared_grant;
pub(crate) mod store;
pub(crate) mod summary_cache;
pub(crate) mod update_credential;
