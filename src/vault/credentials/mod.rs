//! Stored credentials: the sealed records, lists, and every change of a credential.

pub(in crate::vault) mod credential_record;
pub(in crate::vault) mod delete;
pub(in crate::vault) mod keep_login;
pub(in crate::vault) mod metadata;
pub(in crate::vault) mod read;
pub(in crate::vault) mod refresh;
pub(in crate::vault) mod refresh_state;
pub(in crate::vault) mod shared_grant;
pub(in crate::vault) mod store;
pub(in crate::vault) mod summary_cache;
pub(in crate::vault) mod update_credential;
